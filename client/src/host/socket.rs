//! One open socket and the [`Connection`] that speaks on it, driven by whichever task holds it.

use super::control::Control;
use crate::runtime::Runtime;
use crate::tls::TlsStream;
use futures::future::Either;
use futures::io::{AsyncRead, AsyncWrite};
use quorate_core::auth::Work;
use quorate_core::connection::{Connection, ConnectionOutput};
use quorate_core::error::{Error, ErrorKind, IoErrorKind};
use quorate_core::{Duration, HelloReply, Instant};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use zeroize::Zeroize;

/// A byte stream, encrypted or not.
pub(super) type Transport<R> = Either<<R as Runtime>::Stream, Box<TlsStream<<R as Runtime>::Stream>>>;

/// A socket with its machine. Whoever owns the value drives it.
pub(crate) struct Socket<R: Runtime> {
    pub(crate) connection: Connection,
    /// The server's number for the connection.
    pub(crate) server_connection_id: Option<i64>,
    pub(crate) service_id: Option<[u8; 12]>,
    pub(super) control: Arc<Control>,
    stream: Transport<R>,
    /// What the connection itself wants written (handshake, monitors' hellos), and how much of it has been.
    own: Vec<u8>,
    written: usize,
    idle_since: Instant,
    /// Whether an operation has been sent on it.
    used: bool,
    /// Whether the server has ever sent a byte.
    heard: bool,
}

/// What driving a socket has led to.
#[derive(Debug)]
pub(crate) enum Exchange {
    /// The handshake is done.
    Established(Box<HelloReply>, Duration),
    /// The hello is answered, by this service behind a load balancer, and the log-in follows.
    Greeted(Option<[u8; 12]>),
    /// The log-in needs something done.
    Work(Work),
    /// It has logged in once more.
    Authenticated,
    /// A reply is there: [`Connection::reply`].
    Reply,
    /// Everything has been written, and no reply is due.
    Written,
    /// Somebody has left a message with the connection's control.
    Message(quorate_core::monitor::HelloRequest),
    /// The connection has failed.
    Failed(Error),
    /// The driver wants the connection let go of.
    Stopped,
}

/// A connection idle for less than this is taken as it is; one idle for longer is looked at first (the server, or something
/// on the way, may have closed it).
const TRUSTED_IDLE: Duration = Duration::from_secs(1);

impl<R: Runtime> Socket<R> {
    pub(super) fn new(connection: Connection, stream: Transport<R>, control: Arc<Control>) -> Self {
        Socket {
            connection,
            server_connection_id: None,
            service_id: None,
            control,
            stream,
            own: Vec::new(),
            written: 0,
            idle_since: Instant::ZERO,
            used: false,
            heard: false,
        }
    }

    /// Whether the other side hung up without a word, as servers that require TLS do when they are greeted without.
    pub(super) fn was_hung_up_on(&self, error: &Error) -> bool {
        let hung_up = matches!(&*error.kind, ErrorKind::Io(io) if matches!(io.kind, IoErrorKind::Closed | IoErrorKind::Reset));
        hung_up && !self.heard
    }

    /// Writes `request`, if any, and goes on until something has come of it. `reply_due` says whether to wait for one.
    ///
    /// Dropping the future in between leaves a message half written or a reply owed: the connection must be closed then.
    pub(crate) async fn drive(&mut self, runtime: &R, request: &[u8], reply_due: bool) -> Exchange {
        // No timer is made unless there is a deadline, and it is given back with this future.
        let mut sleep = pin!(None::<R::Sleep>);
        let mut armed = None;
        let mut sent = 0;
        self.used |= !request.is_empty();
        poll_fn(|cx| {
            self.control.register(cx);
            loop {
                if self.control.is_stopped() {
                    return Poll::Ready(Exchange::Stopped);
                }
                if let Some(exchange) = self.next_output() {
                    return Poll::Ready(exchange);
                }
                match self.poll_write(cx, request, &mut sent) {
                    Poll::Ready(Ok(())) if !reply_due => return Poll::Ready(Exchange::Written),
                    Poll::Ready(Err(error)) => {
                        self.connection.handle_error(error);
                        continue;
                    }
                    Poll::Ready(Ok(())) | Poll::Pending => {}
                }
                // Only monitors are left messages, and they come here without a request.
                if request.is_empty()
                    && let Some(message) = self.control.receive()
                {
                    return Poll::Ready(Exchange::Message(message));
                }
                if self.poll_read(cx, runtime).is_ready() {
                    continue;
                }
                let deadline = self.connection.poll_timeout();
                if armed != deadline {
                    armed = deadline;
                    sleep.set(deadline.map(|deadline| runtime.sleep_until(deadline)));
                }
                match sleep.as_mut().as_pin_mut().map(|sleep| sleep.poll(cx)) {
                    Some(Poll::Ready(())) => {
                        self.connection.handle_timeout(runtime.now());
                        // A timer that rang early is set again.
                        armed = None;
                    }
                    _ => return Poll::Pending,
                }
            }
        })
        .await
    }

    /// The outcome of some work for this connection; `None`, and the work given up, when the connection is to be let go of.
    pub(crate) async fn unless_stopped<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|cx| {
            self.control.register(cx);
            if self.control.is_stopped() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// The next thing the machine has to say to whoever drives it.
    fn next_output(&mut self) -> Option<Exchange> {
        loop {
            return Some(match self.connection.poll_output()? {
                ConnectionOutput::Transmit(bytes) => {
                    // What was written last may have been a password.
                    self.own.zeroize();
                    self.own = bytes;
                    self.written = 0;
                    continue;
                }
                ConnectionOutput::Established(hello, round_trip) => {
                    self.own.zeroize();
                    self.server_connection_id = hello.connection_id;
                    self.service_id = hello.service_id;
                    Exchange::Established(hello, round_trip)
                }
                ConnectionOutput::Greeted { service_id } => Exchange::Greeted(service_id),
                ConnectionOutput::Authenticated => Exchange::Authenticated,
                ConnectionOutput::Work(work) => Exchange::Work(work),
                ConnectionOutput::Reply(_) => Exchange::Reply,
                ConnectionOutput::Failed(error) => Exchange::Failed(error),
                _ => continue,
            });
        }
    }

    /// Writes what is left of the machine's own bytes, then of the request; ready when nothing is.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        request: &[u8],
        sent: &mut usize,
    ) -> Poll<Result<(), Error>> {
        loop {
            let (bytes, count) = if self.written < self.own.len() {
                (&self.own[self.written..], &mut self.written)
            } else if *sent < request.len() {
                (&request[*sent..], &mut *sent)
            } else {
                break;
            };
            match ready!(Pin::new(&mut self.stream).poll_write(cx, bytes)) {
                Ok(0) => {
                    return Poll::Ready(Err(Error::io(
                        IoErrorKind::Closed,
                        "the server takes no more bytes",
                    )));
                }
                Ok(wrote) => *count += wrote,
                Err(error) => return Poll::Ready(Err(io_error(&error, "writing"))),
            }
        }
        let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(flushed.map_err(|error| io_error(&error, "writing")))
    }

    /// Reads what has come; ready when there was something, or an end.
    fn poll_read(&mut self, cx: &mut Context<'_>, runtime: &R) -> Poll<()> {
        match Pin::new(&mut self.stream).poll_read(cx, self.connection.space()) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(count)) => {
                self.heard |= count > 0;
                self.connection.handle_read(runtime.now(), count);
            }
            Poll::Ready(Err(error)) => self.connection.handle_error(io_error(&error, "reading")),
        }
        Poll::Ready(())
    }

    /// Notes that the socket goes back to its pool.
    pub(crate) fn rest(&mut self, now: Instant) {
        self.idle_since = now;
    }

    /// Whether a socket from the pool can be used: one that has rested for long is looked at, without waiting.
    ///
    /// One that was just made is used whatever it looks like: what is wrong with it is the operation's error then. In its
    /// place would come another one that is just made, again and again.
    pub(crate) fn is_usable(&mut self, now: Instant) -> bool {
        if self.control.is_stopped() {
            return false;
        }
        if now - self.idle_since < TRUSTED_IDLE {
            return !self.used || self.connection.is_idle();
        }
        if !self.connection.is_idle() {
            return false;
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        // Nothing is owed, so anything but silence means that it cannot be used.
        Pin::new(&mut self.stream).poll_read(&mut cx, self.connection.space()).is_pending()
    }
}

/// An error of the operating system, in the core's terms.
pub(super) fn io_error(error: &io::Error, doing: &str) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::TimedOut => IoErrorKind::TimedOut,
        io::ErrorKind::UnexpectedEof => IoErrorKind::Closed,
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound | io::ErrorKind::AddrNotAvailable => {
            IoErrorKind::Connect
        }
        _ => IoErrorKind::Reset,
    };
    Error::io(kind, format!("{doing} failed: {error}"))
}
