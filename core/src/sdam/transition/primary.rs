//! What a primary's word does: it names the members, and only the newest primary is believed.
//!
//! Source: SDAM specification, "updateRSFromPrimary", "Using electionId and setVersion to detect stale primaries".

use super::{RemovalReason, Step, stale_primary};
use crate::sdam::{ServerDescription, ServerType, TopologyDescription};
use crate::shared::Arc;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// From this wire version on (MongoDB 6.0) electionId is compared before setVersion.
const ELECTION_ID_FIRST: i32 = 17;

impl Step {
    /// "updateRSFromPrimary".
    pub(super) fn update_rs_from_primary(&mut self, server: &Arc<ServerDescription>) {
        if !self.has_set_name_of(server) {
            self.check_if_has_primary();
            return;
        }
        if !advance_election(&mut self.next, server) {
            let message = alloc::format!(
                "primary marked stale due to electionId/setVersion mismatch, {} is stale compared to {}",
                tuple(server.election_id, server.set_version),
                tuple(self.next.max_election_id, self.next.max_set_version),
            );
            self.mark_unknown(server, stale_primary(message));
            self.check_if_has_primary();
            return;
        }
        self.displace_older_primaries(server);
        let members: BTreeSet<_> = server.members().collect();
        self.retain(
            |address| members.contains(address),
            || RemovalReason::NotAMember { primary: server.address.clone() },
        );
        // After the removals, so that servers on their way out take no room.
        self.add_missing(server.members());
        self.check_if_has_primary();
    }

    /// "A note on invalidating the old primary". Its pool is not cleared: a member that merely stepped down goes on
    /// serving its reads.
    fn displace_older_primaries(&mut self, newer: &ServerDescription) {
        let older: Vec<_> = self
            .next
            .servers
            .values()
            .filter(|server| server.server_type == ServerType::RsPrimary && server.address != newer.address)
            .cloned()
            .collect();
        for server in older {
            let message = alloc::format!(
                "primary marked stale due to discovery of newer primary {} {}",
                newer.address,
                tuple(newer.election_id, newer.set_version)
            );
            self.mark_unknown(&server, stale_primary(message));
            self.stale_primaries.push(server.address.clone());
        }
    }
}

/// Whether `server` is the newest primary yet heard of; if so, its election becomes the one to beat.
fn advance_election(topology: &mut TopologyDescription, server: &ServerDescription) -> bool {
    if server.max_wire_version >= ELECTION_ID_FIRST {
        // `None` is less than anything, as the specification asks.
        if (server.election_id, server.set_version) < (topology.max_election_id, topology.max_set_version) {
            return false;
        }
        topology.max_election_id = server.election_id;
        topology.max_set_version = server.set_version;
        return true;
    }
    if let (Some(version), Some(election)) = (server.set_version, server.election_id) {
        let newest = topology.max_set_version.zip(topology.max_election_id);
        if newest.is_some_and(|newest| (version, election) < newest) {
            return false;
        }
        topology.max_election_id = Some(election);
    }
    topology.max_set_version = topology.max_set_version.max(server.set_version);
    true
}

/// `(electionId, setVersion)` for people.
fn tuple(election_id: Option<[u8; 12]>, set_version: Option<i64>) -> String {
    let mut out = String::from("(");
    match election_id {
        Some(id) => id.iter().for_each(|byte| out.push_str(&alloc::format!("{byte:02x}"))),
        None => out.push_str("null"),
    }
    match set_version {
        Some(version) => out.push_str(&alloc::format!(", {version})")),
        None => out.push_str(", null)"),
    }
    out
}
