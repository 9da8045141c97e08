//! The topology laid out for selection.

use crate::sdam::{ServerDescription, ServerType, TopologyDescription, TopologyType};
use crate::shared::Arc;
use crate::{Duration, Instant, ServerAddress};
use alloc::string::String;
use alloc::vec::Vec;

/// One server as selection reads it: a few numbers side by side, so that a pass over a thousand of them stays in cache.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) server_type: ServerType,
    /// Average round trip in nanoseconds.
    pub(super) round_trip: Option<u64>,
    /// `lastWriteDate`, in milliseconds.
    pub(super) last_write: Option<i64>,
    /// `lastUpdateTime - lastWriteDate`, in milliseconds of two different clocks: only differences of it mean anything.
    pub(super) write_lag: Option<i64>,
}

impl Row {
    fn of(server: &ServerDescription) -> Self {
        let nanos = |d: Duration| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX);
        let millis = |at: Instant| i64::try_from(at.as_nanos() / 1_000_000).unwrap_or(i64::MAX);
        Row {
            server_type: server.server_type,
            round_trip: server.round_trip_time.map(nanos),
            last_write: server.last_write_date,
            write_lag: server
                .last_update
                .zip(server.last_write_date)
                .map(|(update, write)| millis(update).saturating_sub(write)),
        }
    }
}

/// A topology as selection reads it. A server's index is its position in the order of addresses.
///
/// Its owner (the `Driver`) keeps it level with the published [`TopologyDescription`]:
///
/// - a new description calls [`Snapshot::publish`];
/// - a description that differs from the last in one server's fields only (a round trip, a `lastWriteDate`) may call
///   [`Snapshot::update_server`] instead, which costs the same however large the deployment is.
///
/// Both count [`Snapshot::revision`] up, which is how a [`CandidateCache`](super::CandidateCache) learns that what it
/// remembers may be wrong. A change of round-trip time alone moves the latency window, so it has to come through here as
/// well.
#[derive(Clone, Debug)]
pub struct Snapshot {
    revision: u64,
    topology_type: TopologyType,
    heartbeat_frequency: Duration,
    compatibility_error: Option<String>,
    servers: Vec<Arc<ServerDescription>>,
    rows: Vec<Row>,
}

impl Snapshot {
    /// Lays out `topology`.
    pub fn new(topology: &TopologyDescription) -> Self {
        let mut snapshot = Snapshot {
            revision: 0,
            topology_type: TopologyType::Unknown,
            heartbeat_frequency: Duration::ZERO,
            compatibility_error: None,
            servers: Vec::new(),
            rows: Vec::new(),
        };
        snapshot.publish(topology);
        snapshot
    }

    /// Takes in a whole new description. Indices given out before mean nothing any more.
    pub fn publish(&mut self, topology: &TopologyDescription) {
        self.revision = self.revision.saturating_add(1);
        self.topology_type = topology.topology_type;
        self.heartbeat_frequency = topology.heartbeat_frequency;
        self.compatibility_error.clone_from(&topology.compatibility_error);
        self.servers.clear();
        self.servers.extend(topology.servers.values().cloned());
        self.rows.clear();
        self.rows.extend(self.servers.iter().map(|server| Row::of(server)));
    }

    /// Takes in one server's new description, where everything else (members, topology type, compatibility) has
    /// stayed. Indices stay valid. Answers whether the server is known; if not, nothing has changed and
    /// [`Snapshot::publish`] is due.
    pub fn update_server(&mut self, server: Arc<ServerDescription>) -> bool {
        self.index_of(&server.address).is_some_and(|index| self.update_at(index, server))
    }

    /// As [`Snapshot::update_server`], where the index is known. The answer is false too if another server has it.
    pub fn update_at(&mut self, index: u32, server: Arc<ServerDescription>) -> bool {
        let index = index as usize;
        let (Some(slot), Some(row)) = (self.servers.get_mut(index), self.rows.get_mut(index)) else {
            return false;
        };
        if slot.address != server.address {
            return false;
        }
        *row = Row::of(&server);
        *slot = server;
        self.revision = self.revision.saturating_add(1);
        true
    }

    /// Counts up with every change; never 0.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// What the deployment is.
    pub const fn topology_type(&self) -> TopologyType {
        self.topology_type
    }

    /// Between two checks of a server.
    pub const fn heartbeat_frequency(&self) -> Duration {
        self.heartbeat_frequency
    }

    /// Why this client cannot use the deployment, if it cannot.
    pub fn compatibility_error(&self) -> Option<&str> {
        self.compatibility_error.as_deref()
    }

    /// How many servers there are.
    pub const fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The server of that index.
    pub fn server(&self, index: u32) -> Option<&Arc<ServerDescription>> {
        self.servers.get(index as usize)
    }

    /// The servers by index.
    pub fn servers(&self) -> &[Arc<ServerDescription>] {
        &self.servers
    }

    /// The index of the server at `address`.
    pub fn index_of(&self, address: &ServerAddress) -> Option<u32> {
        self.position(address).and_then(|at| u32::try_from(at).ok())
    }

    fn position(&self, address: &ServerAddress) -> Option<usize> {
        self.servers.binary_search_by(|server| server.address.cmp(address)).ok()
    }

    pub(super) fn row(&self, index: u32) -> Option<&Row> {
        self.rows.get(index as usize)
    }

    /// Every server's row with its index.
    pub(super) fn rows(&self) -> impl Iterator<Item = (u32, &Row)> {
        // A deployment of 2^32 servers does not fit any memory; the zip ends there anyway.
        (0u32..).zip(&self.rows)
    }
}
