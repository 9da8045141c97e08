//! [`Monitor`](super::Monitor) in virtual time.

use super::*;
use crate::error::{ErrorKind, IoErrorKind};
use alloc::vec;
use alloc::vec::Vec;

const FIRST: Duration = Duration::from_millis(3);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn version(counter: i64) -> TopologyVersion {
    TopologyVersion { process_id: [7; 12], counter }
}

/// A server of 4.4 or later.
fn modern(counter: i64) -> HelloFacts {
    HelloFacts { topology_version: Some(version(counter)), hello_ok: true }
}

/// A server that can do neither `hello` nor streams.
const OLD: HelloFacts = HelloFacts { topology_version: None, hello_ok: false };

fn reset() -> Error {
    Error::io(IoErrorKind::Reset, "connection reset")
}

fn drain(monitor: &mut Monitor) -> Vec<MonitorOutput> {
    core::iter::from_fn(|| monitor.poll_output()).collect()
}

/// The outputs in one word each, for reading a whole course at a glance.
fn words(monitor: &mut Monitor) -> Vec<&'static str> {
    drain(monitor)
        .iter()
        .map(|output| match output {
            MonitorOutput::Connect => "connect",
            MonitorOutput::Close => "close",
            MonitorOutput::Send(HelloRequest { awaitable: Some(_), exhaust: true, .. }) => "stream",
            MonitorOutput::Send(HelloRequest { awaitable: None, exhaust: false, .. }) => "hello",
            MonitorOutput::Send(_) => "malformed request",
            MonitorOutput::Heartbeat(Heartbeat::Started { awaited: false }) => "started",
            MonitorOutput::Heartbeat(Heartbeat::Started { awaited: true }) => "started*",
            MonitorOutput::Heartbeat(Heartbeat::Succeeded { awaited: false, .. }) => "succeeded",
            MonitorOutput::Heartbeat(Heartbeat::Succeeded { awaited: true, .. }) => "succeeded*",
            MonitorOutput::Heartbeat(Heartbeat::Failed { awaited: false, .. }) => "failed",
            MonitorOutput::Heartbeat(Heartbeat::Failed { awaited: true, .. }) => "failed*",
            MonitorOutput::Sample(_) => "sample",
            MonitorOutput::Checked => "checked",
            MonitorOutput::CheckFailed(_) => "check failed",
        })
        .collect()
}

const FIRST_CHECK: [&str; 3] = ["succeeded", "sample", "checked"];

/// A monitor whose handshake ended at 3 ms with `facts`, and whose outputs up to there are drained.
fn connected(options: MonitorOptions, facts: HelloFacts) -> Monitor {
    let mut monitor = Monitor::new(options);
    monitor.start(at(0));
    monitor.handle_connected(at(3), facts, FIRST);
    drain(&mut monitor);
    monitor
}

fn polling(mode: ServerMonitoringMode, is_faas: bool) -> MonitorOptions {
    MonitorOptions { mode, is_faas, ..MonitorOptions::default() }
}

#[test]
fn the_handshake_is_the_first_check() {
    let mut monitor = Monitor::new(MonitorOptions::default());
    assert_eq!(monitor.poll_timeout(), None);
    monitor.start(at(0));
    monitor.start(at(0));
    assert_eq!(words(&mut monitor), ["started", "connect"]);
    assert_eq!(monitor.poll_timeout(), Some(at(10_000)));
    monitor.handle_connected(at(9), OLD, FIRST);
    assert_eq!(
        drain(&mut monitor),
        [
            MonitorOutput::Heartbeat(Heartbeat::Succeeded { awaited: false, duration: FIRST }),
            MonitorOutput::Sample(FIRST),
            MonitorOutput::Checked,
        ]
    );
    assert_eq!(monitor.poll_timeout(), Some(at(10_009)));
}

#[test]
fn polls_from_the_end_of_one_check_to_the_start_of_the_next() {
    for (mode, is_faas, facts) in [
        (ServerMonitoringMode::Poll, false, modern(1)),
        (ServerMonitoringMode::Auto, true, modern(1)),
        (ServerMonitoringMode::Stream, true, OLD),
        (ServerMonitoringMode::Auto, false, OLD),
    ] {
        let mut monitor = connected(polling(mode, is_faas), facts);
        let mut now = 3;
        for round in 0..3 {
            assert_eq!(monitor.poll_timeout(), Some(at(now + 10_000)), "{mode:?} {round}");
            monitor.handle_timeout(at(now + 9_999));
            assert_eq!(words(&mut monitor), [""; 0]);
            monitor.handle_timeout(at(now + 10_000));
            assert_eq!(words(&mut monitor), ["started", "hello"]);
            assert!(!monitor.is_streaming());
            monitor.handle_reply(at(now + 10_020), facts, false);
            assert_eq!(words(&mut monitor), FIRST_CHECK);
            now += 10_020;
        }
    }
}

#[test]
fn a_poll_is_legacy_until_the_server_says_hello_ok() {
    let request = |options, facts| {
        let mut monitor = connected(options, facts);
        monitor.handle_timeout(at(10_003));
        drain(&mut monitor).into_iter().find_map(|output| match output {
            MonitorOutput::Send(request) => Some(request.use_legacy),
            _ => None,
        })
    };
    let poll = polling(ServerMonitoringMode::Poll, false);
    assert_eq!(request(poll, OLD), Some(true));
    assert_eq!(request(poll, modern(1)), Some(false));
    assert_eq!(request(MonitorOptions { hello_always: true, ..poll }, OLD), Some(false));
}

#[test]
fn streams_without_a_pause() {
    let mut monitor = Monitor::new(MonitorOptions::default());
    monitor.start(at(0));
    drain(&mut monitor);
    monitor.handle_connected(at(3), modern(1), FIRST);
    let outputs = drain(&mut monitor);
    assert_eq!(
        outputs[2..4],
        [MonitorOutput::Checked, MonitorOutput::Heartbeat(Heartbeat::Started { awaited: true })]
    );
    let request = HelloRequest { awaitable: Some((version(1), 10_000)), exhaust: true, use_legacy: false };
    assert_eq!(outputs[4..], [MonitorOutput::Send(request)]);
    assert!(monitor.is_streaming());
    assert_eq!(monitor.poll_timeout(), Some(at(20_003)));

    // More to come: the next reply is awaited without a request, and is no round trip.
    monitor.handle_reply(at(10_003), modern(1), true);
    assert_eq!(words(&mut monitor), ["succeeded*", "checked", "started*"]);
    assert_eq!(monitor.poll_timeout(), Some(at(30_003)));

    // No more to come: a new stream, from the version just seen.
    monitor.handle_reply(at(12_000), modern(2), false);
    let outputs = drain(&mut monitor);
    let awaitable = Some((version(2), 10_000));
    assert_eq!(outputs.last(), Some(&MonitorOutput::Send(HelloRequest { awaitable, ..request })));
    let succeeded = Heartbeat::Succeeded { awaited: true, duration: Duration::from_millis(1_997) };
    assert_eq!(outputs[0], MonitorOutput::Heartbeat(succeeded));
}

#[test]
fn a_server_that_stops_streaming_is_polled() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.handle_reply(at(5), OLD, true);
    assert_eq!(words(&mut monitor), ["succeeded*", "checked", "started*"]);
    monitor.handle_reply(at(6), OLD, false);
    assert_eq!(words(&mut monitor), ["succeeded*", "checked"]);
    assert!(!monitor.is_streaming());
    assert_eq!(monitor.poll_timeout(), Some(at(10_006)));
}

#[test]
fn retries_once_at_once_after_a_network_error_on_a_known_server() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.handle_failed(at(5_000), reset());
    assert_eq!(words(&mut monitor), ["failed*", "close", "check failed", "started", "connect"]);
    monitor.handle_failed(at(5_001), reset());
    assert_eq!(words(&mut monitor), ["failed", "close", "check failed"]);
    assert_eq!(monitor.poll_timeout(), Some(at(15_001)));
    monitor.handle_timeout(at(15_001));
    assert_eq!(words(&mut monitor), ["started", "connect"]);
}

#[test]
fn a_command_error_or_a_first_failure_is_not_retried_at_once() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.handle_failed(at(5_000), Error::invalid_response("not a hello"));
    assert_eq!(words(&mut monitor), ["failed*", "close", "check failed"]);
    assert_eq!(monitor.poll_timeout(), Some(at(15_000)));

    let mut monitor = Monitor::new(MonitorOptions::default());
    monitor.start(at(0));
    monitor.handle_failed(at(1), reset());
    assert_eq!(words(&mut monitor), ["started", "connect", "failed", "close", "check failed"]);
    assert_eq!(monitor.poll_timeout(), Some(at(10_001)));
}

#[test]
fn requests_wait_for_the_shortest_pause_and_count_once() {
    let mut monitor = connected(MonitorOptions::default(), OLD);
    for millis in [4, 5, 100] {
        monitor.request_check(at(millis));
        assert_eq!(words(&mut monitor), [""; 0]);
        assert_eq!(monitor.poll_timeout(), Some(at(503)));
    }
    monitor.handle_timeout(at(503));
    assert_eq!(words(&mut monitor), ["started", "hello"]);
    // Ignored: a check is in progress.
    monitor.request_check(at(504));
    monitor.handle_reply(at(505), OLD, false);
    assert_eq!(words(&mut monitor), FIRST_CHECK);
    assert_eq!(monitor.poll_timeout(), Some(at(10_505)));
    // The pause is over: at once.
    monitor.request_check(at(1_005));
    assert_eq!(words(&mut monitor), ["started", "hello"]);
}

#[test]
fn requests_do_not_disturb_a_stream_or_a_connection_in_the_making() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.request_check(at(5_000));
    assert_eq!(words(&mut monitor), [""; 0]);
    monitor.handle_failed(at(6_000), reset());
    drain(&mut monitor);
    monitor.request_check(at(7_000));
    assert_eq!(words(&mut monitor), [""; 0]);
    // After a failure a request brings the next try forward.
    monitor.handle_failed(at(7_000), reset());
    drain(&mut monitor);
    monitor.request_check(at(7_001));
    assert_eq!(monitor.poll_timeout(), Some(at(7_500)));
}

#[test]
fn replies_and_connections_have_their_time_outs() {
    let is_timeout = |outputs: &[MonitorOutput]| {
        outputs.iter().any(|o| matches!(o, MonitorOutput::CheckFailed(error) if error.is_network_timeout()))
    };
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.handle_timeout(at(20_002));
    assert_eq!(words(&mut monitor), [""; 0]);
    monitor.handle_timeout(at(20_003));
    assert!(is_timeout(&drain(&mut monitor)));
    // The retry at once, which finds nothing either.
    assert_eq!(monitor.poll_timeout(), Some(at(30_003)));
    monitor.handle_timeout(at(30_003));
    assert!(is_timeout(&drain(&mut monitor)));
    assert_eq!(monitor.poll_timeout(), Some(at(40_003)));

    let mut monitor = connected(MonitorOptions::default(), OLD);
    monitor.handle_timeout(at(10_003));
    assert_eq!(monitor.poll_timeout(), Some(at(20_003)));
}

#[test]
fn no_connect_timeout_means_no_time_outs() {
    let options = MonitorOptions { connect_timeout: Duration::ZERO, ..MonitorOptions::default() };
    let mut monitor = Monitor::new(options);
    monitor.start(at(0));
    assert_eq!(monitor.poll_timeout(), None);
    let monitor = connected(options, modern(1));
    assert_eq!(monitor.poll_timeout(), None);
}

#[test]
fn a_cancelled_check_starts_again_soon_and_does_not_fail_the_server() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.cancel_check(at(5_000));
    assert_eq!(words(&mut monitor), ["failed*", "close", "started", "connect"]);
    // Cancelled again: the first cancelled check ended just now, so the next one waits.
    monitor.cancel_check(at(5_001));
    assert_eq!(words(&mut monitor), ["failed", "close"]);
    assert_eq!(monitor.poll_timeout(), Some(at(5_500)));
    monitor.handle_timeout(at(5_500));
    assert_eq!(words(&mut monitor), ["started", "connect"]);
    // The server is unknown by now: no retry at once.
    monitor.handle_failed(at(5_501), reset());
    assert_eq!(words(&mut monitor), ["failed", "close", "check failed"]);
    assert_eq!(monitor.poll_timeout(), Some(at(15_501)));
}

#[test]
fn cancelling_right_after_a_check_waits_for_the_shortest_pause() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.cancel_check(at(103));
    assert_eq!(words(&mut monitor), ["failed*", "close"]);
    assert_eq!(monitor.poll_timeout(), Some(at(503)));

    let mut monitor = connected(MonitorOptions::default(), OLD);
    monitor.cancel_check(at(2_000));
    assert_eq!(words(&mut monitor), ["close", "started", "connect"]);
}

#[test]
fn a_connection_that_dies_idle_is_replaced_by_a_check() {
    let mut monitor = connected(MonitorOptions::default(), OLD);
    monitor.handle_failed(at(2_000), reset());
    assert_eq!(words(&mut monitor), ["close", "started", "connect"]);
    monitor.handle_connected(at(2_001), OLD, FIRST);
    assert_eq!(words(&mut monitor), FIRST_CHECK);
}

#[test]
fn closing_ends_what_was_begun() {
    let mut monitor = connected(MonitorOptions::default(), modern(1));
    monitor.close(at(50));
    let outputs = drain(&mut monitor);
    assert!(matches!(&outputs[..], [
        MonitorOutput::Heartbeat(Heartbeat::Failed { awaited: true, error, .. }),
        MonitorOutput::Close,
    ] if *error.kind == ErrorKind::Shutdown));
    monitor.start(at(51));
    monitor.request_check(at(51));
    monitor.cancel_check(at(51));
    monitor.handle_reply(at(51), modern(1), true);
    monitor.handle_timeout(at(60_000));
    monitor.close(at(60_000));
    assert_eq!(words(&mut monitor), [""; 0]);
    assert_eq!(monitor.poll_timeout(), None);

    let mut monitor = connected(MonitorOptions::default(), OLD);
    monitor.close(at(50));
    assert_eq!(words(&mut monitor), ["close"]);
}

#[test]
fn an_unasked_stream_is_an_error() {
    let mut monitor = connected(MonitorOptions::default(), OLD);
    monitor.handle_timeout(at(10_003));
    drain(&mut monitor);
    monitor.handle_reply(at(10_004), OLD, true);
    assert_eq!(words(&mut monitor), ["failed", "close", "check failed"]);
}

/// A server that floods its stream is cut off for the shortest pause each time, and stays known.
#[test]
fn a_flood_is_slowed_down() {
    for more_to_come in [true, false] {
        let mut monitor = connected(MonitorOptions::default(), modern(0));
        let mut seen = vec![];
        for counter in 1..=100 {
            monitor.handle_reply(at(10), modern(counter), more_to_come);
            seen.extend(words(&mut monitor));
        }
        assert!(!seen.contains(&"check failed"));
        assert_eq!(seen.last(), Some(&"close"));
        assert!(seen.iter().filter(|word| **word == "checked").count() <= 32);
        assert_eq!(monitor.poll_timeout(), Some(at(510)));
    }
}

/// A server that shakes hands and then hangs up, again and again, without time going by.
#[test]
fn hanging_up_after_each_handshake_is_slowed_down() {
    let mut monitor = Monitor::new(MonitorOptions::default());
    monitor.start(at(0));
    let connects = (0..1_000)
        .map(|_| {
            let connects = words(&mut monitor).iter().filter(|word| **word == "connect").count();
            monitor.handle_connected(at(1), modern(1), FIRST);
            monitor.handle_failed(at(1), reset());
            connects
        })
        .sum::<usize>();
    assert!(connects <= 33, "{connects}");
    assert_eq!(monitor.poll_timeout(), Some(at(501)));
}

#[test]
fn a_heartbeat_below_the_shortest_pause_is_raised() {
    let options = MonitorOptions { heartbeat_frequency: Duration::ZERO, ..MonitorOptions::default() };
    let monitor = connected(options, OLD);
    assert_eq!(monitor.poll_timeout(), Some(at(503)));
}
