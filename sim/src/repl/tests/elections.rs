//! Who becomes primary, and when. The figures are those of a real set of 6.0.5.

use super::net::{Net, host, ms, ordinary, secs};
use crate::repl::{Config, MemberConfig, MemberState, Output};
use bson::doc;
use quorate_core::concern::WriteConcern;
use std::time::Duration;

/// From `start` until a write to a majority has been acknowledged by another than `old`.
fn time_to_majority(net: &mut Net, old: usize) -> (Duration, Duration) {
    let start = net.now;
    net.wait(secs(60), "a new primary", |net| net.primary().is_some_and(|p| p != old));
    let writable = net.now - start;
    let primary = net.primary().unwrap();
    let (waiter, _) = net.write(primary, 1, &WriteConcern::majority());
    net.wait(secs(30), "a majority", |net| net.waited.contains_key(&waiter));
    assert_eq!(net.waited[&waiter].1, Ok(()));
    (writable, net.now - start)
}

fn mean(times: &[Duration]) -> f64 {
    times.iter().map(Duration::as_secs_f64).sum::<f64>() / times.len() as f64
}

#[test]
fn a_set_elects_a_primary_within_an_election_timeout() {
    let mut net = Net::new(1, ordinary(3));
    let time = net.wait(secs(12), "a primary", |net| net.primary().is_some());
    assert!(time >= secs(10), "{time:?}");
}

#[test]
fn a_killed_primary_is_replaced_after_an_election_timeout() {
    // Measured: writable after 10.05 to 10.16 s, majority after 11.0 s.
    let mut majority = Vec::new();
    for seed in 0..30 {
        let mut net = Net::elected(seed, ordinary(3));
        let pause = net.rng.below(9_000) as u64;
        net.run(ms(pause));
        net.crash(0);
        let (writable, whole) = time_to_majority(&mut net, 0);
        assert!(writable > secs(5) && writable < secs(13), "{writable:?}");
        assert!(whole < secs(14), "{whole:?}");
        majority.push(whole);
    }
    let mean = mean(&majority);
    assert!((9.0..12.0).contains(&mean), "{mean}");
}

#[test]
fn a_hung_primary_costs_its_heartbeats_time_out_too() {
    // Measured: 10 to 23 s.
    let mut times = Vec::new();
    for seed in 0..30 {
        let mut net = Net::elected(seed, ordinary(3));
        let pause = net.rng.below(9_000) as u64;
        net.run(ms(pause));
        net.hang(0);
        let (_, whole) = time_to_majority(&mut net, 0);
        assert!(whole > secs(5) && whole < secs(27), "{whole:?}");
        times.push(whole);
        net.resume(0);
        net.wait(secs(5), "the old primary steps down", |net| net.is(0, MemberState::Secondary));
    }
    println!("hung primary: {:.1} s on average", mean(&times));
}

#[test]
fn a_step_down_hands_over_in_a_second() {
    // Measured: writable after 12 to 26 ms, majority after 0.02 or 1.0 s.
    for seed in 0..30 {
        let mut net = Net::elected(seed, ordinary(3));
        let pause = net.rng.below(5_000) as u64;
        net.run(ms(pause));
        let call = net.command(0, doc! { "replSetStepDown": 10, "secondaryCatchUpPeriodSecs": 5 });
        let (writable, whole) = time_to_majority(&mut net, 0);
        assert_eq!(net.answered[&call].1, doc! { "ok": 1.0 });
        assert!(writable < ms(60), "{writable:?}");
        assert!(whole < ms(1_300), "{whole:?}");
        let kinds = [net.outputs.iter().any(|(i, o)| *i == 0 && matches!(o, Output::KillOperations))];
        assert_eq!(kinds, [true]);
        assert!(!net.outputs.iter().any(|(_, output)| matches!(output, Output::CloseConnections)));
    }
}

#[test]
fn a_primary_without_a_majority_steps_down_after_an_election_timeout() {
    // Measured: 9.99 s.
    let mut net = Net::elected(3, ordinary(3));
    net.crash(1);
    net.crash(2);
    let time = net.wait(secs(20), "it steps down", |net| net.is(0, MemberState::Secondary));
    assert!(time > secs(5) && time < ms(10_100), "{time:?}");
}

#[test]
fn the_dead_give_no_sign_of_life_through_others() {
    let mut net = Net::elected(3, ordinary(5));
    net.ask(2, doc! { "replSetFreeze": 1_000 });
    net.cut.insert((0, 2));
    for _ in 0..40 {
        net.write(0, 1, &WriteConcern::nodes(1));
        net.run(secs(1));
    }
    // Member 2 replicates through another, which lives on.
    let through = net.members[2].sync_source().cloned().expect("a source");
    let relay = (0..5).find(|i| host(*i) == through).unwrap();
    (1..5).filter(|i| *i != relay).for_each(|i| net.hang(i));
    net.wait(secs(21), "it steps down", |net| net.is(0, MemberState::Secondary));
}

#[test]
fn the_member_of_highest_priority_takes_over() {
    // Measured: 10.7 s.
    let members = vec![MemberConfig::new(0, host(0)), MemberConfig::new(1, host(1)).priority(2.0), {
        MemberConfig::new(2, host(2))
    }];
    let mut net = Net::new(9, members);
    net.run(secs(1));
    net.command(0, doc! { "replSetStepUp": 1 });
    let time = net.wait(secs(20), "member 1 takes over", |net| net.primary() == Some(1));
    assert!(time > secs(8) && time < secs(14), "{time:?}");
    net.run(secs(60));
    assert_eq!(net.primary(), Some(1));
}

#[test]
fn those_who_may_not_be_elected_are_not() {
    let m = |i: usize| MemberConfig::new(i as i32, host(i));
    let members = vec![m(0), m(1).priority(0.0), m(2).hidden(), m(3).arbiter(), m(4).non_voting()];
    let mut net = Net::elected(4, members);
    net.crash(0);
    net.run(secs(120));
    assert_eq!(net.primary(), None);
    assert!(net.is(3, MemberState::Arbiter));
    net.start(0);
    net.wait(secs(20), "the only candidate is back", |net| net.primary() == Some(0));
}

#[test]
fn an_arbiter_makes_a_majority() {
    let m = |i: usize| MemberConfig::new(i as i32, host(i));
    let mut net = Net::elected(4, vec![m(0), m(1), m(2).arbiter()]);
    net.crash(0);
    net.wait(secs(14), "the other one", |net| net.primary() == Some(1));
}

#[test]
fn a_set_of_one_is_its_own_primary_at_once() {
    let mut net = Net::new(1, ordinary(1));
    assert_eq!(net.primary(), Some(0));
    net.crash(0);
    net.start(0);
    net.wait(secs(1), "again", |net| net.primary() == Some(0));
    net.ask(0, doc! { "replSetStepDown": 2, "force": true });
    assert_eq!(net.primary(), None);
    net.wait(ms(2_100), "after its time", |net| net.primary() == Some(0));
}

#[test]
fn a_new_primary_catches_up_with_what_others_have() {
    let mut net = Net::elected(8, ordinary(5));
    // Only member 1 gets the last writes, and another is elected.
    net.cut.extend([0, 1].into_iter().flat_map(|a| [2, 3, 4].map(|b| (a, b))));
    let (_, optime) = net.write(0, 3, &WriteConcern::nodes(1));
    net.run(ms(50));
    assert_eq!(net.members[1].last_applied(), optime);
    net.crash(0);
    net.heal();
    net.ask(2, doc! { "replSetStepUp": 1 });
    assert!(net.is(2, MemberState::Primary) && net.members[2].last_applied() < optime);
    net.wait(secs(3), "catch-up", |net| net.primary() == Some(2));
    assert!(net.stores[2].iter().any(|entry| entry.optime == optime));
    assert!(!net.outputs.iter().any(|(_, output)| matches!(output, Output::RollBackTo(_))));
}

#[test]
fn an_isolated_primary_rolls_back_what_no_majority_had() {
    let mut net = Net::elected(8, ordinary(3));
    net.isolate(0);
    let (lost, gone) = net.write(0, 5, &WriteConcern::majority());
    net.wait(secs(25), "a new primary", |net| net.primary().is_some_and(|p| p != 0));
    let primary = net.primary().unwrap();
    let (kept, _) = net.write(primary, 1, &WriteConcern::majority());
    net.wait(secs(20), "acknowledged", |net| net.waited.contains_key(&kept));
    assert_eq!(net.waited[&lost].1.as_ref().unwrap_err().code, 11602);
    net.heal();
    net.wait(secs(20), "ROLLBACK", |net| net.is(0, MemberState::Rollback));
    net.wait(secs(20), "SECONDARY", |net| net.is(0, MemberState::Secondary));
    net.wait(secs(20), "the same log", |net| {
        net.members[0].last_applied() == net.members[primary].last_applied()
    });
    assert!(net.stores[0].iter().all(|entry| entry.optime != gone));
    assert!(net.outputs.iter().any(|(i, output)| *i == 0 && matches!(output, Output::CloseConnections)));
}

#[test]
fn an_orderly_end_hands_over_first() {
    let mut net = Net::elected(2, ordinary(3));
    net.members[0].handle_shutdown(net.now);
    net.drain(0);
    let (writable, _) = time_to_majority(&mut net, 0);
    assert!(writable < ms(60), "{writable:?}");
    assert!(net.members[0].is_quiescing());
    let time = net.wait(secs(16), "it ends", |net| !net.up[0]);
    assert!(time > secs(13), "{time:?}");
    net.start(0);
    net.wait(secs(5), "it is back", |net| net.is(0, MemberState::Secondary));
}

#[test]
fn elections_go_by_the_configured_time_out() {
    let mut config = Config::new("rs", ordinary(3));
    config.settings.election_timeout = ms(1_000);
    let mut net = Net::with(6, config, 0);
    net.wait(ms(1_200), "a primary", |net| net.primary().is_some());
    net.run(secs(3));
    let old = net.primary().unwrap();
    net.crash(old);
    let (writable, _) = time_to_majority(&mut net, old);
    assert!(writable < ms(2_500), "{writable:?}");
}

#[test]
fn an_election_timeout_as_short_as_the_time_between_heartbeats_unseats_nobody() {
    for seed in 0..10 {
        let mut config = Config::new("rs", ordinary(3));
        config.settings.election_timeout = config.settings.heartbeat_interval;
        let mut net = Net::with(seed, config, 0);
        net.wait(secs(30), "a primary", |net| net.primary().is_some());
        net.run(secs(10));
        let before = (net.primary(), net.members[0].term());
        net.run(secs(300));
        assert_eq!((net.primary(), net.members[0].term()), before, "{}", net.tail());
    }
}
