use super::*;
use alloc::string::ToString;

fn address(name: &str) -> ServerAddress {
    ServerAddress::parse(name).unwrap()
}

fn server(name: &str, server_type: ServerType) -> ServerDescription {
    let mut server = ServerDescription::unknown(address(name));
    server.server_type = server_type;
    server.max_wire_version = 21;
    if matches!(
        server_type,
        ServerType::RsPrimary | ServerType::RsSecondary | ServerType::RsArbiter | ServerType::RsOther
    ) {
        server.set_name = Some("rs".into());
        server.hosts = [address("a"), address("b")].into();
    }
    server
}

fn options(seeds: &[&str]) -> TopologyOptions {
    TopologyOptions { seeds: seeds.iter().map(|s| address(s)).collect(), ..TopologyOptions::default() }
}

/// A topology of that type with servers `a` (about to be heard) and `b`, which is what makes the type what it is.
fn topology(topology_type: TopologyType) -> Arc<TopologyDescription> {
    let b = match topology_type {
        TopologyType::ReplicaSetWithPrimary => server("b", ServerType::RsPrimary),
        TopologyType::ReplicaSetNoPrimary => server("b", ServerType::RsSecondary),
        TopologyType::Sharded => server("b", ServerType::Mongos),
        _ => server("b", ServerType::Unknown),
    };
    let mut topology = TopologyDescription::new(&options(&["a", "b"]));
    topology.topology_type = topology_type;
    topology.set_name.clone_from(&b.set_name);
    topology.servers.insert(b.address.clone(), Arc::new(b));
    Arc::new(topology)
}

/// The specification's "TopologyType table": what the topology becomes, and whether `a` is still in it.
#[test]
fn the_topology_type_table() {
    use ServerType as S;
    use TopologyType::{ReplicaSetNoPrimary as No, ReplicaSetWithPrimary as With, Sharded, Unknown};
    let columns = [Unknown, Sharded, No, With];
    let rows = [
        (S::Unknown, [(Unknown, true), (Sharded, true), (No, true), (With, true)]),
        (S::Standalone, [(Unknown, false), (Sharded, false), (No, false), (With, false)]),
        (S::Mongos, [(Sharded, true), (Sharded, true), (No, false), (With, false)]),
        (S::RsPrimary, [(With, true), (Sharded, false), (With, true), (With, true)]),
        (S::RsSecondary, [(No, true), (Sharded, false), (No, true), (With, true)]),
        (S::RsArbiter, [(No, true), (Sharded, false), (No, true), (With, true)]),
        (S::RsOther, [(No, true), (Sharded, false), (No, true), (With, true)]),
        (S::RsGhost, [(Unknown, true), (Sharded, false), (No, true), (With, true)]),
    ];
    for (server_type, cells) in rows {
        for (before, (after, kept)) in columns.into_iter().zip(cells) {
            let transition =
                updated_topology(&topology(before), server("a", server_type), &options(&["a", "b"]));
            let next = &transition.topology;
            assert_eq!(next.topology_type, after, "{server_type} in {before}");
            assert_eq!(next.servers.contains_key(&address("a")), kept, "{server_type} in {before}");
            assert_eq!(transition.removed.len(), usize::from(!kept), "{server_type} in {before}");
        }
    }
}

#[test]
fn a_lone_seed_that_is_standalone_makes_the_topology_single() {
    let one = options(&["a"]);
    let old = Arc::new(TopologyDescription::new(&one));
    let next = updated_topology(&old, server("a", ServerType::Standalone), &one).topology;
    assert_eq!(next.topology_type, TopologyType::Single);
    // And single it stays, whatever the server becomes.
    let next = updated_topology(&next, server("a", ServerType::RsPrimary), &one).topology;
    assert_eq!((next.topology_type, next.servers.len()), (TopologyType::Single, 1));
}

#[test]
fn a_newer_primary_displaces_the_older_one() {
    let old = topology(TopologyType::ReplicaSetWithPrimary);
    let transition = updated_topology(&old, server("a", ServerType::RsPrimary), &options(&["a", "b"]));
    assert_eq!(transition.stale_primaries, [address("b")]);
    assert_eq!(transition.changed, [address("a"), address("b")]);
    let displaced = transition.topology.server(&address("b")).unwrap();
    let error = displaced.error.as_ref().unwrap();
    assert!(matches!(*error.kind, ErrorKind::StalePrimary { .. }));
    assert!(error.to_string().contains("primary marked stale due to discovery of newer primary"));
    assert_eq!((displaced.server_type, displaced.topology_version), (ServerType::Unknown, None));
}

#[test]
fn a_displaced_primary_that_is_no_member_any_more_is_only_removed() {
    let old = topology(TopologyType::ReplicaSetWithPrimary);
    let mut newer = server("a", ServerType::RsPrimary);
    newer.hosts = [address("a")].into();
    let transition = updated_topology(&old, newer, &options(&["a", "b"]));
    assert!(transition.stale_primaries.is_empty());
    let reason = RemovalReason::NotAMember { primary: address("a") };
    assert_eq!(transition.removed, [(address("b"), reason)]);
}

/// Which of two primaries is the newer, before and after wire version 17.
#[test]
fn elections_are_ordered_by_the_servers_version() {
    let primary = |name, wire, election: Option<u8>, version: Option<i64>| {
        let mut server = server(name, ServerType::RsPrimary);
        server.max_wire_version = wire;
        server.election_id = election.map(|e| [e; 12]);
        server.set_version = version;
        server
    };
    // (held, heard, believed before 17, believed from 17 on)
    let cases = [
        ((Some(2), Some(1)), (Some(1), Some(2)), true, false),
        ((Some(1), Some(2)), (Some(2), Some(1)), false, true),
        ((Some(1), Some(1)), (Some(1), Some(1)), true, true),
        ((Some(2), Some(1)), (Some(1), Some(1)), false, false),
        ((Some(1), Some(1)), (None, Some(1)), true, false),
        ((Some(1), Some(1)), (Some(1), None), true, false),
        ((None, None), (Some(1), Some(1)), true, true),
    ];
    for (held, heard, before, after) in cases {
        for (wire, believed) in [(16, before), (17, after)] {
            let options = options(&["a", "b"]);
            let start = topology(TopologyType::ReplicaSetNoPrimary);
            let next = updated_topology(&start, primary("b", wire, held.0, held.1), &options).topology;
            let next = updated_topology(&next, primary("a", wire, heard.0, heard.1), &options).topology;
            let winner = next.primary().unwrap().address.clone();
            assert_eq!(winner, address(if believed { "a" } else { "b" }), "{held:?} {heard:?} {wire}");
            if !believed {
                let error = next.server(&address("a")).unwrap().error.as_ref().unwrap().to_string();
                assert!(
                    error.contains("primary marked stale due to electionId/setVersion mismatch"),
                    "{error}"
                );
                assert!(error.contains("is stale compared to"), "{error}");
            }
        }
    }
}

#[test]
fn older_topology_versions_are_ignored_and_unknown_addresses_too() {
    let version = |counter| Some(super::super::TopologyVersion { process_id: [1; 12], counter });
    let options = options(&["a", "b"]);
    let mut newer = server("a", ServerType::RsSecondary);
    newer.topology_version = version(2);
    let held = updated_topology(&topology(TopologyType::ReplicaSetNoPrimary), newer, &options).topology;
    for (counter, ignored) in [(1, true), (2, false), (3, false)] {
        let mut heard = server("a", ServerType::RsOther);
        heard.topology_version = version(counter);
        let next = updated_topology(&held, heard, &options).topology;
        assert_eq!(Arc::ptr_eq(&next, &held), ignored, "{counter}");
    }
    let next = updated_topology(&held, server("z", ServerType::RsPrimary), &options).topology;
    assert!(Arc::ptr_eq(&next, &held));
}

#[test]
fn members_by_another_name_or_of_another_set_are_removed() {
    for before in [TopologyType::ReplicaSetNoPrimary, TopologyType::ReplicaSetWithPrimary] {
        let mut renamed = server("a", ServerType::RsSecondary);
        renamed.me = Some(address("c").into());
        let transition = updated_topology(&topology(before), renamed, &options(&["a", "b"]));
        assert_eq!(transition.removed, [(address("a"), RemovalReason::WrongMe { me: address("c") })]);
        let mut stranger = server("a", ServerType::RsSecondary);
        stranger.set_name = Some("other".into());
        let transition = updated_topology(&topology(before), stranger, &options(&["a", "b"]));
        let reason = RemovalReason::WrongSetName { expected: "rs".into(), found: Some("other".into()) };
        assert_eq!(transition.removed, [(address("a"), reason)]);
        assert_eq!(transition.topology.topology_type, before);
    }
}

#[test]
fn the_session_timeout_is_the_smallest_if_every_data_bearing_server_has_one() {
    let timed = |name, server_type, minutes| {
        let mut server = server(name, server_type);
        server.logical_session_timeout_minutes = minutes;
        server
    };
    let options = options(&["a", "b"]);
    let start = topology(TopologyType::ReplicaSetNoPrimary);
    let next = updated_topology(&start, timed("b", ServerType::RsSecondary, Some(30)), &options).topology;
    assert_eq!(next.logical_session_timeout_minutes, Some(30));
    let next = updated_topology(&next, timed("a", ServerType::RsPrimary, Some(20)), &options).topology;
    assert_eq!(next.logical_session_timeout_minutes, Some(20));
    let arbiter = updated_topology(&next, timed("b", ServerType::RsArbiter, None), &options).topology;
    assert_eq!(arbiter.logical_session_timeout_minutes, Some(20));
    let without = updated_topology(&next, timed("b", ServerType::RsSecondary, None), &options).topology;
    assert_eq!(without.logical_session_timeout_minutes, None);
}

#[test]
fn incompatible_servers_are_named_with_what_would_help() {
    let options = options(&["a", "b"]);
    let start = topology(TopologyType::ReplicaSetNoPrimary);
    let mut old = server("a", ServerType::RsSecondary);
    old.max_wire_version = 7;
    let next = updated_topology(&start, old, &options).topology;
    assert_eq!(
        next.compatibility_error.as_deref(),
        Some(
            "Server at a:27017 reports wire version 7, but this version of Quorate requires at least 8 (MongoDB 4.2)."
        )
    );
    let next = updated_topology(&next, server("a", ServerType::RsSecondary), &options).topology;
    assert_eq!(next.compatibility_error, None);
    let mut new = server("a", ServerType::RsSecondary);
    (new.min_wire_version, new.max_wire_version) = (99, 100);
    let text = updated_topology(&next, new, &options).topology.compatibility_error.clone().unwrap();
    assert!(text.starts_with("Server at a:27017 requires wire version 99"), "{text}");
}

#[test]
fn hosts_cannot_grow_the_topology_without_end() {
    let options = options(&["a", "b"]);
    let mut next = topology(TopologyType::ReplicaSetNoPrimary);
    for round in 0..3 {
        let mut member = server("a", ServerType::RsSecondary);
        member.hosts = (0..3000).map(|i| address(&alloc::format!("h{round}x{i}"))).collect();
        next = updated_topology(&next, member, &options).topology;
    }
    assert_eq!(next.servers.len(), MAX_SERVERS);
}

#[test]
fn srv_records_are_followed_by_unknown_and_sharded_only() {
    let hosts = [address("b"), address("c")];
    for followed in [TopologyType::Unknown, TopologyType::Sharded] {
        let transition = updated_from_srv(&topology(followed), &hosts);
        assert_eq!(transition.added, [address("c")]);
        assert_eq!(transition.removed, [(address("a"), RemovalReason::NotInSrvRecord)]);
        assert!(updated_from_srv(&topology(followed), &[]).removed.is_empty());
    }
    for other in [TopologyType::ReplicaSetNoPrimary, TopologyType::ReplicaSetWithPrimary] {
        let old = topology(other);
        assert!(Arc::ptr_eq(&updated_from_srv(&old, &hosts).topology, &old));
    }
}

/// A lone seed, two servers from its SRV record, and one of them is a standalone: found by a property test.
#[test]
fn a_seed_that_got_company_from_srv_does_not_become_single() {
    let one = options(&["a"]);
    let old = Arc::new(TopologyDescription::new(&one));
    let grown = updated_from_srv(&old, &[address("a"), address("b")]).topology;
    let transition = updated_topology(&grown, server("b", ServerType::Standalone), &one);
    assert_eq!(transition.topology.topology_type, TopologyType::Unknown);
    assert_eq!(transition.removed.len(), 1);
}
