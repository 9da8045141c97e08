//! One connection between a client and a node, as TCP would carry it.
//!
//! Bytes arrive in order and once, or the connection breaks. What cannot get through is held and sent again, as the sender's
//! kernel would, until it gives up.

use super::trace::HostId;
use crate::node::{ConnId, NodeId};
use std::collections::VecDeque;
use std::io;
use std::task::Waker;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// How many bytes may be on their way, or not yet taken by the one they are for, before the sender has to wait.
pub(super) const WINDOW: usize = 1024 * 1024;

/// What travels on a connection.
#[derive(Debug)]
pub(super) enum Segment {
    Bytes(Vec<u8>),
    /// The sender says no more.
    Fin,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// On their way, with when they arrive.
    pub(super) flying: VecDeque<(u64, Segment)>,
    /// The last of them arrives then: nothing overtakes.
    pub(super) last_at: u64,
    /// Bytes on their way, or arrived and not taken.
    pub(super) outstanding: usize,
    /// Since when nothing gets through, if so.
    pub(super) stuck: Option<u64>,
    /// The sender has closed.
    pub(super) fin: bool,
}

/// The client's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientEnd {
    Connecting,
    Open,
    /// The stream was dropped.
    Gone,
}

/// The server's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerEnd {
    /// The request for it has not arrived.
    Nothing,
    Open,
    /// Closed, or lost with its process.
    Gone,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) client: HostId,
    pub(super) server: HostId,
    /// Who listens there, if anybody ever did.
    pub(super) node: Option<NodeId>,
    pub(super) began: u64,
    pub(super) client_end: ClientEnd,
    pub(super) server_end: ServerEnd,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    /// What the server has written and the window has no room for.
    pub(super) waiting: VecDeque<Vec<u8>>,
    /// Arrived at the client and not read.
    pub(super) received: VecDeque<Vec<u8>>,
    /// How much of the first of them has been read.
    pub(super) read: usize,
    /// The client has all that the server will say.
    pub(super) ended: bool,
    /// It broke for the client.
    pub(super) error: Option<io::ErrorKind>,
    /// Something on the way has forgotten it: nothing arrives any more, and nobody is told.
    pub(super) forgotten: bool,
    /// Who waits for the connection, or to read.
    pub(super) reader: Option<Waker>,
    /// Who waits to write.
    pub(super) writer: Option<Waker>,
}

impl Conn {
    pub(super) fn new(client: HostId, server: HostId, node: Option<NodeId>, began: u64) -> Self {
        Conn {
            client,
            server,
            node,
            began,
            client_end: ClientEnd::Connecting,
            server_end: ServerEnd::Nothing,
            up: Pipe::default(),
            down: Pipe::default(),
            waiting: VecDeque::new(),
            received: VecDeque::new(),
            read: 0,
            ended: false,
            error: None,
            forgotten: false,
            reader: None,
            writer: None,
        }
    }

    pub(super) fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// From which machine to which.
    pub(super) fn ends(&self, way: Way) -> (HostId, HostId) {
        match way {
            Way::Up => (self.client, self.server),
            Way::Down => (self.server, self.client),
        }
    }

    /// Copies what has arrived; how much.
    pub(super) fn take_received(&mut self, space: &mut [u8]) -> usize {
        let mut count = 0;
        while let Some(first) = self.received.front() {
            let left = &first[self.read..];
            let fits = left.len().min(space.len() - count);
            space[count..count + fits].copy_from_slice(&left[..fits]);
            count += fits;
            if fits < left.len() {
                self.read += fits;
                break;
            }
            self.received.pop_front();
            self.read = 0;
        }
        self.down.outstanding -= count;
        count
    }

    /// Both wakers, for when the connection breaks or ends.
    pub(super) fn wakers(&mut self) -> impl Iterator<Item = Waker> {
        self.reader.take().into_iter().chain(self.writer.take())
    }

    /// Nobody has anything to do with it any more.
    pub(super) fn is_over(&self) -> bool {
        self.client_end == ClientEnd::Gone && self.server_end != ServerEnd::Open && {
            // A request on its way makes the server open its end, and a farewell close it.
            self.server_end == ServerEnd::Gone || self.up.flying.is_empty()
        }
    }
}

/// When a sender that has heard nothing since `since` sends again for the first time after `now`: `first` after it began,
/// then after twice that each.
pub(super) fn next_attempt(since: u64, first: u64, now: u64) -> u64 {
    let mut at = since.saturating_add(first);
    let mut wait = first;
    while at <= now {
        wait = wait.saturating_mul(2).min(LONGEST_WAIT);
        at = at.saturating_add(wait);
    }
    at
}

pub(super) const SECOND: u64 = 1_000_000_000;
/// Between two attempts to send a segment again: at most that, as Linux does.
const LONGEST_WAIT: u64 = 120 * SECOND;
/// The first attempt to send a segment again.
pub(super) const FIRST_RETRANSMIT: u64 = SECOND / 5;
/// A server gives up when nothing was acknowledged for so long: Linux's `tcp_retries2` of 15.
pub(super) const RETRANSMIT_GIVE_UP: u64 = 924 * SECOND + 600_000_000;
/// The first attempt to ask for a connection again.
pub(super) const FIRST_SYN_AGAIN: u64 = SECOND;
/// Nobody answered: Linux's `tcp_syn_retries` of 6.
pub(super) const SYN_GIVE_UP: u64 = 127 * SECOND;

/// How often a machine asks again whether the other end is there, as Linux does.
pub(super) const PROBES: u8 = 9;

/// A connection's number in the traces.
pub(super) const FIRST_CONN: ConnId = ConnId(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_double() {
        assert_eq!(next_attempt(0, SECOND, 0), SECOND);
        assert_eq!(next_attempt(0, SECOND, SECOND), 3 * SECOND);
        assert_eq!(next_attempt(0, SECOND, 4 * SECOND), 7 * SECOND);
        assert_eq!(next_attempt(10, FIRST_RETRANSMIT, 10), 10 + FIRST_RETRANSMIT);
    }

    #[test]
    fn reading_takes_what_fits_across_arrivals() {
        let mut conn = Conn::new(HostId(0), HostId(1), None, 0);
        conn.received.extend([b"abc".to_vec(), b"de".to_vec()]);
        conn.down.outstanding = 5;
        let mut space = [0; 4];
        assert_eq!((conn.take_received(&mut space), &space), (4, b"abcd"));
        assert_eq!((conn.take_received(&mut space), space[0]), (1, b'e'));
        assert_eq!(conn.down.outstanding, 0);
    }
}
