//! Selection against a slow, obvious second implementation, written from the specification's own steps with whole
//! descriptions instead of indices; and the cache against selection afresh, over any sequence of changes.

use proptest::prelude::*;
use quorate_core::sdam::{ServerDescription, ServerType, TopologyDescription, TopologyType};
use quorate_core::selection::{
    CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, ServerPredicate, ServerSelector, Snapshot,
    check, describe, in_window, suitable,
};
use quorate_core::{Duration, Instant, ReadPreference, ReadPreferenceMode, Rng, ServerAddress, TagSet};
use std::sync::Arc;

type Servers = Vec<Arc<ServerDescription>>;

// The second implementation.

fn of_type(servers: &Servers, kind: ServerType) -> Servers {
    servers.iter().filter(|s| s.server_type == kind).cloned().collect()
}

/// "A server of type Unknown or PossiblePrimary is not available; other types are available."
fn available(servers: &Servers) -> Servers {
    let down = [ServerType::Unknown, ServerType::PossiblePrimary];
    servers.iter().filter(|s| !down.contains(&s.server_type)).cloned().collect()
}

fn staleness_ms(topology: &TopologyDescription, s: &ServerDescription) -> Option<i128> {
    if s.server_type != ServerType::RsSecondary {
        return Some(0);
    }
    let update = |s: &ServerDescription| Some(i128::from(s.last_update?.as_nanos() / 1_000_000));
    let write = |s: &ServerDescription| Some(i128::from(s.last_write_date?));
    let heartbeat = topology.heartbeat_frequency.as_millis() as i128;
    let all: Servers = topology.servers.values().cloned().collect();
    if topology.topology_type == TopologyType::ReplicaSetWithPrimary {
        let p = of_type(&all, ServerType::RsPrimary).first()?.clone();
        Some((update(s)? - write(s)?) - (update(&p)? - write(&p)?) + heartbeat)
    } else {
        let freshest = of_type(&all, ServerType::RsSecondary).iter().filter_map(|s| write(s)).max()?;
        Some(freshest - write(s)? + heartbeat)
    }
}

fn eligible(topology: &TopologyDescription, candidates: Servers, wanted: &ReadPreference) -> Servers {
    let fresh: Servers = match wanted.max_staleness {
        None => candidates,
        Some(max) => candidates
            .into_iter()
            .filter(|s| staleness_ms(topology, s).is_some_and(|ms| ms <= max.as_millis() as i128))
            .collect(),
    };
    if wanted.tag_sets.is_empty() {
        return fresh;
    }
    let matching = |set: &TagSet| -> Servers {
        let has_all = |s: &&Arc<ServerDescription>| set.iter().all(|(k, v)| s.tags.get(k) == Some(v));
        fresh.iter().filter(has_all).cloned().collect()
    };
    wanted.tag_sets.iter().map(matching).find(|found| !found.is_empty()).unwrap_or_default()
}

fn by_mode(topology: &TopologyDescription, servers: &Servers, wanted: &ReadPreference) -> Servers {
    let primary = of_type(servers, ServerType::RsPrimary);
    let secondaries = of_type(servers, ServerType::RsSecondary);
    let or = |first: Servers, second: Servers| if first.is_empty() { second } else { first };
    match wanted.mode {
        ReadPreferenceMode::Primary => primary,
        ReadPreferenceMode::Secondary => eligible(topology, secondaries, wanted),
        ReadPreferenceMode::PrimaryPreferred => or(primary, eligible(topology, secondaries, wanted)),
        ReadPreferenceMode::SecondaryPreferred => or(eligible(topology, secondaries, wanted), primary),
        ReadPreferenceMode::Nearest => eligible(topology, [primary, secondaries].concat(), wanted),
    }
}

fn matching(topology: &TopologyDescription, servers: &Servers, criteria: &SelectionCriteria) -> Servers {
    if topology.topology_type == TopologyType::Unknown {
        return Vec::new();
    }
    let wanted = match criteria {
        SelectionCriteria::Server(address) => {
            return available(servers).into_iter().filter(|s| s.address == *address).collect();
        }
        SelectionCriteria::Predicate(test) => {
            return available(servers).into_iter().filter(|s| test(s)).collect();
        }
        SelectionCriteria::Writable => ReadPreference::primary(),
        SelectionCriteria::ReadPreference(wanted) => wanted.clone(),
        _ => unreachable!(),
    };
    match topology.topology_type {
        TopologyType::Unknown => Vec::new(),
        TopologyType::Single | TopologyType::LoadBalanced => available(servers),
        TopologyType::Sharded => of_type(servers, ServerType::Mongos),
        _ => by_mode(topology, servers, &wanted),
    }
}

/// In the order of addresses.
fn slow_suitable(
    topology: &TopologyDescription,
    criteria: &SelectionCriteria,
    deprioritized: &[ServerAddress],
) -> Servers {
    let all: Servers = topology.servers.values().cloned().collect();
    let preferred: Servers = all.iter().filter(|s| !deprioritized.contains(&s.address)).cloned().collect();
    let mut found = matching(topology, &preferred, criteria);
    if found.is_empty() {
        found = matching(topology, &all, criteria);
    }
    found.sort_by_key(|s| s.address.clone());
    found
}

fn slow_window(servers: &Servers, threshold: Duration) -> Servers {
    match servers.iter().filter_map(|s| s.round_trip_time).min() {
        None => servers.clone(),
        Some(fastest) => {
            let inside =
                |s: &&Arc<ServerDescription>| s.round_trip_time.is_some_and(|t| t <= fastest + threshold);
            servers.iter().filter(inside).cloned().collect()
        }
    }
}

fn addresses(servers: &Servers) -> Vec<ServerAddress> {
    servers.iter().map(|s| s.address.clone()).collect()
}

fn named(snapshot: &Snapshot, indices: &[u32]) -> Vec<ServerAddress> {
    indices.iter().map(|at| snapshot.server(*at).unwrap().address.clone()).collect()
}

// What is thrown at it.

fn tag_set() -> impl Strategy<Value = TagSet> {
    proptest::collection::btree_map("[ab]", "[xy]", 0..3)
}

fn address() -> impl Strategy<Value = ServerAddress> {
    (0..7u16).prop_map(|n| ServerAddress::tcp("h", 27017 + n))
}

fn server_type(topology: TopologyType) -> BoxedStrategy<ServerType> {
    use ServerType::*;
    match topology {
        TopologyType::Unknown => prop_oneof![Just(Unknown), Just(RsGhost)].boxed(),
        TopologyType::Single => prop_oneof![Just(Unknown), Just(Standalone), Just(RsSecondary), Just(RsOther)].boxed(),
        TopologyType::Sharded => prop_oneof![1 => Just(Unknown), 4 => Just(Mongos)].boxed(),
        TopologyType::LoadBalanced => Just(LoadBalancer).boxed(),
        _ => prop_oneof![
            6 => Just(RsSecondary), 1 => Just(Unknown), 1 => Just(RsArbiter), 1 => Just(RsOther), 1 => Just(RsGhost),
            1 => Just(PossiblePrimary),
        ]
        .boxed(),
    }
}

fn server(topology: TopologyType) -> impl Strategy<Value = ServerDescription> {
    let rtt = proptest::option::weighted(0.9, 0..40u64);
    let write = proptest::option::weighted(0.9, prop_oneof![0..200_000i64, any::<i32>().prop_map(i64::from)]);
    let update = proptest::option::weighted(0.9, 0..200_000u64);
    (address(), server_type(topology), rtt, write, update, tag_set()).prop_map(
        |(address, server_type, rtt, write, update, tags)| ServerDescription {
            server_type,
            round_trip_time: rtt.map(Duration::from_millis),
            last_write_date: write,
            last_update: update.map(|ms| Instant::from_nanos(ms * 1_000_000)),
            tags: tags.into(),
            ..ServerDescription::unknown(address)
        },
    )
}

fn topology() -> impl Strategy<Value = TopologyDescription> {
    use TopologyType::*;
    let kind = prop_oneof![
        1 => Just(Unknown), 1 => Just(Single), 1 => Just(Sharded), 1 => Just(LoadBalanced),
        4 => Just(ReplicaSetNoPrimary), 6 => Just(ReplicaSetWithPrimary),
    ];
    let with_servers = kind.prop_flat_map(|kind| {
        let most = if matches!(kind, Single | LoadBalanced) { 2 } else { 8 };
        let incompatible = proptest::option::weighted(0.02, Just("too old".to_string()));
        let first = server(kind);
        (Just(kind), first, proptest::collection::vec(server(kind), 0..most), 1..30u64, incompatible)
    });
    with_servers.prop_map(|(topology_type, mut first, mut servers, heartbeat, compatibility_error)| {
        if topology_type == ReplicaSetWithPrimary {
            first.server_type = ServerType::RsPrimary;
            // Last, so that no other server of its address replaces it.
            servers.push(first);
        }
        TopologyDescription {
            topology_type,
            set_name: None,
            max_set_version: None,
            max_election_id: None,
            servers: servers.into_iter().map(|s| (s.address.clone(), Arc::new(s))).collect(),
            compatibility_error,
            logical_session_timeout_minutes: None,
            heartbeat_frequency: Duration::from_secs(heartbeat),
        }
    })
}

fn criteria() -> impl Strategy<Value = SelectionCriteria> {
    use ReadPreferenceMode::*;
    let mode = prop_oneof![
        1 => Just(Primary), 3 => Just(PrimaryPreferred), 3 => Just(Secondary), 3 => Just(SecondaryPreferred),
        3 => Just(Nearest)
    ];
    let seconds = prop_oneof![9 => 90..200u64, 1 => 0..90u64];
    let staleness = proptest::option::of(seconds.prop_map(Duration::from_secs));
    let preference = (mode, proptest::collection::vec(tag_set(), 0..3), staleness).prop_map(
        |(mode, tag_sets, max_staleness)| ReadPreference { mode, tag_sets: tag_sets.into(), max_staleness },
    );
    let even: ServerPredicate =
        Arc::new(|s: &ServerDescription| s.address.port().is_some_and(|p| p % 2 == 0));
    prop_oneof![
        2 => Just(SelectionCriteria::Writable),
        12 => preference.prop_map(SelectionCriteria::ReadPreference),
        1 => address().prop_map(SelectionCriteria::Server),
        1 => Just(SelectionCriteria::Predicate(even)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_obvious_one(
        topology in topology(),
        criteria in criteria(),
        deprioritized in proptest::collection::vec(address(), 0..4),
    ) {
        let snapshot = Snapshot::new(&topology);
        let mut found = vec![77];
        suitable(&snapshot, &criteria, &deprioritized, &mut found);
        let expected = slow_suitable(&topology, &criteria, &deprioritized);
        prop_assert_eq!(named(&snapshot, &found), addresses(&expected));
        in_window(&snapshot, DEFAULT_LOCAL_THRESHOLD, &mut found);
        let window = slow_window(&expected, DEFAULT_LOCAL_THRESHOLD);
        prop_assert_eq!(named(&snapshot, &found), addresses(&window));

        let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
        let picked = cache.pick_avoiding(&snapshot, &criteria, &deprioritized, |_| 0, &mut Rng::new(1));
        match check(&snapshot, &criteria) {
            Err(error) => prop_assert_eq!(picked, Err(error)),
            Ok(()) => match picked.unwrap() {
                None => prop_assert!(window.is_empty()),
                Some(at) => prop_assert!(found.contains(&at)),
            },
        }
    }

    /// Whatever has been asked before, and however the topology has changed since, the cache knows what selection
    /// afresh finds.
    #[test]
    fn the_cache_never_lags(
        steps in proptest::collection::vec((topology(), proptest::collection::vec(0..40usize, 1..30)), 1..5),
        pool in proptest::collection::vec(criteria(), 40),
        selecting in any::<bool>(),
    ) {
        // Keeps the last two of what it is offered.
        let last_two = ServerSelector::new(|servers: Vec<&ServerDescription>| {
            servers.into_iter().rev().take(2).collect()
        });
        let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, selecting.then_some(last_two));
        let mut snapshot = Snapshot::new(&steps[0].0);
        let mut rng = Rng::new(3);
        for (topology, asked) in &steps {
            let before = snapshot.revision();
            snapshot.publish(topology);
            prop_assert!(snapshot.revision() > before);
            for at in asked {
                let criteria = &pool[*at];
                let mut expected = slow_suitable(topology, criteria, &[]);
                if selecting && !matches!(criteria, SelectionCriteria::Server(_)) {
                    expected = expected.split_off(expected.len().saturating_sub(2));
                }
                let expected = addresses(&slow_window(&expected, DEFAULT_LOCAL_THRESHOLD));
                let picked = cache.pick(&snapshot, criteria, |at| at % 3, &mut rng);
                if let Err(refused) = check(&snapshot, criteria) {
                    prop_assert_eq!(picked, Err(refused));
                    prop_assert!(cache.candidates(&snapshot, criteria).is_empty());
                    continue;
                }
                let known = cache.candidates(&snapshot, criteria).to_vec();
                prop_assert_eq!(named(&snapshot, &known), expected);
                prop_assert_eq!(picked.unwrap().is_some(), !known.is_empty());
            }
        }
    }

    /// One server's update is the same as publishing the topology with it.
    #[test]
    fn updating_is_publishing(
        topology in topology(), news in server(TopologyType::ReplicaSetNoPrimary), criteria in criteria()
    ) {
        let mut updated = Snapshot::new(&topology);
        let known = topology.servers.contains_key(&news.address);
        let before = updated.revision();
        prop_assert_eq!(updated.update_server(Arc::new(news.clone())), known);
        prop_assert_eq!(updated.revision() > before, known);
        if known {
            let mut topology = topology;
            topology.servers.insert(news.address.clone(), Arc::new(news));
            let published = Snapshot::new(&topology);
            prop_assert_eq!(updated.servers(), published.servers());
            let (mut a, mut b) = (Vec::new(), Vec::new());
            suitable(&updated, &criteria, &[], &mut a);
            suitable(&published, &criteria, &[], &mut b);
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn the_error_text_is_bounded(topology in topology(), criteria in criteria()) {
        let text = describe(&topology, &criteria);
        prop_assert!(!text.is_empty() && text.len() < 20_000);
        prop_assert!(text.contains(topology.topology_type.as_str()));
    }
}
