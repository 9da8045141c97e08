//! Fetched entries on their way into the log and the store, at once or, for a delayed or lagging member, later.

use super::message::{Message, Snapshot};
use super::role::Role;
use super::timers::Timer;
use super::{Member, Output, wall};
use crate::node::NodeId;
use crate::oplog::SharedEntry;
use quorate_core::Instant;
use std::sync::Arc;

impl Member {
    /// Entries of a batch, each after the last one fetched.
    pub(super) fn take_entries(&mut self, now: Instant, entries: Vec<SharedEntry>) {
        let delay = self.member_config().map(|me| me.secondary_delay).unwrap_or_default();
        let lag = self.timing.replication_lag;
        if delay.is_zero() && lag.is_zero() && self.sync.buffer.is_empty() {
            self.apply(now, entries);
            return;
        }
        for entry in entries {
            let mut due = now + lag;
            if !delay.is_zero() {
                due = due.max(wall::instant_of(entry.optime.ts.time) + delay);
            }
            self.sync.buffer.push_back((due, entry));
        }
        self.apply_due(now);
    }

    /// Applies what may be applied by now.
    pub(super) fn apply_due(&mut self, now: Instant) {
        let ready = self.sync.buffer.iter().take_while(|(due, _)| *due <= now).count();
        let entries = self.sync.buffer.drain(..ready).map(|(_, entry)| entry).collect();
        self.apply(now, entries);
        match self.sync.buffer.front() {
            Some((due, _)) => self.timers.set(Timer::Apply, *due),
            None => self.timers.clear(Timer::Apply),
        }
    }

    /// A new primary has no time to stay behind.
    pub(super) fn apply_everything(&mut self, now: Instant) {
        let entries = self.sync.buffer.drain(..).map(|(_, entry)| entry).collect();
        self.apply(now, entries);
    }

    fn apply(&mut self, now: Instant, entries: Vec<SharedEntry>) {
        let old = self.last_applied();
        let mut applied = Vec::with_capacity(entries.len());
        for entry in entries {
            if !self.disk.log.push(Arc::clone(&entry)) {
                self.note(format!("entry out of order: {:?} after {:?}", entry.optime, self.last_applied()));
                break;
            }
            applied.push(entry);
        }
        if !applied.is_empty() {
            if let Role::Primary(leader) = &mut self.role {
                leader.caught_up += applied.len() as u64;
            }
            let new = self.last_applied();
            self.last_optime = self.last_optime.max(new);
            self.outputs.push_back(Output::Apply(applied));
            self.changes.push((old, new));
            self.sync.news = true;
            self.journal_applied(now);
        }
        if !self.is_primary() {
            self.raise_commit(self.sync.committed);
        }
        self.check_catch_up(now);
        self.check_initial_sync(now);
    }

    /// A first copy is whole once it has what its source had when it began; since entries come as they are made, that is once
    /// nothing is left to apply.
    fn check_initial_sync(&mut self, now: Instant) {
        if matches!(self.role, Role::Startup2) && !self.disk.log.is_empty() && self.sync.buffer.is_empty() {
            let source = self.sync.source.and_then(|id| self.peer(id)).map(|peer| peer.told_applied);
            if source.is_some_and(|there| self.last_applied() >= there) {
                self.disk.has_data = true;
                self.set_role(Role::Recovering);
                self.recover_later(now);
            }
        }
    }

    /// The oplog of the source does not go back far enough.
    pub(super) fn want_snapshot(&mut self, now: Instant, from: NodeId) {
        if self.is_primary() {
            self.catch_up_over(now);
            return;
        }
        self.note("too far behind for the oplog: takes a copy of the data".into());
        if matches!(self.role, Role::Secondary) {
            self.set_role(Role::Recovering);
            self.refuse_followers();
            self.reset_election_timer(now);
        }
        self.timers.clear(Timer::Recover);
        self.disk.has_data = false;
        self.sync.buffer.clear();
        self.send(from, Message::WantSnapshot { stream: self.sync.stream });
    }

    pub(super) fn on_snapshot(&mut self, now: Instant, from: NodeId, stream: u64, snapshot: &Arc<Snapshot>) {
        if self.source_of(from, stream).is_none() || self.disk.has_data {
            return;
        }
        let old = self.last_applied();
        self.disk.log.reset(snapshot.at);
        self.journal_back_to(super::log::NOTHING);
        self.disk.durable = snapshot.at;
        self.last_optime = self.last_optime.max(snapshot.at);
        self.outputs.push_back(Output::Load(Arc::clone(snapshot)));
        self.changes.push((old, snapshot.at));
        self.disk.has_data = true;
        self.set_role(Role::Recovering);
        self.recover_later(now);
        // On with the entries that have come since.
        self.lose_source(now);
    }

    /// A moment later it may be read from.
    pub(super) fn recover_later(&mut self, now: Instant) {
        let time = self.timing.start_up;
        self.timers.set(Timer::Recover, now + time);
    }
}
