//! Databases, collections, indexes, and commands of one's own.

use crate::set::shared;
use crate::support::{TestRuntime, connect, fresh, fresh_name};
use futures::TryStreamExt;
use quorate::IndexModel;
use quorate::bson::{Document, doc};
use quorate::error::ErrorKind;
use quorate::options::IndexOptions;

crate::on_every_runtime!(databases, collections, indexes, commands);

async fn databases<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let name = format!("suite_{}_{}", fresh_name(), std::any::type_name::<R>().len());
    let database = client.database(&name);
    database.collection::<Document>("c").insert_one(doc! {}).await.expect("an insert");
    let names = client.list_database_names().await.expect("names");
    assert!(names.contains(&name) && names.iter().any(|name| name == "admin"), "{names:?}");
    let listed = client.list_databases().filter(doc! { "name": &name }).await.expect("databases");
    assert_eq!(listed.len(), 1);
    assert!(!listed[0].empty && listed[0].size_on_disk > 0, "{listed:?}");
    database.drop().await.expect("a drop");
    assert!(!client.list_database_names().await.expect("names").contains(&name));
}

async fn collections<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let database = client.database(&format!("suite_{}", fresh_name()));
    database.create_collection("plain").await.expect("a collection");
    database.create_collection("capped").capped(true).size(4096).max(10).await.expect("a collection");
    let mut names = database.list_collection_names().await.expect("names");
    names.sort();
    assert_eq!(names, ["capped", "plain"]);
    let listed: Vec<_> =
        database.list_collections().await.expect("a cursor").try_collect().await.expect("collections");
    let capped = listed.iter().find(|found| found.name == "capped").expect("the capped one");
    assert_eq!((capped.options.capped, capped.options.max), (Some(true), Some(10)));
    let again = database.create_collection("plain").capped(true).size(1).await.expect_err("it exists");
    assert!(matches!(&*again.kind, ErrorKind::Command(error) if error.code == 48), "{again:?}");
    database.drop().await.expect("a drop");
}

async fn indexes<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let things = fresh(&client);
    let unique = IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! { "a": 1, "b": -1 }).options(unique).build();
    assert_eq!(things.create_index(index).await.expect("an index").index_name, "a_1_b_-1");
    let more = ["c", "d"].map(|field| IndexModel::builder().keys(doc! { field: 1 }).build());
    assert_eq!(things.create_indexes(more).await.expect("indexes").index_names, ["c_1", "d_1"]);
    let mut names = things.list_index_names().await.expect("names");
    names.sort();
    assert_eq!(names, ["_id_", "a_1_b_-1", "c_1", "d_1"]);
    let listed: Vec<IndexModel> =
        things.list_indexes().await.expect("a cursor").try_collect().await.expect("indexes");
    let unique = listed.iter().find(|index| index.keys == doc! { "a": 1, "b": -1 }).expect("the unique one");
    assert_eq!(unique.options.as_ref().and_then(|options| options.unique), Some(true));
    things.insert_one(doc! { "a": 1, "b": 1 }).await.expect("an insert");
    assert_eq!(
        things.insert_one(doc! { "a": 1, "b": 1 }).await.expect_err("a duplicate").code(),
        Some(11000)
    );
    things.drop_index("c_1").await.expect("a drop");
    assert_eq!(things.list_index_names().await.expect("names").len(), 3);
    things.drop_indexes().await.expect("a drop");
    assert_eq!(things.list_index_names().await.expect("names"), ["_id_"]);
    assert_eq!(things.drop_index("none").await.expect_err("no such index").code(), Some(27));
    assert!(fresh(&client).list_index_names().await.expect("no names").is_empty());
}

async fn commands<R: TestRuntime>() {
    let set = shared();
    let client = connect::<R>(&set).await;
    let database = client.database("suite");
    let pong = database.run_command(doc! { "ping": 1 }).await.expect("an answer");
    assert_eq!(pong.get_f64("ok").ok(), Some(1.0));
    let error = database.run_command(doc! { "nonsense": 1 }).await.expect_err("no such command");
    let ErrorKind::Command(refused) = &*error.kind else { panic!("{error:?}") };
    assert_eq!((refused.code, refused.code_name.as_str()), (59, "CommandNotFound"));
    let things = fresh(&client);
    things.insert_many((0..5).map(|i| doc! { "_id": i })).await.expect("inserts");
    let find = doc! { "find": things.name(), "batchSize": 2 };
    let cursor = database.run_cursor_command(find).batch_size(2).await.expect("a cursor");
    let found: Vec<Document> = cursor.try_collect().await.expect("documents");
    assert_eq!(found.len(), 5);
    let none = database.run_cursor_command(doc! { "ping": 1 }).await.expect_err("no cursor");
    assert!(matches!(*none.kind, ErrorKind::InvalidResponse { .. }), "{none:?}");
}
