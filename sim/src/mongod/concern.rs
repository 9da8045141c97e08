//! Waiting for write concerns.

use super::generic::WriteConcernArgument;
use super::op::{Op, OpId, Stage};
use super::store_call::with_optime;
use super::{Mongod, admit, answer};
use crate::repl::WaitEnd;
use bson::{Document, doc};
use quorate_core::concern::OpTime;
use quorate_core::{Acknowledgment, Instant, WriteConcern};

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
            let reply = if is_write { doc! { "n": 0 } } else { reply };
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

    fn await_concern(&mut self, now: Instant, id: OpId, mut op: Op, mut reply: Document, last: Option<OpTime>) {
        let Some(member) = &self.member else {
            let write = op.generic.write.as_ref();
            if write.is_some_and(|w| w.concern.journal == Some(true) || w.concern.w == Some(Acknowledgment::Majority)) {
                self.alone.flush_now();
            }
            return self.answer(now, id, op, reply);
        };
        let optime = last.unwrap_or(member.last_applied());
        if op.generic.write.as_ref().is_none_or(|w| w.concern.w.is_none() && w.tags.is_none()) {
            let chosen = op.generic.write.take();
            op.generic.write = Some(filled_in(self.default_write_concern(), chosen));
        }
        let Some(write) = &op.generic.write else { return self.answer(now, id, op, reply) };
        if let Some(tag) = write.tags.as_ref().and_then(|tags| tags.keys().next()) {
            let end = doc! {
                "code": 4, "codeName": "NoSuchKey", "errmsg": format!("No replica set tag key {tag} in config"),
                "errInfo": { "writeConcern": write.shown() },
            };
            reply.insert("writeConcernError", end);
            return self.answer(now, id, op, reply);
        }
        let concern = write.concern.clone();
        if concern.w == Some(Acknowledgment::Nodes(1)) && concern.journal != Some(true) {
            return self.answer(now, id, op, reply);
        }
        op.stage = Stage::Replicating(reply);
        op.timer = op.deadline;
        let deadline = concern.w_timeout.map(|timeout| now + timeout);
        self.keep(id, op);
        self.wait_for(now, id, optime, &concern, deadline);
    }

    /// Asks replication to say when a write concern holds.
    pub(super) fn wait_for(
        &mut self,
        now: Instant,
        id: OpId,
        optime: OpTime,
        concern: &WriteConcern,
        deadline: Option<Instant>,
    ) {
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
        let Some(mut op) = self.take(id) else { return };
        match std::mem::replace(&mut op.stage, Stage::Start) {
            Stage::Confirming(reply) => match result {
                Ok(()) => self.answer(now, id, op, reply),
                Err(_) => self.fail(now, id, op, &answer::interrupted()),
            },
            Stage::Replicating(mut reply) => {
                if let Err(end) = result {
                    reply.insert("writeConcernError", concern_error(&op, end.code, end.code_name, &end.message));
                }
                self.answer(now, id, op, reply);
            }
            stage => {
                op.stage = stage;
                self.keep(id, op);
            }
        }
    }

    /// `maxTimeMS` was over before the write concern held: the write stands all the same.
    pub(super) fn concern_timed_out(&mut self, now: Instant, id: OpId, op: Op, mut reply: Document) {
        let failure = answer::timed_out();
        reply.insert("writeConcernError", concern_error(&op, failure.code, "MaxTimeMSExpired", &failure.message));
        self.answer(now, id, op, reply);
    }

    /// The write concern of those that ask for none.
    pub(super) fn default_write_concern(&self) -> WriteConcernArgument {
        let config = self.member.as_ref().and_then(|member| member.config());
        let w = config.map_or(Acknowledgment::Majority, |config| config.for_concerns().implicit_default());
        let concern = WriteConcern { w: Some(w), ..WriteConcern::default() };
        WriteConcernArgument { concern, tags: None, provenance: "implicitDefault" }
    }
}

/// The default, with the `j` and `wtimeout` of a client that only said those.
fn filled_in(default: WriteConcernArgument, chosen: Option<WriteConcernArgument>) -> WriteConcernArgument {
    match chosen {
        None => default,
        Some(chosen) => {
            // A write concern without `w` is one of w: 1, not the set's default.
            let concern = WriteConcern { w: Some(Acknowledgment::Nodes(1)), ..chosen.concern };
            WriteConcernArgument { concern, ..chosen }
        }
    }
}

fn concern_error(op: &Op, code: i32, name: &str, message: &str) -> Document {
    let mut info = Document::new();
    if code == 64 {
        info.insert("wtimeout", true);
    }
    if let Some(write) = &op.generic.write {
        info.insert("writeConcern", write.shown());
    }
    doc! { "code": code, "codeName": name, "errmsg": message, "errInfo": info }
}
