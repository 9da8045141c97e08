//! A server that refuses an operation for its state before it has told anybody of the change: MongoDB 4.4 ends the writes of
//! a primary that steps down with the topology version from before.

mod common;

use common::{Answer, LATENCY, World, address, millis, write};
use quorate_core::Duration;
use quorate_core::driver::DriverOptions;
use quorate_core::error::ErrorKind;

const INTERRUPTED: Answer = Answer::Fail(11602, &["RetryableWriteError"]);

/// A settled set whose primary `a` is about to end a write for a change of state that it has not told of.
fn stepping_down(options: DriverOptions) -> World {
    let mut world = World::with_options(&["a", "b", "c"], options);
    world.settle();
    world.change("a", |a| a.script.push_back(INTERRUPTED));
    world
}

fn options() -> DriverOptions {
    DriverOptions::new(vec![address("a")])
}

#[test]
fn the_second_attempt_waits_for_the_change_and_goes_to_the_new_primary() {
    let mut world = stepping_down(options());
    let id = world.insert();
    world.run_until(millis(20), |world| world.commands("insert").len() == 1);
    world.run_for(millis(5));
    world.change("a", |a| a.become_secondary());
    world.run_for(millis(200));
    assert!(!world.done.contains_key(&id), "there is no primary yet");
    world.change("b", |b| b.become_primary(2));
    let elected = world.now;
    world.finish(id, millis(50)).unwrap();
    assert!(world.now - elected < millis(10), "{:?}", world.now - elected);
    let sent = world.commands("insert");
    assert_eq!(sent.iter().map(|sent| &sent.server).collect::<Vec<_>>(), [&address("a"), &address("b")]);
    assert_eq!(sent[0].command.get("txnNumber"), sent[1].command.get("txnNumber"));
}

#[test]
fn a_server_that_tells_of_a_change_and_is_still_the_primary_is_asked_again_at_once() {
    let mut world = stepping_down(options());
    let id = world.insert();
    world.run_until(millis(20), |world| world.commands("insert").len() == 1);
    world.run_for(millis(5));
    world.change("a", |a| a.touch());
    let told = world.now;
    world.finish(id, millis(20)).unwrap();
    assert!(world.now - told <= LATENCY * 3, "{:?}", world.now - told);
    assert_eq!(world.commands("insert").len(), 2);
}

#[test]
fn a_server_with_nothing_to_tell_is_asked_again_all_the_same() {
    let mut world = stepping_down(options());
    let id = world.insert();
    world.finish(id, millis(200)).unwrap();
    let sent = world.commands("insert");
    assert_eq!(sent.len(), 2);
    let waited: Duration = sent[1].at - sent[0].at;
    assert_eq!(waited, millis(100) + LATENCY * 2);
}

#[test]
fn a_deadline_ends_the_wait() {
    let mut world = stepping_down(options());
    let operation = write().with_deadline(Some(world.now + millis(40)));
    let id = world.start(operation, bson::doc! {"insert": "c", "$db": "test"});
    let error = world.finish(id, millis(41)).unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Timeout { .. }), "{error}");
    assert_eq!(world.commands("insert").len(), 1);
    assert_eq!(world.load("a").0, 0);
}

#[test]
fn dropping_the_operation_ends_the_wait() {
    let mut world = stepping_down(options());
    let id = world.insert();
    world.run_until(millis(20), |world| world.commands("insert").len() == 1);
    world.run_for(millis(5));
    world.engine.cancel(world.now, id);
    world.run_for(millis(300));
    assert_eq!(world.commands("insert").len(), 1);
    assert_eq!((world.engine.driver().waiting(), world.load("a").0), (0, 0));
}

#[test]
fn a_change_that_the_error_tells_of_leaves_no_doubt() {
    let mut world = stepping_down(options());
    // It arrives at `a` before anything that `a` and `b` say of the election has come to the client.
    let id = world.insert();
    world.change("a", |a| a.become_secondary());
    world.change("b", |b| b.become_primary(2));
    let started = world.now;
    world.finish(id, millis(50)).unwrap();
    assert!(world.now - started < millis(10), "{:?}", world.now - started);
    let sent = world.commands("insert");
    assert_eq!(sent.iter().map(|sent| &sent.server).collect::<Vec<_>>(), [&address("a"), &address("b")]);
}
