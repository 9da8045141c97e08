//! Makes the events of one command.

use super::command::{
    CommandEvent, CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent, ConnectionInfo,
    is_sensitive,
};
use crate::decode::decode;
use crate::host::{Host, Socket};
use crate::runtime::Runtime;
use bson::{Bson, Document};
use quorate_core::Instant;
use quorate_core::driver::{Checkout, Decision, Role};
use quorate_core::raw::RawDoc;
use quorate_core::reply::ReplySummary;
use quorate_core::wire::{OwnedMessage, Request};
use quorate_core::{Error, ErrorKind};

/// Tells of one attempt at a command. Does nothing while nobody listens.
pub(crate) struct CommandMonitor<'a, R: Runtime> {
    host: &'a Host<R>,
    name: &'a str,
    database: &'a str,
    sent: Option<Sent>,
}

struct Sent {
    request_id: i32,
    at: Instant,
    connection: ConnectionInfo,
    service_id: Option<[u8; 12]>,
}

impl<'a, R: Runtime> CommandMonitor<'a, R> {
    pub(crate) fn new(host: &'a Host<R>, name: &'a str, database: &'a str) -> Self {
        CommandMonitor { host, name, database, sent: None }
    }

    /// The command is about to be written.
    pub(crate) fn started(
        &mut self,
        request_id: i32,
        at: Instant,
        request: &Request,
        checkout: &Checkout,
        socket: &Socket<R>,
    ) {
        let Some(handler) = &self.host.events.command else { return };
        let Role::Pool(id) = checkout.connection.role else { return };
        let address = checkout.server.address.clone();
        let connection = ConnectionInfo::new(id.get(), socket.server_connection_id, address);
        let command = if is_sensitive(self.name) { Document::new() } else { command_document(request) };
        handler.handle(CommandEvent::Started(CommandStartedEvent::new(
            command,
            self.database.to_owned(),
            self.name.to_owned(),
            request_id,
            connection.clone(),
            socket.service_id,
        )));
        self.sent = Some(Sent { request_id, at, connection, service_id: socket.service_id });
    }

    /// The command was refused, and will be sent once more in the same attempt.
    pub(crate) fn failed(&mut self, now: Instant, error: Error) {
        let (Some(handler), Some(sent)) = (&self.host.events.command, self.sent.take()) else { return };
        handler.handle(CommandEvent::Failed(CommandFailedEvent::new(
            now - sent.at,
            self.name.to_owned(),
            error.with_server(sent.connection.address.clone()),
            sent.request_id,
            sent.connection,
            sent.service_id,
        )));
    }

    /// The attempt is over.
    pub(crate) fn ended(&mut self, now: Instant, reply: Option<&OwnedMessage>, decision: &Decision) {
        let (Some(handler), Some(sent)) = (&self.host.events.command, self.sent.take()) else { return };
        let duration = now - sent.at;
        let answered = reply.and_then(|reply| ReplySummary::parse(reply.body()).ok());
        let reply = reply.filter(|_| answered.is_some_and(|summary| summary.ok));
        let (name, connection) = (self.name.to_owned(), sent.connection);
        // `ok: 1` is a success, whatever a write concern error in it makes the driver do; so is a write sent that asked for
        // no reply ("the server's response is faked").
        let event = match (reply, decision) {
            (None, Decision::Again(error) | Decision::Fail(error)) => {
                CommandEvent::Failed(CommandFailedEvent::new(
                    duration,
                    name,
                    error.clone(),
                    sent.request_id,
                    connection,
                    sent.service_id,
                ))
            }
            (reply, _) => {
                let reply = match reply {
                    _ if is_sensitive(self.name) => Document::new(),
                    Some(reply) => document(reply.body()),
                    None => bson::doc! { "ok": 1 },
                };
                CommandEvent::Succeeded(CommandSucceededEvent::new(
                    duration,
                    reply,
                    name,
                    sent.request_id,
                    connection,
                    sent.service_id,
                ))
            }
        };
        handler.handle(event);
    }
}

impl<R: Runtime> Drop for CommandMonitor<'_, R> {
    /// The call was dropped before it ended: what was started has an end all the same.
    fn drop(&mut self) {
        let (Some(handler), Some(sent)) = (&self.host.events.command, self.sent.take()) else { return };
        let message = "the call was dropped before its reply came".into();
        let error = Error::from(ErrorKind::Interrupted { message });
        handler.handle(CommandEvent::Failed(CommandFailedEvent::new(
            self.host.now() - sent.at,
            self.name.to_owned(),
            error.with_server(sent.connection.address.clone()),
            sent.request_id,
            sent.connection,
            sent.service_id,
        )));
    }
}

/// The document; empty if it cannot be read, or is nested too deep to be read without danger.
fn document(raw: RawDoc<'_>) -> Document {
    decode(raw.as_bytes()).unwrap_or_default()
}

/// The command as one document, its sequences as arrays again.
fn command_document(request: &Request) -> Document {
    let Some((body, sequences)) = request.body_and_sequences() else { return Document::new() };
    let mut command = document(body);
    for sequence in sequences {
        let documents = sequence.documents().map(|one| Bson::Document(document(one)));
        command.insert(sequence.identifier, documents.collect::<Vec<_>>());
    }
    command
}
