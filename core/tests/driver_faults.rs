//! Random faults, long enough for every path: what must hold whatever happens.
//!
//! [`World::turn`] checks at every step that no deadline is given again once it has passed, that no bytes go to a connection
//! that was closed, that nothing is opened, closed or reported done twice.
//!
//! `QUORATE_SEEDS=10000` plays longer.

mod common;

use bson::doc;
use common::{Answer, Arrival, Mode, World, address, millis};
use quorate_core::Rng;
use quorate_core::driver::{DriverOptions, Operation};
use quorate_core::engine::{EngineOptions, OperationId};
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use quorate_core::{ReadPreference, ReadPreferenceMode};
use std::collections::BTreeSet;

const NAMES: [&str; 3] = ["a", "b", "c"];

fn options(rng: &mut Rng) -> EngineOptions {
    let seeds = NAMES.iter().take(1 + rng.below(3)).map(|name| address(name)).collect();
    let mut driver = DriverOptions::new(seeds);
    driver.max_pool_size = [0, 1, 2, 5][rng.below(4)];
    driver.min_pool_size = rng.below(2) as u32;
    driver.max_idle_time = [None, Some(millis(50)), Some(millis(2000))][rng.below(3)];
    driver.wait_queue_timeout = [None, Some(millis(100))][rng.below(2)];
    driver.server_selection_timeout = millis([100, 3000, 30_000][rng.below(3)]);
    driver.connect_timeout = millis([300, 10_000][rng.below(2)]);
    driver.retry_writes = rng.below(5) != 0;
    driver.interrupt_stale_primary = rng.below(5) != 0;
    let mut options = EngineOptions::new(driver);
    // Without it, an answer that never comes is waited for for ever.
    options.socket_timeout = Some(millis([50, 5000][rng.below(2)]));
    options
}

fn start(world: &mut World, rng: &mut Rng) -> OperationId {
    let retry = [Retry::Never, Retry::Read, Retry::Write][rng.below(3)];
    let criteria = if rng.below(3) == 0 {
        ReadPreference::new(ReadPreferenceMode::SecondaryPreferred).into()
    } else {
        SelectionCriteria::Writable
    };
    let mut operation = Operation::new(criteria, retry);
    if rng.below(8) == 0 {
        operation = operation.unacknowledged();
    }
    if rng.below(4) == 0 {
        operation = operation.with_deadline(Some(world.now + millis(rng.below(3000) as u64)));
    }
    world.start(operation, doc! {"insert": "c", "$db": "test"})
}

fn answer(rng: &mut Rng) -> Answer {
    match rng.below(12) {
        0 => Answer::Silence,
        1 => Answer::Drop,
        2 => Answer::WrongNumber,
        3 => Answer::Endless,
        4 => Answer::Twice,
        5 => Answer::Half,
        6 => Answer::Raw(doc_bytes()),
        7 => Answer::Fail(91, &["RetryableWriteError"]),
        8 => Answer::Fail(189, &[]),
        9 => Answer::Fail(262, &["RetryableWriteError", "NoWritesPerformed"]),
        10 => Answer::Fail(11000, &[]),
        _ => Answer::Reply(doc! {"writeConcernError": {"code": 91}, "errorLabels": ["RetryableWriteError"]}),
    }
}

fn doc_bytes() -> Vec<u8> {
    bson::serialize_to_vec(&doc! {"no": "ok"}).unwrap()
}

/// One thing goes wrong, or right again.
fn fault(world: &mut World, rng: &mut Rng) {
    let name = NAMES[rng.below(3)];
    match rng.below(8) {
        0 => {
            let mode = [Mode::Up, Mode::Refuse, Mode::Hang, Mode::Reset, Mode::Vanish][rng.below(5)];
            world.change(name, |server| server.mode = mode);
        }
        1 => world.change(name, |server| server.mode = Mode::Up),
        2 => world.reset(name),
        3 => world.change(name, |server| server.become_secondary()),
        4 => elect(world, name, rng),
        5 => {
            let answer = answer(rng);
            world.change(name, |server| server.script.push_back(answer));
        }
        6 => {
            let sockets: Vec<_> = world.sockets.keys().copied().collect();
            if !sockets.is_empty() {
                world.later(millis(0), Arrival::Closed(sockets[rng.below(sockets.len())]));
            }
        }
        // A server that forgets who it is, or says that it is not well.
        _ => world.change(name, |server| {
            if server.hello.contains_key("ok") {
                server.hello.remove("ok");
                server.hello.remove("code");
            } else {
                server.hello.insert("ok", 0);
                server.hello.insert("code", 18);
            }
            server.touch();
        }),
    }
}

fn elect(world: &mut World, name: &str, rng: &mut Rng) {
    let election = world
        .servers
        .values()
        .filter_map(|server| server.hello.get_object_id("electionId").ok())
        .map(|id| id.bytes()[0])
        .max();
    let election = election.unwrap_or(1).max(rng.below(50) as u8).saturating_add(1);
    world.change(name, |server| server.become_primary(election));
}

fn check(world: &World) {
    let max = world.engine.driver().options().max_pool_size;
    for address in world.engine.topology().servers.keys() {
        let counts = world.engine.driver().pool_counts(address).unwrap();
        assert!(max == 0 || counts.total() <= max, "{counts:?}");
        let count = world.engine.driver().operation_count(address).unwrap();
        assert_eq!(count as usize, counts.waiting + counts.in_use as usize, "{counts:?} at {:?}", world.now);
    }
    assert_eq!(world.sockets.len(), world.opened - world.closed);
}

fn heal(world: &mut World) {
    for name in NAMES {
        world.change(name, |server| {
            server.mode = Mode::Up;
            server.script.clear();
            server.hello.remove("ok");
            server.become_secondary();
        });
    }
    world.change("a", |server| server.become_primary(200));
    // A hang that is over leaves hellos unanswered, and their monitors wait as long as they may.
    NAMES.iter().for_each(|name| world.reset(name));
}

fn play(seed: u64) {
    let mut rng = Rng::new(seed);
    let options = options(&mut rng);
    let mut world = World::with_engine(&NAMES, options, rng.next_u64());
    let mut started = BTreeSet::new();
    for _ in 0..150 {
        match rng.below(4) {
            0 => fault(&mut world, &mut rng),
            1 if !started.is_empty() && rng.below(3) == 0 => {
                let all: Vec<OperationId> = started.iter().copied().collect();
                let id = all[rng.below(all.len())];
                if world.engine.cancel(world.now, id) {
                    started.remove(&id);
                }
                // Outputs may be taken late.
                if rng.below(2) == 0 {
                    world.drain();
                }
            }
            _ => drop(started.insert(start(&mut world, &mut rng))),
        }
        if rng.below(2) == 0 {
            let time = [0, 1, 3, 30, 700][rng.below(5)];
            world.run_for(millis(time));
            check(&world);
        }
    }
    heal(&mut world);
    world.run_for(millis(40_000));
    check(&world);
    for id in &started {
        assert!(world.done.contains_key(id), "{id:?} is still waiting");
    }
    assert_eq!((world.engine.operations(), world.engine.driver().waiting()), (0, 0));
    for name in NAMES {
        let (operations, counts) = world.load(name);
        assert_eq!((operations, counts.in_use), (0, 0), "{name}");
        // With minPoolSize connections come and go.
        assert!(counts.pending == 0 || world.engine.driver().options().min_pool_size > 0, "{name}");
    }
    // It works again.
    let last = world.insert();
    world.finish(last, millis(20)).unwrap();
    world.engine.shutdown(world.now);
    world.drain();
    assert!(world.sockets.is_empty());
    assert_eq!((world.opened, world.engine.poll_timeout()), (world.closed, None));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long to play is for whoever runs it to say")]
fn whatever_happens_everything_ends_and_adds_up() {
    let seeds = std::env::var("QUORATE_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    for seed in 0..seeds {
        let played = std::panic::catch_unwind(|| play(seed));
        assert!(played.is_ok(), "seed {seed}");
    }
}

#[test]
fn the_same_seed_plays_the_same() {
    let run = || {
        let mut rng = Rng::new(5);
        let options = options(&mut rng);
        let mut world = World::with_engine(&NAMES, options, 5);
        for _ in 0..60 {
            fault(&mut world, &mut rng);
            start(&mut world, &mut rng);
            world.run_for(millis(40));
        }
        (world.opened, format!("{:?} {:?}", world.received, world.done))
    };
    assert!(run() == run());
}
