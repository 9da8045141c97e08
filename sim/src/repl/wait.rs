//! Waiting for a write concern.

use super::output::WaitEnd;
use super::progress::covered_by;
use super::timers::Timer;
use super::{Member, Output};
use bson::{Document, doc};
use quorate_core::Instant;
use quorate_core::concern::{
    Acknowledgment, MemberProgress, OpTime, UNKNOWN_REPL_WRITE_CONCERN, WriteConcern, evaluate,
};
use std::time::Duration;

/// One wait.
#[derive(Clone, Debug)]
struct Wait {
    waiter: u64,
    optime: OpTime,
    concern: WriteConcern,
    /// When `wtimeout` is over.
    timeout: Option<Instant>,
    /// When the operation's own time is.
    deadline: Option<Instant>,
}

/// The waits under way, in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Waits(Vec<Wait>);

impl Member {
    /// Waits until the write at `optime` satisfies `concern`: [`Output::Waited`] comes once for `waiter`, perhaps at once. A
    /// concern without `w` is the set's implicit default. `wtimeout` is the concern's own (0 is none); `deadline` is the end of the operation's
    /// time (`maxTimeMS`).
    ///
    /// A write that changed nothing waits for the last entry ([`last_applied`](Member::last_applied)).
    pub fn wait_for(
        &mut self,
        now: Instant,
        waiter: u64,
        optime: OpTime,
        concern: &WriteConcern,
        deadline: Option<Instant>,
    ) {
        let timeout =
            concern.w_timeout.filter(|timeout| *timeout > Duration::ZERO).map(|timeout| now + timeout);
        let wait = Wait { waiter, optime, concern: concern.clone(), timeout, deadline };
        let evaluation = evaluate(&self.concerns, concern, optime, &self.member_progress());
        let end = if let Some(error) = evaluation.error {
            Some(Err(self.refused(concern, error.code)))
        } else if !self.is_primary() {
            let text = "Primary stepped down while waiting for replication";
            Some(Err(self.ended(concern, 189, "PrimarySteppedDown", text)))
        } else if evaluation.satisfied && (!self.needs_commit(concern) || covered_by(optime, self.commit)) {
            Some(Ok(()))
        } else if optime.term != self.term {
            let text = format!(
                "Term changed from {} to {} while waiting for replication, indicating that this node must have stepped down.",
                optime.term, self.term
            );
            Some(Err(self.ended(concern, 189, "PrimarySteppedDown", &text)))
        } else {
            None
        };
        if let Some(result) = end {
            self.outputs.push_back(Output::Waited { waiter, result });
            return;
        }
        if let Some(first) = [timeout, deadline].into_iter().flatten().min()
            && self.timers.get(Timer::Waits).is_none_or(|at| first < at)
        {
            self.timers.set(Timer::Waits, first);
        }
        self.waits.0.push(wait);
        if evaluation.journaled {
            self.journal_soon(now);
        }
    }

    /// Nobody wants to know any more.
    pub fn cancel_wait(&mut self, waiter: u64) {
        self.waits.0.retain(|wait| wait.waiter != waiter);
    }

    /// Whether the commit point, too, must have reached the write: where `majority` is asked for, reads at `majority` must see it.
    fn needs_commit(&self, concern: &WriteConcern) -> bool {
        match &concern.w {
            Some(Acknowledgment::Nodes(_)) => false,
            Some(Acknowledgment::Custom(mode)) => mode == "majority",
            Some(Acknowledgment::Majority) => true,
            None => self.concerns.implicit_default() == Acknowledgment::Majority,
        }
    }

    fn member_progress(&self) -> Vec<MemberProgress> {
        let own =
            self.me.map(|me| MemberProgress::up(me, self.last_applied()).journaled_to(self.last_durable()));
        let others = self.peers.iter().map(|peer| {
            let progress = MemberProgress::up(peer.member, peer.applied).journaled_to(peer.durable);
            if peer.up { progress } else { progress.gone() }
        });
        own.into_iter().chain(others).collect()
    }

    /// Ends the waits that a change of progress satisfies. Only those are looked at for which somebody newly has the write.
    pub(super) fn look_at_waits(&mut self, changes: &[(OpTime, OpTime)]) {
        let touched = |wait: &Wait| {
            changes.iter().any(|(old, new)| covered_by(wait.optime, *new) && !covered_by(wait.optime, *old))
        };
        if !self.waits.0.iter().any(touched) {
            return;
        }
        let progress = self.member_progress();
        let waits = std::mem::take(&mut self.waits.0);
        for wait in waits {
            let done = touched(&wait)
                && evaluate(&self.concerns, &wait.concern, wait.optime, &progress).satisfied
                && (!self.needs_commit(&wait.concern) || covered_by(wait.optime, self.commit));
            if done {
                self.outputs.push_back(Output::Waited { waiter: wait.waiter, result: Ok(()) });
            } else {
                self.waits.0.push(wait);
            }
        }
    }

    /// Ends the waits whose time is over.
    pub(super) fn end_waits(&mut self, now: Instant) {
        let waits = std::mem::take(&mut self.waits.0);
        let mut next: Option<Instant> = None;
        for wait in waits {
            let over = |at: Option<Instant>| at.is_some_and(|at| at <= now);
            let result = if over(wait.timeout) {
                let text = "waiting for replication timed out";
                let mut end = self.ended(&wait.concern, 64, "WriteConcernFailed", text);
                let concern = end.info.take().unwrap_or_default();
                let mut info = doc! { "wtimeout": true };
                info.extend(concern);
                WaitEnd { info: Some(info), ..end }
            } else if over(wait.deadline) {
                self.ended(&wait.concern, 50, "MaxTimeMSExpired", "operation exceeded time limit")
            } else {
                next = [next, wait.timeout, wait.deadline].into_iter().flatten().min();
                self.waits.0.push(wait);
                continue;
            };
            self.outputs.push_back(Output::Waited { waiter: wait.waiter, result: Err(result) });
        }
        if let Some(next) = next {
            self.timers.set(Timer::Waits, next);
        }
    }

    /// The primary steps down: operations that took write locks are ended, and nobody can say what becomes of these writes.
    pub(super) fn fail_waits(&mut self) {
        self.timers.clear(Timer::Waits);
        for wait in std::mem::take(&mut self.waits.0) {
            let text = "operation was interrupted";
            let result = Err(self.ended(&wait.concern, 11602, "InterruptedDueToReplStateChange", text));
            self.outputs.push_back(Output::Waited { waiter: wait.waiter, result });
        }
    }

    /// For a concern that no waiting can satisfy, in the server's words.
    fn refused(&self, concern: &WriteConcern, code: i32) -> WaitEnd {
        match &concern.w {
            Some(Acknowledgment::Custom(mode)) if code == UNKNOWN_REPL_WRITE_CONCERN => {
                let text = format!("No write concern mode named '{mode}' found in replica set configuration");
                self.ended(concern, code, "UnknownReplWriteConcern", &text)
            }
            _ => self.ended(concern, code, "UnsatisfiableWriteConcern", "Not enough data-bearing nodes"),
        }
    }

    fn ended(&self, concern: &WriteConcern, code: i32, code_name: &'static str, message: &str) -> WaitEnd {
        let info = doc! { "writeConcern": self.concern_document(concern) };
        WaitEnd { code, code_name, message: message.into(), info: Some(info) }
    }

    /// The write concern as `errInfo` shows it.
    fn concern_document(&self, concern: &WriteConcern) -> Document {
        let implied = self.concerns.implicit_default();
        let mut shown = match concern.w.as_ref().unwrap_or(&implied) {
            Acknowledgment::Nodes(n) => doc! { "w": i32::try_from(*n).unwrap_or(i32::MAX) },
            other => doc! { "w": other.describe().into_owned() },
        };
        if let Some(journal) = concern.journal {
            shown.insert("j", journal);
        }
        let millis = concern.w_timeout.map_or(0, |timeout| timeout.as_millis());
        shown.insert("wtimeout", i32::try_from(millis).unwrap_or(i32::MAX));
        shown.insert("provenance", if concern.w.is_some() { "clientSupplied" } else { "implicitDefault" });
        shown
    }
}
