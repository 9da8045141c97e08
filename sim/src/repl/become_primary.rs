//! From a won election to the first entry of the term: catch-up, then writes.

use super::role::{Leader, Reason, Role, Stage};
use super::timers::Timer;
use super::wall::wall_secs;
use super::{Member, Output};
use crate::oplog::{Change, OplogEntry};
use quorate_core::Instant;
use std::sync::Arc;

impl Member {
    pub(super) fn become_primary(&mut self, now: Instant, reason: Reason) {
        self.apply_everything(now);
        self.stop_syncing();
        self.note(format!("elected in term {}: {}", self.term, reason.name()));
        self.primary = self.me;
        self.frozen_until = None;
        self.timers.clear(Timer::Unfreeze);
        self.timers.clear(Timer::Election);
        self.timers.clear(Timer::Takeover);
        let prior = std::mem::replace(&mut self.last_primary, self.me);
        self.set_role(Role::Primary(Leader {
            stage: Stage::CatchUp,
            elected: (wall_secs(now), 1),
            elected_at: now,
            reason,
            prior,
            committed_then: self.commit,
            applied_then: self.last_applied(),
            caught_up: 0,
            first: None,
            first_at: None,
            available_at: None,
        }));
        for peer in &mut self.peers {
            peer.fresh = false;
        }
        self.restart_heartbeats(now);
        let limit = self.disk.config.as_ref().and_then(|config| config.settings.catch_up_timeout);
        if let Some(limit) = limit {
            self.timers.set(Timer::CatchUp, now + limit);
        }
        let timeout = self.election_timeout();
        self.timers.set(Timer::Liveness, now + timeout);
        self.answer_step_up(true);
        self.check_catch_up(now);
    }

    pub(super) fn is_catching_up(&self) -> bool {
        matches!(&self.role, Role::Primary(Leader { stage: Stage::CatchUp, .. }))
    }

    /// Catch-up is over when everybody has answered, or is down, and nobody who is up has more.
    pub(super) fn check_catch_up(&mut self, now: Instant) {
        if !self.is_catching_up() || !self.peers.iter().all(|peer| peer.fresh) {
            return;
        }
        let newest = self.peers.iter().filter(|peer| peer.up).map(|peer| peer.told_applied).max();
        if newest.is_none_or(|newest| newest <= self.last_applied()) {
            self.begin_term(now);
        } else if self.sync.source.is_none() && self.timers.get(Timer::ChooseSource).is_none() {
            self.choose_source(now);
        }
    }

    /// `catchUpTimeoutMillis` is over, or `replSetAbortPrimaryCatchUp` came: what others have and this member has not will be
    /// rolled back.
    pub(super) fn catch_up_over(&mut self, now: Instant) {
        if self.is_catching_up() {
            self.begin_term(now);
        }
    }

    /// The primary makes the configuration one of its term, writes its first entry and takes writes.
    fn begin_term(&mut self, now: Instant) {
        self.stop_syncing();
        self.timers.clear(Timer::CatchUp);
        self.timers.clear(Timer::ChooseSource);
        if let Some(config) = &self.disk.config
            && config.term != self.term
        {
            let mut config = (**config).clone();
            config.term = self.term;
            self.disk.config = Some(Arc::new(config));
            self.restart_heartbeats(now);
        }
        let optime = self.next_optime(now);
        if let Role::Primary(leader) = &mut self.role {
            leader.stage = Stage::Writable;
            leader.first = Some(optime);
            leader.first_at = Some(now);
        }
        self.write_noop(now, optime);
        self.note(format!("takes writes in term {}", self.term));
        let interval = self.timing.noop_interval;
        self.timers.set(Timer::Noop, now + interval);
    }

    fn write_noop(&mut self, now: Instant, optime: quorate_core::concern::OpTime) {
        let entry = Arc::new(OplogEntry { optime, changes: vec![Change::Noop], statement: None });
        let old = self.last_applied();
        if self.disk.log.push(Arc::clone(&entry)) {
            self.outputs.push_back(Output::Apply(vec![entry]));
            self.changes.push((old, optime));
            self.journal_soon(now);
        }
    }

    /// An idle primary writes an entry now and then, so that others can tell how current they are.
    pub(super) fn periodic_noop(&mut self, now: Instant) {
        if !self.is_writable_primary() {
            return;
        }
        let interval = self.timing.noop_interval;
        self.timers.set(Timer::Noop, now + interval);
        let last = self.last_applied().ts.time;
        if u64::from(wall_secs(now).saturating_sub(last)) >= interval.as_secs() {
            let optime = self.next_optime(now);
            self.write_noop(now, optime);
        }
    }
}
