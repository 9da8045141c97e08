//! The loop: tasks, time, and what is wrong with a run that does not end.

use super::*;
use futures::FutureExt;
use futures::io::AsyncReadExt;
use quorate::Runtime;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn sleeps_end_on_time_and_in_order() {
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    let order = Arc::new(Mutex::new(Vec::new()));
    for millis in [30, 10, 20, 10] {
        let (runtime, order) = (runtime.clone(), order.clone());
        runtime.clone().spawn(async move {
            runtime.sleep(ms(millis)).await;
            order.lock().unwrap().push((millis, runtime.now() - START));
        });
    }
    world.run_for(ms(100));
    assert_eq!(*order.lock().unwrap(), [10, 10, 20, 30].map(|millis| (millis, ms(millis))));
}

#[test]
fn hours_take_no_time() {
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(runtime.sleep(Duration::from_secs(20 * 3600)));
    assert_eq!(world.now() - START, Duration::from_secs(20 * 3600));
}

#[test]
fn a_run_that_waits_for_nothing_says_so() {
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    let stuck = world
        .run_until(async {
            let mut stream = runtime.connect(address()).await.unwrap();
            stream.read(&mut [0; 1]).await
        })
        .unwrap_err();
    assert_eq!(stuck.reason, StuckReason::NothingWillHappen);
    assert!(stuck.to_string().contains("app -> server #1: open"), "{stuck}");
    world.set_time_limit(ms(50));
    let stuck = world.run_until(runtime.sleep(ms(60))).unwrap_err();
    assert_eq!(stuck.reason, StuckReason::TimeLimit(ms(50)));
    let stuck = world.run_until(std::future::poll_fn::<(), _>(|cx| {
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }));
    assert_eq!(stuck.unwrap_err().reason, StuckReason::TimeStandsStill);
}

#[test]
fn actions_come_at_their_time() {
    let (world, app, node) = echo_world(1);
    world.at(START + ms(10), move |world| world.kill(node));
    world.at(START + ms(20), move |world| world.start(node));
    world.block_on(world.runtime(app).sleep(ms(15)));
    assert_eq!(world.state(node), ProcessState::Down);
    world.run_for(ms(10));
    assert_eq!(world.state(node), ProcessState::Running);
}

#[test]
#[should_panic(expected = "await the future instead")]
fn a_world_is_not_run_by_its_own_task() {
    let (world, _, _) = echo_world(1);
    world.block_on(async { world.run_for(ms(1)) });
}

#[test]
fn the_order_of_tasks_can_be_drawn() {
    let order = |seed, shuffle| {
        let world = World::<Echo>::new(WorldOptions { shuffle, ..WorldOptions::new(seed) });
        let runtime = world.runtime(world.add_host("app"));
        let order = Arc::new(Mutex::new(Vec::new()));
        for i in 0..10 {
            let order = order.clone();
            runtime.spawn(async move { order.lock().unwrap().push(i) });
        }
        world.run_for(ms(1));
        order.lock().unwrap().clone()
    };
    assert!(order(1, false).is_sorted());
    assert_eq!(order(1, true), order(1, true));
    assert_ne!(order(1, true), order(2, true));
}

#[test]
fn tasks_end_with_their_world() {
    struct Alive(Arc<AtomicU32>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Relaxed);
        }
    }
    let alive = Arc::new(AtomicU32::new(1));
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    let guard = Alive(alive.clone());
    runtime.spawn({
        let runtime = runtime.clone();
        async move {
            let mut stream = runtime.connect(address()).await.unwrap();
            let _ = stream.read(&mut [0; 1]).await;
            drop(guard);
        }
    });
    world.run_for(ms(10));
    let shared = Arc::downgrade(&world.0.shared);
    drop((world, runtime));
    assert_eq!(alive.load(Relaxed), 0);
    assert!(shared.upgrade().is_none(), "the world is still there");
}

#[test]
fn a_dropped_sleep_costs_nothing_later() {
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        for _ in 0..10_000 {
            let mut sleep = std::pin::pin!(runtime.sleep(Duration::from_secs(3600)));
            assert!(futures::poll!(&mut sleep).is_pending());
        }
        runtime.sleep(ms(1)).now_or_never();
    });
    assert!(world.0.shared.with(|core| core.queue.len()) < 1000);
}

#[test]
fn a_watcher_sees_every_step_and_can_end_the_run() {
    let (world, app, node) = echo_world(1);
    let at = START + ms(10);
    world.at(at, move |world| world.kill(node));
    let mut looks = 0;
    let stuck = world.run_watched(world.runtime(app).sleep(ms(50)), |world| {
        looks += 1;
        if world.state(node) == ProcessState::Down { Err("the server is down".into()) } else { Ok(()) }
    });
    let stuck = stuck.unwrap_err();
    assert_eq!((stuck.at, stuck.reason), (at, StuckReason::Violated("the server is down".into())));
    assert!(looks >= 2);
}
