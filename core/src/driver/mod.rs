//! [`Driver`]: the machine that decides. One a deployment.
//!
//! It holds the topology, a monitor and a pool for every server, the idle sessions, and the operations in flight; it never
//! sees a document of the application. It is told what happened and says what to do.
//!
//! # The loop
//!
//! 1. Something happens: a socket opened ([`Driver::handle_established`]), failed ([`Driver::handle_failed`]), a monitor's
//!    reply came ([`Driver::handle_reply`]), the deadline passed ([`Driver::handle_timeout`]), an operation begins
//!    ([`Driver::begin`]), goes on ([`Driver::resume`]) or ends ([`Driver::finish`], [`Driver::abandon`]).
//! 2. Drain [`Driver::poll_output`] until it gives `None`, doing what each [`Output`] says. Outputs come in the order they
//!    must be done in. Draining late changes nothing but when things get done.
//! 3. Sleep until [`Driver::poll_timeout`], or the next thing that happens.
//!
//! A call that comes too early, too late or twice is harmless: a deadline that has not passed does nothing, news of a
//! connection that is gone is dropped.
//!
//! > Every connection that [`Output::Connect`] asked for gets exactly one [`Output::Close`] in the end, also when the
//! > host has reported it failed.
//!
//! # An operation
//!
//! `begin` → (`Wait` → [`Output::Wake`] → `resume`)* → `Go` → the caller writes and reads → `finish` → `Done`, `Fail`, or `Again` and
//! back to `begin`. On the common path neither allocates nor looks at more than one server.

mod background;
mod finish;
mod go;
mod ids;
mod operation;
mod place;
mod server;
mod settings;
mod waiters;

pub use ids::{ConnectionId, Role, ServerId, Ticket};
pub use operation::{Begin, Checkout, CursorPin, Decision, Operation, Outcome};
pub use settings::{DriverOptions, EventMask};

use crate::event::Event;
use crate::monitor::HelloRequest;
use crate::pool::{PoolConnId, PoolCounts};
use crate::sdam::{Topology, TopologyDescription};
use crate::selection::{CandidateCache, Snapshot};
use crate::session::{ServerSession, SessionPool};
use crate::shared::Arc;
use crate::time::earliest;
use crate::{ClusterTime, Duration, Instant, Rng, ServerAddress};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use server::Servers;
use waiters::Waiters;

/// What the host is to do.
#[derive(Debug)]
#[must_use]
pub enum Output {
    /// Open a stream, run a [`crate::connection::Connection`] on it up to the end of its handshake, then report
    /// [`Driver::handle_established`] or [`Driver::handle_failed`].
    Connect {
        /// The name to report under.
        connection: ConnectionId,
        /// Where to.
        address: ServerAddress,
    },
    /// Send this hello on a monitoring connection; report each reply by [`Driver::handle_reply`].
    Send {
        /// A connection whose role is `Monitor` or `Rtt`.
        connection: ConnectionId,
        /// What to send.
        request: HelloRequest,
    },
    /// Close the connection's stream; if it is still being opened, stop that. Nothing more needs reporting about it.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Stop the operation that uses this connection: its caller is to report [`Outcome::Interrupted`] at once, without
    /// waiting for the server.
    Interrupt {
        /// Which.
        connection: ConnectionId,
    },
    /// The operation that waits under this ticket can go on: [`Driver::resume`].
    Wake {
        /// Which.
        ticket: Ticket,
    },
    /// Tell whoever listens.
    Event(Event),
}

/// The machine that decides; see the [module](self).
#[derive(Debug)]
pub struct Driver {
    options: DriverOptions,
    rng: Rng,
    topology: Topology,
    snapshot: Snapshot,
    cache: CandidateCache,
    servers: Servers,
    waiters: Waiters,
    sessions: SessionPool,
    session_timeout: Option<Duration>,
    cluster_time: ClusterTime,
    outputs: VecDeque<Output>,
    next_deadline: Option<Instant>,
    closed: bool,
    /// A pool's connection that is just being reported as failed: the clearing that follows belongs to it.
    establishing: Option<(ServerId, PoolConnId)>,
}

impl Driver {
    /// A driver that begins to discover its deployment at once. `seed` is all the chance it will ever have.
    pub fn new(now: Instant, options: DriverOptions, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let sessions = SessionPool::new(rng.child());
        let topology = Topology::new(rng.next_u64(), options.topology());
        let mut driver = Driver {
            rng,
            snapshot: Snapshot::new(topology.description()),
            topology,
            cache: CandidateCache::new(options.local_threshold, options.server_selector.clone()),
            servers: Servers::default(),
            waiters: Waiters::default(),
            sessions,
            session_timeout: None,
            cluster_time: ClusterTime::default(),
            outputs: VecDeque::new(),
            next_deadline: None,
            closed: false,
            establishing: None,
            options,
        };
        driver.pump(now);
        driver
    }

    /// The next thing to do, in order; `None` when there is nothing until something happens.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether [`Driver::poll_output`] has something.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// When [`Driver::handle_timeout`] must be called next; `None` for never.
    pub fn poll_timeout(&self) -> Option<Instant> {
        earliest(self.next_deadline, self.waiters.deadline())
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire_waiters(now);
        self.servers.mark_due(now);
        self.pump(now);
        // Nothing may have been due: a connection was taken out of its pool, and its idle deadline with it.
        self.next_deadline = self.servers.poll_timeout();
    }

    /// The deployment as last seen. The same `Arc` until something changes.
    pub fn topology(&self) -> &Arc<TopologyDescription> {
        self.topology.description()
    }

    /// The newest cluster time seen.
    pub const fn cluster_time(&self) -> &ClusterTime {
        &self.cluster_time
    }

    /// Operations that have selected that server and are not over ("operationCount"); `None` for one not in the topology.
    pub fn operation_count(&self, server: &ServerAddress) -> Option<u32> {
        self.servers.get(self.servers.id_of(server)?).map(|server| server.operation_count)
    }

    /// Connections and check-outs of that server's pool; `None` for one not in the topology.
    pub fn pool_counts(&self, server: &ServerAddress) -> Option<PoolCounts> {
        self.servers.get(self.servers.id_of(server)?).map(|server| server.pool.counts())
    }

    /// Operations that wait for a server or a connection, or have not been told yet that the wait is over.
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// What the driver was made with.
    pub const fn options(&self) -> &DriverOptions {
        &self.options
    }

    /// Takes back a session that an operation had kept ([`Operation::take_session`]).
    pub fn end_session(&mut self, now: Instant, session: ServerSession) {
        self.sessions.give_back(session, now, self.session_timeout);
    }

    /// Takes back the connection of a cursor that needs nothing more from its server.
    pub fn unpin(&mut self, now: Instant, pin: CursorPin) {
        self.release(now, pin.0, true);
    }

    /// Takes out the ids of all idle sessions, for `endSessions` before a shutdown.
    pub fn drain_sessions(&mut self) -> Vec<[u8; 16]> {
        self.sessions.drain_ids().collect()
    }

    /// Closes everything: connections, monitors, waiting operations. Operations on a connection may end by themselves.
    pub fn shutdown(&mut self, now: Instant) {
        if core::mem::replace(&mut self.closed, true) {
            return;
        }
        self.topology.handle_close(now);
        self.pump(now);
        self.fail_all_waiters();
    }
}
