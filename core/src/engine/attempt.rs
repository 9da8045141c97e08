//! The attempts of operations: on to a connection, off it again, and round once more where the driver says so.

use super::{Engine, OperationId};
use crate::auth::Work;
use crate::client_session::ClientSession;
use crate::driver::{Begin, Checkout, ConnectionId, CursorPin, Decision, Operation, Outcome, Ticket};
use crate::error::{Error, IoErrorKind};
use crate::event::Event;
use crate::reply::ReplySummary;
use crate::session::ServerSession;
use crate::wire::{Flags, OwnedMessage, Request};
use crate::{Instant, ServerAddress};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// An operation and what it sends.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) operation: Operation,
    pub(super) request: Request,
    /// Under which it waits.
    pub(super) ticket: Option<Ticket>,
}

/// Outputs not taken yet. A request's bytes stay where they are until then.
#[derive(Debug)]
pub(super) enum Told {
    Open {
        connection: ConnectionId,
        address: ServerAddress,
    },
    Bytes {
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
    Request {
        connection: ConnectionId,
        request_id: i32,
    },
    Work {
        connection: ConnectionId,
        work: Work,
    },
    Close {
        connection: ConnectionId,
    },
    Done {
        operation: OperationId,
        result: Result<Option<OwnedMessage>, Error>,
        request: Request,
        session: Option<ServerSession>,
        client_session: Option<Box<ClientSession>>,
        pin: Option<CursorPin>,
    },
    Event(Event),
}

/// What follows an attempt.
enum Next {
    /// It waits, is on its way, or is over.
    Nothing,
    /// The driver has decided.
    Decided(Decision),
}

impl Engine {
    /// The driver has answered a `begin` or `resume`.
    pub(super) fn proceed(&mut self, now: Instant, id: OperationId, mut begin: Begin) {
        loop {
            match begin {
                Begin::Wait(ticket) => {
                    if let Some(flight) = self.flights.get_mut(&id) {
                        flight.ticket = Some(ticket);
                        self.tickets.insert(ticket, id);
                    }
                    return;
                }
                Begin::Fail(error) => return self.done(id, Err(error)),
                Begin::Go(checkout) => match self.send(now, id, &checkout) {
                    Next::Nothing => return,
                    Next::Decided(Decision::Done) => return self.done(id, Ok(None)),
                    Next::Decided(Decision::Fail(error)) => return self.done(id, Err(error)),
                    Next::Decided(Decision::Again(_)) => {
                        let Some(flight) = self.flights.get_mut(&id) else { return };
                        begin = self.driver.begin(now, &mut flight.operation);
                    }
                },
            }
        }
    }

    /// Sends the request on the connection checked out for it.
    fn send(&mut self, now: Instant, id: OperationId, checkout: &Checkout) -> Next {
        let connection = checkout.connection;
        let Some(flight) = self.flights.get_mut(&id) else { return Next::Nothing };
        let acknowledged = flight.operation.is_acknowledged();
        let begun = match self.links.get_mut(&connection) {
            // It failed after the driver had promised it to this operation.
            Some(link) if link.failed => {
                self.driver.discard(now, &mut flight.operation);
                return Next::Decided(Decision::Again(gone()));
            }
            Some(link) => link
                .connection
                .begin_request(now, acknowledged, flight.operation.deadline())
                .map(|request_id| (link, request_id)),
            None => Err(gone()),
        };
        let sent = begun.and_then(|(link, request_id)| {
            let flags = if acknowledged { Flags::NONE } else { Flags::MORE_TO_COME };
            flight.request.attempt(request_id, flags, |fields| checkout.write_fields(fields))?;
            link.connection.compress(&mut flight.request);
            link.operation = acknowledged.then_some((id, request_id));
            Ok(request_id)
        });
        match sent {
            Ok(request_id) if acknowledged => {
                self.queue.push_back(Told::Request { connection, request_id });
                Next::Nothing
            }
            // Nobody waits for it and it is never sent again: the bytes go, and the operation is over.
            Ok(_) => {
                let bytes = core::mem::take(&mut flight.request).into_message();
                self.queue.push_back(Told::Bytes { connection, bytes });
                Next::Decided(self.driver.finish(now, &mut flight.operation, Outcome::NoReply))
            }
            Err(error) => {
                Next::Decided(self.driver.finish(now, &mut flight.operation, Outcome::Failed(error)))
            }
        }
    }

    /// The reply that an operation waits for has come on this connection.
    pub(super) fn replied(&mut self, now: Instant, connection: ConnectionId) {
        let Some(link) = self.links.get_mut(&connection) else { return };
        let Some((id, _)) = link.operation.take() else { return };
        let Some(message) = link.connection.take_reply() else { return };
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let body = message.body();
        let decision = match ReplySummary::parse(body) {
            Ok(summary) => {
                let outcome = Outcome::Reply { summary: &summary, body };
                self.driver.finish(now, &mut flight.operation, outcome)
            }
            Err(error) => {
                let error = Error::invalid_response(format!("reply: {error}"));
                self.driver.finish(now, &mut flight.operation, Outcome::Failed(error))
            }
        };
        self.decided(now, id, decision, Some(message));
    }

    /// The connection of an operation has failed under it.
    pub(super) fn attempt_failed(&mut self, now: Instant, id: OperationId, error: Error) {
        self.end_attempt(now, id, Outcome::Failed(error));
    }

    /// The driver wants the operation on this connection to stop.
    pub(super) fn interrupt(&mut self, now: Instant, connection: ConnectionId) {
        let operation = self.links.get_mut(&connection).and_then(|link| link.operation.take());
        if let Some((id, _)) = operation {
            self.end_attempt(now, id, Outcome::Interrupted);
        }
    }

    fn end_attempt(&mut self, now: Instant, id: OperationId, outcome: Outcome<'_>) {
        let Some(flight) = self.flights.get_mut(&id) else { return };
        let decision = self.driver.finish(now, &mut flight.operation, outcome);
        self.decided(now, id, decision, None);
    }

    fn decided(&mut self, now: Instant, id: OperationId, decision: Decision, reply: Option<OwnedMessage>) {
        match decision {
            Decision::Done => self.done(id, Ok(reply)),
            Decision::Fail(error) => self.done(id, Err(error)),
            Decision::Again(_) => {
                let Some(flight) = self.flights.get_mut(&id) else { return };
                let begin = self.driver.begin(now, &mut flight.operation);
                self.proceed(now, id, begin);
            }
        }
    }

    /// What an operation waited for has come.
    pub(super) fn wake(&mut self, now: Instant, ticket: Ticket) {
        let Some(id) = self.tickets.remove(&ticket) else { return };
        let Some(flight) = self.flights.get_mut(&id) else { return };
        flight.ticket = None;
        let begin = self.driver.resume(now, &mut flight.operation);
        self.proceed(now, id, begin);
    }

    fn done(&mut self, id: OperationId, result: Result<Option<OwnedMessage>, Error>) {
        if let Some(flight) = self.flights.remove(&id) {
            self.tell_done(id, flight, result);
        }
    }

    pub(super) fn tell_done(
        &mut self,
        operation: OperationId,
        flight: Flight,
        result: Result<Option<OwnedMessage>, Error>,
    ) {
        let Flight { operation: mut ended, request, ticket } = flight;
        if let Some(ticket) = ticket {
            self.tickets.remove(&ticket);
        }
        let (session, client_session) = (ended.take_session(), ended.take_client_session());
        let pin = ended.take_pin();
        self.queue.push_back(Told::Done { operation, result, request, session, client_session, pin });
    }
}

fn gone() -> Error {
    Error::io(IoErrorKind::Closed, "the connection was closed before the command was sent")
}
