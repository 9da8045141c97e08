//! What clients are told to do things by.

use super::super::draw::Draw;
use super::{Class, Kind, Shape};
use std::fmt::Write;

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPlan {
    /// The machine it runs on.
    pub machine: usize,
    /// `retryWrites`.
    pub retry_writes: bool,
    /// `retryReads`.
    pub retry_reads: bool,
    /// `w`.
    pub w: WriteDefault,
    /// `serverMonitoringMode`.
    pub monitoring: Monitoring,
    /// `heartbeatFrequencyMS`.
    pub heartbeat_ms: u64,
    /// `serverSelectionTimeoutMS`.
    pub selection_ms: u64,
    /// `connectTimeoutMS`.
    pub connect_ms: u64,
    /// `socketTimeoutMS`.
    pub socket_ms: Option<u64>,
    /// `timeoutMS`.
    pub timeout_ms: Option<u64>,
    /// `waitQueueTimeoutMS`.
    pub wait_queue_ms: Option<u64>,
    /// `maxPoolSize`.
    pub max_pool: Option<u32>,
    /// `minPoolSize`.
    pub min_pool: Option<u32>,
    /// `maxConnecting`.
    pub max_connecting: Option<u32>,
    /// `maxIdleTimeMS`.
    pub idle_ms: Option<u64>,
    /// `localThresholdMS`.
    pub local_threshold_ms: Option<u64>,
    /// `interruptStalePrimary`.
    pub interrupt: bool,
    /// `directConnection`, to that member.
    pub direct: Option<usize>,
}

/// The write concern that holds where a call says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteDefault {
    /// The server's own.
    Unset,
    /// `w=1`.
    One,
    /// `w=majority`.
    Majority,
}

/// `serverMonitoringMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Monitoring {
    /// The client decides, which is streaming here.
    Auto,
    /// `stream`.
    Stream,
    /// `poll`.
    Poll,
}

pub(super) fn draw(draw: &mut Draw, class: Class, shape: &Shape) -> Vec<ClientPlan> {
    let count = draw.weighted(&[(60, 1), (30, 2), (10, 3)]);
    (0..count).map(|number| client(draw, class, shape, number)).collect()
}

fn client(draw: &mut Draw, class: Class, shape: &Shape, number: usize) -> ClientPlan {
    let chaos = class == Class::Chaos;
    let monitoring =
        draw.weighted(&[(60, Monitoring::Auto), (20, Monitoring::Stream), (20, Monitoring::Poll)]);
    ClientPlan {
        machine: number.min(1),
        retry_writes: draw.chance(if class == Class::Failover { 95 } else { 85 }),
        retry_reads: draw.chance(90),
        w: draw.weighted(&[(50, WriteDefault::Majority), (25, WriteDefault::One), (25, WriteDefault::Unset)]),
        monitoring,
        heartbeat_ms: draw.weighted(&[(50, 10_000), (25, 2_000), (25, 500)]),
        selection_ms: if chaos { draw.weighted(&[(70, 30_000), (15, 5_000), (15, 700)]) } else { 30_000 },
        connect_ms: if chaos { draw.weighted(&[(70, 10_000), (30, 1_000)]) } else { 10_000 },
        socket_ms: if chaos { draw.maybe(10, |draw| draw.one_of(&[500, 5_000])) } else { None },
        timeout_ms: if chaos { draw.maybe(25, |draw| draw.one_of(&[150, 1_000, 5_000])) } else { None },
        wait_queue_ms: if chaos { draw.maybe(10, |draw| draw.one_of(&[50, 1_000])) } else { None },
        max_pool: draw.maybe(45, |draw| draw.one_of(&[1, 2, 3, 10])),
        min_pool: draw.maybe(15, |_| 1),
        max_connecting: draw.maybe(15, |draw| draw.one_of(&[1, 4])),
        idle_ms: draw.maybe(15, |draw| draw.one_of(&[300, 2_000])),
        local_threshold_ms: draw.maybe(20, |draw| draw.one_of(&[0, 2, 1_000])),
        interrupt: class == Class::Failover || draw.chance(85),
        direct: (class == Class::Chaos && shape.kind == Kind::ReplicaSet)
            .then(|| draw.maybe(5, |draw| draw.below(shape.members.len() as u64) as usize))
            .flatten(),
    }
}

impl ClientPlan {
    /// The options as a connection string has them.
    pub fn options(&self, shape: &Shape) -> String {
        let mut text = format!(
            "retryWrites={}&retryReads={}&heartbeatFrequencyMS={}&serverSelectionTimeoutMS={}&connectTimeoutMS={}",
            self.retry_writes, self.retry_reads, self.heartbeat_ms, self.selection_ms, self.connect_ms
        );
        match self.w {
            WriteDefault::Unset => {}
            WriteDefault::One => text.push_str("&w=1"),
            WriteDefault::Majority => text.push_str("&w=majority"),
        }
        match self.monitoring {
            Monitoring::Auto => {}
            Monitoring::Stream => text.push_str("&serverMonitoringMode=stream"),
            Monitoring::Poll => text.push_str("&serverMonitoringMode=poll"),
        }
        let numbers = [
            ("socketTimeoutMS", self.socket_ms),
            ("timeoutMS", self.timeout_ms),
            ("waitQueueTimeoutMS", self.wait_queue_ms),
            ("maxPoolSize", self.max_pool.map(u64::from)),
            ("minPoolSize", self.min_pool.map(u64::from)),
            ("maxConnecting", self.max_connecting.map(u64::from)),
            ("maxIdleTimeMS", self.idle_ms),
            ("localThresholdMS", self.local_threshold_ms),
        ];
        for (name, value) in numbers.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            // Writing to a string cannot fail.
            let _ = write!(text, "&{name}={value}");
        }
        if !self.interrupt {
            text.push_str("&interruptStalePrimary=false");
        }
        if self.direct.is_some_and(|member| member < shape.members.len()) {
            text.push_str("&directConnection=true");
        }
        text
    }

    /// Whether the client streams hellos.
    pub fn streams(&self) -> bool {
        self.monitoring != Monitoring::Poll
    }

    /// `maxPoolSize` as it holds.
    pub fn most_connections(&self) -> u32 {
        self.max_pool.unwrap_or(100)
    }
}
