//! From the outcome of a check to a server description, and when two descriptions count as equal.
//!
//! Source: SDAM specification, "Parsing a hello or legacy hello response", "Server Description Equality".

use super::{ServerDescription, TopologyDescription, TopologyVersion};
use crate::error::Error;
use crate::hello_reply::HelloReply;
use crate::shared::Arc;
use crate::{Duration, Instant, ServerAddress};
use alloc::vec::Vec;

impl ServerDescription {
    /// The description that a reply to `hello` makes of the server at `address`.
    ///
    /// A reply with `ok: 0` makes an Unknown one that carries the server's error. `round_trip_time` is the moving average,
    /// `min_round_trip_time` the shortest recent one; both are kept for known servers only.
    pub fn from_hello(
        address: ServerAddress,
        hello: &HelloReply,
        round_trip_time: Option<Duration>,
        min_round_trip_time: Option<Duration>,
        now: Instant,
    ) -> Self {
        if let Some(error) = hello.error() {
            let mut unknown = Self::from_error(address, error, hello.topology_version);
            unknown.last_update = Some(now);
            return unknown;
        }
        let mut description = Self::unknown(address);
        description.server_type = hello.server_type();
        description.min_wire_version = hello.min_wire_version;
        description.max_wire_version = hello.max_wire_version;
        description.me.clone_from(&hello.me);
        description.set_name.clone_from(&hello.set_name);
        description.set_version = hello.set_version;
        description.election_id = hello.election_id;
        description.primary.clone_from(&hello.primary);
        description.logical_session_timeout_minutes = hello.logical_session_timeout_minutes;
        description.topology_version = hello.topology_version;
        description.is_cryptd = hello.is_cryptd;
        description.refresh(hello, round_trip_time, min_round_trip_time, now);
        description
    }

    /// The description of a server of which only the error is known: Unknown, everything else at its default.
    ///
    /// `topology_version` is that of a state change error, `None` for any other error (SDAM specification, `"not writable
    /// primary" and "node is recovering"`).
    pub fn from_error(
        address: ServerAddress,
        error: Error,
        topology_version: Option<TopologyVersion>,
    ) -> Self {
        ServerDescription { error: Some(error), topology_version, ..Self::unknown(address) }
    }

    /// Takes over what may change without the server counting as changed: times, sizes, the last write. With them the
    /// lists, which are equal or new: the next comparison finds the same objects.
    pub(super) fn refresh(
        &mut self,
        hello: &HelloReply,
        round_trip_time: Option<Duration>,
        min_round_trip_time: Option<Duration>,
        now: Instant,
    ) {
        adopt(&mut self.hosts, &hello.hosts);
        adopt(&mut self.passives, &hello.passives);
        adopt(&mut self.arbiters, &hello.arbiters);
        adopt(&mut self.tags, &hello.tags);
        self.round_trip_time = round_trip_time;
        self.min_round_trip_time = min_round_trip_time;
        self.last_update = Some(now);
        self.last_write_date = hello.last_write_date;
        self.op_time = hello.op_time;
        self.max_bson_object_size = hello.max_bson_object_size.unwrap_or(16 * 1024 * 1024);
        self.max_message_size_bytes = hello.max_message_size_bytes.unwrap_or(48_000_000);
        self.max_write_batch_size = hello.max_write_batch_size.unwrap_or(100_000);
    }

    /// Whether the two say the same of the server ("Server Description Equality"): the fields marked (=) there. Round
    /// trips, times and the last write may differ.
    pub fn is_equal_to(&self, other: &ServerDescription) -> bool {
        self.address == other.address
            && self.error == other.error
            && self.server_type == other.server_type
            && self.min_wire_version == other.min_wire_version
            && self.max_wire_version == other.max_wire_version
            && self.me == other.me
            && same_members(&self.hosts, &other.hosts)
            && same_members(&self.passives, &other.passives)
            && same_members(&self.arbiters, &other.arbiters)
            && self.tags == other.tags
            && self.set_name == other.set_name
            && self.set_version == other.set_version
            && self.election_id == other.election_id
            && self.primary == other.primary
            && self.logical_session_timeout_minutes == other.logical_session_timeout_minutes
            && self.topology_version == other.topology_version
            && self.is_cryptd == other.is_cryptd
    }

    /// Whether [`ServerDescription::from_hello`] would make a description equal to this one, found out without
    /// making it: the answer is yes nearly always, and costs no allocation.
    pub fn says_the_same_as(&self, hello: &HelloReply) -> bool {
        hello.ok
            && self.error.is_none()
            && self.server_type == hello.server_type()
            && self.min_wire_version == hello.min_wire_version
            && self.max_wire_version == hello.max_wire_version
            && self.me == hello.me
            && same_members(&self.hosts, &hello.hosts)
            && same_members(&self.passives, &hello.passives)
            && same_members(&self.arbiters, &hello.arbiters)
            && (Arc::ptr_eq(&self.tags, &hello.tags) || self.tags == hello.tags)
            && self.set_name == hello.set_name
            && self.set_version == hello.set_version
            && self.election_id == hello.election_id
            && self.primary == hello.primary
            && self.logical_session_timeout_minutes == hello.logical_session_timeout_minutes
            && self.topology_version == hello.topology_version
            && self.is_cryptd == hello.is_cryptd
    }

    /// Every member it names: hosts, passives and arbiters.
    pub fn members(&self) -> impl Iterator<Item = &ServerAddress> {
        self.hosts.iter().chain(&*self.passives).chain(&*self.arbiters)
    }
}

impl TopologyDescription {
    /// Whether the two say the same of the deployment, each server compared as
    /// [`ServerDescription::is_equal_to`] does.
    pub fn is_equal_to(&self, other: &TopologyDescription) -> bool {
        self.topology_type == other.topology_type
            && self.set_name == other.set_name
            && self.max_set_version == other.max_set_version
            && self.max_election_id == other.max_election_id
            && self.compatibility_error == other.compatibility_error
            && self.logical_session_timeout_minutes == other.logical_session_timeout_minutes
            && self.heartbeat_frequency == other.heartbeat_frequency
            && self.servers.len() == other.servers.len()
            && self
                .servers
                .values()
                .zip(other.servers.values())
                .all(|(a, b)| Arc::ptr_eq(a, b) || a.is_equal_to(b))
    }
}

/// Shares `new`. Looking first is cheaper than counting owners for nothing.
fn adopt<T: ?Sized>(held: &mut Arc<T>, new: &Arc<T>) {
    if !Arc::ptr_eq(held, new) {
        *held = Arc::clone(new);
    }
}

/// Whether two lists are the same set. Nearly always they are the same object ([`crate::HelloReader`]); servers keep
/// their order, so the sorted comparison is the rare case.
fn same_members(a: &Arc<[ServerAddress]>, b: &Arc<[ServerAddress]>) -> bool {
    if a.len() != b.len() || Arc::ptr_eq(a, b) || a == b {
        return a.len() == b.len();
    }
    let mut a: Vec<_> = a.iter().collect();
    let mut b: Vec<_> = b.iter().collect();
    a.sort_unstable();
    b.sort_unstable();
    a == b
}
