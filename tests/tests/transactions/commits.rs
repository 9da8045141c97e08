//! Commits and aborts that fail, and servers that do.

use crate::set::{alone, fail, heard};
use crate::support::{TestRuntime, fresh, stored};
use quorate::ClientSession;
use quorate::bson::doc;
use quorate::error::labels::{
    RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
};
use quorate::options::WriteConcern;
use std::time::Duration;

crate::on_every_runtime!(
    a_commit_is_repeated,
    a_commit_of_unknown_outcome,
    a_write_concern_that_takes_too_long,
    an_abort_is_repeated_and_never_fails,
    nothing_else_is_repeated,
    a_failover_in_the_middle,
    a_failover_before_the_commit,
);

const LIMIT: Duration = Duration::from_secs(60);

async fn a_commit_is_repeated<R: TestRuntime>() {
    let set = alone();
    // "Regardless of whether retryWrites is set."
    let (client, book) = heard::<R>(&set, "&heartbeatFrequencyMS=500&retryWrites=false").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0, "n": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    let failures = [
        doc! { "closeConnection": true },
        doc! { "errorCode": 10107, "errorLabels": ["RetryableWriteError"] },
        doc! { "errorCode": 91, "errorLabels": ["RetryableWriteError"] },
        doc! { "writeConcernError": { "code": 91, "errmsg": "ending", "errorLabels": ["RetryableWriteError"] }, "errorLabels": ["RetryableWriteError"] },
    ];
    for (n, failure) in (1..).zip(failures) {
        book.forget_commands();
        session.start_transaction().write_concern(WriteConcern::nodes(2)).await.expect("none in progress");
        let increment = things.update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } });
        increment.session(&mut session).await.expect("an update");
        let point = fail(&set, &client, &["commitTransaction"], 1, failure.clone());
        session.commit_transaction().await.unwrap_or_else(|error| panic!("{failure}: {error:?}"));
        drop(point);
        let commits = book.started("commitTransaction");
        assert_eq!(commits.len(), 2, "{failure}: {commits:?}");
        assert_eq!(commits[0].get_document("writeConcern").ok(), Some(&doc! { "w": 2 }));
        let again = doc! { "w": "majority", "wtimeout": 10_000 };
        assert_eq!(commits[1].get_document("writeConcern").ok(), Some(&again));
        assert_eq!(commits[0].get("txnNumber"), commits[1].get("txnNumber"));
        assert_eq!(stored(&set, things.name()), [doc! { "_id": 0, "n": n }]);
    }
    book.check_pairs();
}

async fn a_commit_of_unknown_outcome<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("none in progress");
    things.insert_one(doc! { "_id": 1 }).session(&mut session).await.expect("an insert");
    let _point = fail(&set, &client, &["commitTransaction"], 2, doc! { "closeConnection": true });
    let error = session.commit_transaction().await.expect_err("twice");
    assert!(error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT), "{error:?}");
    assert!(!error.contains_label(TRANSIENT_TRANSACTION_ERROR), "{error:?}");
    session.commit_transaction().await.expect("found out");
    session.commit_transaction().await.expect("found out again");
    assert_eq!(book.started("commitTransaction").len(), 4);
    assert_eq!(stored(&set, things.name()).len(), 2);

    // The convenient API does all that by itself.
    let _point = fail(&set, &client, &["commitTransaction"], 5, doc! { "closeConnection": true });
    let insert =
        async |session: &mut ClientSession<R>| things.insert_one(doc! { "_id": 2 }).session(session).await;
    session.start_transaction().and_run2(insert).await.expect("in the end");
    assert_eq!(stored(&set, things.name()).len(), 3);
    book.check_pairs();
}

async fn a_write_concern_that_takes_too_long<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    let never = WriteConcern::builder().w(quorate::options::Acknowledgment::Nodes(50)).build();
    let mut slow = WriteConcern::nodes(3);
    slow.w_timeout = Some(Duration::from_millis(100));
    for (concern, unknown) in [(never, false), (slow, true)] {
        session.start_transaction().write_concern(concern.clone()).await.expect("none in progress");
        things.insert_one(doc! {}).session(&mut session).await.expect("an insert");
        let stopped = unknown.then(|| set.secondaries()[0]);
        stopped.into_iter().for_each(|member| set.pause(member).expect("it stops"));
        let outcome = session.commit_transaction().await;
        stopped.into_iter().for_each(|member| set.resume(member).expect("it goes on"));
        let error = outcome.expect_err("the write concern is not satisfied");
        assert_eq!(
            error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT),
            unknown,
            "{concern:?}: {error:?}"
        );
    }
    assert_eq!(stored(&set, things.name()).len(), 3, "both took place all the same");
    set.wait_for_healthy(LIMIT).expect("a healthy set");
    book.check_pairs();
}

async fn an_abort_is_repeated_and_never_fails<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    for (times, how) in [
        (1, doc! { "closeConnection": true }),
        (2, doc! { "closeConnection": true }),
        (1, doc! { "errorCode": 20 }),
    ] {
        book.forget_commands();
        session.start_transaction().await.expect("none in progress");
        things.insert_one(doc! { "_id": 1 }).session(&mut session).await.expect("an insert");
        let retried = how.contains_key("closeConnection");
        let _point = fail(&set, &client, &["abortTransaction"], times, how);
        session.abort_transaction().await.expect("never an error of the server");
        assert_eq!(book.started("abortTransaction").len(), if retried { 2 } else { 1 });
        // The next use of the session ends what the server may have left of it.
        things.find_one(doc! {}).session(&mut session).await.expect("an answer");
    }
    book.check_pairs();
}

async fn nothing_else_is_repeated<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    for name in ["insert", "find"] {
        session.start_transaction().await.expect("none in progress");
        things.count_documents(doc! {}).session(&mut session).await.expect("a count");
        book.forget_commands();
        let _point = fail(&set, &client, &[name], 1, doc! { "closeConnection": true });
        let error = if name == "insert" {
            things.insert_one(doc! { "_id": 1 }).session(&mut session).await.expect_err("not repeated")
        } else {
            things.find_one(doc! {}).session(&mut session).await.expect_err("not repeated")
        };
        assert!(error.contains_label(TRANSIENT_TRANSACTION_ERROR), "{error:?}");
        assert!(!error.contains_label(RETRYABLE_WRITE_ERROR), "{error:?}");
        assert_eq!(book.started(name).len(), 1);
        session.abort_transaction().await.expect("never an error of the server");
    }
    book.check_pairs();
}

async fn a_failover_in_the_middle<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "&w=majority").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    let mut runs = 0;
    let old = set.primary().expect("a primary");
    session
        .start_transaction()
        .and_run2(async |session: &mut ClientSession<R>| {
            runs += 1;
            things.insert_one(doc! { "_id": 1 }).session(&mut *session).await?;
            if runs == 1 {
                set.kill(old);
            }
            things.insert_one(doc! { "_id": 2 }).session(session).await
        })
        .await
        .expect("on the new primary");
    assert!(runs > 1);
    assert_eq!(stored(&set, things.name()).len(), 3);
    set.restart(old).expect("it starts again");
    set.wait_for_healthy(LIMIT).expect("a healthy set");
    book.check_pairs();
}

async fn a_failover_before_the_commit<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "&w=majority").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).await.expect("an insert");
    let mut session = client.start_session().await.expect("a session");
    session.start_transaction().await.expect("none in progress");
    things.insert_one(doc! { "_id": 1 }).session(&mut session).await.expect("an insert");
    set.step_down(5).expect("it steps down");
    set.wait_for_primary(LIMIT).expect("a primary, be it the old one");
    let error = session.commit_transaction().await.expect_err("it went with the old primary");
    assert!(error.contains_label(TRANSIENT_TRANSACTION_ERROR), "{error:?}");
    assert_eq!(stored(&set, things.name()).len(), 1);
    let insert =
        async |session: &mut ClientSession<R>| things.insert_one(doc! { "_id": 1 }).session(session).await;
    session.start_transaction().and_run2(insert).await.expect("on the new primary");
    assert_eq!(stored(&set, things.name()).len(), 2);
    set.wait_for_healthy(LIMIT).expect("a healthy set");
    book.check_pairs();
}
