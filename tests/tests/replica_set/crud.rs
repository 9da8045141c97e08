//! Every way to write and read documents.

use crate::set::{heard, shared};
use crate::support::{TestRuntime, connect, fresh, fresh_name, stored};
use futures::TryStreamExt;
use quorate::bson::oid::ObjectId;
use quorate::bson::{Bson, Document, doc};
use quorate::error::{ErrorKind, WriteFailure};
use quorate::options::ReturnDocument;
use quorate::{Client, Collection};
use quorate_harness::{Features, Standalone};
use serde::{Deserialize, Serialize};
use std::time::Duration;

crate::on_every_runtime!(
    inserts,
    updates,
    deletes,
    find_and_modify,
    finds,
    counts_and_values,
    aggregations,
    typed_collections,
    refused_writes,
    refused_inserts,
    large_inserts,
    a_standalone_server,
);

async fn ten<R: TestRuntime>(client: &Client<R>) -> Collection<Document, R> {
    let things = fresh(client);
    things
        .insert_many((0..10).map(|i| doc! { "_id": i, "even": i % 2 == 0, "n": i * i }))
        .await
        .expect("inserts");
    things
}

async fn inserts<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = fresh(&client);
    let named = things.insert_one(doc! { "_id": "a", "x": 1 }).await.expect("an insert");
    assert_eq!(named.inserted_id, Bson::from("a"));
    let made = things.insert_one(doc! { "x": 2 }).await.expect("an insert");
    let id: ObjectId = made.inserted_id.as_object_id().expect("an id made here");
    let many = things.insert_many([doc! { "_id": 7 }, doc! {}]).await.expect("inserts");
    assert_eq!(many.inserted_ids[&0], Bson::from(7));
    assert!(many.inserted_ids[&1].as_object_id().is_some());
    let found = stored(&set, things.name());
    assert_eq!(found.len(), 4);
    // "Inserted documents' _id comes first".
    assert!(found.iter().all(|document| document.keys().next().is_some_and(|key| key == "_id")), "{found:?}");
    assert!(found.contains(&doc! { "_id": id, "x": 2 }));
    let nothing = things.insert_many(Vec::<Document>::new()).await.expect_err("nothing to insert");
    assert!(matches!(*nothing.kind, ErrorKind::InvalidArgument { .. }), "{nothing:?}");
}

async fn updates<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = ten(&client).await;
    let one = things.update_one(doc! { "_id": 3 }, doc! { "$set": { "n": -1 } }).await.expect("an update");
    assert_eq!((one.matched_count, one.modified_count, one.upserted_id), (1, 1, None));
    let same = things.update_one(doc! { "_id": 3 }, doc! { "$set": { "n": -1 } }).await.expect("an update");
    assert_eq!((same.matched_count, same.modified_count), (1, 0));
    let many =
        things.update_many(doc! { "even": true }, doc! { "$inc": { "n": 100 } }).await.expect("an update");
    assert_eq!((many.matched_count, many.modified_count), (5, 5));
    let pipeline = vec![doc! { "$set": { "n": { "$add": ["$n", 1] } } }];
    let by_pipeline = things.update_one(doc! { "_id": 3 }, pipeline).await.expect("an update");
    assert_eq!(by_pipeline.modified_count, 1);
    let upserted = things
        .update_one(doc! { "_id": 99 }, doc! { "$set": { "n": 1 } })
        .upsert(true)
        .await
        .expect("an upsert");
    assert_eq!((upserted.matched_count, upserted.upserted_id), (0, Some(Bson::from(99))));
    let replaced = things.replace_one(doc! { "_id": 4 }, doc! { "new": true }).await.expect("a replacement");
    assert_eq!((replaced.matched_count, replaced.modified_count), (1, 1));
    let found = stored(&set, things.name());
    assert_eq!(found[3], doc! { "_id": 3, "even": false, "n": 0 });
    assert_eq!(found[4], doc! { "_id": 4, "new": true });
    assert_eq!(found[2], doc! { "_id": 2, "even": true, "n": 104 });
    assert_eq!(found.len(), 11);
    // An update needs operators, a replacement must have none: refused before anything is sent, or by the server.
    things.update_one(doc! {}, doc! { "n": 1 }).await.expect_err("no operator");
    things.replace_one(doc! {}, doc! { "$set": { "n": 1 } }).await.expect_err("an operator");
    assert_eq!(stored(&set, things.name()), found);
}

async fn deletes<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = ten(&client).await;
    assert_eq!(things.delete_one(doc! { "even": true }).await.expect("a delete").deleted_count, 1);
    assert_eq!(things.delete_many(doc! { "even": true }).await.expect("a delete").deleted_count, 4);
    assert_eq!(things.delete_one(doc! { "even": true }).await.expect("a delete").deleted_count, 0);
    assert_eq!(stored(&set, things.name()).len(), 5);
    things.drop().await.expect("a drop");
    things.drop().await.expect("a drop of nothing");
    assert_eq!(stored(&set, things.name()).len(), 0);
}

async fn find_and_modify<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = ten(&client).await;
    let increment = || doc! { "$inc": { "n": 1 } };
    let before = things.find_one_and_update(doc! { "_id": 3 }, increment()).await.expect("an update");
    assert_eq!(before, Some(doc! { "_id": 3, "even": false, "n": 9 }));
    let after = things
        .find_one_and_update(doc! { "_id": 3 }, increment())
        .return_document(ReturnDocument::After)
        .projection(doc! { "even": 0 })
        .await
        .expect("an update");
    assert_eq!(after, Some(doc! { "_id": 3, "n": 11 }));
    let sorted = things.find_one_and_delete(doc! {}).sort(doc! { "_id": -1 }).await.expect("a delete");
    assert_eq!(sorted.expect("a document").get_i32("_id").ok(), Some(9));
    let replaced = things
        .find_one_and_replace(doc! { "_id": 1 }, doc! { "new": 1 })
        .return_document(ReturnDocument::After)
        .await
        .expect("a replacement");
    assert_eq!(replaced, Some(doc! { "_id": 1, "new": 1 }));
    assert_eq!(things.find_one_and_delete(doc! { "_id": "none" }).await.expect("nothing"), None);
    assert_eq!(stored(&set, things.name()).len(), 9);
}

async fn finds<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = ten(&client).await;
    let all: Vec<Document> =
        things.find(doc! {}).await.expect("a cursor").try_collect().await.expect("documents");
    assert_eq!(all.len(), 10);
    let some: Vec<Document> = things
        .find(doc! { "even": true })
        .sort(doc! { "_id": -1 })
        .skip(1)
        .limit(2)
        .projection(doc! { "_id": 1 })
        .max_time(Duration::from_secs(10))
        .await
        .expect("a cursor")
        .try_collect()
        .await
        .expect("documents");
    assert_eq!(some, [doc! { "_id": 6 }, doc! { "_id": 4 }]);
    let one = things.find_one(doc! { "n": { "$gt": 20 } }).sort(doc! { "_id": 1 }).await.expect("an answer");
    assert_eq!(one.expect("a document").get_i32("_id").ok(), Some(5));
    assert_eq!(things.find_one(doc! { "_id": "none" }).await.expect("an answer"), None);
    let wrong = things.find_one(doc! { "$nonsense": 1 }).await.expect_err("no such operator");
    assert!(matches!(&*wrong.kind, ErrorKind::Command(error) if error.code == 2), "{wrong:?}");
    let nowhere: Collection<Document, R> = client.database("suite").collection(&fresh_name());
    assert_eq!(nowhere.find_one(doc! {}).await.expect("an answer"), None);
}

async fn counts_and_values<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = ten(&client).await;
    assert_eq!(things.count_documents(doc! {}).await.expect("a count"), 10);
    assert_eq!(things.count_documents(doc! { "even": true }).skip(1).limit(3).await.expect("a count"), 3);
    assert_eq!(things.count_documents(doc! { "_id": "none" }).await.expect("a count"), 0);
    assert_eq!(things.estimated_document_count().await.expect("a count"), 10);
    let mut values = things.distinct("even", doc! {}).await.expect("values");
    values.sort_by_key(Bson::as_bool);
    assert_eq!(values, [Bson::from(false), Bson::from(true)]);
    let nowhere: Collection<Document, R> = client.database("suite").collection(&fresh_name());
    assert_eq!(nowhere.count_documents(doc! {}).await.expect("a count"), 0);
    assert_eq!(nowhere.estimated_document_count().await.expect("a count"), 0);
}

async fn aggregations<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = ten(&client).await;
    let group = doc! { "$group": { "_id": "$even", "sum": { "$sum": "$n" } } };
    let sums: Vec<Document> = things
        .aggregate([group, doc! { "$sort": { "_id": 1 } }])
        .await
        .expect("a cursor")
        .try_collect()
        .await
        .expect("documents");
    assert_eq!(sums, [doc! { "_id": false, "sum": 165 }, doc! { "_id": true, "sum": 120 }]);
    let copy = fresh_name();
    let written: Vec<Document> = things
        .aggregate([doc! { "$match": { "even": true } }, doc! { "$out": &copy }])
        .await
        .expect("a cursor")
        .try_collect()
        .await
        .expect("no documents");
    assert_eq!(written, [] as [Document; 0]);
    assert_eq!(stored(&set, &copy).len(), 5);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Book {
    #[serde(rename = "_id")]
    id: i32,
    title: String,
    pages: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Title<'a> {
    title: &'a str,
}

async fn typed_collections<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let books: Collection<Book, R> = client.database("suite").collection(&fresh_name());
    let book = |id: i32, title: &str| Book { id, title: title.into(), pages: Some(7) };
    books.insert_one(book(1, "one")).await.expect("an insert");
    books.insert_many(&[book(2, "two"), book(3, "three")]).await.expect("inserts");
    assert_eq!(books.find_one(doc! { "_id": 2 }).await.expect("an answer"), Some(book(2, "two")));
    books.replace_one(doc! { "_id": 3 }, book(3, "drei")).await.expect("a replacement");
    let before =
        books.find_one_and_replace(doc! { "_id": 3 }, book(3, "trois")).await.expect("a replacement");
    assert_eq!(before, Some(book(3, "drei")));
    let titles = books.clone_with_type::<Title<'_>>();
    let mut cursor = titles.find(doc! {}).sort(doc! { "_id": 1 }).await.expect("a cursor");
    let mut seen = Vec::new();
    while cursor.advance().await.expect("documents") {
        seen.push(cursor.deserialize_current().expect("a title").title.to_owned());
    }
    assert_eq!(seen, ["one", "two", "trois"]);
    // A document that is no book is that document's error, and the cursor goes on.
    books.clone_with_type::<Document>().insert_one(doc! { "_id": 0, "title": 5 }).await.expect("an insert");
    let mut cursor = books.find(doc! {}).sort(doc! { "_id": 1 }).await.expect("a cursor");
    let error = cursor.try_next().await.expect_err("no book");
    assert!(matches!(*error.kind, ErrorKind::BsonDeserialization { .. }), "{error:?}");
    assert_eq!(cursor.try_next().await.expect("a book"), Some(book(1, "one")));
}

async fn refused_writes<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = fresh(&client);
    things.insert_one(doc! { "_id": 1 }).await.expect("an insert");
    let twice = things.insert_one(doc! { "_id": 1 }).await.expect_err("a duplicate");
    let ErrorKind::Write(WriteFailure::WriteError(refused)) = &*twice.kind else { panic!("{twice:?}") };
    assert_eq!(refused.code, 11000);
    assert_eq!(twice.code(), Some(11000));
    assert!(twice.server_address().is_some() && refused.message.contains("duplicate key"), "{twice:?}");
    let invalid =
        things.update_one(doc! { "_id": 1 }, doc! { "$nonsense": 1 }).await.expect_err("no operator");
    assert!(matches!(&*invalid.kind, ErrorKind::Write(WriteFailure::WriteError(_))), "{invalid:?}");
    // What is too large is refused, here or there, and the client goes on.
    let huge = doc! { "_id": 2, "pad": "x".repeat(17 << 20) };
    let refused = things.insert_one(huge).await.expect_err("too large");
    assert!(!refused.is_network(), "{refused:?}");
    assert_eq!(things.count_documents(doc! {}).await.expect("a count"), 1);
}

async fn refused_inserts<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let documents = || [1, 2, 2, 3, 3, 4].map(|id| doc! { "_id": id });
    let things = fresh(&client);
    let ordered = things.insert_many(documents()).await.expect_err("a duplicate");
    let ErrorKind::InsertMany(failure) = &*ordered.kind else { panic!("{ordered:?}") };
    let errors = failure.write_errors.as_ref().expect("write errors");
    assert_eq!(
        (failure.inserted_count, errors.len(), errors[0].index, errors[0].error.code),
        (2, 1, 2, 11000)
    );
    assert_eq!(stored(&set, things.name()).len(), 2);
    let things = fresh(&client);
    let unordered = things.insert_many(documents()).ordered(false).await.expect_err("duplicates");
    let ErrorKind::InsertMany(failure) = &*unordered.kind else { panic!("{unordered:?}") };
    let indexes: Vec<usize> = failure.write_errors.iter().flatten().map(|error| error.index).collect();
    assert_eq!((failure.inserted_count, indexes), (4, vec![2, 4]));
    assert_eq!(stored(&set, things.name()).len(), 4);
}

async fn large_inserts<R: TestRuntime>() {
    const MANY: i32 = 100_001;
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    // More documents than one message may have.
    let things = fresh(&client);
    let result = things.insert_many((0..MANY).map(|i| doc! { "_id": i })).await.expect("inserts");
    assert_eq!(result.inserted_ids.len(), 100_001);
    let sizes: Vec<usize> = sizes_of(&book.started("insert"));
    assert_eq!(sizes, [100_000, 1]);
    assert_eq!(things.estimated_document_count().await.expect("a count"), 100_001);
    // More bytes, and an error whose index counts through all messages.
    book.forget_commands();
    let things = fresh(&client);
    let pad = "x".repeat(13 << 20);
    let documents = [0, 1, 2, 3, 3].map(|id| doc! { "_id": id, "pad": &pad });
    let error = things.insert_many(documents).ordered(false).await.expect_err("a duplicate");
    let ErrorKind::InsertMany(failure) = &*error.kind else { panic!("{error:?}") };
    let indexes: Vec<usize> = failure.write_errors.iter().flatten().map(|error| error.index).collect();
    assert_eq!((failure.inserted_count, indexes), (4, vec![4]));
    assert_eq!(sizes_of(&book.started("insert")), [3, 2]);
    things.drop().await.expect("a drop");
    book.check_pairs();
}

fn sizes_of(inserts: &[Document]) -> Vec<usize> {
    inserts.iter().map(|insert| insert.get_array("documents").map_or(0, Vec::len)).collect()
}

async fn a_standalone_server<R: TestRuntime>() {
    let server = Standalone::builder().features(Features::from_env()).start().expect("a server");
    let mut options = crate::support::options(&server.uri()).await;
    let book = crate::support::events::Notebook::listen(&mut options);
    let client: Client<R> = crate::support::client(options);
    let things = fresh(&client);
    things.insert_many((0..5).map(|i| doc! { "_id": i })).await.expect("inserts");
    things.update_one(doc! { "_id": 1 }, doc! { "$set": { "x": 1 } }).await.expect("an update");
    assert_eq!(things.count_documents(doc! {}).await.expect("a count"), 5);
    assert_eq!(client.topology().topology_type, quorate::TopologyType::Single);
    // Servers that are in no set know no retryable writes.
    let inserts = book.started("insert");
    assert!(inserts.iter().all(|insert| insert.get("txnNumber").is_none() && insert.get("lsid").is_some()));
    assert!(inserts.iter().all(|insert| insert.get("$readPreference").is_none()), "{inserts:?}");
}
