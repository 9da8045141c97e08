//! What a connection pool tells those who watch it.
//!
//! Source: connection monitoring and pooling specification, "Connection Pool Monitoring". Names follow the official
//! driver's `event::cmap`.

use crate::{Duration, ServerAddress};

/// The pool options somebody set to something else than their default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionPoolOptions {
    /// `maxIdleTimeMS`: idle connections are closed after this long.
    pub max_idle_time: Option<Duration>,
    /// `maxPoolSize`: the most connections at one time; 0 for no limit.
    pub max_pool_size: Option<u32>,
    /// `minPoolSize`: the fewest connections a ready pool keeps.
    pub min_pool_size: Option<u32>,
    /// `maxConnecting`: the most connections being established at one time.
    pub max_connecting: Option<u32>,
}

/// A pool was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolCreatedEvent {
    /// The server it connects to.
    pub address: ServerAddress,
    /// Its options, as far as they differ from the defaults.
    pub options: Option<ConnectionPoolOptions>,
}

/// A pool was marked ready: its connections may be checked out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolReadyEvent {
    /// The server it connects to.
    pub address: ServerAddress,
}

/// A pool was cleared: every connection it had is stale.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolClearedEvent {
    /// The server it connects to.
    pub address: ServerAddress,
    /// Behind a load balancer: the one service whose connections are stale.
    pub service_id: Option<[u8; 12]>,
    /// Whether connections in use were interrupted too.
    pub interrupt_in_use_connections: bool,
}

/// A pool was closed for good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolClosedEvent {
    /// The server it connected to.
    pub address: ServerAddress,
}

/// A connection is about to be established; it is not ready for use yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCreatedEvent {
    /// The server it connects to.
    pub address: ServerAddress,
    /// Its number within the pool, from 1.
    pub connection_id: u32,
}

/// A connection is established: handshake and authentication are done.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionReadyEvent {
    /// The server it is connected to.
    pub address: ServerAddress,
    /// Its number within the pool.
    pub connection_id: u32,
    /// Time since its [`ConnectionCreatedEvent`].
    pub duration: Duration,
}

/// A connection left the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionClosedEvent {
    /// The server it was connected to.
    pub address: ServerAddress,
    /// Its number within the pool.
    pub connection_id: u32,
    /// Why.
    pub reason: ConnectionClosedReason,
}

/// Why a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionClosedReason {
    /// The pool was cleared after the connection was made.
    Stale,
    /// It was idle for longer than `maxIdleTimeMS`.
    Idle,
    /// It failed, or was left in a state nobody can use.
    Error,
    /// The pool was closed.
    PoolClosed,
}

impl ConnectionClosedReason {
    /// The specification's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConnectionClosedReason::Stale => "stale",
            ConnectionClosedReason::Idle => "idle",
            ConnectionClosedReason::Error => "error",
            ConnectionClosedReason::PoolClosed => "poolClosed",
        }
    }
}

/// Somebody asked for a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCheckoutStartedEvent {
    /// The server it should lead to.
    pub address: ServerAddress,
}

/// Somebody did not get a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCheckoutFailedEvent {
    /// The server it should have led to.
    pub address: ServerAddress,
    /// Why.
    pub reason: ConnectionCheckoutFailedReason,
    /// Time since the [`ConnectionCheckoutStartedEvent`].
    pub duration: Duration,
}

/// Why a connection could not be checked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConnectionCheckoutFailedReason {
    /// None became free in time.
    Timeout,
    /// Establishing one failed, or the pool was cleared.
    ConnectionError,
    /// The pool is closed.
    PoolClosed,
    /// The operation was dropped while it waited. (Not in the specification, which knows no dropped operations; it
    /// is what ends the pair.)
    Dropped,
}

impl ConnectionCheckoutFailedReason {
    /// The specification's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConnectionCheckoutFailedReason::Timeout => "timeout",
            ConnectionCheckoutFailedReason::ConnectionError => "connectionError",
            ConnectionCheckoutFailedReason::PoolClosed => "poolClosed",
            ConnectionCheckoutFailedReason::Dropped => "dropped",
        }
    }
}

/// Somebody got a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCheckedOutEvent {
    /// The server it leads to.
    pub address: ServerAddress,
    /// Its number within the pool.
    pub connection_id: u32,
    /// Time since the [`ConnectionCheckoutStartedEvent`].
    pub duration: Duration,
}

/// A connection was given back.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionCheckedInEvent {
    /// The server it leads to.
    pub address: ServerAddress,
    /// Its number within the pool.
    pub connection_id: u32,
}

/// Any of a pool's events.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CmapEvent {
    /// The pool was made.
    PoolCreated(PoolCreatedEvent),
    /// The pool was marked ready.
    PoolReady(PoolReadyEvent),
    /// The pool was cleared.
    PoolCleared(PoolClearedEvent),
    /// The pool was closed.
    PoolClosed(PoolClosedEvent),
    /// A connection is about to be established.
    ConnectionCreated(ConnectionCreatedEvent),
    /// A connection is established.
    ConnectionReady(ConnectionReadyEvent),
    /// A connection left the pool.
    ConnectionClosed(ConnectionClosedEvent),
    /// Somebody asked for a connection.
    ConnectionCheckoutStarted(ConnectionCheckoutStartedEvent),
    /// Somebody did not get one.
    ConnectionCheckoutFailed(ConnectionCheckoutFailedEvent),
    /// Somebody got one.
    ConnectionCheckedOut(ConnectionCheckedOutEvent),
    /// Somebody gave one back.
    ConnectionCheckedIn(ConnectionCheckedInEvent),
}
