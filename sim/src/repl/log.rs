//! The oplog of one member: entries in order, none twice, the oldest dropped.

use crate::oplog::SharedEntry;
use quorate_core::concern::OpTime;
use std::collections::VecDeque;

/// Before the first entry of any log.
pub(crate) const NOTHING: OpTime = OpTime::new(-1, 0, 0);

/// Entries with strictly rising optimes. What lies before `floor` has been dropped; the entry at `floor` is known by its
/// optime alone.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    entries: VecDeque<SharedEntry>,
    floor: OpTime,
    /// What the entries take in memory.
    bytes: u64,
}

impl Log {
    pub(crate) fn new() -> Self {
        Log { entries: VecDeque::new(), floor: NOTHING, bytes: 0 }
    }

    /// The last entry's optime; [`NOTHING`] when there never was one.
    pub(crate) fn last(&self) -> OpTime {
        self.entries.back().map_or(self.floor, |entry| entry.optime)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last() == NOTHING
    }

    pub(crate) fn floor(&self) -> OpTime {
        self.floor
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &SharedEntry> {
        self.entries.iter()
    }

    /// Appends an entry; one that is not after the last is refused.
    pub(crate) fn push(&mut self, entry: SharedEntry) -> bool {
        let fits = entry.optime > self.last();
        if fits {
            self.bytes += entry.footprint();
            self.entries.push_back(entry);
        }
        fits
    }

    /// How many entries are not after `optime`.
    fn position(&self, optime: OpTime) -> usize {
        match self.entries.back() {
            // By far the commonest questions: after the last, and after the last but one.
            Some(last) if last.optime <= optime => self.entries.len(),
            _ => self.entries.partition_point(|entry| entry.optime <= optime),
        }
    }

    /// Whether that very entry is, or was before it was dropped, the one at its place here.
    pub(crate) fn contains(&self, optime: OpTime) -> bool {
        optime == self.floor
            || self
                .position(optime)
                .checked_sub(1)
                .and_then(|at| self.entries.get(at))
                .is_some_and(|entry| entry.optime == optime)
    }

    /// Up to `limit` entries after `optime`.
    pub(crate) fn after(&self, optime: OpTime, limit: usize) -> Vec<SharedEntry> {
        let from = self.position(optime);
        let to = self.entries.len().min(from.saturating_add(limit));
        self.entries.range(from..to).cloned().collect()
    }

    /// Forgets everything after `optime`; returns how many entries.
    pub(crate) fn truncate_after(&mut self, optime: OpTime) -> usize {
        let keep = self.position(optime);
        let gone = self.entries.len() - keep;
        self.bytes -= self.entries.range(keep..).map(|entry| entry.footprint()).sum::<u64>();
        self.entries.truncate(keep);
        gone
    }

    /// Drops the oldest entries beyond `count` and beyond `bytes`, but none after `committed`: those may still have to be undone.
    /// Says whether there were any.
    pub(crate) fn trim(&mut self, count: usize, bytes: u64, committed: OpTime) -> bool {
        let before = self.floor;
        while self.entries.len() > count || self.bytes > bytes {
            // The last one stays, however large: it says where the log ends.
            let Some(first) = self.entries.front().filter(|first| first.optime <= committed) else { break };
            if self.entries.len() == 1 {
                break;
            }
            self.floor = first.optime;
            self.bytes -= first.footprint();
            self.entries.pop_front();
        }
        // After an initial sync, or a member's return, there may be room for many more.
        if self.entries.capacity() > 64 && self.entries.capacity() / 4 > self.entries.len() {
            self.entries.shrink_to(self.entries.len() * 2);
        }
        self.floor != before
    }

    /// Starts again from a copy of somebody's data as of `at`.
    pub(crate) fn reset(&mut self, at: OpTime) {
        self.entries.clear();
        self.bytes = 0;
        self.floor = at;
    }

    /// The last entry of each term, newest first; at most `limit` terms.
    pub(crate) fn terms(&self, limit: usize) -> Vec<OpTime> {
        let mut terms: Vec<OpTime> = Vec::new();
        let mut end = self.entries.len();
        while terms.len() < limit {
            let Some(last) = end.checked_sub(1).and_then(|at| self.entries.get(at)) else { break };
            terms.push(last.optime);
            end = self.entries.partition_point(|entry| entry.optime.term < last.optime.term);
        }
        if terms.len() < limit
            && self.floor != NOTHING
            && terms.last().is_none_or(|t| t.term != self.floor.term)
        {
            terms.push(self.floor);
        }
        terms
    }
}

/// The last entry two logs share, from the last entry of each term in both (newest first): in the newest term both have, the
/// log that is shorter there is a beginning of the other, for one term has one primary.
pub(crate) fn common_point(mine: &[OpTime], theirs: &[OpTime]) -> Option<OpTime> {
    mine.iter().find_map(|m| theirs.iter().find(|t| t.term == m.term).map(|t| *m.min(t)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oplog::{Change, OplogEntry};
    use std::sync::Arc;

    fn log(optimes: &[(i64, u32)]) -> Log {
        let mut log = Log::new();
        for (term, time) in optimes {
            let optime = OpTime::new(*term, *time, 1);
            assert!(log.push(Arc::new(OplogEntry { optime, changes: vec![Change::Noop], statement: None })));
        }
        log
    }

    #[test]
    fn finds_the_common_point() {
        let mine = log(&[(1, 1), (1, 2), (1, 3), (2, 4)]);
        let theirs = log(&[(1, 1), (1, 2), (3, 4), (3, 5)]);
        let point = common_point(&mine.terms(9), &theirs.terms(9));
        assert_eq!(point, Some(OpTime::new(1, 2, 1)));
        assert_eq!(common_point(&mine.terms(9), &log(&[(4, 1)]).terms(9)), None);
    }

    #[test]
    fn drops_only_what_is_committed_and_remembers_where() {
        let mut log = log(&[(1, 1), (1, 2), (1, 3), (2, 4)]);
        log.trim(1, u64::MAX, OpTime::new(1, 2, 1));
        assert_eq!(log.floor(), OpTime::new(1, 2, 1));
        assert!(log.contains(OpTime::new(1, 2, 1)) && !log.contains(OpTime::new(1, 1, 1)));
        assert_eq!(log.after(log.floor(), 9).len(), 2);
        assert_eq!(log.terms(9), [OpTime::new(2, 4, 1), OpTime::new(1, 3, 1)]);
        assert_eq!(log.truncate_after(OpTime::new(1, 3, 1)), 1);
        assert_eq!(log.last(), OpTime::new(1, 3, 1));
    }

    #[test]
    fn drops_what_is_beyond_its_bytes_but_for_the_last() {
        let mut log = log(&[(1, 1), (1, 2), (1, 3), (1, 4)]);
        let one = log.bytes / 4;
        assert!(log.trim(9, 2 * one + 1, OpTime::new(1, 4, 1)));
        assert_eq!((log.entries.len(), log.bytes), (2, 2 * one));
        assert!(log.trim(9, 0, OpTime::new(1, 4, 1)));
        assert!(!log.trim(9, 0, OpTime::new(1, 4, 1)));
        assert_eq!((log.last(), log.floor()), (OpTime::new(1, 4, 1), OpTime::new(1, 3, 1)));
        assert_eq!(log.truncate_after(OpTime::new(1, 3, 1)), 1);
        assert_eq!(log.bytes, 0);
    }
}
