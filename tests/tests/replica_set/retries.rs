//! What is sent again, and what is not.

use crate::set::{alone, fail, heard};
use crate::support::{TestRuntime, fresh, stored};
use futures::TryStreamExt;
use quorate::bson::{Document, doc};
use quorate::error::{ErrorKind, labels};
use quorate::options::WriteConcern;
use std::time::{Duration, Instant};

crate::on_every_runtime!(
    writes_after_a_closed_connection,
    writes_after_state_changes,
    writes_without_the_label_are_not_repeated,
    writes_after_a_write_concern_error,
    writes_twice_refused,
    writes_that_cannot_be_repeated,
    writes_with_retries_turned_off,
    reads,
    reads_that_are_not_repeated,
    a_reply_too_late,
);

/// A server that really changes its state says so in its stream of hellos. One that only pretends has nothing to say, and
/// is asked again as often as this.
const OFTEN: &str = "&heartbeatFrequencyMS=500";

/// Every attempt was the same command under the same transaction number.
fn assert_same(attempts: &[Document], count: usize) {
    assert_eq!(attempts.len(), count, "{attempts:?}");
    let (session, number) = (attempts[0].get("lsid"), attempts[0].get("txnNumber"));
    assert!(session.is_some() && number.is_some(), "{attempts:?}");
    assert!(
        attempts.iter().all(|one| (one.get("lsid"), one.get("txnNumber")) == (session, number)),
        "{attempts:?}"
    );
}

async fn writes_after_a_closed_connection<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0, "n": 0 }).await.expect("an insert");
    let close = || doc! { "closeConnection": true };
    let increment = || doc! { "$inc": { "n": 1 } };
    book.forget_commands();
    let _point = fail(&set, &client, &["insert"], 1, close());
    things.insert_many([doc! { "_id": 1 }, doc! { "_id": 2 }]).await.expect("repeated");
    assert_same(&book.started("insert"), 2);
    let _point = fail(&set, &client, &["update"], 1, close());
    let updated = things.update_one(doc! { "_id": 0 }, increment()).await.expect("repeated");
    assert_eq!(updated.modified_count, 1);
    assert_same(&book.started("update"), 2);
    let _point = fail(&set, &client, &["findAndModify"], 1, close());
    things.find_one_and_update(doc! { "_id": 0 }, increment()).await.expect("repeated");
    assert_same(&book.started("findAndModify"), 2);
    let _point = fail(&set, &client, &["delete"], 1, close());
    assert_eq!(things.delete_one(doc! { "_id": 1 }).await.expect("repeated").deleted_count, 1);
    assert_same(&book.started("delete"), 2);
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 0, "n": 2 }, doc! { "_id": 2 }]);
    book.check_pairs();
}

async fn writes_after_state_changes<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, OFTEN).await;
    let things = fresh(&client);
    for (i, code) in [10107, 13435, 11600, 11602, 189, 91, 7, 262].into_iter().enumerate() {
        book.forget_commands();
        let how = doc! { "errorCode": code, "errorLabels": ["RetryableWriteError"] };
        let _point = fail(&set, &client, &["insert"], 1, how);
        let begin = Instant::now();
        things.insert_one(doc! { "code": code }).await.unwrap_or_else(|error| panic!("{code}: {error}"));
        assert!(begin.elapsed() < Duration::from_secs(5), "{code}: {:?}", begin.elapsed());
        assert_same(&book.started("insert"), 2);
        assert_eq!(stored(&set, things.name()).len(), i + 1);
    }
    book.check_pairs();
}

async fn writes_without_the_label_are_not_repeated<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, OFTEN).await;
    let things = fresh(&client);
    for code in [10107, 91] {
        book.forget_commands();
        let how = doc! { "errorCode": code, "errorLabels": [] };
        let _point = fail(&set, &client, &["insert"], 1, how);
        let error = things.insert_one(doc! {}).await.expect_err("not repeated");
        assert_eq!(error.code(), Some(code), "{error:?}");
        assert!(!error.contains_label(labels::RETRYABLE_WRITE_ERROR));
        assert_eq!(book.started("insert").len(), 1);
    }
    things.insert_one(doc! {}).await.expect("and all is well again");
}

async fn writes_after_a_write_concern_error<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, OFTEN).await;
    let things = fresh(&client);
    let concern = doc! { "writeConcernError": {
        "code": 91, "errmsg": "shutting down", "errorLabels": ["RetryableWriteError"],
    } };
    // The write takes place, the reply says that its write concern does not hold, and the repetition finds it done.
    let _point = fail(&set, &client, &["insert"], 1, concern.clone());
    things.insert_one(doc! { "_id": 1 }).write_concern(WriteConcern::majority()).await.expect("repeated");
    assert_same(&book.started("insert"), 2);
    let _point = fail(&set, &client, &["update"], 1, concern);
    let updated = things.update_one(doc! { "_id": 1 }, doc! { "$inc": { "n": 1 } }).await.expect("repeated");
    assert_eq!((updated.matched_count, updated.modified_count), (1, 1));
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 1, "n": 1 }]);
    // One that says nothing of repeating is the write's error.
    let _point = fail(
        &set,
        &client,
        &["insert"],
        1,
        doc! { "writeConcernError": { "code": 64, "errmsg": "no time" } },
    );
    let error = things.insert_one(doc! { "_id": 2 }).await.expect_err("the write concern does not hold");
    assert!(matches!(&*error.kind, ErrorKind::Write(_)), "{error:?}");
    assert_eq!(stored(&set, things.name()).len(), 2);
    book.check_pairs();
}

async fn writes_twice_refused<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    let _point = fail(&set, &client, &["insert"], 2, doc! { "closeConnection": true });
    let error = things.insert_one(doc! { "_id": 1 }).await.expect_err("twice is enough");
    assert!(error.is_network() && error.contains_label(labels::RETRYABLE_WRITE_ERROR), "{error:?}");
    assert_same(&book.started("insert"), 2);
    assert_eq!(stored(&set, things.name()).len(), 0);
    things.insert_one(doc! { "_id": 1 }).await.expect("and all is well again");
    book.check_pairs();
}

async fn writes_that_cannot_be_repeated<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 1 }).await.expect("an insert");
    let close = || doc! { "closeConnection": true };
    let _point = fail(&set, &client, &["update", "delete", "create", "createIndexes"], 1, close());
    let error = things.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).await.expect_err("not repeated");
    assert!(error.is_network() && !error.contains_label(labels::RETRYABLE_WRITE_ERROR), "{error:?}");
    let _point = fail(&set, &client, &["delete"], 1, close());
    assert!(things.delete_many(doc! {}).await.expect_err("not repeated").is_network());
    let _point = fail(&set, &client, &["drop"], 1, close());
    assert!(things.drop().await.expect_err("not repeated").is_network());
    for name in ["update", "delete", "drop"] {
        assert_eq!(book.started(name).len(), 1, "{name}");
        assert!(book.started(name)[0].get("txnNumber").is_none(), "{name}");
    }
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 1 }]);
    book.check_pairs();
}

async fn writes_with_retries_turned_off<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "&retryWrites=false").await;
    let things = fresh(&client);
    let _point = fail(&set, &client, &["insert"], 1, doc! { "closeConnection": true });
    assert!(things.insert_one(doc! {}).await.expect_err("not repeated").is_network());
    let inserts = book.started("insert");
    assert!(inserts.len() == 1 && inserts[0].get("txnNumber").is_none(), "{inserts:?}");
}

async fn reads<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, OFTEN).await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 1 }).await.expect("an insert");
    let hows = [
        doc! { "closeConnection": true },
        doc! { "errorCode": 11600 },
        doc! { "errorCode": 10107 },
        doc! { "errorCode": 134 },
    ];
    for how in hows {
        book.forget_commands();
        let _point = fail(&set, &client, &["find"], 1, how.clone());
        assert!(things.find_one(doc! {}).await.expect("repeated").is_some());
        assert_eq!(book.started("find").len(), 2, "{how}");
    }
    let close = || doc! { "closeConnection": true };
    let _point = fail(&set, &client, &["aggregate"], 1, close());
    assert_eq!(things.count_documents(doc! {}).await.expect("repeated"), 1);
    let _point = fail(&set, &client, &["count"], 1, close());
    assert_eq!(things.estimated_document_count().await.expect("repeated"), 1);
    let _point = fail(&set, &client, &["distinct"], 1, close());
    assert_eq!(things.distinct("_id", doc! {}).await.expect("repeated"), [1.into()]);
    let _point = fail(&set, &client, &["listDatabases"], 1, close());
    assert!(!client.list_database_names().await.expect("repeated").is_empty());
    let _point = fail(&set, &client, &["listCollections"], 1, close());
    assert!(!client.database("suite").list_collection_names().await.expect("repeated").is_empty());
    let _point = fail(&set, &client, &["listIndexes"], 1, close());
    assert_eq!(things.list_index_names().await.expect("repeated"), ["_id_"]);
    book.check_pairs();
}

async fn reads_that_are_not_repeated<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_many((0..5).map(|i| doc! { "_id": i })).await.expect("inserts");
    let mut cursor = things.find(doc! {}).batch_size(2).await.expect("a cursor");
    let close = || doc! { "closeConnection": true };
    let _point = fail(&set, &client, &["getMore"], 1, close());
    assert!(cursor.try_next().await.expect("a document").is_some());
    assert!(cursor.try_next().await.expect("a document").is_some());
    assert!(cursor.try_next().await.expect_err("a lost batch").is_network());
    assert_eq!(cursor.try_next().await.expect("the end"), None);
    let _point = fail(&set, &client, &["ping"], 1, close());
    assert!(
        client
            .database("suite")
            .run_command(doc! { "ping": 1 })
            .await
            .expect_err("not repeated")
            .is_network()
    );
    let _point = fail(&set, &client, &["find"], 1, doc! { "errorCode": 2 });
    assert_eq!(things.find_one(doc! {}).await.expect_err("not repeated").code(), Some(2));
    let (client, _book) = heard::<R>(&set, "&retryReads=false").await;
    let _point = fail(&set, &client, &["find"], 1, close());
    assert!(fresh(&client).find_one(doc! {}).await.expect_err("not repeated").is_network());
    book.check_pairs();
}

/// The server takes its time: the socket's time-out repeats, the operation's own ends it.
async fn a_reply_too_late<R: TestRuntime>() {
    let set = alone();
    let late = || doc! { "blockConnection": true, "blockTimeMS": 2500 };
    let (client, book) = heard::<R>(&set, "&socketTimeoutMS=800").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let _point = fail(&set, &client, &["insert"], 1, late());
    things.insert_one(doc! { "_id": 1 }).await.expect("repeated");
    assert_eq!(book.started("insert").len(), 3);
    let _point = fail(&set, &client, &["find"], 2, late());
    let error = things.find_one(doc! {}).await.expect_err("twice too late");
    assert!(error.is_network_timeout(), "{error:?}");
    let (client, book) = heard::<R>(&set, "&timeoutMS=400").await;
    let things = fresh(&client);
    things.find_one(doc! {}).await.expect("in time");
    let _point = fail(&set, &client, &["find"], 1, late());
    let begin = Instant::now();
    let error = things.find_one(doc! {}).await.expect_err("too late");
    assert!(matches!(*error.kind, ErrorKind::Timeout { .. }), "{error:?}");
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_millis(390) && waited < Duration::from_millis(1400), "{waited:?}");
    book.check_pairs();
    assert_eq!(stored(&set, things.name()).len(), 0);
}
