//! Events of server discovery and monitoring, named as in the official driver.
//!
//! Source: SDAM logging and monitoring specification, "Events API". Descriptions are shared, not copied.

use crate::error::Error;
use crate::sdam::{ServerDescription, TopologyDescription};
use crate::shared::Arc;
use crate::{Duration, ServerAddress};
use alloc::vec::Vec;

/// Anything that happens to a topology, in the order it happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SdamEvent {
    /// A server's description was replaced by one that is not equal.
    ServerDescriptionChanged(ServerDescriptionChangedEvent),
    /// A server was added; its monitor has not started yet.
    ServerOpening(ServerOpeningEvent),
    /// A server was removed and its monitor stopped.
    ServerClosed(ServerClosedEvent),
    /// The topology's description was replaced by one that is not equal.
    TopologyDescriptionChanged(TopologyDescriptionChangedEvent),
    /// A topology was made: the first event of all.
    TopologyOpening(TopologyOpeningEvent),
    /// A topology was shut down: the last event of all.
    TopologyClosed(TopologyClosedEvent),
    /// The options say not to check who the servers are: told once, right after the opening. This driver's own; the
    /// specification has no such event.
    TlsVerificationDisabled(TlsVerificationDisabledEvent),
    /// A monitor is about to send `hello` (or to open its connection), or to wait for the next reply of a stream.
    ServerHeartbeatStarted(ServerHeartbeatStartedEvent),
    /// A monitor was answered.
    ServerHeartbeatSucceeded(ServerHeartbeatSucceededEvent),
    /// A monitor's check failed.
    ServerHeartbeatFailed(ServerHeartbeatFailedEvent),
}

/// See [`SdamEvent::ServerDescriptionChanged`]. Changes of the round trip alone are not published.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerDescriptionChangedEvent {
    /// The server.
    pub address: ServerAddress,
    /// The topology it is in.
    pub topology_id: u64,
    /// What was known before.
    pub previous_description: Arc<ServerDescription>,
    /// What is known now.
    pub new_description: Arc<ServerDescription>,
}

/// See [`SdamEvent::ServerOpening`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerOpeningEvent {
    /// The server.
    pub address: ServerAddress,
    /// The topology it is in.
    pub topology_id: u64,
}

/// See [`SdamEvent::ServerClosed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerClosedEvent {
    /// The server.
    pub address: ServerAddress,
    /// The topology it was in.
    pub topology_id: u64,
}

/// See [`SdamEvent::TopologyDescriptionChanged`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopologyDescriptionChangedEvent {
    /// The topology.
    pub topology_id: u64,
    /// What was known before; of type Unknown and without servers the first time.
    pub previous_description: Arc<TopologyDescription>,
    /// What is known now.
    pub new_description: Arc<TopologyDescription>,
}

/// See [`SdamEvent::TopologyOpening`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopologyOpeningEvent {
    /// The topology.
    pub topology_id: u64,
}

/// See [`SdamEvent::TopologyClosed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TopologyClosedEvent {
    /// The topology.
    pub topology_id: u64,
}

/// See [`SdamEvent::TlsVerificationDisabled`]: whoever can answer in a server's place reads and changes everything. An
/// application that did not mean that should say so in its log.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TlsVerificationDisabledEvent {
    /// The topology.
    pub topology_id: u64,
    /// Whether any certificate will do, whoever signed it and for whom (`tlsInsecure`, `tlsAllowInvalidCertificates`).
    pub any_certificate: bool,
    /// Whether one made out to another host will do (`tlsInsecure`, `tlsAllowInvalidHostnames`).
    pub any_hostname: bool,
}

/// See [`SdamEvent::ServerHeartbeatStarted`]. Exactly one succeeded or failed event follows.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerHeartbeatStartedEvent {
    /// The server.
    pub server_address: ServerAddress,
    /// Whether the server may wait before it answers (streaming).
    pub awaited: bool,
    /// This driver's number for the monitoring connection.
    pub driver_connection_id: u32,
    /// The server's number for it, once it has told.
    pub server_connection_id: Option<i64>,
}

/// See [`SdamEvent::ServerHeartbeatSucceeded`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerHeartbeatSucceededEvent {
    /// From sending to having read; for awaited heartbeats mostly the server's waiting.
    pub duration: Duration,
    /// The server's reply, as BSON bytes.
    pub reply: Vec<u8>,
    /// The server.
    pub server_address: ServerAddress,
    /// Whether the server may have waited before it answered (streaming).
    pub awaited: bool,
    /// This driver's number for the monitoring connection.
    pub driver_connection_id: u32,
    /// The server's number for it, once it has told.
    pub server_connection_id: Option<i64>,
}

/// See [`SdamEvent::ServerHeartbeatFailed`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerHeartbeatFailedEvent {
    /// From sending (or connecting) to the failure.
    pub duration: Duration,
    /// What failed.
    pub failure: Error,
    /// The server.
    pub server_address: ServerAddress,
    /// Whether the server might have waited before it answered (streaming).
    pub awaited: bool,
    /// This driver's number for the monitoring connection.
    pub driver_connection_id: u32,
    /// The server's number for it, once it has told.
    pub server_connection_id: Option<i64>,
}

macro_rules! from_event {
    ($($variant:ident($event:ident)),* $(,)?) => {$(
        impl From<$event> for SdamEvent {
            fn from(event: $event) -> Self {
                SdamEvent::$variant(event)
            }
        }
    )*};
}

from_event! {
    ServerDescriptionChanged(ServerDescriptionChangedEvent),
    ServerOpening(ServerOpeningEvent),
    ServerClosed(ServerClosedEvent),
    TopologyDescriptionChanged(TopologyDescriptionChangedEvent),
    TopologyOpening(TopologyOpeningEvent),
    TopologyClosed(TopologyClosedEvent),
    TlsVerificationDisabled(TlsVerificationDisabledEvent),
    ServerHeartbeatStarted(ServerHeartbeatStartedEvent),
    ServerHeartbeatSucceeded(ServerHeartbeatSucceededEvent),
    ServerHeartbeatFailed(ServerHeartbeatFailedEvent),
}
