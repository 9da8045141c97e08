//! When a member stands for election, and how it asks for votes.

use super::Member;
use super::message::{Message, VoteReply, VoteRequest};
use super::role::{Election, Reason, Role};
use super::timers::Timer;
use crate::node::NodeId;
use quorate_core::Instant;

/// Up to this part of the election timeout is added by chance, in thousandths.
const RANDOM_OFFSET: u64 = 150;

impl Member {
    /// The random part of an election timeout.
    pub(super) fn election_offset(&mut self) -> std::time::Duration {
        let timeout = u64::try_from(self.election_timeout().as_micros()).unwrap_or(u64::MAX);
        let limit = timeout.saturating_mul(RANDOM_OFFSET) / 1_000;
        let part = (u128::from(self.rng.next_u64()) * u128::from(limit)) >> 64;
        std::time::Duration::from_micros(part as u64)
    }

    /// A primary has been heard of, or this member has just become a secondary.
    pub(super) fn reset_election_timer(&mut self, now: Instant) {
        let electable = self.member_config().is_some_and(|me| me.is_electable());
        if electable && matches!(self.role, Role::Secondary) {
            let offset = self.election_offset();
            let timeout = self.election_timeout();
            self.timers.set(Timer::Election, now + timeout + offset);
        } else {
            self.timers.clear(Timer::Election);
        }
    }

    /// Whether it could be elected, others' votes aside.
    pub(super) fn is_electable_now(&self) -> bool {
        matches!(self.role, Role::Secondary)
            && self.member_config().is_some_and(|me| me.is_electable())
            && self.frozen_until.is_none()
            && !self.shutdown.has_begun()
            && self.majority_seems_up()
    }

    /// Whether this member and those it believes to be up have a majority of the votes.
    pub(super) fn majority_seems_up(&self) -> bool {
        let Some(config) = &self.disk.config else { return false };
        let votes = |member: i32| usize::from(config.member(member).is_some_and(|of| of.is_voter()));
        let mine = self.me.map_or(0, votes);
        let theirs: usize = self.peers.iter().filter(|peer| peer.up).map(|peer| votes(peer.member)).sum();
        mine + theirs >= config.majority()
    }

    pub(super) fn election_timeout_fired(&mut self, now: Instant) {
        self.reset_election_timer(now);
        let _ = self.start_election(now, Reason::Timeout);
    }

    /// Stands for election; `false` when it may not.
    pub(super) fn start_election(&mut self, now: Instant, reason: Reason) -> bool {
        if self.election.is_some() || !self.is_electable_now() {
            return false;
        }
        self.timers.clear(Timer::Takeover);
        self.reset_election_timer(now);
        self.note(format!("stands for election in term {}: {}", self.term + 1, reason.name()));
        let alone = self.disk.config.as_ref().is_some_and(|config| config.majority() == 1);
        if alone || reason == Reason::Handoff {
            self.run(now, reason);
        } else {
            self.ask_for_votes(now, reason, true);
        }
        true
    }

    /// The election itself: a new term, and the candidate's own vote for good.
    fn run(&mut self, now: Instant, reason: Reason) {
        self.term += 1;
        self.primary = None;
        self.disk.vote = (self.term, self.me);
        self.ask_for_votes(now, reason, false);
    }

    fn ask_for_votes(&mut self, now: Instant, reason: Reason, dry_run: bool) {
        let (Some(me), Some(config)) = (self.me, self.disk.config.clone()) else { return };
        let rpc = self.rpc();
        let request = VoteRequest {
            rpc,
            dry_run,
            set_name: self.set_name.clone(),
            term: self.term,
            candidate: me,
            config: config.number(),
            applied: self.last_applied(),
        };
        self.election = Some(Election { rpc, dry_run, reason, yes: vec![me], answered: vec![me] });
        let timeout = self.election_timeout();
        self.timers.set(Timer::Votes, now + timeout);
        for at in 0..self.peers.len() {
            let peer = &self.peers[at];
            if config.member(peer.member).is_some_and(|of| of.is_voter())
                && let Some(node) = peer.node
            {
                self.send(node, Message::VoteRequest(request.clone()));
            }
        }
        self.count_votes(now);
    }

    pub(super) fn on_vote_reply(&mut self, now: Instant, from: NodeId, reply: &VoteReply) {
        // A later term ends the election.
        self.see_term(now, reply.term);
        self.count_vote(now, from, Some(reply));
    }

    /// A voter that is not there has answered, too.
    pub(super) fn vote_unreachable(&mut self, now: Instant, node: NodeId) {
        self.count_vote(now, node, None);
    }

    fn count_vote(&mut self, now: Instant, from: NodeId, reply: Option<&VoteReply>) {
        let Some(member) = self.peers.iter().find(|p| p.node == Some(from)).map(|p| p.member) else { return };
        let Some(election) = &mut self.election else { return };
        if reply.is_some_and(|reply| reply.rpc != election.rpc) || election.answered.contains(&member) {
            return;
        }
        election.answered.push(member);
        match reply {
            Some(reply) if reply.granted => election.yes.push(member),
            Some(reply) => {
                let text = format!("member {member} refuses its vote: {}", reply.reason);
                self.note(text);
            }
            None => {}
        }
        self.count_votes(now);
    }

    fn count_votes(&mut self, now: Instant) {
        let (Some(election), Some(config)) = (&self.election, &self.disk.config) else { return };
        let outstanding = config
            .members
            .iter()
            .filter(|member| member.is_voter() && !election.answered.contains(&member.id))
            .count();
        let (reason, dry_run, yes) = (election.reason, election.dry_run, election.yes.len());
        if yes >= config.majority() {
            self.election = None;
            self.timers.clear(Timer::Votes);
            if dry_run { self.run(now, reason) } else { self.become_primary(now, reason) }
        } else if yes + outstanding < config.majority() {
            self.lose_election(now);
        }
    }

    /// The votes did not come, or somebody is in a later term.
    pub(super) fn lose_election(&mut self, _now: Instant) {
        self.timers.clear(Timer::Votes);
        if self.election.take().is_some() {
            self.note(format!("lost the election in term {}", self.term));
        }
        self.answer_step_up(false);
    }
}
