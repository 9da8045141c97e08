//! Why no server could be selected, in words.
//!
//! Written for whoever reads it at three in the morning: what was wanted, what is probably wrong, and every server with
//! its type, round trip and last error. Bounded in length whatever the servers say ("Server Selection Errors").

use super::criteria::{TagSets, Tags};
use super::{SelectionCriteria, Snapshot, check, suitable};
use crate::error::{Error, ErrorKind};
use crate::sdam::{RemovalReason, ServerDescription, ServerType, TopologyDescription, TopologyType};
use crate::{Duration, ReadPreference, ReadPreferenceMode, ServerAddress};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

/// Servers listed one by one; the rest are counted.
const LISTED: usize = 20;
/// Longest error, tag list or address quoted from elsewhere, in characters.
const QUOTED: usize = 200;

/// The error of an operation that found no suitable server for `waited`.
pub fn timeout_error(
    topology: &TopologyDescription,
    criteria: &SelectionCriteria,
    waited: Duration,
) -> Error {
    let message =
        format!("Server selection timed out after {}: {}", seconds(waited), describe(topology, criteria));
    Error::new(ErrorKind::ServerSelection { message })
}

/// What was wanted and not found, the likely cause, and the topology:
///
/// `no primary found (1 of 2 members cannot be reached; the others know no primary: an election may be going on); topology:
/// ReplicaSetNoPrimary "rs0", servers: [ { a:27017, RSSecondary, 0.4 ms }, { b:27017, Unknown, error: connection refused } ]`
pub fn describe(topology: &TopologyDescription, criteria: &SelectionCriteria) -> String {
    let mut out = format!("{} ({}); ", wanted(topology, criteria), likely_cause(topology, criteria));
    write_topology(&mut out, topology, criteria);
    out
}

/// The servers that were taken out of the topology, each with the reason: what a list of servers cannot show. Empty if there
/// were none.
///
/// `; dropped: [ { a:27017, it belongs to the replica set "rs1", not "rs0" } ]`
pub fn describe_removals<'a>(removals: impl Iterator<Item = &'a (ServerAddress, RemovalReason)>) -> String {
    let mut out = String::new();
    for (address, reason) in removals.take(LISTED) {
        let before = if out.is_empty() { "; dropped: [" } else { "," };
        let _ = write!(out, "{before} {{ {}, {} }}", clip(address), clip(reason));
    }
    if !out.is_empty() {
        out.push_str(" ]");
    }
    out
}

/// `30 s`, `1.5 s`, `20 ms`.
fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{} s", time.as_secs_f64())
    }
}

fn is_replica_set(topology: &TopologyDescription) -> bool {
    matches!(topology.topology_type, TopologyType::ReplicaSetNoPrimary | TopologyType::ReplicaSetWithPrimary)
}

fn wanted(topology: &TopologyDescription, criteria: &SelectionCriteria) -> String {
    match criteria {
        SelectionCriteria::Writable if is_replica_set(topology) => "no primary found".into(),
        SelectionCriteria::Writable => "no writable server found".into(),
        SelectionCriteria::ReadPreference(ReadPreference { mode: ReadPreferenceMode::Primary, .. })
            if is_replica_set(topology) =>
        {
            "no primary found".into()
        }
        SelectionCriteria::ReadPreference(_) => format!("no server suitable for {}", clip(criteria)),
        SelectionCriteria::Server(address) => format!("server {} is not available", clip(address)),
        SelectionCriteria::Predicate(_) => "no server passes the custom predicate".into(),
    }
}

fn likely_cause(topology: &TopologyDescription, criteria: &SelectionCriteria) -> String {
    let snapshot = Snapshot::new(topology);
    if let Err(error) = check(&snapshot, criteria) {
        return clip(&error);
    }
    let mut found = Vec::new();
    suitable(&snapshot, criteria, &[], &mut found);
    if !found.is_empty() {
        return format!("{} suitable, but the application's server selector takes none of them", found.len());
    }
    if let SelectionCriteria::Server(address) = criteria {
        return pinned_cause(topology, address);
    }
    nobody_there(topology).unwrap_or_else(|| match criteria {
        SelectionCriteria::Predicate(_) => format!("{} servers are available", available(topology)),
        _ if !is_replica_set(topology) => {
            format!("none of {} servers is of the right type", topology.servers.len())
        }
        SelectionCriteria::ReadPreference(preference) if preference.mode != ReadPreferenceMode::Primary => {
            no_member(topology, preference)
        }
        _ => no_primary(topology),
    })
}

fn pinned_cause(topology: &TopologyDescription, address: &ServerAddress) -> String {
    match topology.server(address) {
        None => "it is no longer part of the deployment".into(),
        Some(server) => match &server.error {
            Some(error) => clip(error),
            None => "it has not answered yet".into(),
        },
    }
}

fn available(topology: &TopologyDescription) -> usize {
    topology.servers.values().filter(|server| server.server_type.is_available()).count()
}

/// The causes that leave no server at all, whatever was wanted.
fn nobody_there(topology: &TopologyDescription) -> Option<String> {
    let count = topology.servers.len();
    if count == 0 {
        return Some(match &topology.set_name {
            Some(name) if is_replica_set(topology) => format!(
                "every server of the seed list was dropped: none belongs to replica set \"{}\"; check the option \
                 replicaSet and the host names in the set's configuration",
                clip(name)
            ),
            _ => "no server is left of the seed list".into(),
        });
    }
    if available(topology) > 0 {
        let ghosts =
            topology.servers.values().filter(|server| server.server_type == ServerType::RsGhost).count();
        return (ghosts > 0 && ghosts == available(topology))
            .then(|| "the replica set has not been initiated, or the members were removed from it".into());
    }
    let mut errors = topology.servers.values().filter_map(|server| server.error.as_ref());
    Some(match errors.next() {
        None => "no server has answered yet".into(),
        Some(first) if errors.all(|error| error.kind == first.kind) && count > 1 => {
            format!("none of {count} servers can be used, all for the same reason: {}", clip(&first.kind))
        }
        Some(_) if count == 1 => "the only server cannot be used".into(),
        Some(_) => format!("none of {count} servers can be used"),
    })
}

fn no_primary(topology: &TopologyDescription) -> String {
    let (count, up) = (topology.servers.len(), available(topology));
    let possible = topology.servers.values().any(|server| server.server_type == ServerType::PossiblePrimary);
    if possible {
        "a member is said to be the primary, but has not answered yet".into()
    } else if up * 2 <= count {
        format!("{} of {count} members cannot be reached: perhaps too few for an election", count - up)
    } else if up < count {
        format!(
            "{} of {count} members cannot be reached; the others know no primary: an election may be going on",
            count - up
        )
    } else {
        format!("all {count} members answer and none is primary: an election may be going on")
    }
}

/// Why none of the members fits a read preference other than `primary`: mode, staleness or tags, in this order.
fn no_member(topology: &TopologyDescription, preference: &ReadPreference) -> String {
    let count_with = |preference: ReadPreference| {
        let mut found = Vec::new();
        suitable(&Snapshot::new(topology), &preference.into(), &[], &mut found);
        found.len()
    };
    let of_mode = count_with(ReadPreference::new(preference.mode));
    if of_mode == 0 {
        let down = topology.servers.len() - available(topology);
        return format!(
            "no {}; {down} of {} members cannot be reached",
            kind_of(preference.mode),
            topology.servers.len()
        );
    }
    let fresh = count_with(ReadPreference {
        max_staleness: preference.max_staleness,
        ..ReadPreference::new(preference.mode)
    });
    if fresh == 0 {
        let max = preference.max_staleness.unwrap_or_default().as_secs();
        return format!("{of_mode} of the right kind, all more than {max} s behind");
    }
    format!("{fresh} of the right kind, none with tags {}", clip(TagSets(&preference.tag_sets)))
}

const fn kind_of(mode: ReadPreferenceMode) -> &'static str {
    match mode {
        ReadPreferenceMode::Primary => "primary",
        ReadPreferenceMode::Secondary => "secondary",
        _ => "primary and no secondary",
    }
}

fn write_topology(out: &mut String, topology: &TopologyDescription, criteria: &SelectionCriteria) {
    let with_tags = criteria.as_read_preference().is_some_and(|preference| !preference.tag_sets.is_empty());
    out.push_str("topology: ");
    out.push_str(topology.topology_type.as_str());
    if let Some(name) = &topology.set_name {
        // Writing to a `String` cannot fail.
        let _ = write!(out, " \"{}\"", clip(name));
    }
    out.push_str(", servers: [");
    for (i, server) in topology.servers.values().take(LISTED).enumerate() {
        out.push_str(if i == 0 { " " } else { ", " });
        write_server(out, server, with_tags);
    }
    if topology.servers.len() > LISTED {
        let _ = write!(out, ", and {} more", topology.servers.len() - LISTED);
    }
    out.push_str(" ]");
}

fn write_server(out: &mut String, server: &ServerDescription, with_tags: bool) {
    let _ = write!(out, "{{ {}, {}", clip(&server.address), server.server_type);
    if let Some(rtt) = server.round_trip_time {
        let _ = write!(out, ", {:.1} ms", rtt.as_secs_f64() * 1000.0);
    }
    if with_tags && server.server_type.is_data_bearing() {
        let _ = write!(out, ", tags: {}", clip(Tags(&server.tags)));
    }
    if let Some(error) = &server.error {
        let _ = write!(out, ", error: {}", clip(&error.kind));
    }
    out.push_str(" }");
}

/// At most [`QUOTED`] characters of what somebody else wrote, on one line.
fn clip(text: impl core::fmt::Display) -> String {
    let mut sink = Clipped { text: String::new(), left: QUOTED };
    // The error only says that the rest was cut off.
    if write!(sink, "{text}").is_err() {
        sink.text.push('…');
    }
    sink.text
}

/// Takes up to a number of characters and refuses the rest, so that a huge text is never built.
struct Clipped {
    text: String,
    left: usize,
}

impl Write for Clipped {
    fn write_str(&mut self, piece: &str) -> core::fmt::Result {
        for c in piece.chars() {
            self.left = self.left.checked_sub(1).ok_or(core::fmt::Error)?;
            self.text.push(if c.is_control() { ' ' } else { c });
        }
        Ok(())
    }
}
