//! What happened: a running hash of all of it, and, where somebody wants to read it, the events themselves.

use super::hash::{StableHash, of_bytes};
use super::label;
use crate::node::{ConnId, NodeId};
use quorate_core::Instant;
use std::collections::VecDeque;
use std::sync::Arc;

/// A machine of a world, of a server or of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub u32);

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// When.
    pub at: Instant,
    /// What.
    pub event: Event,
}

/// What a trace shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A machine looks a name up.
    LookUp {
        /// Who asks.
        host: HostId,
        /// For what.
        name: Arc<str>,
        /// How many addresses the answer has; none where there is no such name, or no answer.
        found: u32,
    },
    /// A client begins to open a connection.
    Connect {
        /// The connection.
        conn: ConnId,
        /// The client's machine.
        from: HostId,
        /// The server's machine.
        to: HostId,
    },
    /// A connection is open at the client's end.
    Opened(ConnId),
    /// Nobody listens where a client connects to.
    Refused(ConnId),
    /// Bytes arrived at one end of a connection.
    Bytes {
        /// Which.
        conn: ConnId,
        /// At the server's end, not the client's.
        to_server: bool,
        /// How many.
        length: u32,
        /// A hash of them, the same on every machine.
        hash: u64,
        /// What a reader would call them, such as `insert`. Only where a trace is kept; no part of the hash.
        label: Option<Arc<str>>,
    },
    /// What is sent on a connection no longer arrives: it is held until the network is well.
    Held {
        /// Which.
        conn: ConnId,
        /// What goes to the server, not to the client.
        to_server: bool,
    },
    /// One end has closed, the other has heard.
    Closed {
        /// Which.
        conn: ConnId,
        /// The server has heard, not the client.
        to_server: bool,
    },
    /// A connection broke for its client.
    Broken(ConnId),
    /// A message from one node to another arrived.
    Message {
        /// From whom.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// What kind of message. Only where a trace is kept; no part of the hash.
        label: Option<Arc<str>>,
    },
    /// A message from one node to another did not arrive.
    Lost {
        /// From whom.
        from: NodeId,
        /// To whom.
        to: NodeId,
    },
    /// What became of a process.
    Process {
        /// Which.
        node: NodeId,
        /// What.
        change: Change,
    },
    /// A node's own words.
    Note {
        /// Whose.
        node: NodeId,
        /// What it says.
        text: Arc<str>,
    },
    /// A change of the network, or an application's own words.
    Remark(Arc<str>),
}

/// What can become of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It started.
    Start,
    /// It was killed.
    Kill,
    /// Its machine lost its power.
    PowerOff,
    /// It was asked to end.
    Terminate,
    /// It ended by itself.
    Exit,
    /// It was stopped as by SIGSTOP.
    Hang,
    /// It went on.
    Resume,
}

/// How much of a trace is kept beside its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Keep {
    /// The last events, to show where something went wrong.
    #[default]
    Tail,
    /// All of them.
    All,
}

/// So many events are kept at least.
const TAIL: usize = 64;

/// The trace of a world.
#[derive(Debug)]
pub(super) struct Trace {
    hash: StableHash,
    keep: Keep,
    events: VecDeque<Traced>,
    count: u64,
}

impl Trace {
    pub(super) fn new() -> Self {
        Trace { hash: StableHash::new(0), keep: Keep::Tail, events: VecDeque::with_capacity(TAIL), count: 0 }
    }

    pub(super) fn keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Whether events are to have labels, which cost more than the rest of them.
    pub(super) fn has_labels(&self) -> bool {
        self.keep == Keep::All
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash.finish()
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Traced> {
        self.events.iter()
    }

    pub(super) fn add(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.hash.number(at);
        event.hash_into(&mut self.hash);
        if self.keep == Keep::Tail && self.events.len() >= TAIL {
            self.events.pop_front();
        }
        self.events.push_back(Traced { at: Instant::from_nanos(at), event });
    }

    pub(super) fn add_bytes(&mut self, at: u64, conn: ConnId, to_server: bool, bytes: &[u8]) {
        let label = if self.has_labels() { label::of(bytes) } else { None };
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.add(at, Event::Bytes { conn, to_server, length, hash: of_bytes(bytes), label });
    }
}

impl Event {
    fn hash_into(&self, hash: &mut StableHash) {
        let mut numbers = |kind: u64, a: u64, b: u64| {
            hash.number(kind << 56 ^ a);
            hash.number(b);
        };
        match self {
            Event::LookUp { host, name, found } => {
                numbers(1, u64::from(host.0), u64::from(*found));
                hash.bytes(name.as_bytes());
            }
            Event::Connect { conn, from, to } => {
                numbers(2, conn.0, u64::from(from.0) << 32 | u64::from(to.0));
            }
            Event::Opened(conn) => numbers(3, conn.0, 0),
            Event::Refused(conn) => numbers(4, conn.0, 0),
            Event::Bytes { conn, to_server, length, hash: bytes, .. } => {
                numbers(5, conn.0, u64::from(*to_server) << 32 | u64::from(*length));
                hash.number(*bytes);
            }
            Event::Held { conn, to_server } => numbers(6, conn.0, u64::from(*to_server)),
            Event::Closed { conn, to_server } => numbers(7, conn.0, u64::from(*to_server)),
            Event::Broken(conn) => numbers(8, conn.0, 0),
            Event::Message { from, to, .. } => numbers(9, u64::from(from.0), u64::from(to.0)),
            Event::Lost { from, to } => numbers(10, u64::from(from.0), u64::from(to.0)),
            Event::Process { node, change } => numbers(11, u64::from(node.0), *change as u64),
            Event::Note { node, text } => {
                numbers(12, u64::from(node.0), 0);
                hash.bytes(text.as_bytes());
            }
            Event::Remark(text) => {
                numbers(13, 0, 0);
                hash.bytes(text.as_bytes());
            }
        }
    }
}
