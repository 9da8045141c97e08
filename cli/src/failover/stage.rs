//! Brings up a set of our own, in its time, and lets the director loose on it.

use super::clock::Clock;
use super::deployment::{Deployment, MEMBERS, Mongods, Served, Simulated};
use super::host::Job;
use super::ledger::Ledger;
use super::live::{Live, Ticker};
use super::operator::Operator;
use super::report;
use super::rounds::{Broken, Director};
use super::verify::{self, Findings};
use super::{Stop, probe};
use crate::args::{self, Failover, W};
use quorate::Runtime;
use quorate_smol::Smol;
use std::sync::Arc;
use std::time::Duration;

/// How long the client may take to shut down.
const FAREWELL: Duration = Duration::from_secs(5);

/// Runs all rounds; whether nothing was lost, applied twice or hung.
///
/// # Errors
/// When it could not be tried.
pub(super) fn run(args: &Failover, stop: &Stop) -> Result<bool, String> {
    if let W::Members(n) = args.w
        && usize::try_from(n).is_ok_and(|n| n >= MEMBERS)
    {
        return Err(format!("--w {n}: with one of {MEMBERS} members down, no write could be acknowledged"));
    }
    match args.deployment() {
        args::Deployment::Virtual => {
            let set = Simulated::build(args)?;
            let stage = Stage::new(args, stop, set.runtime());
            stage.live.line(&format!("{MEMBERS} simulated members in virtual time, seed {}", args.seed));
            set.run(stage.play(&set))?
        }
        args::Deployment::Mongod => in_real_time(args, stop, Mongods::start),
        _ => in_real_time(args, stop, Served::start),
    }
}

fn in_real_time<D: Deployment>(
    args: &Failover,
    stop: &Stop,
    start: impl FnOnce(&Failover, &Live) -> Result<D, String>,
) -> Result<bool, String> {
    let stage = Stage::new(args, stop, &Smol);
    let set = start(args, &stage.live)?;
    smol::block_on(stage.play(&set))
}

/// What the director, the application and the probes share.
struct Stage<'a> {
    args: &'a Failover,
    stop: &'a Stop,
    ledger: Arc<Ledger>,
    live: Arc<Live>,
}

impl<'a> Stage<'a> {
    fn new(args: &'a Failover, stop: &'a Stop, runtime: &impl Runtime) -> Self {
        let ledger = Arc::new(Ledger::default());
        let live = Live::new(Arc::clone(&ledger), Clock::of(runtime));
        Stage { args, stop, ledger, live }
    }

    async fn play<D: Deployment>(&self, set: &D) -> Result<bool, String> {
        let Stage { args, stop, ledger, live } = self;
        let operator = Operator { deployment: set };
        operator.create(&[verify::INSERTS, verify::UPDATES, probe::COLLECTION]).await?;
        let uri = without_password(&set.uri());
        live.line(&format!("{uri} (election timeout {} ms)", args.election_timeout_ms));
        let host = set.start_writer(Job {
            uri: set.uri(),
            args: (*args).clone(),
            ledger: Arc::clone(ledger),
            live: Arc::clone(live),
            suffix: String::new(),
            judge: false,
        });
        let ticker = Ticker::start(live);
        let mut director =
            Director { args, stop, operator, ledger, live, host: &host, known: Findings::default() };
        let mut rows = Vec::new();
        let end = director.all(&mut rows).await;
        ledger.close();
        drop(ticker);
        if !args.json && !rows.is_empty() {
            println!("\n{}", report::table(&rows));
        }
        let hung = match end {
            Ok(()) => false,
            Err(Broken::Hung(what)) => {
                eprintln!("quorate: HUNG: {what}");
                true
            }
            Err(Broken::Stopped) => return Err("stopped before the end".into()),
            Err(Broken::Trouble(why)) => return Err(why),
        };
        if !hung {
            // A client that does not shut down in order is no reason to keep the user waiting.
            director.farewell(FAREWELL).await;
        }
        Ok(verdict(args, &director.known) && !hung)
    }
}

/// A connection string as it may be shown.
fn without_password(uri: &str) -> String {
    let found = uri.split_once("://").and_then(|(scheme, rest)| Some((scheme, rest.split_once('@')?)));
    match found.and_then(|(scheme, (login, rest))| Some((scheme, login.split_once(':')?.0, rest))) {
        Some((scheme, user, rest)) => format!("{scheme}://{user}:***@{rest}"),
        None => uri.to_owned(),
    }
}

/// Says how it ended, and whether it ended well.
fn verdict(args: &Failover, known: &Findings) -> bool {
    let well = *known == Findings::default();
    if !well {
        eprintln!("quorate: acknowledged and lost: {:?}; applied twice: {:?}", known.lost, known.twice);
    } else if !args.json {
        println!("Nothing acknowledged was lost, nothing was applied twice.");
    }
    well
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("mongodb://ann:s3cr3t@db:1/?a=b"), "mongodb://ann:***@db:1/?a=b");
        assert_eq!(without_password("mongodb://ann@db:1/"), "mongodb://ann@db:1/");
        assert_eq!(without_password("mongodb://db:1,db:2/"), "mongodb://db:1,db:2/");
    }
}
