//! Watching one server: the heartbeat, the round trip, and the question "is it alive right now?".
//!
//! Two machines and a leaf. [`Monitor`] runs the checks of one server over a connection of its own, streamed where the
//! server can stream and polled where it cannot. [`RttMonitor`] measures round trips over a second connection
//! while the first one is busy streaming, and answers probes. [`RttAverage`] turns the samples of both into the two
//! figures a server description carries. None of them opens a socket, reads a reply or touches the topology: the
//! `Driver` does what their outputs say, and applies the hello replies itself.
//!
//! ```text
//!              start                     reply or failure
//!   New ───────────────► Connecting ───────────────────────► Waiting ◄──────┐
//!                            ▲   │ hello with topologyVersion   │  │ wake up │ reply, not streaming
//!              no connection │   └──────────► Checking ◄────────┼──┘ (connected)
//!                            └──────────────────│───────────────┘    │
//!                                               └────────────────────┘
//! ```
//!
//! Source: server monitoring specification.

mod allowance;
mod average;
mod check;
mod rtt;

#[cfg(test)]
mod check_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod rtt_tests;

pub use average::RttAverage;
pub use check::Monitor;
pub use rtt::{RttMonitor, RttOutput};

use crate::error::Error;
use crate::sdam::TopologyVersion;
use crate::{Duration, HelloReply, Instant};

/// Which protocol to monitor with (server monitoring specification, "serverMonitoringMode").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ServerMonitoringMode {
    /// Stream, except on a function-as-a-service platform.
    #[default]
    Auto,
    /// Stream from every server that can.
    Stream,
    /// Poll, whatever the server can do.
    Poll,
}

/// What both monitors of a server need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorOptions {
    /// From the end of one check to the start of the next, and how long a server may hold a streamed reply. 10 s by
    /// default; never less than `min_heartbeat_frequency`.
    pub heartbeat_frequency: Duration,
    /// The shortest pause between two checks, however often they are asked for. The specification fixes it at 500 ms;
    /// only tests lower it.
    pub min_heartbeat_frequency: Duration,
    /// For a connection and its handshake, and for the reply of a plain hello; zero means no limit.
    pub connect_timeout: Duration,
    /// Which protocol to use.
    pub mode: ServerMonitoringMode,
    /// Whether this is a function-as-a-service platform, which makes [`ServerMonitoringMode::Auto`] poll.
    pub is_faas: bool,
    /// Whether a server API version was asked for (or the load balancer mode): then `hello` is always spoken, never
    /// the legacy command.
    pub hello_always: bool,
}

impl Default for MonitorOptions {
    fn default() -> Self {
        MonitorOptions {
            heartbeat_frequency: Duration::from_secs(10),
            min_heartbeat_frequency: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(10),
            mode: ServerMonitoringMode::Auto,
            is_faas: false,
            hello_always: false,
        }
    }
}

impl MonitorOptions {
    /// Whether servers that can stream are to be streamed from ("Streaming disabled").
    pub const fn streaming_enabled(&self) -> bool {
        match self.mode {
            ServerMonitoringMode::Stream => true,
            ServerMonitoringMode::Poll => false,
            ServerMonitoringMode::Auto => !self.is_faas,
        }
    }

    /// The same with pauses that cannot be zero, so that no setting makes a monitor spin.
    fn normalized(mut self) -> Self {
        self.min_heartbeat_frequency = self.min_heartbeat_frequency.max(Duration::from_millis(1));
        self.heartbeat_frequency = self.heartbeat_frequency.max(self.min_heartbeat_frequency);
        self
    }

    /// When a plain hello, or a connection and its handshake, has taken too long.
    fn plain_deadline(&self, now: Instant) -> Option<Instant> {
        (!self.connect_timeout.is_zero()).then(|| now + self.connect_timeout)
    }

    /// When an awaitable hello has taken too long ("Socket timeout").
    fn awaited_deadline(&self, now: Instant) -> Option<Instant> {
        self.plain_deadline(now).map(|deadline| deadline + self.heartbeat_frequency)
    }

    /// `maxAwaitTimeMS`.
    fn max_await_ms(&self) -> i64 {
        i64::try_from(self.heartbeat_frequency.as_millis()).unwrap_or(i64::MAX)
    }
}

/// What a monitor has to know of a hello reply. The `Driver` reads the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HelloFacts {
    /// `topologyVersion`: its presence says that the server can stream.
    pub topology_version: Option<TopologyVersion>,
    /// `helloOk`: the server understands `hello`.
    pub hello_ok: bool,
}

impl From<&HelloReply> for HelloFacts {
    fn from(reply: &HelloReply) -> Self {
        HelloFacts { topology_version: reply.topology_version, hello_ok: reply.hello_ok }
    }
}

/// A hello to send on a connection whose handshake is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HelloRequest {
    /// The topology version the server is to wait for a change of, and `maxAwaitTimeMS`; `None` for a plain hello.
    pub awaitable: Option<(TopologyVersion, i64)>,
    /// Set `exhaustAllowed`, so that the server goes on replying unasked.
    pub exhaust: bool,
    /// Use the legacy command: the server has not said `helloOk`.
    pub use_legacy: bool,
}

/// The event of a check. Every `Started` is followed by exactly one of the other two before the next `Started`.
#[derive(Clone, Debug, PartialEq)]
pub enum Heartbeat {
    /// A check begins (ServerHeartbeatStartedEvent).
    Started {
        /// Whether the reply may be held back by the server until something changes.
        awaited: bool,
    },
    /// The server replied (ServerHeartbeatSucceededEvent).
    Succeeded {
        /// As in the started event.
        awaited: bool,
        /// From the start to the reply.
        duration: Duration,
    },
    /// The check failed, was cancelled or the monitor was closed (ServerHeartbeatFailedEvent).
    Failed {
        /// As in the started event.
        awaited: bool,
        /// From the start to the end.
        duration: Duration,
        /// Why.
        error: Error,
    },
}

/// What [`Monitor`] wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum MonitorOutput {
    /// Open a connection and shake hands on it, without authentication; report by [`Monitor::handle_connected`] or
    /// [`Monitor::handle_failed`].
    Connect,
    /// Close the connection, or give up opening it. Nothing more may be reported of it.
    Close,
    /// Send a hello.
    Send(HelloRequest),
    /// Publish an event.
    Heartbeat(Heartbeat),
    /// A round trip was measured: [`RttAverage::add_sample`] before the reply is applied.
    Sample(Duration),
    /// Apply the reply just handed in to the topology, and mark the server's pool ready.
    Checked,
    /// Mark the server unknown with this error, reset its [`RttAverage`], and clear its pool (interrupting connections
    /// in use if it is a network time-out), all in one step ("Network or command error during server check").
    CheckFailed(Error),
}
