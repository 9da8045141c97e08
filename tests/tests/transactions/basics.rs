//! What is committed, aborted, and in conflict.

use crate::set::{heard, shared};
use crate::support::{TestRuntime, connect, eventually, fresh, stored};
use futures::FutureExt;
use quorate::bson::{Document, doc};
use quorate::error::labels;
use quorate::options::{ReadConcern, TransactionOptions, WriteConcern};
use quorate::{Client, ClientSession, Collection};
use std::time::Duration;

crate::on_every_runtime!(committed, aborted, dropped, every_action_takes_part, conflicts, the_convenient_way,);

/// A collection that exists, as transactions must not have to make one on 4.2, and should not anywhere.
async fn made<R: TestRuntime>(client: &Client<R>) -> Collection<Document, R> {
    let things = fresh(client);
    things
        .insert_one(doc! { "_id": 0, "n": 0 })
        .write_concern(WriteConcern::majority())
        .await
        .expect("an insert");
    things
}

async fn committed<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = made(&client).await;
    let defaults = TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(WriteConcern::majority())
        .build();
    let mut session = client.start_session().default_transaction_options(defaults).await.expect("a session");
    book.forget_commands();
    for round in 1..=2 {
        session.start_transaction().await.expect("none in progress");
        things.insert_one(doc! { "_id": round }).session(&mut session).await.expect("an insert");
        things
            .update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } })
            .session(&mut session)
            .await
            .expect("an update");
        let inside = things.find_one(doc! { "_id": 0 }).session(&mut session).await.expect("an answer");
        assert_eq!(inside, Some(doc! { "_id": 0, "n": round }));
        let outside = things.find_one(doc! { "_id": 0 }).await.expect("an answer");
        assert_eq!(outside, Some(doc! { "_id": 0, "n": round - 1 }));
        session.commit_transaction().await.expect("a commit");
    }
    session.commit_transaction().await.expect("confirmed");
    assert_eq!(
        stored(&set, things.name()),
        [doc! { "_id": 0, "n": 2 }, doc! { "_id": 1 }, doc! { "_id": 2 }]
    );
    let inserts = book.started("insert");
    assert_eq!(inserts.len(), 2);
    let first = inserts[0].get_i64("txnNumber").expect("a number");
    for (number, insert) in (1..).zip(&inserts) {
        assert_eq!(insert.get_i64("txnNumber").ok(), Some(first + number - 1), "{insert}");
        assert_eq!(insert.get_bool("startTransaction").ok(), Some(true));
        let concern = insert.get_document("readConcern").expect("a read concern");
        assert_eq!(concern.get_str("level").ok(), Some("snapshot"));
        assert_eq!(concern.contains_key("afterClusterTime"), number > 1, "{insert}");
    }
    assert!(book.started("update").iter().all(|update| !update.contains_key("readConcern")));
    let commits = book.started("commitTransaction");
    assert_eq!(commits.len(), 3);
    assert!(commits.iter().all(|commit| commit.get_str("$db").ok() == Some("admin")));
    book.check_pairs();
}

async fn aborted<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = made(&client).await;
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("none in progress");
    things.insert_one(doc! { "_id": 1 }).session(&mut session).await.expect("an insert");
    session.abort_transaction().await.expect("never an error of the server");
    session.start_transaction().await.expect("none in progress");
    session.commit_transaction().await.expect("nothing to send");
    // An error aborts it on the server.
    session.start_transaction().await.expect("none in progress");
    let error = things.insert_one(doc! { "_id": 0 }).session(&mut session).await.expect_err("it is there");
    assert_eq!(error.code(), Some(11000));
    let error = things.insert_one(doc! { "_id": 2 }).session(&mut session).await.expect_err("it is over");
    assert!(error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR), "{error:?}");
    session.abort_transaction().await.expect("never an error of the server");
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 0, "n": 0 }]);
    assert_eq!((book.started("abortTransaction").len(), book.started("commitTransaction").len()), (2, 0));
    book.check_pairs();
}

async fn dropped<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = made(&client).await;
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("none in progress");
    things.delete_one(doc! { "_id": 0 }).session(&mut session).await.expect("a delete");
    drop(session);
    eventually::<R>("it is aborted", Duration::from_secs(5), || book.started("abortTransaction").len() == 1)
        .await;
    things.update_one(doc! { "_id": 0 }, doc! { "$set": { "n": 1 } }).await.expect("nothing holds it up");
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 0, "n": 1 }]);
}

async fn every_action_takes_part<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "&readConcernLevel=majority&w=majority").await;
    let things = made(&client).await;
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("none in progress");
    book.forget_commands();
    let s = &mut session;
    let n = || doc! { "$inc": { "n": 1 } };
    things.insert_many((1..8).map(|id| doc! { "_id": id })).session(&mut *s).await.expect("insert_many");
    things.update_many(doc! {}, n()).session(&mut *s).await.expect("update_many");
    things.replace_one(doc! { "_id": 1 }, doc! { "r": 1 }).session(&mut *s).await.expect("replace_one");
    things.delete_many(doc! { "_id": { "$gt": 5 } }).session(&mut *s).await.expect("delete_many");
    let changed = things.find_one_and_update(doc! { "_id": 2 }, n()).session(&mut *s).await;
    assert!(changed.expect("find_one_and_update").is_some());
    let replaced = things.find_one_and_replace(doc! { "_id": 3 }, doc! { "r": 2 }).session(&mut *s).await;
    assert!(replaced.expect("find_one_and_replace").is_some());
    let deleted = things.find_one_and_delete(doc! { "_id": 4 }).session(&mut *s).await;
    assert!(deleted.expect("find_one_and_delete").is_some());
    assert_eq!(things.count_documents(doc! {}).session(&mut *s).await.expect("count_documents"), 5);
    assert_eq!(things.distinct("_id", doc! {}).session(&mut *s).await.expect("distinct").len(), 5);
    let mut found =
        things.aggregate([doc! { "$match": {} }]).batch_size(2).session(&mut *s).await.expect("aggregate");
    let mut seen = 0;
    while found.advance(s).await.expect("a batch") {
        seen += 1;
    }
    assert_eq!(seen, 5);
    let database = client.database("suite");
    let find = doc! { "find": things.name(), "batchSize": 2 };
    let reply = database.run_command(find.clone()).session(&mut *s).await.expect("run_command");
    assert!(reply.get_document("cursor").is_ok());
    let mut found = database.run_cursor_command(find).session(&mut *s).await.expect("run_cursor_command");
    assert!(found.next(s).await.is_some_and(|first| first.is_ok()));
    drop(found);
    session.commit_transaction().await.expect("a commit");
    assert_eq!(stored(&set, things.name()).len(), 5);
    let number = book.started("insert")[0].get_i64("txnNumber").expect("a number");
    for name in ["insert", "update", "delete", "findAndModify", "aggregate", "distinct", "find", "getMore"] {
        let commands = book.started(name);
        assert!(!commands.is_empty(), "{name}");
        for command in commands {
            assert_eq!(command.get_bool("autocommit").ok(), Some(false), "{command}");
            assert_eq!(command.get_i64("txnNumber").ok(), Some(number), "{command}");
            assert_eq!(
                command.contains_key("readConcern"),
                command.contains_key("startTransaction"),
                "{command}"
            );
            assert!(!command.contains_key("writeConcern"), "{command}");
        }
    }
    book.check_pairs();
}

async fn conflicts<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = made(&client).await;
    let increment = || things.update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } });
    let mut one = client.start_session().await.expect("a session");
    let mut two = client.start_session().await.expect("a session");
    one.start_transaction().await.expect("none in progress");
    two.start_transaction().await.expect("none in progress");
    increment().session(&mut one).await.expect("an update");
    let error = increment().session(&mut two).await.expect_err("a conflict");
    assert_eq!(error.code(), Some(112), "{error:?}");
    assert!(error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR), "{error:?}");
    two.abort_transaction().await.expect("never an error of the server");
    one.commit_transaction().await.expect("a commit");
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 0, "n": 1 }]);
}

async fn the_convenient_way<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = made(&client).await;
    let add = async || {
        let mut session = client.start_session().await.expect("a session");
        for _ in 0..10 {
            let add = session.start_transaction().and_run(&things, |session, things| {
                async move {
                    let found =
                        things.find_one(doc! { "_id": 0 }).session(&mut *session).await?.unwrap_or_default();
                    let n = found.get_i32("n").unwrap_or_default() + 1;
                    things.update_one(doc! { "_id": 0 }, doc! { "$set": { "n": n } }).session(session).await
                }
                .boxed()
            });
            assert_eq!(add.await.expect("in the end").modified_count, 1);
        }
    };
    futures::join!(add(), add(), add(), add());
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 0, "n": 40 }]);

    let mut session = client.start_session().await.expect("a session");
    let mut runs = 0;
    let outcome = session
        .start_transaction()
        .and_run2(async |session: &mut ClientSession<R>| {
            runs += 1;
            things.insert_one(doc! { "_id": 1 }).session(&mut *session).await?;
            things.insert_one(doc! { "_id": 0 }).session(session).await
        })
        .await;
    assert_eq!(outcome.expect_err("it is there").code(), Some(11000));
    assert_eq!((runs, stored(&set, things.name()).len()), (1, 1));
    let ended = session
        .start_transaction()
        .and_run2(async |session: &mut ClientSession<R>| {
            things.insert_one(doc! { "_id": 1 }).session(&mut *session).await?;
            session.abort_transaction().await
        })
        .await;
    ended.expect("the callback's own decision");
    assert_eq!(stored(&set, things.name()).len(), 1);
}
