//! [`Monitor`]: the checks of one server.

use super::allowance::Allowance;
use super::{Heartbeat, HelloFacts, HelloRequest, MonitorOptions, MonitorOutput};
use crate::error::{Error, ErrorKind, IoErrorKind};
use crate::sdam::TopologyVersion;
use crate::{Duration, Instant};
use alloc::collections::VecDeque;

/// The machine of one server's monitoring connection.
///
/// # The loop
/// 1. [`start`](Monitor::start) once.
/// 2. Drain [`poll_output`](Monitor::poll_output) after every input and do what it says, in order.
/// 3. Wake up at [`poll_timeout`](Monitor::poll_timeout) and call [`handle_timeout`](Monitor::handle_timeout); in between
///    hand in what happens on the connection.
///
/// There is at most one connection and at most one check in progress. A call that does not fit the state (a reply nobody
/// waits for, a time-out before its time, anything after [`close`](Monitor::close)) changes nothing. After a `Close`
/// output the host reports nothing more of that connection: a late event would be taken for one of its successor.
///
/// Source: server monitoring specification, "Multi-threaded or asynchronous monitoring" and "Monitor thread".
#[derive(Debug)]
pub struct Monitor {
    options: MonitorOptions,
    state: State,
    /// Whether the last check succeeded and nothing has marked the server unknown since.
    known: bool,
    /// When the last check ended.
    last_end: Option<Instant>,
    unpaused: Allowance,
    outputs: VecDeque<MonitorOutput>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    New,
    /// Between two checks, with the connection if it lives.
    Waiting {
        wake: Instant,
        link: Option<Link>,
    },
    /// A check that opens the connection; the handshake's hello is its reply.
    Connecting(Pending),
    /// A check on an open connection.
    Checking(Pending, Link),
    Closed,
}

/// A check in progress.
#[derive(Clone, Copy, Debug)]
struct Pending {
    since: Instant,
    awaited: bool,
    deadline: Option<Instant>,
}

/// What is known of the server behind an open connection.
#[derive(Clone, Copy, Debug)]
struct Link {
    topology_version: Option<TopologyVersion>,
    hello_ok: bool,
}

impl Monitor {
    /// A monitor that has not started.
    pub fn new(options: MonitorOptions) -> Self {
        let options = options.normalized();
        Monitor {
            options,
            state: State::New,
            known: false,
            last_end: None,
            unpaused: Allowance::new(options.min_heartbeat_frequency),
            outputs: VecDeque::new(),
        }
    }

    /// Whether a streamed reply is being waited for: exactly then the server needs an [`RttMonitor`](super::RttMonitor).
    pub const fn is_streaming(&self) -> bool {
        matches!(self.state, State::Checking(Pending { awaited: true, .. }, _))
    }

    /// Begins the first check. Later calls change nothing.
    pub fn start(&mut self, now: Instant) {
        if let State::New = self.state {
            self.begin(now, None);
        }
    }

    /// Asks for a check as soon as `minHeartbeatFrequencyMS` allows ("Requesting an immediate check").
    ///
    /// Ignored while a check is in progress, a streamed one included: whoever still waits for a better topology when that
    /// check is over asks again.
    pub fn request_check(&mut self, now: Instant) {
        if let State::Waiting { wake, link } = self.state {
            self.wait_until(now, wake.min(self.earliest_check(now)), link);
        }
    }

    /// The connection is open and its handshake's hello is the reply of this check. `duration` is the round trip of
    /// that hello alone.
    pub fn handle_connected(&mut self, now: Instant, facts: HelloFacts, duration: Duration) {
        if let State::Connecting(pending) = self.state {
            let link = Link { topology_version: facts.topology_version, hello_ok: facts.hello_ok };
            self.succeed(now, pending.awaited, duration, link, false);
        }
    }

    /// A hello reply with `ok: 1` arrived; `more_to_come` as flagged in its message.
    pub fn handle_reply(&mut self, now: Instant, facts: HelloFacts, more_to_come: bool) {
        let State::Checking(pending, link) = self.state else { return };
        if more_to_come && !pending.awaited {
            let error = Error::invalid_response("moreToCome in the reply to a hello that did not allow it");
            return self.fail(now, pending, error);
        }
        // A server that once understood `hello` goes on doing so as long as the connection lives.
        let hello_ok = link.hello_ok || facts.hello_ok;
        let link = Link { topology_version: facts.topology_version, hello_ok };
        self.succeed(now, pending.awaited, now - pending.since, link, more_to_come);
    }

    /// The connection could not be opened, failed, or the server answered with an error.
    ///
    /// Between two checks this is a connection that died idle: the next check comes as soon as it may, on a new one.
    pub fn handle_failed(&mut self, now: Instant, error: Error) {
        match self.state {
            State::Connecting(pending) | State::Checking(pending, _) => self.fail(now, pending, error),
            State::Waiting { wake, link: Some(_) } => {
                self.outputs.push_back(MonitorOutput::Close);
                self.wait_until(now, wake.min(self.earliest_check(now)), None);
            }
            State::New | State::Waiting { link: None, .. } | State::Closed => {}
        }
    }

    /// The deadline came. An early or repeated call changes nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            State::Waiting { link, .. } => self.begin(now, link),
            State::Connecting(pending) => {
                let error = Error::io(
                    IoErrorKind::TimedOut,
                    "no connection and handshake in time (connectTimeoutMS)",
                );
                self.fail(now, pending, error);
            }
            State::Checking(pending, _) => {
                self.fail(now, pending, Error::io(IoErrorKind::TimedOut, "no hello reply in time"));
            }
            State::New | State::Closed => {}
        }
    }

    /// A network error on an application connection marked the server unknown: this connection is taken for dead too
    /// ("hello or legacy hello Cancellation"). The next check starts at once, unless the last one ended less than
    /// `minHeartbeatFrequencyMS` ago.
    pub fn cancel_check(&mut self, now: Instant) {
        // Reckoned before the cancelled check counts as ended, as that one told nothing about the server.
        let wake = self.earliest_check(now);
        match self.state {
            State::New | State::Closed => return,
            State::Waiting { link: None, .. } => {}
            State::Waiting { link: Some(_), .. } => self.outputs.push_back(MonitorOutput::Close),
            State::Connecting(pending) | State::Checking(pending, _) => {
                let message = "monitor check cancelled after a network error on an application connection";
                self.abandon(now, pending, ErrorKind::Interrupted { message: message.into() }.into());
            }
        }
        self.known = false;
        self.wait_until(now, wake, None);
    }

    /// Ends monitoring for good. A check in progress ends with its failed event.
    pub fn close(&mut self, now: Instant) {
        match self.state {
            State::New | State::Closed | State::Waiting { link: None, .. } => {}
            State::Waiting { link: Some(_), .. } => self.outputs.push_back(MonitorOutput::Close),
            State::Connecting(pending) | State::Checking(pending, _) => {
                self.abandon(now, pending, ErrorKind::Shutdown.into());
            }
        }
        self.state = State::Closed;
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<MonitorOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](Monitor::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = match self.state {
            State::New | State::Closed => None,
            State::Waiting { wake, .. } => Some(wake),
            State::Connecting(pending) | State::Checking(pending, _) => pending.deadline,
        };
        deadline.filter(|deadline| *deadline < Instant::MAX)
    }

    /// When `minHeartbeatFrequencyMS` has passed since the last check.
    fn earliest_check(&self, now: Instant) -> Instant {
        self.last_end.map_or(now, |end| now.max(end + self.options.min_heartbeat_frequency))
    }

    /// Waits until `wake`, or goes on at once if that is now.
    fn wait_until(&mut self, now: Instant, wake: Instant, link: Option<Link>) {
        if wake <= now {
            self.begin(now, link);
        } else {
            self.state = State::Waiting { wake, link };
        }
    }

    /// Begins a check: on the open connection, or by opening one.
    fn begin(&mut self, now: Instant, link: Option<Link>) {
        let Some(link) = link else {
            self.started(false);
            self.outputs.push_back(MonitorOutput::Connect);
            let deadline = self.options.plain_deadline(now);
            self.state = State::Connecting(Pending { since: now, awaited: false, deadline });
            return;
        };
        let topology_version = link.topology_version.filter(|_| self.options.streaming_enabled());
        self.started(topology_version.is_some());
        self.outputs.push_back(MonitorOutput::Send(HelloRequest {
            awaitable: topology_version.map(|version| (version, self.options.max_await_ms())),
            exhaust: topology_version.is_some(),
            use_legacy: !(link.hello_ok || self.options.hello_always),
        }));
        self.await_reply(now, topology_version.is_some(), link);
    }

    fn started(&mut self, awaited: bool) {
        self.outputs.push_back(MonitorOutput::Heartbeat(Heartbeat::Started { awaited }));
    }

    fn await_reply(&mut self, now: Instant, awaited: bool, link: Link) {
        let deadline =
            if awaited { self.options.awaited_deadline(now) } else { self.options.plain_deadline(now) };
        self.state = State::Checking(Pending { since: now, awaited, deadline }, link);
    }

    /// Ends a check with a reply and decides what follows: the next streamed reply, a new stream, or a pause
    /// ("Heartbeat frequency").
    fn succeed(&mut self, now: Instant, awaited: bool, duration: Duration, link: Link, more_to_come: bool) {
        self.known = true;
        self.last_end = Some(now);
        self.outputs.push_back(MonitorOutput::Heartbeat(Heartbeat::Succeeded { awaited, duration }));
        if !awaited {
            self.outputs.push_back(MonitorOutput::Sample(duration));
        }
        self.outputs.push_back(MonitorOutput::Checked);

        let streaming = self.options.streaming_enabled() && link.topology_version.is_some();
        if !streaming && !more_to_come {
            self.state = State::Waiting { wake: now + self.options.heartbeat_frequency, link: Some(link) };
        } else if !self.unpaused.take(now) {
            // A flood. Closing is the only way to stop an exhaust stream.
            self.outputs.push_back(MonitorOutput::Close);
            self.state = State::Waiting { wake: now + self.options.min_heartbeat_frequency, link: None };
        } else if more_to_come {
            self.started(true);
            self.await_reply(now, true, link);
        } else {
            self.begin(now, Some(link));
        }
    }

    /// Ends a check with an error and decides when the next one comes ("Network or command error during server
    /// check", steps 4 and 5; "Retry hello or legacy hello calls once").
    fn fail(&mut self, now: Instant, pending: Pending, error: Error) {
        let retry = self.known && error.is_network();
        self.known = false;
        self.abandon(now, pending, error.clone());
        self.outputs.push_back(MonitorOutput::CheckFailed(error));
        let pause = match retry {
            true if self.unpaused.take(now) => Duration::ZERO,
            true => self.options.min_heartbeat_frequency,
            false => self.options.heartbeat_frequency,
        };
        self.wait_until(now, now + pause, None);
    }

    /// Ends the check in progress and its connection.
    fn abandon(&mut self, now: Instant, pending: Pending, error: Error) {
        self.last_end = Some(now);
        let (awaited, duration) = (pending.awaited, now - pending.since);
        self.outputs.push_back(MonitorOutput::Heartbeat(Heartbeat::Failed { awaited, duration, error }));
        self.outputs.push_back(MonitorOutput::Close);
    }
}
