//! Makes the events of one command.

use super::command::{
    CommandEvent, CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent, ConnectionInfo, is_sensitive,
};
use crate::host::{EventSink, Socket};
use crate::runtime::Runtime;
use bson::{Bson, Document};
use quorate_core::driver::{Checkout, Decision, Role};
use quorate_core::raw::RawDoc;
use quorate_core::wire::{OwnedMessage, Request};
use quorate_core::{Error, Instant, reply};

/// Tells of one attempt at a command. Does nothing while nobody listens.
pub(crate) struct CommandMonitor<'a> {
    sink: &'a EventSink,
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

impl<'a> CommandMonitor<'a> {
    pub(crate) fn new(sink: &'a EventSink, name: &'a str, database: &'a str) -> Self {
        CommandMonitor { sink, name, database, sent: None }
    }

    /// The command is about to be written.
    pub(crate) fn started<R: Runtime>(
        &mut self,
        request_id: i32,
        at: Instant,
        request: &Request,
        checkout: &Checkout,
        socket: &Socket<R>,
    ) {
        let Some(handler) = &self.sink.command else { return };
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

    /// The attempt is over.
    pub(crate) fn ended(&mut self, now: Instant, reply: Option<&OwnedMessage>, decision: &Decision) {
        let (Some(handler), Some(sent)) = (&self.sink.command, self.sent.take()) else { return };
        let duration = now - sent.at;
        let body = reply.map_or(RawDoc::EMPTY, OwnedMessage::body);
        handler.handle(match (failure(body, reply.is_some()), decision) {
            (None, Decision::Done) | (Some(Answer::Succeeded), _) => {
                CommandEvent::Succeeded(CommandSucceededEvent::new(
                    duration,
                    if is_sensitive(self.name) { Document::new() } else { document(body) },
                    self.name.to_owned(),
                    sent.request_id,
                    sent.connection,
                    sent.service_id,
                ))
            }
            (Some(Answer::Failed(error)), _) | (None, Decision::Again(error) | Decision::Fail(error)) => {
                CommandEvent::Failed(CommandFailedEvent::new(
                    duration,
                    self.name.to_owned(),
                    error.clone(),
                    sent.request_id,
                    sent.connection,
                    sent.service_id,
                ))
            }
        });
    }
}

/// What a reply says of its command.
enum Answer<'e> {
    Succeeded,
    Failed(&'e Error),
}

/// Whether the command as such succeeded: `ok: 1` does, whatever a retry decision makes of a write concern error in it.
fn failure(body: RawDoc<'_>, replied: bool) -> Option<Answer<'static>> {
    let summary = replied.then(|| reply::ReplySummary::parse(body).ok()).flatten()?;
    summary.ok.then_some(Answer::Succeeded)
}

fn document(raw: RawDoc<'_>) -> Document {
    bson::deserialize_from_slice(raw.as_bytes()).unwrap_or_default()
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
