//! Write concerns: who has a write, who has not, and what that means.

use crate::set::{alone, heard, shared};
use crate::support::{TestRuntime, connect, eventually, fresh, stored};
use quorate::bson::doc;
use quorate::error::{ErrorKind, WriteFailure};
use quorate::options::WriteConcern;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

crate::on_every_runtime!(
    satisfied,
    modes_nobody_defined,
    more_members_than_there_are,
    a_wtimeout_is_not_a_failed_write,
    unacknowledged,
);

fn journaled() -> WriteConcern {
    WriteConcern { journal: Some(true), ..WriteConcern::nodes(1) }
}

fn within_ms(concern: WriteConcern, millis: u64) -> WriteConcern {
    WriteConcern { w_timeout: Some(Duration::from_millis(millis)), ..concern }
}

async fn satisfied<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = fresh(&client);
    let concerns = [
        WriteConcern::nodes(1),
        WriteConcern::nodes(3),
        WriteConcern::majority(),
        WriteConcern::custom("eachDC"),
        WriteConcern::custom("everybody"),
        journaled(),
        within_ms(WriteConcern::majority(), 10_000),
    ];
    for concern in concerns {
        things
            .insert_one(doc! {})
            .write_concern(concern.clone())
            .await
            .unwrap_or_else(|e| panic!("{concern:?}: {e}"));
        let update = things.update_many(doc! {}, doc! { "$inc": { "n": 1 } });
        update.write_concern(concern.clone()).await.unwrap_or_else(|e| panic!("{concern:?}: {e}"));
        things
            .delete_one(doc! {})
            .write_concern(concern.clone())
            .await
            .unwrap_or_else(|e| panic!("{concern:?}: {e}"));
    }
    let index = quorate::IndexModel::builder().keys(doc! { "a": 1 }).build();
    things.create_index(index).await.expect("an index");
    things.drop().write_concern(WriteConcern::majority()).await.expect("a drop");
}

async fn modes_nobody_defined<R: TestRuntime>() {
    let set = shared();
    let things = fresh(&connect::<R>(&set).await);
    let concern = WriteConcern::custom("onTheMoon");
    let error = things.insert_one(doc! { "_id": 1 }).write_concern(concern).await.expect_err("no such mode");
    assert_eq!(error.code(), Some(79), "{error:?}");
    assert!(error.to_string().contains("onTheMoon"), "{error}");
    assert!(!error.is_write_concern_timeout());
}

async fn more_members_than_there_are<R: TestRuntime>() {
    let set = shared();
    let things = fresh(&connect::<R>(&set).await);
    let error = things
        .insert_one(doc! { "_id": 1 })
        .write_concern(WriteConcern::nodes(4))
        .await
        .expect_err("three members");
    let ErrorKind::Write(WriteFailure::WriteConcernError(concern)) = &*error.kind else {
        panic!("{error:?}")
    };
    assert_eq!(concern.code, 100, "{error:?}");
    assert!(!error.is_write_concern_timeout());
    // The primary has it all the same.
    assert_eq!(stored(&set, things.name()), [doc! { "_id": 1 }]);
}

async fn a_wtimeout_is_not_a_failed_write<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 0 }).write_concern(WriteConcern::nodes(3)).await.expect("an insert");
    book.forget_commands();
    // The only one in the west: neither everybody nor each data centre can have a write now.
    set.pause(2).expect("it pauses");
    let each = || within_ms(WriteConcern::custom("eachDC"), 200);
    let error =
        things.insert_one(doc! { "_id": 1 }).write_concern(each()).await.expect_err("nobody in the west");
    assert!(error.is_write_concern_timeout(), "{error:?}");
    assert_eq!(error.code(), Some(64));
    assert!(error.to_string().contains("written on the primary"), "{error}");
    let all = || within_ms(WriteConcern::nodes(3), 200);
    let increment = doc! { "$inc": { "n": 1 } };
    let error = things
        .update_one(doc! { "_id": 1 }, increment.clone())
        .write_concern(all())
        .await
        .expect_err("two of three");
    assert!(error.is_write_concern_timeout(), "{error:?}");
    let many = (2..5).map(|i| doc! { "_id": i });
    let error = things.insert_many(many).write_concern(all()).await.expect_err("two of three");
    let ErrorKind::InsertMany(failure) = &*error.kind else { panic!("{error:?}") };
    assert_eq!((failure.inserted_count, &failure.write_errors), (3, &None));
    assert!(failure.write_concern_error.as_ref().is_some_and(|concern| concern.is_timeout()), "{error:?}");
    let found = things.find_one_and_update(doc! { "_id": 1 }, increment).write_concern(all()).await;
    assert!(found.expect_err("two of three").is_write_concern_timeout());
    // A majority is still there.
    things.insert_one(doc! { "_id": 5 }).write_concern(WriteConcern::majority()).await.expect("an insert");
    set.resume(2).expect("it resumes");
    // Each took place, once, and was sent once.
    assert_eq!(stored(&set, things.name()).len(), 6);
    assert_eq!(stored(&set, things.name())[1], doc! { "_id": 1, "n": 2 });
    assert_eq!((book.started("insert").len(), book.started("update").len()), (3, 1));
    let caught_up =
        things.insert_one(doc! { "_id": 6 }).write_concern(within_ms(WriteConcern::nodes(3), 20_000)).await;
    caught_up.expect("the third is back");
    book.check_pairs();
}

async fn unacknowledged<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "&maxPoolSize=2").await;
    let things = fresh(&client);
    let none = || WriteConcern::nodes(0);
    for i in 0..20 {
        let inserted = things.insert_one(doc! { "_id": i }).write_concern(none()).await.expect("sent");
        assert_eq!(inserted.inserted_id, i.into());
    }
    things
        .insert_one(doc! { "_id": 0 })
        .write_concern(none())
        .await
        .expect("nobody tells that it is a duplicate");
    let updated =
        things.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).write_concern(none()).await.expect("sent");
    assert_eq!((updated.matched_count, updated.modified_count), (0, 0));
    things.delete_many(doc! { "_id": { "$gte": 10 } }).write_concern(none()).await.expect("sent");
    eventually::<R>("all writes arrive", SOON, || stored(&set, things.name()).len() == 10).await;
    assert!(book.started("insert").iter().all(|insert| insert.get("txnNumber").is_none()));
    // The connections they went over give right answers to what comes next.
    for _ in 0..10 {
        assert_eq!(things.count_documents(doc! {}).await.expect("a count"), 10);
    }
    let contradiction = WriteConcern { journal: Some(true), ..none() };
    let error = things.insert_one(doc! {}).write_concern(contradiction).await.expect_err("a contradiction");
    assert!(matches!(*error.kind, ErrorKind::InvalidArgument { .. }), "{error:?}");
    book.check_pairs();
}
