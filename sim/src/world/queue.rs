//! What will happen, in the order in which it will.

use super::conn::Way;
use crate::node::{ConnId, NodeId};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Moments past this one never come: half of what a clock of 64 bits can show, 292 years.
const NEVER: u64 = u64::MAX / 2;

/// Something that will happen. Small and without a destructor: whatever it carries waits elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// A sleep ends; the generation tells whether it is still the same one.
    Timer { slot: u32, generation: u32 },
    /// A node's deadline; one that is not the armed one any more is stale.
    NodeTimer { node: NodeId, armed: u64 },
    /// The next segment of one way of a connection.
    Segment { conn: ConnId, way: Way },
    /// A request for a connection reaches the server's machine.
    Syn { conn: ConnId },
    /// The answer to it reaches the client's.
    SynAck { conn: ConnId },
    /// Nobody listens, the client hears.
    Refused { conn: ConnId },
    /// Who is sent something finds no such connection, and says so.
    Reset { conn: ConnId },
    /// Nothing was acknowledged for too long since that moment.
    GiveUp { conn: ConnId, way: Way, since: u64 },
    /// The client's machine asks whether the other end is still there; so often again where there is no answer.
    Probe { conn: ConnId, left: u8 },
    /// The next message from one node to another.
    Message { from: NodeId, to: NodeId },
    /// A node hears that nobody runs where another one was.
    Unreachable { node: NodeId, gone: NodeId },
    /// A scripted action.
    Action(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    at: u64,
    order: u64,
    due: Due,
}

impl Ord for Entry {
    // The heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The queue of events: by time, and in the order of being added where that is the same.
#[derive(Debug, Default)]
pub(super) struct Queue {
    heap: BinaryHeap<Entry>,
    added: u64,
}

impl Queue {
    pub(super) fn push(&mut self, at: u64, due: Due) {
        if at < NEVER {
            self.added += 1;
            self.heap.push(Entry { at, order: self.added, due });
        }
    }

    pub(super) fn pop(&mut self) -> Option<(u64, Due)> {
        self.heap.pop().map(|entry| (entry.at, entry.due))
    }

    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Forgets what `keep` does not want, for an owner whose events have become void by the hundred.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(Due) -> bool) {
        self.heap.retain(|entry| keep(entry.due));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_in_order() {
        let mut queue = Queue::default();
        for (at, action) in [(5, 1), (3, 2), (5, 3), (3, 4), (u64::MAX, 5)] {
            queue.push(at, Due::Action(action));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(
            order,
            [(3, Due::Action(2)), (3, Due::Action(4)), (5, Due::Action(1)), (5, Due::Action(3))]
        );
    }
}
