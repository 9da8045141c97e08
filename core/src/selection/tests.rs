use super::*;
use crate::error::{Error, ErrorKind, IoErrorKind};
use crate::sdam::{ServerDescription, ServerType, TopologyDescription, TopologyType};
use crate::shared::Arc;
use crate::{Instant, ReadPreference, ReadPreferenceMode, Rng, ServerAddress, TagSet};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU32, Ordering};

fn server(port: u16, server_type: ServerType) -> ServerDescription {
    ServerDescription {
        server_type,
        round_trip_time: server_type.is_available().then_some(Duration::from_micros(400)),
        ..ServerDescription::unknown(ServerAddress::tcp("a", port))
    }
}

fn down(port: u16, message: &str) -> ServerDescription {
    let error = Some(Error::io(IoErrorKind::Connect, message));
    ServerDescription { error, ..server(port, ServerType::Unknown) }
}

fn topology(
    topology_type: TopologyType,
    servers: impl IntoIterator<Item = ServerDescription>,
) -> TopologyDescription {
    let servers: BTreeMap<_, _> = servers.into_iter().map(|s| (s.address.clone(), Arc::new(s))).collect();
    TopologyDescription {
        topology_type,
        set_name: Some("rs0".into()),
        max_set_version: None,
        max_election_id: None,
        servers,
        compatibility_error: None,
        logical_session_timeout_minutes: None,
        heartbeat_frequency: Duration::from_secs(10),
    }
}

fn tags(name: &str, value: &str) -> TagSet {
    [(name.to_string(), value.to_string())].into()
}

fn why(topology: &TopologyDescription, criteria: impl Into<SelectionCriteria>) -> String {
    describe(topology, &criteria.into())
}

#[test]
fn the_error_says_everything() {
    let topology = topology(
        TopologyType::ReplicaSetNoPrimary,
        [
            server(1, ServerType::RsSecondary),
            server(2, ServerType::RsSecondary),
            down(3, "connection refused"),
        ],
    );
    let error = timeout_error(&topology, &SelectionCriteria::Writable, Duration::from_secs(30));
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }));
    assert_eq!(
        error.to_string(),
        "Server selection timed out after 30 s: no primary found (1 of 3 members cannot be reached; the others know no \
         primary: an election may be going on); topology: ReplicaSetNoPrimary \"rs0\", servers: [ { a:1, RSSecondary, \
         0.4 ms }, { a:2, RSSecondary, 0.4 ms }, { a:3, Unknown, error: connection refused } ]"
    );
}

#[test]
fn servers_that_were_dropped_are_named_with_the_reason() {
    use crate::sdam::RemovalReason::WrongSetName;
    assert_eq!(describe_removals([].iter()), "");
    let reason = |found: Option<&str>| WrongSetName { expected: "rs0".into(), found: found.map(Into::into) };
    let removals =
        [(ServerAddress::tcp("a", 1), reason(Some("rs1"))), (ServerAddress::tcp("b", 2), reason(None))];
    assert_eq!(
        describe_removals(removals.iter()),
        "; dropped: [ { a:1, it belongs to the replica set \"rs1\", not \"rs0\" }, { b:2, it belongs to no replica set, \
         not to \"rs0\" } ]"
    );
}

#[test]
fn the_error_names_the_cause() {
    use ReadPreferenceMode::*;
    let set = |servers: Vec<ServerDescription>| topology(TopologyType::ReplicaSetNoPrimary, servers);
    let two = || vec![server(1, ServerType::RsSecondary), server(2, ServerType::RsSecondary)];
    let ny = ReadPreference::new(Secondary).with_tag_sets(vec![tags("dc", "ny")]);
    let fresh = ReadPreference::new(Nearest).with_max_staleness(Duration::from_secs(90));
    let small = ReadPreference::new(Nearest).with_max_staleness(Duration::from_secs(9));
    let pinned = |port| SelectionCriteria::Server(ServerAddress::tcp("a", port));
    let refused = || vec![down(1, "connection refused"), down(2, "connection refused")];
    let cases = [
        (why(&set(vec![]), SelectionCriteria::Writable), "none belongs to replica set \"rs0\""),
        (why(&set(refused()), SelectionCriteria::Writable), "all for the same reason: connection refused"),
        (
            why(&set(vec![server(1, ServerType::Unknown)]), SelectionCriteria::Writable),
            "no server has answered yet",
        ),
        (why(&set(vec![server(1, ServerType::RsGhost)]), SelectionCriteria::Writable), "not been initiated"),
        (why(&set(two()), SelectionCriteria::Writable), "all 2 members answer and none is primary"),
        (
            why(
                &set(vec![server(1, ServerType::RsSecondary), down(2, "x"), down(3, "y")]),
                ReadPreference::primary(),
            ),
            "2 of 3 members cannot be reached: perhaps too few for an election",
        ),
        (why(&set(two()), ny), "2 of the right kind, none with tags [ { dc: ny } ]"),
        (why(&set(two()), fresh), "2 of the right kind, all more than 90 s behind"),
        (why(&set(two()), small), "maxStalenessSeconds must be at least 90, not 9"),
        (why(&set(two()), pinned(7)), "a:7 is not available (it is no longer part of the deployment)"),
        (why(&set(refused()), pinned(1)), "a:1 is not available (connection refused)"),
        (why(&set(two()), ReadPreference::new(Secondary)), "server selector takes none of them"),
        (
            why(&topology(TopologyType::Sharded, [down(1, "reset")]), SelectionCriteria::Writable),
            "no writable server found (the only server cannot be used)",
        ),
    ];
    for (text, part) in cases {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn the_error_stays_short() {
    let crowd = (1..=1000).map(|port| down(port, &"x\n".repeat(5_000)));
    let text = why(&topology(TopologyType::ReplicaSetNoPrimary, crowd), SelectionCriteria::Writable);
    assert!(text.len() < 10_000, "{}", text.len());
    assert!(text.contains("and 980 more") && !text.contains('\n'));
    let long = (0..500).map(|i| (format!("name{i}"), "v".repeat(1000)));
    let wanted = ReadPreference::new(ReadPreferenceMode::Nearest).with_tag_sets(vec![long.collect()]);
    let one = topology(TopologyType::ReplicaSetNoPrimary, [server(1, ServerType::RsSecondary)]);
    assert!(why(&one, wanted).len() < 2_000);
}

#[test]
fn a_topology_this_client_cannot_speak_to() {
    let mut topology = topology(TopologyType::ReplicaSetWithPrimary, [server(1, ServerType::RsPrimary)]);
    topology.compatibility_error = Some("too old".into());
    let snapshot = Snapshot::new(&topology);
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
    for criteria in [SelectionCriteria::Writable, SelectionCriteria::Server(ServerAddress::tcp("a", 1))] {
        let error = cache.pick(&snapshot, &criteria, |_| 0, &mut Rng::new(1)).unwrap_err();
        assert_eq!(*error.kind, ErrorKind::Incompatible { message: "too old".into() });
    }
}

/// Server selection tests, "ReadPreference Document Validation": whatever the topology.
#[test]
fn primary_takes_no_conditions() {
    let tagged = ReadPreference::primary().with_tag_sets(vec![tags("dc", "ny")]);
    let fresh = ReadPreference::primary().with_max_staleness(Duration::from_secs(120));
    for topology_type in [TopologyType::Sharded, TopologyType::ReplicaSetWithPrimary, TopologyType::Unknown] {
        let snapshot = Snapshot::new(&topology(topology_type, []));
        for preference in [&tagged, &fresh] {
            assert!(check(&snapshot, &preference.clone().into()).is_err());
        }
        let harmless = ReadPreference::primary().with_tag_sets(vec![TagSet::new()]);
        assert!(check(&snapshot, &harmless.into()).is_ok());
    }
}

/// Server selection tests, "Random Selection Within Latency Window": each of three is chosen.
#[test]
fn random_selection_within_the_window() {
    let rtt = |server: ServerDescription, ms| {
        let round_trip_time = Some(Duration::from_millis(ms));
        ServerDescription { round_trip_time, ..server }
    };
    let snapshot = Snapshot::new(&topology(
        TopologyType::ReplicaSetWithPrimary,
        [
            rtt(server(1, ServerType::RsPrimary), 6),
            rtt(server(2, ServerType::RsSecondary), 5),
            rtt(server(3, ServerType::RsSecondary), 10),
            rtt(server(4, ServerType::RsSecondary), 21),
        ],
    ));
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
    let nearest = ReadPreference::new(ReadPreferenceMode::Nearest).into();
    let mut rng = Rng::new(9);
    let mut chosen = [0u32; 4];
    for _ in 0..300 {
        chosen[cache.pick(&snapshot, &nearest, |_| 0, &mut rng).unwrap().unwrap() as usize] += 1;
    }
    assert!(chosen[..3].iter().all(|count| *count > 60), "{chosen:?}");
    assert_eq!(chosen[3], 0);
}

/// Server selection tests, "Application-Provided Server Selector": the one with the highest port, at every selection, and
/// only where somebody is suitable.
#[test]
fn the_applications_selector() {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let highest = ServerSelector::new(move |servers: Vec<&ServerDescription>| {
        counted.fetch_add(1, Ordering::Relaxed);
        servers.into_iter().max_by_key(|server| server.address.port()).into_iter().collect()
    });
    let ports = [(1, ServerType::RsPrimary), (2, ServerType::RsSecondary), (3, ServerType::RsSecondary)];
    let mut snapshot =
        Snapshot::new(&topology(TopologyType::ReplicaSetWithPrimary, ports.map(|(port, t)| server(port, t))));
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, Some(highest));
    let nearest = ReadPreference::new(ReadPreferenceMode::Nearest).into();
    let mut rng = Rng::new(9);
    for _ in 0..10 {
        assert_eq!(cache.pick(&snapshot, &nearest, |_| 0, &mut rng), Ok(Some(2)));
    }
    assert_eq!(calls.load(Ordering::Relaxed), 10);
    let pinned = SelectionCriteria::Server(ServerAddress::tcp("a", 1));
    assert_eq!(cache.pick(&snapshot, &pinned, |_| 0, &mut rng), Ok(Some(0)), "cursors stay where they are");
    snapshot.publish(&topology(TopologyType::ReplicaSetNoPrimary, []));
    assert_eq!(cache.pick(&snapshot, &nearest, |_| 0, &mut rng), Ok(None));
    assert_eq!(calls.load(Ordering::Relaxed), 10);
}

#[test]
fn a_round_trip_alone_moves_the_window() {
    let set = topology(
        TopologyType::ReplicaSetWithPrimary,
        [server(1, ServerType::RsPrimary), server(2, ServerType::RsSecondary)],
    );
    let mut snapshot = Snapshot::new(&set);
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
    let nearest = ReadPreference::new(ReadPreferenceMode::Nearest).into();
    assert_eq!(cache.candidates(&snapshot, &nearest), [0, 1]);
    let slow = ServerDescription {
        round_trip_time: Some(Duration::from_millis(500)),
        ..server(1, ServerType::RsPrimary)
    };
    assert!(snapshot.update_server(Arc::new(slow)));
    assert_eq!(cache.candidates(&snapshot, &nearest), [1]);
    assert_eq!(cache.candidates(&snapshot, &SelectionCriteria::Writable), [0]);
}

/// Dates and clocks at their ends do not overflow, whichever server lies.
#[test]
fn absurd_dates() {
    let dated = |port, server_type, write, update| ServerDescription {
        last_write_date: Some(write),
        last_update: Some(update),
        ..server(port, server_type)
    };
    let ends = [
        (i64::MIN, Instant::MAX),
        (i64::MAX, Instant::ZERO),
        (i64::MIN, Instant::ZERO),
        (i64::MAX, Instant::MAX),
    ];
    let wanted = ReadPreference::new(ReadPreferenceMode::Nearest).with_max_staleness(Duration::MAX);
    for (first_write, first_update) in ends {
        for (write, update) in ends {
            for (kind, first) in [
                (TopologyType::ReplicaSetWithPrimary, ServerType::RsPrimary),
                (TopologyType::ReplicaSetNoPrimary, ServerType::RsSecondary),
            ] {
                let servers = [
                    dated(1, first, first_write, first_update),
                    dated(2, ServerType::RsSecondary, write, update),
                ];
                let mut topology = topology(kind, servers);
                topology.heartbeat_frequency = Duration::MAX;
                let snapshot = Snapshot::new(&topology);
                let mut found = Vec::new();
                suitable(&snapshot, &wanted.clone().into(), &[], &mut found);
                assert!(found.len() <= 2);
            }
        }
    }
}
