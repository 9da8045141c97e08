//! What goes along from one attempt to the next: the session, the number, the servers to avoid, the error to show.

mod common;

use bson::doc;
use common::{Answer, World, address, millis, write};
use quorate_core::driver::{DriverOptions, Operation};
use quorate_core::error::{ErrorKind, WriteFailure};
use quorate_core::retry::Retry;
use quorate_core::sdam::ServerType;
use quorate_core::{ReadPreference, ReadPreferenceMode};

const NAMES: [&str; 3] = ["a", "b", "c"];

#[test]
fn a_connection_handed_on_by_a_server_that_became_unknown_is_used_as_before() {
    let mut options = DriverOptions::new(vec![address("a")]);
    options.max_pool_size = 1;
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| {
        a.touch();
        a.script.push_back(Answer::Fail(10107, &["RetryableWriteError"]));
        a.script.push_back(Answer::Fail(10107, &["RetryableWriteError"]));
    });
    world.servers.get_mut(&address("a")).unwrap().forget_held();
    let (first, second) = (world.insert(), world.insert());
    world.run_until(millis(50), |world| world.commands("insert").len() > 1);
    let known = world.engine.driver().topology().server(&address("a")).map(|server| server.server_type);
    assert_eq!(known, Some(ServerType::Unknown));
    // A retryable write in a session is that also when its server is not known to be one that has such things.
    let sent = world.commands("insert");
    assert!(sent[1].command.contains_key("lsid") && sent[1].command.contains_key("txnNumber"));
    assert_ne!(sent[0].command.get("lsid"), sent[1].command.get("lsid"));
    for insert in [first, second] {
        world.finish(insert, millis(30_000)).unwrap();
    }
    assert_eq!(world.commands("insert").len(), 4);
}

#[test]
fn a_replica_sets_server_is_avoided_only_when_it_is_overloaded() {
    for (label, second) in [(&[][..], "a"), (&["SystemOverloadedError", "RetryableError"][..], "b")] {
        let mut world = World::replica_set(&NAMES[..2]);
        world.settle();
        world.change("a", |a| a.script.push_back(Answer::Fail(262, label)));
        let preferred = ReadPreference::new(ReadPreferenceMode::PrimaryPreferred);
        let find = Operation::new(preferred.into(), Retry::Read);
        let find = world.start(find, doc! {"find": "c", "$db": "test"});
        world.finish(find, millis(2_000)).unwrap();
        let sent = world.commands("find");
        assert_eq!((&sent[0].server, &sent[1].server), (&address("a"), &address(second)));
    }
}

#[test]
fn the_latest_error_after_which_something_may_have_been_written_is_told() {
    let mut options = DriverOptions::new(vec![address("a")]);
    options.server_selection_timeout = millis(1_000);
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| {
        a.script.push_back(Answer::Fail(262, &["RetryableWriteError", "NoWritesPerformed"]));
        a.script.push_back(Answer::Reply(doc! {
            "n": 1, "writeConcernError": {"code": 91, "errmsg": "shutting down"},
            "errorLabels": ["RetryableWriteError"],
        }));
        a.script.push_back(Answer::Fail(262, &["RetryableWriteError", "NoWritesPerformed"]));
    });
    // With a time-out of its own it may be tried again and again.
    let insert = write().with_deadline(Some(world.now + millis(60_000)));
    let insert = world.start(insert, doc! {"insert": "c", "documents": [{"_id": 1}], "$db": "test"});
    world.run_until(millis(10_000), |world| world.commands("insert").len() == 3);
    world.change("a", |a| a.become_secondary());
    let error = world.finish(insert, millis(10_000)).unwrap_err();
    let told =
        matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteConcernError(error)) if error.code == 91);
    assert!(told, "{error}");
}
