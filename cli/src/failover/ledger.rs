//! What the application knows of its own writes: the only witness of what was acknowledged, what failed, and when.
//!
//! Writes are numbered from 0 and happen one at a time. Memory grows with what was *not* acknowledged, so a writer may run for
//! days.

use quorate::Instant;
use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many writes came to which end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Acknowledged to the application.
    pub(super) acked: u64,
    /// Ended with an error that the application saw.
    pub(super) errors: u64,
    /// Times the driver sent a write again by itself.
    pub(super) retries: u64,
}

impl std::ops::Sub for Counts {
    type Output = Counts;

    fn sub(self, earlier: Counts) -> Counts {
        Counts {
            acked: self.acked.saturating_sub(earlier.acked),
            errors: self.errors.saturating_sub(earlier.errors),
            retries: self.retries.saturating_sub(earlier.retries),
        }
    }
}

/// The claims of the application at one moment, to be held against what the set has.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// Every number below this one was begun.
    pub(super) begun: u64,
    /// Those of them that were not acknowledged: they may be there once, or not at all.
    pub(super) open: BTreeSet<u64>,
}

#[derive(Debug)]
struct InFlight {
    number: u64,
    since: Instant,
    sends: u64,
    /// Whom it was last sent to: the one who acknowledges it, if anybody does.
    server: Option<String>,
}

#[derive(Debug)]
struct Mark {
    hit: String,
    recovered: Option<Instant>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    in_flight: Option<InFlight>,
    counts: Counts,
    open: BTreeSet<u64>,
    mark: Option<Mark>,
    last_ack: Option<Instant>,
    longest_pause: Duration,
    closed: bool,
}

/// Shared by the writer, the driver's event handlers and whoever watches.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

impl Ledger {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next write begins; `None` when there is to be no other.
    pub(super) fn begin(&self, now: Instant) -> Option<u64> {
        let mut state = self.state();
        if state.closed {
            return None;
        }
        let number = state.next;
        state.next += 1;
        state.open.insert(number);
        state.in_flight = Some(InFlight { number, since: now, sends: 0, server: None });
        Some(number)
    }

    /// The driver sends the write in flight to `server`. Gives its number, and whether it was sent before.
    pub(super) fn sent(&self, server: String) -> Option<(u64, bool)> {
        let mut state = self.state();
        let write = state.in_flight.as_mut()?;
        write.sends += 1;
        write.server = Some(server);
        let (number, again) = (write.number, write.sends > 1);
        state.counts.retries += u64::from(again);
        Some((number, again))
    }

    /// The write in flight was acknowledged.
    pub(super) fn acknowledged(&self, now: Instant) {
        let mut state = self.state();
        let Some(write) = state.in_flight.take() else { return };
        state.open.remove(&write.number);
        state.counts.acked += 1;
        if let Some(last) = state.last_ack.replace(now) {
            state.longest_pause = state.longest_pause.max(now.since(last));
        }
        if let Some(mark) = &mut state.mark
            && mark.recovered.is_none()
            && write.server.is_some_and(|server| server != mark.hit)
        {
            mark.recovered = Some(now);
        }
    }

    /// The write in flight ended with an error.
    pub(super) fn failed(&self) {
        let mut state = self.state();
        if state.in_flight.take().is_some() {
            state.counts.errors += 1;
        }
    }

    /// A fault is about to hit the primary at this address.
    pub(super) fn mark_fault(&self, hit: &str) {
        self.state().mark = Some(Mark { hit: hit.into(), recovered: None });
    }

    /// When the application's writes went on after the fault: the first acknowledgement from another member than the one
    /// that was hit. (What the old primary still acknowledges in its last moments ends no outage.)
    pub(super) fn recovered(&self) -> Option<Instant> {
        self.state().mark.as_ref()?.recovered
    }

    /// So far.
    pub(super) fn counts(&self) -> Counts {
        self.state().counts
    }

    /// What the application claims right now; a write in flight is not acknowledged yet.
    pub(super) fn claims(&self) -> Claims {
        let state = self.state();
        Claims { begun: state.next, open: state.open.clone() }
    }

    /// The longest time between two acknowledgements.
    pub(super) fn longest_pause(&self) -> Duration {
        self.state().longest_pause
    }

    /// The write in flight, and for how long already.
    pub(super) fn waiting(&self, now: Instant) -> Option<(u64, Duration, Option<String>)> {
        let state = self.state();
        let write = state.in_flight.as_ref()?;
        Some((write.number, now.since(write.since), write.server.clone()))
    }

    /// No write begins any more.
    pub(super) fn close(&self) {
        self.state().closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "a:1";
    const B: &str = "b:1";

    fn write(ledger: &Ledger, now: Instant, servers: &[&str]) {
        ledger.begin(now).unwrap();
        for server in servers {
            ledger.sent((*server).into()).unwrap();
        }
        ledger.acknowledged(now);
    }

    #[test]
    fn the_old_primarys_last_words_end_no_outage() {
        let (ledger, start) = (Ledger::default(), Instant::ZERO);
        let at = |ms| start + Duration::from_millis(ms);
        write(&ledger, at(0), &[A]);
        ledger.mark_fault(A);
        write(&ledger, at(2), &[A]);
        assert_eq!(ledger.recovered(), None);
        write(&ledger, at(40), &[A, B]);
        write(&ledger, at(50), &[B]);
        assert_eq!(ledger.recovered(), Some(at(40)));
        assert_eq!(ledger.longest_pause(), Duration::from_millis(38));
        ledger.mark_fault(B);
        assert_eq!(ledger.recovered(), None);
    }

    #[test]
    fn only_what_was_sent_again_is_a_retry() {
        let (ledger, now) = (Ledger::default(), Instant::ZERO);
        write(&ledger, now, &[A]);
        write(&ledger, now, &[A, B, B]);
        // One that found no server was never sent.
        ledger.begin(now).unwrap();
        ledger.failed();
        assert_eq!(ledger.counts(), Counts { acked: 2, errors: 1, retries: 2 });
        assert_eq!(ledger.sent(A.into()), None, "another client's command is not the writer's");
    }

    #[test]
    fn what_failed_or_is_in_flight_is_not_claimed() {
        let (ledger, now) = (Ledger::default(), Instant::ZERO);
        write(&ledger, now, &[A]);
        ledger.begin(now).unwrap();
        ledger.failed();
        ledger.begin(now).unwrap();
        let claims = ledger.claims();
        assert_eq!((claims.begun, claims.open), (3, BTreeSet::from([1, 2])));
        let later = now + Duration::from_secs(3);
        assert_eq!(ledger.waiting(later), Some((2, Duration::from_secs(3), None)));
        ledger.acknowledged(now);
        assert_eq!(ledger.claims().open, BTreeSet::from([1]));
        ledger.close();
        assert_eq!(ledger.begin(now), None);
    }
}
