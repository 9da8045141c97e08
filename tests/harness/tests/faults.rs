//! Each fault has the effect its name says, on one real set.

use bson::doc;
use quorate_harness::{Admin, AdminError, ProcessState, ReplicaSet};
use std::io::ErrorKind;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

fn start(proxied: bool) -> ReplicaSet {
    ReplicaSet::builder()
        .members(3)
        .election_timeout(Duration::from_secs(2))
        .proxied(proxied)
        .start()
        .expect("a set starts")
}

/// Writes with w: majority through whoever is primary, other than `old`. On a busy machine with a short election timeout
/// the first one elected may not stay it, so this asks again until the majority has agreed.
fn majority_write(set: &ReplicaSet, old: usize, id: i32) {
    let begin = Instant::now();
    loop {
        let primary = set.wait_for_other_primary(old, LIMIT).expect("the majority elects");
        let update = doc! {
            "update": "c", "updates": [{ "q": { "_id": id }, "u": { "_id": id }, "upsert": true }],
            "writeConcern": { "w": "majority", "wtimeout": 5000 },
        };
        match set.command(primary, "harness", update) {
            Ok(_) => return,
            Err(e) => assert!(begin.elapsed() < LIMIT, "the majority never takes the write: {e}"),
        }
    }
}

fn is_timeout(error: &AdminError) -> bool {
    matches!(error, AdminError::Io(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn a_primary_leaves_by_step_down_kill_pause_and_terminate() {
    let set = start(false);

    let first = set.step_down(20).expect("it steps down");
    majority_write(&set, first, 1);

    let second = set.wait_for_primary(LIMIT).expect("a primary");
    set.kill(second);
    assert_eq!(set.state(second), ProcessState::Stopped);
    let refused = Admin::connect(set.address(second), Duration::from_secs(1)).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    majority_write(&set, second, 2);
    set.restart(second).expect("it starts again");
    let third = set.wait_for_healthy(LIMIT).expect("it comes back");

    set.pause(third).expect("it pauses");
    assert_eq!(set.state(third), ProcessState::Paused);
    let mut hung =
        Admin::connect(set.address(third), Duration::from_millis(300)).expect("the kernel accepts");
    assert!(is_timeout(&hung.hello().expect_err("nobody answers")));
    set.wait_for_other_primary(third, LIMIT).expect("another takes over");
    set.resume(third).expect("it resumes");
    let fourth = set.wait_for_healthy(LIMIT).expect("it comes back");

    set.fail_commands(fourth, &["ping"], 11600, 1).expect("a fail point");
    let failed = set.command(fourth, "admin", doc! { "ping": 1 }).expect_err("it fails once");
    assert_eq!(failed.code(), Some(11600));
    set.command(fourth, "admin", doc! { "ping": 1 }).expect("and then no more");

    set.terminate(fourth).expect("it is told to end");
    majority_write(&set, fourth, 3);
    let fifth = set.wait_for_primary(LIMIT).expect("a primary");
    let count = set.command(fifth, "harness", doc! { "count": "c" }).expect("it counts");
    assert_eq!(count.get_i32("n").ok(), Some(3));
}

#[test]
fn a_partition_cuts_both_ways_in_silence_and_heals() {
    let set = start(true);
    let old = set.primary().expect("a primary");
    // A client's connection through the proxy, opened before.
    let mut client = Admin::connect(set.address(old), Duration::from_millis(500)).expect("connects");
    client.hello().expect("answers");

    set.partition(old);
    assert!(is_timeout(&client.hello().expect_err("silence on the open connection")));
    let mut late = Admin::connect(set.address(old), Duration::from_millis(500)).expect("the proxy accepts");
    assert!(is_timeout(&late.hello().expect_err("silence on a new one")));

    majority_write(&set, old, 1);

    // The old primary hears nobody, in neither direction: it steps down by itself, and its own view says who is gone.
    let deadline = Instant::now() + LIMIT;
    loop {
        let hello = set.command(old, "admin", doc! { "hello": 1 }).expect("reachable past the proxy");
        if !hello.get_bool("isWritablePrimary").expect("a boolean") {
            break;
        }
        assert!(Instant::now() < deadline, "the old primary never stepped down");
        std::thread::sleep(Duration::from_millis(50));
    }
    let status = set.command(old, "admin", doc! { "replSetGetStatus": 1 }).expect("status");
    let down = status
        .get_array("members")
        .expect("members")
        .iter()
        .filter(|m| m.as_document().is_some_and(|m| m.get_f64("health").ok() == Some(0.0)))
        .count();
    assert_eq!(down, 2, "{status}");

    set.heal(old);
    set.wait_for_healthy(LIMIT).expect("it comes back");
    let deadline = Instant::now() + LIMIT;
    loop {
        let find =
            doc! { "find": "c", "filter": { "_id": 1 }, "$readPreference": { "mode": "secondaryPreferred" } };
        // It may still have to roll back what only it has, and refuses reads meanwhile.
        let found = set.command(old, "harness", find);
        let first =
            found.as_ref().ok().and_then(|r| r.get_document("cursor").ok()?.get_array("firstBatch").ok());
        if first.is_some_and(|batch| !batch.is_empty()) {
            break;
        }
        assert!(Instant::now() < deadline, "the write never reached the healed member: {found:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
