//! The follower's side of replication: from whom, and since when nothing has come.

use super::Member;
use super::log::NOTHING;
use super::message::{Batch, Message, Refusal};
use super::peer::Peer;
use super::role::{Leader, Role, Stage, Sync};
use super::state::MemberState;
use super::timers::Timer;
use crate::node::NodeId;
use quorate_core::Instant;
use quorate_core::concern::OpTime;
use std::time::Duration;

/// Nobody is replicated from who is further behind the primary than this, in seconds of the oplog, while others are not.
const MAX_LAG_SECS: u32 = 30;
/// How long a member that has refused is not asked again.
const SHUN: Duration = Duration::from_secs(10);
const SHUN_NOT_READY: Duration = Duration::from_secs(1);

impl Member {
    /// The last entry fetched, applied or not.
    pub(super) fn fetched(&self) -> OpTime {
        self.sync.buffer.back().map_or(self.last_applied(), |(_, entry)| entry.optime)
    }

    /// Whether it is one that replicates at present.
    fn is_syncing(&self) -> bool {
        let role = match &self.role {
            Role::Startup2 | Role::Recovering | Role::Secondary => true,
            Role::Primary(Leader { stage, .. }) => *stage == Stage::CatchUp,
            _ => false,
        };
        role && self.me.is_some()
    }

    /// Replicates from nobody any more. What was fetched and not applied is fetched again.
    pub(super) fn stop_syncing(&mut self) {
        let shunned = std::mem::take(&mut self.sync.shunned);
        self.sync = Sync { shunned, ..Sync::new() };
        for timer in [Timer::Apply, Timer::ChooseSource, Timer::SourceSilent, Timer::Feedback] {
            self.timers.clear(timer);
        }
    }

    /// The source is gone or no good: look for another at once.
    pub(super) fn lose_source(&mut self, now: Instant) {
        self.sync.source = None;
        self.sync.reconnecting = false;
        self.sync.committed = NOTHING;
        self.timers.clear(Timer::SourceSilent);
        self.timers.clear(Timer::Feedback);
        self.choose_source(now);
    }

    /// Looks for somebody to replicate from, and tries again a second later when there is nobody.
    pub(super) fn choose_source(&mut self, now: Instant) {
        if !self.is_syncing() || self.sync.source.is_some() {
            return;
        }
        self.sync.shunned.retain(|_, until| *until > now);
        let retry = now + self.timing.sync_retry;
        self.timers.set(Timer::ChooseSource, retry);
        if self.sync.pings_wanted > 0 {
            return;
        }
        let found = self.best_source(true).or_else(|| self.best_source(false));
        let Some((member, node)) = found else {
            if !std::mem::replace(&mut self.sync.searching, true) {
                self.restart_heartbeats(now);
            }
            return;
        };
        self.timers.clear(Timer::ChooseSource);
        self.sync.searching = false;
        self.sync.source = Some(member);
        self.sync.committed = NOTHING;
        self.sync.news = true;
        self.note(format!("replicates from member {member}"));
        self.follow(now, node);
        let patience = self.await_time() + self.timing.source_patience;
        self.timers.set(Timer::SourceSilent, now + patience);
    }

    fn follow(&mut self, now: Instant, node: NodeId) {
        self.last_stream += 1;
        self.sync.stream = self.last_stream;
        self.sync.batches = 0;
        self.sync.acknowledged = 0;
        let after = self.fetched();
        self.send(node, Message::Follow { stream: self.last_stream, after });
        let next = now + self.await_time();
        self.timers.set(Timer::Feedback, next);
    }

    /// The nearest member that is ahead of this one; `strict` passes over hidden, delayed and lagging ones.
    fn best_source(&self, strict: bool) -> Option<(i32, NodeId)> {
        let config = self.disk.config.as_ref()?;
        let me = self.member_config()?;
        let newest_primary = self.primary.and_then(|id| self.peer(id)).map_or(0, |peer| peer.applied.ts.time);
        let mut best: Option<&Peer> = None;
        for peer in &self.peers {
            let Some(of) = config.member(peer.member) else { continue };
            let usable = peer.up
                && peer.node.is_some()
                && peer.state.is_readable()
                && peer.told_applied > self.fetched()
                && (of.is_voter() || !me.is_voter())
                && !self.sync.shunned.contains_key(&peer.member)
                && (config.settings.chaining_allowed
                    || self.primary == Some(peer.member)
                    || self.is_primary());
            let fine = (!of.hidden || me.hidden)
                && of.secondary_delay <= me.secondary_delay
                && peer.applied.ts.time.saturating_add(MAX_LAG_SECS) >= newest_primary;
            if usable && (fine || !strict) && best.is_none_or(|best| peer.ping < best.ping) {
                best = Some(peer);
            }
        }
        best.and_then(|peer| Some((peer.member, peer.node?)))
    }

    /// Nothing has come from the source: connect to it anew, and give it up when that leads nowhere, either.
    pub(super) fn source_silent(&mut self, now: Instant) {
        let Some(source) = self.sync.source else { return };
        let node = self.peer(source).and_then(|peer| peer.node);
        match node {
            Some(node) if !self.sync.reconnecting => {
                self.sync.reconnecting = true;
                self.follow(now, node);
                let limit = self.timing.source_reconnect;
                self.timers.set(Timer::SourceSilent, now + limit);
            }
            _ => {
                self.sync.shunned.insert(source, now + SHUN);
                self.lose_source(now);
            }
        }
    }

    pub(super) fn on_follow_refused(&mut self, now: Instant, from: NodeId, stream: u64, why: Refusal) {
        let Some(source) = self.source_of(from, stream) else { return };
        match why {
            Refusal::NotReady => {
                self.sync.shunned.insert(source, now + SHUN_NOT_READY);
                self.lose_source(now);
            }
            Refusal::Diverged(terms) => self.begin_rollback(now, from, &terms),
            Refusal::TooStale => self.want_snapshot(now, from),
        }
    }

    /// The source, if that stream is the present one.
    pub(super) fn source_of(&self, from: NodeId, stream: u64) -> Option<i32> {
        let source = self.sync.source?;
        let current = stream == self.sync.stream && self.peer(source)?.node == Some(from);
        current.then_some(source)
    }

    /// News from the source.
    pub(super) fn on_batch(&mut self, now: Instant, from: NodeId, batch: Batch) {
        let Some(source) = self.source_of(from, batch.stream) else { return };
        self.see_term(now, batch.term);
        if batch.after != self.fetched() {
            // Something was lost on the way.
            self.follow(now, from);
            return;
        }
        self.sync.batches = batch.number;
        self.sync.reconnecting = false;
        self.sync.committed = self.sync.committed.max(batch.committed);
        let patience = self.await_time() + self.timing.source_patience;
        self.timers.set(Timer::SourceSilent, now + patience);
        if let Some(peer) = self.peers.iter_mut().find(|peer| peer.member == source) {
            peer.applied = peer.applied.max(batch.applied);
            peer.told_applied = batch.applied;
            peer.sync_source = batch.sync_source;
        }
        // A source that knows a primary is as good as a heartbeat of that primary.
        if batch.primary.is_some() && batch.term == self.term {
            self.reset_election_timer(now);
        }
        let useless = self.is_useless(source, &batch);
        self.take_entries(now, batch.entries);
        if useless && self.sync.source == Some(source) {
            self.lose_source(now);
        }
    }

    /// Whether to look for another source, given what this one says of itself.
    fn is_useless(&self, source: i32, batch: &Batch) -> bool {
        let Some(config) = &self.disk.config else { return true };
        let is_primary = batch.primary == Some(source);
        if !config.settings.chaining_allowed && !is_primary && self.primary.is_some() && !self.is_primary() {
            return true;
        }
        let fetched = batch.entries.last().map_or(self.fetched(), |entry| entry.optime);
        if !is_primary && batch.sync_source.is_none() && batch.applied <= fetched {
            return true;
        }
        // Two that replicate from each other learn nothing.
        if !is_primary && batch.sync_source == self.me && batch.applied <= fetched {
            return true;
        }
        self.peers.iter().any(|peer| {
            peer.up
                && peer.state.is_readable()
                && peer.member != source
                && !self.sync.shunned.contains_key(&peer.member)
                && config.member(peer.member).is_some_and(|of| of.secondary_delay.is_zero())
                && peer.applied.ts.time > batch.applied.ts.time.saturating_add(MAX_LAG_SECS)
                && matches!(peer.state, MemberState::Primary | MemberState::Secondary)
        })
    }
}
