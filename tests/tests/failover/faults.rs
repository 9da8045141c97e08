//! A real set, and everything that can happen to its primary.

use crate::support::events::Notebook;
use crate::support::{TestRuntime, client, fresh_name, options, sleep, stored};
use futures::future::join_all;
use quorate::Collection;
use quorate::bson::{Document, doc};
use quorate::options::WriteConcern;
use quorate_harness::{Features, ReplicaSet, ReplicaSetBuilder, Tls};
use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

crate::on_every_runtime!(
    step_down,
    kill_and_restart,
    stop_and_continue,
    partition_and_heal,
    terminate_and_restart,
    kill_and_restart_logged_in,
    stop_and_continue_logged_in,
    terminate_and_restart_logged_in,
);

const LIMIT: Duration = Duration::from_secs(60);
/// Nobody waits longer: an election takes two seconds and a vote, and on a busy machine it may take two.
const LONGEST_CALL: Duration = Duration::from_secs(25);
const WRITERS: i32 = 4;

async fn step_down<R: TestRuntime>() {
    write_through::<R>(|set| {
        let old = set.step_down(5).expect("it steps down");
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
    })
    .await;
}

async fn kill_and_restart<R: TestRuntime>() {
    write_through::<R>(|set| {
        let old = set.primary().expect("a primary");
        set.kill(old);
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        set.restart(old).expect("it starts again");
    })
    .await;
}

async fn kill_and_restart_logged_in<R: TestRuntime>() {
    write_through_on::<R>(logged_in(), |set| {
        let old = set.primary().expect("a primary");
        set.kill(old);
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        set.restart(old).expect("it starts again");
    })
    .await;
}

async fn stop_and_continue_logged_in<R: TestRuntime>() {
    write_through_on::<R>(logged_in(), |set| {
        let old = set.primary().expect("a primary");
        set.pause(old).expect("it stops");
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        std::thread::sleep(Duration::from_secs(1));
        set.resume(old).expect("it continues");
    })
    .await;
}

async fn terminate_and_restart_logged_in<R: TestRuntime>() {
    write_through_on::<R>(logged_in(), |set| {
        let old = set.primary().expect("a primary");
        set.terminate(old).expect("it is told to end");
        assert!(set.wait_until_ended(old, LIMIT), "it ends");
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        set.restart(old).expect("it starts again");
    })
    .await;
}

async fn stop_and_continue<R: TestRuntime>() {
    write_through::<R>(|set| {
        let old = set.primary().expect("a primary");
        set.pause(old).expect("it stops");
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        std::thread::sleep(Duration::from_secs(1));
        set.resume(old).expect("it continues");
    })
    .await;
}

async fn partition_and_heal<R: TestRuntime>() {
    write_through::<R>(|set| {
        let old = set.primary().expect("a primary");
        set.partition(old);
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        std::thread::sleep(Duration::from_secs(1));
        set.heal(old);
    })
    .await;
}

async fn terminate_and_restart<R: TestRuntime>() {
    write_through::<R>(|set| {
        let old = set.primary().expect("a primary");
        set.terminate(old).expect("it is told to end");
        assert!(set.wait_until_ended(old, LIMIT), "it ends");
        set.wait_for_other_primary(old, LIMIT).expect("another primary");
        set.restart(old).expect("it starts again");
    })
    .await;
}

/// A set for one test at a time.
struct Lent {
    set: &'static ReplicaSet,
    _alone: MutexGuard<'static, ()>,
}

fn builder() -> ReplicaSetBuilder {
    ReplicaSet::builder().members(3).proxied(true).election_timeout(Duration::from_secs(2))
}

fn open() -> Lent {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let builder = builder().features(Features::from_env());
    let set = SET.get_or_init(|| builder.start().expect("a replica set"));
    Lent { set, _alone }
}

/// A set that speaks TLS only, with certificates of its own authority, and does nothing for who has not logged in: the
/// guide's deployment.
fn logged_in() -> Lent {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let builder = builder().features(Features::default().tls(Tls::required()).user());
    let set = SET.get_or_init(|| builder.start().expect("a replica set"));
    Lent { set, _alone }
}

/// What one writer was told.
#[derive(Debug, Default)]
struct Told {
    acknowledged: i32,
    longest: Duration,
}

async fn write_through<R: TestRuntime>(fault: fn(&ReplicaSet)) {
    write_through_on::<R>(open(), fault).await;
}

async fn write_through_on<R: TestRuntime>(lent: Lent, fault: fn(&ReplicaSet)) {
    let set = lent.set;
    set.wait_for_healthy(LIMIT).expect("a healthy set");
    let mut options = options(&set.uri()).await;
    let book = Notebook::listen(&mut options);
    let client = client::<R>(options);
    let name = fresh_name();
    let things: Collection<Document, R> = client.database("suite").collection(&name);
    // A majority has the counters before anything happens.
    let counters = (0..WRITERS).map(|id| doc! { "_id": id, "n": 0 });
    things.insert_many(counters).write_concern(WriteConcern::majority()).await.expect("inserts");
    let done = Cell::new(false);
    let writers = join_all((0..WRITERS).map(|id| write_for_ever::<R>(&things, id, &done)));
    let breaker = async {
        sleep::<R>(Duration::from_millis(300)).await;
        let broken = std::thread::spawn(move || fault(set));
        while !broken.is_finished() {
            sleep::<R>(Duration::from_millis(20)).await;
        }
        broken.join().expect("the fault took place");
        sleep::<R>(Duration::from_millis(500)).await;
        done.set(true);
    };
    let (told, ()) = futures::join!(writers, breaker);
    set.wait_for_healthy(LIMIT).expect("a healthy set");
    let found = stored(set, &name);
    for (told, counter) in told.iter().zip(&found) {
        // As many as were acknowledged: one less is lost, one more was applied twice.
        assert_eq!(counter.get_i32("n").ok(), Some(told.acknowledged), "{told:?} {counter}");
        assert!(told.acknowledged > 0 && told.longest < LONGEST_CALL, "{told:?}");
    }
    let inserted: i32 = told.iter().map(|told| told.acknowledged).sum();
    assert_eq!(found.len(), usize::try_from(WRITERS + inserted).expect("positive"));
    book.check_pairs();
}

/// Counts up and inserts, one after the other. Every error is one too many.
async fn write_for_ever<R: TestRuntime>(
    things: &Collection<Document, R>,
    id: i32,
    done: &Cell<bool>,
) -> Told {
    let mut told = Told::default();
    while !done.get() {
        let begin = Instant::now();
        let update = things.update_one(doc! { "_id": id }, doc! { "$inc": { "n": 1 } });
        let updated = update.write_concern(WriteConcern::majority()).await.expect("an update");
        assert_eq!(updated.matched_count, 1);
        told.longest = told.longest.max(begin.elapsed());
        let begin = Instant::now();
        let unique = 1000 * (told.acknowledged + 1) + id;
        let insert = things.insert_one(doc! { "_id": unique });
        insert.write_concern(WriteConcern::majority()).await.expect("an insert");
        told.longest = told.longest.max(begin.elapsed());
        told.acknowledged += 1;
    }
    told
}
