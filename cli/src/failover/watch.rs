//! The director of somebody else's deployment: it only writes, watches, and checks at the end.

use super::clock::Clock;
use super::host::{Host, Job};
use super::ledger::Ledger;
use super::live::{Live, Ticker};
use super::report::millis;
use super::verify::Findings;
use super::{DATABASE, HUNG, Stop};
use crate::args::Failover;
use quorate_smol::Smol;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const POLL: Duration = Duration::from_millis(50);

/// Writes until Ctrl-C or `--seconds`; whether nothing was lost, applied twice or hung.
///
/// # Errors
/// When it could not be tried.
pub(super) fn run(args: &Failover, uri: &str, stop: &Stop) -> Result<bool, String> {
    let ledger = Arc::new(Ledger::default());
    // The machine's clock, whatever runtime the writer has.
    let clock = Clock::of(&Smol);
    let live = Live::new(Arc::clone(&ledger), clock.clone());
    let suffix = suffix();
    live.phase("writing");
    let host = Host::thread(Job {
        uri: uri.to_owned(),
        args: args.clone(),
        ledger: Arc::clone(&ledger),
        live: Arc::clone(&live),
        suffix: suffix.clone(),
        judge: true,
    });
    let ticker = Ticker::start(&live);
    let ended = watch(args, stop, &ledger, &live, &host, &clock);
    drop(ticker);
    let Some(outcome) = ended else {
        if let Some((number, waited, server)) = ledger.waiting(clock.now()) {
            let server = server.map_or("not sent".into(), |server| format!("last sent to {server}"));
            eprintln!("quorate: HUNG: write {number} after {} s, {server}", waited.as_secs());
        } else {
            eprintln!("quorate: HUNG: reading back did not end");
        }
        return Ok(false);
    };
    let findings = outcome.map_err(|why| match ledger.claims().begun {
        0 => why,
        _ => format!(
            "{why}\nwhat was written may remain in the collections of {DATABASE} that end in {suffix}"
        ),
    })?;
    Ok(report(args, &ledger, &findings.unwrap_or_default()))
}

/// What the writer said at its end; `None` when something hangs.
fn watch(
    args: &Failover,
    stop: &Stop,
    ledger: &Ledger,
    live: &Live,
    host: &Host,
    clock: &Clock,
) -> Option<super::host::Outcome> {
    let end = args.seconds.map(Duration::from_secs);
    while !stop.is_set() && end.is_none_or(|end| clock.elapsed() < end) {
        if let Some(outcome) = host.ended(POLL) {
            return Some(outcome);
        }
        if ledger.waiting(clock.now()).is_some_and(|(_, waited, _)| waited > HUNG) {
            return None;
        }
    }
    ledger.close();
    live.phase("checking");
    host.ended(HUNG * 2)
}

/// Collections of our own in a deployment of somebody else: the time and the process tell runs apart.
fn suffix() -> String {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("_{}_{}", now.as_secs(), std::process::id())
}

fn report(args: &Failover, ledger: &Ledger, findings: &Findings) -> bool {
    let counts = ledger.counts();
    let pause = ledger.longest_pause();
    if args.json {
        // The same fields as a round has; there was no fault, and no probe beside the driver.
        let object = serde_json::json!({
            "deployment": args.deployment_name(), "fault": "none", "round": 1, "runtime": args.runtime.as_str(), "outage_ms": millis(pause),
            "server_ms": null, "added_ms": null, "retries": counts.retries, "errors": counts.errors,
            "acked": counts.acked, "lost": findings.lost.len(), "duplicated": findings.twice.len(),
        });
        println!("{object}");
    } else {
        println!(
            "{} writes acknowledged, {} errors, {} retries; the longest pause between two was {:.1} ms.",
            counts.acked,
            counts.errors,
            counts.retries,
            millis(pause)
        );
    }
    let well = *findings == Findings::default();
    if !well {
        eprintln!("quorate: acknowledged and lost: {:?}; applied twice: {:?}", findings.lost, findings.twice);
    } else if !args.json {
        println!(
            "Nothing acknowledged was lost, nothing was applied twice. What was written is removed again."
        );
    }
    well
}
