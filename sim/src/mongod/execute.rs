//! Carrying commands out: those of the server itself here, the rest by the store and by replication.

use super::hello::{self, HelloArguments};
use super::log_in::{Identity, failed};
use super::op::{Op, OpId, Stage};
use super::{Mongod, info};
use crate::repl::{self, wall_millis};
use crate::store::{Failure, Store, Work};
use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use quorate_core::Instant;

impl Mongod {
    /// Carries a command out.
    pub(super) fn execute(&mut self, now: Instant, id: OpId, op: Op) {
        let name = op.command.name;
        match name {
            "hello" | "isMaster" => self.hello(now, id, op),
            "shutdown" => self.shut_down(now, id, op),
            _ if name.starts_with("replSet") => self.replication_command(now, id, op),
            _ if Store::knows(name) || name.is_empty() => {
                let mut op = op;
                let body = std::mem::take(&mut op.body);
                self.run_store(now, id, op, Work::Command(body));
            }
            _ => match self.own_command(now, &op) {
                Ok(reply) => self.answer(now, id, op, reply),
                Err(failure) => self.fail(now, id, op, &failure),
            },
        }
    }

    /// The commands that are answered at once.
    fn own_command(&mut self, now: Instant, op: &Op) -> Result<Document, Failure> {
        let body = &op.body;
        match op.command.name {
            "ping" => info::unknown_argument("ping", body, &[]).map(|()| doc! {}),
            "configureFailPoint" => self.fail.configure(body),
            "endSessions" | "killSessions" => {
                let sessions = info::sessions(op.command.name, body)?;
                self.store.end_sessions(&sessions);
                Ok(doc! {})
            }
            "refreshSessions" => info::sessions("refreshSessions", body).map(|_| doc! {}),
            "killAllSessions" => Ok(doc! {}),
            "startSession" => {
                let id = Binary { subtype: BinarySubtype::Uuid, bytes: self.rng.uuid_v4().to_vec() };
                Ok(doc! { "id": { "id": id }, "timeoutMinutes": 30 })
            }
            "saslStart" | "saslContinue" | "authenticate" => self.sasl(now, op),
            "logout" => {
                if let Some(conn) = op.conn().and_then(|conn| self.conns.get_mut(&conn)) {
                    conn.users.clear();
                }
                Ok(doc! {})
            }
            "getnonce" => Ok(doc! { "nonce": format!("{:016x}", self.rng.next_u64()) }),
            _ => self.own_state(now, op),
        }
    }

    /// The commands that only tell something.
    fn own_state(&self, now: Instant, op: &Op) -> Result<Document, Failure> {
        let (body, wall) = (&op.body, wall_millis(now));
        match op.command.name {
            "buildInfo" => Ok(info::build_info()),
            "connectionStatus" => Ok(info::connection_status(body, self.users_of(op))),
            "whatsmyuri" => Ok(doc! { "you": format!("10.0.0.1:{}", self.number_of(op)) }),
            "getCmdLineOpts" => {
                let config = self.member.as_ref().and_then(|member| member.config());
                Ok(info::command_line(&self.settings, config.map(|config| config.name.as_str())))
            }
            "getParameter" => info::get_parameter(body),
            "serverStatus" => {
                let uptime = wall - wall_millis(self.process.started);
                let open = i32::try_from(self.conns.len()).unwrap_or(i32::MAX);
                Ok(info::server_status(&self.settings, wall, uptime, open, &self.compression))
            }
            "hostInfo" => Ok(info::host_info(&self.settings, wall)),
            "getLog" => Ok(doc! { "totalLinesWritten": 0, "log": [] }),
            "listCommands" => Ok(doc! { "commands": {} }),
            "features" => Ok(doc! { "js": { "utf8": true }, "oidMachine": 0 }),
            "lockInfo" => Ok(doc! { "lockInfo": [] }),
            "getDefaultRWConcern" => Ok(self.default_concerns()),
            "currentOp" => Ok(self.current_op()),
            "killOp" => info::kill_op(body),
            "fsync" => Ok(doc! { "numFiles": 1 }),
            "getLastError" => Err(Failure::new(5_739_000, "getLastError command is not supported")),
            name => Err(Failure::new(59, format!("no such command: '{name}'"))),
        }
    }

    fn users_of(&self, op: &Op) -> &[Identity] {
        op.conn().and_then(|conn| self.conns.get(&conn)).map_or(&[], |conn| &conn.users)
    }

    /// The client's `connectionId`.
    fn number_of(&self, op: &Op) -> i32 {
        op.conn().and_then(|conn| self.conns.get(&conn)).map_or(0, |conn| conn.number)
    }

    fn current_op(&self) -> Document {
        let shown = |(id, op): (&OpId, &Op)| {
            let command = op.body.iter().next().map(|(name, value)| doc! { name: value.clone() });
            Bson::from(doc! {
                "type": "op",
                "host": self.settings.host.to_string(),
                "desc": format!("conn{}", self.number_of(op)),
                "active": true,
                "opid": i64::try_from(*id).unwrap_or(i64::MAX),
                "op": "command",
                "command": command.unwrap_or_default(),
            })
        };
        let waiting = self.ops.iter().filter(|(_, op)| !matches!(op.stage, Stage::Answered(_)));
        doc! { "inprog": waiting.map(shown).collect::<Vec<Bson>>() }
    }

    fn default_concerns(&self) -> Document {
        let mut reply = doc! { "defaultReadConcern": { "level": "local" } };
        if self.member.is_some() {
            let mut write = self.default_write_concern().shown();
            write.remove("provenance");
            reply.insert("defaultWriteConcern", write);
            reply.insert("defaultWriteConcernSource", "implicit");
        }
        reply.insert("defaultReadConcernSource", "implicit");
        reply
    }

    /// `hello`: answered at once, or when something changes.
    fn hello(&mut self, now: Instant, id: OpId, mut op: Op) {
        let arguments = match HelloArguments::read(&op.body) {
            Ok(arguments) => arguments,
            Err(failure) => return self.fail(now, id, op, &failure),
        };
        let Some((known, wait)) = arguments.awaits else {
            op.again = None;
            return self.answer_hello(now, id, op);
        };
        match hello::has_to_wait(known, self.process.version) {
            Err(failure) => self.fail(now, id, op, &failure),
            Ok(true) if !wait.is_zero() && !self.is_quiescing() => {
                op.stage = Stage::Change;
                op.timer = Some(now + wait);
                self.awaiting_change.insert(id);
                self.keep(id, op);
            }
            Ok(waits) => {
                if waits {
                    // A stream of hellos without any wait in between would never end.
                    op.again = None;
                }
                self.answer_hello(now, id, op);
            }
        }
    }

    fn is_quiescing(&self) -> bool {
        self.member.as_ref().is_some_and(crate::repl::Member::is_quiescing)
    }

    /// What the server says of itself now.
    pub(super) fn answer_hello(&mut self, now: Instant, id: OpId, op: Op) {
        match self.describe(now, &op) {
            Ok(reply) => self.answer(now, id, op, reply),
            Err(failure) => self.fail(now, id, op, &failure),
        }
    }

    fn describe(&mut self, now: Instant, op: &Op) -> Result<Document, Failure> {
        if let Some(until) = self.member.as_ref().and_then(crate::repl::Member::quiesce_until) {
            let failure = Failure::new(91, "The server is in quiesce mode and will shut down");
            let left = i64::try_from((until - now).as_millis()).unwrap_or(i64::MAX);
            return Err(failure.with("remainingQuiesceTimeMillis", left));
        }
        let arguments = HelloArguments::read(&op.body)?;
        self.greet(op, &arguments)?;
        let mut reply = Document::new();
        if arguments.hello_ok {
            reply.insert("helloOk", true);
        }
        let legacy = op.command.name != "hello";
        let version = self.process.version.shown();
        match &self.member {
            Some(member) => {
                reply.insert("topologyVersion", version);
                reply.extend(hello::rename_for(legacy, member.hello_fields(now)));
            }
            None => {
                reply.insert(if legacy { "ismaster" } else { "isWritablePrimary" }, true);
                reply.insert("topologyVersion", version);
            }
        }
        hello::limits(&mut reply, &self.settings, wall_millis(now), self.number_of(op));
        if let Some(common) = self.compression.negotiate(&op.body) {
            reply.insert("compression", common);
        }
        if let Some(id) = self.settings.service_id.filter(|_| arguments.load_balanced) {
            reply.insert("serviceId", bson::oid::ObjectId::from_bytes(id));
        }
        if let Some(user) = &arguments.mechanisms_of
            && let Some(mechanisms) = self.credentials.mechanisms(user)?
        {
            reply.insert("saslSupportedMechs", mechanisms);
        }
        if let Some(first) = op.conn().and_then(|conn| {
            let asked = arguments.speculative.as_ref()?;
            let subject = self.tls.subject(conn);
            let conn = self.conns.get_mut(&conn)?;
            conn.speculate(&mut self.credentials, asked, subject, wall_millis(now))
        }) {
            reply.insert("speculativeAuthenticate", first);
        }
        Ok(reply)
    }

    /// Takes note of what the client says of itself, which it may do once.
    fn greet(&mut self, op: &Op, arguments: &HelloArguments) -> Result<(), Failure> {
        let Some(conn) = op.conn().and_then(|conn| self.conns.get_mut(&conn)) else { return Ok(()) };
        conn.hello_ok |= arguments.hello_ok;
        match op.body.get("client") {
            // The answer to an awaiting hello greets a second time; it is the same one.
            None => Ok(()),
            Some(_) if conn.introduced && op.again.is_none() => {
                Err(Failure::new(186, "The client metadata document may only be sent in the first hello"))
            }
            Some(Bson::Document(client)) => {
                conn.introduced = true;
                let application = client.get_document("application").ok();
                conn.app_name = application.and_then(|a| a.get_str("name").ok()).map(str::to_owned);
                Ok(())
            }
            Some(_) => Err(Failure::new(14, "The client metadata document must be a document")),
        }
    }

    fn sasl(&mut self, now: Instant, op: &Op) -> Result<Document, Failure> {
        let subject = op.conn().and_then(|conn| self.tls.subject(conn));
        let conn = op.conn().and_then(|conn| self.conns.get_mut(&conn)).ok_or_else(failed)?;
        let wall = wall_millis(now);
        match op.command.name {
            "saslStart" => conn.sasl_start(&mut self.credentials, &op.body, &op.generic.db, wall),
            "authenticate" => conn.authenticate(&self.credentials, &op.body, subject),
            _ => conn.sasl_continue(&mut self.credentials, &op.body, wall),
        }
    }

    fn replication_command(&mut self, now: Instant, id: OpId, mut op: Op) {
        let Some(member) = &mut self.member else {
            return self.fail(now, id, op, &Failure::new(76, "not running with --replSet"));
        };
        match member.command(now, id, &op.body) {
            repl::Answer::Reply(reply) => self.answer(now, id, op, reply),
            repl::Answer::Pending => {
                op.stage = Stage::Deciding;
                self.keep(id, op);
            }
            repl::Answer::NotMine => {
                let text = format!("no such command: '{}'", op.command.name);
                self.fail(now, id, op, &Failure::new(59, text));
            }
        }
    }

    /// `shutdown`: never answered, the connection closes with the process.
    fn shut_down(&mut self, now: Instant, id: OpId, mut op: Op) {
        if let Some(force) = op.body.get("force").filter(|force| !matches!(force, Bson::Boolean(_))) {
            let failure = super::generic::wrong("shutdown.force", force, "bool");
            return self.fail(now, id, op, &failure);
        }
        op.stage = Stage::Ending;
        self.keep(id, op);
        crate::node::Node::handle_terminate(self, now);
    }
}
