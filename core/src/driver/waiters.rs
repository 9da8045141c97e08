//! The operations that wait for a server or a connection, and until when.

use super::{ServerId, Ticket};
use crate::error::Error;
use crate::pool::PoolConnId;
use crate::sdam::TopologyVersion;
use crate::selection::SelectionCriteria;
use crate::{Duration, Instant, ServerAddress};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// How often an operation may be turned away by a server that is there before it fails.
pub(super) const MOST_DENIALS: u32 = 5;
/// How long a server that has just refused an operation for its state, and has said nothing new since, gets to say it.
const NEWS_WAIT: Duration = Duration::from_millis(100);
/// So many attempts follow one another at once, even at the same server: the two of an operation without a time-out.
pub(super) const ATTEMPTS_AT_ONCE: u32 = 2;
/// `BASE_BACKOFF` (client backpressure specification).
const BASE_BACKOFF: Duration = Duration::from_millis(100);
/// `MAX_BACKOFF`.
const MAX_BACKOFF: Duration = Duration::from_secs(10);

/// The operations that wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    pub(super) waiting: BTreeMap<Ticket, Waiter>,
    pub(super) deadlines: BTreeSet<(Instant, Ticket)>,
}

#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) began: Instant,
    /// When it stops waiting for a server: `serverSelectionTimeoutMS`, or the operation's own deadline.
    pub(super) deadline: Instant,
    /// The operation's own deadline.
    pub(super) own_deadline: Option<Instant>,
    /// How often it was turned away by a pool whose server is there all the same.
    pub(super) denials: u32,
    pub(super) criteria: SelectionCriteria,
    pub(super) deprioritized: Vec<ServerAddress>,
    pub(super) state: Waiting,
}

#[derive(Debug)]
pub(super) enum Waiting {
    /// No suitable server yet.
    Server,
    /// The only choice is the server that has just refused it; see [`Doubt`].
    News(Instant, Doubt),
    /// Turned away by a server that is overloaded, or failed by one again and again, and to look again at that moment.
    Backoff(Instant, Error),
    /// In the queue of that server's pool.
    Connection(ServerId),
    /// It has a connection; nobody has fetched it yet.
    Ready(ServerId, PoolConnId),
    /// It is over; nobody has heard of it yet.
    Failed(Error),
}

/// A server that has refused an operation because of its state, in words that were no news to the topology.
///
/// A primary that steps down ends the operations on it before it counts its topology version up (seen on MongoDB 4.4), so by the
/// rules for stale errors (SDAM specification, "Application errors") it stays the primary, and an attempt sent at
/// once would only meet its refusal. Its monitor hears of the change within milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Doubt {
    pub(super) server: ServerId,
    pub(super) version: Option<TopologyVersion>,
}

impl Doubt {
    pub(super) fn until(now: Instant) -> Instant {
        now + NEWS_WAIT
    }
}

impl Waiters {
    pub(super) fn add(&mut self, waiter: Waiter) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        self.deadlines.extend(waiter.due().map(|due| (due, ticket)));
        self.waiting.insert(ticket, waiter);
        ticket
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiting.remove(&ticket)?;
        if let Some(due) = waiter.due() {
            self.deadlines.remove(&(due, ticket));
        }
        Some(waiter)
    }

    pub(super) fn set(&mut self, ticket: Ticket, state: Waiting) {
        let Some(waiter) = self.waiting.get_mut(&ticket) else { return };
        if let Some(due) = waiter.due() {
            self.deadlines.remove(&(due, ticket));
        }
        waiter.state = state;
        self.deadlines.extend(waiter.due().map(|due| (due, ticket)));
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn anybody_wants_a_server(&self) -> bool {
        self.waiting.values().any(|waiter| matches!(waiter.state, Waiting::Server))
    }

    pub(super) fn tickets_for_server(&self) -> Vec<Ticket> {
        let wants_server = |(ticket, waiter): (&Ticket, &Waiter)| {
            matches!(waiter.state, Waiting::Server | Waiting::News(..)).then_some(*ticket)
        };
        self.waiting.iter().filter_map(wants_server).collect()
    }
}

impl Waiter {
    /// When something is due. Once it has found a server it is bounded by the pool (`waitQueueTimeoutMS`, the operation's own
    /// deadline) and by the connection's own time-out.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            Waiting::Server => Some(self.deadline),
            Waiting::News(until, _) | Waiting::Backoff(until, _) => Some(until.min(self.deadline)),
            Waiting::Connection(_) | Waiting::Ready(..) | Waiting::Failed(_) => None,
        }
    }

    /// What it waits to hear news of.
    pub(super) const fn doubt(&self) -> Option<Doubt> {
        match self.state {
            Waiting::News(_, doubt) => Some(doubt),
            _ => None,
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.state, Waiting::Ready(..) | Waiting::Failed(_))
    }
}

/// How long to wait after the `denial`-th time ("`jitter * min(MAX_BACKOFF, BASE_BACKOFF * 2^attempt)`"). Never nothing.
pub(super) fn backoff(denial: u32, chance: u64) -> Duration {
    let most = BASE_BACKOFF.saturating_mul(1 << denial.min(16)).min(MAX_BACKOFF);
    let nanos = (most.as_nanos().saturating_mul(u128::from(chance))) >> 64;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_and_are_never_nothing() {
        let most = [200, 400, 800, 1600, 3200].map(Duration::from_millis);
        for (denial, most) in (1..).zip(most) {
            assert_eq!(backoff(denial, 0), Duration::from_millis(1));
            let longest = backoff(denial, u64::MAX);
            assert!(longest <= most && longest + Duration::from_micros(1) > most, "{longest:?}");
        }
        assert!(backoff(u32::MAX, u64::MAX) <= MAX_BACKOFF);
    }
}
