//! That programs written for the official driver compile when their `use` lines change.
//!
//! The functions below are calls as the official driver documents them (its README, its guide, its migration notes),
//! with `driver` in the place of `mongodb`. They are compiled, and nothing more; what the calls do is tested elsewhere.

#![allow(dead_code, unreachable_pub, unused_variables, unused_mut)]

use serde::{Deserialize, Serialize};

/// What a crate for one runtime looks like to its users.
mod driver {
    pub use quorate::*;
    use quorate::{Instant, ServerAddress};
    use std::io;

    pub type Client = quorate::Client<Nowhere>;
    pub type Database = quorate::Database<Nowhere>;
    pub type Collection<T> = quorate::Collection<T, Nowhere>;
    pub type Cursor<T> = quorate::Cursor<T, Nowhere>;
    pub type ClientSession = quorate::ClientSession<Nowhere>;
    pub type SessionCursor<T> = quorate::SessionCursor<T, Nowhere>;

    /// A runtime that reaches nobody.
    #[derive(Clone, Default)]
    pub struct Nowhere;

    impl Runtime for Nowhere {
        type Stream = futures::io::Cursor<Vec<u8>>;
        type Sleep = std::future::Pending<()>;

        fn now(&self) -> Instant {
            Instant::from_nanos(0)
        }

        fn seed(&self) -> u64 {
            0
        }

        async fn connect(&self, _address: ServerAddress) -> io::Result<Self::Stream> {
            Err(io::ErrorKind::ConnectionRefused.into())
        }

        fn sleep_until(&self, _deadline: Instant) -> Self::Sleep {
            std::future::pending()
        }

        fn spawn(&self, _task: impl Future<Output = ()> + Send + 'static) {}

        fn name(&self) -> &'static str {
            "nowhere"
        }
    }
}

struct Err {}
impl From<driver::error::Error> for Err {
    fn from(_error: driver::error::Error) -> Self {
        Err {}
    }
}
type Result<T> = std::result::Result<T, Err>;

#[derive(Debug, Serialize, Deserialize)]
struct Book {
    title: String,
    author: String,
}

async fn connecting() -> Result<()> {
    use driver::{Client, options::ClientOptions};

    let mut client_options = ClientOptions::parse("mongodb://localhost:27017").await?;
    client_options.app_name = Some("My App".to_string());
    let client = Client::with_options(client_options)?;
    for db_name in client.list_database_names().await? {
        println!("{db_name}");
    }
    let client = Client::with_uri_str("mongodb://example.com").await?;
    Ok(())
}

async fn getting_handle_to_database(client: driver::Client) -> Result<()> {
    let db = client.database("mydb");
    for collection_name in db.list_collection_names().await? {
        println!("{collection_name}");
    }
    Ok(())
}

async fn inserting_documents_into_a_collection(db: driver::Database) -> Result<()> {
    use driver::bson::{Document, doc};

    let collection = db.collection::<Document>("books");
    let docs = vec![
        doc! { "title": "1984", "author": "George Orwell" },
        doc! { "title": "Animal Farm", "author": "George Orwell" },
        doc! { "title": "The Great Gatsby", "author": "F. Scott Fitzgerald" },
    ];
    collection.insert_many(docs).await?;
    Ok(())
}

async fn inserting_documents_into_a_typed_collection(db: driver::Database) -> Result<()> {
    let typed_collection = db.collection::<Book>("books");
    let books = vec![
        Book { title: "The Grapes of Wrath".to_string(), author: "John Steinbeck".to_string() },
        Book { title: "To Kill a Mockingbird".to_string(), author: "Harper Lee".to_string() },
    ];
    // Owned, borrowed, and one by one.
    typed_collection.insert_many(&books).await?;
    typed_collection.insert_one(&books[0]).await?;
    typed_collection.insert_many(books).ordered(false).await?;
    Ok(())
}

async fn finding_documents(typed_collection: driver::Collection<Book>) -> Result<()> {
    use driver::bson::doc;
    use futures::stream::TryStreamExt;

    let filter = doc! { "author": "George Orwell" };
    let mut cursor = typed_collection.find(filter).sort(doc! { "title": 1 }).await?;
    while let Some(book) = cursor.try_next().await? {
        println!("title: {}", book.title);
    }
    Ok(())
}

async fn cursors(coll: driver::Collection<driver::bson::Document>) -> driver::error::Result<()> {
    use driver::bson::{RawDocument, doc};
    use driver::error::Result;
    use futures::stream::{StreamExt, TryStreamExt};

    let mut cursor = coll.find(doc! {}).await?;
    while let Some(doc) = cursor.next().await {
        println!("{}", doc?)
    }
    let v: Vec<Result<_>> = cursor.collect().await;

    let mut cursor = coll.find(doc! {}).await?;
    while let Some(doc) = cursor.try_next().await? {
        println!("{}", doc)
    }
    let v: Vec<_> = cursor.try_collect().await?;

    #[derive(Debug, Deserialize)]
    struct Cat<'a> {
        #[serde(borrow)]
        name: &'a str,
    }
    let cats = coll.clone_with_type::<Cat<'_>>();
    let mut cursor = cats.find(doc! {}).await?;
    while cursor.advance().await? {
        println!("{:?}", cursor.deserialize_current()?);
        let raw: &RawDocument = cursor.current();
    }
    let cursor = coll.find(doc! {}).await?.with_type::<Book>();
    Ok(())
}

async fn concurrent_workers() -> driver::error::Result<()> {
    use driver::Client;

    #[derive(Clone, Debug, Deserialize, Serialize)]
    struct Item {
        id: u32,
    }
    fn spawn(_task: impl Future<Output = ()> + Send + 'static) {}

    let client = Client::with_uri_str("mongodb://example.com").await?;
    let coll = client.database("items").collection::<Item>("in_stock");
    for i in 0..5 {
        let coll_ref = coll.clone();
        spawn(async move {
            coll_ref.insert_one(Item { id: i }).await.unwrap();
            let found: Option<Item> = coll_ref.find_one(driver::bson::doc! { "id": i }).await.unwrap();
        });
    }
    Ok(())
}

async fn aggregating(database: driver::Database) -> driver::error::Result<()> {
    use driver::bson::{Document, doc};
    use futures::TryStreamExt;

    #[derive(Deserialize)]
    struct PipelineOutput {
        len: usize,
    }
    let pipeline: Vec<Document> = vec![doc! { "$group": { "_id": null, "len": { "$sum": 1 } } }];
    let cursor = database.aggregate(pipeline.clone()).with_type::<PipelineOutput>().await?;
    let results: Vec<PipelineOutput> = cursor.try_collect().await?;
    let documents: Vec<Document> =
        database.collection::<Book>("books").aggregate(pipeline).batch_size(3).await?.try_collect().await?;
    Ok(())
}

async fn options(collection: driver::Collection<driver::bson::Document>) -> driver::error::Result<()> {
    use driver::action::Action;
    use driver::bson::{Document, doc};
    use driver::options::{
        Acknowledgment, Collation, CollationStrength, CountOptions, FindOptions, Hint, ReadConcern,
        ReadPreference, ReadPreferenceOptions, ReturnDocument, SelectionCriteria, TagSet,
        UpdateModifications, UpdateOptions, WriteConcern,
    };
    use std::sync::Arc;
    use std::time::Duration;

    let options = FindOptions::builder()
        .projection(doc! { "status": 0, "instock": 0 })
        .limit(20)
        .batch_size(5)
        .hint(Hint::Name("status_1".to_string()))
        .build();
    let cursor = collection.find(doc! { "status": "A" }).with_options(options).await?;
    let opt_projection: Option<Document> = None;
    let cursor =
        collection.find(doc! { "status": "A" }).optional(opt_projection, |f, p| f.projection(p)).await?;

    let tags = TagSet::from([("dc".to_string(), "ny".to_string())]);
    let preference = ReadPreference::Secondary {
        options: Some(
            ReadPreferenceOptions::builder()
                .tag_sets(vec![tags])
                .max_staleness(Duration::from_secs(120))
                .build(),
        ),
    };
    let count = collection
        .count_documents(doc! { "status": "A" })
        .selection_criteria(SelectionCriteria::ReadPreference(preference))
        .read_concern(ReadConcern::majority())
        .max_time(Duration::from_secs(1))
        .await?;
    let local = SelectionCriteria::Predicate(Arc::new(|server| server.address().host() == "localhost"));
    let count = collection.estimated_document_count().selection_criteria(local).comment("why").await?;
    let count = collection
        .count_documents(doc! {})
        .with_options(CountOptions::builder().limit(3_u64).build())
        .await?;

    let write_concern =
        WriteConcern::builder().w(Acknowledgment::Majority).w_timeout(Duration::from_secs(5)).build();
    let updated = collection
        .update_one(doc! { "_id": 1 }, doc! { "$set": { "a.$[e]": 1 } })
        .array_filters([doc! { "e": 1 }])
        .upsert(true)
        .write_concern(write_concern)
        .await?;
    println!("{} {} {:?}", updated.matched_count, updated.modified_count, updated.upserted_id);
    let pipeline: UpdateModifications = vec![doc! { "$set": { "b": "$a" } }].into();
    let options = UpdateOptions::builder().write_concern(WriteConcern::majority()).build();
    collection.update_many(doc! {}, pipeline).with_options(options).await?;
    collection.update_many(doc! {}, vec![doc! { "$unset": "b" }]).await?;
    let gone =
        collection.delete_many(doc! { "a": 1 }).write_concern(WriteConcern::nodes(1)).await?.deleted_count;
    let collation = Collation::builder().locale("en").strength(CollationStrength::Primary).build();
    collection.delete_one(doc! { "a": 1 }).collation(collation).await?;
    collection.replace_one(doc! { "_id": 1 }, doc! { "b": 1 }).upsert(true).await?;

    let old: Option<Document> = collection.find_one_and_delete(doc! {}).sort(doc! { "a": 1 }).await?;
    let new = collection
        .find_one_and_update(doc! {}, doc! { "$inc": { "a": 1 } })
        .return_document(ReturnDocument::After)
        .await?;
    let new = collection.find_one_and_replace(doc! {}, doc! { "x": 1 }).projection(doc! { "x": 1 }).await?;
    let values = collection.distinct("a", doc! { "b": 1 }).await?;
    let one = collection.find_one(doc! { "_id": 1 }).skip(1).await?;
    Ok(())
}

async fn databases_and_collections(client: driver::Client) -> driver::error::Result<()> {
    use driver::bson::{Document, doc};
    use driver::options::{
        CollectionOptions, CreateCollectionOptions, DatabaseOptions, IndexOptions, ReadConcern,
        ReadPreference, SelectionCriteria, ValidationLevel, WriteConcern,
    };
    use driver::{IndexModel, Namespace};
    use futures::TryStreamExt;
    use std::time::Duration;

    for database in client.list_databases().authorized_databases(true).await? {
        println!("{} {} {}", database.name, database.size_on_disk, database.empty);
    }
    let names = client.list_database_names().filter(doc! { "name": "a" }).await?;
    let options = DatabaseOptions::builder().read_concern(ReadConcern::local()).build();
    let db = client.database_with_options("mydb", options);
    let reply: Document = db.run_command(doc! { "ping": 1 }).await?;
    let secondary =
        SelectionCriteria::ReadPreference(ReadPreference::Secondary { options: Default::default() });
    db.run_command(doc! { "ping": 1 }).selection_criteria(secondary).await?;
    let cursor = db.run_cursor_command(doc! { "find": "books" }).batch_size(2).await?;

    db.create_collection("log").capped(true).size(4096).validation_level(ValidationLevel::Strict).await?;
    db.create_collection("view")
        .with_options(CreateCollectionOptions::builder().view_on("log".to_string()).build())
        .await?;
    let specifications: Vec<_> =
        db.list_collections().filter(doc! { "name": "log" }).await?.try_collect().await?;
    println!("{:?}", specifications[0].options.capped);

    let options = CollectionOptions::builder()
        .write_concern(WriteConcern::majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::nearest(None)))
        .build();
    let collection = db.collection_with_options::<Book>("books", options);
    let namespace: Namespace = collection.namespace();
    println!("{} {} {}", namespace.db, namespace.coll, collection.name());

    let options = IndexOptions::builder().unique(true).expire_after(Duration::from_secs(60)).build();
    let model = IndexModel::builder().keys(doc! { "title": 1 }).options(options).build();
    let name: String = collection.create_index(model.clone()).await?.index_name;
    let names: Vec<String> = collection.create_indexes(vec![model]).await?.index_names;
    let indexes: Vec<IndexModel> = collection.list_indexes().await?.try_collect().await?;
    let names: Vec<String> = collection.list_index_names().await?;
    collection.drop_index("title_1").await?;
    collection.drop_indexes().await?;
    collection.drop().await?;
    db.drop().write_concern(WriteConcern::majority()).await?;
    Ok(())
}

async fn errors(collection: driver::Collection<Book>, book: Book) -> driver::error::Result<()> {
    use driver::bson::{self, doc, oid::ObjectId};
    use driver::error::{ErrorKind, WriteFailure};

    match collection.insert_one(&book).await {
        Ok(result) => println!("{}", result.inserted_id),
        Err(error) => match *error.kind {
            ErrorKind::Write(WriteFailure::WriteError(ref refused)) if refused.code == 11000 => {
                println!("there already")
            }
            ErrorKind::Io(ref failure) => println!("{failure}"),
            _ if error.contains_label("RetryableWriteError") => println!("again"),
            _ => return Err(error),
        },
    }
    let id = ObjectId::parse_str("0123456789ab0123456789ab")?;
    let document = bson::serialize_to_document(&book)?;
    let book: Book = bson::deserialize_from_document(doc! { "title": "", "author": "" })?;
    Ok(())
}

fn futures_and_handles_can_be_sent(collection: driver::Collection<Book>) {
    fn send<T: Send>(_: T) {}
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>(_: &T) {}
    use driver::bson::doc;
    shared(&collection);
    shared(collection.client());
    send(collection.find(doc! {}).into_future());
    send(collection.insert_many(Vec::<Book>::new()).into_future());
    send(async move {
        let mut cursor = collection.find(doc! {}).await.unwrap();
        cursor.advance().await.unwrap();
    });
}

/// The documentation of `ClientSession`, `StartTransaction` and `SessionCursor`.
async fn transactions(
    client: driver::Client,
    coll: driver::Collection<driver::bson::Document>,
) -> Result<()> {
    use driver::bson::{Document, doc};
    use driver::error::{
        Result as DriverResult, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
    };
    use driver::options::{Acknowledgment, ReadConcern, SessionOptions, TransactionOptions, WriteConcern};
    use driver::{ClientSession, Collection, SessionCursor};
    use futures::{FutureExt, TryStreamExt};

    async fn update_data(coll: &Collection<Document>, session: &mut ClientSession) -> DriverResult<()> {
        coll.insert_one(doc! { "x": 1 }).session(&mut *session).await?;
        coll.delete_one(doc! { "y": 2 }).session(&mut *session).await?;
        Ok(())
    }
    let options = TransactionOptions::builder()
        .read_concern(ReadConcern::majority())
        .write_concern(WriteConcern::builder().w(Acknowledgment::Majority).build())
        .build();
    let defaults = SessionOptions::builder().default_transaction_options(options.clone()).build();
    let mut session = client.start_session().with_options(defaults).await?;
    session.start_transaction().with_options(options).await?;
    while let Err(error) = update_data(&coll, &mut session).await {
        if !error.contains_label(TRANSIENT_TRANSACTION_ERROR) {
            session.abort_transaction().await?;
            return Err(error.into());
        }
    }
    while let Err(error) = session.commit_transaction().await {
        if !error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
            return Err(error.into());
        }
    }
    let my_data = "my data".to_string();
    let run = session.start_transaction().and_run((&coll, &my_data), |session, (coll, my_data)| {
        async move { coll.insert_one(doc! { "data": *my_data }).session(session).await }.boxed()
    });
    fn may_be_spawned<T: Send>(future: T) -> T {
        future
    }
    may_be_spawned(run).await?;
    let owned = coll.clone();
    session
        .start_transaction()
        .and_run2(async move |session| {
            owned.insert_one(doc! { "data": my_data.clone() }).session(session).await
        })
        .await?;
    let mut cursor: SessionCursor<Document> = coll.find(doc! {}).session(&mut session).await?;
    while let Some(document) = cursor.next(&mut session).await.transpose()? {
        drop(document);
    }
    let rest: Vec<Document> = cursor.stream(&mut session).try_collect().await?;
    let again = client.clone().start_session().snapshot(true).causal_consistency(false).await?;
    drop((
        again.snapshot_time(),
        again.cluster_time(),
        again.operation_time(),
        again.id().clone(),
        again.client(),
        rest,
    ));
    Ok(())
}
