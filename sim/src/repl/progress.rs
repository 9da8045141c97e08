//! How far members have come: reports up the chain, and what the primary makes of them.

use super::message::{Message, Position, Progress};
use super::role::{Leader, Role};
use super::timers::Timer;
use super::{Member, Output};
use crate::node::NodeId;
use quorate_core::Instant;
use quorate_core::concern::OpTime;
use std::time::Duration;

/// Batches a source may have sent without a word back.
pub(crate) const WINDOW: u64 = 8;
/// After how many batches without entries a follower says that it got them.
const QUIET_BATCHES: u64 = 4;
/// So much fetched and not applied, and a follower lets its source wait.
const BUFFER_LIMIT: usize = 4_096;

impl Member {
    /// How long a source waits with nothing to send before it says so: `maxTimeMS` of the oplog's `getMore`.
    pub(super) fn await_time(&self) -> Duration {
        (self.election_timeout() / 2).min(Duration::from_secs(5))
    }

    /// Reports to the sync source what it does not know yet.
    pub(super) fn report_progress(&mut self, now: Instant) {
        let quiet = self.sync.batches - self.sync.acknowledged >= QUIET_BATCHES;
        if self.sync.source.is_none() || !(self.sync.news || quiet) {
            return;
        }
        self.send_progress(now);
    }

    pub(super) fn feedback_due(&mut self, now: Instant) {
        if self.sync.source.is_some() {
            self.send_progress(now);
        }
    }

    fn send_progress(&mut self, now: Instant) {
        let (Some(me), Some(source)) = (self.me, self.sync.source) else { return };
        let Some(node) = self.peer(source).and_then(|peer| peer.node) else { return };
        if self.sync.buffer.len() < BUFFER_LIMIT {
            self.sync.acknowledged = self.sync.batches;
        }
        self.sync.news = false;
        // What is passed on counts as a sign of life: nothing is, of those who give none.
        let silence = self.election_timeout();
        self.sync.below.retain(|_, (_, heard)| *heard + silence > now);
        let own = Position { member: me, applied: self.last_applied(), durable: self.last_durable() };
        let members =
            std::iter::once(own).chain(self.sync.below.values().map(|(position, _)| *position)).collect();
        let progress =
            Progress { stream: self.sync.stream, batches: self.sync.acknowledged, term: self.term, members };
        self.send(node, Message::Progress(progress));
        let next = now + self.await_time();
        self.timers.set(Timer::Feedback, next);
    }

    /// `replSetUpdatePosition` from somebody who replicates from here.
    pub(super) fn on_progress(&mut self, now: Instant, from: NodeId, progress: &Progress) {
        // Before anything is counted: who has voted in a later term may follow an old primary for a while yet, but its word must
        // not help that one to commit.
        self.see_term(now, progress.term);
        if let Some(follower) = self.followers.iter_mut().find(|follower| follower.node == from)
            && follower.stream == progress.stream
        {
            follower.acknowledged = progress.batches.min(follower.batches);
        }
        let passes_on = self.sync.source.is_some();
        for position in &progress.members {
            let Some(peer) = self.peers.iter_mut().find(|peer| peer.member == position.member) else {
                continue;
            };
            peer.heard = now;
            self.changes.push((peer.applied, peer.applied.max(position.applied)));
            self.changes.push((peer.durable, peer.durable.max(position.durable)));
            peer.applied = peer.applied.max(position.applied);
            peer.durable = peer.durable.max(position.durable);
            if passes_on && self.sync.source != Some(position.member) {
                let known = self.sync.below.insert(position.member, (*position, now));
                self.sync.news |= known.map(|(before, _)| before) != Some(*position);
            }
        }
    }

    /// Looks at what has changed since the last time: the commit point first, then those who wait.
    pub(super) fn look_at_progress(&mut self, now: Instant) {
        self.changes.retain(|(old, new)| old != new);
        if self.changes.is_empty() {
            return;
        }
        if self.is_primary() {
            self.advance_commit_point(now);
        }
        let changes = std::mem::take(&mut self.changes);
        self.look_at_waits(&changes);
        self.try_step_down(now);
        if self.changes.is_empty() {
            // The same allocation for the next time.
            self.changes = changes;
            self.changes.clear();
        }
    }

    /// The last entry that a majority has; only entries of the primary's own term count, earlier ones come along with them.
    fn advance_commit_point(&mut self, now: Instant) {
        let Role::Primary(Leader { first: Some(first), .. }) = &self.role else { return };
        let first = *first;
        let journaled = self.concerns.write_concern_majority_journal_default;
        let mut have: Vec<OpTime> = Vec::with_capacity(self.concerns.members.len());
        for member in self.concerns.members.iter().filter(|member| member.votes && !member.arbiter) {
            have.push(if Some(member.id) == self.me {
                if journaled { self.last_durable() } else { self.last_applied() }
            } else {
                self.peer(member.id)
                    .map_or(OpTime::default(), |p| if journaled { p.durable } else { p.applied })
            });
        }
        have.sort_unstable_by(|a, b| b.cmp(a));
        let needed = usize::try_from(self.concerns.write_majority()).unwrap_or(usize::MAX);
        let Some(to) = needed.checked_sub(1).and_then(|at| have.get(at)) else { return };
        let to = (*to).min(self.last_applied());
        if to.term == self.term && to >= first && to > self.commit {
            self.changes.push((self.commit, to));
            self.commit = to;
            self.outputs.push_back(Output::CommitPoint(to));
            if let Role::Primary(leader) = &mut self.role {
                leader.available_at.get_or_insert(now);
            }
        }
    }
}

/// Whether who has come to `have` has the write for certain.
pub(crate) fn covered_by(write: OpTime, have: OpTime) -> bool {
    have.covers(write)
}
