//! [`Connection`]: the machine that speaks. One a socket, owned by whoever does that socket's reading and writing.
//!
//! It frames messages, shakes hands, matches replies to requests and watches its own deadlines; it decides nothing. An
//! application's bytes pass through here and nowhere else.
//!
//! # The loop
//!
//! 1. The stream is open: [`Connection::handle_opened`].
//! 2. Drain [`Connection::poll_output`]: write what [`ConnectionOutput::Transmit`] holds; hand on what else comes.
//! 3. Read into [`Connection::space`] and say how much came by [`Connection::handle_read`] (or hand in bytes by
//!    [`Connection::handle_bytes`]); drain again. Call [`Connection::handle_timeout`] at [`Connection::poll_timeout`].
//! 4. After [`ConnectionOutput::Established`], send a command: [`Connection::begin_request`] gives the id for its header and
//!    says when the reply is late; the host writes the bytes itself, from where the caller encoded them (and where
//!    [`Connection::compress`] has compressed them, if that was agreed on).
//!
//! > One request at a time. After [`ConnectionOutput::Failed`] nothing else ever comes, whatever is handed in.

mod exchange;
mod login;

pub use exchange::HandshakeOptions;

use crate::auth::oidc::AccessToken;
use crate::auth::{Conversation, Work};
use crate::error::{Error, ErrorKind, IoErrorKind};
use crate::monitor::HelloRequest;
use crate::wire::{Compressor, Incoming, OwnedMessage, ReadBuffer, Request};
use crate::{Duration, Instant};
use crate::{HelloReply, MAX_MESSAGE_SIZE_BYTES};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;
use login::Login;

/// The longest message before the handshake is done, and the longest a monitoring connection ever takes, in bytes: room for
/// the hello of the largest deployment.
const LONGEST_HELLO: usize = 2 * 1024 * 1024;
/// The longest reply to an operation, in bytes, whatever a server claims: its limit for messages, with room for framing.
const LONGEST_REPLY: usize = 48_000_000 + 16 * 1024;

/// What a connection is to do.
#[derive(Debug)]
#[must_use]
#[non_exhaustive]
pub enum ConnectionOutput<'a> {
    /// Write these bytes.
    Transmit(Vec<u8>),
    /// The hello is answered and authentication follows: what fails from now on is no sign of overload. `service_id` is that
    /// behind a load balancer.
    Greeted {
        /// The service, where there is one.
        service_id: Option<[u8; 12]>,
    },
    /// Have this done wherever it stalls nobody, and say what came of it by [`Connection::handle_answer`].
    Work(Work),
    /// What [`Connection::reauthenticate`] began is done.
    Authenticated,
    /// The handshake is done, authentication included: what the server says of itself, and how long its reply took.
    Established(Box<HelloReply>, Duration),
    /// The reply to the request under way. [`Connection::take_reply`] makes it outlive the connection's buffer.
    Reply(Incoming<'a>),
    /// The connection is of no more use: close the stream.
    Failed(Error),
}

/// The machine of one socket; see the [module](self).
#[derive(Debug)]
pub struct Connection {
    handshake: HandshakeOptions,
    socket_timeout: Option<Duration>,
    state: State,
    buffer: ReadBuffer,
    transmit: Vec<u8>,
    established: Option<(Box<HelloReply>, Duration)>,
    /// The log-in that comes after the hello.
    conversation: Option<Box<Conversation>>,
    /// A log-in that has failed leaves behind that the hello was answered.
    greeted: Option<Option<[u8; 12]>>,
    authenticated: bool,
    token: Option<AccessToken>,
    connect_timeout: Duration,
    last_request_id: i32,
    last_read: Instant,
    /// What requests are compressed by, and the longest message that the server takes, in bytes.
    compression: Option<(Compressor, usize)>,
}

#[derive(Debug)]
enum State {
    /// The stream is being opened.
    Opening { deadline: Option<Instant> },
    /// The first hello is out.
    Greeting { request_id: i32, since: Instant, deadline: Option<Instant> },
    /// The client proves who it is.
    LoggingIn(Box<Login>),
    /// Nothing is owed by either side.
    Ready,
    /// A reply is owed.
    Busy { request_id: i32, deadline: Option<Instant>, own_deadline: bool, exhaust: bool },
    /// It failed, and nobody has heard of it yet.
    Failing(Error),
    /// It failed.
    Failed,
}

impl Connection {
    /// A connection whose stream is being opened. `connect_timeout` bounds that and the handshake together (zero for no
    /// limit); `socket_timeout` bounds every wait for a reply after it.
    pub fn new(
        now: Instant,
        handshake: HandshakeOptions,
        connect_timeout: Duration,
        socket_timeout: Option<Duration>,
    ) -> Self {
        let deadline = (!connect_timeout.is_zero()).then(|| now + connect_timeout);
        Connection {
            handshake,
            socket_timeout: socket_timeout.filter(|timeout| !timeout.is_zero()),
            state: State::Opening { deadline },
            buffer: ReadBuffer::new(LONGEST_HELLO),
            transmit: Vec::new(),
            established: None,
            conversation: None,
            greeted: None,
            authenticated: false,
            token: None,
            connect_timeout,
            last_request_id: 0,
            last_read: now,
            compression: None,
        }
    }

    /// The stream is open: says hello.
    pub fn handle_opened(&mut self, now: Instant) {
        let State::Opening { deadline } = self.state else { return };
        let request_id = self.next_request_id();
        let arguments = self.prepare_login();
        if self.handshake.offered().next().is_some() {
            // Even the reply to this hello may come compressed (compression specification, "Q & A").
            self.buffer.accept_compressed();
        }
        match self.handshake.encode_greeting(&mut self.transmit, request_id, &arguments) {
            Ok(()) => self.state = State::Greeting { request_id, since: now, deadline },
            Err(error) => self.fail(error),
        }
    }

    /// Where to read into. Never empty; forgets the reply given out last.
    pub fn space(&mut self) -> &mut [u8] {
        self.buffer.space()
    }

    /// `count` bytes have been read into [`Connection::space`]; 0 means that the peer has closed the stream.
    pub fn handle_read(&mut self, now: Instant, count: usize) {
        self.last_read = now;
        match count {
            0 => self.handle_closed(),
            count => self.buffer.filled(count),
        }
    }

    /// Bytes that were read elsewhere.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.last_read = now;
        self.buffer.push(bytes);
    }

    /// The peer has closed the stream.
    pub fn handle_closed(&mut self) {
        let doing = self.doing();
        self.fail(Error::io(IoErrorKind::Closed, format!("the server closed the connection {doing}")));
    }

    /// Reading, writing or opening failed.
    pub fn handle_error(&mut self, error: Error) {
        self.fail(error);
    }

    /// The deadline came. Early calls change nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| deadline > now) {
            return;
        }
        let doing = self.doing();
        let error = match self.state {
            State::Busy { own_deadline: true, .. } => {
                ErrorKind::Timeout { message: format!("no reply {doing}") }.into()
            }
            _ => Error::io(IoErrorKind::TimedOut, format!("timed out {doing}")),
        };
        self.fail(error);
    }

    /// When to call [`Connection::handle_timeout`].
    pub const fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::LoggingIn(login) => login.deadline,
            State::Opening { deadline } | State::Greeting { deadline, .. } | State::Busy { deadline, .. } => {
                *deadline
            }
            State::Ready | State::Failing(_) | State::Failed => None,
        }
    }

    /// Gives the next request this id: hosts whose requests are watched number them across all connections, so that the
    /// events of two commands are never mistaken for one another's.
    pub const fn number_next(&mut self, request_id: i32) {
        self.last_request_id = request_id.wrapping_sub(1);
    }

    /// Registers a request that the host is about to write, and gives the id for its header. Without `acknowledged` no
    /// reply is due. `deadline` is the operation's own; `socketTimeoutMS` counts beside it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] when the handshake is not done or a reply is still owed.
    pub fn begin_request(
        &mut self,
        now: Instant,
        acknowledged: bool,
        deadline: Option<Instant>,
    ) -> Result<i32, Error> {
        if !matches!(self.state, State::Ready) {
            return Err(Error::invalid_argument(format!("the connection takes no request {}", self.doing())));
        }
        let request_id = self.next_request_id();
        if acknowledged {
            let late = self.socket_timeout.map(|timeout| now + timeout);
            let own_deadline = deadline.is_some_and(|own| late.is_none_or(|late| own <= late));
            let deadline = crate::time::earliest(deadline, late);
            self.state = State::Busy { request_id, deadline, own_deadline, exhaust: false };
        }
        Ok(request_id)
    }

    /// Compresses a request of which an attempt was made, as this connection's server agreed to. Without an agreement, or for
    /// a command that must not be compressed, it stays as it is.
    pub fn compress(&self, request: &mut Request) {
        if let Some((compressor, longest)) = self.compression {
            request.compress(compressor, longest);
        }
    }

    /// What requests are compressed by, once the handshake is done.
    pub fn compressor(&self) -> Option<Compressor> {
        self.compression.map(|(compressor, _)| compressor)
    }

    /// Sends a monitor's hello. Its deadlines are the monitor's.
    ///
    /// # Errors
    /// As [`Connection::begin_request`].
    pub fn send_hello(&mut self, now: Instant, request: &HelloRequest) -> Result<(), Error> {
        let request_id = self.begin_request(now, true, None)?;
        let exhaust = request.exhaust;
        self.state = State::Busy { request_id, deadline: None, own_deadline: false, exhaust };
        self.handshake.encode_hello(&mut self.transmit, request_id, request)
    }

    /// Whether nothing is owed and nothing has come that nobody asked for: it may go back to a pool.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Ready) && self.buffer.is_empty()
    }

    /// What there is to do; `None` until more is handed in.
    pub fn poll_output(&mut self) -> Option<ConnectionOutput<'_>> {
        if !self.transmit.is_empty() {
            return Some(ConnectionOutput::Transmit(core::mem::take(&mut self.transmit)));
        }
        if self.advance() {
            return self.buffer.current().map(ConnectionOutput::Reply);
        }
        if let Some(output) = self.login_output() {
            return Some(output);
        }
        // What was read may have asked for the next step of the handshake.
        if !self.transmit.is_empty() {
            return Some(ConnectionOutput::Transmit(core::mem::take(&mut self.transmit)));
        }
        if let Some((hello, round_trip)) = self.established.take() {
            return Some(ConnectionOutput::Established(hello, round_trip));
        }
        if let State::Failing(_) = self.state
            && let State::Failing(error) = core::mem::replace(&mut self.state, State::Failed)
        {
            return Some(ConnectionOutput::Failed(error));
        }
        None
    }

    /// The reply given out last, until more is read.
    pub fn reply(&self) -> Option<Incoming<'_>> {
        self.buffer.current()
    }

    /// The reply given out last, in a buffer of its own.
    pub fn take_reply(&mut self) -> Option<OwnedMessage> {
        self.buffer.take_message()
    }

    /// Looks at the next message; true when it is the reply of the request under way.
    fn advance(&mut self) -> bool {
        if matches!(self.state, State::Failing(_) | State::Failed) {
            return false;
        }
        let message = match self.buffer.next_message() {
            Ok(Some(message)) => message,
            Ok(None) => return false,
            Err(error) => {
                self.fail(Error::invalid_response(format!("{error}")));
                return false;
            }
        };
        match &self.state {
            State::Busy { exhaust: false, .. } if message.more_to_come() => {
                self.fail(Error::invalid_response("a reply says moreToCome, and nobody asked for more"));
                false
            }
            State::Busy { request_id, .. } if message.header.response_to == *request_id => {
                self.state = if message.more_to_come() {
                    // "Each reply of an exhaust stream answers the one before it."
                    let request_id = message.header.request_id;
                    State::Busy { request_id, deadline: None, own_deadline: false, exhaust: true }
                } else {
                    State::Ready
                };
                true
            }
            &State::Greeting { request_id, since, deadline } if message.header.response_to == request_id => {
                let hello = self.handshake.read_greeting(message.body);
                let round_trip = self.last_read - since;
                match (hello, self.conversation.take()) {
                    (Ok(hello), Some(conversation)) => {
                        self.log_in(*conversation, hello, round_trip, deadline);
                    }
                    (Ok(hello), None) => self.established(Box::new(hello), round_trip),
                    (Err(error), _) => self.fail(error),
                }
                false
            }
            State::LoggingIn(login) if login.request_id == Some(message.header.response_to) => {
                self.login_replied();
                false
            }
            _ => {
                let error =
                    format!("a message nobody asked for: it answers request {}", message.header.response_to);
                self.fail(Error::invalid_response(error));
                false
            }
        }
    }

    fn established(&mut self, hello: Box<HelloReply>, round_trip: Duration) {
        if !self.handshake.is_monitor {
            self.buffer.set_limit(LONGEST_REPLY);
        }
        let longest = hello.max_message_size_bytes.unwrap_or(MAX_MESSAGE_SIZE_BYTES);
        let longest = usize::try_from(longest).unwrap_or(0);
        self.compression = self.handshake.agreed(&hello).map(|compressor| (compressor, longest));
        self.state = State::Ready;
        self.established = Some((hello, round_trip));
    }

    fn fail(&mut self, error: Error) {
        if !matches!(self.state, State::Failing(_) | State::Failed) {
            self.state = State::Failing(error);
            self.transmit.clear();
        }
    }

    /// What it is doing, for errors: "while waiting for a reply".
    const fn doing(&self) -> &'static str {
        match self.state {
            State::Opening { .. } => "while connecting",
            State::Greeting { .. } => "during the handshake",
            State::LoggingIn(_) => "during authentication",
            State::Ready => "while nothing was asked",
            State::Busy { .. } => "while waiting for a reply",
            State::Failing(_) | State::Failed => "after it had failed",
        }
    }

    fn next_request_id(&mut self) -> i32 {
        self.last_request_id = self.last_request_id.checked_add(1).unwrap_or(1);
        self.last_request_id
    }
}
