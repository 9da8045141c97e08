//! Replies: what the server adds to what a command came to, and how they leave.

use super::Mongod;
use super::op::{Answer, Op, OpId, Origin, Stage};
use super::reply::{self, Times, is_state_change};
use crate::store::Failure;
use bson::Document;
use quorate_core::Instant;
use quorate_core::raw::Timestamp;

/// `maxTimeMS` is over.
pub(super) fn timed_out() -> Failure {
    Failure::new(50, "operation exceeded time limit")
}

/// The process ends.
pub(super) fn shut_down() -> Failure {
    Failure::new(11600, "interrupted at shutdown")
}

/// A change of the member's state took the operation down.
pub(super) fn interrupted() -> Failure {
    Failure::new(11602, "operation was interrupted")
}

impl Mongod {
    /// The command has failed.
    pub(super) fn fail(&mut self, now: Instant, id: OpId, op: Op, failure: &Failure) {
        let mut reply = failure.reply();
        if failure.code == 72 && failure.message == "no option found to get" {
            // The one error of the server that has no code.
            reply.remove("code");
            reply.remove("codeName");
        }
        self.answer(now, id, op, reply);
    }

    /// The command has come to this reply: with `ok: 0` if it failed.
    pub(super) fn answer(&mut self, now: Instant, id: OpId, mut op: Op, mut reply: Document) {
        let failed = reply.get("ok").and_then(super::generic::expect_int) == Some(0);
        let quiescing = failed && reply.contains_key("remainingQuiesceTimeMillis");
        let version = self.member.as_ref().map(|_| self.process.version.shown());
        let labels = op.labels.as_deref();
        let body = if failed {
            let code = reply.get_i32("code").unwrap_or(0);
            if op.reply_to.silent {
                return self.end_silently(id, &op, code);
            }
            let mut body = reply::finish_error(reply, op.labelling, labels, version.clone());
            if quiescing {
                body = [("topologyVersion".to_owned(), version.into())].into_iter().chain(body).collect();
            }
            body
        } else {
            if op.reply_to.silent {
                return self.end_silently(id, &op, 0);
            }
            reply.remove("ok");
            reply::finish_ok(reply, op.labelling, labels, version)
        };
        let times = self.times(&op);
        let answer = match op.origin {
            Origin::Client(_) => self.encode(&mut op, body, times, failed),
            Origin::Router { .. } => Answer::Routed(with_times(body, times)),
        };
        let delay = self.settings.reply_delay.draw(&mut self.rng);
        if delay.is_zero() || self.process.leaving {
            return self.deliver(id, op, answer);
        }
        op.stage = Stage::Answered(answer);
        op.timer = Some(now + delay);
        self.keep(id, op);
    }

    /// Nobody wants the answer. One who wrote to what is no primary learns it from a closed connection.
    fn end_silently(&mut self, id: OpId, op: &Op, code: i32) {
        let _ = id;
        if is_state_change(code)
            && let Some(conn) = op.conn()
        {
            return self.close(conn);
        }
        self.go_on_with(op);
    }

    fn encode(&mut self, op: &mut Op, body: Document, times: Option<Times>, failed: bool) -> Answer {
        let number = self.next_request();
        let streams = !failed && op.again.is_some() && streams_on(&body);
        let bytes = reply::encode(&body, times, op.reply_to, number, streams, &mut self.compression);
        if streams && let (Some(again), Ok(version)) = (&mut op.again, body.get_document("topologyVersion")) {
            // The next hello of the stream waits for a change since this one.
            again.insert("topologyVersion", version.clone());
        }
        Answer::Bytes { bytes, again: streams.then_some(number) }
    }

    /// `$clusterTime` and `operationTime`: on members of a replica set only.
    fn times(&mut self, op: &Op) -> Option<Times> {
        let member = self.member.as_ref()?;
        member.config()?;
        let operation = self.readable_to(op);
        if operation == Timestamp::default() {
            return None;
        }
        self.advance_cluster_time(operation);
        Some(Times { cluster: self.cluster_time, operation })
    }

    /// The answer leaves.
    pub(super) fn deliver(&mut self, id: OpId, op: Op, answer: Answer) {
        match answer {
            Answer::Routed(body) => {
                if let Origin::Router { from, call } = op.origin {
                    self.send(from, super::Message::Route(super::Route::Reply { call, body }));
                }
            }
            Answer::Bytes { bytes, again } => {
                let Some(conn) = op.conn().filter(|conn| self.conns.contains_key(conn)) else { return };
                self.send_bytes(conn, bytes);
                match again {
                    Some(number) => self.stream_on(id, op, number),
                    None => self.go_on_with(&op),
                }
            }
        }
    }

    /// The operation is over; its connection's next message may be read.
    fn go_on_with(&mut self, op: &Op) {
        if let Some(conn) = op.conn()
            && let Some(open) = self.conns.get_mut(&conn)
        {
            open.op = None;
            self.ready.push_back(conn);
        }
    }

    /// The next round of an exhaust stream: the same command again, in answer to the reply that just left.
    fn stream_on(&mut self, id: OpId, mut op: Op, number: i32) {
        op.body = op.again.take().unwrap_or_default();
        op.reply_to.request_id = number;
        (op.stage, op.labels, op.deadline) = (Stage::Start, None, None);
        // At once, but not from within: a timer that has come already.
        op.timer = Some(Instant::ZERO);
        self.keep(id, op);
    }
}

/// Whether a reply has another one after it: a hello always, a batch unless its cursor is done.
fn streams_on(body: &Document) -> bool {
    match body.get_document("cursor") {
        Ok(cursor) => cursor.get_i64("id").is_ok_and(|id| id != 0),
        Err(_) => body.contains_key("topologyVersion"),
    }
}

fn with_times(mut body: Document, times: Option<Times>) -> Document {
    let Some(times) = times else { return body };
    let shown = |t: Timestamp| bson::Timestamp { time: t.time, increment: t.increment };
    body.insert("$clusterTime", bson::doc! { "clusterTime": shown(times.cluster) });
    body.insert("operationTime", shown(times.operation));
    body
}
