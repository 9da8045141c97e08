//! The wait queue: who waits for a connection, in the order they came, and until when.
//!
//! `waitQueueTimeoutMS` limits the wait for a free or pending connection, not the time it takes to establish one
//! ("Connection Pool Options"). A connection being established serves whoever has waited longest, so with `n` of them
//! the first `n` waiters are *served*: only their own operation's deadline counts for them. A waiter never goes back
//! from served to not served, since whatever ends a pending connection either ends a served waiter too or starts
//! another connection.

use super::OpToken;
use crate::Instant;
use crate::time::earliest;
use alloc::collections::{BTreeMap, BTreeSet};

/// One waiting check-out.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) token: OpToken,
    pub(super) started: Instant,
    /// The operation's own deadline.
    pub(super) deadline: Option<Instant>,
    /// Where `waitQueueTimeoutMS` ends.
    pub(super) queue_deadline: Option<Instant>,
}

/// The queue. Every step costs at most the logarithm of its length.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiters {
    queue: BTreeMap<u64, Waiter>,
    by_token: BTreeMap<OpToken, u64>,
    deadlines: BTreeSet<(Instant, u64)>,
    next: u64,
    /// How many are served: those with a place below `served_below`.
    served: usize,
    served_below: u64,
}

impl Waiters {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn contains(&self, token: OpToken) -> bool {
        self.by_token.contains_key(&token)
    }

    /// Enters the queue at its end.
    pub(super) fn push(&mut self, waiter: Waiter) {
        let place = self.next;
        self.next += 1;
        self.by_token.insert(waiter.token, place);
        if let Some(at) = earliest(waiter.deadline, waiter.queue_deadline) {
            self.deadlines.insert((at, place));
        }
        self.queue.insert(place, waiter);
    }

    /// Takes out whoever has waited longest.
    pub(super) fn pop_first(&mut self) -> Option<Waiter> {
        let place = *self.queue.first_key_value()?.0;
        self.take(place).map(|(waiter, _)| waiter)
    }

    /// Takes out one by its token.
    pub(super) fn remove(&mut self, token: OpToken) -> Option<Waiter> {
        let place = *self.by_token.get(&token)?;
        self.take(place).map(|(waiter, _)| waiter)
    }

    /// Takes out one whose time is up, and says whether it was the wait queue's time (not the operation's).
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<(Waiter, bool)> {
        let (at, place) = *self.deadlines.first()?;
        if at > now {
            return None;
        }
        let (waiter, served) = self.take(place)?;
        let queue_time = !served && waiter.deadline.is_none_or(|deadline| deadline > at);
        Some((waiter, queue_time))
    }

    /// When the next of them gives up.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// `pending` connections are being established: the first so many waiters are served.
    pub(super) fn serve(&mut self, pending: usize) {
        while self.served < pending {
            let Some((&place, waiter)) = self.queue.range(self.served_below..).next() else { return };
            if let Some(at) = earliest(waiter.deadline, waiter.queue_deadline) {
                self.deadlines.remove(&(at, place));
            }
            if let Some(at) = waiter.deadline {
                self.deadlines.insert((at, place));
            }
            self.served += 1;
            self.served_below = place + 1;
        }
    }

    fn take(&mut self, place: u64) -> Option<(Waiter, bool)> {
        let waiter = self.queue.remove(&place)?;
        self.by_token.remove(&waiter.token);
        let served = place < self.served_below;
        let due = if served { waiter.deadline } else { earliest(waiter.deadline, waiter.queue_deadline) };
        if let Some(at) = due {
            self.deadlines.remove(&(at, place));
        }
        if served {
            self.served = self.served.saturating_sub(1);
        }
        Some((waiter, served))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiter(token: u64, deadline: Option<u64>, queue: Option<u64>) -> Waiter {
        Waiter {
            token: OpToken(token),
            started: Instant::ZERO,
            deadline: deadline.map(Instant::from_nanos),
            queue_deadline: queue.map(Instant::from_nanos),
        }
    }

    #[test]
    fn first_come_first_served_and_any_may_leave() {
        let mut waiters = Waiters::default();
        for token in 1..=4 {
            waiters.push(waiter(token, None, None));
        }
        assert_eq!(waiters.remove(OpToken(2)).map(|w| w.token), Some(OpToken(2)));
        assert!(waiters.remove(OpToken(2)).is_none());
        let order: alloc::vec::Vec<_> =
            core::iter::from_fn(|| waiters.pop_first()).map(|w| w.token.0).collect();
        assert_eq!(order, [1, 3, 4]);
        assert!(waiters.is_empty() && waiters.next_deadline().is_none());
    }

    #[test]
    fn being_served_stops_the_queue_clock_only() {
        let mut waiters = Waiters::default();
        waiters.push(waiter(1, Some(50), Some(10)));
        waiters.push(waiter(2, None, Some(20)));
        assert_eq!(waiters.next_deadline(), Some(Instant::from_nanos(10)));
        waiters.serve(1);
        assert_eq!(waiters.next_deadline(), Some(Instant::from_nanos(20)));
        let (late, queue_time) = waiters.pop_due(Instant::from_nanos(20)).unwrap();
        assert_eq!((late.token, queue_time), (OpToken(2), true));
        assert!(waiters.pop_due(Instant::from_nanos(49)).is_none());
        let (late, queue_time) = waiters.pop_due(Instant::from_nanos(50)).unwrap();
        assert_eq!((late.token, queue_time), (OpToken(1), false));
        // A pending connection nobody waits for serves the next who comes.
        waiters.serve(1);
        waiters.push(waiter(3, None, Some(60)));
        waiters.serve(1);
        assert_eq!(waiters.next_deadline(), None);
    }
}
