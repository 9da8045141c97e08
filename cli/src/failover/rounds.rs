//! The director of a set of our own: fault, wait, heal, check, round after round.

use super::host::{Host, Job};
use super::ledger::{Claims, Counts, Ledger};
use super::live::{Live, Ticker};
use super::probe::{self, Probe};
use super::report::{self, Row, millis};
use super::verify::{self, Findings};
use super::{DATABASE, HUNG, Stop};
use crate::args::{Failover, Fault, W};
use bson::doc;
use quorate_harness::{MemberSpec, ReplicaSet, fixtures};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

const MEMBERS: usize = 3;
/// How many writes must go well before the next fault, and after a healing.
const WARM: u64 = 200;
/// How long the set may take to elect somebody after a fault, beyond its election timeout.
const ELECTED: Duration = Duration::from_secs(60);
/// How long everybody may take to be back and caught up.
const HEALED: Duration = Duration::from_secs(120);
/// How long the writer goes on with the fault in place after it has recovered.
const LINGER: Duration = Duration::from_millis(500);
const POLL: Duration = Duration::from_millis(20);

/// Why a round did not come to its end.
enum Broken {
    /// A write never returned; this is what to tell.
    Hung(String),
    /// The user wants no more.
    Stopped,
    /// The set, or the machine, failed us.
    Trouble(String),
}

impl From<String> for Broken {
    fn from(why: String) -> Self {
        Broken::Trouble(why)
    }
}

/// Runs all rounds; whether nothing was lost, applied twice or hung.
///
/// # Errors
/// When it could not be tried.
pub(super) fn run(args: &Failover, stop: &Stop) -> Result<bool, String> {
    let ledger = Arc::new(Ledger::default());
    let live = Live::new(Arc::clone(&ledger));
    let set = start_set(args, &live)?;
    let host = Host::start(Job {
        uri: set.uri(),
        args: args.clone(),
        ledger: Arc::clone(&ledger),
        live: Arc::clone(&live),
        suffix: String::new(),
        judge: false,
    });
    let ticker = Ticker::start(&live);
    let mut director = Director {
        args,
        stop,
        set: &set,
        ledger: &ledger,
        live: &live,
        host: &host,
        known: Findings::default(),
    };
    let mut rows = Vec::new();
    let end = director.all(&mut rows);
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
        let _ = host.ended(Duration::from_secs(5));
    }
    Ok(verdict(args, &director.known) && !hung)
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

fn start_set(args: &Failover, live: &Live) -> Result<ReplicaSet, String> {
    if let W::Members(n) = args.w
        && usize::try_from(n).is_ok_and(|n| n >= MEMBERS)
    {
        return Err(format!("--w {n}: with one of {MEMBERS} members down, no write could be acknowledged"));
    }
    live.line(&format!("looking for mongod {}, which is fetched on first use", fixtures::DEFAULT_VERSION));
    fixtures::mongod(fixtures::DEFAULT_VERSION)?;
    live.line(&format!("starting a replica set of {MEMBERS}"));
    let mut builder = ReplicaSet::builder()
        .election_timeout(Duration::from_millis(args.election_timeout_ms.into()))
        .proxied(args.faults().contains(&Fault::Partition));
    for centre in ["east", "west", "north"].iter().take(MEMBERS) {
        builder = builder.member(MemberSpec::default().tag("dc", centre));
    }
    if let Some(mode) = args.w.custom_mode() {
        builder = builder.settings(doc! { "getLastErrorModes": { mode: { "dc": 2 } } });
    }
    let set = builder.start()?;
    for collection in [verify::INSERTS, verify::UPDATES, probe::COLLECTION] {
        let create = doc! { "create": collection, "writeConcern": { "w": "majority" } };
        set.command_on_primary(DATABASE, create).map_err(|e| format!("creating {collection}: {e}"))?;
    }
    live.line(&format!("{} (election timeout {} ms)", set.uri(), args.election_timeout_ms));
    Ok(set)
}

struct Director<'a> {
    args: &'a Failover,
    stop: &'a Stop,
    set: &'a ReplicaSet,
    ledger: &'a Ledger,
    live: &'a Live,
    host: &'a Host,
    /// What was found wrong so far.
    known: Findings,
}

/// The times of one fault.
struct Times {
    outage: Option<Duration>,
    server: Option<Duration>,
}

impl Director<'_> {
    fn all(&mut self, rows: &mut Vec<Row>) -> Result<(), Broken> {
        for fault in self.args.faults() {
            for round in 1..=self.args.rounds {
                let row = self.round(fault, round)?;
                if self.args.json {
                    println!("{}", row.json());
                    let _ = std::io::stdout().flush();
                }
                rows.push(row);
            }
        }
        Ok(())
    }

    fn round(&mut self, fault: Fault, round: u32) -> Result<Row, Broken> {
        let name = format!("{} {round}/{}", fault.as_str(), self.args.rounds);
        let before = self.ledger.counts();
        self.live.phase(&format!("{name}: writing"));
        self.write_some(WARM)?;
        self.live.phase(&format!("{name}: primary gone"));
        let (hit, times) = self.break_primary(fault)?;
        self.live.phase(&format!("{name}: healing"));
        self.live.line("healing");
        fault.heal(self.set, hit)?;
        self.wait_until_whole()?;
        self.write_some(WARM / 4)?;
        self.live.phase(&format!("{name}: checking"));
        let (claims, counts) = (self.ledger.claims(), self.ledger.counts());
        let row = self.row(fault, round, &times, counts - before, claims)?;
        self.live.line(&summary(&name, &row));
        Ok(row)
    }

    fn row(
        &mut self,
        fault: Fault,
        round: u32,
        times: &Times,
        counts: Counts,
        claims: Claims,
    ) -> Result<Row, Broken> {
        let found = verify::through_harness(self.set, claims)?;
        let new = found.since(&self.known);
        self.known.lost.extend(&new.lost);
        self.known.twice.extend(&new.twice);
        Ok(Row {
            fault: fault.as_str(),
            round,
            runtime: self.args.runtime.as_str(),
            outage: times.outage,
            server: times.server,
            retries: counts.retries,
            errors: counts.errors,
            acked: counts.acked,
            lost: new.lost.len(),
            duplicated: new.twice.len(),
        })
    }

    /// Hits the primary and waits until both the probe and the application write again.
    fn break_primary(&self, fault: Fault) -> Result<(usize, Times), Broken> {
        let set = self.set;
        let primary = set.wait_for_primary(HEALED)?;
        let others = (0..MEMBERS).filter(|i| *i != primary).map(|i| set.direct_address(i)).collect();
        let probe = Probe::start(others, &self.args.w.to_bson());
        let address = set.address(primary);
        self.live.line(&format!("FAULT: {} {address}: {}", fault.as_str(), fault.describe()));
        self.ledger.mark_fault(address);
        let at = Instant::now();
        let injected = std::thread::scope(|scope| {
            // Some faults take their time; the clock and the watch for hung writes run meanwhile.
            let fault = scope.spawn(move || fault.inject(set, primary));
            let waited = self.wait_for_recovery(&probe, at);
            let injected = fault.join().unwrap_or_else(|_| Err("the fault panicked".into()));
            waited.and_then(|()| injected.map_err(Broken::Trouble))
        });
        injected?;
        let since = |moment: Option<Instant>| moment.map(|moment| moment.saturating_duration_since(at));
        Ok((primary, Times { outage: since(self.ledger.recovered()), server: since(probe.first()) }))
    }

    fn wait_for_recovery(&self, probe: &Probe, at: Instant) -> Result<(), Broken> {
        let limit = ELECTED + Duration::from_millis(self.args.election_timeout_ms.into());
        while probe.first().is_none() || self.ledger.recovered().is_none() {
            self.check()?;
            if probe.first().is_none() && at.elapsed() > limit {
                return Err(Broken::Trouble(format!("no new primary {} s after the fault", limit.as_secs())));
            }
            // The probe works; a driver whose application still gets nothing but errors has failed, if not hung.
            if probe.first().is_some_and(|first| first.elapsed() > HUNG) {
                let text =
                    format!("no write went through {} s after the new primary took them", HUNG.as_secs());
                return Err(Broken::Hung(text));
            }
            self.ledger.wait(POLL);
        }
        std::thread::sleep(LINGER);
        Ok(())
    }

    /// Waits until `count` more writes were acknowledged.
    fn write_some(&self, count: u64) -> Result<(), Broken> {
        let (enough, begun) = (self.ledger.counts().acked + count, Instant::now());
        while self.ledger.counts().acked < enough {
            self.check()?;
            let patience = HUNG * 2 + self.args.pause() * u32::try_from(count).unwrap_or(u32::MAX);
            if begun.elapsed() > patience {
                return Err(Broken::Hung(format!(
                    "only errors for {} s on a healthy set",
                    patience.as_secs()
                )));
            }
            self.ledger.wait(POLL);
        }
        Ok(())
    }

    /// Waits until every member serves, and has everything that was written until now.
    fn wait_until_whole(&self) -> Result<(), Broken> {
        let begun = Instant::now();
        loop {
            self.check()?;
            self.set.wait_for_healthy(HEALED)?;
            let w = i32::try_from(MEMBERS).unwrap_or(i32::MAX);
            let note = doc! {
                "appendOplogNote": 1, "data": { "msg": "healed" }, "writeConcern": { "w": w, "wtimeout": 5_000 },
            };
            match self.set.command_on_primary("admin", note) {
                Ok(_) => return Ok(()),
                Err(why) if begun.elapsed() > HEALED => {
                    return Err(Broken::Trouble(format!("the members do not catch up: {why}")));
                }
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    /// Whether there is a reason to go no further.
    fn check(&self) -> Result<(), Broken> {
        if self.stop.is_set() {
            return Err(Broken::Stopped);
        }
        if let Some(outcome) = self.host.ended(Duration::ZERO) {
            return Err(Broken::Trouble(outcome.err().unwrap_or_else(|| "the writer ended".into())));
        }
        match self.ledger.waiting(Instant::now()) {
            Some((number, waited, server)) if waited > HUNG => {
                let server = server.map_or("not sent".into(), |server| format!("last sent to {server}"));
                Err(Broken::Hung(format!("write {number} after {} s, {server}", waited.as_secs())))
            }
            _ => Ok(()),
        }
    }
}

fn summary(name: &str, row: &Row) -> String {
    let ms = |duration: Option<Duration>| duration.map_or("never".into(), |d| format!("{:.1} ms", millis(d)));
    let added = row.added_ms().map_or("unknown".into(), |added| format!("{added:.1} ms"));
    format!(
        "{name}: outage {}, of which the server {}, the driver {added}; {} errors, {} lost, {} twice",
        ms(row.outage),
        ms(row.server),
        row.errors,
        row.lost,
        row.duplicated
    )
}
