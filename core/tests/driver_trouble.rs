//! Hung servers, cleared pools, dropped operations, overload: what happens to operations in flight.

mod common;

use bson::doc;
use common::{Answer, LATENCY, Mode, World, address, millis, write};
use quorate_core::driver::{DriverOptions, Operation};
use quorate_core::engine::{EngineOptions, OperationId};
use quorate_core::error::{ErrorKind, IoErrorKind};
use quorate_core::pool::PoolCounts;
use quorate_core::retry::Retry;
use quorate_core::sdam::ServerType;
use quorate_core::selection::SelectionCriteria;
use quorate_core::{Error, Instant};

const NAMES: [&str; 3] = ["a", "b", "c"];

fn options() -> DriverOptions {
    DriverOptions::new(vec![address("a")])
}

/// `a` hangs with a retryable write and one that is not in flight; then `b` is elected.
fn hung_primary(options: DriverOptions) -> (World, OperationId, OperationId, Instant) {
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| a.mode = Mode::Hang);
    let retryable = world.insert();
    let once = Operation::new(SelectionCriteria::Writable, Retry::Never);
    let once = world.start(once, doc! {"update": "c", "$db": "test"});
    world.run_for(millis(50));
    assert!(world.done.is_empty());
    world.change("b", |b| b.become_primary(2));
    let elected = world.now;
    (world, retryable, once, elected)
}

#[test]
fn what_hangs_on_a_replaced_primary_is_interrupted_after_the_grace() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    // Connections are there already.
    let two = [world.insert(), world.insert()];
    world.run_until(millis(50), |world| two.iter().all(|id| world.done.contains_key(id)));
    world.change("a", |a| a.mode = Mode::Hang);
    let retryable = world.insert();
    let once = Operation::new(SelectionCriteria::Writable, Retry::Never);
    let once = world.start(once, doc! {"update": "c", "$db": "test"});
    world.run_for(millis(50));
    world.change("b", |b| b.become_primary(2));
    let elected = world.now;
    let error = world.finish(once, millis(100)).unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::Interrupted { .. }), "{error}");
    assert!(error.to_string().contains("newer primary"), "{error}");
    // Half a round trip for the news, then the grace of 20 ms.
    assert_eq!(world.now - elected, LATENCY + millis(20));
    world.finish(retryable, millis(10)).unwrap();
    let sent = world.commands("insert");
    let (first, second) = (&sent[2], &sent[3]);
    assert_eq!((&first.server, &second.server), (&address("a"), &address("b")));
    assert_eq!(first.command.get("lsid"), second.command.get("lsid"));
    assert_eq!(first.command.get("txnNumber"), second.command.get("txnNumber"));
    assert_eq!(world.load("a"), (0, PoolCounts::default()));
}

#[test]
fn a_slow_moment_long_ago_does_not_lengthen_the_grace() {
    let mut world = World::with_options(&NAMES, options());
    world.change("a", |a| a.lag = millis(600));
    world.run_for(millis(3_000));
    world.change("a", |a| a.lag = millis(0));
    world.run_for(millis(10_000));
    let average = world.engine.topology().server(&address("a")).unwrap().round_trip_time.unwrap();
    assert!(average > millis(300), "{average:?}");
    let insert = world.insert();
    world.finish(insert, millis(50)).unwrap();
    world.change("a", |a| a.mode = Mode::Hang);
    let hung = world.insert();
    world.run_for(millis(50));
    world.change("b", |b| b.become_primary(2));
    let elected = world.now;
    world.finish(hung, millis(100)).unwrap();
    assert!(world.now - elected < millis(30), "{:?}", world.now - elected);
}

#[test]
fn connections_being_opened_to_a_hung_primary_hold_nobody_up() {
    let (mut world, retryable, once, elected) = hung_primary(options());
    world.run_until(millis(100), |world| world.done.len() == 2);
    assert!(world.now - elected < millis(30), "{:?}", world.now - elected);
    // Neither was ever sent to `a`: both may go to `b`.
    assert!(world.done[&retryable].1.is_ok() && world.done[&once].1.is_ok());
}

#[test]
fn nothing_is_interrupted_that_answers_the_probe() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Silence));
    let slow = world.find();
    world.run_for(millis(10));
    // It does not know yet that it was replaced, but answers.
    world.change("b", |b| b.become_primary(2));
    world.run_for(millis(500));
    assert!(!world.done.contains_key(&slow));
    assert_eq!(world.load("a").0, 1);
}

#[test]
fn nothing_is_interrupted_that_answers_its_monitor() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.change("a", |a| {
        a.script.push_back(Answer::Silence);
        a.deaf_to_probes = true;
    });
    let slow = world.find();
    world.run_for(millis(10));
    world.change("b", |b| b.become_primary(2));
    world.run_for(millis(5));
    world.change("a", |a| a.become_secondary());
    world.run_for(millis(500));
    assert!(!world.done.contains_key(&slow));
}

#[test]
fn nothing_is_interrupted_with_the_option_off() {
    let mut options = options();
    options.interrupt_stale_primary = false;
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    let first = world.insert();
    world.finish(first, millis(50)).unwrap();
    world.change("a", |a| a.mode = Mode::Hang);
    let hung = world.insert();
    world.run_for(millis(50));
    world.change("b", |b| b.become_primary(2));
    world.run_for(millis(5000));
    assert!(!world.done.contains_key(&hung));
    // The monitor's own time-out ends it: maxAwaitTimeMS and connectTimeoutMS.
    world.finish(hung, millis(20_000)).unwrap();
}

#[test]
fn a_full_pool_gives_up_after_the_wait_queue_timeout() {
    let mut options = options();
    options.max_pool_size = 1;
    options.wait_queue_timeout = Some(millis(100));
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Silence));
    world.find();
    world.run_for(millis(10));
    let second = world.find();
    let began = world.now;
    let error = world.finish(second, millis(100)).unwrap_err();
    assert!(matches!(*error.kind, ErrorKind::WaitQueueTimeout { waited_ms: 100, .. }), "{error}");
    assert_eq!(world.now - began, millis(100));
    assert_eq!(world.load("a").0, 1);
    assert_eq!(world.engine.driver().waiting(), 0);
}

#[test]
fn an_operation_ends_at_its_deadline_wherever_it_is() {
    let mut options = options();
    options.max_pool_size = 1;
    options.server_selection_timeout = millis(100);
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Silence));
    let began = world.now;
    let start = |world: &mut World, after| {
        let find = Operation::new(SelectionCriteria::Writable, Retry::Read)
            .with_deadline(Some(began + millis(after)));
        world.start(find, doc! {"find": "c", "$db": "test"})
    };
    // On a connection, longer than any server selection; and behind it in the queue of its pool.
    let running = start(&mut world, 500);
    world.run_for(millis(10));
    let queued = start(&mut world, 400);
    for (id, at) in [(queued, 400), (running, 500)] {
        let error = world.finish(id, millis(1000)).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::Timeout { .. }), "{error}");
        assert_eq!(world.now, began + millis(at));
    }
    assert_eq!(world.load("a"), (0, PoolCounts::default()));
    // Without a server.
    world.change("a", |a| a.become_secondary());
    world.run_for(millis(10));
    let (began, deadline) = (world.now, world.now + millis(50));
    let find = Operation::new(SelectionCriteria::Writable, Retry::Read).with_deadline(Some(deadline));
    let waiting = world.start(find, doc! {"find": "c", "$db": "test"});
    let error = world.finish(waiting, millis(1000)).unwrap_err();
    assert!(
        matches!(&*error.kind, ErrorKind::Timeout { message } if message.contains("no primary")),
        "{error}"
    );
    assert_eq!(world.now - began, millis(50));
}

#[test]
fn a_dropped_operation_closes_its_connection_and_leaves_the_counts_right() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Silence));
    let running = world.find();
    world.run_for(millis(10));
    assert_eq!(world.load("a").1.in_use, 1);
    assert!(world.engine.cancel(world.now, running));
    world.drain();
    assert_eq!(world.load("a"), (0, PoolCounts::default()));
    assert!(world.pool_sockets("a").is_empty());
    // One that waits for a connection: that is opened all the same and kept.
    let waiting = world.find();
    assert!(world.engine.cancel(world.now, waiting));
    world.run_for(millis(10));
    assert_eq!(world.load("a"), (0, PoolCounts { idle: 1, ..PoolCounts::default() }));
    // One that waits for a server.
    world.change("a", |a| a.become_secondary());
    world.run_for(millis(10));
    let waiting = world.find();
    assert_eq!(world.engine.driver().waiting(), 1);
    assert!(world.engine.cancel(world.now, waiting));
    assert!(!world.engine.cancel(world.now, waiting));
    assert_eq!(world.engine.driver().waiting(), 0);
    assert_eq!(world.engine.operations(), 0);
}

#[test]
fn who_waits_for_a_pool_that_is_cleared_is_placed_anew() {
    let mut options = options();
    options.max_pool_size = 1;
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Silence));
    let running = world.insert();
    world.run_for(millis(10));
    let once = Operation::new(SelectionCriteria::Writable, Retry::Never);
    let waiting = world.start(once, doc! {"update": "c", "$db": "test"});
    world.run_for(millis(10));
    world.reset("a");
    world.change("a", |a| {
        a.become_secondary();
        a.mode = Mode::Refuse;
    });
    world.run_for(millis(10));
    assert!(world.done.is_empty());
    world.change("b", |b| b.become_primary(2));
    world.finish(waiting, millis(1000)).unwrap();
    world.finish(running, millis(1000)).unwrap();
    assert_eq!(world.commands("update")[0].server, address("b"));
}

#[test]
fn a_refused_connection_marks_the_server_unknown_at_once() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.servers.get_mut(&address("a")).unwrap().mode = Mode::Refuse;
    let insert = world.insert();
    world.run_for(LATENCY * 2);
    assert_eq!(world.engine.topology().server(&address("a")).unwrap().server_type, ServerType::Unknown);
    world.change("b", |b| b.become_primary(2));
    world.finish(insert, millis(1000)).unwrap();
    assert_eq!(world.commands("insert").len(), 1);
}

#[test]
fn an_overloaded_server_is_asked_again_after_a_pause_and_stays_known() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    let opened = world.opened;
    world.servers.get_mut(&address("a")).unwrap().mode = Mode::Reset;
    let insert = world.insert();
    let began = world.now;
    world.run_until(millis(2000), |world| world.opened >= opened + 3);
    assert_eq!(world.engine.topology().server(&address("a")).unwrap().server_type, ServerType::RsPrimary);
    assert!(world.now - began > LATENCY * 8, "no pause");
    world.servers.get_mut(&address("a")).unwrap().mode = Mode::Up;
    world.finish(insert, millis(2000)).unwrap();
    assert_eq!(world.load("a").0, 0);
}

#[test]
fn an_overloaded_server_is_not_asked_for_ever() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    let opened = world.opened;
    world.servers.get_mut(&address("a")).unwrap().mode = Mode::Reset;
    let insert = world.insert();
    let error = world.finish(insert, millis(10_000)).unwrap_err();
    assert!(error.is_network() && error.contains_label("SystemOverloadedError"), "{error:?}");
    assert_eq!(world.opened - opened, 6);
    assert_eq!(world.engine.driver().waiting(), 0);
}

#[test]
fn a_pause_does_not_outlast_the_deadline() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.servers.get_mut(&address("a")).unwrap().mode = Mode::Reset;
    let deadline = world.now + millis(60);
    let id = world.start(write().with_deadline(Some(deadline)), doc! {"insert": "c", "$db": "test"});
    world.finish(id, millis(60)).unwrap_err();
    assert!(world.now <= deadline);
}

#[test]
fn a_connection_that_dies_idle_is_replaced_without_an_error() {
    let mut world = World::with_options(&NAMES, options());
    let first = world.insert();
    world.finish(first, millis(50)).unwrap();
    let pool = world.pool_sockets("a");
    world.engine.handle_closed(world.now, pool[0]);
    world.drain();
    assert!(world.pool_sockets("a").is_empty());
    let next = world.insert();
    world.finish(next, millis(50)).unwrap();
    assert_eq!(world.commands("insert").len(), 2);
}

#[test]
fn a_promised_connection_that_dies_is_replaced_without_an_error() {
    let mut options = options();
    options.max_pool_size = 1;
    let mut world = World::with_options(&NAMES, options);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Twice));
    let running = world.insert();
    let once = Operation::new(SelectionCriteria::Writable, Retry::Never);
    let waiting = world.start(once, doc! {"update": "c", "$db": "test"});
    world.finish(running, millis(50)).unwrap();
    // What came after the first reply spoils the connection, whether or not the next operation was on it by then.
    world.run_for(millis(50));
    assert_eq!(world.load("a").0, 0);
    assert!(world.done.contains_key(&waiting));
}

#[test]
fn hostile_replies_fail_the_operation_and_close_the_connection() {
    let not_a_reply = {
        let mut bytes = Vec::new();
        quorate_core::raw::DocWriter::new(&mut bytes).str("ok", "yes").finish();
        bytes
    };
    let answers = [Answer::WrongNumber, Answer::Endless, Answer::Raw(not_a_reply)];
    for answer in answers {
        let mut world = World::with_options(&NAMES, options());
        world.settle();
        world.change("a", |a| a.script.push_back(answer.clone()));
        let insert = world.insert();
        let error = world.finish(insert, millis(50)).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::InvalidResponse { .. }), "{answer:?}: {error}");
        assert!(world.pool_sockets("a").is_empty(), "{answer:?}");
        assert_eq!(world.load("a"), (0, PoolCounts::default()), "{answer:?}");
        let next = world.insert();
        world.finish(next, millis(50)).unwrap();
    }
}

#[test]
fn a_truncated_reply_is_a_network_error() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Half));
    let once = Operation::new(SelectionCriteria::Writable, Retry::Never);
    let id = world.start(once, doc! {"update": "c", "$db": "test"});
    let error = world.finish(id, millis(50)).unwrap_err();
    assert!(matches!(&*error.kind, ErrorKind::Io(io) if io.kind == IoErrorKind::Closed), "{error}");
}

#[test]
fn a_message_on_an_idle_connection_closes_it() {
    let mut world = World::with_options(&NAMES, options());
    let first = world.insert();
    world.finish(first, millis(50)).unwrap();
    let pool = world.pool_sockets("a");
    let mut message = Vec::new();
    let empty = quorate_core::raw::RawDoc::EMPTY;
    quorate_core::wire::encode_op_msg(&mut message, 1, 3, quorate_core::wire::Flags::NONE, empty).unwrap();
    world.engine.handle_bytes(world.now, pool[0], &message);
    world.drain();
    assert!(world.pool_sockets("a").is_empty());
    assert_eq!(world.engine.topology().server(&address("a")).unwrap().server_type, ServerType::RsPrimary);
}

#[test]
fn a_hello_that_fails_is_a_failed_check() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.change("b", |b| {
        b.hello.insert("ok", 0);
        b.hello.insert("code", 18);
        b.hello.insert("errmsg", "no");
        b.touch();
    });
    world.run_for(millis(10));
    let b = world.engine.topology().server(&address("b")).unwrap().clone();
    assert_eq!(b.server_type, ServerType::Unknown);
    assert_eq!(b.error.as_ref().and_then(Error::code), Some(18));
    // Its connections are closed, and the next check comes after a heartbeat period.
    assert!(!world.sockets.values().any(|to| *to == address("b")));
    let opened = world.opened;
    world.run_for(millis(9000));
    assert_eq!(world.opened, opened);
}

#[test]
fn a_socket_timeout_ends_the_wait_for_a_reply() {
    let mut engine = EngineOptions::new(options());
    engine.socket_timeout = Some(millis(200));
    let mut world = World::with_engine(&NAMES, engine, 1);
    world.settle();
    world.change("a", |a| a.script.push_back(Answer::Silence));
    let find = Operation::new(SelectionCriteria::Writable, Retry::Never);
    let id = world.start(find, doc! {"find": "c", "$db": "test"});
    let error = world.finish(id, millis(300)).unwrap_err();
    assert!(error.is_network_timeout(), "{error}");
    // A slow reply says nothing of the server (SDAM specification, "Why don't timeouts mark the server unknown").
    assert_eq!(world.engine.topology().server(&address("a")).unwrap().server_type, ServerType::RsPrimary);
}

#[test]
fn idle_deadlines_of_connections_in_use_are_forgotten() {
    let mut options = options();
    options.max_idle_time = Some(millis(100));
    let mut world = World::with_options(&NAMES, options);
    let first = world.insert();
    world.finish(first, millis(50)).unwrap();
    world.run_for(millis(90));
    world.change("a", |a| a.script.push_back(Answer::Silence));
    world.find();
    // `World::turn` checks that no deadline is given twice.
    world.run_for(millis(500));
    assert_eq!(world.load("a").1.in_use, 1);
}

#[test]
fn a_handshake_that_the_server_ends_by_an_error_is_no_answer_to_the_operation() {
    let mut world = World::with_options(&NAMES, options());
    world.settle();
    world.change("a", |a| {
        a.hello.insert("ok", 0);
        a.hello.insert("code", 9001);
    });
    let insert = world.insert();
    world.run_for(millis(50));
    assert!(!world.done.contains_key(&insert), "{:?}", world.done[&insert]);
    world.change("a", |a| {
        a.hello.remove("ok");
        a.hello.remove("code");
        a.touch();
    });
    world.finish(insert, millis(2_000)).unwrap();
    assert_eq!(world.commands("insert").len(), 1);
}
