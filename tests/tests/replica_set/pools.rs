//! Connections: how many, for whom, and where they all went.

use crate::set::{alone, fail, heard, shared};
use crate::support::events::Notebook;
use crate::support::{TestRuntime, eventually, fresh, sleep, within};
use futures::future::join_all;
use quorate::bson::doc;
use quorate::error::ErrorKind;
use quorate::event::cmap::CmapEvent;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(10);

crate::on_every_runtime!(
    many_tasks_share_few_connections,
    the_wait_for_a_connection_ends,
    connections_are_kept_and_given_up,
    dropped_operations_leave_nothing_behind,
    dropped_operations_under_load,
);

/// The most connections to one server that were in use at a time, and that were open at a time.
fn most(book: &Notebook) -> (i32, i32) {
    let mut now: BTreeMap<String, (i32, i32)> = BTreeMap::new();
    let mut most = (0, 0);
    for event in &book.lock().pools {
        let (address, used, open) = match event {
            CmapEvent::ConnectionCheckedOut(event) => (&event.address, 1, 0),
            CmapEvent::ConnectionCheckedIn(event) => (&event.address, -1, 0),
            CmapEvent::ConnectionCreated(event) => (&event.address, 0, 1),
            CmapEvent::ConnectionClosed(event) => (&event.address, 0, -1),
            _ => continue,
        };
        let server = now.entry(address.to_string()).or_default();
        server.0 += used;
        server.1 += open;
        assert!(server.0 >= 0 && server.1 >= 0, "more back than out: {event:?}");
        most = (most.0.max(server.0), most.1.max(server.1));
    }
    most
}

async fn many_tasks_share_few_connections<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "&maxPoolSize=3").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0, "n": 0 }).await.expect("an insert");
    join_all((0..60).map(|_| async {
        for _ in 0..5 {
            things.update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } }).await.expect("an update");
            things.find_one(doc! {}).await.expect("an answer");
        }
    }))
    .await;
    let found = things.find_one(doc! {}).await.expect("an answer").expect("a document");
    assert_eq!(found.get_i32("n").ok(), Some(300));
    let (used, open) = most(&book);
    assert_eq!((used, open), (3, 3));
    book.check_pairs();
}

async fn the_wait_for_a_connection_ends<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "&maxPoolSize=1&waitQueueTimeoutMS=200").await;
    let things = fresh(&client);
    things.insert_one(doc! {}).await.expect("an insert");
    let _point = fail(&set, &client, &["find"], 1, doc! { "blockConnection": true, "blockTimeMS": 1000 });
    let slow = async { things.find_one(doc! {}).await.expect("late") };
    let quick = async {
        sleep::<R>(Duration::from_millis(100)).await;
        let begin = Instant::now();
        let error = things.insert_one(doc! {}).await.expect_err("no connection is free");
        assert!(matches!(*error.kind, ErrorKind::WaitQueueTimeout { .. }), "{error:?}");
        let waited = begin.elapsed();
        assert!(waited >= Duration::from_millis(195) && waited < Duration::from_millis(850), "{waited:?}");
        assert!(error.to_string().contains("maxPoolSize: 1"), "{error}");
    };
    futures::join!(slow, quick);
    things.insert_one(doc! {}).await.expect("free again");
    assert_eq!(book.pool_counts().checkouts_failed, 1);
    book.check_pairs();
}

async fn connections_are_kept_and_given_up<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "&minPoolSize=2&maxIdleTimeMS=300").await;
    fresh(&client).insert_one(doc! {}).await.expect("an insert");
    // Two to each of three members.
    eventually::<R>("the pools are filled", SOON, || book.pool_counts().ready >= 6).await;
    // They get old and are replaced, without anybody using them.
    eventually::<R>("idle connections are replaced", SOON, || {
        let counts = book.pool_counts();
        counts.closed >= 3 && counts.ready >= 9
    })
    .await;
    fresh(&client).insert_one(doc! {}).await.expect("an insert");
    most(&book);
    book.check_pairs();
}

async fn dropped_operations_leave_nothing_behind<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "&maxPoolSize=2").await;
    let things = fresh(&client);
    things.insert_one(doc! {}).await.expect("an insert");
    // While its reply is owed: that connection is of no more use, and is closed.
    let late = || doc! { "blockConnection": true, "blockTimeMS": 500 };
    let _point = fail(&set, &client, &["find"], 1, late());
    let closed = book.pool_counts().closed;
    assert!(
        within::<R, _>(Duration::from_millis(100), async { things.find_one(doc! {}).await }).await.is_none()
    );
    eventually::<R>("the connection is closed", SOON, || book.pool_counts().closed == closed + 1).await;
    book.check_pairs();
    // While it waits for a connection: the others are served.
    let _point = fail(&set, &client, &["find"], 2, late());
    let two = join_all((0..2).map(|_| async { things.find_one(doc! {}).await.expect("late") }));
    let given_up = async {
        sleep::<R>(Duration::from_millis(50)).await;
        within::<R, _>(Duration::from_millis(50), async { things.insert_one(doc! {}).await }).await
    };
    let waits_on = async {
        sleep::<R>(Duration::from_millis(60)).await;
        things.insert_one(doc! {}).await.expect("served in the end")
    };
    let (_, given_up, _) = futures::join!(two, given_up, waits_on);
    assert!(given_up.is_none());
    book.check_pairs();
    // The next ones get their own answers.
    for i in 0..20 {
        things.insert_one(doc! { "_id": i }).await.expect("an insert");
        let found = things.find_one(doc! { "_id": i }).await.expect("an answer");
        assert_eq!(found, Some(doc! { "_id": i }));
    }
    book.check_pairs();
}

async fn dropped_operations_under_load<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "&maxPoolSize=4").await;
    let things = fresh(&client);
    things.insert_many((0..50).map(|i| doc! { "_id": i, "n": i })).await.expect("inserts");
    join_all((0..16_u64).map(|task| {
        let things = things.clone();
        async move {
            for round in 0..30_u64 {
                // From "before it was begun" to "mostly done".
                let limit = Duration::from_micros((task * 31 + round * 97) % 3000);
                let id = i32::try_from((task + round) % 50).unwrap_or(0);
                let found = within::<R, _>(limit, async { things.find_one(doc! { "_id": id }).await }).await;
                if let Some(found) = found {
                    assert_eq!(found.expect("an answer"), Some(doc! { "_id": id, "n": id }));
                }
                let update = doc! { "$set": { "n": id } };
                let _ = within::<R, _>(limit, async { things.update_one(doc! { "_id": id }, update).await })
                    .await;
            }
        }
    }))
    .await;
    eventually::<R>("all connections are back", SOON, || {
        let counts = book.pool_counts();
        counts.checked_out == counts.checked_in
    })
    .await;
    let (used, open) = most(&book);
    assert!(used <= 4 && open <= 4, "{used} used, {open} open");
    assert_eq!(things.count_documents(doc! {}).await.expect("a count"), 50);
    book.check_pairs();
}
