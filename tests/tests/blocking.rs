//! The blocking client against a real replica set.

use quorate_blocking::bson::{Document, doc};
use quorate_blocking::error::{ErrorKind, Result};
use quorate_blocking::options::{ClientOptions, WriteConcern};
use quorate_blocking::{Client, ClientSession, Collection, IndexModel, Run, RunTransaction};
use quorate_harness::{Features, ReplicaSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock};
use std::time::{Duration, Instant};

fn set() -> &'static ReplicaSet {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    SET.get_or_init(|| {
        let builder = ReplicaSet::builder().election_timeout(Duration::from_secs(1));
        builder.features(Features::from_env()).start().expect("a replica set")
    })
}

/// Held by tests that need their primary to stay, and alone by the one that does not leave it there.
static STEPS: RwLock<()> = RwLock::new(());

fn client() -> Client {
    Client::with_uri_str(format!("{}&w=majority", set().uri())).expect("a good connection string")
}

/// A collection nobody else uses.
fn fresh<T: Send + Sync>(client: &Client) -> Collection<T> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    client.database("blocking").collection(&format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// Asks until the answer is yes.
fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < Duration::from_secs(10), "never came: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn every_kind_of_call_is_run() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let client = client();
    let things = fresh::<Document>(&client);
    let inserted = things.insert_one(doc! { "_id": 1, "x": 1 }).run().expect("an insert");
    assert_eq!(inserted.inserted_id.as_i32(), Some(1));
    let many = things.insert_many((2..10).map(|i| doc! { "_id": i, "x": i })).run().expect("inserts");
    assert_eq!(many.inserted_ids.len(), 8);
    let updated = things.update_many(doc! { "x": { "$lt": 4 } }, doc! { "$inc": { "x": 100 } }).run();
    assert_eq!(updated.expect("updates").modified_count, 3);
    let replaced = things.replace_one(doc! { "_id": 9 }, doc! { "x": 9, "new": true }).run();
    assert_eq!(replaced.expect("a replacement").matched_count, 1);
    assert_eq!(things.delete_one(doc! { "_id": 8 }).run().expect("a deletion").deleted_count, 1);
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 8);
    assert_eq!(things.estimated_document_count().run().expect("an estimate"), 8);
    let found = things.find_one(doc! { "new": true }).run().expect("a read").expect("a document");
    assert_eq!(found, doc! { "_id": 9, "x": 9, "new": true });
    let taken = things.find_one_and_delete(doc! { "_id": 9 }).run().expect("a deletion");
    assert_eq!(taken, Some(found));
    let distinct = things.distinct("x", doc! { "x": { "$gt": 100 } }).run().expect("values");
    assert_eq!(distinct, [101.into(), 102.into(), 103.into()]);
    let index = IndexModel::builder().keys(doc! { "x": 1 }).build();
    assert_eq!(things.create_index(index).run().expect("an index").index_name, "x_1");
    assert_eq!(things.list_index_names().run().expect("names"), ["_id_", "x_1"]);
    let database = client.database("blocking");
    assert!(database.list_collection_names().run().expect("names").contains(&things.name().to_owned()));
    assert!(client.list_database_names().run().expect("names").contains(&"blocking".to_owned()));
    assert_eq!(database.run_command(doc! { "ping": 1 }).run().expect("a ping").get_f64("ok").ok(), Some(1.0));
    things.drop().run().expect("no more collection");
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 0);
}

#[test]
fn cursors_are_iterators() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let client = client();
    let things = fresh::<Document>(&client);
    things.insert_many((0..250).map(|i| doc! { "_id": i })).run().expect("inserts");
    let sorted = || things.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(20);
    let found: Result<Vec<Document>> = sorted().run().expect("a cursor").collect();
    assert_eq!(found.expect("documents"), (0..250).map(|i| doc! { "_id": i }).collect::<Vec<_>>());
    let ids = sorted().limit(3).run().expect("a cursor").map(|found| found.unwrap().get_i32("_id").unwrap());
    assert_eq!(ids.collect::<Vec<_>>(), [0, 1, 2]);

    let mut cursor = sorted().run().expect("a cursor");
    let mut sum = 0;
    while cursor.advance().expect("a document") {
        sum += cursor.current().get_i32("_id").expect("a number");
        assert_eq!(cursor.deserialize_current().expect("a document").len(), 1);
    }
    assert!(!cursor.has_next() && cursor.next().is_none());
    assert_eq!(sum, 249 * 250 / 2);

    let summed = things.aggregate([doc! { "$group": { "_id": null, "sum": { "$sum": "$_id" } } }]).run();
    let summed: Vec<Document> = summed.expect("a cursor").collect::<Result<_>>().expect("documents");
    assert_eq!(summed[0].get_i32("sum").ok(), Some(sum));
}

/// Cursors open on the primary.
fn open_cursors() -> i32 {
    let status = set().command_on_primary("admin", doc! { "serverStatus": 1 }).expect("a status");
    let open =
        status.get_document("metrics").and_then(|all| all.get_document("cursor")?.get_document("open"));
    let total = open.expect("cursor counts").get("total").cloned().expect("a total");
    total.as_i32().or_else(|| total.as_i64().map(|total| total as i32)).expect("a number")
}

#[test]
fn a_cursor_left_behind_is_closed_on_the_server() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let client = client();
    let things = fresh::<Document>(&client);
    things.insert_many((0..100).map(|i| doc! { "_id": i })).run().expect("inserts");
    let cursors: Vec<_> =
        (0..50).map(|_| things.find(doc! {}).batch_size(2).run().expect("a cursor")).collect();
    assert!(open_cursors() >= 50);
    drop(cursors);
    eventually("all cursors are closed", || open_cursors() < 50);
}

#[test]
fn errors_are_those_of_the_async_client() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let error = Client::with_uri_str("mongodb://a:b:c/").expect_err("no connection string");
    assert!(matches!(*error.kind, ErrorKind::ConnectionString { .. }), "{error:?}");
    let things = fresh::<Document>(&client());
    things.insert_one(doc! { "_id": 1 }).run().expect("an insert");
    let error = things.insert_one(doc! { "_id": 1 }).run().expect_err("twice the same");
    assert!(matches!(*error.kind, ErrorKind::Write(_)), "{error:?}");
    // Nobody listens there; the time-out is kept though nothing but this thread is at work.
    let begin = Instant::now();
    let nowhere =
        Client::with_uri_str("mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=300").expect("options");
    let error = nowhere.list_database_names().run().expect_err("nobody there");
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error:?}");
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn a_client_is_shared_among_threads() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let mut options = ClientOptions::parse(set().uri()).run().expect("a good connection string");
    options.write_concern = Some(WriteConcern::majority());
    let client = Client::with_options(options).expect("good options");
    let things = fresh::<Document>(&client);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let things = &things;
            scope.spawn(move || {
                for n in 0..25 {
                    things.insert_one(doc! { "_id": thread * 100 + n }).run().expect("an insert");
                }
            });
        }
    });
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 200);
    client.clone().shutdown().run();
    let error = things.insert_one(doc! {}).run().expect_err("it has ended");
    assert!(matches!(*error.kind, ErrorKind::Shutdown), "{error:?}");
}

/// Documents of one's own, and the handles of both clients in one program.
#[test]
fn the_async_client_is_the_same_one() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let client = client();
    let things = fresh::<Document>(&client);
    let same = quorate_smol::Client::from(client);
    let theirs = same.database("blocking").collection::<Document>(things.name());
    smol::block_on(async { theirs.insert_one(doc! { "_id": 1 }).await.expect("an insert") });
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 1);
    assert_eq!(Client::from(same).options().repl_set_name.as_deref(), Some("rs"));
}

#[test]
fn transactions_are_run_too() {
    let _shared = STEPS.read().unwrap_or_else(PoisonError::into_inner);
    let client = client();
    let things = fresh::<Document>(&client);
    things.insert_one(doc! { "_id": 0, "n": 0 }).run().expect("an insert");
    let mut session = client.start_session().run().expect("a session");
    session.start_transaction().run().expect("none in progress");
    things.insert_many((1..5).map(|id| doc! { "_id": id })).session(&mut session).run().expect("inserts");
    let mut found = things.find(doc! {}).batch_size(2).session(&mut session).run().expect("a read");
    let inside: Result<Vec<Document>> = found.iter(&mut session).collect();
    assert_eq!(inside.expect("documents").len(), 5);
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 1);
    session.commit_transaction().run().expect("a commit");
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 5);

    // Two threads that get in each other's way.
    let add = || {
        let mut session = client.start_session().run().expect("a session");
        for _ in 0..10 {
            let add = |session: &mut ClientSession| {
                let found =
                    things.find_one(doc! { "_id": 0 }).session(&mut *session).run()?.unwrap_or_default();
                let n = found.get_i32("n").unwrap_or_default() + 1;
                things.update_one(doc! { "_id": 0 }, doc! { "$set": { "n": n } }).session(session).run()
            };
            session.start_transaction().run_with(add).expect("in the end");
        }
    };
    std::thread::scope(|threads| {
        threads.spawn(add);
        threads.spawn(add);
    });
    let found = things.find_one(doc! { "_id": 0 }).run().expect("a read").expect("a document");
    assert_eq!(found.get_i32("n").expect("a number"), 20);
    session.start_transaction().run().expect("none in progress");
    things.delete_one(doc! { "_id": 0 }).session(&mut session).run().expect("a deletion");
    session.abort_transaction().run().expect("never an error of the server");
    assert_eq!(things.count_documents(doc! {}).run().expect("a count"), 5);
}

/// The guide's program: it writes for ever, and a primary steps down under it.
#[test]
fn the_forever_writer_outlives_a_step_down() {
    let _alone = STEPS.write().unwrap_or_else(PoisonError::into_inner);
    let set = set();
    let client = client();
    let writes = fresh::<Document>(&client);
    let mut acknowledged = 0;
    for n in 0..300 {
        if n == 100 {
            set.step_down(10).expect("it steps down");
        }
        match writes.insert_one(doc! { "_id": n }).run() {
            Ok(_) => acknowledged += 1,
            Err(error) => panic!("{n}: {error}"),
        }
    }
    assert_eq!(acknowledged, 300);
    assert_eq!(writes.count_documents(doc! {}).run().expect("a count"), 300);
}
