//! Waiting for write concerns.

use super::generic::WriteConcernArgument;
use super::op::{Op, OpId, Stage};
use super::store_call::with_optime;
use super::{Mongod, admit, answer};
use crate::repl::WaitEnd;
use bson::{Document, doc};
use quorate_core::concern::OpTime;
use quorate_core::{Acknowledgment, Instant, WriteConcern};

const NO_SUCH_TRANSACTION: i32 = 251;

impl Mongod {
    /// A command has been carried out: answers it when its write concern holds. `last` is the last entry it wrote.
    pub(super) fn replicate(
        &mut self,
        now: Instant,
        id: OpId,
        mut op: Op,
        mut reply: Document,
        last: Option<OpTime>,
    ) {
        let failed = reply.contains_key("ok");
        let pending = op.in_transaction() && !op.command.ends_transactions();
        let is_write = matches!(op.command.name, "insert" | "update" | "delete");
        if failed
            && op.command.writes()
            && let Some((error, labels)) = self.failed_concern(&op)
        {
            op.labels = labels.or(op.labels);
            reply = [("writeConcernError".to_owned(), error.into())].into_iter().chain(reply).collect();
        }
        if failed
            && op.command.name == "commitTransaction"
            && reply.get_i32("code").is_ok_and(|code| code == NO_SUCH_TRANSACTION)
        {
            // Only a primary that a majority still follows can say so for good.
            return self.await_concern(now, id, op, reply, None);
        }
        if failed || !op.command.writes() {
            return self.answer(now, id, op, reply);
        }
        if let Some(member) = self.member.as_ref().filter(|_| is_write) {
            let (election, optime) = (member.election_id(), last.unwrap_or(member.last_applied()));
            reply = with_optime(reply, election, optime);
        }
        let unacknowledged = op.generic.write.as_ref().is_some_and(|w| !w.concern.is_acknowledged());
        if op.reply_to.silent || pending || (op.command.name == "aggregate" && last.is_none()) {
            return self.answer(now, id, op, reply);
        }
        if let Some((error, labels)) = self.failed_concern(&op) {
            reply.insert("writeConcernError", error);
            op.labels = labels.or(op.labels);
            return self.answer(now, id, op, reply);
        }
        if unacknowledged {
            // Nobody waits for it, and the server says nothing of what it did.
            let reply = match op.command.name {
                "update" => doc! { "n": 0, "nModified": 0 },
                _ if is_write => doc! { "n": 0 },
                _ => reply,
            };
            return self.answer(now, id, op, reply);
        }
        self.await_concern(now, id, op, reply, last);
    }

    /// The fail point's write concern error, in place of any waiting.
    fn failed_concern(&mut self, op: &Op) -> Option<(Document, Option<Vec<String>>)> {
        if self.fail.is_off() {
            return None;
        }
        let namespace = admit::namespace(op);
        self.fail.concern_error(admit::subject(&self.conns, op, &namespace))
    }

    fn await_concern(
        &mut self,
        now: Instant,
        id: OpId,
        mut op: Op,
        mut reply: Document,
        last: Option<OpTime>,
    ) {
        let Some(member) = &self.member else {
            let write = op.generic.write.as_ref();
            if write.is_some_and(|w| {
                w.concern.journal == Some(true) || w.concern.w == Some(Acknowledgment::Majority)
            }) {
                self.alone.flush_now();
            }
            return self.answer(now, id, op, reply);
        };
        let optime = last.unwrap_or(member.last_applied());
        let write = op.generic.write.as_ref();
        if let Some((write, tag)) = write.and_then(|w| Some((w, w.tags.as_ref()?.keys().next()?))) {
            let end = doc! {
                "code": 4, "codeName": "NoSuchKey", "errmsg": format!("No replica set tag key {tag} in config"),
                "errInfo": { "writeConcern": write.shown() },
            };
            reply.insert("writeConcernError", end);
            return self.answer(now, id, op, reply);
        }
        let concern = write.map(|write| write.concern.clone()).unwrap_or_default();
        if concern.w == Some(Acknowledgment::Nodes(1)) && concern.journal != Some(true) {
            return self.answer(now, id, op, reply);
        }
        op.stage = Stage::Replicating(reply);
        self.keep(id, op);
        self.wait_for(now, id, optime, &concern);
    }

    /// Asks replication to say when a write concern holds.
    pub(super) fn wait_for(&mut self, now: Instant, id: OpId, optime: OpTime, concern: &WriteConcern) {
        let deadline = self.ops.get(&id).and_then(|op| op.deadline);
        if let Some(member) = &mut self.member {
            member.wait_for(now, id, optime, concern, deadline);
        }
    }

    pub(super) fn cancel_wait(&mut self, id: OpId) {
        if let Some(member) = &mut self.member {
            member.cancel_wait(id);
        }
    }

    /// Replication has said it.
    pub(super) fn waited(&mut self, now: Instant, id: OpId, result: Result<(), WaitEnd>) {
        // A step-down may have answered it already.
        let waits = |op: &Op| matches!(op.stage, Stage::Confirming(_) | Stage::Replicating(_));
        if !self.ops.get(&id).is_some_and(waits) {
            return;
        }
        let Some(mut op) = self.take(id) else { return };
        match std::mem::replace(&mut op.stage, Stage::Start) {
            Stage::Confirming(reply) => match result {
                Ok(()) => self.answer(now, id, op, reply),
                Err(end) if end.code == 50 => self.fail(now, id, op, &answer::timed_out()),
                Err(_) => self.fail(now, id, op, &answer::interrupted()),
            },
            Stage::Replicating(mut reply) => {
                if let Err(end) = result {
                    reply.insert("writeConcernError", end.write_concern_error());
                    // What a commit was told of a transaction that is not there may not last.
                    reply.remove("errorLabels");
                }
                self.answer(now, id, op, reply);
            }
            _ => {}
        }
    }

    /// The write concern of those that ask for none.
    pub(super) fn default_write_concern(&self) -> WriteConcernArgument {
        let config = self.member.as_ref().and_then(|member| member.config());
        let w = config.map_or(Acknowledgment::Majority, |config| config.for_concerns().implicit_default());
        let concern = WriteConcern { w: Some(w), ..WriteConcern::default() };
        WriteConcernArgument { concern, tags: None, provenance: "implicitDefault" }
    }
}
