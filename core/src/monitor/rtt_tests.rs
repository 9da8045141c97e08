//! [`RttMonitor`](super::RttMonitor) in virtual time.

use super::*;
use RttOutput::{Close, Connect, ProbeAnswered, ProbeFailed, Sample};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

const FACTS: HelloFacts = HelloFacts { topology_version: None, hello_ok: true };
const HELLO: RttOutput = RttOutput::Send(HelloRequest { awaitable: None, exhaust: false, use_legacy: false });

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn drain(monitor: &mut RttMonitor) -> Vec<RttOutput> {
    core::iter::from_fn(|| monitor.poll_output()).collect()
}

/// Running, connected at 1,002 ms, outputs drained.
fn running() -> RttMonitor {
    let mut monitor = RttMonitor::new(MonitorOptions::default());
    monitor.start(at(1_000));
    monitor.handle_connected(at(1_002), FACTS, ms(1));
    assert_eq!(drain(&mut monitor), [Connect, Sample(ms(1))]);
    monitor
}

#[test]
fn one_sample_a_period_on_the_period() {
    let mut monitor = running();
    for period in 1..=3 {
        let now = period * 10_000;
        assert_eq!(monitor.poll_timeout(), Some(at(now)));
        monitor.handle_timeout(at(now - 1));
        assert_eq!(drain(&mut monitor), []);
        monitor.handle_timeout(at(now));
        assert_eq!(drain(&mut monitor), [HELLO]);
        assert_eq!(monitor.poll_timeout(), Some(at(now + 10_000)));
        monitor.handle_reply(at(now + 4), FACTS);
        assert_eq!(drain(&mut monitor), [Sample(ms(4))]);
    }
}

/// The idle cost: round trips of three members, connected at different times, wake the client at one moment.
#[test]
fn the_deadlines_of_several_servers_coincide() {
    let next = |start: u64| {
        let mut monitor = RttMonitor::new(MonitorOptions::default());
        monitor.start(at(start));
        monitor.handle_connected(at(start + 5), FACTS, ms(1));
        monitor.poll_timeout()
    };
    assert_eq!((0..20).map(|i| next(i * 400)).collect::<BTreeSet<_>>().len(), 1);
}

#[test]
fn an_old_server_is_asked_by_the_legacy_command() {
    for (hello_always, use_legacy) in [(false, true), (true, false)] {
        let mut monitor = RttMonitor::new(MonitorOptions { hello_always, ..MonitorOptions::default() });
        monitor.start(at(0));
        monitor.handle_connected(at(1), HelloFacts::default(), ms(1));
        drain(&mut monitor);
        monitor.handle_timeout(at(10_000));
        let request = HelloRequest { use_legacy, ..HelloRequest::default() };
        assert_eq!(drain(&mut monitor), [RttOutput::Send(request)]);
    }
}

#[test]
fn errors_and_time_outs_wait_for_the_next_period() {
    let mut monitor = running();
    monitor.handle_failed(at(2_000));
    assert_eq!(drain(&mut monitor), [Close]);
    assert_eq!(monitor.poll_timeout(), Some(at(10_000)));
    monitor.handle_timeout(at(10_000));
    assert_eq!(drain(&mut monitor), [Connect]);
    // connectTimeoutMS passes just as the next period begins; the one after that is meant.
    assert_eq!(monitor.poll_timeout(), Some(at(20_000)));
    monitor.handle_timeout(at(20_000));
    assert_eq!(drain(&mut monitor), [Close]);
    assert_eq!(monitor.poll_timeout(), Some(at(30_000)));
}

#[test]
fn stopping_closes_and_starting_goes_on() {
    let mut monitor = running();
    monitor.start(at(1_500));
    assert_eq!(drain(&mut monitor), []);
    monitor.stop();
    monitor.stop();
    assert_eq!(drain(&mut monitor), [Close]);
    assert_eq!(monitor.poll_timeout(), None);
    monitor.handle_reply(at(1_600), FACTS);
    monitor.handle_failed(at(1_600));
    assert_eq!(drain(&mut monitor), []);
    monitor.start(at(2_000));
    assert_eq!(drain(&mut monitor), [Connect]);
}

#[test]
fn a_probe_is_sent_at_once_and_answered() {
    let mut monitor = running();
    monitor.probe(at(2_000), at(2_020));
    assert_eq!(drain(&mut monitor), [HELLO]);
    assert_eq!(monitor.poll_timeout(), Some(at(2_020)));
    monitor.handle_reply(at(2_003), FACTS);
    assert_eq!(drain(&mut monitor), [Sample(ms(3)), ProbeAnswered]);
    assert_eq!(monitor.poll_timeout(), Some(at(10_000)));
}

#[test]
fn a_hung_server_fails_the_probe_at_its_deadline() {
    let mut monitor = running();
    monitor.probe(at(2_000), at(2_020));
    monitor.handle_timeout(at(2_019));
    assert_eq!(drain(&mut monitor), [HELLO]);
    monitor.handle_timeout(at(2_020));
    assert_eq!(drain(&mut monitor), [ProbeFailed]);
    assert!(!monitor.is_probing());
    // The hello is still outstanding, with its own time-out; a reply after all is a sample and no answer.
    assert_eq!(monitor.poll_timeout(), Some(at(12_000)));
    monitor.handle_reply(at(5_000), FACTS);
    assert_eq!(drain(&mut monitor), [Sample(ms(3_000))]);
}

#[test]
fn a_reply_already_owed_answers_the_probe() {
    let mut monitor = running();
    monitor.handle_timeout(at(10_000));
    drain(&mut monitor);
    monitor.probe(at(10_001), at(10_050));
    assert_eq!(drain(&mut monitor), []);
    monitor.handle_reply(at(10_002), FACTS);
    assert_eq!(drain(&mut monitor), [Sample(ms(2)), ProbeAnswered]);
}

#[test]
fn two_probes_share_one_answer_by_the_earlier_deadline() {
    let mut monitor = running();
    monitor.probe(at(2_000), at(2_040));
    monitor.probe(at(2_001), at(2_030));
    monitor.probe(at(2_002), at(2_090));
    assert_eq!(drain(&mut monitor), [HELLO]);
    assert_eq!(monitor.poll_timeout(), Some(at(2_030)));
    monitor.handle_timeout(at(2_030));
    monitor.handle_timeout(at(2_090));
    assert_eq!(drain(&mut monitor), [ProbeFailed]);
}

#[test]
fn a_probe_that_finds_its_connection_dead_tries_a_new_one() {
    let mut monitor = running();
    monitor.probe(at(2_000), at(2_020));
    monitor.handle_failed(at(2_001));
    assert_eq!(drain(&mut monitor), [HELLO, Close, Connect]);
    monitor.handle_connected(at(2_004), FACTS, ms(1));
    assert_eq!(drain(&mut monitor), [Sample(ms(1)), ProbeAnswered]);

    monitor.probe(at(3_000), at(3_020));
    monitor.handle_failed(at(3_001));
    monitor.handle_failed(at(3_002));
    assert_eq!(drain(&mut monitor), [HELLO, Close, Connect, Close, ProbeFailed]);
    assert_eq!(monitor.poll_timeout(), Some(at(10_000)));
}

#[test]
fn a_probe_without_a_running_monitor_leaves_nothing_open() {
    let mut monitor = RttMonitor::new(MonitorOptions::default());
    monitor.probe(at(0), at(20));
    monitor.handle_connected(at(4), FACTS, ms(1));
    assert_eq!(drain(&mut monitor), [Connect, Sample(ms(1)), ProbeAnswered, Close]);
    assert_eq!(monitor.poll_timeout(), None);

    monitor.probe(at(100), at(120));
    monitor.handle_timeout(at(120));
    assert_eq!(drain(&mut monitor), [Connect, ProbeFailed, Close]);
    assert_eq!(monitor.poll_timeout(), None);
}

#[test]
fn a_server_that_fails_fails_its_probe() {
    let mut monitor = running();
    monitor.probe(at(2_000), at(2_020));
    monitor.stop();
    assert_eq!(drain(&mut monitor), [HELLO, Close, ProbeFailed]);
    monitor.handle_timeout(at(2_020));
    assert_eq!(drain(&mut monitor), []);
}

/// What one idle member costs: a streamed reply and a round trip a heartbeat, and the moments they happen at.
fn idle_moments(member: u64, until: u64) -> BTreeSet<u64> {
    let facts = HelloFacts {
        topology_version: Some(crate::sdam::TopologyVersion { process_id: [1; 12], counter: 1 }),
        hello_ok: true,
    };
    let (mut monitor, mut rtt) =
        (Monitor::new(MonitorOptions::default()), RttMonitor::new(MonitorOptions::default()));
    let delay = member + 1;
    let mut moments = BTreeSet::new();
    monitor.start(at(0));
    monitor.handle_connected(at(delay), facts, ms(delay));
    rtt.start(at(delay));
    rtt.handle_connected(at(2 * delay), facts, ms(delay));
    let (mut streamed, mut owed) = (delay + 10_000, None);
    for now in 0..until {
        if now == streamed {
            monitor.handle_reply(at(now), facts, true);
            streamed += 10_000 + delay % 2;
            moments.insert(now);
        }
        if owed == Some(now) {
            rtt.handle_reply(at(now), facts);
            moments.insert(now);
        }
        if monitor.poll_timeout() <= Some(at(now)) || rtt.poll_timeout() <= Some(at(now)) {
            monitor.handle_timeout(at(now));
            rtt.handle_timeout(at(now));
            moments.insert(now);
        }
        if drain(&mut rtt).contains(&HELLO) {
            owed = Some(now + delay);
        }
        assert!(monitor.is_streaming());
    }
    moments
}

/// A client of three members without traffic wakes seven times in 10 s: three streamed replies, three round trips and one
/// timer for all.
#[test]
fn an_idle_client_sleeps() {
    let all: BTreeSet<u64> = (0..3).flat_map(|member| idle_moments(member * 7, 100_000)).collect();
    for second in [10, 35, 80] {
        let from = second * 1_000 - 500;
        assert!(all.range(from..from + 10_000).count() <= 7, "{all:?}");
    }
}
