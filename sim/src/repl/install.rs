//! A configuration takes effect: who the peers are, and what this member is in it.

use super::Member;
use super::config::Config;
use super::message::Message;
use super::peer::Peer;
use super::role::Role;
use super::timers::Timer;
use crate::node::NodeId;
use quorate_core::Instant;
use std::sync::Arc;

impl Member {
    /// Takes over the members of a configuration; what is known of those who stay is kept.
    pub(super) fn enter_config(&mut self, now: Instant, config: &Config) {
        self.me = config.find(&self.host).map(|me| me.id);
        self.concerns = config.for_concerns();
        let mut known = std::mem::take(&mut self.peers);
        for of in config.members.iter().filter(|of| Some(of.id) != self.me) {
            let node = self.directory.get(&of.host).copied();
            let at = known.iter().position(|peer| peer.member == of.id && peer.node == node);
            let peer = at.map_or_else(|| Peer::new(of.id, node, now), |at| known.swap_remove(at));
            self.peers.push(peer);
        }
        if self.primary.is_some_and(|id| config.member(id).is_none()) {
            self.primary = None;
        }
    }

    /// From STARTUP, or from REMOVED, into the set. `whole` for data known to be good at once.
    pub(super) fn begin(&mut self, now: Instant, whole: bool) {
        let Some(me) = self.member_config() else {
            self.set_role(Role::Removed);
            return;
        };
        if me.arbiter_only {
            self.set_role(Role::Arbiter);
            return;
        }
        if whole {
            self.set_role(Role::Secondary);
            self.reset_election_timer(now);
        } else if self.disk.has_data {
            self.set_role(Role::Recovering);
            self.recover_later(now);
            self.sync.pings_wanted = (self.peers.len() + 1) * 2;
        } else {
            self.set_role(Role::Startup2);
            self.sync.pings_wanted = (self.peers.len() + 1) * 2;
        }
        if self.peers.is_empty() {
            self.sync.pings_wanted = 0;
        }
        self.choose_source(now);
        self.elect_alone(now);
    }

    /// Recovery is over.
    pub(super) fn recovered(&mut self, now: Instant) {
        if matches!(self.role, Role::Recovering) && self.disk.has_data {
            self.set_role(Role::Secondary);
            self.reset_election_timer(now);
            self.choose_source(now);
            self.elect_alone(now);
        }
    }

    /// A newer configuration, by command or by heartbeat.
    pub(super) fn install(&mut self, now: Instant, config: Arc<Config>) {
        self.note(format!("configuration version {} term {}", config.version, config.term));
        if self.election.is_some() {
            self.lose_election(now);
        }
        self.disk.config = Some(Arc::clone(&config));
        self.enter_config(now, &config);
        self.restart_heartbeats(now);
        if self.me.is_none() {
            self.leave(now);
            return;
        }
        if matches!(self.role, Role::Startup | Role::Removed) {
            self.begin(now, false);
            return;
        }
        let electable = self.member_config().is_some_and(|me| me.is_electable());
        if self.is_primary() && !electable {
            self.note("stepping down: not electable in the new configuration".into());
            self.step_down(now);
        }
        if !electable || self.timers.get(Timer::Election).is_none() {
            self.reset_election_timer(now);
        }
        if self.sync.source.is_some_and(|id| config.member(id).is_none()) {
            self.lose_source(now);
        }
        // What counts for the commit point and for waits may be another now.
        self.changes.push((super::log::NOTHING, self.last_applied()));
        self.elect_alone(now);
    }

    /// No longer in the set.
    fn leave(&mut self, now: Instant) {
        self.step_down(now);
        self.stop_syncing();
        self.refuse_followers();
        self.primary = None;
        self.peers.clear();
        self.set_role(Role::Removed);
        for timer in
            [Timer::Election, Timer::Takeover, Timer::Recover, Timer::ChooseSource, Timer::RolledBack]
        {
            self.timers.clear(timer);
        }
    }

    /// Somebody unknown has a newer configuration: perhaps this member is in it.
    pub(super) fn fetch_config(&mut self, from: NodeId) {
        let rpc = self.rpc();
        let beat = self.heartbeat(rpc);
        self.send(from, Message::Heartbeat(beat));
    }
}
