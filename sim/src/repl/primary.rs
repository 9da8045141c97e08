//! A primary's end: it loses its majority, or a later term has begun, or it was asked to go.

use super::role::Role;
use super::timers::Timer;
use super::{Member, Output};
use quorate_core::Instant;

impl Member {
    /// A primary that has not heard of a majority for an election timeout is none.
    pub(super) fn check_liveness(&mut self, now: Instant) {
        if !self.is_primary() {
            return;
        }
        let timeout = self.election_timeout();
        let Some(config) = self.disk.config.clone() else { return };
        let votes = |member: i32| usize::from(config.member(member).is_some_and(|of| of.is_voter()));
        let mut alive = self.me.map_or(0, votes);
        let mut next = None;
        for peer in &mut self.peers {
            let until = peer.heard + timeout;
            if until > now {
                alive += votes(peer.member);
                next = Some(next.map_or(until, |next: Instant| next.min(until)));
            } else if peer.up {
                peer.mark_down("no word within the election timeout");
            }
        }
        if alive < config.majority() {
            self.note("stepping down: cannot see a majority".into());
            self.step_down(now);
        } else {
            self.timers.set(Timer::Liveness, next.unwrap_or(now + timeout));
        }
    }

    /// From primary to secondary. Writes under way are ended; connections stay open (they have since 4.2).
    pub(super) fn step_down(&mut self, now: Instant) {
        if !self.is_primary() {
            return;
        }
        self.set_role(Role::Secondary);
        self.primary = None;
        for timer in [Timer::Liveness, Timer::Noop, Timer::CatchUp, Timer::StepDown] {
            self.timers.clear(timer);
        }
        // The errors that follow are news to whoever compares topology versions.
        self.show_hello();
        self.outputs.push_back(Output::KillOperations);
        self.fail_waits();
        self.fail_pending(now);
        self.stop_syncing();
        self.reset_election_timer(now);
        self.choose_source(now);
    }

    /// `replSetStepDown`'s or `replSetFreeze`'s time is over. A member alone elects itself at once.
    pub(super) fn unfreeze(&mut self, now: Instant) {
        self.frozen_until = None;
        self.elect_alone(now);
    }

    /// A set of one voter needs no time-out to find its primary.
    pub(super) fn elect_alone(&mut self, now: Instant) {
        let alone = self.disk.config.as_ref().is_some_and(|config| config.majority() == 1);
        if alone {
            let _ = self.start_election(now, super::role::Reason::Single);
        }
    }
}
