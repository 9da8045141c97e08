//! Connections: from messages to jobs, from replies to bytes.

use super::{Client, Job, Mongos, Stage};
use crate::balancer::Relay;
use crate::mongod::Message;
use crate::mongod::commands::{self, Command, Place};
use crate::mongod::failpoint::{Strike, Subject};
use crate::mongod::generic::{Generic, expect_int};
use crate::mongod::reply::{self, Labelling, Times, is_state_change};
use crate::mongod::request::{Refusal, Request};
use crate::node::{ConnId, NodeId, NodeOutput};
use crate::repl::wall_millis;
use crate::store::Failure;
use bson::Document;
use quorate_core::Instant;
use quorate_core::raw::Timestamp;

static NONE: Command = commands::nothing(Place::Anywhere);

impl Mongos {
    /// A client has connected, directly or through a load balancer.
    pub(super) fn open(&mut self, conn: ConnId, via: Option<NodeId>) {
        let number = self.next.connection;
        self.next.connection += 1;
        let open = crate::mongod::conn::Conn::new(number);
        self.clients.insert(conn, Client { conn: open, via });
    }

    pub(super) fn push(&mut self, conn: ConnId, bytes: &[u8]) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let received = self.tls.receive(conn, bytes);
        client.conn.push(&received.content);
        self.ready.push_back(conn);
        if !received.answer.is_empty() {
            self.send_sealed(conn, received.answer);
        }
        if received.broken {
            self.close(conn);
        }
    }

    /// A connection is gone. What it asked for goes on at the shards; nobody waits for the answer.
    pub(super) fn forget(&mut self, conn: ConnId) -> Option<Client> {
        let client = self.clients.remove(&conn)?;
        self.tls.close(conn);
        if let Some(id) = client.conn.op
            && self.jobs.get(&id).is_some_and(|job| !matches!(job.stage, Stage::Blocked(_)))
        {
            self.take(id);
        }
        Some(client)
    }

    /// This side hangs up.
    pub(super) fn close(&mut self, conn: ConnId) {
        if let Some(client) = self.forget(conn) {
            self.out.push_back(match client.via {
                None => NodeOutput::Close(conn),
                Some(to) => NodeOutput::Message { to, message: Message::Relay(Relay::Close(conn)) },
            });
        }
    }

    fn send(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let bytes = self.tls.seal(conn, bytes);
        self.send_sealed(conn, bytes);
    }

    fn send_sealed(&mut self, conn: ConnId, bytes: Vec<u8>) {
        let Some(client) = self.clients.get(&conn) else { return };
        self.out.push_back(match client.via {
            None => NodeOutput::Send { conn, bytes },
            Some(to) => NodeOutput::Message { to, message: Message::Relay(Relay::Bytes(conn, bytes)) },
        });
    }

    /// Reads a connection's next message, if it is its turn.
    pub(super) fn read_on(&mut self, now: Instant, conn: ConnId) {
        let Some(next) =
            self.clients.get_mut(&conn).and_then(|client| client.conn.next(&mut self.compression))
        else {
            return;
        };
        match next {
            Ok(request) => {
                let (id, job) = self.new_job(conn, request);
                self.begin(now, id, job);
            }
            Err(Refusal::Close) => self.close(conn),
            Err(Refusal::QueryFailure(request_id, body)) => {
                let bytes = reply::query_failure(&body, self.number(), request_id);
                self.send(conn, bytes);
                self.ready.push_back(conn);
            }
            Err(Refusal::Answer(reply_to, failure)) => {
                let (id, job) = self.new_job(conn, Request { reply_to, body: Document::new() });
                self.fail(now, id, job, &failure);
            }
        }
    }

    fn new_job(&mut self, conn: ConnId, request: Request) -> (u64, Job) {
        let id = self.next.job;
        self.next.job += 1;
        if let Some(client) = self.clients.get_mut(&conn) {
            client.conn.op = Some(id);
        }
        let job = Job {
            conn,
            reply_to: request.reply_to,
            body: request.body,
            again: None,
            command: &NONE,
            operator: false,
            generic: Generic::default(),
            labelling: Labelling::Plain,
            labels: None,
            deadline: None,
            to_visit: Vec::new(),
            gathered: Vec::new(),
            attempts: 0,
            stage: Stage::Working,
            timer: None,
        };
        (id, job)
    }

    pub(super) fn begin(&mut self, now: Instant, id: u64, mut job: Job) {
        job.operator = self.settings.take_operator(&mut job.body);
        if self.tls.misses(job.conn) && !job.operator {
            return self.close(job.conn);
        }
        if let Err(failure) = self.recognize(now, &mut job) {
            return self.fail(now, id, job, &failure);
        }
        match self.strike(&job) {
            Some(strike) => match strike.block {
                Some(block) => {
                    job.timer = Some(now + block);
                    job.stage = Stage::Blocked(strike);
                    self.keep(id, job);
                }
                None => self.struck(now, id, job, strike),
            },
            None => self.dispatch(now, id, job),
        }
    }

    fn recognize(&mut self, now: Instant, job: &mut Job) -> Result<(), Failure> {
        if !job.body.contains_key("$db") {
            return Err(Failure::new(40571, "OP_MSG requests require a $db argument"));
        }
        let name = job.body.keys().next().map_or("", String::as_str);
        let known = if name == "isdbgrid" { Some(&ISDBGRID) } else { commands::find(name) };
        let known = known.filter(|command| !command.name.starts_with("replSet"));
        job.command = known.ok_or_else(|| Failure::new(59, format!("no such command: '{name}'")))?;
        if self.settings.auth
            && !job.operator
            && !job.command.is_open()
            && let Some(client) = self.clients.get_mut(&job.conn)
        {
            client.conn.check_log_in(job.command.name, wall_millis(now))?;
        }
        job.generic = Generic::read(&job.body)?;
        job.labelling = labelling(job);
        job.deadline = job.generic.max_time.map(|limit| now + limit);
        if let Some(heard) = job.generic.cluster_time {
            self.cluster_time = self.cluster_time.max(heard);
        }
        if job.reply_to.exhaust && matches!(job.command.name, "hello" | "isMaster") {
            job.again = Some(job.body.clone());
        }
        if job.command.admin_only() && job.generic.db != "admin" {
            let text = format!("{} may only be run against the admin database.", job.command.name);
            return Err(Failure::new(13, text));
        }
        if let Some(failure) = &job.generic.malformed {
            return Err(failure.clone());
        }
        if job.generic.write.is_some() && !job.command.writes() {
            return Err(Failure::new(72, "Command does not support writeConcern"));
        }
        Ok(())
    }

    fn subject<'a>(&'a self, job: &'a Job, namespace: &'a str) -> Subject<'a> {
        let app_name = self.clients.get(&job.conn).and_then(|client| client.conn.app_name.as_deref());
        Subject { command: job.command.name, namespace, app_name, internal: false }
    }

    fn strike(&mut self, job: &Job) -> Option<Strike> {
        if self.fail.is_off() {
            return None;
        }
        let namespace = namespace(job);
        let mut fail = std::mem::take(&mut self.fail);
        let strike = fail.strike(self.subject(job, &namespace));
        self.fail = fail;
        strike
    }

    pub(super) fn struck(&mut self, now: Instant, id: u64, mut job: Job, strike: Strike) {
        job.labels = strike.labels;
        if strike.close {
            return self.close(job.conn);
        }
        match strike.error {
            Some(failure) => self.fail(now, id, job, &failure),
            None => self.dispatch(now, id, job),
        }
    }

    /// The command has failed.
    pub(super) fn fail(&mut self, now: Instant, id: u64, job: Job, failure: &Failure) {
        self.answer(now, id, job, failure.reply());
    }

    /// The command has come to this reply: with `ok: 0` if it failed.
    pub(super) fn answer(&mut self, now: Instant, id: u64, mut job: Job, mut reply: Document) {
        let failed = reply.get("ok").and_then(expect_int) == Some(0);
        self.add_concern_error(&mut job, &mut reply, failed);
        let code = if failed { reply.get_i32("code").unwrap_or(0) } else { 0 };
        if job.reply_to.silent {
            return if is_state_change(code) { self.close(job.conn) } else { self.go_on(&job) };
        }
        let labels = job.labels.as_deref();
        let body = if failed {
            reply::finish_error(reply, job.labelling, labels, None)
        } else {
            reply.remove("ok");
            if let Some(token) = self.recovery_token(&job) {
                reply.insert("recoveryToken", token);
            }
            reply::finish_ok(reply, job.labelling, labels, None)
        };
        let streams = !failed && job.again.is_some();
        let number = self.number();
        let times = self.times();
        let bytes = reply::encode(&body, times, job.reply_to, number, streams, &mut self.compression);
        if streams && let (Some(again), Ok(version)) = (&mut job.again, body.get_document("topologyVersion"))
        {
            again.insert("topologyVersion", version.clone());
        }
        job.stage = Stage::Answered { bytes, again: streams.then_some(number) };
        job.timer = Some(now + self.settings.reply_delay.draw(&mut self.rng));
        self.keep(id, job);
    }

    fn add_concern_error(&mut self, job: &mut Job, reply: &mut Document, failed: bool) {
        if failed || self.fail.is_off() || !job.command.writes() {
            return;
        }
        let namespace = namespace(job);
        let mut fail = std::mem::take(&mut self.fail);
        if let Some((error, labels)) = fail.concern_error(self.subject(job, &namespace)) {
            reply.insert("writeConcernError", error);
            job.labels = labels.or(job.labels.take());
        }
        self.fail = fail;
    }

    fn times(&self) -> Option<Times> {
        let cluster = self.cluster_time;
        (cluster != Timestamp::default()).then_some(Times { cluster, operation: cluster })
    }

    /// The answer leaves.
    pub(super) fn deliver(&mut self, id: u64, mut job: Job, bytes: Vec<u8>, again: Option<i32>) {
        self.send(job.conn, bytes);
        let Some(number) = again else { return self.go_on(&job) };
        job.body = job.again.take().unwrap_or_default();
        job.reply_to.request_id = number;
        (job.stage, job.labels, job.deadline) = (Stage::Working, None, None);
        self.keep(id, job);
        self.again.push_back(id);
    }

    /// The job is over; its connection's next message may be read.
    fn go_on(&mut self, job: &Job) {
        if let Some(client) = self.clients.get_mut(&job.conn) {
            client.conn.op = None;
            self.ready.push_back(job.conn);
        }
    }

    fn number(&mut self) -> i32 {
        let number = self.next.request;
        self.next.request = number.wrapping_add(1);
        number
    }
}

static ISDBGRID: Command = commands::named("isdbgrid");

fn labelling(job: &Job) -> Labelling {
    let Some(session) = job.generic.session else { return Labelling::Plain };
    match (session.transaction, session.txn_number) {
        (Some(_), _) if job.command.ends_transactions() => Labelling::Retryable,
        (Some(_), _) => Labelling::Transaction,
        (None, Some(_)) if job.command.is_retryable() => Labelling::Retryable,
        _ => Labelling::Plain,
    }
}

fn namespace(job: &Job) -> String {
    let coll = match job.body.iter().next() {
        Some((_, bson::Bson::String(coll))) if job.command.names_collection() => coll.as_str(),
        _ => job.body.get_str("collection").unwrap_or(""),
    };
    format!("{}.{coll}", job.generic.db)
}
