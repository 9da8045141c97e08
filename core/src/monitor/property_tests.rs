//! Whatever happens, in whatever order: no hot loop, events in pairs, one connection, bounded work.

use super::*;
use crate::error::IoErrorKind;
use alloc::vec::Vec;
use proptest::prelude::*;
use proptest::{collection::vec, proptest};

#[derive(Clone, Debug)]
enum Input {
    Start,
    Request,
    Connected(Option<i64>),
    Reply(Option<i64>, bool),
    Failed(bool),
    Timeout,
    Cancel,
    Probe(u64),
    Stop,
    Close,
}

fn input() -> impl Strategy<Value = Input> {
    let counter = || proptest::option::of(0i64..4);
    prop_oneof![
        4 => Just(Input::Start),
        3 => Just(Input::Request),
        6 => counter().prop_map(Input::Connected),
        6 => (counter(), any::<bool>()).prop_map(|(counter, more)| Input::Reply(counter, more)),
        3 => any::<bool>().prop_map(Input::Failed),
        8 => Just(Input::Timeout),
        2 => Just(Input::Cancel),
        3 => (0u64..100).prop_map(Input::Probe),
        1 => Just(Input::Stop),
        1 => prop_oneof![9 => Just(Input::Timeout), 1 => Just(Input::Close)],
    ]
}

/// Inputs, each after some milliseconds; now and then the very deadline is hit.
fn course() -> impl Strategy<Value = Vec<(u64, Input)>> {
    vec((prop_oneof![0u64..3, 0u64..800, 0u64..25_000], input()), 1..120)
}

fn options() -> impl Strategy<Value = MonitorOptions> {
    let mode = prop_oneof![
        Just(ServerMonitoringMode::Auto),
        Just(ServerMonitoringMode::Stream),
        Just(ServerMonitoringMode::Poll)
    ];
    (0u64..12_000, 0u64..600, prop_oneof![Just(0u64), 1u64..11_000], mode).prop_map(
        |(heartbeat, min, connect, mode)| MonitorOptions {
            heartbeat_frequency: Duration::from_millis(heartbeat),
            min_heartbeat_frequency: Duration::from_millis(min),
            connect_timeout: Duration::from_millis(connect),
            mode,
            ..MonitorOptions::default()
        },
    )
}

fn facts(counter: Option<i64>) -> HelloFacts {
    let topology_version = counter.map(|counter| TopologyVersion { process_id: [1; 12], counter });
    HelloFacts { topology_version, hello_ok: counter.is_some() }
}

fn feed(monitor: &mut Monitor, now: Instant, input: &Input) {
    match *input {
        Input::Start => monitor.start(now),
        Input::Request => monitor.request_check(now),
        Input::Connected(counter) => monitor.handle_connected(now, facts(counter), Duration::from_millis(1)),
        Input::Reply(counter, more) => monitor.handle_reply(now, facts(counter), more),
        Input::Failed(true) => monitor.handle_failed(now, Error::io(IoErrorKind::Reset, "reset")),
        Input::Failed(false) => monitor.handle_failed(now, Error::invalid_response("nonsense")),
        Input::Timeout => monitor.handle_timeout(now),
        Input::Cancel => monitor.cancel_check(now),
        Input::Close => monitor.close(now),
        Input::Probe(_) | Input::Stop => {}
    }
}

fn feed_rtt(monitor: &mut RttMonitor, now: Instant, input: &Input) {
    match *input {
        Input::Start => monitor.start(now),
        Input::Connected(counter) => monitor.handle_connected(now, facts(counter), Duration::from_millis(1)),
        Input::Reply(counter, _) => monitor.handle_reply(now, facts(counter)),
        Input::Failed(_) => monitor.handle_failed(now),
        Input::Timeout => monitor.handle_timeout(now),
        Input::Probe(grace) => monitor.probe(now, now + Duration::from_millis(grace)),
        Input::Stop | Input::Close => monitor.stop(),
        Input::Request | Input::Cancel => {}
    }
}

/// Follows the outputs as a host would and checks that they make sense.
#[derive(Default)]
struct Host {
    open: bool,
    started: bool,
}

impl Host {
    fn see(&mut self, output: &MonitorOutput) -> Result<(), TestCaseError> {
        match output {
            MonitorOutput::Connect => {
                prop_assert!(!self.open, "two connections");
                self.open = true;
            }
            MonitorOutput::Close => {
                prop_assert!(self.open, "closed what is not open");
                self.open = false;
            }
            MonitorOutput::Send(request) => {
                prop_assert!(self.open);
                prop_assert_eq!(request.awaitable.is_some(), request.exhaust);
            }
            MonitorOutput::Heartbeat(Heartbeat::Started { .. }) => {
                prop_assert!(!self.started, "started twice");
                self.started = true;
            }
            MonitorOutput::Heartbeat(_) => {
                prop_assert!(self.started, "ended what was not started");
                self.started = false;
            }
            MonitorOutput::CheckFailed(_) => prop_assert!(!self.open && !self.started),
            MonitorOutput::Sample(_) | MonitorOutput::Checked => prop_assert!(!self.started),
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn checks_come_in_pairs_on_one_connection_without_hot_loops(options in options(), course in course()) {
        let mut monitor = Monitor::new(options);
        let mut host = Host::default();
        let mut now = Instant::ZERO;
        for (pause, input) in &course {
            now += Duration::from_millis(*pause);
            feed(&mut monitor, now, input);
            // As a host's loop would: until the deadline lies ahead. It must move every time.
            for round in 0.. {
                let Some(deadline) = monitor.poll_timeout().filter(|deadline| *deadline <= now) else { break };
                prop_assert!(round < 3, "hot loop at {:?}, deadline {:?}", now, deadline);
                monitor.handle_timeout(now);
                prop_assert_ne!(monitor.poll_timeout(), Some(deadline));
            }
            for output in core::iter::from_fn(|| monitor.poll_output()) {
                host.see(&output)?;
            }
            prop_assert!(!monitor.is_streaming() || (host.open && host.started));
        }
        monitor.close(now);
        for output in core::iter::from_fn(|| monitor.poll_output()) {
            host.see(&output)?;
        }
        prop_assert!(!host.open && !host.started);
        prop_assert_eq!(monitor.poll_timeout(), None);
    }

    #[test]
    fn partial_drains_change_nothing(options in options(), course in course(), drains in vec(0usize..4, 120)) {
        let run = |lazy: bool| {
            let mut monitor = Monitor::new(options);
            let mut now = Instant::ZERO;
            let mut outputs = Vec::new();
            for ((pause, input), drain) in course.iter().zip(&drains) {
                now += Duration::from_millis(*pause);
                feed(&mut monitor, now, input);
                let most = if lazy { *drain } else { usize::MAX };
                outputs.extend(core::iter::from_fn(|| monitor.poll_output()).take(most));
            }
            outputs.extend(core::iter::from_fn(|| monitor.poll_output()));
            outputs
        };
        prop_assert_eq!(run(true), run(false));
    }

    #[test]
    fn round_trips_use_one_connection_and_answer_every_probe(options in options(), course in course()) {
        let mut monitor = RttMonitor::new(options);
        let (mut open, mut probing) = (false, false);
        let mut now = Instant::ZERO;
        for (pause, input) in &course {
            now += Duration::from_millis(*pause);
            feed_rtt(&mut monitor, now, input);
            probing |= matches!(input, Input::Probe(_));
            for round in 0.. {
                let Some(deadline) = monitor.poll_timeout().filter(|deadline| *deadline <= now) else { break };
                prop_assert!(round < 3, "hot loop at {:?}, deadline {:?}", now, deadline);
                monitor.handle_timeout(now);
                prop_assert_ne!(monitor.poll_timeout(), Some(deadline));
            }
            for output in core::iter::from_fn(|| monitor.poll_output()) {
                match output {
                    RttOutput::Connect => prop_assert!(!core::mem::replace(&mut open, true)),
                    RttOutput::Close => prop_assert!(core::mem::replace(&mut open, false)),
                    RttOutput::Send(_) => prop_assert!(open),
                    RttOutput::Sample(_) => {}
                    RttOutput::ProbeAnswered | RttOutput::ProbeFailed => {
                        prop_assert!(core::mem::replace(&mut probing, false), "answer to no question");
                    }
                }
            }
            prop_assert_eq!(probing, monitor.is_probing());
            prop_assert!(monitor.is_running() || probing || !open, "a connection left open");
            prop_assert!(!probing || monitor.poll_timeout().is_some());
        }
    }
}
