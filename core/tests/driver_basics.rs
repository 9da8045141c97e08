//! Discovery, selection, retries: the driver on its good days and its usual bad ones.

mod common;

use bson::doc;
use common::{Answer, Mode, World, address, millis, write};
use quorate_core::driver::{DriverOptions, Operation};
use quorate_core::error::ErrorKind;
use quorate_core::retry::Retry;
use quorate_core::sdam::{ServerType, TopologyType};
use quorate_core::selection::SelectionCriteria;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn type_of(world: &World, name: &str) -> ServerType {
    world.engine.topology().server(&address(name)).unwrap().server_type
}

#[test]
fn one_seed_finds_all_members() {
    let mut world = World::with_options(&NAMES, DriverOptions::new(vec![address("b")]));
    world.settle();
    let topology = world.engine.topology();
    assert_eq!(topology.topology_type, TopologyType::ReplicaSetWithPrimary);
    assert_eq!(
        topology.servers.keys().cloned().collect::<Vec<_>>(),
        [address("a"), address("b"), address("c")]
    );
    assert_eq!(type_of(&world, "a"), ServerType::RsPrimary);
    assert_eq!(type_of(&world, "c"), ServerType::RsSecondary);
}

#[test]
fn an_operation_starts_before_anything_is_known_and_succeeds() {
    let mut world = World::replica_set(&NAMES);
    let insert = world.insert();
    world.finish(insert, millis(20)).unwrap();
    assert_eq!(world.commands("insert").len(), 1);
    assert_eq!(world.load("a").0, 0);
}

#[test]
fn an_operation_goes_on_the_moment_a_hello_names_a_primary() {
    let mut world = World::replica_set(&NAMES);
    world.change("a", |a| a.become_secondary());
    world.settle();
    let insert = world.insert();
    world.run_for(millis(3000));
    assert!(world.done.is_empty());
    world.change("b", |b| b.become_primary(2));
    let elected = world.now;
    world.finish(insert, millis(100)).unwrap();
    let received = world.commands("insert");
    assert_eq!(received[0].server, address("b"));
    // Half a round trip for the streamed hello, then opening, handshake and the command itself.
    assert!(received[0].at - elected < millis(5), "{:?}", received[0].at - elected);
}

#[test]
fn after_a_network_error_the_same_write_goes_to_the_new_primary() {
    let mut world = World::replica_set(&NAMES);
    let first = world.insert();
    world.finish(first, millis(50)).unwrap();
    world.change("a", |a| a.script.push_back(Answer::Drop));
    let insert = world.insert();
    world.run_for(millis(1));
    world.change("a", |a| {
        a.become_secondary();
        a.mode = Mode::Refuse;
    });
    world.change("b", |b| b.become_primary(2));
    world.finish(insert, millis(2000)).unwrap();
    let sent = world.commands("insert");
    assert_eq!(sent.len(), 3);
    assert_eq!((&sent[1].server, &sent[2].server), (&address("a"), &address("b")));
    for field in ["lsid", "txnNumber"] {
        assert!(sent[1].command.get(field).is_some(), "{field}");
        assert_eq!(sent[1].command.get(field), sent[2].command.get(field), "{field}");
    }
    assert_ne!(sent[0].command.get("txnNumber"), sent[1].command.get("txnNumber"));
    // The session met a network error: it is not used again.
    let next = world.insert();
    world.finish(next, millis(100)).unwrap();
    assert_ne!(world.commands("insert")[3].command.get("lsid"), sent[2].command.get("lsid"));
}

#[test]
fn a_not_writable_primary_becomes_unknown_and_the_write_is_sent_again() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    world.change("a", |a| {
        // It has stepped down, but its hello is not out yet.
        a.touch();
        a.script.push_back(Answer::Fail(10107, &["RetryableWriteError"]));
    });
    world.servers.get_mut(&address("a")).unwrap().forget_held();
    let insert = world.insert();
    world.run_until(millis(50), |world| type_of(world, "a") == ServerType::Unknown);
    world.finish(insert, millis(30_000)).unwrap();
    let sent = world.commands("insert");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0].command.get("txnNumber"), sent[1].command.get("txnNumber"));
}

#[test]
fn nothing_is_sent_twice_that_may_not_be() {
    let off = || {
        let mut options = DriverOptions::new(vec![address("a")]);
        options.retry_writes = false;
        World::with_options(&NAMES, options)
    };
    let update_many = || Operation::new(SelectionCriteria::Writable, Retry::Never);
    for (mut world, operation) in [(off(), write()), (World::replica_set(&NAMES), update_many())] {
        world.settle();
        world.change("a", |a| a.script.push_back(Answer::Drop));
        let id = world.start(operation, doc! {"update": "c", "$db": "test"});
        let error = world.finish(id, millis(50)).unwrap_err();
        assert!(error.is_network(), "{error}");
        assert!(!error.contains_label("RetryableWriteError"));
        assert_eq!(error.server_address(), Some(&address("a")));
        world.run_for(millis(2000));
        let sent = world.commands("update");
        assert_eq!(sent.len(), 1);
        assert!(!sent[0].command.contains_key("txnNumber"));
    }
}

#[test]
fn a_wtimeout_is_a_success_with_a_remark() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    let concern = doc! {"code": 64, "codeName": "WriteConcernFailed", "errInfo": {"wtimeout": true}};
    world.change("a", |a| a.script.push_back(Answer::Reply(doc! {"n": 1, "writeConcernError": concern})));
    let insert = world.insert();
    let reply = world.finish(insert, millis(50)).unwrap().unwrap();
    assert!(reply.body().get("writeConcernError").unwrap().is_some());
    assert_eq!(type_of(&world, "a"), ServerType::RsPrimary);
    world.run_for(millis(1000));
    assert_eq!(world.commands("insert").len(), 1);
}

#[test]
fn a_step_down_inside_a_write_concern_error_is_retried() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    world.change("a", |a| {
        a.script.push_back(Answer::Reply(doc! {
            "n": 1, "writeConcernError": {"code": 189, "errmsg": "stepped down"},
            "errorLabels": ["RetryableWriteError"],
        }));
    });
    let insert = world.insert();
    world.run_until(millis(50), |world| type_of(world, "a") == ServerType::Unknown);
    world.change("a", |a| a.become_secondary());
    world.change("b", |b| b.become_primary(2));
    let reply = world.finish(insert, millis(2000)).unwrap().unwrap();
    assert!(reply.body().get("writeConcernError").unwrap().is_none());
    let sent = world.commands("insert");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[1].server, address("b"));
}

#[test]
fn a_write_concern_error_on_the_retry_ends_with_its_reply() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    let stepped_down = || {
        Answer::Reply(doc! {
            "n": 1, "writeConcernError": {"code": 91, "errmsg": "shutting down"},
            "errorLabels": ["RetryableWriteError"],
        })
    };
    world.change("a", |a| a.script.extend([stepped_down(), stepped_down()]));
    let insert = world.insert();
    let reply = world.finish(insert, millis(60_000)).unwrap().unwrap();
    assert!(reply.body().get("writeConcernError").unwrap().is_some());
    assert_eq!(world.commands("insert").len(), 2);
}

#[test]
fn server_selection_times_out_with_an_explanation() {
    let mut options = DriverOptions::new(vec![address("a")]);
    options.server_selection_timeout = millis(2000);
    let mut world = World::with_options(&NAMES, options);
    world.change("a", |a| a.become_secondary());
    let insert = world.insert();
    let error = world.finish(insert, millis(2000)).unwrap_err();
    assert_eq!(world.now, quorate_core::Instant::ZERO + millis(2000));
    let text = error.to_string();
    assert!(text.starts_with("Server selection timed out after 2 s: no primary found"), "{text}");
    assert!(text.contains("ReplicaSetNoPrimary \"rs\""), "{text}");
    assert_eq!(world.engine.driver().waiting(), 0);
}

#[test]
fn the_first_error_is_told_when_no_server_is_found_for_the_retry() {
    let mut options = DriverOptions::new(vec![address("a")]);
    options.server_selection_timeout = millis(2000);
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Drop));
    let insert = world.insert();
    world.run_for(millis(1));
    world.change("a", |a| a.become_secondary());
    let error = world.finish(insert, millis(4000)).unwrap_err();
    assert!(error.is_network(), "{error}");
}

#[test]
fn sessions_are_used_last_in_first_out_and_returned() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    let lsid = |world: &World, n: usize| world.received[n].command.get_document("lsid").unwrap().clone();
    for _ in 0..3 {
        let insert = world.insert();
        world.finish(insert, millis(50)).unwrap();
    }
    assert_eq!(lsid(&world, 0), lsid(&world, 2));
    // While one is in use another is made.
    world.change("a", |a| a.script.push_back(Answer::Silence));
    let stuck = world.insert();
    world.run_for(millis(10));
    let other = world.insert();
    world.finish(other, millis(50)).unwrap();
    assert_eq!(lsid(&world, 2), lsid(&world, 3));
    assert_ne!(lsid(&world, 3), lsid(&world, 4));
    // What is not known of a session that was dropped under way makes it useless.
    world.engine.cancel(world.now, stuck);
    assert_eq!(world.engine.drain_sessions().len(), 1);
}

#[test]
fn a_session_asked_for_is_not_kept_when_no_cursor_comes_of_it() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Fail(2, &[])));
    let id = world.start(write().keeping_session(), doc! {"insert": "c", "$db": "test"});
    world.finish(id, millis(50)).unwrap_err();
    assert_eq!(world.engine.drain_sessions().len(), 1);
}

#[test]
fn cluster_time_is_gossiped_from_operations_but_not_from_hellos() {
    let mut world = World::replica_set(&NAMES);
    world.change("a", |a| {
        a.hello_cluster_time = Some(1_000_000);
        a.cluster_time = Some(7);
    });
    for _ in 0..2 {
        let find = world.find();
        world.finish(find, millis(50)).unwrap();
    }
    let sent = world.commands("find");
    assert!(!sent[0].command.contains_key("$clusterTime"), "{:?}", sent[0].command);
    let time = sent[1].command.get_document("$clusterTime").unwrap().get_timestamp("clusterTime").unwrap();
    assert_eq!(time.time, 7);
}

#[test]
fn unacknowledged_writes_are_over_when_they_are_sent() {
    let mut world = World::replica_set(&NAMES);
    world.settle();
    let id = world.start(write().unacknowledged(), doc! {"insert": "c", "$db": "test"});
    assert!(world.finish(id, millis(50)).unwrap().is_none());
    world.run_for(millis(10));
    let sent = world.commands("insert");
    assert_eq!(sent.len(), 1);
    assert!(!sent[0].command.contains_key("lsid") && !sent[0].command.contains_key("txnNumber"));
    // The connection is good for the next.
    let find = world.find();
    world.finish(find, millis(50)).unwrap();
    assert_eq!(world.pool_sockets("a").len(), 1);
}

#[test]
fn a_shut_down_client_fails_who_waits_and_closes_all() {
    let mut world = World::replica_set(&NAMES);
    world.change("a", |a| a.script.push_back(Answer::Silence));
    world.settle();
    let running = world.insert();
    world.run_for(millis(10));
    world.change("a", |a| a.become_secondary());
    world.run_for(millis(10));
    let waiting = world.insert();
    world.run_for(millis(10));
    world.engine.shutdown(world.now);
    world.drain();
    for id in [running, waiting] {
        let error = world.finish(id, millis(0)).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::Shutdown), "{error}");
    }
    assert!(world.sockets.is_empty());
    assert_eq!(world.opened, world.closed);
    assert_eq!(world.engine.poll_timeout(), None);
    let late = world.insert();
    let error = world.finish(late, millis(0)).unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Shutdown));
}
