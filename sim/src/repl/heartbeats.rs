//! Heartbeats: how members learn of each other's state, terms, configurations and of the primary.

use super::config::ConfigVersion;
use super::log::NOTHING;
use super::message::{Heartbeat, HeartbeatReply, Message};
use super::peer::Beat;
use super::role::{Leader, Role};
use super::state::MemberState;
use super::timers::Timer;
use super::{Member, Output};
use crate::node::NodeId;
use quorate_core::Instant;
use std::sync::Arc;
use std::time::Duration;

/// How often a heartbeat that failed is tried again at once.
const RETRIES: u32 = 2;
const REFUSED: &str = "Connection refused";
const TIMED_OUT: &str = "Couldn't get a connection within the time limit";

impl Member {
    /// Time between two heartbeats: a quarter of the usual while a secondary looks for somebody to replicate from.
    fn heartbeat_interval(&self) -> Duration {
        let usual =
            self.disk.config.as_ref().map_or(Duration::from_secs(2), |c| c.settings.heartbeat_interval);
        let searching = matches!(self.role, Role::Secondary | Role::Recovering | Role::Startup2);
        if searching && self.sync.source.is_none() { usual / 4 } else { usual }
    }

    fn heartbeat_timeout(&self) -> Duration {
        self.disk.config.as_ref().map_or(Duration::from_secs(10), |config| config.settings.heartbeat_timeout)
    }

    pub(super) fn config_number(&self) -> ConfigVersion {
        self.disk.config.as_ref().map_or(ConfigVersion::NONE, |config| config.number())
    }

    /// Asks everybody now instead of at their next turn.
    pub(super) fn restart_heartbeats(&mut self, now: Instant) {
        for peer in self.peers.iter_mut().filter(|peer| peer.beat.is_none()) {
            peer.next = Some(now);
        }
    }

    pub(super) fn send_due_heartbeats(&mut self, now: Instant) {
        for at in 0..self.peers.len() {
            if self.peers[at].beat.is_none() && self.peers[at].next.is_some_and(|next| next <= now) {
                self.send_heartbeat(now, at);
            }
        }
    }

    /// One attempt. Attempts in a row share the time-out that the first began.
    fn send_heartbeat(&mut self, now: Instant, at: usize) {
        let timeout = self.heartbeat_timeout();
        let rpc = self.rpc();
        let peer = &mut self.peers[at];
        let row = *peer.row.get_or_insert(now);
        peer.next = None;
        peer.beat = Some(Beat { rpc, sent: now, deadline: row + timeout });
        match peer.node {
            Some(node) => {
                let beat = self.heartbeat(rpc);
                self.send(node, Message::Heartbeat(beat));
            }
            None => self.beat_refused(now, at),
        }
    }

    pub(super) fn heartbeat(&self, rpc: u64) -> Heartbeat {
        Heartbeat {
            rpc,
            set_name: self.set_name.clone(),
            config: self.config_number(),
            term: self.term,
            host: self.host.clone(),
            primary: self.primary,
        }
    }

    /// Somebody's heartbeat: answer it, and follow up on what is news in it.
    pub(super) fn on_heartbeat(&mut self, now: Instant, from: NodeId, beat: &Heartbeat) {
        if beat.set_name != self.set_name {
            return;
        }
        if self.disk.config.is_some() {
            self.see_term(now, beat.term);
        }
        let newer = beat.config.is_newer_than(self.config_number());
        let news_of_primary = beat.primary.is_some()
            && beat.term == self.term
            && beat.primary != self.primary
            && !self.is_primary();
        let config = self.config_number();
        let known = self.peers.iter_mut().find(|peer| peer.node == Some(from));
        match known {
            Some(peer) => {
                peer.last_received = Some(now);
                // A heartbeat is a sign of life, whichever way it goes: a follower that has nobody to follow gives no other.
                if beat.config == config {
                    peer.heard = now;
                }
                if newer && peer.beat.is_none() {
                    peer.next = Some(now);
                }
            }
            None if newer && !matches!(self.role, Role::Primary(_)) => self.fetch_config(from),
            None => {}
        }
        if news_of_primary {
            self.restart_heartbeats(now);
        }
        let reply = self.heartbeat_reply(beat);
        self.send(from, Message::HeartbeatReply(Box::new(reply)));
    }

    fn heartbeat_reply(&self, beat: &Heartbeat) -> HeartbeatReply {
        let config = self.config_number();
        let newer = if config.is_newer_than(beat.config) { self.disk.config.clone() } else { None };
        HeartbeatReply {
            rpc: beat.rpc,
            set_name: self.disk.config.as_ref().map(|_| self.set_name.clone()),
            state: self.state(),
            term: self.term,
            config,
            newer,
            applied: self.last_applied(),
            durable: self.last_durable(),
            committed: self.commit,
            primary: self.primary,
            elected: match &self.role {
                Role::Primary(Leader { elected, .. }) => Some(*elected),
                _ => None,
            },
            sync_source: self.sync.source,
            electable: self.is_electable_now(),
        }
    }

    /// An answer: to a peer's heartbeat, or to one that fetched a configuration or checked a host.
    pub(super) fn on_heartbeat_reply(&mut self, now: Instant, from: NodeId, reply: HeartbeatReply) {
        self.initiate_answered(now, from, &reply);
        if self.disk.config.is_some() {
            self.see_term(now, reply.term);
        }
        let at = self.peers.iter().position(|peer| peer.beat.is_some_and(|beat| beat.rpc == reply.rpc));
        if let Some(at) = at {
            self.learn(now, at, &reply);
        }
        if let Some(config) = reply.newer
            && config.name == self.set_name
            && config.number().is_newer_than(self.config_number())
        {
            self.install(now, Arc::clone(&config));
        }
    }

    fn learn(&mut self, now: Instant, at: usize, reply: &HeartbeatReply) {
        let peer = &mut self.peers[at];
        let before = (peer.applied, peer.durable);
        peer.learn(now, reply);
        let member = peer.member;
        self.changes.push((before.0, peer.applied));
        self.changes.push((before.1, peer.durable));
        let interval = self.heartbeat_interval();
        self.peers[at].next = Some(now + interval);
        self.sync.pings_wanted = self.sync.pings_wanted.saturating_sub(1);

        if !self.is_primary() {
            if reply.state == MemberState::Primary && reply.term == self.term {
                self.primary = Some(member);
                self.last_primary = self.primary;
                self.reset_election_timer(now);
                self.consider_takeover(now, at);
            } else if self.primary == Some(member) {
                self.primary = None;
            }
            // In one term there is one sequence of entries: what is committed of it is committed here, too.
            let arbiter = matches!(self.role, Role::Arbiter);
            if arbiter || reply.committed.term == self.last_applied().term {
                self.raise_commit(reply.committed);
            }
        }
        self.check_catch_up(now);
        self.promote_newly_added(now, at);
    }

    /// Heartbeats whose time is up.
    pub(super) fn beats_overdue(&mut self, now: Instant) {
        for at in 0..self.peers.len() {
            if self.peers.get(at).and_then(|peer| peer.beat).is_some_and(|beat| beat.deadline <= now) {
                self.beat_failed(now, at, TIMED_OUT);
            }
        }
    }

    /// The peer's process is not there.
    pub(super) fn beat_refused(&mut self, now: Instant, at: usize) {
        if self.peers[at].beat.is_some() {
            self.beat_failed(now, at, REFUSED);
        } else {
            // A connection broke: ask at once, the answer will be the same refusal.
            self.peers[at].next = Some(now);
        }
    }

    fn beat_failed(&mut self, now: Instant, at: usize, why: &'static str) {
        let timeout = self.heartbeat_timeout();
        let interval = self.heartbeat_interval();
        let peer = &mut self.peers[at];
        peer.beat = None;
        peer.failures += 1;
        let begun = peer.row.unwrap_or(now);
        if peer.failures <= RETRIES && now - begun < timeout && peer.node.is_some() {
            peer.next = Some(now);
            return;
        }
        peer.mark_down(why);
        peer.next = Some(now + interval);
        let member = peer.member;
        if self.primary == Some(member) {
            self.primary = None;
        }
        self.check_catch_up(now);
    }

    /// A later term than its own ends whatever a member was in the old one.
    pub(super) fn see_term(&mut self, now: Instant, term: i64) {
        if term <= self.term {
            return;
        }
        if self.is_primary() {
            self.note(format!("stepping down: term {term} has begun"));
            self.step_down(now);
        }
        self.term = term;
        self.primary = None;
        self.timers.clear(Timer::Takeover);
        if self.election.is_some() {
            self.lose_election(now);
        }
    }

    /// Moves a secondary's commit point; never past what it has applied.
    pub(super) fn raise_commit(&mut self, to: quorate_core::concern::OpTime) {
        let to = if matches!(self.role, Role::Arbiter) { to } else { to.min(self.last_applied()) };
        if to > self.commit && to > NOTHING {
            self.changes.push((self.commit, to));
            self.commit = to;
            self.outputs.push_back(Output::CommitPoint(to));
        }
    }
}
