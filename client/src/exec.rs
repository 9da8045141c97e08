//! The life of one operation: placed, sent, answered, and sent again where that is right.
//!
//! The calling task does all of it. On the common path it takes the host's lock twice: to get a connection, and to tell how
//! it went. There is no hop to another task and no timer unless a deadline was asked for.

use crate::client::Client;
use crate::event::CommandMonitor;
use crate::host::{Exchange, Host, Socket};
use crate::runtime::Runtime;
use crate::session::{ClientSession, Slot};
use quorate_core::client_session::{self, ReadConcernField};
use quorate_core::driver::{Begin, Checkout, CursorPin, Decision, Operation as Placement, Outcome, Ticket};
use quorate_core::error::{Error, Result};
use quorate_core::raw::RawDoc;
use quorate_core::reply::ReplySummary;
use quorate_core::sdam::ServerDescription;
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::{Flags, OwnedMessage, Request};
use quorate_core::{Instant, retry};
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

/// A server session that a cursor keeps between its commands.
pub(crate) use quorate_core::session::ServerSession as ServerSessionHandle;

/// What the driver must know of a command; never the documents.
///
/// The request's body starts with the command's name and carries `$db` already. The executor adds what differs from
/// attempt to attempt: `lsid`, `txnNumber`, `$clusterTime`, `$readPreference`, `readConcern`, and what a transaction asks for.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The command's name.
    pub(crate) name: Cow<'static, str>,
    /// The database it runs on.
    pub(crate) database: Arc<str>,
    /// Which servers may run it.
    pub(crate) criteria: SelectionCriteria,
    /// Whether it may be sent again.
    pub(crate) retry: Retry,
    /// Whether the server is to reply.
    pub(crate) acknowledged: bool,
    /// The read concern, which the executor writes.
    pub(crate) read_concern: ReadConcernField,
    /// The explicit session to run it in.
    pub(crate) explicit: Option<Slot>,
    /// Whether it ends that session's transaction: by a commit if true.
    pub(crate) ends: Option<bool>,
    /// The implicit session kept from an earlier command; `None` for a new one.
    pub(crate) session: Option<ServerSessionHandle>,
    /// The connection that its cursor is pinned to.
    pub(crate) pin: Option<CursorPin>,
    /// How long it may take in all; `None` for the client's `timeoutMS`.
    pub(crate) timeout: Option<Duration>,
    /// Whether the reply is to bring its session along, for the commands of its cursor.
    pub(crate) keep_session: bool,
}

/// Whether an operation may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    None,
    Read,
    Write,
}

impl From<Retry> for retry::Retry {
    fn from(retry: Retry) -> Self {
        match retry {
            Retry::None => retry::Retry::Never,
            Retry::Read => retry::Retry::Read,
            Retry::Write => retry::Retry::Write,
        }
    }
}

/// A command's reply, `ok: 1`, in the buffer it came in.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) message: Option<OwnedMessage>,
    /// The server that gave it.
    pub(crate) server: Arc<ServerDescription>,
    /// The session it ran in, if it was to be kept.
    pub(crate) session: Option<ServerSessionHandle>,
    /// The connection that its cursor is pinned to.
    pub(crate) pin: Option<CursorPin>,
}

impl Reply {
    /// The reply's document; empty for an unacknowledged write.
    pub(crate) fn doc(&self) -> RawDoc<'_> {
        self.message.as_ref().map_or(RawDoc::EMPTY, OwnedMessage::body)
    }
}

impl<R: Runtime> Client<R> {
    /// Runs a command to its end.
    ///
    /// Dropping the future is safe at any time: a connection in use is closed, a place in a queue given up.
    pub(crate) async fn execute(&self, operation: Operation, request: &mut Request) -> Result<Reply> {
        let host = self.host();
        let began = host.now();
        let timeout = operation.timeout.or(self.timeout());
        let placement = match operation.ends {
            Some(committing) => Placement::ending_transaction(committing),
            None => Placement::new(operation.criteria, operation.retry.into())
                .in_session(operation.session)
                .on_connection(operation.pin)
                .with_read_concern(operation.read_concern),
        };
        let explicit = operation.explicit.as_ref().map(Slot::take).transpose()?;
        let mut placement =
            placement.with_deadline(timeout.map(|timeout| began + timeout)).in_client_session(explicit);
        if operation.keep_session {
            placement = placement.keeping_session();
        }
        if !operation.acknowledged {
            placement = placement.unacknowledged();
        }
        let mut run = Run { host, placement, socket: None, ticket: None, home: operation.explicit };
        let mut now = Some(began);
        loop {
            let (checkout, started) = run.place(now.take()).await?;
            let monitor = CommandMonitor::new(host, &operation.name, &operation.database);
            match run.attempt(&checkout, started, request, monitor).await {
                Next::Done(message) => {
                    let (session, pin) = (run.placement.take_session(), run.placement.take_pin());
                    return Ok(Reply { message, server: checkout.server, session, pin });
                }
                Next::Again => {}
                Next::Fail(error) => return Err(error),
            }
        }
    }

    /// Runs a command in an explicit session, if there is one.
    ///
    /// # Errors
    /// Also when the session is another client's.
    pub(crate) async fn execute_in(
        &self,
        mut operation: Operation,
        request: &mut Request,
        session: Option<&ClientSession<R>>,
    ) -> Result<Reply> {
        operation.explicit = session.map(|session| session.slot_for(self)).transpose()?;
        self.execute(operation, request).await
    }

    /// Begins an explicit session.
    pub(crate) fn new_session(&self, options: client_session::SessionOptions) -> Result<ClientSession<R>> {
        let host = self.host();
        let now = host.now();
        let mut state = host.lock();
        let session = state.driver.start_session(now, options);
        host.act(state);
        Ok(ClientSession::new(self.clone(), session?))
    }

    /// Ends an explicit session, once no operation is under way in it.
    pub(crate) fn end_client_session(&self, slot: &Slot) {
        let Ok(session) = slot.take() else { return };
        let host = self.host();
        let now = host.now();
        let mut state = host.lock();
        state.driver.end_client_session(now, *session);
        host.act(state);
    }

    /// Runs a command in the background whose outcome nobody waits for.
    pub(crate) fn spawn_execute(&self, operation: Operation, mut request: Request) {
        let client = self.clone();
        self.host().runtime.spawn(async move {
            // Nobody is left to be told; the driver has seen the error.
            let _ = client.execute(operation, &mut request).await;
        });
    }

    /// Gives back a session that a reply had brought along.
    pub(crate) fn end_session(&self, session: ServerSessionHandle) {
        let host = self.host();
        let now = host.now();
        host.lock().driver.end_session(now, session);
    }

    /// Gives back the connection of a cursor.
    pub(crate) fn unpin(&self, pin: CursorPin) {
        let host = self.host();
        let now = host.now();
        let mut state = host.lock();
        state.driver.unpin(now, pin);
        host.act(state);
    }
}

/// An operation under way. Dropping it gives up whatever it holds.
struct Run<'a, R: Runtime> {
    host: &'a Arc<Host<R>>,
    placement: Placement,
    socket: Option<Box<Socket<R>>>,
    ticket: Option<Ticket>,
    /// Where the explicit session goes when it is over.
    home: Option<Slot>,
}

/// What follows an attempt.
enum Next {
    Done(Option<OwnedMessage>),
    Again,
    Fail(Error),
}

impl<R: Runtime> Run<'_, R> {
    /// Gets a connection, waiting for a server or for the pool where it must.
    async fn place(&mut self, now: Option<Instant>) -> Result<(Checkout, Instant)> {
        let mut now = now;
        let mut begun = false;
        poll_fn(|cx| {
            let now = now.take().unwrap_or_else(|| self.host.now());
            let mut state = self.host.lock();
            if let Some(ticket) = self.ticket.take() {
                state.stop_waiting(ticket);
            }
            loop {
                let begin = if std::mem::replace(&mut begun, true) {
                    state.driver.resume(now, &mut self.placement)
                } else {
                    state.driver.begin(now, &mut self.placement)
                };
                match begin {
                    Begin::Go(checkout) => {
                        let socket = state.unpark(checkout.connection);
                        if let Some(socket) =
                            socket.and_then(|mut socket| socket.is_usable(now).then_some(socket))
                        {
                            self.socket = Some(socket);
                            self.host.act(state);
                            return Poll::Ready(Ok((checkout, now)));
                        }
                        // It died while it rested, and nothing was sent: another one, without counting an attempt.
                        state.driver.discard(now, &mut self.placement);
                        begun = false;
                    }
                    Begin::Wait(ticket) => {
                        state.wait(ticket, cx.waker());
                        self.ticket = Some(ticket);
                        self.host.act(state);
                        return Poll::Pending;
                    }
                    Begin::Fail(error) => {
                        self.host.act(state);
                        return Poll::Ready(Err(error));
                    }
                }
            }
        })
        .await
    }

    /// Sends the command on the connection it has got, and hears the driver on what came of it.
    async fn attempt(
        &mut self,
        checkout: &Checkout,
        started: Instant,
        request: &mut Request,
        mut monitor: CommandMonitor<'_, R>,
    ) -> Next {
        let Some(mut socket) = self.socket.take() else {
            return Next::Fail(Error::invalid_argument("the operation has no connection"));
        };
        let acknowledged = self.placement.is_acknowledged();
        socket.connection.number_next(self.host.next_request_id());
        let sent = socket.connection.begin_request(started, acknowledged, self.placement.deadline());
        let flags = if acknowledged { Flags::NONE } else { Flags::MORE_TO_COME };
        let message = sent.and_then(|id| {
            request.attempt(id, flags, |body| checkout.write_fields(body)).map_err(Error::from)?;
            socket.connection.compress(request);
            Ok(id)
        });
        let exchange = match message {
            Ok(id) => {
                monitor.started(id, started, request, checkout, &socket);
                let socket = self.socket.insert(socket);
                let exchange = socket.drive(&self.host.runtime, request.message(), acknowledged).await;
                match exchange {
                    Exchange::Reply if wants_another_login(self.host, socket) => {
                        // On the heap: every operation's future would have room for it otherwise.
                        Box::pin(self.log_in_again(checkout, request, &mut monitor)).await
                    }
                    exchange => exchange,
                }
            }
            Err(error) => {
                self.socket = Some(socket);
                Exchange::Failed(error)
            }
        };
        self.finish(checkout, exchange, monitor)
    }

    /// The server wants the connection to log in once more ("Reauthentication"): does so, and sends the command again on the same
    /// connection, whether or not it may be retried, for it has not been run.
    async fn log_in_again(
        &mut self,
        checkout: &Checkout,
        request: &mut Request,
        monitor: &mut CommandMonitor<'_, R>,
    ) -> Exchange {
        let (Some(socket), Some(keychain)) = (&mut self.socket, &self.host.settings.keychain) else {
            return Exchange::Reply;
        };
        let refusal = socket.connection.reply().map(|reply| {
            ReplySummary::parse(reply.body)
                .map(|summary| quorate_core::reply::command_error(&summary, reply.body))
        });
        if let Some(Ok(error)) = refusal {
            monitor.failed(self.host.now(), error);
        }
        let start = keychain.start_again(socket.connection.token());
        if let Err(error) = socket.connection.reauthenticate(self.host.now(), start) {
            return Exchange::Failed(error);
        }
        loop {
            match socket.drive(&self.host.runtime, &[], true).await {
                Exchange::Work(work) => {
                    let address = &checkout.server.address;
                    let work = keychain.work(&self.host.runtime, address, work);
                    let Some(answer) = socket.unless_stopped(work).await else { return Exchange::Stopped };
                    socket.connection.handle_answer(self.host.now(), answer);
                }
                Exchange::Authenticated => break,
                Exchange::Greeted(_) => {}
                exchange => return exchange,
            }
        }
        let now = self.host.now();
        let sent = socket.connection.begin_request(now, true, self.placement.deadline()).and_then(|id| {
            request.attempt(id, Flags::NONE, |body| checkout.write_fields(body)).map_err(Error::from)?;
            Ok(id)
        });
        match sent {
            Ok(id) => {
                monitor.started(id, now, request, checkout, socket);
                socket.drive(&self.host.runtime, request.message(), true).await
            }
            Err(error) => Exchange::Failed(error),
        }
    }

    fn finish(
        &mut self,
        checkout: &Checkout,
        exchange: Exchange,
        mut monitor: CommandMonitor<'_, R>,
    ) -> Next {
        let now = self.host.now();
        let Some(mut socket) = self.socket.take() else {
            return Next::Fail(Error::invalid_argument("the operation has no connection"));
        };
        let reply = match exchange {
            Exchange::Reply => socket.connection.take_reply(),
            _ => None,
        };
        let summary = reply.as_ref().map(|reply| ReplySummary::parse(reply.body()));
        let outcome = match (&reply, &summary, exchange) {
            (Some(reply), Some(Ok(summary)), _) => Outcome::Reply { summary, body: reply.body() },
            (_, Some(Err(error)), _) => Outcome::Failed(Error::invalid_response(error.to_string())),
            (_, _, Exchange::Written) => Outcome::NoReply,
            (_, _, Exchange::Failed(error)) => Outcome::Failed(error),
            (_, _, Exchange::Stopped) => Outcome::Interrupted,
            _ => Outcome::Failed(Error::invalid_response("the connection gave something else than a reply")),
        };
        socket.rest(now);
        let mut state = self.host.lock();
        state.park(checkout.connection, socket);
        let decision = state.driver.finish(now, &mut self.placement, outcome);
        self.host.act(state);
        monitor.ended(now, reply.as_ref(), &decision);
        match decision {
            Decision::Done => Next::Done(reply),
            Decision::Again(_) => Next::Again,
            Decision::Fail(error) => Next::Fail(error),
        }
    }
}

/// ReauthenticationRequired.
const REAUTHENTICATION_REQUIRED: i32 = 391;

/// Whether the reply says that the connection has to log in again. Looked at only where connections log in at all.
fn wants_another_login<R: Runtime>(host: &Host<R>, socket: &Socket<R>) -> bool {
    host.settings.keychain.is_some()
        && socket.connection.reply().is_some_and(|reply| {
            let code =
                |summary: ReplySummary<'_>| summary.code == Some(REAUTHENTICATION_REQUIRED) && !summary.ok;
            ReplySummary::parse(reply.body).is_ok_and(code)
        })
}

impl<R: Runtime> Drop for Run<'_, R> {
    fn drop(&mut self) {
        let unfinished = self.socket.take();
        let ticket = self.ticket.take();
        if unfinished.is_some() || ticket.is_some() || self.placement.is_pinned() {
            let mut state = self.host.lock();
            if let Some(ticket) = ticket {
                state.stop_waiting(ticket);
            }
            state.driver.abandon(self.host.now(), &mut self.placement);
            self.host.act(state);
        }
        if let Some(home) = &self.home {
            home.put(self.placement.take_client_session());
        }
        // Closed outside of the lock, now that the driver knows.
        drop(unfinished);
    }
}
