//! [`Engine`]: the [`Driver`] and all its [`Connection`]s behind one `&mut self`, for hosts with a single thread.
//!
//! Embedded programs, a blocking loop over `std::net`, an event loop in JavaScript: whoever drives all sockets from one
//! place need not wire the two kinds of machine together. The engine opens no socket and reads no clock; it is told what
//! happened to sockets and which operations to run, and says which bytes go where and how operations ended.
//!
//! # The loop
//!
//! 1. Drain [`Engine::poll_output`] until it gives `None`: open, write, close what each [`EngineOutput`] says, in this order.
//! 2. Ask [`Engine::poll_timeout`] how long to wait at most, and wait for the first socket that can be read (or was opened).
//! 3. Tell what happened: [`Engine::handle_opened`], [`Engine::handle_bytes`], [`Engine::handle_closed`],
//!    [`Engine::handle_failed`].
//! 4. Call [`Engine::handle_timeout`] if that moment has come (calling it always is as good: early calls do nothing).
//! 5. Begin new operations by [`Engine::start`], drop them by [`Engine::cancel`]. Go on with 1.
//!
//! ```
//! use quorate_core::driver::{DriverOptions, Operation};
//! use quorate_core::engine::{Engine, EngineOptions, EngineOutput};
//! use quorate_core::retry::Retry;
//! use quorate_core::selection::SelectionCriteria;
//! use quorate_core::wire::Request;
//! use quorate_core::{Instant, ServerAddress};
//!
//! let mut now = Instant::ZERO;
//! let mut engine = Engine::new(now, EngineOptions::new(DriverOptions::new(vec![ServerAddress::default()])), 7);
//! let mut ping = Request::new();
//! ping.body().i32("ping", 1).str("$db", "admin").suspend();
//! let ping = engine.start(now, Operation::new(SelectionCriteria::Writable, Retry::Read), ping);
//! let mut ended = None;
//! while ended.is_none() {
//!     // 1. Do what it says.
//!     while let Some(output) = engine.poll_output() {
//!         match output {
//!             EngineOutput::Open { connection, address } => println!("a socket for {connection:?} to {address}"),
//!             EngineOutput::Transmit { connection, bytes } => println!("{} bytes to {connection:?}", bytes.len()),
//!             EngineOutput::Close { connection } => println!("{connection:?} is closed"),
//!             EngineOutput::Done { operation, result, .. } if operation == ping => ended = Some(result),
//!             EngineOutput::Work { work, .. } => println!("nobody logs in here: {work:?}"),
//!             EngineOutput::Done { .. } | EngineOutput::Event(_) => {}
//!         }
//!     }
//!     // 2. Wait. (This host has no sockets: nothing but time ever comes.)
//!     now = engine.poll_timeout().unwrap_or(now);
//!     // 3. Tell what was read: nothing.
//!     // 4. Do what is due.
//!     engine.handle_timeout(now);
//!     // 5. Begin what is new: nothing.
//! }
//! assert!(ended.unwrap().unwrap_err().to_string().contains("Server selection timed out after 30 s"));
//! ```
//!
//! > Each `Open` is followed by exactly one `Close` of the same connection, sooner or later; each operation that was not
//! > cancelled by exactly one `Done`. News of a connection that was closed is ignored.

mod attempt;

use crate::auth::{Answer, Authenticator, Work};
use crate::client_session::{ClientSession, SessionOptions};
use crate::connection::{Connection, ConnectionOutput, HandshakeOptions};
use crate::driver::{ConnectionId, CursorPin, Driver, DriverOptions, Operation, Output, Role, Ticket};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::sdam::TopologyDescription;
use crate::session::ServerSession;
use crate::shared::Arc;
use crate::time::earliest;
use crate::wire::{OwnedMessage, Request};
use crate::{Duration, HelloReader, Instant, ServerAddress};
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use attempt::{Flight, Told};

/// What an [`Engine`] is made with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineOptions {
    /// What decides.
    pub driver: DriverOptions,
    /// What connections say of the client.
    pub handshake: HandshakeOptions,
    /// `socketTimeoutMS`: how long a reply may take; `None` or zero for no limit.
    pub socket_timeout: Option<Duration>,
    /// Who logs in on each of the pools' connections; `None` for no authentication.
    pub auth: Option<Authenticator>,
}

impl EngineOptions {
    /// These options of the driver, an empty `client` document and no time-out for replies.
    pub fn new(driver: DriverOptions) -> Self {
        let mut handshake = HandshakeOptions::new(Arc::from(crate::raw::RawDoc::EMPTY.as_bytes()));
        handshake.load_balanced = driver.load_balanced;
        EngineOptions { driver, handshake, socket_timeout: None, auth: None }
    }
}

/// An operation of one engine. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(u64);

impl OperationId {
    /// Its number: from 1, in the order they were started.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What the host is to do.
#[derive(Debug)]
#[must_use]
pub enum EngineOutput<'a> {
    /// Open a stream, then report [`Engine::handle_opened`] or [`Engine::handle_failed`].
    Open {
        /// The name to report under.
        connection: ConnectionId,
        /// Where to.
        address: ServerAddress,
    },
    /// Write these bytes, behind those still to be written on that connection.
    Transmit {
        /// Where.
        connection: ConnectionId,
        /// What. Borrowed where they are an operation's, which keeps them for another attempt.
        bytes: Cow<'a, [u8]>,
    },
    /// Close the stream, or stop opening it. Bytes not written yet are of no more use.
    Close {
        /// Which.
        connection: ConnectionId,
    },
    /// Have this done, a key derived for example, and say what came of it by [`Engine::handle_answer`]. Other connections go on
    /// in the meantime. Comes only with [`EngineOptions::auth`].
    Work {
        /// Which connection waits for it.
        connection: ConnectionId,
        /// What is to be done.
        work: Work,
    },
    /// An operation is over.
    Done {
        /// Which.
        operation: OperationId,
        /// The server's reply, `None` for an unacknowledged write; or why there is none. Write errors inside an `ok: 1` reply
        /// are the caller's to read.
        result: Result<Option<OwnedMessage>, Error>,
        /// The request, to look at or to make the next one in its buffer. Empty for an unacknowledged write.
        request: Request,
        /// The session, if the operation was told to keep it; give it back by [`Engine::end_session`].
        session: Option<ServerSession>,
        /// The explicit session that the operation was run in.
        client_session: Option<Box<ClientSession>>,
        /// The connection that its cursor is pinned to; see [`CursorPin`]. Give it back by [`Engine::unpin`].
        pin: Option<CursorPin>,
    },
    /// Tell whoever listens.
    Event(Event),
}

/// The machine for single-threaded hosts; see the [module](self).
#[derive(Debug)]
pub struct Engine {
    driver: Driver,
    handshake: HandshakeOptions,
    socket_timeout: Option<Duration>,
    auth: Option<Authenticator>,
    logins: u64,
    links: BTreeMap<ConnectionId, Link>,
    flights: BTreeMap<OperationId, Flight>,
    tickets: BTreeMap<Ticket, OperationId>,
    queue: VecDeque<Told>,
    last_operation: u64,
}

/// A connection and who uses it.
#[derive(Debug)]
struct Link {
    connection: Connection,
    /// Reads what a monitoring connection receives.
    hellos: Box<HelloReader>,
    /// The operation whose reply is owed, and the request's number.
    operation: Option<(OperationId, i32)>,
    /// It is of no more use.
    failed: bool,
}

impl Engine {
    /// An engine that begins to discover its deployment at once. `seed` is all the chance it will ever have.
    pub fn new(now: Instant, options: EngineOptions, seed: u64) -> Self {
        let mut engine = Engine {
            driver: Driver::new(now, options.driver, seed),
            handshake: options.handshake,
            socket_timeout: options.socket_timeout,
            auth: options.auth,
            logins: 0,
            links: BTreeMap::new(),
            flights: BTreeMap::new(),
            tickets: BTreeMap::new(),
            queue: VecDeque::new(),
            last_operation: 0,
        };
        engine.settle(now);
        engine
    }

    /// The next thing to do, in order; `None` when there is nothing until something happens.
    pub fn poll_output(&mut self) -> Option<EngineOutput<'_>> {
        loop {
            match self.queue.pop_front()? {
                Told::Request { connection, request_id } => {
                    let operation = self.links.get(&connection).and_then(|link| link.operation);
                    if let Some((id, current)) = operation
                        && current == request_id
                        && self.flights.contains_key(&id)
                    {
                        let bytes = self.flights.get(&id).map_or(&[][..], |flight| flight.request.message());
                        return Some(EngineOutput::Transmit { connection, bytes: Cow::Borrowed(bytes) });
                    }
                    // Over before the host came to write it: the connection was closed, or is about to be.
                }
                Told::Open { connection, address } => {
                    return Some(EngineOutput::Open { connection, address });
                }
                Told::Bytes { connection, bytes } => {
                    return Some(EngineOutput::Transmit { connection, bytes: Cow::Owned(bytes) });
                }
                Told::Work { connection, work } => return Some(EngineOutput::Work { connection, work }),
                Told::Close { connection } => return Some(EngineOutput::Close { connection }),
                Told::Done { operation, result, request, session, client_session, pin } => {
                    return Some(EngineOutput::Done {
                        operation,
                        result,
                        request,
                        session,
                        client_session,
                        pin,
                    });
                }
                Told::Event(event) => return Some(EngineOutput::Event(event)),
            }
        }
    }

    /// When [`Engine::handle_timeout`] must be called next; `None` for never. Looks at every connection.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.values().filter_map(|link| link.connection.poll_timeout()).min();
        earliest(self.driver.poll_timeout(), links)
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.driver.handle_timeout(now);
        self.settle(now);
        let is_late = |link: &Link| link.connection.poll_timeout().is_some_and(|deadline| deadline <= now);
        let late: Vec<ConnectionId> =
            self.links.iter().filter(|(_, link)| is_late(link)).map(|(id, _)| *id).collect();
        for connection in late {
            self.with(now, connection, |link| link.handle_timeout(now));
        }
    }

    /// The stream that [`EngineOutput::Open`] asked for is open.
    pub fn handle_opened(&mut self, now: Instant, connection: ConnectionId) {
        self.with(now, connection, |link| link.handle_opened(now));
    }

    /// Opening, reading or writing failed.
    pub fn handle_failed(&mut self, now: Instant, connection: ConnectionId, error: Error) {
        self.with(now, connection, |link| link.handle_error(error));
    }

    /// The peer has closed the stream.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.with(now, connection, Connection::handle_closed);
    }

    /// These bytes were read.
    pub fn handle_bytes(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        self.with(now, connection, |link| link.handle_bytes(now, bytes));
    }

    /// What came of [`EngineOutput::Work`].
    pub fn handle_answer(&mut self, now: Instant, connection: ConnectionId, answer: Answer) {
        self.with(now, connection, |link| link.handle_answer(now, answer));
    }

    /// Where to read into, for hosts that would rather not copy; `None` for a connection that was closed.
    pub fn space(&mut self, connection: ConnectionId) -> Option<&mut [u8]> {
        self.links.get_mut(&connection).map(|link| link.connection.space())
    }

    /// `count` bytes have been read into [`Engine::space`]; 0 means that the peer has closed the stream.
    pub fn handle_read(&mut self, now: Instant, connection: ConnectionId, count: usize) {
        self.with(now, connection, |link| link.handle_read(now, count));
    }

    /// Begins an operation: `request` is sent where `operation` says, and again if need be.
    pub fn start(&mut self, now: Instant, operation: Operation, request: Request) -> OperationId {
        self.last_operation += 1;
        let id = OperationId(self.last_operation);
        let flight = self.flights.entry(id).or_insert(Flight { operation, request, ticket: None });
        let begin = self.driver.begin(now, &mut flight.operation);
        self.proceed(now, id, begin);
        self.settle(now);
        id
    }

    /// Gives an operation up wherever it is; there will be no [`EngineOutput::Done`]. False if it was over already (its
    /// `Done` was given, or lies among the outputs not yet taken). An explicit session that it was run in is ended with it.
    pub fn cancel(&mut self, now: Instant, operation: OperationId) -> bool {
        let Some(mut flight) = self.flights.remove(&operation) else { return false };
        if let Some(ticket) = flight.ticket {
            self.tickets.remove(&ticket);
        }
        // The driver closes the connection it was on.
        self.driver.abandon(now, &mut flight.operation);
        if let Some(session) = flight.operation.take_client_session() {
            self.driver.end_client_session(now, *session);
        }
        self.settle(now);
        true
    }

    /// Operations not over yet.
    pub fn operations(&self) -> usize {
        self.flights.len()
    }

    /// The deployment as last seen.
    pub fn topology(&self) -> &Arc<TopologyDescription> {
        self.driver.topology()
    }

    /// What decides, to look at.
    pub const fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Takes back a session that an operation had kept.
    pub fn end_session(&mut self, now: Instant, session: ServerSession) {
        self.driver.end_session(now, session);
    }

    /// Takes back the connection of a cursor; see [`Driver::unpin`].
    pub fn unpin(&mut self, now: Instant, pin: CursorPin) {
        self.driver.unpin(now, pin);
    }

    /// Begins an explicit session; see [`Driver::start_session`].
    ///
    /// # Errors
    /// When the options contradict one another.
    pub fn start_session(&mut self, now: Instant, options: SessionOptions) -> Result<ClientSession, Error> {
        self.driver.start_session(now, options)
    }

    /// Ends an explicit session; see [`Driver::end_client_session`].
    pub fn end_client_session(&mut self, now: Instant, session: ClientSession) {
        self.driver.end_client_session(now, session);
        self.settle(now);
    }

    /// Takes out the ids of all idle sessions, for `endSessions` before a shutdown.
    pub fn drain_sessions(&mut self) -> Vec<[u8; 16]> {
        self.driver.drain_sessions()
    }

    /// Ends everything: operations that wait fail with [`ErrorKind::Shutdown`], those on a connection are interrupted, and all
    /// connections are closed.
    pub fn shutdown(&mut self, now: Instant) {
        self.driver.shutdown(now);
        self.settle(now);
        let running: Vec<OperationId> = self.flights.keys().copied().collect();
        for id in running {
            if let Some(mut flight) = self.flights.remove(&id) {
                self.driver.abandon(now, &mut flight.operation);
                self.tell_done(id, flight, Err(ErrorKind::Shutdown.into()));
            }
        }
        self.settle(now);
    }

    /// Tells a connection something and carries on what follows from it.
    fn with(&mut self, now: Instant, id: ConnectionId, tell: impl FnOnce(&mut Connection)) {
        let Some(link) = self.links.get_mut(&id) else { return };
        tell(&mut link.connection);
        self.listen(now, id);
        self.settle(now);
    }

    /// Does what the driver says until it is quiet.
    fn settle(&mut self, now: Instant) {
        while let Some(output) = self.driver.poll_output() {
            match output {
                Output::Connect { connection, address } => self.connect(now, connection, address),
                Output::Send { connection, request } => {
                    let Some(link) = self.links.get_mut(&connection) else { continue };
                    if let Err(error) = link.connection.send_hello(now, &request) {
                        link.connection.handle_error(error);
                    }
                    self.listen(now, connection);
                }
                Output::Close { connection } => {
                    if self.links.remove(&connection).is_some() {
                        self.queue.push_back(Told::Close { connection });
                    }
                }
                Output::Interrupt { connection } => self.interrupt(now, connection),
                Output::Wake { ticket } => self.wake(now, ticket),
                Output::Event(event) => self.queue.push_back(Told::Event(event)),
            }
        }
    }

    fn connect(&mut self, now: Instant, connection: ConnectionId, address: ServerAddress) {
        let mut handshake = self.handshake.clone();
        // How long a monitor's connection may take is the monitor's to say.
        let timeout = match connection.role {
            Role::Pool(_) => {
                self.logins += 1;
                handshake.auth = self.auth.as_ref().map(|auth| auth.start(self.logins));
                self.driver.options().connect_timeout
            }
            Role::Monitor(_) | Role::Rtt(_) => {
                handshake.is_monitor = true;
                Duration::ZERO
            }
        };
        let machine = Connection::new(now, handshake, timeout, self.socket_timeout);
        self.links.insert(
            connection,
            Link { connection: machine, hellos: Box::default(), operation: None, failed: false },
        );
        self.queue.push_back(Told::Open { connection, address });
    }

    /// Hears what a connection has to say.
    fn listen(&mut self, now: Instant, id: ConnectionId) {
        while let Some(link) = self.links.get_mut(&id) {
            match link.connection.poll_output() {
                None => return,
                Some(ConnectionOutput::Transmit(bytes)) => {
                    self.queue.push_back(Told::Bytes { connection: id, bytes });
                }
                Some(ConnectionOutput::Greeted { service_id }) => self.driver.handle_greeted(id, service_id),
                Some(ConnectionOutput::Authenticated) => {}
                Some(ConnectionOutput::Work(work)) => {
                    self.queue.push_back(Told::Work { connection: id, work });
                }
                Some(ConnectionOutput::Established(hello, round_trip)) => {
                    self.driver.handle_established(now, id, &hello, round_trip);
                }
                Some(ConnectionOutput::Reply(message)) if link.operation.is_none() => {
                    match link.hellos.read(message.body) {
                        Ok(hello) => self.driver.handle_reply(now, id, hello, message.more_to_come()),
                        Err(error) => self.driver.handle_failed(now, id, error),
                    }
                }
                Some(ConnectionOutput::Reply(_)) => self.replied(now, id),
                Some(ConnectionOutput::Failed(error)) => {
                    link.failed = true;
                    match link.operation.take() {
                        Some((operation, _)) => self.attempt_failed(now, operation, error),
                        None => self.driver.handle_failed(now, id, error),
                    }
                }
            }
        }
    }
}
