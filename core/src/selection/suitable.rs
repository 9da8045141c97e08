//! Which servers are suitable: topology type, mode, staleness, tags.

use super::snapshot::{Row, Snapshot};
use super::{SelectionCriteria, ServerSelector};
use crate::sdam::{ServerType, TopologyType};
use crate::{ReadPreference, ReadPreferenceMode, ServerAddress};
use alloc::vec::Vec;

/// Puts into `out` the servers suitable for `criteria`, by index and in the order of their addresses.
///
/// `deprioritized` servers (those an earlier attempt of the same operation failed on) are left out as long as others are
/// suitable ("Server Selection Algorithm", step 3). They are addresses because an address outlives a description.
pub fn suitable(
    snapshot: &Snapshot,
    criteria: &SelectionCriteria,
    deprioritized: &[ServerAddress],
    out: &mut Vec<u32>,
) {
    let avoid: Vec<u32> = deprioritized.iter().filter_map(|address| snapshot.index_of(address)).collect();
    suitable_without(snapshot, criteria, &avoid, out);
    if out.is_empty() && !avoid.is_empty() {
        suitable_without(snapshot, criteria, &[], out);
    }
}

/// Keeps of `candidates` what the application's selector keeps. It is not asked about no servers at all.
pub fn apply_selector(snapshot: &Snapshot, selector: &ServerSelector, candidates: &mut Vec<u32>) {
    if candidates.is_empty() {
        return;
    }
    let offered =
        candidates.iter().filter_map(|index| snapshot.server(*index)).map(|server| &**server).collect();
    let mut kept: Vec<u32> =
        selector.select(offered).iter().filter_map(|server| snapshot.index_of(&server.address)).collect();
    kept.sort_unstable();
    // What it never was offered, it cannot bring in.
    candidates.retain(|index| kept.binary_search(index).is_ok());
}

/// The server at `address`, if it is available: where a cursor lives, nothing else matters.
pub(super) fn pinned(snapshot: &Snapshot, address: &ServerAddress) -> Option<u32> {
    let known = snapshot.topology_type() != TopologyType::Unknown;
    let index = snapshot.index_of(address).filter(|_| known)?;
    snapshot.row(index)?.server_type.is_available().then_some(index)
}

fn suitable_without(snapshot: &Snapshot, criteria: &SelectionCriteria, avoid: &[u32], out: &mut Vec<u32>) {
    use ReadPreferenceMode::Primary;
    use TopologyType::*;
    out.clear();
    let mut view = View { snapshot, avoid, out };
    match (snapshot.topology_type(), criteria) {
        // "Topology type: Unknown": no servers are suitable.
        (Unknown, _) => {}
        (_, SelectionCriteria::Server(address)) => {
            view.out.extend(pinned(snapshot, address).filter(|at| !avoid.contains(at)));
        }
        (_, SelectionCriteria::Predicate(predicate)) => {
            view.collect(|at, row| {
                row.server_type.is_available() && snapshot.server(at).is_some_and(|server| predicate(server))
            });
        }
        // "Topology type: Single": the one server, whatever it is, for reads and writes; the read preference is ignored.
        (Single | LoadBalanced, _) => view.collect(|_, row| row.server_type.is_available()),
        // "Topology type: Sharded": any mongos, for reads and writes; the read preference is passed through.
        (Sharded, _) => view.collect(|_, row| row.server_type == ServerType::Mongos),
        (ReplicaSetWithPrimary | ReplicaSetNoPrimary, SelectionCriteria::Writable) => {
            view.collect_stages(stages(Primary), None);
        }
        (ReplicaSetWithPrimary | ReplicaSetNoPrimary, SelectionCriteria::ReadPreference(preference)) => {
            view.collect_stages(stages(preference.mode), Some(preference));
        }
    }
}

/// Who is asked, in which order.
#[derive(Clone, Copy)]
enum Stage {
    /// The primary; neither staleness nor tags apply.
    Primary,
    /// Secondaries fresh enough, with the right tags.
    EligibleSecondaries,
    /// Primary and secondaries alike, fresh enough, with the right tags.
    EligibleMembers,
}

/// "Topology types: ReplicaSetWithPrimary or ReplicaSetNoPrimary", "Read operations": the first stage that finds anybody
/// decides.
const fn stages(mode: ReadPreferenceMode) -> &'static [Stage] {
    match mode {
        ReadPreferenceMode::Primary => &[Stage::Primary],
        ReadPreferenceMode::PrimaryPreferred => &[Stage::Primary, Stage::EligibleSecondaries],
        ReadPreferenceMode::Secondary => &[Stage::EligibleSecondaries],
        ReadPreferenceMode::SecondaryPreferred => &[Stage::EligibleSecondaries, Stage::Primary],
        ReadPreferenceMode::Nearest => &[Stage::EligibleMembers],
    }
}

/// The servers less those to avoid, and where the outcome goes.
struct View<'a> {
    snapshot: &'a Snapshot,
    avoid: &'a [u32],
    out: &'a mut Vec<u32>,
}

impl View<'_> {
    fn collect(&mut self, wanted: impl Fn(u32, &Row) -> bool) {
        let avoid = self.avoid;
        let found = self.snapshot.rows().filter(|(at, row)| wanted(*at, row) && !avoid.contains(at));
        self.out.extend(found.map(|(at, _)| at));
    }

    fn collect_stages(&mut self, stages: &[Stage], preference: Option<&ReadPreference>) {
        for stage in stages {
            match stage {
                Stage::Primary => self.collect(|_, row| row.server_type == ServerType::RsPrimary),
                Stage::EligibleSecondaries => {
                    self.collect(|_, row| row.server_type == ServerType::RsSecondary);
                    self.keep_eligible(preference);
                }
                Stage::EligibleMembers => {
                    self.collect(|_, row| {
                        matches!(row.server_type, ServerType::RsPrimary | ServerType::RsSecondary)
                    });
                    self.keep_eligible(preference);
                }
            }
            if !self.out.is_empty() {
                return;
            }
        }
    }

    /// Staleness before tags: "Why is maxStalenessSeconds applied before tag_sets?"
    fn keep_eligible(&mut self, preference: Option<&ReadPreference>) {
        let Some(preference) = preference else { return };
        if let Some(max) = preference.max_staleness {
            let max = i64::try_from(max.as_millis()).unwrap_or(i64::MAX);
            let estimate = Staleness::of(self.snapshot);
            let snapshot = self.snapshot;
            self.out.retain(|at| {
                snapshot.row(*at).and_then(|row| estimate.millis(row)).is_some_and(|stale| stale <= max)
            });
        }
        self.keep_tagged(preference);
    }

    /// "tag_sets": the first set that anybody matches decides; no sets at all match everybody.
    fn keep_tagged(&mut self, preference: &ReadPreference) {
        if preference.tag_sets.is_empty() {
            return;
        }
        let snapshot = self.snapshot;
        for set in preference.tag_sets.iter() {
            let matches = |at: &u32| {
                snapshot.server(*at).is_some_and(|server| {
                    set.iter().all(|(name, value)| server.tags.get(name) == Some(value))
                })
            };
            if self.out.iter().any(matches) {
                self.out.retain(matches);
                return;
            }
        }
        self.out.clear();
    }
}

/// How far behind secondaries are, at worst (max staleness specification, "Client"). The yardstick is taken from the
/// whole topology: a deprioritized primary still knows what it wrote.
enum Staleness {
    /// Against the primary: its `lastUpdateTime - lastWriteDate`, if it told.
    ToPrimary { write_lag: Option<i64>, heartbeat: i64 },
    /// Against the secondary with the greatest `lastWriteDate` ("SMax").
    ToFreshest { last_write: Option<i64>, heartbeat: i64 },
}

impl Staleness {
    fn of(snapshot: &Snapshot) -> Self {
        let heartbeat = i64::try_from(snapshot.heartbeat_frequency().as_millis()).unwrap_or(i64::MAX);
        if snapshot.topology_type() == TopologyType::ReplicaSetWithPrimary {
            let primary = snapshot.rows().find(|(_, row)| row.server_type == ServerType::RsPrimary);
            Staleness::ToPrimary { write_lag: primary.and_then(|(_, row)| row.write_lag), heartbeat }
        } else {
            let secondaries = snapshot.rows().filter(|(_, row)| row.server_type == ServerType::RsSecondary);
            Staleness::ToFreshest {
                last_write: secondaries.filter_map(|(_, row)| row.last_write).max(),
                heartbeat,
            }
        }
    }

    /// In milliseconds; `None` for a secondary that has not told enough, which nobody can call fresh.
    fn millis(&self, row: &Row) -> Option<i64> {
        if row.server_type != ServerType::RsSecondary {
            return Some(0);
        }
        match *self {
            Staleness::ToPrimary { write_lag, heartbeat } => {
                Some(row.write_lag?.saturating_sub(write_lag?).saturating_add(heartbeat))
            }
            Staleness::ToFreshest { last_write, heartbeat } => {
                Some(last_write?.saturating_sub(row.last_write?).saturating_add(heartbeat))
            }
        }
    }
}
