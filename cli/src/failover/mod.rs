//! `quorate failover`: a writer that never stops, and what becomes of it when the primary goes away.
//!
//! Three parties run side by side:
//!
//! - the **writer** ([`writer`]): the application. An endless loop of single writes through the driver, on the runtime asked
//!   for ([`host`]), that notes in the [`ledger`] what was acknowledged, what failed, and when;
//! - the **director** ([`rounds`], or [`watch`] for somebody else's deployment): breaks and heals the set ([`fault`]) by what
//!   an [`operator`] can say to its members, judges what the set holds ([`verify`]) and reports ([`report`]);
//! - the **probe** ([`probe`]): straight connections ([`mod@line`]) to the surviving members that find out when the new primary
//!   could have taken the application's write.
//!
//! What set that is, and in whose time it lives, is known to its [`deployment`] and to [`stage`], which brings it up; the
//! parties tell the time by a [`clock`]. [`live`] shows it all as it happens.

mod clock;
mod deployment;
mod fault;
mod host;
mod ledger;
mod line;
mod live;
mod operator;
mod probe;
mod report;
mod rounds;
mod stage;
mod verify;
mod watch;
mod writer;

use crate::args::Failover;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The database everything is written to.
const DATABASE: &str = "quorate_failover";
/// A write that takes longer than this hangs: longer than the server selection and a retry of it by default.
const HUNG: Duration = Duration::from_secs(75);

/// Does what was asked for.
///
/// # Errors
/// Why it could not be tried, for the user to read.
pub(crate) fn run(args: &Failover) -> Result<ExitCode, String> {
    let stop = Stop::on_ctrl_c()?;
    let healthy = match &args.uri {
        Some(uri) => watch::run(args, uri, &stop)?,
        None => stage::run(args, &stop)?,
    };
    Ok(if healthy { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Whether the user wants to end.
#[derive(Clone, Debug, Default)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Set by Ctrl-C (and SIGTERM); the second one ends the process at once.
    fn on_ctrl_c() -> Result<Self, String> {
        let stop = Stop::default();
        let flag = Arc::clone(&stop.0);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .map_err(|e| format!("cannot listen for Ctrl-C: {e}"))?;
        Ok(stop)
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
