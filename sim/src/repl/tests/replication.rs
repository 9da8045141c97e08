//! How writes spread, and what waits for them.

use super::net::{Net, host, ms, ordinary, secs};
use crate::repl::{Config, MemberConfig, MemberState};
use bson::doc;
use quorate_core::concern::WriteConcern;

fn timed(w: u32, timeout: u64) -> WriteConcern {
    WriteConcern { w_timeout: Some(ms(timeout)), ..WriteConcern::nodes(w) }
}

#[test]
fn a_majority_write_takes_a_few_round_trips() {
    let mut net = Net::elected(1, ordinary(3));
    let (waiter, optime) = net.write(0, 1, &WriteConcern::majority());
    let time = net.wait(secs(1), "a majority", |net| net.waited.contains_key(&waiter));
    assert!(time < ms(10), "{time:?}");
    assert_eq!(net.members[0].commit_point(), optime);
    net.run(ms(5));
    // The commit point travels at once, not with the next write.
    assert!((0..3).all(|i| net.members[i].commit_point() == optime));
}

#[test]
fn one_member_is_enough_for_w_1_and_the_journal_is_not_asked() {
    let mut net = Net::elected(1, ordinary(3));
    let (waiter, optime) = net.write(0, 1, &WriteConcern::nodes(1));
    assert!(net.waited.contains_key(&waiter));
    assert!(net.members[0].last_durable() < optime);
    let journaled = WriteConcern { journal: Some(true), ..WriteConcern::nodes(1) };
    let (waiter, optime) = net.write(0, 1, &journaled);
    assert!(!net.waited.contains_key(&waiter));
    net.run(ms(2));
    assert_eq!(net.waited[&waiter].1, Ok(()));
    assert_eq!(net.members[0].last_durable(), optime);
}

#[test]
fn the_journal_is_written_every_100_ms_anyway() {
    let mut net = Net::elected(1, ordinary(3));
    net.isolate(0);
    let (_, optime) = net.write(0, 1, &WriteConcern::nodes(1));
    net.run(ms(99));
    assert!(net.members[0].last_durable() < optime);
    net.run(ms(3));
    assert_eq!(net.members[0].last_durable(), optime);
}

#[test]
fn a_crash_loses_what_was_not_journaled() {
    let mut net = Net::elected(1, ordinary(1));
    net.run(secs(1));
    let journaled = net.members[0].last_durable();
    net.write(0, 3, &WriteConcern::nodes(1));
    net.crash(0);
    assert_eq!(net.members[0].last_applied(), journaled);
}

#[test]
fn wtimeout_is_reported_as_the_server_does() {
    let mut net = Net::elected(1, ordinary(3));
    net.crash(2);
    let (waiter, _) = net.write(0, 1, &timed(3, 250));
    let time = net.wait(secs(1), "the time-out", |net| net.waited.contains_key(&waiter));
    assert_eq!(time, ms(250));
    let end = net.waited[&waiter].1.clone().unwrap_err();
    assert_eq!(
        end.write_concern_error(),
        doc! {
            "code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out",
            "errInfo": { "wtimeout": true, "writeConcern": { "w": 3, "wtimeout": 250, "provenance": "clientSupplied" } },
        }
    );
    // Enough members before the time is over: no time-out.
    let (waiter, _) = net.write(0, 1, &timed(2, 250));
    net.run(ms(300));
    assert_eq!(net.waited[&waiter].1, Ok(()));
}

#[test]
fn an_operations_own_deadline_ends_its_wait() {
    let mut net = Net::elected(1, ordinary(3));
    net.crash(2);
    let optime = net.members[0].last_applied();
    let end = net.now + ms(70);
    net.members[0].wait_for(net.now, 99, optime, &WriteConcern::nodes(3), Some(end));
    net.drain(0);
    net.run(ms(1));
    // Everybody had that one already.
    assert_eq!(net.waited[&99].1, Ok(()));
    let (_, optime) = net.write(0, 1, &WriteConcern::nodes(1));
    net.members[0].wait_for(net.now, 100, optime, &WriteConcern::nodes(3), Some(net.now + ms(70)));
    net.drain(0);
    net.run(ms(80));
    assert_eq!(net.waited[&100].1.as_ref().unwrap_err().code, 50);
}

#[test]
fn what_cannot_be_is_said_at_once() {
    let mut net = Net::elected(1, ordinary(3));
    let (waiter, _) = net.write(0, 1, &WriteConcern::nodes(4));
    let end = net.waited[&waiter].1.clone().unwrap_err();
    assert_eq!((end.code, end.message.as_str()), (100, "Not enough data-bearing nodes"));
    let (waiter, _) = net.write(0, 1, &WriteConcern::custom("nope"));
    let end = net.waited[&waiter].1.clone().unwrap_err();
    let text = "No write concern mode named 'nope' found in replica set configuration";
    assert_eq!((end.code, end.code_name, end.message.as_str()), (79, "UnknownReplWriteConcern", text));
}

#[test]
fn tag_modes_count_values() {
    let m = |i: usize, dc: &str| MemberConfig::new(i as i32, host(i)).tag("dc", dc);
    let mut config = Config::new("rs", vec![m(0, "a"), m(1, "a"), m(2, "b")]);
    config.settings.modes.insert("both".into(), [("dc".to_string(), 2)].into());
    let mut net = Net::with(4, config, 0);
    net.run(secs(1));
    net.command(0, doc! { "replSetStepUp": 1 });
    net.run(secs(4));
    net.crash(2);
    let (waiter, _) = net.write(0, 1, &WriteConcern::custom("both"));
    net.run(secs(5));
    assert!(!net.waited.contains_key(&waiter));
    net.start(2);
    net.wait(secs(10), "the other data centre", |net| net.waited.contains_key(&waiter));
    assert_eq!(net.waited[&waiter].1, Ok(()));
}

#[test]
fn waits_end_with_the_step_down() {
    let mut net = Net::elected(1, ordinary(3));
    net.crash(2);
    let (waiter, _) = net.write(0, 1, &WriteConcern::nodes(3));
    net.run(secs(1));
    net.ask(0, doc! { "replSetStepDown": 10 });
    let end = net.waited[&waiter].1.clone().unwrap_err();
    assert_eq!((end.code, end.message.as_str()), (11602, "operation was interrupted"));
    assert!(end.write_concern_error().get_document("errInfo").unwrap().contains_key("writeConcern"));
}

#[test]
fn a_delayed_member_stays_behind() {
    let m = |i: usize| MemberConfig::new(i as i32, host(i));
    let mut net = Net::elected(1, vec![m(0), m(1), m(2).delayed(secs(7))]);
    net.run(secs(20));
    let (waiter, optime) = net.write(0, 1, &WriteConcern::nodes(3));
    let time = net.wait(secs(10), "the delayed member", |net| net.members[2].last_applied() >= optime);
    assert!(time > ms(5_900) && time < ms(7_100), "{time:?}");
    net.run(ms(10));
    assert_eq!(net.waited[&waiter].1, Ok(()));
}

#[test]
fn a_lagging_member_catches_up_when_the_lag_ends() {
    let mut net = Net::elected(1, ordinary(3));
    net.members[2].timing_mut().replication_lag = secs(3);
    for _ in 0..50 {
        net.write(0, 20, &WriteConcern::majority());
        net.run(ms(100));
    }
    assert!(net.members[2].last_applied() < net.members[0].last_applied());
    net.members[2].timing_mut().replication_lag = secs(0);
    net.run(secs(4));
    assert_eq!(net.members[2].last_applied(), net.members[0].last_applied());
}

#[test]
fn a_member_that_fell_out_of_the_log_takes_a_copy() {
    let mut net = Net::elected(1, ordinary(3));
    net.members.iter_mut().for_each(|member| member.timing_mut().log_capacity = 50);
    net.crash(2);
    for _ in 0..30 {
        net.write(0, 10, &WriteConcern::majority());
        net.run(ms(20));
    }
    assert!(net.members[0].log().count() <= 60);
    net.start(2);
    net.wait(secs(15), "it has everything", |net| {
        net.is(2, MemberState::Secondary) && net.members[2].last_applied() == net.members[0].last_applied()
    });
    assert_eq!(net.stores[2].len(), net.stores[0].len());
}

#[test]
fn an_idle_set_writes_now_and_then_and_does_little_else() {
    let mut net = Net::elected(1, ordinary(3));
    net.run(secs(30));
    let (before, steps) = (net.members[0].last_applied(), net.steps);
    net.run(secs(60));
    assert!(net.members[0].last_applied().ts.time - before.ts.time >= 50);
    let each = (net.steps - steps) / 60;
    assert!(each < 40, "{each} steps a second");
}

#[test]
fn memory_stays_bounded() {
    let mut net = Net::elected(1, ordinary(3));
    net.members.iter_mut().for_each(|member| member.timing_mut().log_capacity = 100);
    for _ in 0..300 {
        net.write(0, 5, &WriteConcern::majority());
        net.run(ms(50));
    }
    for member in &net.members {
        assert!(member.log().count() <= 120, "{}", member.log().count());
    }
}
