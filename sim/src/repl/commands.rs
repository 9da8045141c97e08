//! The commands of replication, and those of them whose answer takes time.

use super::config::ConfigVersion;
use super::initiate::Initiate;
use super::output::{Answer, error};
use super::role::{Leader, Reason, Role, Stage};
use super::state::MemberState;
use super::timers::Timer;
use super::{Member, Output};
use bson::{Bson, Document, doc};
use quorate_core::Instant;
use std::time::Duration;

/// A step-down that waits.
#[derive(Clone, Debug)]
pub(crate) struct StepDown {
    /// Whose answer it is; `None` for a shutdown.
    pub(crate) call: Option<u64>,
    /// Until when a secondary may catch up.
    pub(crate) catch_up_until: Instant,
    /// Until when this member is not to be elected again.
    pub(crate) until: Instant,
    pub(crate) force: bool,
}

/// Commands that have not been answered.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub(crate) step_down: Option<StepDown>,
    pub(crate) step_up: Vec<u64>,
    /// Until a majority has that configuration.
    pub(crate) reconfig: Option<(u64, ConfigVersion)>,
    pub(crate) initiate: Option<Initiate>,
}

const OK: fn() -> Document = || doc! { "ok": 1.0 };

impl Member {
    /// Runs a command, if it is one of replication (its name is the body's first key). An answer that takes time comes as
    /// [`Output::Answered`] with `call`.
    pub fn command(&mut self, now: Instant, call: u64, body: &Document) -> Answer {
        let Some((name, argument)) = body.iter().next() else { return Answer::NotMine };
        let answer = match name.as_str() {
            "replSetInitiate" => self.initiate(now, call, argument),
            "replSetGetStatus" => self.with_config(|member| Answer::Reply(member.status(now))),
            "replSetGetConfig" => self.with_config(|member| Answer::Reply(member.get_config(body))),
            "replSetReconfig" => self.with_config(|member| member.reconfigure(now, call, body)),
            "replSetStepDown" => self.with_config(|member| member.step_down_command(now, call, body)),
            "replSetStepUp" => self.with_config(|member| member.step_up_command(now, call)),
            "replSetFreeze" => self.with_config(|member| Answer::Reply(member.freeze(now, argument))),
            "replSetMaintenance" => self.with_config(|member| Answer::Reply(member.maintain(now, argument))),
            "replSetAbortPrimaryCatchUp" => {
                self.with_config(|member| Answer::Reply(member.abort_catch_up(now)))
            }
            _ => return Answer::NotMine,
        };
        self.settle(now);
        answer
    }

    fn with_config(&mut self, run: impl FnOnce(&mut Member) -> Answer) -> Answer {
        if self.disk.config.is_some() {
            run(self)
        } else {
            Answer::Reply(error(94, "NotYetInitialized", "no replset config has been received"))
        }
    }

    fn step_down_command(&mut self, now: Instant, call: u64, body: &Document) -> Answer {
        let force = body.get("force").is_some_and(is_true);
        let secs = match whole(body.get("replSetStepDown")) {
            0 => 60,
            secs => secs,
        };
        let catch_up = match body.get("secondaryCatchUpPeriodSecs") {
            Some(given) => whole(Some(given)),
            None if force => 0,
            None => 10,
        };
        let bad = if secs < 0 {
            Some("stepdown period must be a positive integer")
        } else if catch_up < 0 {
            Some("secondaryCatchUpPeriodSecs period must be a positive or absent")
        } else if secs < catch_up {
            Some("stepdown period must be longer than secondaryCatchUpPeriodSecs")
        } else {
            None
        };
        if let Some(message) = bad {
            return Answer::Reply(error(2, "BadValue", message));
        }
        if !self.is_primary() {
            return Answer::Reply(error(10107, "NotWritablePrimary", "not primary so can't step down"));
        }
        if self.pending.step_down.is_some() {
            return Answer::Reply(error(117, "ConflictingOperationInProgress", "already stepping down"));
        }
        let at = |secs: i64| now + Duration::from_secs(secs.unsigned_abs());
        let request = StepDown { call: Some(call), catch_up_until: at(catch_up), until: at(secs), force };
        self.begin_step_down(now, request);
        Answer::Pending
    }

    fn step_up_command(&mut self, now: Instant, call: u64) -> Answer {
        if self.is_primary() {
            return Answer::Reply(OK());
        }
        self.pending.step_up.push(call);
        if self.election.is_none() && !self.start_election(now, Reason::StepUp) {
            self.answer_step_up(false);
        }
        Answer::Pending
    }

    /// The election is over.
    pub(super) fn answer_step_up(&mut self, won: bool) {
        for call in std::mem::take(&mut self.pending.step_up) {
            let reply = if won { OK() } else { error(125, "CommandFailed", "Election failed.") };
            self.outputs.push_back(Output::Answered { call, reply });
        }
    }

    fn freeze(&mut self, now: Instant, argument: &Bson) -> Document {
        let secs = whole(Some(argument)).max(0);
        if self.is_primary() || self.election.is_some() {
            let state = if self.is_primary() { "Primary" } else { "Candidate" };
            let text = format!("Cannot freeze node when primary or running for election, state: {state}");
            return error(95, "NotSecondary", text);
        }
        if secs == 0 {
            self.timers.clear(Timer::Unfreeze);
            self.unfreeze(now);
            return doc! { "info": "unfreezing", "ok": 1.0 };
        }
        let until = now + Duration::from_secs(secs.unsigned_abs());
        if self.frozen_until.is_none_or(|already| already < until) {
            self.frozen_until = Some(until);
            self.timers.set(Timer::Unfreeze, until);
        }
        if secs == 1 {
            return doc! { "warning": "you really want to freeze for only 1 second?", "ok": 1.0 };
        }
        OK()
    }

    /// `replSetMaintenance`: a secondary that is not to be read from for a while.
    fn maintain(&mut self, now: Instant, argument: &Bson) -> Document {
        match (is_true(argument), &self.role) {
            (true, Role::Secondary) => {
                self.set_role(Role::Recovering);
                self.reset_election_timer(now);
                OK()
            }
            (false, Role::Recovering) => {
                self.recovered(now);
                OK()
            }
            (_, Role::Primary(_)) => error(95, "NotSecondary", "primaries can't modify maintenance mode"),
            _ => error(96, "OperationFailed", "already out of maintenance mode"),
        }
    }

    fn abort_catch_up(&mut self, now: Instant) -> Document {
        if matches!(&self.role, Role::Primary(Leader { stage: Stage::CatchUp, .. })) {
            self.catch_up_over(now);
            return OK();
        }
        error(20, "IllegalOperation", "The node is not in catch-up mode.")
    }

    fn get_config(&self, body: &Document) -> Document {
        let Some(config) = &self.disk.config else { return OK() };
        let mut reply = doc! { "config": config.to_document() };
        if body.get("commitmentStatus").is_some_and(is_true) {
            if self.state() != MemberState::Primary {
                return error(10107, "NotWritablePrimary", "commitmentStatus is only supported on primary.");
            }
            reply.insert("commitmentStatus", self.is_config_committed(config));
        }
        reply.insert("ok", 1.0);
        reply
    }

    /// The primary has stepped down while these waited.
    pub(super) fn fail_pending(&mut self, _now: Instant) {
        if let Some(StepDown { call: Some(call), .. }) = self.pending.step_down.take() {
            let text = "While waiting for secondaries to catch up before stepping down, this node decided to step down for other \
                        reasons";
            let reply = error(189, "PrimarySteppedDown", text);
            self.outputs.push_back(Output::Answered { call, reply });
        }
        if let Some((call, _)) = self.pending.reconfig.take() {
            let reply = error(11602, "InterruptedDueToReplStateChange", "operation was interrupted");
            self.outputs.push_back(Output::Answered { call, reply });
        }
    }

    /// Looks whether something pending is done.
    pub(super) fn check_pending(&mut self, now: Instant) {
        self.check_reconfig();
        self.check_shutdown(now);
    }
}

/// A number as the server reads it: anything else is 0.
pub(super) fn whole(value: Option<&Bson>) -> i64 {
    match value {
        Some(Bson::Int32(n)) => i64::from(*n),
        Some(Bson::Int64(n)) => *n,
        Some(Bson::Double(n)) => *n as i64,
        _ => 0,
    }
}

/// Truth as the server reads it.
pub(super) fn is_true(value: &Bson) -> bool {
    match value {
        Bson::Boolean(b) => *b,
        Bson::Null | Bson::Undefined => false,
        Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_) => whole(Some(value)) != 0,
        _ => true,
    }
}
