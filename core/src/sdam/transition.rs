//! The table of server discovery: a topology and a new server description make the next topology.
//!
//! [`updated_topology`] is a pure function; nothing here knows of pools, monitors or events. Hold
//! [`Step::apply`] against the specification's "TopologyType table": one arm is one cell (or a row of equal cells), and
//! each action carries the specification's name.
//!
//! The specification's PossiblePrimary tells a single-threaded client whom to check first. Here every server has a monitor
//! of its own, so the type is what the specification says it is for such clients: a synonym of Unknown, never made.
//!
//! Source: SDAM specification, "Updating the TopologyDescription".

mod primary;

use super::compat::incompatibility;
use super::{ServerDescription, ServerType, TopologyDescription, TopologyOptions, TopologyType};
use crate::error::Error;
use crate::shared::Arc;
use crate::{ErrorKind, ServerAddress};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most servers a topology may grow to. Without a primary, members only ever add servers, and a member that means
/// harm could name new ones for ever. A connection string names no more either.
pub const MAX_SERVERS: usize = 1000;

/// What a new server description made of a topology, and which servers came, went and changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Transition {
    /// The topology from now on.
    pub topology: Arc<TopologyDescription>,
    /// Servers to begin monitoring, in the order they were named.
    pub added: Vec<ServerAddress>,
    /// Servers to stop monitoring, with the reason.
    pub removed: Vec<(ServerAddress, RemovalReason)>,
    /// Servers whose description was replaced by one that is not equal, by address.
    pub changed: Vec<ServerAddress>,
    /// Primaries displaced by a newer one that are still members: each needs an immediate check.
    pub stale_primaries: Vec<ServerAddress>,
}

/// Why a server was taken out of a topology.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemovalReason {
    /// The primary does not name it as a member.
    NotAMember {
        /// The primary that says so.
        primary: ServerAddress,
    },
    /// It belongs to another replica set.
    WrongSetName {
        /// The set's name, given by the user or learnt from a member.
        expected: String,
        /// What the server says.
        found: Option<String>,
    },
    /// It goes by another name in the replica set's configuration.
    WrongMe {
        /// That name.
        me: ServerAddress,
    },
    /// A server of that type has no place in a topology of that type.
    WrongType {
        /// What the server is.
        server_type: ServerType,
        /// What the topology is.
        topology_type: TopologyType,
    },
    /// The SRV record does not list it any more.
    NotInSrvRecord,
    /// The client is closing.
    Closed,
}

impl core::fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RemovalReason::NotAMember { primary } => {
                write!(f, "the primary {primary} does not name it as a member")
            }
            RemovalReason::WrongSetName { expected, found: Some(found) } => {
                write!(f, "it belongs to the replica set {found:?}, not {expected:?}")
            }
            RemovalReason::WrongSetName { expected, found: None } => {
                write!(f, "it belongs to no replica set, not to {expected:?}")
            }
            RemovalReason::WrongMe { me } => write!(f, "the replica set's configuration calls it {me}"),
            RemovalReason::WrongType { server_type, topology_type } => {
                write!(f, "a server of type {server_type} has no place in a topology of type {topology_type}")
            }
            RemovalReason::NotInSrvRecord => f.write_str("the SRV record does not list it any more"),
            RemovalReason::Closed => f.write_str("the client is closing"),
        }
    }
}

/// The topology after `new` has been heard.
///
/// A server that is not in the topology (any more) and a description whose topologyVersion is older than the one held
/// change nothing ("Replacing the TopologyDescription").
pub fn updated_topology(
    old: &Arc<TopologyDescription>,
    new: ServerDescription,
    options: &TopologyOptions,
) -> Transition {
    let Some(held) = old.servers.get(&new.address) else { return Transition::none(old) };
    if mistaken!(options, VersionsReversed) && is_stale(&new, held) {
        return Transition::none(old);
    }
    if is_stale(held, &new) {
        return Transition::none(old);
    }
    let mut step = Step::new(TopologyDescription::clone(old));
    let new = Arc::new(new);
    step.next.servers.insert(new.address.clone(), Arc::clone(&new));
    if mistaken!(options, StalePrimaryBelieved) {
        (step.next.max_election_id, step.next.max_set_version) = (None, None);
    }
    step.apply(&new, options);
    step.finish(old)
}

/// The topology after the SRV record was looked up again and names `hosts` (polling SRV records specification). Only a
/// topology of type Unknown or Sharded follows it, and an empty answer changes nothing.
///
/// Choosing `srvMaxHosts` of the hosts at random is up to the resolver: what arrives here is its choice.
pub fn updated_from_srv(old: &Arc<TopologyDescription>, hosts: &[ServerAddress]) -> Transition {
    if !matches!(old.topology_type, TopologyType::Unknown | TopologyType::Sharded) || hosts.is_empty() {
        return Transition::none(old);
    }
    let mut step = Step::new(TopologyDescription::clone(old));
    let wanted: alloc::collections::BTreeSet<_> = hosts.iter().collect();
    step.retain(|address| wanted.contains(address), || RemovalReason::NotInSrvRecord);
    step.add_missing(hosts.iter());
    step.finish(old)
}

/// `isStaleServerDescription`: what is held is strictly newer.
fn is_stale(held: &ServerDescription, new: &ServerDescription) -> bool {
    match (&held.topology_version, &new.topology_version) {
        (Some(held), Some(new)) => held.process_id == new.process_id && held.counter > new.counter,
        _ => false,
    }
}

impl Transition {
    /// From nothing to the starting description.
    pub(super) fn opening(topology: Arc<TopologyDescription>, added: Vec<ServerAddress>) -> Self {
        Transition { added, ..Self::none(&topology) }
    }

    /// From whatever there was to nothing.
    pub(super) fn closing(
        topology: Arc<TopologyDescription>,
        removed: Vec<(ServerAddress, RemovalReason)>,
    ) -> Self {
        Transition { removed, ..Self::none(&topology) }
    }

    fn none(old: &Arc<TopologyDescription>) -> Self {
        Transition {
            topology: Arc::clone(old),
            added: Vec::new(),
            removed: Vec::new(),
            changed: Vec::new(),
            stale_primaries: Vec::new(),
        }
    }
}

/// A transition under way: the next topology, as yet mutable, and what has been done to it.
struct Step {
    next: TopologyDescription,
    added: Vec<ServerAddress>,
    removed: Vec<(ServerAddress, RemovalReason)>,
    stale_primaries: Vec<ServerAddress>,
}

impl Step {
    fn new(next: TopologyDescription) -> Self {
        Step { next, added: Vec::new(), removed: Vec::new(), stale_primaries: Vec::new() }
    }

    /// "TopologyType table". The server's old description has been replaced already.
    fn apply(&mut self, server: &Arc<ServerDescription>, options: &TopologyOptions) {
        use ServerType as S;
        use TopologyType as T;
        match (self.next.topology_type, server.server_type) {
            (T::LoadBalanced, _) => {}
            (T::Single, _) => self.verify_set_name(server),

            (T::Unknown, S::Unknown | S::PossiblePrimary | S::RsGhost) => {}
            (T::Unknown, S::Standalone | S::LoadBalancer) => {
                self.update_unknown_with_standalone(server, options)
            }
            (T::Unknown, S::Mongos) => self.next.topology_type = T::Sharded,
            (T::Unknown | T::ReplicaSetNoPrimary, S::RsPrimary) => {
                self.next.topology_type = T::ReplicaSetWithPrimary;
                self.update_rs_from_primary(server);
            }
            (T::Unknown, S::RsSecondary | S::RsArbiter | S::RsOther) => {
                self.next.topology_type = T::ReplicaSetNoPrimary;
                self.update_rs_without_primary(server);
            }

            (T::Sharded, S::Unknown | S::PossiblePrimary | S::Mongos) => {}
            (T::Sharded, _) => self.remove_for_its_type(server),

            (T::ReplicaSetNoPrimary, S::Unknown | S::PossiblePrimary | S::RsGhost) => {}
            (T::ReplicaSetNoPrimary, S::Standalone | S::Mongos | S::LoadBalancer) => {
                self.remove_for_its_type(server);
            }
            (T::ReplicaSetNoPrimary, S::RsSecondary | S::RsArbiter | S::RsOther) => {
                self.update_rs_without_primary(server);
            }

            (T::ReplicaSetWithPrimary, S::Unknown | S::PossiblePrimary | S::RsGhost) => {
                self.check_if_has_primary();
            }
            (T::ReplicaSetWithPrimary, S::Standalone | S::Mongos | S::LoadBalancer) => {
                self.remove_for_its_type(server);
                self.check_if_has_primary();
            }
            (T::ReplicaSetWithPrimary, S::RsPrimary) => self.update_rs_from_primary(server),
            (T::ReplicaSetWithPrimary, S::RsSecondary | S::RsArbiter | S::RsOther) => {
                self.update_rs_with_primary_from_member(server);
            }
        }
    }

    /// "Verifying setName with TopologyType Single".
    fn verify_set_name(&mut self, server: &Arc<ServerDescription>) {
        let Some(expected) = &self.next.set_name else { return };
        if server.server_type == ServerType::Unknown || server.set_name.as_ref() == Some(expected) {
            return;
        }
        let found = match &server.set_name {
            Some(found) => alloc::format!("a member of {found:?}"),
            None => alloc::format!("a {}", server.server_type),
        };
        let error = Error::invalid_argument(alloc::format!(
            "the client is to connect to a member of the replica set {expected:?}, but the server is {found}"
        ));
        self.mark_unknown(server, error);
    }

    /// "updateUnknownWithStandalone". A lone seed may have got company from the SRV record since; then the topology is no
    /// single server either.
    fn update_unknown_with_standalone(&mut self, server: &ServerDescription, options: &TopologyOptions) {
        if options.seeds.len() == 1 && self.next.servers.len() == 1 {
            self.next.topology_type = TopologyType::Single;
        } else {
            self.remove_for_its_type(server);
        }
    }

    /// "updateRSWithoutPrimary".
    fn update_rs_without_primary(&mut self, server: &ServerDescription) {
        if !self.has_set_name_of(server) {
            return;
        }
        self.add_missing(server.members());
        self.has_own_address(server);
    }

    /// "updateRSWithPrimaryFromMember".
    fn update_rs_with_primary_from_member(&mut self, server: &ServerDescription) {
        if self.has_set_name_of(server) {
            self.has_own_address(server);
        }
        self.check_if_has_primary();
    }

    /// Compares the set's name, taking it over if none is known; a server of another set is removed.
    fn has_set_name_of(&mut self, server: &ServerDescription) -> bool {
        match &self.next.set_name {
            None => {
                self.next.set_name.clone_from(&server.set_name);
                true
            }
            Some(name) if Some(name) == server.set_name.as_ref() => true,
            Some(name) => {
                let reason = RemovalReason::WrongSetName {
                    expected: name.to_string(),
                    found: server.set_name.as_deref().map(Into::into),
                };
                self.remove(&server.address, reason);
                false
            }
        }
    }

    /// Removes a member that the configuration calls by another name than the one it was reached by ("Using me field to
    /// detect seed list members that do not match host names in the replica set configuration").
    fn has_own_address(&mut self, server: &ServerDescription) {
        if let Some(me) = server.me.as_deref().filter(|me| **me != server.address) {
            self.remove(&server.address, RemovalReason::WrongMe { me: me.clone() });
        }
    }

    /// "checkIfHasPrimary".
    fn check_if_has_primary(&mut self) {
        self.next.topology_type = match self.next.primary() {
            Some(_) => TopologyType::ReplicaSetWithPrimary,
            None => TopologyType::ReplicaSetNoPrimary,
        };
    }

    fn add_missing<'a>(&mut self, addresses: impl Iterator<Item = &'a ServerAddress>) {
        for address in addresses {
            if self.next.servers.len() >= MAX_SERVERS {
                return;
            }
            if !self.next.servers.contains_key(address) {
                let unknown = Arc::new(ServerDescription::unknown(address.clone()));
                self.next.servers.insert(address.clone(), unknown);
                self.added.push(address.clone());
            }
        }
    }

    /// "remove".
    fn remove(&mut self, address: &ServerAddress, reason: RemovalReason) {
        if self.next.servers.remove(address).is_some() {
            self.removed.push((address.clone(), reason));
        }
    }

    fn remove_for_its_type(&mut self, server: &ServerDescription) {
        let reason = RemovalReason::WrongType {
            server_type: server.server_type,
            topology_type: self.next.topology_type,
        };
        self.remove(&server.address, reason);
    }

    /// Removes every server that `keep` refuses.
    fn retain(&mut self, keep: impl Fn(&ServerAddress) -> bool, reason: impl Fn() -> RemovalReason) {
        let removed = &mut self.removed;
        self.next.servers.retain(|address, _| {
            let kept = keep(address);
            if !kept {
                removed.push((address.clone(), reason()));
            }
            kept
        });
    }

    /// Replaces a server's description with a default one of type Unknown and an error. No topologyVersion is kept, so
    /// that the next check is believed whatever it says.
    fn mark_unknown(&mut self, server: &ServerDescription, error: Error) {
        let mut unknown = ServerDescription::from_error(server.address.clone(), error, None);
        unknown.last_update = server.last_update;
        self.next.servers.insert(server.address.clone(), Arc::new(unknown));
    }

    /// What follows from all servers together: compatibility, session time-out, and which descriptions changed.
    fn finish(mut self, old: &TopologyDescription) -> Transition {
        self.next.compatibility_error = self.next.servers.values().find_map(|server| incompatibility(server));
        self.next.logical_session_timeout_minutes = session_timeout(&self.next);
        let changed = self
            .next
            .servers
            .iter()
            .filter(|(address, new)| {
                old.servers.get(*address).is_some_and(|old| !Arc::ptr_eq(old, new) && !old.is_equal_to(new))
            })
            .map(|(address, _)| address.clone())
            .collect();
        let next = &self.next;
        self.stale_primaries.retain(|address| next.servers.contains_key(address));
        Transition {
            topology: Arc::new(self.next),
            added: self.added,
            removed: self.removed,
            changed,
            stale_primaries: self.stale_primaries,
        }
    }
}

/// "Logical Session Timeout": the smallest of the data-bearing servers, if each of them has one.
fn session_timeout(topology: &TopologyDescription) -> Option<i64> {
    let mut smallest = None;
    for server in topology.servers.values().filter(|server| server.server_type.is_data_bearing()) {
        let minutes = server.logical_session_timeout_minutes?;
        smallest = Some(smallest.map_or(minutes, |least: i64| least.min(minutes)));
    }
    smallest
}

/// An error for a primary that is one no longer.
fn stale_primary(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::StalePrimary { message: message.into() })
}

#[cfg(test)]
mod tests;
