//! The director of a set of our own: fault, wait, heal, check, round after round.

use super::deployment::{Deployment, MEMBERS};
use super::host::Host;
use super::ledger::{Claims, Counts, Ledger};
use super::live::Live;
use super::operator::Operator;
use super::probe::Probe;
use super::report::{Row, millis};
use super::verify::{self, Findings};
use super::{HUNG, Stop};
use crate::args::{Failover, Fault};
use quorate::Instant;
use std::io::Write;
use std::time::Duration;

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
pub(super) enum Broken {
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

pub(super) struct Director<'a, D> {
    pub(super) args: &'a Failover,
    pub(super) stop: &'a Stop,
    pub(super) operator: Operator<'a, D>,
    pub(super) ledger: &'a Ledger,
    pub(super) live: &'a Live,
    pub(super) host: &'a Host,
    /// What was found wrong so far.
    pub(super) known: Findings,
}

/// The times of one fault.
struct Times {
    outage: Option<Duration>,
    server: Option<Duration>,
}

impl<D: Deployment> Director<'_, D> {
    pub(super) async fn all(&mut self, rows: &mut Vec<Row>) -> Result<(), Broken> {
        for fault in self.args.faults() {
            for round in 1..=self.args.rounds {
                let row = self.round(fault, round).await?;
                if self.args.json {
                    println!("{}", row.json());
                    let _ = std::io::stdout().flush();
                }
                rows.push(row);
            }
        }
        Ok(())
    }

    async fn round(&mut self, fault: Fault, round: u32) -> Result<Row, Broken> {
        let name = format!("{} {round}/{}", fault.as_str(), self.args.rounds);
        let before = self.ledger.counts();
        self.live.phase(&format!("{name}: writing"));
        self.write_some(WARM).await?;
        self.live.phase(&format!("{name}: primary gone"));
        let (hit, times) = self.break_primary(fault).await?;
        self.live.phase(&format!("{name}: healing"));
        self.live.line("healing");
        fault.heal(&self.operator, hit).await?;
        self.wait_until_whole().await?;
        self.write_some(WARM / 4).await?;
        self.live.phase(&format!("{name}: checking"));
        let (claims, counts) = (self.ledger.claims(), self.ledger.counts());
        // What was acknowledged with less than a majority may still be on its way there; after this it has arrived.
        self.wait_until_whole().await?;
        let row = self.row(fault, round, &times, counts - before, claims).await?;
        self.live.line(&summary(&name, &row));
        Ok(row)
    }

    async fn row(
        &mut self,
        fault: Fault,
        round: u32,
        times: &Times,
        counts: Counts,
        claims: Claims,
    ) -> Result<Row, Broken> {
        let found = verify::straight(&self.operator, claims).await?;
        let new = found.since(&self.known);
        self.known.lost.extend(&new.lost);
        self.known.twice.extend(&new.twice);
        Ok(Row {
            deployment: self.args.deployment_name(),
            fault: fault.as_str(),
            round,
            runtime: self.args.runtime_name(),
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
    async fn break_primary(&self, fault: Fault) -> Result<(usize, Times), Broken> {
        let set = self.operator.deployment;
        let primary = self.operator.wait_for_primary().await?;
        let others = (0..MEMBERS).filter(|i| *i != primary).map(|i| set.direct_address(i)).collect();
        let probe = Probe::start(set.runtime(), set.door(), others, &self.args.w.to_bson());
        let address = set.address(primary);
        self.live.line(&format!("FAULT: {} {address}: {}", fault.as_str(), fault.describe()));
        self.ledger.mark_fault(&address);
        let at = self.operator.now();
        // Some faults take their time; the clock and the watch for hung writes run meanwhile.
        let inject = async { fault.inject(&self.operator, primary).await.map_err(Broken::Trouble) };
        futures::try_join!(self.wait_for_recovery(&probe, at), inject)?;
        let since = |moment: Option<Instant>| moment.map(|moment| moment.since(at));
        Ok((primary, Times { outage: since(self.ledger.recovered()), server: since(probe.first()) }))
    }

    async fn wait_for_recovery(&self, probe: &Probe, at: Instant) -> Result<(), Broken> {
        let limit = ELECTED + Duration::from_millis(self.args.election_timeout_ms.into());
        while probe.first().is_none() || self.ledger.recovered().is_none() {
            self.check()?;
            if probe.first().is_none() && self.operator.now().since(at) > limit {
                return Err(Broken::Trouble(format!("no new primary {} s after the fault", limit.as_secs())));
            }
            // The probe works; a driver whose application still gets nothing but errors has failed, if not hung.
            if probe.first().is_some_and(|first| self.operator.now().since(first) > HUNG) {
                let text =
                    format!("no write went through {} s after the new primary took them", HUNG.as_secs());
                return Err(Broken::Hung(text));
            }
            self.operator.sleep(POLL).await;
        }
        self.operator.sleep(LINGER).await;
        Ok(())
    }

    /// Waits until `count` more writes were acknowledged.
    async fn write_some(&self, count: u64) -> Result<(), Broken> {
        let (enough, begun) = (self.ledger.counts().acked + count, self.operator.now());
        while self.ledger.counts().acked < enough {
            self.check()?;
            let patience = HUNG * 2 + self.args.pause() * u32::try_from(count).unwrap_or(u32::MAX);
            if self.operator.now().since(begun) > patience {
                return Err(Broken::Hung(format!(
                    "only errors for {} s on a healthy set",
                    patience.as_secs()
                )));
            }
            self.operator.sleep(POLL).await;
        }
        Ok(())
    }

    /// Waits until every member serves, and has everything that was written until now.
    async fn wait_until_whole(&self) -> Result<(), Broken> {
        let begun = self.operator.now();
        loop {
            self.check()?;
            match self.operator.is_whole().await {
                Ok(()) => return Ok(()),
                Err(why) if self.operator.now().since(begun) > HEALED => return Err(Broken::Trouble(why)),
                Err(_) => self.operator.sleep(POLL).await,
            }
        }
    }

    /// Waits until the writer has ended, or for so long.
    pub(super) async fn farewell(&self, limit: Duration) {
        let begun = self.operator.now();
        while self.host.ended(Duration::ZERO).is_none() && self.operator.now().since(begun) < limit {
            self.operator.sleep(POLL).await;
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
        match self.ledger.waiting(self.operator.now()) {
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
