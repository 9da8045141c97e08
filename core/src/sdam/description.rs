//! Server and topology descriptions: plain, immutable data. Everything that changes them makes new ones.

use crate::error::Error;
use crate::raw::{RawDoc, Timestamp};
use crate::shared::Arc;
use crate::{Duration, Instant, ServerAddress};
use alloc::collections::BTreeMap;
use alloc::string::String;
use core::fmt;

/// What one server is (SDAM specification, "ServerType").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ServerType {
    /// Not (or no longer) known.
    #[default]
    Unknown,
    /// A mongod outside any replica set.
    Standalone,
    /// A mongos.
    Mongos,
    /// Another member says this is the primary; it has not been checked yet.
    PossiblePrimary,
    /// The primary of a replica set.
    RsPrimary,
    /// A secondary.
    RsSecondary,
    /// An arbiter.
    RsArbiter,
    /// A member in another state (recovering, starting, hidden).
    RsOther,
    /// A mongod started for a replica set that is not initiated or has removed it.
    RsGhost,
    /// A load balancer in front of mongos.
    LoadBalancer,
}

impl ServerType {
    /// The specification's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerType::Unknown => "Unknown",
            ServerType::Standalone => "Standalone",
            ServerType::Mongos => "Mongos",
            ServerType::PossiblePrimary => "PossiblePrimary",
            ServerType::RsPrimary => "RSPrimary",
            ServerType::RsSecondary => "RSSecondary",
            ServerType::RsArbiter => "RSArbiter",
            ServerType::RsOther => "RSOther",
            ServerType::RsGhost => "RSGhost",
            ServerType::LoadBalancer => "LoadBalancer",
        }
    }

    /// Whether it can serve operations on data ("data-bearing").
    pub const fn is_data_bearing(self) -> bool {
        matches!(
            self,
            ServerType::Standalone
                | ServerType::Mongos
                | ServerType::RsPrimary
                | ServerType::RsSecondary
                | ServerType::LoadBalancer
        )
    }

    /// Whether it is available: anything that is known.
    pub const fn is_available(self) -> bool {
        !matches!(self, ServerType::Unknown | ServerType::PossiblePrimary)
    }
}

impl fmt::Display for ServerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the deployment is (SDAM specification, "TopologyType").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TopologyType {
    /// Not known yet.
    #[default]
    Unknown,
    /// One server, whatever it is.
    Single,
    /// A replica set without a known primary.
    ReplicaSetNoPrimary,
    /// A replica set with its primary.
    ReplicaSetWithPrimary,
    /// One or more mongos.
    Sharded,
    /// Behind a load balancer: no monitoring at all.
    LoadBalanced,
}

impl TopologyType {
    /// The specification's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            TopologyType::Unknown => "Unknown",
            TopologyType::Single => "Single",
            TopologyType::ReplicaSetNoPrimary => "ReplicaSetNoPrimary",
            TopologyType::ReplicaSetWithPrimary => "ReplicaSetWithPrimary",
            TopologyType::Sharded => "Sharded",
            TopologyType::LoadBalanced => "LoadBalanced",
        }
    }
}

impl fmt::Display for TopologyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often a server's view of the topology has changed, and since which start of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TopologyVersion {
    /// Chosen anew whenever the process starts.
    pub process_id: [u8; 12],
    /// Counts up within a process.
    pub counter: i64,
}

impl TopologyVersion {
    /// Reads `{processId: ObjectId, counter: int64}`; `None` when it is anything else.
    pub fn from_raw(doc: RawDoc<'_>) -> Option<Self> {
        let process_id = doc.get("processId").ok()??.as_object_id()?;
        let counter = doc.get("counter").ok()??.as_i64()?;
        Some(TopologyVersion { process_id, counter })
    }

    /// Whether what carries `self` is at least as new as what carried `other`, so that `other` can add nothing
    /// ("topologyVersion comparison"): same process and counter not lower. Different processes cannot be compared:
    /// the answer is no, as the newcomer is then assumed newer.
    pub fn is_at_least(&self, other: &TopologyVersion) -> bool {
        self.process_id == other.process_id && self.counter >= other.counter
    }
}

/// One server as last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerDescription {
    /// Where it listens, as this client reaches it.
    pub address: ServerAddress,
    /// Why it is unknown, if something went wrong.
    pub error: Option<Error>,
    /// Moving average of the hello round trip; `None` until the first one.
    pub round_trip_time: Option<Duration>,
    /// The shortest of the last ten round trips; `None` until there are two.
    pub min_round_trip_time: Option<Duration>,
    /// `lastWrite.lastWriteDate`, in milliseconds since 1970.
    pub last_write_date: Option<i64>,
    /// `lastWrite.opTime.ts`.
    pub op_time: Option<Timestamp>,
    /// What it is.
    pub server_type: ServerType,
    /// Lowest wire protocol version it speaks.
    pub min_wire_version: i32,
    /// Highest wire protocol version it speaks.
    pub max_wire_version: i32,
    /// How it calls itself.
    pub me: Option<Arc<ServerAddress>>,
    /// Members it knows that are not passive or arbiters.
    pub hosts: Arc<[ServerAddress]>,
    /// Members of priority 0.
    pub passives: Arc<[ServerAddress]>,
    /// Arbiters.
    pub arbiters: Arc<[ServerAddress]>,
    /// Replica set tags.
    pub tags: Arc<BTreeMap<String, String>>,
    /// Name of the replica set.
    pub set_name: Option<Arc<str>>,
    /// Version of the replica set's configuration.
    pub set_version: Option<i64>,
    /// The election that made it primary.
    pub election_id: Option<[u8; 12]>,
    /// Whom it takes for the primary.
    pub primary: Option<Arc<ServerAddress>>,
    /// When it was last checked.
    pub last_update: Option<Instant>,
    /// How long it keeps idle sessions, in minutes.
    pub logical_session_timeout_minutes: Option<i64>,
    /// Its topology version.
    pub topology_version: Option<TopologyVersion>,
    /// Largest document, in bytes.
    pub max_bson_object_size: i32,
    /// Largest message, in bytes.
    pub max_message_size_bytes: i32,
    /// Most writes in one command.
    pub max_write_batch_size: i32,
    /// Whether it is a mongocryptd.
    pub is_cryptd: bool,
}

impl ServerDescription {
    /// A server of which nothing is known.
    pub fn unknown(address: ServerAddress) -> Self {
        ServerDescription {
            address,
            error: None,
            round_trip_time: None,
            min_round_trip_time: None,
            last_write_date: None,
            op_time: None,
            server_type: ServerType::Unknown,
            min_wire_version: 0,
            max_wire_version: 0,
            me: None,
            hosts: Arc::default(),
            passives: Arc::default(),
            arbiters: Arc::default(),
            tags: Arc::default(),
            set_name: None,
            set_version: None,
            election_id: None,
            primary: None,
            last_update: None,
            logical_session_timeout_minutes: None,
            topology_version: None,
            max_bson_object_size: 16 * 1024 * 1024,
            max_message_size_bytes: 48_000_000,
            max_write_batch_size: 100_000,
            is_cryptd: false,
        }
    }

    /// Whether retryable writes work there: it has sessions and is no standalone (retryable writes specification,
    /// "Supported Server Versions").
    pub const fn supports_retryable_writes(&self) -> bool {
        self.logical_session_timeout_minutes.is_some()
            && !matches!(self.server_type, ServerType::Standalone | ServerType::Unknown)
    }
}

/// The whole deployment as last seen. Immutable: a change makes a new one.
#[derive(Clone, Debug, PartialEq)]
pub struct TopologyDescription {
    /// What it is.
    pub topology_type: TopologyType,
    /// The replica set's name, once known or asked for.
    pub set_name: Option<Arc<str>>,
    /// The largest setVersion a primary has reported.
    pub max_set_version: Option<i64>,
    /// The largest electionId a primary has reported.
    pub max_election_id: Option<[u8; 12]>,
    /// Its servers, in the order of their addresses.
    pub servers: BTreeMap<ServerAddress, Arc<ServerDescription>>,
    /// Why this client cannot use the deployment ("Compatibility check"), if it cannot.
    pub compatibility_error: Option<String>,
    /// The smallest session time-out of the data-bearing servers, if all have one.
    pub logical_session_timeout_minutes: Option<i64>,
    /// Between two checks of a server; staleness is computed with it.
    pub heartbeat_frequency: Duration,
}

impl TopologyDescription {
    /// The server at `address`.
    pub fn server(&self, address: &ServerAddress) -> Option<&Arc<ServerDescription>> {
        self.servers.get(address)
    }

    /// The primary, if one is known.
    pub fn primary(&self) -> Option<&Arc<ServerDescription>> {
        self.servers.values().find(|server| server.server_type == ServerType::RsPrimary)
    }
}
