//! Whatever comes in, the client ends it with a typed error: wrong connection strings, servers that are no MongoDB, and
//! servers that mean harm, before and after the handshake.
//!
//! Cases against servers run their client in a process of its own ([`child`]), on one thread with a stack of 256 KiB: its
//! memory is measured, a stack overflow or an abort is that case's failure, and a hang is killed. The servers stay in the
//! parent, so that what they hold is not counted.

mod after;
mod before;
mod child;
mod client;
mod compressed;
mod pair;
mod seeds;
mod uri;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let cases: Vec<child::Case> = [seeds::cases(), before::cases(), after::cases(), compressed::cases()]
        .into_iter()
        .flatten()
        .collect();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, name, seeds @ ..] = &arguments[..]
        && flag == child::FLAG
    {
        return child::run(&cases, name, seeds);
    }
    let mut trials: Vec<Trial> = cases.into_iter().map(child::Case::into_trial).collect();
    trials.extend(uri::trials());
    let mut arguments = Arguments::from_args();
    // The cases wait for time-outs mostly.
    arguments.test_threads.get_or_insert(8);
    libtest_mimic::run(&arguments, trials).exit();
}
