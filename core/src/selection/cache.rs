//! What selection has already worked out for the current topology.

use super::suitable::pinned;
use super::{
    SelectionCriteria, ServerSelector, Snapshot, apply_selector, check, in_window, power_of_two, suitable,
};
use crate::error::Result;
use crate::shared::Arc;
use crate::{Duration, ReadPreference, ReadPreferenceMode, Rng, ServerAddress};
use alloc::vec::Vec;
use core::fmt;

/// How many criteria beyond the five plain modes are remembered; the oldest makes room.
const REMEMBERED: usize = 16;

/// Picks servers for operations, remembering the candidates of each criteria in use until the topology changes.
///
/// On the common path [`CandidateCache::pick`] compares a revision and draws one random number; it allocates nothing. The
/// first pick after a change works the candidates out again, into the same memory. A cache belongs to one [`Snapshot`]:
/// revisions of two different ones cannot be told apart.
///
/// ```
/// # use quorate_core::sdam::{TopologyDescription, TopologyType};
/// # use quorate_core::selection::{CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, Snapshot};
/// # use quorate_core::{Duration, Rng};
/// # let topology = TopologyDescription { topology_type: TopologyType::Unknown, set_name: None, max_set_version: None,
/// #     max_election_id: None, servers: Default::default(), compatibility_error: None,
/// #     logical_session_timeout_minutes: None, heartbeat_frequency: Duration::from_secs(10) };
/// let snapshot = Snapshot::new(&topology);
/// let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
/// let operations = [0u32; 3];
/// let count = |at: u32| operations.get(at as usize).copied().unwrap_or(0);
/// let picked = cache.pick(&snapshot, &SelectionCriteria::Writable, count, &mut Rng::new(1)).unwrap();
/// assert_eq!(picked, None); // nothing is known yet: wait for the next revision
/// ```
pub struct CandidateCache {
    local_threshold: Duration,
    selector: Option<ServerSelector>,
    /// By mode, for read preferences without tags and staleness. Writes share the primary's: every topology type treats
    /// them alike.
    plain: [Candidates; 5],
    others: Vec<(SelectionCriteria, Candidates)>,
    /// Which of `others` has been there longest, once they are full.
    oldest: usize,
    scratch: Vec<u32>,
}

/// Candidates as of a revision; revision 0 is before any.
#[derive(Clone, Debug, Default)]
struct Candidates {
    revision: u64,
    servers: Vec<u32>,
}

impl CandidateCache {
    /// A cache that remembers nothing yet. `selector` is the application's own filter, if it has one; with it, every
    /// pick pays for the call and for the latency window, as its answer may change from call to call.
    pub fn new(local_threshold: Duration, selector: Option<ServerSelector>) -> Self {
        CandidateCache {
            local_threshold,
            selector,
            plain: Default::default(),
            others: Vec::new(),
            oldest: 0,
            scratch: Vec::new(),
        }
    }

    /// The server for the next operation, by index; `None` when nobody is suitable now and it has to wait for the next
    /// revision. `operation_count` gives the operations in flight by index.
    ///
    /// # Errors
    /// As [`check`]: no waiting will help.
    #[inline]
    pub fn pick(
        &mut self,
        snapshot: &Snapshot,
        criteria: &SelectionCriteria,
        operation_count: impl Fn(u32) -> u32,
        rng: &mut Rng,
    ) -> Result<Option<u32>> {
        match power_of_two(self.candidates(snapshot, criteria), operation_count, rng) {
            Some(picked) => Ok(Some(picked)),
            None => check(snapshot, criteria).map(|()| None),
        }
    }

    /// As [`CandidateCache::pick`], for an attempt after others have failed on the `deprioritized` servers. Rare, so
    /// nothing of it is remembered.
    ///
    /// # Errors
    /// As [`check`].
    pub fn pick_avoiding(
        &mut self,
        snapshot: &Snapshot,
        criteria: &SelectionCriteria,
        deprioritized: &[ServerAddress],
        operation_count: impl Fn(u32) -> u32,
        rng: &mut Rng,
    ) -> Result<Option<u32>> {
        check(snapshot, criteria)?;
        if let SelectionCriteria::Server(_) = criteria {
            return self.pick(snapshot, criteria, operation_count, rng);
        }
        suitable(snapshot, criteria, deprioritized, &mut self.scratch);
        if let Some(selector) = &self.selector {
            apply_selector(snapshot, selector, &mut self.scratch);
        }
        in_window(snapshot, self.local_threshold, &mut self.scratch);
        Ok(power_of_two(&self.scratch, operation_count, rng))
    }

    /// The servers an operation may go to now: suitable, kept by the application's selector, within the latency window.
    /// Empty when `criteria` must be refused.
    #[inline]
    pub fn candidates(&mut self, snapshot: &Snapshot, criteria: &SelectionCriteria) -> &[u32] {
        if let (Some(mode), None) = (plain_mode(criteria), &self.selector) {
            let slot = &mut self.plain[mode as usize];
            if slot.revision != snapshot.revision() {
                slot.fill(snapshot, criteria, Some(self.local_threshold));
            }
            return &slot.servers;
        }
        self.less_common(snapshot, criteria)
    }

    fn less_common(&mut self, snapshot: &Snapshot, criteria: &SelectionCriteria) -> &[u32] {
        if let SelectionCriteria::Server(address) = criteria {
            // One binary search; remembering addresses would only push read preferences out. The application's selector has no
            // say: what is pinned to a server exists nowhere else.
            self.scratch.clear();
            if snapshot.compatibility_error().is_none() {
                self.scratch.extend(pinned(snapshot, address));
            }
            return &self.scratch;
        }
        let at = self.slot_for(criteria);
        let window = self.selector.is_none().then_some(self.local_threshold);
        let Some((_, slot)) = self.others.get_mut(at) else { return &[] };
        if slot.revision != snapshot.revision() {
            slot.fill(snapshot, criteria, window);
        }
        let Some(selector) = &self.selector else { return &slot.servers };
        self.scratch.clone_from(&slot.servers);
        apply_selector(snapshot, selector, &mut self.scratch);
        in_window(snapshot, self.local_threshold, &mut self.scratch);
        &self.scratch
    }

    /// Where in `others` these criteria are, made room for if they are new.
    fn slot_for(&mut self, criteria: &SelectionCriteria) -> usize {
        let others = &self.others;
        // By identity first: an application passes clones of the same few objects.
        let found = others
            .iter()
            .position(|(have, _)| same_object(have, criteria))
            .or_else(|| others.iter().position(|(have, _)| have == criteria));
        if let Some(at) = found {
            return at;
        }
        let entry = (criteria.clone(), Candidates::default());
        if self.others.len() < REMEMBERED {
            self.others.push(entry);
            return self.others.len() - 1;
        }
        let at = self.oldest;
        self.oldest = (at + 1) % REMEMBERED;
        if let Some(slot) = self.others.get_mut(at) {
            *slot = entry;
        }
        at
    }
}

impl fmt::Debug for CandidateCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CandidateCache")
            .field("local_threshold", &self.local_threshold)
            .field("selector", &self.selector.is_some())
            .field("plain", &self.plain)
            .field("others", &self.others)
            .finish_non_exhaustive()
    }
}

impl Candidates {
    #[cold]
    fn fill(&mut self, snapshot: &Snapshot, criteria: &SelectionCriteria, window: Option<Duration>) {
        self.revision = snapshot.revision();
        self.servers.clear();
        if check(snapshot, criteria).is_err() {
            return;
        }
        suitable(snapshot, criteria, &[], &mut self.servers);
        if let Some(threshold) = window {
            in_window(snapshot, threshold, &mut self.servers);
        }
    }
}

/// The mode, where nothing else is asked for.
#[inline]
fn plain_mode(criteria: &SelectionCriteria) -> Option<ReadPreferenceMode> {
    match criteria {
        SelectionCriteria::Writable => Some(ReadPreferenceMode::Primary),
        SelectionCriteria::ReadPreference(ReadPreference { mode, tag_sets, max_staleness: None })
            if tag_sets.iter().all(|set| set.is_empty()) =>
        {
            Some(*mode)
        }
        _ => None,
    }
}

/// Whether two criteria are clones of one, told without looking into tags.
fn same_object(a: &SelectionCriteria, b: &SelectionCriteria) -> bool {
    match (a, b) {
        (SelectionCriteria::ReadPreference(a), SelectionCriteria::ReadPreference(b)) => {
            a.mode == b.mode && a.max_staleness == b.max_staleness && Arc::ptr_eq(&a.tag_sets, &b.tag_sets)
        }
        (SelectionCriteria::Predicate(_), SelectionCriteria::Predicate(_)) => a == b,
        _ => false,
    }
}
