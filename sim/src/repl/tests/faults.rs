//! Many seeds of crashes, hangs, partitions, step-downs and writes; [`Net`] checks at every step what must always hold, and at the
//! end that nothing acknowledged is missing.

use super::net::{Net, host, ms, ordinary, secs};
use crate::repl::{Config, MemberConfig};
use bson::doc;
use quorate_core::concern::{OpTime, WriteConcern};
use std::collections::BTreeMap;

/// Shapes of sets, by seed.
fn shape(seed: u64) -> Vec<MemberConfig> {
    let m = |i: usize| MemberConfig::new(i as i32, host(i));
    match seed % 6 {
        0 | 1 => ordinary(3),
        2 => ordinary(5),
        3 => vec![m(0), m(1), m(2).arbiter()],
        4 => vec![m(0).priority(2.0), m(1), m(2), m(3).hidden(), m(4).non_voting()],
        _ => vec![m(0), m(1), m(2), m(3).delayed(secs(5)).non_voting()],
    }
}

fn fault(net: &mut Net) {
    let n = net.members.len();
    let i = net.rng.below(n);
    match net.rng.below(12) {
        0 | 1 => net.crash(i),
        2..=4 => (0..n).for_each(|i| net.start(i)),
        5 => net.isolate(i),
        6 => {
            let j = net.rng.below(n);
            if i != j {
                net.cut.insert((i.min(j), i.max(j)));
            }
        }
        7 | 8 => net.heal(),
        9 => net.hang(i),
        10 => (0..n).for_each(|i| net.resume(i)),
        _ => {
            if let Some(p) = net.primary() {
                let force = net.rng.below(2) == 0;
                net.command(
                    p,
                    doc! { "replSetStepDown": 15, "secondaryCatchUpPeriodSecs": 2, "force": force },
                );
            }
        }
    }
}

fn work(net: &mut Net, waiting: &mut BTreeMap<u64, OpTime>) {
    for i in 0..net.members.len() {
        if net.up[i] && !net.hung[i] && net.members[i].is_writable_primary() && net.rng.below(3) > 0 {
            let mut concern = WriteConcern::majority();
            concern.w_timeout = Some(secs(5));
            let count = 1 + net.rng.below(4);
            let (waiter, optime) = net.write(i, count, &concern);
            waiting.insert(waiter, optime);
        }
    }
}

fn search(seed: u64) -> (usize, u64) {
    let mut config = Config::new("rs", shape(seed));
    config.settings.election_timeout = secs(if seed.is_multiple_of(2) { 10 } else { 2 });
    let mut net = Net::with(seed, config, 0);
    if seed.is_multiple_of(7) {
        // So short a log that members fall out of it.
        net.members.iter_mut().for_each(|member| member.timing_mut().log_capacity = 20);
    }
    net.latency = ms([1, 1, 20, 150][net.rng.below(4)]);
    let mut waiting = BTreeMap::new();
    for _ in 0..120 {
        if net.rng.below(4) == 0 {
            fault(&mut net);
        }
        work(&mut net, &mut waiting);
        let pause = 50 + net.rng.below(2_000) as u64;
        net.run(ms(pause));
    }
    let last = settle(&mut net);
    assert!(net.waiting.is_empty(), "seed {seed}: waits without an end: {:?}", net.waiting);
    let mut acknowledged = 0;
    for (waiter, optime) in &waiting {
        // Waits on a process that was killed have no end.
        if net.waited.get(waiter).is_some_and(|(_, result)| result.is_ok()) {
            acknowledged += 1;
            for store in data_stores(&net) {
                let found = store.binary_search_by_key(optime, |entry| entry.optime).is_ok();
                assert!(found, "seed {seed}: acknowledged and missing: {optime:?}\n{}", net.tail());
            }
        }
    }
    for optime in net.committed.range(..=last) {
        for store in data_stores(&net) {
            assert!(store.binary_search_by_key(optime, |entry| entry.optime).is_ok(), "seed {seed}");
        }
    }
    (acknowledged, net.steps)
}

fn data_stores(net: &Net) -> impl Iterator<Item = &Vec<crate::oplog::SharedEntry>> {
    net.stores.iter().enumerate().filter_map(|(i, store)| {
        let arbiter = net.members[i].member_config().is_some_and(|of| of.arbiter_only);
        (!arbiter).then_some(store)
    })
}

/// All is well again: there must be a primary soon, and everybody comes to the same end.
fn settle(net: &mut Net) -> OpTime {
    net.heal();
    for i in 0..net.members.len() {
        net.resume(i);
        net.start(i);
    }
    // On a slow network two candidates may get in each other's way a few times.
    for _ in 0..5 {
        net.run(secs(30));
        net.wait(secs(60), "a primary once all is well", |net| net.primary().is_some());
        let Some(primary) = net.primary() else { continue };
        let (_, last) = net.write(primary, 1, &WriteConcern::majority());
        net.run(secs(15));
        let together = (0..net.members.len()).all(|i| {
            let arbiter = net.members[i].member_config().is_some_and(|of| of.arbiter_only);
            arbiter || (net.members[i].last_applied() >= last && net.members[i].commit_point() >= last)
        });
        if together {
            return last;
        }
    }
    panic!("they do not come to the same end\n{}", net.tail());
}

#[test]
fn what_must_hold_holds_under_faults() {
    let (mut acknowledged, mut steps) = (0, 0);
    for seed in 0..200 {
        let (more, stepped) = search(seed);
        acknowledged += more;
        steps += stepped;
    }
    // The search is of no use if the set never works.
    assert!(acknowledged > 4_000, "{acknowledged}");
    println!("{acknowledged} acknowledged writes, {steps} steps");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = || {
        let mut net = Net::elected(5, ordinary(3));
        net.crash(0);
        net.run(secs(30));
        net.start(0);
        net.run(secs(10));
        (net.trace, net.steps)
    };
    assert_eq!(trace(), trace());
}
