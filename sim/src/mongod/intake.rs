//! From messages to operations.

use super::commands::{self, Command, Place};
use super::generic::Generic;
use super::op::{Op, OpId, Origin, Stage};
use super::reply::Labelling;
use super::request::{Refusal, ReplyTo, Request};
use super::{Mongod, reply};
use crate::node::{ConnId, NodeId, NodeOutput};
use crate::store::Failure;
use bson::Document;
use quorate_core::Instant;

impl Mongod {
    /// Reads a connection's next message, if it is its turn.
    pub(super) fn read_on(&mut self, now: Instant, conn: ConnId) {
        let Some(open) = self.conns.get_mut(&conn) else { return };
        match open.next(&mut self.compression) {
            None => {}
            Some(Ok(request)) => self.begin(now, Origin::Client(conn), request),
            Some(Err(Refusal::Close)) => self.close(conn),
            Some(Err(Refusal::QueryFailure(request_id, body))) => {
                let number = self.next_request();
                let bytes = reply::query_failure(&body, number, request_id);
                self.send_bytes(conn, bytes);
                self.ready.push_back(conn);
            }
            Some(Err(Refusal::Answer(reply_to, failure))) => {
                let request = Request { reply_to, body: Document::new() };
                let (id, op) = self.new_op(Origin::Client(conn), request);
                self.fail(now, id, op, &failure);
            }
        }
    }

    /// A mongos wants something done.
    pub(super) fn handle_routed(&mut self, now: Instant, from: NodeId, call: u64, body: Document) {
        let reply_to = ReplyTo::plain(0);
        self.begin(now, Origin::Router { from, call }, Request { reply_to, body });
    }

    fn begin(&mut self, now: Instant, origin: Origin, request: Request) {
        let (id, mut op) = self.new_op(origin, request);
        op.operator = self.settings.take_operator(&mut op.body);
        if let Origin::Client(conn) = origin
            && self.tls.misses(conn)
            && !op.operator
        {
            return self.close(conn);
        }
        let delay = self.settings.start_delay.draw(&mut self.rng);
        if delay.is_zero() {
            return self.carry_out(now, id, op);
        }
        op.timer = Some(now + delay);
        self.keep(id, op);
    }

    /// An operation that nothing has been looked at of.
    fn new_op(&mut self, origin: Origin, request: Request) -> (OpId, Op) {
        let id = self.process.next_op;
        self.process.next_op += 1;
        if let Origin::Client(conn) = origin
            && let Some(open) = self.conns.get_mut(&conn)
        {
            open.op = Some(id);
        }
        let op = Op {
            origin,
            reply_to: request.reply_to,
            body: request.body,
            again: None,
            command: &NONE,
            operator: false,
            generic: Generic::default(),
            deadline: None,
            labelling: Labelling::Plain,
            labels: None,
            stage: Stage::Start,
            timer: None,
        };
        (id, op)
    }

    /// Finds out which command it is, whether it may run, and carries it out.
    pub(super) fn carry_out(&mut self, now: Instant, id: OpId, mut op: Op) {
        if let Err(failure) = self.recognize(now, &mut op) {
            return self.fail(now, id, op, &failure);
        }
        match self.strike(&op) {
            Some(strike) => match strike.block {
                Some(block) => {
                    op.timer = Some(now + block);
                    op.stage = Stage::Blocked(strike);
                    self.keep(id, op);
                }
                None => self.struck(now, id, op, strike),
            },
            None => self.admitted(now, id, op),
        }
    }

    /// Which command it is and what its generic arguments are.
    fn recognize(&mut self, now: Instant, op: &mut Op) -> Result<(), Failure> {
        if !op.body.contains_key("$db") {
            return Err(Failure::new(40571, "OP_MSG requests require a $db argument"));
        }
        let name = op.body.keys().next().map_or("", String::as_str);
        let known =
            commands::find(name).filter(|c| self.settings.test_commands || c.name != "configureFailPoint");
        op.command = known.ok_or_else(|| Failure::new(59, format!("no such command: '{name}'")))?;
        self.check_log_in(now, op)?;
        if op.command.is_open() && op.body.contains_key("txnNumber") && !op.body.contains_key("autocommit") {
            return Err(Failure::new(50889, "It is illegal to provide a txnNumber for this command"));
        }
        op.generic = Generic::read(&op.body)?;
        op.labelling = labelling(op);
        op.deadline = op.generic.max_time.map(|limit| now + limit);
        if op.reply_to.exhaust && matches!(op.command.name, "hello" | "isMaster" | "getMore") {
            op.again = Some(op.body.clone());
        }
        Ok(())
    }

    /// The server hangs up.
    pub(super) fn close(&mut self, conn: ConnId) {
        if self.forget_connection(conn) {
            self.last_words(conn);
            self.out.push_back(NodeOutput::Close(conn));
        }
    }

    /// Sends a message, encrypted where the client wants that.
    pub(super) fn send_bytes(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let bytes = self.tls.seal(conn, bytes);
        self.out.push_back(NodeOutput::Send { conn, bytes });
    }

    /// What has to be said before this side closes.
    pub(super) fn last_words(&mut self, conn: ConnId) {
        let bytes = self.tls.close(conn);
        if !bytes.is_empty() {
            self.out.push_back(NodeOutput::Send { conn, bytes });
        }
    }

    /// Drops a connection, and of what is in progress on it what only waits to be answered. What has effects still to come
    /// goes on: the real server notices late, if at all. Whether there was one.
    pub(super) fn forget_connection(&mut self, conn: ConnId) -> bool {
        let Some(gone) = self.conns.remove(&conn) else { return false };
        if let Some(id) = gone.op
            && self.ops.get(&id).is_some_and(|op| !matches!(op.stage, Stage::Start | Stage::Blocked(_)))
            && let Some(op) = self.take(id)
            && matches!(op.stage, Stage::Replicating(_) | Stage::Confirming(_))
        {
            self.cancel_wait(id);
        }
        true
    }

    pub(super) fn next_request(&mut self) -> i32 {
        let number = self.process.next_request;
        self.process.next_request = number.wrapping_add(1);
        number
    }
}

/// Which labels the server puts on the errors of an operation.
fn labelling(op: &Op) -> Labelling {
    let Some(session) = op.generic.session else { return Labelling::Plain };
    match (session.transaction, session.txn_number) {
        (Some(_), _) if op.command.ends_transactions() => Labelling::Retryable,
        (Some(_), _) => Labelling::Transaction,
        (None, Some(_)) if op.command.is_retryable() => Labelling::Retryable,
        _ => Labelling::Plain,
    }
}

/// What stands in an operation until its command has been recognized.
static NONE: Command = commands::nothing(Place::Anywhere);
