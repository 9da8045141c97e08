//! Prose tests of the specifications that need no server, each named after its number, on pretended time.
//!
//! More of them stand beside what they test, in `core`: initial DNS seedlist discovery and SRV polling (`resolver`), handshake
//! metadata (`handshake`), client backpressure (`backoff`), transactions (`transaction`), sessions (`session`), CMAP 1 and 2
//! (`driver::settings`) and the application's server selector (`selection`).

use quorate_core::error::IoErrorKind;
use quorate_core::event::cmap::{CmapEvent, ConnectionCheckoutFailedReason};
use quorate_core::monitor::{
    Heartbeat, HelloFacts, Monitor, MonitorOptions, MonitorOutput, RttAverage, RttMonitor, RttOutput,
    ServerMonitoringMode,
};
use quorate_core::pool::{OpToken, Pool, PoolOptions, PoolOutput};
use quorate_core::sdam::TopologyVersion;
use quorate_core::sdam::{ServerDescription, ServerType, TopologyDescription, TopologyOptions, TopologyType};
use quorate_core::selection::{CandidateCache, SelectionCriteria, Snapshot};
use quorate_core::uri::ConnectionString;
use quorate_core::{Duration, Error, Instant, ReadPreference, ReadPreferenceMode, Rng, ServerAddress};
use std::collections::BinaryHeap;
use std::sync::Arc;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: u64) -> Instant {
    Instant::ZERO + ms(millis)
}

/// How many of `operations` finds, run by ten tasks at a time, go to each of two `mongos` that take so long for one.
fn share(operations: usize, latency: [Duration; 2], seed: u64) -> [usize; 2] {
    let seeds = vec![ServerAddress::tcp("a", 1), ServerAddress::tcp("b", 1)];
    let mut topology = TopologyDescription::new(&TopologyOptions { seeds, ..TopologyOptions::default() });
    topology.topology_type = TopologyType::Sharded;
    for server in topology.servers.values_mut() {
        let server: &mut ServerDescription = Arc::make_mut(server);
        server.server_type = ServerType::Mongos;
        server.round_trip_time = Some(ms(2));
    }
    let snapshot = Snapshot::new(&topology);
    let mut cache = CandidateCache::new(Duration::from_secs(30), None);
    let criteria = SelectionCriteria::from(ReadPreference::new(ReadPreferenceMode::Primary));
    let mut rng = Rng::new(seed);
    let (mut started, mut running) = ([0; 2], [0u32; 2]);
    // The finds under way, the one that ends first on top.
    let mut ends: BinaryHeap<std::cmp::Reverse<(Instant, usize)>> = BinaryHeap::new();
    let mut now = Instant::ZERO;
    for _ in 0..operations {
        if ends.len() == 10 {
            let std::cmp::Reverse((end, server)) = ends.pop().unwrap();
            now = end;
            running[server] -= 1;
        }
        let picked =
            cache.pick(&snapshot, &criteria, |i| running[i as usize], &mut rng).unwrap().unwrap() as usize;
        started[picked] += 1;
        running[picked] += 1;
        ends.push(std::cmp::Reverse((now + latency[picked], picked)));
    }
    started
}

/// Server selection tests, "Prose Test".
#[test]
fn server_selection_prose_load_is_balanced_by_operation_counts() {
    for seed in 0..50 {
        let slow = share(100, [ms(502), ms(2)], seed);
        assert!(slow[0] < 25, "fewer than a quarter to the slow one: {slow:?}");
        let even = share(1_000, [ms(2), ms(2)], seed);
        assert!((400..=600).contains(&even[0]), "about half each: {even:?}");
    }
}

fn facts(counter: i64) -> HelloFacts {
    HelloFacts { topology_version: Some(TopologyVersion { process_id: [1; 12], counter }), hello_ok: true }
}

fn options(mode: ServerMonitoringMode) -> MonitorOptions {
    MonitorOptions { heartbeat_frequency: ms(500), mode, ..MonitorOptions::default() }
}

/// SDAM tests/README, "Streaming protocol Tests", 1: `heartbeatFrequencyMS=500` gives a reply about every 500 ms.
#[test]
fn sdam_prose_streaming_1_heartbeat_frequency() {
    // Where the server streams, it is told to; it holds a reply for that long when nothing changes.
    let mut monitor = Monitor::new(options(ServerMonitoringMode::Stream));
    monitor.start(at(0));
    monitor.handle_connected(at(1), facts(1), ms(1));
    let sent = std::iter::from_fn(|| monitor.poll_output()).find_map(|output| match output {
        MonitorOutput::Send(request) => request.awaitable,
        _ => None,
    });
    assert_eq!(sent.map(|(_, max_await_ms)| max_await_ms), Some(500));

    // Where it is polled, the monitor keeps the time.
    let mut monitor = Monitor::new(options(ServerMonitoringMode::Poll));
    monitor.start(at(0));
    monitor.handle_connected(at(1), facts(1), ms(1));
    let mut checked = 0;
    while let Some(now) = monitor.poll_timeout().filter(|now| *now <= at(10_000)) {
        monitor.handle_timeout(now);
        monitor.handle_reply(now + ms(1), facts(1), false);
        let outputs = std::iter::from_fn(|| monitor.poll_output());
        checked += outputs.filter(|output| *output == MonitorOutput::Checked).count();
    }
    assert!((19..=21).contains(&checked), "{checked} checks in ten seconds");
}

/// SDAM tests/README, "RTT Tests", 1: the average follows a server that has become slow.
#[test]
fn sdam_prose_rtt_1_is_continuously_updated() {
    let (mut monitor, mut average) =
        (RttMonitor::new(options(ServerMonitoringMode::Auto)), RttAverage::new());
    monitor.start(at(0));
    monitor.handle_connected(at(1), facts(1), ms(1));
    let mut exceeded = None;
    while exceeded.is_none() {
        let now = monitor.poll_timeout().unwrap();
        assert!(now < at(12_000), "ten seconds after the delay began: {:?}", average.average());
        monitor.handle_timeout(now);
        while let Some(output) = monitor.poll_output() {
            match output {
                RttOutput::Send(_) => {
                    let delay = if now < at(2_000) { 1 } else { 500 };
                    monitor.handle_reply(now + ms(delay), facts(1));
                }
                RttOutput::Sample(sample) => average.add_sample(sample),
                _ => {}
            }
        }
        assert!(average.average().is_some_and(|rtt| !rtt.is_zero()));
        exceeded = average.average().filter(|rtt| *rtt > ms(250));
    }
}

/// SDAM tests/README, "Heartbeat Tests", 1: started comes before the socket, and failed is the end.
#[test]
fn sdam_prose_heartbeat_1_started_comes_before_the_connection() {
    let mut monitor = Monitor::new(MonitorOptions::default());
    monitor.start(at(0));
    assert_eq!(monitor.poll_output(), Some(MonitorOutput::Heartbeat(Heartbeat::Started { awaited: false })));
    assert_eq!(monitor.poll_output(), Some(MonitorOutput::Connect));
    assert_eq!(monitor.poll_output(), None);
    let closed = Error::io(IoErrorKind::Closed, "connection closed");
    monitor.handle_failed(at(3), closed);
    let first =
        std::iter::from_fn(|| monitor.poll_output()).find(|o| matches!(o, MonitorOutput::Heartbeat(_)));
    assert!(matches!(first, Some(MonitorOutput::Heartbeat(Heartbeat::Failed { .. }))), "{first:?}");
}

/// CMAP tests/README, "Prose Tests", 3: all pool options by connection string.
#[test]
fn cmap_prose_3_pool_options_come_by_connection_string() {
    let uri =
        "mongodb://a/?maxPoolSize=7&minPoolSize=3&maxIdleTimeMS=11&maxConnecting=5&waitQueueTimeoutMS=13";
    let options = ConnectionString::parse(uri).unwrap().into_options();
    assert_eq!(
        (options.max_pool_size, options.min_pool_size, options.max_connecting),
        (Some(7), Some(3), Some(5))
    );
    assert_eq!((options.max_idle_time, options.wait_queue_timeout), (Some(ms(11)), Some(ms(13))));
}

/// CMAP tests/README, "Prose Tests", 5: a check-out that fails with its connection says so.
#[test]
fn cmap_prose_5_check_out_fails_with_connection_error() {
    let mut options = PoolOptions::new(ServerAddress::tcp("a", 1));
    options.events = true;
    let mut pool = Pool::new(options);
    pool.ready(at(0));
    pool.check_out(at(0), OpToken(1), None);
    let connect = std::iter::from_fn(|| pool.poll_output()).find_map(|output| match output {
        PoolOutput::Connect { conn, .. } => Some(conn),
        _ => None,
    });
    pool.handle_connect_failed(at(1), connect.unwrap(), Error::io(IoErrorKind::Connect, "refused"));
    let reasons: Vec<_> = std::iter::from_fn(|| pool.poll_output())
        .filter_map(|output| match output {
            PoolOutput::Event(CmapEvent::ConnectionCheckoutFailed(event)) => Some(event.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, [ConnectionCheckoutFailedReason::ConnectionError]);
    assert_eq!(reasons[0].as_str(), "connectionError");
}
