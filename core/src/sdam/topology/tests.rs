use super::*;
use crate::error::{CommandError, ErrorKind, IoErrorKind};
use crate::raw::{DocWriter, RawDoc};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

const NOW: Instant = Instant::from_nanos(5);

fn address(name: &str) -> ServerAddress {
    ServerAddress::parse(name).unwrap()
}

fn hello(write: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> HelloReply {
    let mut bytes = Vec::new();
    write(DocWriter::new(&mut bytes).i32("ok", 1).i32("maxWireVersion", 21)).finish();
    HelloReply::parse(RawDoc::new(&bytes).unwrap()).unwrap()
}

fn member(role: &str, hosts: &[&str], election: u8) -> HelloReply {
    hello(|w| {
        let w = w.bool(role, true).str("setName", "rs").strs("hosts", hosts.iter().copied());
        let w = w.i32("setVersion", 1);
        if role == "isWritablePrimary" { w.object_id("electionId", [election; 12]) } else { w }
    })
}

fn options(seeds: &[&str]) -> TopologyOptions {
    TopologyOptions { seeds: seeds.iter().map(|s| address(s)).collect(), ..TopologyOptions::default() }
}

/// The outputs so far, each in a few words.
fn drain(topology: &mut Topology) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(output) = topology.poll_output() {
        words.push(match output {
            TopologyOutput::Event(SdamEvent::ServerDescriptionChanged(e)) => {
                alloc::format!("{} is {}", e.address.host(), e.new_description.server_type)
            }
            TopologyOutput::Event(SdamEvent::TopologyDescriptionChanged(e)) => {
                alloc::format!("topology is {}", e.new_description.topology_type)
            }
            TopologyOutput::Event(SdamEvent::ServerOpening(e)) => {
                alloc::format!("{} opens", e.address.host())
            }
            TopologyOutput::Event(SdamEvent::ServerClosed(e)) => {
                alloc::format!("{} closes", e.address.host())
            }
            TopologyOutput::Event(SdamEvent::TopologyOpening(_)) => "opening".into(),
            TopologyOutput::Event(SdamEvent::TlsVerificationDisabled(_)) => "unverified".into(),
            TopologyOutput::Event(SdamEvent::TopologyClosed(_)) => "closed".into(),
            TopologyOutput::Event(other) => alloc::format!("{other:?}"),
            TopologyOutput::ServerAdded(a) => alloc::format!("add {}", a.host()),
            TopologyOutput::ServerRemoved(a) => alloc::format!("remove {}", a.host()),
            TopologyOutput::PoolReady(a) => alloc::format!("ready {}", a.host()),
            TopologyOutput::ClearPool { address, interrupt_in_use, .. } => {
                alloc::format!(
                    "clear {}{}",
                    address.host(),
                    if interrupt_in_use { " and interrupt" } else { "" }
                )
            }
            TopologyOutput::RequestCheck(a) => alloc::format!("check {}", a.host()),
            TopologyOutput::CancelCheck(a) => alloc::format!("cancel {}", a.host()),
            TopologyOutput::StalePrimary(a) => alloc::format!("stale {}", a.host()),
            TopologyOutput::Changed => "changed".into(),
        });
    }
    words
}

fn replica_set() -> Topology {
    let mut topology = Topology::new(1, options(&["a", "b"]));
    topology.handle_hello(NOW, &address("a"), &member("isWritablePrimary", &["a", "b"], 1), None, None);
    topology.handle_hello(NOW, &address("b"), &member("secondary", &["a", "b"], 0), None, None);
    drain(&mut topology);
    topology
}

fn reset() -> Error {
    Error::io(IoErrorKind::Reset, "reset")
}

#[test]
fn opening_and_closing() {
    let mut topology = Topology::new(1, options(&["a", "b"]));
    assert_eq!(
        drain(&mut topology),
        ["opening", "topology is Unknown", "a opens", "add a", "b opens", "add b", "changed"]
    );
    topology.handle_close(NOW);
    let closing =
        ["a closes", "remove a", "b closes", "remove b", "topology is Unknown", "changed", "closed"];
    assert_eq!(drain(&mut topology), closing);
    topology.handle_close(NOW);
    topology.handle_hello(NOW, &address("a"), &member("secondary", &["a"], 0), None, None);
    topology.handle_srv_hosts(NOW, &[address("c")]);
    assert_eq!(topology.poll_output(), None);
}

#[test]
fn what_is_not_verified_is_told_right_after_the_opening() {
    let unverified = Some(Unverified { any_certificate: true, any_hostname: false });
    let mut topology = Topology::new(1, TopologyOptions { unverified, ..options(&["a"]) });
    assert_eq!(drain(&mut topology)[..2], ["opening", "unverified"]);
    topology.handle_close(NOW);
    assert!(!drain(&mut topology).iter().any(|word| word == "unverified"));
}

#[test]
fn a_load_balancer_is_known_from_the_start_and_never_checked() {
    let mut topology = Topology::new(1, TopologyOptions { load_balanced: true, ..options(&["a"]) });
    let opening = drain(&mut topology);
    assert_eq!(
        opening[opening.len() - 4..],
        ["a is LoadBalancer", "topology is LoadBalanced", "changed", "ready a"]
    );
    topology.handle_check_failed(NOW, &address("a"), reset());
    topology.handle_hello(NOW, &address("a"), &member("secondary", &["a"], 0), None, None);
    assert_eq!(topology.poll_output(), None);

    // Errors count for their service only.
    let (one, two) = (Some([1; 12]), Some([2; 12]));
    topology.handle_app_error(NOW, &address("a"), &AppError::new(reset(), 0).with_service_id(one));
    assert_eq!(drain(&mut topology), ["clear a"]);
    let generations = [one, two, None].map(|service| topology.generation(&address("a"), service));
    assert_eq!(generations, [1, 0, 0]);
    topology.handle_app_error(NOW, &address("a"), &AppError::new(reset(), 0).with_service_id(one));
    assert_eq!(topology.poll_output(), None);
}

#[test]
fn a_newer_primary_has_the_old_one_checked_and_its_pool_left_alone() {
    let mut topology = replica_set();
    topology.handle_hello(NOW, &address("b"), &member("isWritablePrimary", &["a", "b"], 2), None, None);
    let expected = [
        "a is Unknown",
        "b is RSPrimary",
        "topology is ReplicaSetWithPrimary",
        "changed",
        "stale a",
        "check a",
    ];
    assert_eq!(drain(&mut topology), expected);
    assert_eq!(topology.generation(&address("a"), None), 0);
    // The old primary's next word, whichever it is, brings no further interruption.
    topology.handle_hello(NOW, &address("a"), &member("isWritablePrimary", &["a", "b"], 1), None, None);
    let stale = drain(&mut topology);
    assert!(!stale.contains(&"stale a".into()) && !stale.contains(&"ready a".into()), "{stale:?}");
}

#[test]
fn a_failed_check_clears_the_pool_after_the_server_is_unknown() {
    let mut topology = replica_set();
    topology.handle_check_failed(NOW, &address("a"), reset());
    let expected = ["a is Unknown", "topology is ReplicaSetNoPrimary", "changed", "clear a"];
    assert_eq!(drain(&mut topology), expected);
    topology.handle_check_failed(NOW, &address("a"), Error::io(IoErrorKind::TimedOut, "slow"));
    assert_eq!(drain(&mut topology).last().unwrap(), "clear a and interrupt");
    assert_eq!(topology.generation(&address("a"), None), 2);
    // Back again: the pool is made ready once.
    let primary = member("isWritablePrimary", &["a", "b"], 1);
    topology.handle_hello(NOW, &address("a"), &primary, None, None);
    assert_eq!(drain(&mut topology).last().unwrap(), "ready a");
    topology.handle_hello(NOW, &address("a"), &primary, None, None);
    assert_eq!(topology.poll_output(), None);
}

#[test]
fn a_refused_hello_is_a_failed_check() {
    let mut topology = replica_set();
    let mut bytes = Vec::new();
    DocWriter::new(&mut bytes).i32("ok", 0).i32("code", 13).str("errmsg", "not allowed").finish();
    let refused = HelloReply::parse(RawDoc::new(&bytes).unwrap()).unwrap();
    topology.handle_hello(NOW, &address("a"), &refused, None, None);
    assert_eq!(drain(&mut topology).last().unwrap(), "clear a");
    let server = topology.description().server(&address("a")).unwrap();
    assert_eq!(server.error.as_ref().unwrap().code(), Some(13));
}

#[test]
fn application_errors_have_their_consequences_in_order() {
    let mut topology = replica_set();
    let command = |code| Error::new(ErrorKind::Command(CommandError::new(code, "", "", vec![])));
    let unknown = ["a is Unknown", "topology is ReplicaSetNoPrimary", "changed"];
    topology.handle_app_error(NOW, &address("a"), &AppError::new(command(189), 0));
    assert_eq!(drain(&mut topology), [&unknown[..], &["check a"]].concat());

    let mut topology = replica_set();
    topology.handle_app_error(NOW, &address("a"), &AppError::new(command(91), 0));
    assert_eq!(drain(&mut topology), [&unknown[..], &["clear a", "check a"]].concat());

    let mut topology = replica_set();
    topology.handle_app_error(NOW, &address("a"), &AppError::new(reset(), 0));
    assert_eq!(drain(&mut topology), [&unknown[..], &["clear a", "cancel a"]].concat());
    topology.handle_app_error(NOW, &address("a"), &AppError::new(reset(), 0));
    topology.handle_app_error(NOW, &address("z"), &AppError::new(reset(), 0));
    assert_eq!(topology.poll_output(), None);
}

#[test]
fn an_unchanged_hello_refreshes_times_and_tells_nobody() {
    let mut topology = replica_set();
    let revision = topology.revision();
    let shared = Arc::clone(topology.description());
    let rtt = Some(Duration::from_millis(3));
    topology.handle_hello(
        Instant::from_nanos(9),
        &address("a"),
        &member("isWritablePrimary", &["a", "b"], 1),
        rtt,
        rtt,
    );
    assert_eq!(topology.poll_output(), None);
    assert!(topology.revision() > revision);
    let server = topology.description().server(&address("a")).unwrap();
    assert_eq!((server.round_trip_time, server.last_update), (rtt, Some(Instant::from_nanos(9))));
    // Whoever holds the description of a moment ago sees it unchanged.
    assert_eq!(shared.server(&address("a")).unwrap().round_trip_time, None);
    assert!(shared.is_equal_to(topology.description()));

    topology.handle_rtt(NOW, &address("b"), rtt, None);
    assert_eq!(topology.description().server(&address("b")).unwrap().round_trip_time, rtt);
    topology.handle_check_failed(NOW, &address("b"), reset());
    topology.handle_rtt(NOW, &address("b"), rtt, None);
    assert_eq!(topology.description().server(&address("b")).unwrap().round_trip_time, None);
}

/// A member that was removed while it was something else comes back with the primary's next hello, though that says
/// nothing new.
#[test]
fn the_same_host_list_is_acted_upon_again_after_a_removal() {
    let mut topology = replica_set();
    topology.handle_hello(NOW, &address("b"), &hello(|w| w), None, None);
    assert_eq!(
        drain(&mut topology),
        ["b closes", "remove b", "topology is ReplicaSetWithPrimary", "changed"]
    );
    let (removed, reason) = topology.removals().last().unwrap();
    assert_eq!((removed, reason.to_string().contains("Standalone")), (&address("b"), true));
    topology.handle_hello(NOW, &address("a"), &member("isWritablePrimary", &["a", "b"], 1), None, None);
    assert_eq!(drain(&mut topology), ["topology is ReplicaSetWithPrimary", "b opens", "add b", "changed"]);
    assert_eq!(topology.removals().count(), 0);
}

/// Stepping down, a primary's hosts are not yet listened to; without a primary they are. Found by a property test.
#[test]
fn the_same_hello_is_heard_again_once_there_is_no_primary() {
    let mut topology = replica_set();
    let secondary = member("secondary", &["a", "b", "c"], 0);
    topology.handle_hello(NOW, &address("a"), &secondary, None, None);
    assert!(!drain(&mut topology).contains(&"add c".into()));
    topology.handle_hello(NOW, &address("a"), &secondary, None, None);
    assert!(drain(&mut topology).contains(&"add c".into()));
    topology.handle_hello(NOW, &address("a"), &secondary, None, None);
    assert_eq!(topology.poll_output(), None);
}

#[test]
fn members_in_another_order_are_the_same_members() {
    let mut topology = replica_set();
    topology.handle_hello(NOW, &address("a"), &member("isWritablePrimary", &["b", "a"], 1), None, None);
    assert_eq!(topology.poll_output(), None);
}

#[test]
fn a_direct_connection_to_the_wrong_set_says_so() {
    let direct = TopologyOptions {
        direct_connection: Some(true),
        replica_set: Some("other".into()),
        ..options(&["a"])
    };
    let mut topology = Topology::new(1, direct);
    topology.handle_hello(NOW, &address("a"), &member("secondary", &["a"], 0), None, None);
    let server = topology.description().server(&address("a")).unwrap();
    assert_eq!(server.server_type, ServerType::Unknown);
    let error = server.error.as_ref().unwrap().to_string();
    assert!(error.contains("\"other\"") && error.contains("\"rs\""), "{error}");
}
