//! What an operation wants of its server, and whether that can be asked for at all.

use super::{IDLE_WRITE_PERIOD, Snapshot};
use crate::error::{Error, ErrorKind, Result};
use crate::sdam::{ServerDescription, TopologyType};
use crate::shared::Arc;
use crate::{ReadPreference, ReadPreferenceMode, SMALLEST_MAX_STALENESS, ServerAddress, TagSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A condition on one server. It must depend on the description alone: its answers are remembered until the topology
/// changes.
pub type ServerPredicate = Arc<dyn Fn(&ServerDescription) -> bool + Send + Sync>;

/// The application's own filter over the suitable servers, applied before the latency window (server selection
/// specification, "serverSelector"). It gets them in the order of their addresses and gives back those that may still
/// be used. It is called at every selection that finds at least one suitable server, so it may keep state.
///
/// ```
/// use quorate_core::sdam::ServerDescription;
/// use quorate_core::selection::ServerSelector;
/// // Keeps to one data centre, whatever its latency, as long as it has a server.
/// let near = ServerSelector::new(|servers: Vec<&ServerDescription>| {
///     let (here, there): (Vec<_>, Vec<_>) =
///         servers.into_iter().partition(|s| s.tags.get("dc").is_some_and(|dc| dc == "ny"));
///     if here.is_empty() { there } else { here }
/// });
/// # let _ = near;
/// ```
#[derive(Clone)]
pub struct ServerSelector(Arc<Select>);

type Select = dyn for<'a> Fn(Vec<&'a ServerDescription>) -> Vec<&'a ServerDescription> + Send + Sync;

impl ServerSelector {
    /// Asks `function` at every selection. It should return quickly.
    pub fn new(
        function: impl for<'a> Fn(Vec<&'a ServerDescription>) -> Vec<&'a ServerDescription>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        ServerSelector(Arc::new(function))
    }

    /// What it keeps of `servers`.
    pub fn select<'a>(&self, servers: Vec<&'a ServerDescription>) -> Vec<&'a ServerDescription> {
        (self.0)(servers)
    }
}

impl PartialEq for ServerSelector {
    /// Whether both are the same selector.
    fn eq(&self, other: &Self) -> bool {
        core::ptr::addr_eq(Arc::as_ptr(&self.0), Arc::as_ptr(&other.0))
    }
}

impl fmt::Debug for ServerSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerSelector")
    }
}

/// Which servers an operation can go to. Cheap to clone.
#[derive(Clone)]
#[non_exhaustive]
pub enum SelectionCriteria {
    /// One that takes writes: the primary, any mongos, the single server.
    Writable,
    /// Any that the read preference allows.
    ReadPreference(ReadPreference),
    /// That one and no other, as long as it is available: where a cursor or a transaction lives.
    Server(ServerAddress),
    /// Any available one that passes.
    Predicate(ServerPredicate),
}

impl SelectionCriteria {
    /// The read preference, if it is one.
    pub const fn as_read_preference(&self) -> Option<&ReadPreference> {
        if let SelectionCriteria::ReadPreference(preference) = self { Some(preference) } else { None }
    }
}

impl From<ReadPreference> for SelectionCriteria {
    fn from(preference: ReadPreference) -> Self {
        SelectionCriteria::ReadPreference(preference)
    }
}

impl Default for SelectionCriteria {
    /// Read preference `primary`.
    fn default() -> Self {
        SelectionCriteria::ReadPreference(ReadPreference::primary())
    }
}

impl PartialEq for SelectionCriteria {
    /// Equal criteria allow the same servers. Two predicates are equal when they are the same object.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (SelectionCriteria::Writable, SelectionCriteria::Writable) => true,
            (SelectionCriteria::ReadPreference(a), SelectionCriteria::ReadPreference(b)) => a == b,
            (SelectionCriteria::Server(a), SelectionCriteria::Server(b)) => a == b,
            (SelectionCriteria::Predicate(a), SelectionCriteria::Predicate(b)) => {
                core::ptr::addr_eq(Arc::as_ptr(a), Arc::as_ptr(b))
            }
            _ => false,
        }
    }
}

impl fmt::Display for SelectionCriteria {
    /// With every component of a read preference, as "Common Fields" of the specification's logging asks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectionCriteria::Writable => f.write_str("a writable server"),
            SelectionCriteria::Server(address) => write!(f, "server {address}"),
            SelectionCriteria::Predicate(_) => f.write_str("a custom predicate"),
            SelectionCriteria::ReadPreference(preference) => {
                write!(f, "read preference {{ mode: {}", preference.mode.as_str())?;
                if !preference.tag_sets.is_empty() {
                    write!(f, ", tags: {}", TagSets(&preference.tag_sets))?;
                }
                if let Some(max) = preference.max_staleness {
                    write!(f, ", maxStalenessSeconds: {}", max.as_secs())?;
                }
                f.write_str(" }")
            }
        }
    }
}

impl fmt::Debug for SelectionCriteria {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Tag sets as people write them: `[ { dc: ny, rack: 1 }, {} ]`.
pub(super) struct TagSets<'a>(pub(super) &'a [TagSet]);

impl fmt::Display for TagSets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, set) in self.0.iter().enumerate() {
            write!(f, "{} {}", if i == 0 { "" } else { "," }, Tags(set))?;
        }
        f.write_str(" ]")
    }
}

/// One set of tags: `{ dc: ny, rack: 1 }`.
pub(super) struct Tags<'a>(pub(super) &'a TagSet);

impl fmt::Display for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.0.iter().enumerate() {
            write!(f, "{} {name}: {value}", if i == 0 { "" } else { "," })?;
        }
        f.write_str(if self.0.is_empty() { "}" } else { " }" })
    }
}

/// Says what no waiting can mend: a topology this client cannot speak to, or a read preference that must be refused.
///
/// # Errors
/// - [`ErrorKind::Incompatible`]: wire versions do not meet ("Server Selection Algorithm", step 2).
/// - [`ErrorKind::InvalidArgument`]: mode `primary` with tags or staleness; on a replica set a `maxStalenessSeconds`
///   below 90 or below heartbeatFrequencyMS + idleWritePeriodMS ("maxStalenessSeconds").
pub fn check(snapshot: &Snapshot, criteria: &SelectionCriteria) -> Result<()> {
    if let Some(message) = snapshot.compatibility_error() {
        return Err(Error::new(ErrorKind::Incompatible { message: message.into() }));
    }
    match criteria.as_read_preference() {
        Some(preference) => check_preference(snapshot, preference).map_err(Error::invalid_argument),
        None => Ok(()),
    }
}

fn check_preference(snapshot: &Snapshot, preference: &ReadPreference) -> Result<(), String> {
    if preference.mode == ReadPreferenceMode::Primary {
        if preference.tag_sets.iter().any(|set| !set.is_empty()) {
            return Err("readPreferenceTags cannot be combined with read preference mode primary".into());
        }
        if preference.max_staleness.is_some() {
            return Err("maxStalenessSeconds cannot be combined with read preference mode primary".into());
        }
    }
    let replica_set = matches!(
        snapshot.topology_type(),
        TopologyType::ReplicaSetWithPrimary | TopologyType::ReplicaSetNoPrimary
    );
    let Some(max) = preference.max_staleness.filter(|_| replica_set) else { return Ok(()) };
    if max < SMALLEST_MAX_STALENESS {
        return Err(format!("maxStalenessSeconds must be at least 90, not {}", max.as_secs()));
    }
    let heartbeat = snapshot.heartbeat_frequency();
    let smallest = heartbeat.saturating_add(IDLE_WRITE_PERIOD);
    if max < smallest {
        return Err(format!(
            "maxStalenessSeconds must be at least heartbeatFrequencyMS + 10 s = {} s, not {}: a secondary's staleness is \
             known no better than that",
            smallest.as_secs_f64(),
            max.as_secs()
        ));
    }
    Ok(())
}
