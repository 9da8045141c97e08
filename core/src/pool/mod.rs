//! One server's connection pool: which connections exist, who has them, who waits, when to open and close.
//!
//! [`Pool`] opens no socket. It is told what happened and answers with [`PoolOutput`]s. The loop around it:
//!
//! 1. tell it what happened: any method that takes `&mut self` and a moment;
//! 2. take [`Pool::poll_output`] until `None`, and do each in order;
//! 3. call [`Pool::handle_timeout`] at [`Pool::poll_timeout`], or when something else happens, whichever is first.
//!
//! Outputs may be taken after every input or later: what a late taker sees is the same outputs in the same order. Calling
//! `handle_timeout` early or again does nothing; calling it late delays what was due. An id or token the pool no
//! longer knows is ignored: a host may report on a connection the pool gave up a moment ago.
//!
//! # What always holds
//!
//! - `idle + in use + pending <= max_pool_size` (unless that is 0), and `pending <= max_connecting`.
//! - While somebody waits nothing is idle: a connection that becomes free goes to whoever has waited longest, and a
//!   newcomer never overtakes.
//! - No idle or pending connection is stale: clearing closes them at once instead of leaving them to be found.
//! - Each `Connect` is followed by exactly one `Close` of the same connection, sooner or later. Each check-out ends in
//!   `CheckedOut` or `CheckOutFailed`, or was cancelled. Each started event has its end event.
//! - A paused or closed pool has no waiters and opens nothing.
//!
//! # Where the specification leaves a choice
//!
//! - A connection being established belongs to nobody: established, it goes to the first waiter; failed, its error goes to
//!   the first waiter, unless more connections are being established than there are waiters.
//! - Idle and pending connections of an old generation are closed by the clear itself. Waiting for a server that was just
//!   declared gone would hold `max_connecting` slots for nothing.
//! - After a failed connection the pool pauses before it fills up to `min_pool_size` again (from 100 ms, doubling up to 10 s);
//!   an error that signals overload does not clear the pool, and must not make it hammer the server either.
//!
//! Source: connection monitoring and pooling specification; load balancers specification, "Connection Pooling".

mod errors;
mod flow;
mod machine;
mod services;
mod slots;
#[cfg(test)]
mod tests;
mod waiters;

pub use errors::add_backpressure_labels;
pub use machine::Pool;

use crate::event::cmap::{
    CmapEvent, ConnectionCheckoutFailedReason, ConnectionClosedReason, ConnectionPoolOptions,
};
use crate::{Duration, Error, ServerAddress};
use core::fmt;

/// `hello.serviceId`: which service behind a load balancer a connection leads to.
pub type ServiceId = [u8; 12];

/// A connection's name within its pool. [`PoolConnId::get`] is the events' `connectionId`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PoolConnId {
    id: u32,
    slot: u32,
}

impl PoolConnId {
    /// Its number: from 1, in order of creation.
    pub const fn get(self) -> u32 {
        self.id
    }
}

impl fmt::Debug for PoolConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conn {}", self.id)
    }
}

/// A waiting check-out's name, chosen by the caller; it must not be waiting already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpToken(pub u64);

/// What a connection in use is used for ("Connection Tracking"): kept for the message of a wait queue time-out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// One operation.
    #[default]
    Operation,
    /// Pinned to a cursor.
    Cursor,
    /// Pinned to a transaction.
    Transaction,
}

/// A pool's options ("Connection Pool Options").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolOptions {
    /// The server it connects to.
    pub address: ServerAddress,
    /// `maxPoolSize`: the most connections at one time, 0 for no limit. Default 100.
    pub max_pool_size: u32,
    /// `minPoolSize`: the fewest connections a ready pool keeps; never more than `max_pool_size`. Default 0.
    pub min_pool_size: u32,
    /// `maxIdleTimeMS`: idle connections are closed after this long; `None` or zero for no limit. Default `None`.
    pub max_idle_time: Option<Duration>,
    /// `maxConnecting`: the most connections being established at one time, at least 1. Default 2.
    pub max_connecting: u32,
    /// `waitQueueTimeoutMS`: how long a check-out may wait; `None` or zero for no limit. Default `None`.
    pub wait_queue_timeout: Option<Duration>,
    /// Whether a load balancer stands before the server: generations are then counted by service.
    pub load_balanced: bool,
    /// Whether [`PoolOutput::Event`]s are wanted. Default `false`.
    pub events: bool,
    /// The planted mistake to make.
    #[cfg(feature = "mistakes")]
    pub mistake: Option<crate::mistakes::Mistake>,
}

const DEFAULT_MAX_POOL_SIZE: u32 = 100;
const DEFAULT_MAX_CONNECTING: u32 = 2;

impl PoolOptions {
    /// The defaults, for that server.
    pub const fn new(address: ServerAddress) -> Self {
        PoolOptions {
            address,
            max_pool_size: DEFAULT_MAX_POOL_SIZE,
            min_pool_size: 0,
            max_idle_time: None,
            max_connecting: DEFAULT_MAX_CONNECTING,
            wait_queue_timeout: None,
            load_balanced: false,
            events: false,
            #[cfg(feature = "mistakes")]
            mistake: None,
        }
    }

    /// What the pool-created event tells: the options that differ from the defaults.
    fn told(&self) -> ConnectionPoolOptions {
        ConnectionPoolOptions {
            max_idle_time: self.max_idle_time,
            max_pool_size: Some(self.max_pool_size).filter(|n| *n != DEFAULT_MAX_POOL_SIZE),
            min_pool_size: Some(self.min_pool_size).filter(|n| *n != 0),
            max_connecting: Some(self.max_connecting).filter(|n| *n != DEFAULT_MAX_CONNECTING),
        }
    }
}

/// What the pool may do ("Connection Pool", `state`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PoolState {
    /// New, or cleared: nothing is checked out or opened.
    Paused,
    /// The server was checked: connections may be checked out and opened.
    Ready,
    /// Closed for good.
    Closed,
}

/// A pool's numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PoolCounts {
    /// Available connections.
    pub idle: u32,
    /// Connections checked out.
    pub in_use: u32,
    /// Connections being established.
    pub pending: u32,
    /// Check-outs waiting.
    pub waiting: usize,
}

impl PoolCounts {
    /// All connections: idle, in use and pending.
    pub const fn total(&self) -> u32 {
        self.idle.saturating_add(self.in_use).saturating_add(self.pending)
    }
}

/// What is to be done, or told.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PoolOutput {
    /// Open a connection, do the handshake and authenticate; then call [`Pool::handle_established`] or
    /// [`Pool::handle_connect_failed`].
    Connect {
        /// Its name from now on.
        conn: PoolConnId,
        /// The pool's generation it belongs to.
        generation: u32,
    },
    /// Close the socket (or stop connecting) and forget the connection. The socket may be closed already.
    Close {
        /// Which.
        conn: PoolConnId,
        /// Why.
        reason: ConnectionClosedReason,
    },
    /// The check-out `token` has its connection. If nobody wants it any more, check it in.
    CheckedOut {
        /// Who waited.
        token: OpToken,
        /// What it got.
        conn: PoolConnId,
    },
    /// The check-out `token` failed.
    CheckOutFailed {
        /// Who waited.
        token: OpToken,
        /// Why, in the specification's terms.
        reason: ConnectionCheckoutFailedReason,
        /// Why, in the caller's terms.
        error: Error,
    },
    /// Stop whatever runs on this connection, with [`Pool::interrupted_error`], and check it in as not reusable.
    Interrupt {
        /// Which; it is in use.
        conn: PoolConnId,
    },
    /// For those who watch.
    Event(CmapEvent),
}
