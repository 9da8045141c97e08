//! What replication wants done.

use super::op::Stage;
use super::{Message, Mongod, answer};
use crate::node::{ConnId, NodeOutput};
use crate::repl::{MemberState, Output, Snapshot};
use crate::store::Store;
use quorate_core::Instant;

impl Mongod {
    /// Does everything replication wants done so far.
    pub(super) fn drain_member(&mut self, now: Instant) {
        while let Some(output) = self.member.as_mut().and_then(crate::repl::Member::poll_output) {
            self.handle_member(now, output);
        }
    }

    pub(super) fn handle_member(&mut self, now: Instant, output: Output) {
        match output {
            Output::Send { to, message } => self.send(to, Message::Repl(message)),
            Output::Apply(entries) => {
                entries.iter().for_each(|entry| self.store.apply(entry));
                self.cluster_time_moved(now);
            }
            Output::RollBackTo(optime) => self.store.roll_back_to(optime),
            Output::Load(snapshot) => self.load(now, &snapshot),
            Output::TakeSnapshot { to, stream } => {
                let snapshot = self.snapshot();
                if let Some(member) = &mut self.member {
                    member.handle_snapshot(now, to, stream, snapshot);
                }
            }
            Output::CommitPoint(optime) => {
                self.store.commit_point(optime);
                self.cluster_time_moved(now);
            }
            Output::HelloChanged => self.hello_changed(now),
            Output::StateChanged { from, to } => {
                if from == MemberState::Primary && to != MemberState::Primary {
                    self.store.step_down();
                }
                self.out.push_back(NodeOutput::Note(format!("{from} -> {to}")));
            }
            Output::Waited { waiter, result } => self.waited(now, waiter, result),
            Output::Answered { call, reply } => {
                let decides = |op: &super::op::Op| matches!(op.stage, Stage::Deciding);
                if self.ops.get(&call).is_some_and(decides)
                    && let Some(op) = self.take(call)
                {
                    self.answer(now, call, op, reply);
                }
            }
            Output::CloseConnections => {
                let all: Vec<ConnId> = self.conns.keys().copied().collect();
                all.into_iter().for_each(|conn| self.close(conn));
            }
            Output::KillOperations => self.kill_operations(now),
            Output::ShutDown => self.exit(now),
            Output::Note(text) => self.out.push_back(NodeOutput::Note(text)),
        }
    }

    /// Hello answers differently from now on: those who wait for that are answered.
    fn hello_changed(&mut self, now: Instant) {
        self.process.version.counter += 1;
        for id in std::mem::take(&mut self.awaiting_change) {
            if let Some(op) = self.take(id) {
                self.answer_hello(now, id, op);
            }
        }
    }

    /// A step-down ends what writes, and what needs to know that this is the primary.
    fn kill_operations(&mut self, now: Instant) {
        self.store.step_down();
        let killed: Vec<_> =
            self.ops.iter().filter(|(_, op)| op.is_killed_by_step_down()).map(|(id, _)| *id).collect();
        for id in killed {
            let Some(op) = self.take(id) else { continue };
            if matches!(op.stage, Stage::Confirming(_)) {
                self.cancel_wait(id);
            }
            self.fail(now, id, op, &answer::interrupted());
        }
    }

    /// All data as entries that build it: what a member that is too far behind gets.
    fn snapshot(&self) -> Snapshot {
        Snapshot { at: self.store.last_applied(), entries: self.store.rebuild() }
    }

    fn load(&mut self, now: Instant, snapshot: &Snapshot) {
        self.store = Store::new(self.rng.next_u64());
        snapshot.entries.iter().for_each(|entry| self.store.apply(entry));
        self.cluster_time_moved(now);
    }
}
