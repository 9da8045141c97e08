//! `replSetStepDown`: the primary takes no writes until a secondary that could be elected has all of its own, steps down,
//! and asks that one to stand.

use super::commands::StepDown;
use super::message::Message;
use super::output::error;
use super::role::{Leader, Role, Stage};
use super::state::MemberState;
use super::timers::Timer;
use super::{Member, Output, wall};
use bson::doc;
use quorate_core::Instant;

impl Member {
    /// Begins; the answer comes by [`Member::try_step_down`].
    pub(super) fn begin_step_down(&mut self, now: Instant, request: StepDown) {
        if let Role::Primary(leader) = &mut self.role
            && leader.stage == Stage::Writable
        {
            leader.stage = Stage::SteppingDown;
        }
        self.timers.set(Timer::StepDown, request.catch_up_until.min(request.until).max(now));
        self.pending.step_down = Some(request);
        self.try_step_down(now);
        if self.pending.step_down.is_some() {
            // It waits: those who write and those who wait for their writes do not. What they are told is news to whoever
            // compares topology versions.
            self.show_hello();
            self.outputs.push_back(Output::KillOperations);
            self.fail_waits();
        }
    }

    /// Steps down if that may be done now; gives up when it is too late. Called whenever somebody has come further.
    pub(super) fn try_step_down(&mut self, now: Instant) {
        let Some(request) = &self.pending.step_down else { return };
        let (until, late) = (request.until, now >= request.catch_up_until);
        let (force, call) = (request.force, request.call);
        if !self.is_primary() {
            return;
        }
        if now >= until && !force {
            self.abandon_step_down(
                "By the time we were ready to step down, we were already past the time we were supposed to step down until"
                    .into(),
            );
        } else if self.is_safe_to_step_down() || (late && force) {
            self.pending.step_down = None;
            self.note("stepping down as asked".into());
            self.step_down(now);
            if until > now {
                self.frozen_until = Some(until);
                self.timers.set(Timer::Unfreeze, until);
            }
            self.hand_off();
            if let Some(call) = call {
                self.outputs.push_back(Output::Answered { call, reply: doc! { "ok": 1.0 } });
            }
        } else if late {
            let at = wall::date(now).try_to_rfc3339_string().unwrap_or_default();
            self.abandon_step_down(format!(
                "No electable secondaries caught up as of {at}. Please use the replSetStepDown command with the argument \
                 {{force: true}} to force node to step down."
            ));
        }
    }

    fn abandon_step_down(&mut self, message: String) {
        self.timers.clear(Timer::StepDown);
        if let Role::Primary(Leader { stage, .. }) = &mut self.role
            && *stage == Stage::SteppingDown
        {
            *stage = Stage::Writable;
        }
        if let Some(StepDown { call: Some(call), .. }) = self.pending.step_down.take() {
            let reply = error(262, "ExceededTimeLimit", message);
            self.outputs.push_back(Output::Answered { call, reply });
        }
    }

    /// A majority has every entry of this primary, and one of them could be elected.
    fn is_safe_to_step_down(&self) -> bool {
        let Some(config) = &self.disk.config else { return true };
        let mine = self.last_applied();
        let voting = |id: i32| config.member(id).is_some_and(|of| of.is_voter() && !of.arbiter_only);
        let caught_up = self.peers.iter().filter(|peer| peer.applied >= mine && voting(peer.member)).count();
        let needed = usize::try_from(self.concerns.write_majority()).unwrap_or(usize::MAX);
        caught_up + usize::from(self.me.is_some_and(voting)) >= needed && self.best_successor().is_some()
    }

    /// The secondary with the highest priority among those that have everything; of equals the first.
    fn best_successor(&self) -> Option<usize> {
        let config = self.disk.config.as_ref()?;
        let mine = self.last_applied();
        let mut best: Option<(usize, f64)> = None;
        for (at, peer) in self.peers.iter().enumerate() {
            let Some(of) = config.member(peer.member).filter(|of| of.is_electable()) else { continue };
            let able = peer.up && peer.state == MemberState::Secondary && peer.applied >= mine;
            if able && best.is_none_or(|(_, priority)| of.priority > priority) {
                best = Some((at, of.priority));
            }
        }
        best.map(|(at, _)| at)
    }

    /// Election handoff: somebody is to stand at once instead of after an election timeout.
    fn hand_off(&mut self) {
        let Some(node) = self.best_successor().and_then(|at| self.peers.get(at)).and_then(|peer| peer.node)
        else {
            return;
        };
        self.note(format!("hands over to node {}", node.0));
        self.send(node, Message::StepUp);
    }

    /// A primary hands over to this member.
    pub(super) fn on_step_up(&mut self, now: Instant) {
        let _ = self.start_election(now, super::role::Reason::Handoff);
    }
}
