//! The tasks that go on by themselves: one that keeps time, one a monitoring connection, one while a connection is opened.

use super::control::Control;
use super::socket::{Exchange, Socket, Transport, io_error};
use super::{Host, Keychain, Role};
use crate::runtime::Runtime;
use crate::tls;
use futures::future::Either;
use futures::task::AtomicWaker;
use quorate_core::connection::Connection;
use quorate_core::driver::ConnectionId;
use quorate_core::error::{Error, ErrorKind, IoErrorKind};
use quorate_core::{Duration, HelloReader, HelloReply, Instant, ServerAddress};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

/// The driver's one deadline, and the task that sleeps until it.
#[derive(Debug)]
pub(super) struct Timer {
    /// In nanoseconds on the runtime's clock; `u64::MAX` for never.
    deadline: AtomicU64,
    stopped: AtomicBool,
    waker: AtomicWaker,
}

impl Default for Timer {
    fn default() -> Self {
        Timer {
            deadline: AtomicU64::new(u64::MAX),
            stopped: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }
}

impl Timer {
    /// Sets the deadline. The task is woken only if it has to get up earlier than it meant to.
    pub(super) fn arm(&self, deadline: Option<Instant>) {
        let deadline = deadline.map_or(u64::MAX, Instant::as_nanos);
        if self.deadline.swap(deadline, Ordering::AcqRel) > deadline {
            self.waker.wake();
        }
    }

    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// Calls the driver whenever its deadline has come, until the client is shut down.
pub(super) async fn keep_time<R: Runtime>(host: Arc<Host<R>>) {
    while !host.timer.stopped.load(Ordering::Acquire) {
        sleep_until_due(&host).await;
        let now = host.now();
        if host.timer.deadline.load(Ordering::Acquire) <= now.as_nanos() {
            let mut state = host.lock();
            state.driver.handle_timeout(now);
            host.act(state);
        }
    }
}

/// Sleeps until the deadline that was set last, however often it moves. One that moves out is slept through, as getting up
/// for nothing once is cheaper than a new timer for every change.
async fn sleep_until_due<R: Runtime>(host: &Host<R>) {
    let mut sleep = pin!(None::<R::Sleep>);
    let mut armed = u64::MAX;
    poll_fn(|cx| {
        host.timer.waker.register(cx.waker());
        if host.timer.stopped.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let deadline = host.timer.deadline.load(Ordering::Acquire);
        if deadline < armed {
            armed = deadline;
            sleep.set(Some(host.runtime.sleep_until(Instant::from_nanos(deadline))));
        }
        match sleep.as_mut().as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
            None => Poll::Pending,
        }
    })
    .await;
}

/// The life of one connection as far as no operation is concerned: opened, greeted, and then parked in its pool, or, if a
/// monitor's, served until it ends.
pub(super) async fn serve<R: Runtime>(
    host: Arc<Host<R>>,
    id: ConnectionId,
    address: ServerAddress,
    control: Arc<Control>,
) {
    let mut socket = match open(&host, id, &address, &control).await {
        Some(Ok(socket)) => socket,
        Some(Err(error)) => return report_failure(&host, id, error),
        None => return,
    };
    match greet(&host, id, &address, &mut socket).await {
        Exchange::Established(hello, round_trip) => {
            if let Some(socket) = established(&host, id, socket, &hello, round_trip) {
                monitor(&host, id, socket).await;
            }
        }
        Exchange::Failed(error) => report_failure(&host, id, error),
        Exchange::Stopped => {}
        // Nothing else can come of a greeting: replies need requests, and messages are for established connections.
        Exchange::Reply
        | Exchange::Written
        | Exchange::Message(_)
        | Exchange::Greeted(_)
        | Exchange::Authenticated
        | Exchange::Work(_) => {
            report_failure(&host, id, Error::invalid_response("unexpected message during the handshake"));
        }
    }
}

/// Shakes hands, and logs in where somebody has to.
async fn greet<R: Runtime>(
    host: &Arc<Host<R>>,
    id: ConnectionId,
    address: &ServerAddress,
    socket: &mut Socket<R>,
) -> Exchange {
    loop {
        match (socket.drive(&host.runtime, &[], true).await, &host.settings.keychain) {
            (Exchange::Greeted(service_id), _) => {
                let mut state = host.lock();
                state.driver.handle_greeted(id, service_id);
                host.act(state);
            }
            (Exchange::Work(work), Some(keychain)) => {
                let work = keychain.work(&host.runtime, address, work);
                let Some(answer) = socket.unless_stopped(work).await else { return Exchange::Stopped };
                socket.connection.handle_answer(host.now(), answer);
            }
            (Exchange::Failed(error), keychain) => {
                keychain.iter().for_each(Keychain::failed);
                let in_vain = host.settings.tls.is_none() && socket.was_hung_up_on(&error);
                return Exchange::Failed(if in_vain { suggest_tls(error) } else { error });
            }
            (exchange, _) => return exchange,
        }
    }
}

/// Opens the stream, within the connect time-out; `None` when it is no longer wanted.
async fn open<R: Runtime>(
    host: &Host<R>,
    id: ConnectionId,
    address: &ServerAddress,
    control: &Arc<Control>,
) -> Option<Result<Box<Socket<R>>, Error>> {
    let settings = &host.settings;
    let is_monitor = !matches!(id.role, Role::Pool(_));
    let mut handshake = settings.handshake.clone();
    handshake.is_monitor = is_monitor;
    handshake.auth = settings.keychain.as_ref().filter(|_| !is_monitor).map(|keychain| keychain.start());
    // A monitor's hello may be held back by the server on purpose; its machine watches the time itself.
    let socket_timeout = settings.socket_timeout.filter(|_| !is_monitor);
    // A monitor's machine watches the same time-out. Being first by a little, the host can say what it was waiting for.
    let ahead = if is_monitor { (settings.connect_timeout / 10).min(AHEAD) } else { Duration::ZERO };
    let connect_timeout = settings.connect_timeout - ahead;
    let mut connection = Connection::new(host.now(), handshake, connect_timeout, socket_timeout);
    let securing = AtomicBool::new(false);
    let mut connecting = pin!(connect(host, address, &securing));
    let mut sleep = pin!(connection.poll_timeout().map(|deadline| host.runtime.sleep_until(deadline)));
    let stream = poll_fn(|cx| {
        control.register(cx);
        if control.is_stopped() {
            return Poll::Ready(None);
        }
        if let Poll::Ready(stream) = connecting.as_mut().poll(cx) {
            return Poll::Ready(Some(stream));
        }
        match sleep.as_mut().as_pin_mut().map(|sleep| sleep.poll(cx)) {
            Some(Poll::Ready(())) => {
                let securing = securing.load(Ordering::Relaxed);
                Poll::Ready(Some(Err(timed_out(settings.connect_timeout, securing))))
            }
            _ => Poll::Pending,
        }
    })
    .await?;
    Some(stream.map(|stream| {
        connection.handle_opened(host.now());
        Box::new(Socket::new(connection, stream, control.clone()))
    }))
}

/// The same failure with what may be behind it.
fn suggest_tls(mut error: Error) -> Error {
    if let ErrorKind::Io(io) = &mut *error.kind {
        io.message.push_str("; if the server requires TLS, say tls=true");
    }
    error
}

/// How much earlier than a monitor its host gives up a connection attempt.
const AHEAD: Duration = Duration::from_millis(100);

fn timed_out(timeout: Duration, securing: bool) -> Error {
    let timeout = timeout.as_millis();
    let message = if securing {
        format!("no TLS handshake within {timeout} ms (connectTimeoutMS): does the server speak TLS?")
    } else {
        format!("no connection within {timeout} ms (connectTimeoutMS)")
    };
    Error::io(IoErrorKind::TimedOut, message)
}

/// Opens the stream; `securing` becomes true when all that is left is TLS.
async fn connect<R: Runtime>(
    host: &Host<R>,
    address: &ServerAddress,
    securing: &AtomicBool,
) -> Result<Transport<R>, Error> {
    let stream = host.runtime.connect(address.clone()).await.map_err(|error| {
        let mut failed = io_error(&error, "connecting");
        if let ErrorKind::Io(io) = &mut *failed.kind
            && io.kind != IoErrorKind::TimedOut
        {
            io.kind = IoErrorKind::Connect;
        }
        failed
    })?;
    match &host.settings.tls {
        None => Ok(Either::Left(stream)),
        Some(config) => {
            securing.store(true, Ordering::Relaxed);
            let stream = tls::handshake(config, address.host(), stream).await?;
            Ok(Either::Right(Box::new(stream)))
        }
    }
}

fn report_failure<R: Runtime>(host: &Arc<Host<R>>, id: ConnectionId, error: Error) {
    let mut state = host.lock();
    state.driver.handle_failed(host.now(), id, error);
    host.act(state);
}

/// Reports that the handshake is done. A pool's socket is parked; a monitor's is given back, to go on with.
fn established<R: Runtime>(
    host: &Arc<Host<R>>,
    id: ConnectionId,
    mut socket: Box<Socket<R>>,
    hello: &HelloReply,
    round_trip: Duration,
) -> Option<Box<Socket<R>>> {
    let now = host.now();
    let mut state = host.lock();
    let kept = match id.role {
        Role::Pool(_) => {
            socket.rest(now);
            // If the driver has let go of it in the meantime, the socket ends here.
            if state.is_wanted(id) {
                state.park(id, socket);
            }
            None
        }
        Role::Monitor(_) | Role::Rtt(_) => Some(socket),
    };
    state.driver.handle_established(now, id, hello, round_trip);
    host.act(state);
    kept
}

/// Carries a monitor's messages to and fro until the connection ends.
async fn monitor<R: Runtime>(host: &Arc<Host<R>>, id: ConnectionId, mut socket: Box<Socket<R>>) {
    let mut hellos = Box::<HelloReader>::default();
    loop {
        match socket.drive(&host.runtime, &[], true).await {
            Exchange::Message(request) => {
                if let Err(error) = socket.connection.send_hello(host.now(), &request) {
                    return report_failure(host, id, error);
                }
            }
            Exchange::Reply => {
                let Some(reply) = socket.connection.reply() else { continue };
                let more_to_come = reply.more_to_come();
                let hello = hellos.read(reply.body);
                match hello.and_then(|hello| hello.error().map_or(Ok(hello), Err)) {
                    Ok(hello) => {
                        let mut state = host.lock();
                        state.driver.handle_reply(host.now(), id, hello, more_to_come);
                        host.act(state);
                    }
                    Err(error) => return report_failure(host, id, error),
                }
            }
            Exchange::Failed(error) => return report_failure(host, id, error),
            Exchange::Stopped => return,
            Exchange::Established(..)
            | Exchange::Written
            | Exchange::Greeted(_)
            | Exchange::Work(_)
            | Exchange::Authenticated => {}
        }
    }
}
