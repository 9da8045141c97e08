//! The commands a mongos answers itself.

use super::{Job, Mongos, Stage};
use crate::mongod::generic::missing;
use crate::mongod::hello::{self, HelloArguments};
use crate::mongod::info;
use crate::mongod::log_in::failed;
use crate::repl::wall_millis;
use crate::store::Failure;
use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use quorate_core::Instant;

impl Mongos {
    /// The reply to a command that needs no shard; `None` if it does.
    pub(super) fn local(&mut self, now: Instant, job: &Job) -> Option<Result<Document, Failure>> {
        let (body, wall) = (&job.body, wall_millis(now));
        Some(match job.command.name {
            "ping" => info::unknown_argument("ping", body, &[]).map(|()| doc! {}),
            "isdbgrid" => Ok(doc! { "isdbgrid": 1, "hostname": self.settings.host.to_string() }),
            "buildInfo" => Ok(info::build_info()),
            "connectionStatus" => {
                let users = self.clients.get(&job.conn).map_or(&[][..], |client| &client.conn.users);
                Ok(info::connection_status(body, users))
            }
            "whatsmyuri" => Ok(doc! { "you": "10.0.0.1:1" }),
            "getCmdLineOpts" => Ok(info::command_line(&self.settings, None)),
            "getParameter" => info::get_parameter(body),
            "serverStatus" => {
                let open = i32::try_from(self.clients.len()).unwrap_or(i32::MAX);
                let mut status = info::server_status(&self.settings, wall, 0, open, &self.compression);
                status.insert("process", "mongos");
                Ok(status)
            }
            "hostInfo" => Ok(info::host_info(&self.settings, wall)),
            "getLog" => Ok(doc! { "totalLinesWritten": 0, "log": [] }),
            "listCommands" => Ok(doc! { "commands": {} }),
            "currentOp" => Ok(doc! { "inprog": [] }),
            "killOp" => info::kill_op(body),
            "configureFailPoint" => self.fail.configure(body),
            "killCursors" => self.kill_cursors(job),
            "endSessions" | "killSessions" => self.end_sessions(job),
            "refreshSessions" => info::sessions("refreshSessions", body).map(|_| doc! {}),
            "killAllSessions" => Ok(doc! {}),
            "startSession" => {
                let id = Binary { subtype: BinarySubtype::Uuid, bytes: self.rng.uuid_v4().to_vec() };
                Ok(doc! { "id": { "id": id }, "timeoutMinutes": 30 })
            }
            "saslStart" | "saslContinue" | "authenticate" => self.sasl(now, job),
            "logout" => {
                if let Some(client) = self.clients.get_mut(&job.conn) {
                    client.conn.users.clear();
                }
                Ok(doc! {})
            }
            "shutdown" | "getLastError" | "fsync" => {
                Err(Failure::new(115, "not supported by a simulated mongos"))
            }
            _ => return None,
        })
    }

    /// Ends sessions here, and tells the primaries.
    fn end_sessions(&mut self, job: &Job) -> Result<Document, Failure> {
        let name = job.command.name;
        for lsid in info::sessions(name, &job.body)? {
            self.transactions.remove(&lsid);
        }
        let primaries: Vec<_> = self.shards.iter().filter_map(super::shards::Shard::primary).collect();
        for node in primaries {
            let sessions = job.body.get(name).cloned().unwrap_or(Bson::Null);
            self.ask(node, doc! { name: sessions, "$db": "admin" }, super::Call::Forgotten);
        }
        Ok(doc! {})
    }

    /// `hello`: at once, or when the time is up. A mongos' hello changes only with its process.
    pub(super) fn hello(&mut self, now: Instant, id: u64, mut job: Job) {
        let arguments = match HelloArguments::read(&job.body) {
            Ok(arguments) => arguments,
            Err(failure) => return self.fail(now, id, job, &failure),
        };
        let Some((known, wait)) = arguments.awaits else {
            job.again = None;
            return self.answer_hello(now, id, job);
        };
        match hello::has_to_wait(known, self.version) {
            Err(failure) => self.fail(now, id, job, &failure),
            Ok(true) if !wait.is_zero() => {
                job.stage = Stage::Change;
                job.timer = Some(now + wait);
                self.keep(id, job);
            }
            Ok(_) => {
                job.again = job.again.filter(|_| !wait.is_zero());
                self.answer_hello(now, id, job);
            }
        }
    }

    pub(super) fn answer_hello(&mut self, now: Instant, id: u64, job: Job) {
        match self.describe(now, &job) {
            Ok(reply) => self.answer(now, id, job, reply),
            Err(failure) => self.fail(now, id, job, &failure),
        }
    }

    fn describe(&mut self, now: Instant, job: &Job) -> Result<Document, Failure> {
        let arguments = HelloArguments::read(&job.body)?;
        let client = self.clients.get_mut(&job.conn).ok_or_else(|| missing("connection"))?;
        let through_balancer = client.via.is_some();
        let conn = &mut client.conn;
        conn.hello_ok |= arguments.hello_ok;
        if let Ok(client) = job.body.get_document("client") {
            if conn.introduced && job.again.is_none() {
                let text = "The client metadata document may only be sent in the first hello";
                return Err(Failure::new(186, text));
            }
            conn.introduced = true;
            let application = client.get_document("application").ok();
            conn.app_name = application.and_then(|a| a.get_str("name").ok()).map(str::to_owned);
        }
        let number = conn.number;
        let mut reply = Document::new();
        if arguments.hello_ok {
            reply.insert("helloOk", true);
        }
        reply.insert(if job.command.name == "hello" { "isWritablePrimary" } else { "ismaster" }, true);
        reply.insert("msg", "isdbgrid");
        reply.insert("topologyVersion", self.version.shown());
        hello::limits(&mut reply, &self.settings, wall_millis(now), number);
        reply.remove("readOnly");
        if let Some(common) = self.compression.negotiate(&job.body) {
            reply.insert("compression", common);
        }
        if arguments.load_balanced && through_balancer {
            reply.insert("serviceId", bson::oid::ObjectId::from_bytes(self.version.process_id));
        }
        if let Some(user) = &arguments.mechanisms_of
            && let Some(mechanisms) = self.credentials.mechanisms(user)?
        {
            reply.insert("saslSupportedMechs", mechanisms);
        }
        let client = self.clients.get_mut(&job.conn);
        if let Some(first) = client.and_then(|client| {
            let asked = arguments.speculative.as_ref()?;
            let subject = self.tls.subject(job.conn);
            client.conn.speculate(&mut self.credentials, asked, subject, wall_millis(now))
        }) {
            reply.insert("speculativeAuthenticate", first);
        }
        Ok(reply)
    }

    fn sasl(&mut self, now: Instant, job: &Job) -> Result<Document, Failure> {
        let conn = self.clients.get_mut(&job.conn).map(|client| &mut client.conn).ok_or_else(failed)?;
        let (wall, subject) = (wall_millis(now), self.tls.subject(job.conn));
        match job.command.name {
            "saslStart" => conn.sasl_start(&mut self.credentials, &job.body, &job.generic.db, wall),
            "authenticate" => conn.authenticate(&self.credentials, &job.body, subject),
            _ => conn.sasl_continue(&mut self.credentials, &job.body, wall),
        }
    }
}
