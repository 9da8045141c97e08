//! Results that come in batches.

use crate::set::{alone, heard, shared};
use crate::support::{TestRuntime, connect, eventually, fresh, fresh_name, sleep, within};
use futures::TryStreamExt;
use quorate::Collection;
use quorate::bson::{Document, doc};
use quorate::options::{CursorType, ReadPreference, WriteConcern};
use quorate_harness::ReplicaSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

crate::on_every_runtime!(
    batches,
    a_dropped_cursor_is_closed_on_the_server,
    a_cursor_the_server_has_killed,
    cursors_stay_with_their_server,
    a_tailable_cursor_waits_and_loses_nothing,
);

async fn batches<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_many((0..25).map(|i| doc! { "_id": i })).await.expect("inserts");
    let cursor = things.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(10).await.expect("a cursor");
    let found: Vec<Document> = cursor.try_collect().await.expect("documents");
    assert_eq!(found, (0..25).map(|i| doc! { "_id": i }).collect::<Vec<_>>());
    let (finds, more) = (book.started("find"), book.started("getMore"));
    assert_eq!((finds.len(), more.len()), (1, 2));
    assert!(more.iter().all(|more| more.get_i32("batchSize").ok() == Some(10)), "{more:?}");
    // All batches run in the session of the first.
    assert!(more.iter().all(|more| more.get("lsid") == finds[0].get("lsid")), "{more:?}");
    assert_eq!(book.started("killCursors").len(), 0);
    // As many as asked for: no batch that turns out to be empty.
    book.forget_commands();
    let cursor = things.find(doc! {}).batch_size(5).limit(5).await.expect("a cursor");
    assert_eq!(cursor.try_collect::<Vec<_>>().await.expect("documents").len(), 5);
    let cursor = things.aggregate([doc! { "$match": {} }]).batch_size(20).await.expect("a cursor");
    assert_eq!(cursor.try_collect::<Vec<_>>().await.expect("documents").len(), 25);
    assert_eq!((book.started("find").len(), book.started("getMore").len()), (1, 1));
    book.check_pairs();
}

fn open_cursors(set: &ReplicaSet) -> i64 {
    let status = set.command_on_primary("admin", doc! { "serverStatus": 1 }).expect("the primary answers");
    let cursors = status.get_document("metrics").and_then(|metrics| metrics.get_document("cursor"));
    cursors
        .and_then(|cursors| cursors.get_document("open"))
        .and_then(|open| open.get_i64("total"))
        .expect("a number")
}

async fn a_dropped_cursor_is_closed_on_the_server<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_many((0..25).map(|i| doc! { "_id": i })).await.expect("inserts");
    let before = open_cursors(&set);
    let mut cursors = Vec::new();
    for _ in 0..5 {
        let mut cursor = things.find(doc! {}).batch_size(2).await.expect("a cursor");
        assert!(cursor.advance().await.expect("a document"));
        cursors.push(cursor);
    }
    assert_eq!(open_cursors(&set), before + 5);
    drop(cursors);
    eventually::<R>("the cursors are closed", SOON, || open_cursors(&set) == before).await;
    assert_eq!(book.started("killCursors").len(), 5);
    // One that came to its end needs no closing.
    let whole: Vec<Document> =
        things.find(doc! {}).await.expect("a cursor").try_collect().await.expect("documents");
    assert_eq!(whole.len(), 25);
    // One that is dropped while it waits for a batch: its connection is closed, and so is it.
    let mut cursor = things.find(doc! {}).batch_size(2).await.expect("a cursor");
    for _ in 0..2 {
        assert!(cursor.advance().await.expect("a document"));
    }
    let _ = within::<R, _>(Duration::ZERO, cursor.advance()).await;
    drop(cursor);
    eventually::<R>("the cursor is closed", SOON, || open_cursors(&set) == before).await;
    sleep::<R>(Duration::from_millis(50)).await;
    book.check_pairs();
}

async fn a_cursor_the_server_has_killed<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_many((0..25).map(|i| doc! { "_id": i })).await.expect("inserts");
    let mut cursor = things.find(doc! {}).batch_size(2).await.expect("a cursor");
    assert!(cursor.try_next().await.expect("a document").is_some());
    let id = {
        let heard = book.lock();
        let found = heard.commands.iter().rev().find_map(|event| match event {
            quorate::event::command::CommandEvent::Succeeded(event) if event.command_name == "find" => {
                event.reply.get_document("cursor").ok()?.get_i64("id").ok()
            }
            _ => None,
        });
        found.expect("a cursor's id")
    };
    let kill = doc! { "killCursors": things.name(), "cursors": [id] };
    client.database("suite").run_command(kill).await.expect("an answer");
    assert!(cursor.try_next().await.expect("the rest of the batch").is_some());
    let error = cursor.try_next().await.expect_err("killed");
    assert_eq!(error.code(), Some(43), "{error:?}");
    assert_eq!(cursor.try_next().await.expect("the end"), None);
}

async fn cursors_stay_with_their_server<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    let everybody = WriteConcern::nodes(3);
    let documents = (0..25).map(|i| doc! { "_id": i });
    things.insert_many(documents).write_concern(everybody).await.expect("inserts");
    for _ in 0..6 {
        book.forget_commands();
        let secondary = ReadPreference::secondary(None);
        let cursor =
            things.find(doc! {}).batch_size(5).selection_criteria(secondary.into()).await.expect("a cursor");
        assert_eq!(cursor.try_collect::<Vec<_>>().await.expect("documents").len(), 25);
        let server = book.sent_to("find");
        assert!(server[0] != set.address(set.primary().expect("a primary")));
        assert!(book.sent_to("getMore").iter().all(|other| *other == server[0]));
    }
}

async fn a_tailable_cursor_waits_and_loses_nothing<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let database = client.database("suite");
    let name = fresh_name();
    database.create_collection(&name).capped(true).size(1 << 20).await.expect("a collection");
    let things: Collection<Document, R> = database.collection(&name);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut cursor = things
        .find(doc! {})
        .cursor_type(CursorType::TailableAwait)
        .max_await_time(Duration::from_millis(200))
        .await
        .expect("a cursor");
    assert_eq!(cursor.try_next().await.expect("a document"), Some(doc! { "_id": 0 }));
    for i in 1..4 {
        // Nothing there: the wait is given up, with a batch on its way, and nothing is lost by that.
        assert!(within::<R, _>(Duration::from_millis(150), cursor.try_next()).await.is_none());
        things.insert_one(doc! { "_id": i }).await.expect("an insert");
        let next = within::<R, _>(SOON, cursor.try_next()).await.expect("in time");
        assert_eq!(next.expect("a document"), Some(doc! { "_id": i }));
    }
}
