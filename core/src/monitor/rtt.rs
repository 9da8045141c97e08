//! [`RttMonitor`]: round trips while the other connection is busy streaming, and probes.

use super::{HelloFacts, HelloRequest, MonitorOptions};
use crate::time::earliest;
use crate::{Duration, Instant};
use alloc::collections::VecDeque;

/// What [`RttMonitor`] wants done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RttOutput {
    /// Open a connection and shake hands on it, without authentication and without events.
    Connect,
    /// Close the connection, or give up opening it. Nothing more may be reported of it.
    Close,
    /// Send a plain hello, without events.
    Send(HelloRequest),
    /// A round trip was measured. What the server replied is ignored ("Measuring RTT").
    Sample(Duration),
    /// The server replied since [`RttMonitor::probe`] was called: it is alive.
    ProbeAnswered,
    /// It did not within the grace, or refused the connection.
    ProbeFailed,
}

/// The machine of one server's round-trip connection.
///
/// It runs from [`start`](RttMonitor::start) to [`stop`](RttMonitor::stop), which the `Driver` calls as the server's
/// [`Monitor`](super::Monitor) begins and ends to stream ([`Monitor::is_streaming`](super::Monitor::is_streaming)), and
/// sends one hello a heartbeat period. Those of all servers fall on the same multiples of the period, so that an idle
/// client wakes once for all of them. Its errors say nothing about the server: they close the connection, and the next
/// period tries again.
///
/// [`probe`](RttMonitor::probe) asks out of turn whether the server is alive, with an answer within a grace the caller
/// sets: this is how a hung primary is told from a healthy one that stepped down, long before any time-out.
///
/// The loop, and what spurious calls do, is as for [`Monitor`](super::Monitor).
///
/// Source: server monitoring specification, "Measuring RTT" and "RTT thread".
#[derive(Debug)]
pub struct RttMonitor {
    options: MonitorOptions,
    /// Whether to measure, probes aside.
    running: bool,
    state: State,
    /// Until when a probe waits for its answer.
    probe: Option<Instant>,
    outputs: VecDeque<RttOutput>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing outstanding; `next` is when to measure again, `None` while not running.
    Idle { link: Option<Link>, next: Option<Instant> },
    /// The connection is being opened; the handshake's hello is the sample.
    Connecting { deadline: Option<Instant> },
    /// A hello is outstanding.
    Measuring { since: Instant, deadline: Option<Instant>, link: Link },
}

/// What is known of the server behind an open connection.
#[derive(Clone, Copy, Debug)]
struct Link {
    hello_ok: bool,
}

impl RttMonitor {
    /// A monitor that is not running.
    pub fn new(options: MonitorOptions) -> Self {
        RttMonitor {
            options: options.normalized(),
            running: false,
            state: State::Idle { link: None, next: None },
            probe: None,
            outputs: VecDeque::new(),
        }
    }

    /// Whether it is between `start` and `stop`.
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Whether a probe waits for its answer.
    pub const fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// Begins to measure: a first round trip at once, then one a period. Does nothing when running.
    pub fn start(&mut self, now: Instant) {
        if !self.running {
            self.running = true;
            self.measure(now);
        }
    }

    /// Stops and closes the connection: the server is not streamed from any longer, failed, or went away. A probe in
    /// progress has failed.
    pub fn stop(&mut self) {
        self.running = false;
        if self.is_open() {
            self.outputs.push_back(RttOutput::Close);
        }
        self.state = State::Idle { link: None, next: None };
        self.end_probe(RttOutput::ProbeFailed);
    }

    /// Is this server alive right now? Answered by [`RttOutput::ProbeAnswered`] with the next reply (of a hello that is
    /// already outstanding, else of one sent at once, on a new connection if there is none), or by
    /// [`RttOutput::ProbeFailed`] at `deadline`, or as soon as a new connection cannot be had.
    ///
    /// Works whether running or not; without `start`, the connection is closed after the answer. A probe during a
    /// probe shares its answer, by the earlier of the two deadlines.
    pub fn probe(&mut self, now: Instant, deadline: Instant) {
        self.probe = earliest(self.probe, Some(deadline));
        self.measure(now);
    }

    /// The connection is open; `duration` is the round trip of its handshake's hello alone.
    pub fn handle_connected(&mut self, now: Instant, facts: HelloFacts, duration: Duration) {
        if let State::Connecting { .. } = self.state {
            self.measured(now, duration, Link { hello_ok: facts.hello_ok });
        }
    }

    /// A hello reply with `ok: 1` arrived.
    pub fn handle_reply(&mut self, now: Instant, facts: HelloFacts) {
        if let State::Measuring { since, link, .. } = self.state {
            self.measured(now, now - since, Link { hello_ok: link.hello_ok || facts.hello_ok });
        }
    }

    /// The connection could not be opened, failed, or the server answered with an error.
    ///
    /// A probe that loses an older connection this way tries once more on a new one: that connection may have died
    /// long ago.
    pub fn handle_failed(&mut self, now: Instant) {
        if !self.is_open() {
            return;
        }
        let was_connecting = matches!(self.state, State::Connecting { .. });
        self.outputs.push_back(RttOutput::Close);
        self.rest(now, None);
        if self.probe.is_none() {
            return;
        }
        if was_connecting {
            self.end_probe(RttOutput::ProbeFailed);
        } else {
            self.measure(now);
        }
    }

    /// The deadline came. An early or repeated call changes nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.probe.is_some_and(|deadline| deadline <= now) {
            self.end_probe(RttOutput::ProbeFailed);
            if !self.running {
                self.stop();
            }
        }
        match self.state {
            State::Idle { next: Some(next), .. } if next <= now => self.measure(now),
            State::Connecting { deadline: Some(deadline) }
            | State::Measuring { deadline: Some(deadline), .. }
                if deadline <= now =>
            {
                self.outputs.push_back(RttOutput::Close);
                self.rest(now, None);
                self.end_probe(RttOutput::ProbeFailed);
            }
            State::Idle { .. } | State::Connecting { .. } | State::Measuring { .. } => {}
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<RttOutput> {
        self.outputs.pop_front()
    }

    /// When to call [`handle_timeout`](RttMonitor::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = match self.state {
            State::Idle { next, .. } => next,
            State::Connecting { deadline } | State::Measuring { deadline, .. } => deadline,
        };
        earliest(deadline, self.probe).filter(|deadline| *deadline < Instant::MAX)
    }

    /// Whether there is a connection, or one being opened.
    const fn is_open(&self) -> bool {
        !matches!(self.state, State::Idle { link: None, .. })
    }

    /// Sends a hello or opens a connection, unless one of the two is under way.
    fn measure(&mut self, now: Instant) {
        let deadline = self.options.plain_deadline(now);
        match self.state {
            State::Idle { link: None, .. } => {
                self.outputs.push_back(RttOutput::Connect);
                self.state = State::Connecting { deadline };
            }
            State::Idle { link: Some(link), .. } => {
                let use_legacy = !(link.hello_ok || self.options.hello_always);
                self.outputs
                    .push_back(RttOutput::Send(HelloRequest { use_legacy, ..HelloRequest::default() }));
                self.state = State::Measuring { since: now, deadline, link };
            }
            State::Connecting { .. } | State::Measuring { .. } => {}
        }
    }

    fn measured(&mut self, now: Instant, duration: Duration, link: Link) {
        self.outputs.push_back(RttOutput::Sample(duration));
        self.rest(now, Some(link));
        self.end_probe(RttOutput::ProbeAnswered);
        if !self.running {
            self.stop();
        }
    }

    /// Waits for the next period.
    fn rest(&mut self, now: Instant, link: Option<Link>) {
        let next = self.running.then(|| next_multiple(now, self.options.heartbeat_frequency));
        self.state = State::Idle { link, next };
    }

    fn end_probe(&mut self, answer: RttOutput) {
        if self.probe.take().is_some() {
            self.outputs.push_back(answer);
        }
    }
}

/// The first multiple of `period` after `now`, counted from the host's epoch.
fn next_multiple(now: Instant, period: Duration) -> Instant {
    let period = u64::try_from(period.as_nanos()).unwrap_or(u64::MAX).max(1);
    let gone = now.as_nanos() % period;
    now + Duration::from_nanos(period - gone)
}
