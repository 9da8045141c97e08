//! Sessions without transactions: causal consistency, snapshots, and their end.

use crate::set::{heard, shared};
use crate::support::{TestRuntime, fresh};
use quorate::bson::{Document, doc};
use quorate::error::ErrorKind;
use quorate::options::{IndexModel, WriteConcern};
use std::collections::BTreeSet;

crate::on_every_runtime!(
    reads_see_what_the_session_wrote,
    every_command_says_after_what,
    causal_consistency_can_be_turned_off,
    snapshots,
    lists_in_sessions,
    sessions_are_ended_on_shutdown,
);

async fn reads_see_what_the_session_wrote<R: TestRuntime>() {
    let set = shared();
    let more = "&readPreference=secondary&readConcernLevel=majority&w=majority";
    let (client, book) = heard::<R>(&set, more).await;
    let things = fresh(&client);
    let mut session = client.start_session().await.expect("a session");
    assert_eq!((session.operation_time(), session.cluster_time()), (None, None));
    for id in 0..30 {
        things.insert_one(doc! { "_id": id }).session(&mut session).await.expect("an insert");
        let time = session.operation_time().expect("the server tells");
        let found = things.find_one(doc! { "_id": id }).session(&mut session).await.expect("an answer");
        assert!(found.is_some(), "{id}");
        let find = book.started("find").pop().expect("a find");
        let concern = find.get_document("readConcern").expect("a read concern");
        assert_eq!(concern, &doc! { "level": "majority", "afterClusterTime": time });
        let mut other = client.start_session().await.expect("a session");
        other.advance_cluster_time(&session.cluster_time().expect("the server tells"));
        other.advance_operation_time(session.operation_time().expect("the server tells"));
        let found = things.find_one(doc! { "_id": id }).session(&mut other).await.expect("an answer");
        assert!(found.is_some(), "{id}, by another session");
    }
    book.check_pairs();
}

/// Read and write concern specification, "afterClusterTime": which commands take it.
async fn every_command_says_after_what<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let database = client.database("suite");
    let things = fresh(&client);
    let mut session = client.start_session().await.expect("a session");
    let s = &mut session;
    things.find_one(doc! {}).session(&mut *s).await.expect("the first, which has none to say");
    book.forget_commands();
    database.create_collection(things.name()).session(&mut *s).await.expect("create");
    things.insert_many([doc! { "_id": 0 }, doc! { "_id": 1 }]).session(&mut *s).await.expect("insert");
    let index = IndexModel::builder().keys(doc! { "n": 1 }).build();
    things.create_index(index).session(&mut *s).await.expect("createIndexes");
    things.update_one(doc! { "_id": 0 }, doc! { "$set": { "n": 1 } }).session(&mut *s).await.expect("update");
    things.find_one_and_delete(doc! { "_id": 0 }).session(&mut *s).await.expect("findAndModify");
    things.delete_one(doc! { "_id": 1 }).session(&mut *s).await.expect("delete");
    things.find_one(doc! {}).session(&mut *s).await.expect("find");
    things.count_documents(doc! {}).session(&mut *s).await.expect("aggregate");
    things.estimated_document_count().session(&mut *s).await.expect("count");
    things.distinct("n", doc! {}).session(&mut *s).await.expect("distinct");
    things.drop_index("n_1").session(&mut *s).await.expect("dropIndexes");
    things.drop().session(&mut *s).await.expect("drop");
    for name in [
        "create",
        "insert",
        "createIndexes",
        "update",
        "findAndModify",
        "delete",
        "find",
        "aggregate",
        "count",
        "distinct",
        "dropIndexes",
        "drop",
    ] {
        let command = book.started(name).pop().unwrap_or_else(|| panic!("no {name}"));
        let concern = command.get_document("readConcern").unwrap_or_else(|_| panic!("{command}"));
        assert_eq!(concern.keys().collect::<Vec<_>>(), ["afterClusterTime"], "{command}");
    }
    database.run_command(doc! { "ping": 1 }).session(s).await.expect("ping");
    assert!(!book.started("ping")[0].contains_key("readConcern"), "the caller's own commands are left alone");
    let sessions: BTreeSet<String> = book.lock().commands.iter().filter_map(lsid).collect();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    book.check_pairs();
}

fn lsid(event: &quorate::event::command::CommandEvent<Document>) -> Option<String> {
    match event {
        quorate::event::command::CommandEvent::Started(started) => {
            Some(started.command.get_document("lsid").expect("a session").to_string())
        }
        _ => None,
    }
}

async fn causal_consistency_can_be_turned_off<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    let mut session = client.start_session().causal_consistency(false).await.expect("a session");
    for _ in 0..2 {
        things.insert_one(doc! {}).session(&mut session).await.expect("an insert");
        things.find_one(doc! {}).session(&mut session).await.expect("an answer");
    }
    assert!(session.operation_time().is_some());
    let finds = book.started("find");
    assert_eq!(finds.len(), 2);
    assert!(finds.iter().all(|find| !find.contains_key("readConcern")), "{finds:?}");
}

async fn snapshots<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "&w=majority").await;
    let things = fresh(&client);
    things.insert_many((0..5).map(|id| doc! { "_id": id })).await.expect("an insert");
    let mut session = client.start_session().snapshot(true).await.expect("a session");
    let first = things.find(doc! {}).batch_size(2).session(&mut session).await;
    let versions = client.topology();
    if versions.servers.values().any(|server| server.max_wire_version < 13) {
        let error = first.expect_err("from MongoDB 5.0");
        assert!(matches!(*error.kind, ErrorKind::Incompatible { .. }), "{error:?}");
        return;
    }
    let mut cursor = first.expect("an answer");
    let time = session.snapshot_time().expect("the server tells");
    things.insert_one(doc! { "_id": 5 }).await.expect("an insert");
    let mut seen = 0;
    while cursor.advance(&mut session).await.expect("a batch") {
        seen += 1;
    }
    assert_eq!(seen, 5);
    assert_eq!(things.count_documents(doc! {}).session(&mut session).await.expect("a count"), 5);
    assert_eq!(things.distinct("_id", doc! {}).session(&mut session).await.expect("values").len(), 5);
    let at = doc! { "level": "snapshot", "atClusterTime": time };
    assert_eq!(book.started("distinct")[0].get_document("readConcern").ok(), Some(&at));
    let insert = things.insert_one(doc! { "_id": 6 }).session(&mut session).await;
    assert_eq!(insert.expect_err("nothing is written in a snapshot").code(), Some(72));
    assert_eq!(session.snapshot_time(), Some(time));
    let mut same = client.start_session().snapshot(true).snapshot_time(time).await.expect("a session");
    assert_eq!(things.count_documents(doc! {}).session(&mut same).await.expect("a count"), 5);
    assert_eq!(things.count_documents(doc! {}).await.expect("a count"), 6);
    book.check_pairs();
}

async fn lists_in_sessions<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! {}).write_concern(WriteConcern::majority()).await.expect("an insert");
    book.forget_commands();
    let mut session = client.start_session().await.expect("a session");
    let database = client.database("suite");
    let names = database.list_collection_names().session(&mut session).await.expect("names");
    assert!(names.iter().any(|name| name == things.name()));
    let mut found = database.list_collections().session(&mut session).await.expect("collections");
    assert!(found.advance(&mut session).await.expect("a batch"));
    let indexes = things.list_index_names().session(&mut session).await.expect("names");
    assert_eq!(indexes, ["_id_"]);
    let mut found = things.list_indexes().session(&mut session).await.expect("indexes");
    assert!(found.next(&mut session).await.is_some_and(|index| index.is_ok()));
    let databases = client.list_database_names().session(&mut session).await.expect("names");
    assert!(databases.iter().any(|name| name == "suite"));
    let sessions: BTreeSet<String> = book.lock().commands.iter().filter_map(lsid).collect();
    assert_eq!(sessions, BTreeSet::from([session.id().to_string()]));
    book.check_pairs();
}

async fn sessions_are_ended_on_shutdown<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    let mut ids = BTreeSet::new();
    let mut sessions = Vec::new();
    for _ in 0..3 {
        let mut session = client.start_session().await.expect("a session");
        things.insert_one(doc! {}).session(&mut session).await.expect("an insert");
        ids.insert(session.id().to_string());
        sessions.push(session);
    }
    assert_eq!(ids.len(), 3, "each has its own as long as it lives");
    drop(sessions);
    let again = client.start_session().await.expect("a session");
    assert!(ids.contains(&again.id().to_string()), "used again afterwards");
    drop(again);
    client.shutdown().await;
    let ended = book.started("endSessions").pop().expect("endSessions");
    let ended = ended.get_array("endSessions").expect("a list");
    let ended: BTreeSet<String> =
        ended.iter().map(|id| id.as_document().expect("an lsid").to_string()).collect();
    assert!(ended.is_superset(&ids), "{ended:?} {ids:?}");
    book.check_pairs();
}
