//! A client's commands: where they go, under which ids, how often, and what comes of them.

use super::calls::{Attempt, AttemptEnd, CallKind, Place};
use super::topology::suitable;
use super::transactions::{Pin, Transaction};
use super::{Record, Watched};
use crate::explore::rule::Rule;
use bson::spec::BinarySubtype;
use bson::{Bson, Document};
use quorate::error::{ErrorKind, is_node_recovering, is_not_writable_primary, labels};
use quorate::event::command::{CommandEvent, CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent};
use quorate::{ServerAddress, TopologyType};
use quorate_core::Instant;
use std::collections::BTreeMap;

/// What one client has sent.
#[derive(Debug, Default)]
pub(crate) struct Commands {
    /// Sent and not answered, by request id.
    in_flight: BTreeMap<i32, InFlight>,
    sessions: BTreeMap<Vec<u8>, Session>,
    cursors: BTreeMap<i64, Cursor>,
}

#[derive(Debug)]
struct InFlight {
    name: String,
    lsid: Option<Vec<u8>>,
    /// The cursor it asks for more of, or closes.
    cursor: Option<i64>,
    call: Option<usize>,
}

#[derive(Debug, Default)]
struct Session {
    /// The request that uses it now.
    used_by: Option<i32>,
    /// The highest number, and the call that it was for.
    txn: Option<(i64, Option<usize>)>,
    transaction: Option<Transaction>,
}

#[derive(Debug)]
struct Cursor {
    server: ServerAddress,
    connection: u32,
    lsid: Option<Vec<u8>>,
    op: Option<u32>,
}

/// An operation with a time-out of its own may be sent as often as there is time for it; somebody who sends so many does not wait
/// in between for anything to become better.
const MOST_ATTEMPTS: usize = 200;

type Fits = Result<(), (Rule, String)>;

fn broken(rule: Rule, text: impl Into<String>) -> Fits {
    Err((rule, text.into()))
}

impl Commands {
    /// What is left when the client has been shut down: nothing.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        self.in_flight.values().map(|sent| format!("a {} has no end", sent.name)).collect()
    }

    /// Cursors that were neither read to their end nor closed nor lost with an error, and where they are.
    pub(crate) fn open_cursors(&self) -> Vec<(i64, ServerAddress)> {
        self.cursors.iter().map(|(id, cursor)| (*id, cursor.server.clone())).collect()
    }
}

impl Record {
    pub(super) fn command(&mut self, now: Instant, client: usize, event: &CommandEvent) {
        let fits = match event {
            CommandEvent::Started(event) => self.started(client, event),
            CommandEvent::Succeeded(event) => self.succeeded(now, client, event),
            CommandEvent::Failed(event) => self.failed(now, client, event),
        };
        if let Err((rule, text)) = fits {
            let call = self.current.map(|call| self.calls[call].describe()).unwrap_or_default();
            self.violated(now, rule, format!("client {client}: {text} [{call}]"));
        }
    }

    fn started(&mut self, client: usize, event: &CommandStartedEvent) -> Fits {
        let (address, name) = (&event.connection.address, &event.command_name);
        let lsid = lsid_of(&event.command);
        let txn = event.command.get_i64("txnNumber").ok();
        let call = self.current;
        let cursor = cursor_meant(&event.command);
        let op = call.map_or("-".to_owned(), |call| format!("#{}", self.calls[call].op));
        self.remark(|| {
            format!("{op} client {client} sends {name} to {address} (connection {})", event.connection.id)
        });
        let sent = InFlight { name: name.clone(), lsid: lsid.clone(), cursor, call };
        if self.clients[client].commands.in_flight.insert(event.request_id, sent).is_some() {
            return broken(Rule::Events, format!("request id {} is used twice", event.request_id));
        }
        let attempt = Attempt {
            request: event.request_id,
            command: name.clone(),
            server: address.clone(),
            lsid: lsid.clone(),
            txn,
            end: None,
        };
        let fits = self.use_session(client, event, lsid.as_deref(), cursor);
        let fits = fits.and_then(|()| self.use_cursor(client, event, cursor));
        let in_use = self.clients[client].pools.is_in_use(address, event.connection.id);
        let Some(call) = call else { return fits };
        let placed = self.check_attempt(call, &attempt);
        self.calls[call].attempts.push(attempt);
        fits.and(placed)?;
        if !in_use {
            return broken(Rule::Connections, format!("{name} sent on a connection that is not checked out"));
        }
        Ok(())
    }

    /// A session is used by one command at a time, and its transaction numbers rise.
    fn use_session(
        &mut self,
        client: usize,
        event: &CommandStartedEvent,
        lsid: Option<&[u8]>,
        cursor: Option<i64>,
    ) -> Fits {
        let (current, txn) = (self.current, event.command.get_i64("txnNumber").ok());
        let pin = self.pin_of(client, event);
        let Some(lsid) = lsid else { return Ok(()) };
        let op = current.map(|call| self.calls[call].op);
        let Watched { commands, pools, .. } = &mut self.clients[client];
        for (id, other) in &commands.cursors {
            let same = other.lsid.as_deref() == Some(lsid);
            let alive = other
                .op
                .is_some_and(|op| self.calls.iter().rev().any(|call| call.op == op && call.ended.is_none()));
            // In a transaction the session is the application's, who may use it for whatever else while a cursor is open.
            let own = event.command.contains_key("autocommit");
            if same && !own && cursor != Some(*id) && other.op != op && alive {
                return broken(
                    Rule::Sessions,
                    format!("the session of cursor {id}, which is being read, is used elsewhere"),
                );
            }
        }
        let session = commands.sessions.entry(lsid.to_vec()).or_default();
        if session.used_by.replace(event.request_id).is_some() {
            return broken(Rule::Sessions, "a session is used by two commands at a time");
        }
        if event.command.contains_key("autocommit") {
            let last = session.txn.map(|(last, _)| last);
            session.txn = txn.map(|txn| (txn, current)).or(session.txn);
            let is_open = |at: &ServerAddress, connection| pools.is_open(at, connection);
            return Transaction::note(&mut session.transaction, event, last, pin, is_open);
        }
        if current.is_some_and(|call| self.calls[call].kind == CallKind::Statement) {
            return broken(
                Rule::Sessions,
                format!("{} of a transaction says nothing of it", event.command_name),
            );
        }
        match (session.txn, txn) {
            (Some((last, by)), Some(new)) if new < last || (new == last && by != current) => {
                broken(Rule::Sessions, format!("transaction number {new} after {last} in one session"))
            }
            (_, Some(new)) => {
                session.txn = Some((new, current));
                Ok(())
            }
            (_, None) => Ok(()),
        }
    }

    /// A call of a transaction has failed with a label that unpins, which needs no command.
    pub(super) fn unpin(&mut self, client: usize, op: u32) {
        let attempts = self.calls.iter().rev().filter(|call| call.client == client && call.op == op);
        let lsid = attempts.flat_map(|call| &call.attempts).find_map(|attempt| attempt.lsid.as_ref());
        let session = lsid.and_then(|lsid| self.clients[client].commands.sessions.get_mut(lsid));
        if let Some(transaction) = session.and_then(|session| session.transaction.as_mut()) {
            transaction.unpin();
        }
    }

    /// What keeps the transactions of a client together.
    fn pin_of(&self, client: usize, event: &CommandStartedEvent) -> Pin {
        let topology = self.clients[client].topologies.now();
        match topology.map(|topology| topology.topology_type) {
            _ if event.service_id.is_some() => Pin::Connection,
            Some(TopologyType::Sharded) => Pin::Server,
            _ => Pin::None,
        }
    }

    /// What is said of a cursor is said where the cursor is.
    fn use_cursor(&mut self, client: usize, event: &CommandStartedEvent, cursor: Option<i64>) -> Fits {
        let balanced = event.service_id.is_some();
        let commands = &mut self.clients[client].commands;
        let Some(known) = cursor.and_then(|cursor| commands.cursors.get(&cursor)) else {
            return match (cursor, event.command_name.as_str()) {
                (Some(cursor), "getMore") => {
                    broken(Rule::Placement, format!("getMore of cursor {cursor}, which is no more"))
                }
                _ => Ok(()),
            };
        };
        let (here, there) = (&event.connection.address, known.server.clone());
        let moved = balanced && event.connection.id != known.connection;
        if *here != there || moved {
            return broken(
                Rule::Placement,
                format!("{} sent to {here}, and the cursor is on {there}", event.command_name),
            );
        }
        if event.command_name == "getMore" && known.lsid.is_some() && known.lsid != lsid_of(&event.command) {
            return broken(Rule::Sessions, "getMore under another session than that of its cursor");
        }
        Ok(())
    }

    /// Another attempt at a call is allowed, and so is its server.
    fn check_attempt(&self, call: usize, attempt: &Attempt) -> Fits {
        let call = &self.calls[call];
        let watched = &self.clients[call.client];
        let plan = &watched.plan;
        // A cursor may ask for several batches in one call.
        let same: Vec<_> = call.attempts.iter().filter(|before| before.command == attempt.command).collect();
        let mut since = call.began;
        if let Some(last) = same.last().filter(|_| call.place != Place::Cursor) {
            since = last.end.as_ref().map_or(since, |(at, _)| *at);
            let allowed = match call.kind {
                CallKind::Once | CallKind::Statement => 1,
                CallKind::Whole => usize::MAX,
                CallKind::Read if !plan.retry_reads => 1,
                CallKind::Write if !plan.retry_writes || last.txn.is_none() => 1,
                _ if plan.timeout_ms.is_some() => MOST_ATTEMPTS,
                _ => 2,
            };
            if same.len() >= allowed {
                return broken(Rule::Retries, format!("{} sent {} times", attempt.command, same.len() + 1));
            }
            let numbered = matches!(call.kind, CallKind::Write | CallKind::Commit | CallKind::Abort);
            if numbered && (last.txn, &last.lsid) != (attempt.txn, &attempt.lsid) {
                return broken(Rule::Retries, format!("{} sent again as something new", attempt.command));
            }
        }
        if call.place == Place::Cursor {
            let failed = |before: &&Attempt| matches!(before.end, Some((_, AttemptEnd::Failed(_))));
            return match same.into_iter().find(failed) {
                Some(_) => broken(Rule::Retries, "getMore sent again after a failure"),
                None => Ok(()),
            };
        }
        // Retryable reads specification, "Selecting the server for retry": in a sharded cluster another server is tried, elsewhere
        // only where the first one was overloaded, which servers of 6.0 never say.
        let failed: Vec<_> = same.iter().map(|before| &before.server).collect();
        let mut topologies = watched
            .topologies
            .since(since)
            .map(|topology| (topology, suitable(topology, call.place)))
            .peekable();
        if topologies.peek().is_none() {
            return Ok(());
        }
        let mut placed = false;
        for (topology, servers) in topologies {
            let again = topology.topology_type == TopologyType::Sharded
                && call.kind != CallKind::Whole
                && failed.contains(&&attempt.server)
                && servers.iter().any(|server| !failed.contains(server));
            placed |= servers.contains(&&attempt.server) && !again;
        }
        if placed {
            return Ok(());
        }
        let text = format!("{} sent to {}, which it must not go to", attempt.command, attempt.server);
        broken(Rule::Placement, text)
    }

    fn succeeded(&mut self, now: Instant, client: usize, event: &CommandSucceededEvent) -> Fits {
        let reply = &event.reply;
        let concern_error = reply.get_document("writeConcernError").ok();
        let end = AttemptEnd::Reply {
            write_errors: reply.contains_key("writeErrors"),
            concern_error: concern_error.and_then(|error| error.get_i32("code").ok()),
        };
        let sent = self.ended(now, client, event.request_id, end)?;
        let op = sent.call.map(|call| self.calls[call].op);
        let cursor = reply.get_document("cursor").ok().and_then(|cursor| cursor.get_i64("id").ok());
        let commands = &mut self.clients[client].commands;
        if let Some(session) = sent.lsid.as_ref().and_then(|lsid| commands.sessions.get_mut(lsid))
            && let Some(transaction) = &mut session.transaction
        {
            transaction.answered(reply);
        }
        match (cursor, sent.cursor) {
            (Some(0), Some(meant)) => drop(commands.cursors.remove(&meant)),
            (Some(id), _) if id != 0 => {
                let cursor = Cursor {
                    server: event.connection.address.clone(),
                    connection: event.connection.id,
                    lsid: sent.lsid,
                    op,
                };
                commands.cursors.entry(id).or_insert(cursor);
            }
            (None, Some(meant)) => drop(commands.cursors.remove(&meant)),
            _ => {}
        }
        Ok(())
    }

    fn failed(&mut self, now: Instant, client: usize, event: &CommandFailedEvent) -> Fits {
        let error = &event.failure;
        let text = || format!("{} on {} failed: {error}", event.command_name, event.connection.address);
        self.remark(text);
        let sent = self.ended(now, client, event.request_id, AttemptEnd::Failed(error.clone()))?;
        let (address, conn) = (&event.connection.address, event.connection.id);
        if let Some(cursor) = sent.cursor {
            self.clients[client].commands.cursors.remove(&cursor);
        }
        let unlabelled =
            matches!(*error.kind, ErrorKind::Io(_)) && !error.contains_label(labels::RETRYABLE_WRITE_ERROR);
        let numbered = sent.call.is_some_and(|call| {
            let call = &self.calls[call];
            matches!(call.kind, CallKind::Write | CallKind::Commit | CallKind::Abort)
                && call.attempts.last().is_some_and(|attempt| attempt.txn.is_some())
        });
        let watched = &mut self.clients[client];
        let unpins = error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR)
            || error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT);
        if let Some(session) = sent.lsid.as_ref().and_then(|lsid| watched.commands.sessions.get_mut(lsid))
            && let Some(transaction) = session.transaction.as_mut().filter(|_| unpins)
        {
            transaction.unpin();
        }
        if unlabelled && numbered {
            return broken(Rule::Retries, format!("{}, without its label", text()));
        }
        match &*error.kind {
            ErrorKind::Command(command) => {
                let fresh = watched.pools.is_fresh(address, conn);
                if fresh
                    && tells_state(command.code)
                    && watched.topologies.trusts_older(address, &command.reply)
                {
                    return broken(
                        Rule::Stale,
                        format!("{}, and the server is believed to be what it was", text()),
                    );
                }
            }
            ErrorKind::Io(io) => {
                // SDAM specification, "Network error when reading or writing": but for a time-out, the pool is cleared.
                let timed_out = io.kind == quorate::error::IoErrorKind::TimedOut;
                let fresh = watched.pools.is_fresh(address, conn) && watched.plan.direct.is_none();
                watched.pools.spoil(address, conn);
                if !timed_out && fresh && event.service_id.is_none() {
                    return broken(Rule::Stale, format!("{}, and the pool was not cleared", text()));
                }
            }
            _ => watched.pools.spoil(address, conn),
        }
        Ok(())
    }

    fn ended(
        &mut self,
        now: Instant,
        client: usize,
        request: i32,
        end: AttemptEnd,
    ) -> Result<InFlight, (Rule, String)> {
        let commands = &mut self.clients[client].commands;
        let Some(sent) = commands.in_flight.remove(&request) else {
            return Err((Rule::Events, format!("the end of a command that never began: request {request}")));
        };
        if let Some(session) = sent.lsid.as_ref().and_then(|lsid| commands.sessions.get_mut(lsid))
            && session.used_by == Some(request)
        {
            session.used_by = None;
        }
        if let Some(call) = sent.call
            && let Some(attempt) =
                self.calls[call].attempts.iter_mut().find(|attempt| attempt.request == request)
        {
            attempt.end = Some((now, end));
            self.calls[call].asked_again = false;
        }
        Ok(sent)
    }
}

/// "not writable primary" and "node is recovering" errors (SDAM specification).
fn tells_state(code: i32) -> bool {
    is_not_writable_primary(code) || is_node_recovering(code)
}

fn lsid_of(command: &Document) -> Option<Vec<u8>> {
    match command.get_document("lsid").ok()?.get("id") {
        Some(Bson::Binary(id)) if id.subtype == BinarySubtype::Uuid => Some(id.bytes.clone()),
        _ => None,
    }
}

fn cursor_meant(command: &Document) -> Option<i64> {
    if let Ok(cursor) = command.get_i64("getMore") {
        return Some(cursor);
    }
    command.get_array("cursors").ok()?.first()?.as_i64()
}
