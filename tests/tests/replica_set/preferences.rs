//! Where reads go, and what is inherited.

use crate::set::{heard, options, shared};
use crate::support::{TestRuntime, client, connect, eventually, fresh, fresh_name};
use quorate::bson::{Document, doc};
use quorate::error::ErrorKind;
use quorate::options::{
    CollectionOptions, DatabaseOptions, ReadConcern, ReadPreference, ReadPreferenceOptions,
    SelectionCriteria, TagSet, WriteConcern,
};
use quorate::{Client, Collection, ServerType};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

crate::on_every_runtime!(
    discovery_from_one_seed,
    a_direct_connection_to_a_secondary,
    modes,
    tag_sets,
    predicates,
    nobody_suits,
    options_are_inherited_and_overridden,
    sessions_and_cluster_time,
);

async fn discovery_from_one_seed<R: TestRuntime>() {
    let set = shared();
    for more in ["", "&replicaSet=rs"] {
        // From a secondary, too.
        for seed in 0..3 {
            let uri = set.uri_of(set.address(seed), &format!("appName=discovery{more}"));
            let client: Client<R> = Client::with_uri_str(uri).await.expect("a good connection string");
            fresh(&client).insert_one(doc! {}).await.expect("an insert");
            eventually::<R>("all members are known", SOON, || {
                let topology = client.topology();
                let known =
                    topology.servers.values().filter(|server| server.server_type != ServerType::Unknown);
                known.count() == 3
            })
            .await;
        }
    }
    let uri = set.uri_of(set.address(1), "directConnection=false");
    let client: Client<R> = Client::with_uri_str(uri).await.expect("a good connection string");
    fresh(&client).insert_one(doc! {}).await.expect("an insert");
}

async fn a_direct_connection_to_a_secondary<R: TestRuntime>() {
    let set = shared();
    let things = fresh(&connect::<R>(&set).await);
    things.insert_one(doc! { "_id": 1 }).write_concern(WriteConcern::nodes(3)).await.expect("an insert");
    let secondary = set.secondaries()[0];
    let uri = set.uri_of(set.address(secondary), "directConnection=true");
    let client: Client<R> = Client::with_uri_str(uri).await.expect("a good connection string");
    let there: Collection<Document, R> = client.database("suite").collection(things.name());
    // "If the topology is Single ... primaryPreferred": any read works without a read preference.
    assert_eq!(there.find_one(doc! {}).await.expect("an answer"), Some(doc! { "_id": 1 }));
    assert_eq!(there.count_documents(doc! {}).await.expect("a count"), 1);
    client.database("suite").run_command(doc! { "ping": 1 }).await.expect("an answer");
    assert_eq!(client.topology().servers.len(), 1);
    let refused = there.insert_one(doc! {}).await.expect_err("no primary");
    assert_eq!(refused.code(), Some(10107), "{refused:?}");
}

async fn where_reads_go<R: TestRuntime>(preference: ReadPreference) -> BTreeSet<usize> {
    let set = shared();
    // Wide enough that no member is out of it because the machine has other things to do.
    let (client, book) = heard::<R>(&set, "&localThresholdMS=5000").await;
    let things = fresh(&client);
    things.insert_one(doc! {}).await.expect("an insert");
    eventually::<R>("all members are known", SOON, || {
        client.topology().servers.values().all(|server| server.server_type != ServerType::Unknown)
    })
    .await;
    for _ in 0..40 {
        things.find_one(doc! {}).selection_criteria(preference.clone().into()).await.expect("an answer");
    }
    book.sent_to("find").iter().map(|address| set.index_of(address).expect("a member")).collect()
}

async fn modes<R: TestRuntime>() {
    let primary = shared().primary().expect("a primary");
    let others: BTreeSet<usize> = (0..3).filter(|i| *i != primary).collect();
    let only_primary = BTreeSet::from([primary]);
    assert_eq!(where_reads_go::<R>(ReadPreference::Primary).await, only_primary);
    assert_eq!(where_reads_go::<R>(ReadPreference::primary_preferred(None)).await, only_primary);
    assert_eq!(where_reads_go::<R>(ReadPreference::secondary(None)).await, others);
    assert_eq!(where_reads_go::<R>(ReadPreference::secondary_preferred(None)).await, others);
    assert!(where_reads_go::<R>(ReadPreference::nearest(None)).await.len() > 1);
}

fn tagged(sets: &[&[(&str, &str)]]) -> ReadPreferenceOptions {
    let set = |tags: &&[(&str, &str)]| -> TagSet {
        tags.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    };
    ReadPreferenceOptions::builder().tag_sets(sets.iter().map(set).collect::<Vec<_>>()).build()
}

async fn tag_sets<R: TestRuntime>() {
    let west = BTreeSet::from([2]);
    assert_eq!(where_reads_go::<R>(ReadPreference::secondary(tagged(&[&[("dc", "west")]]))).await, west);
    assert_eq!(where_reads_go::<R>(ReadPreference::nearest(tagged(&[&[("dc", "west")]]))).await, west);
    // The first set that matches anybody decides.
    let sets: &[&[(&str, &str)]] = &[&[("dc", "north")], &[("dc", "west"), ("id", "2")], &[]];
    assert_eq!(where_reads_go::<R>(ReadPreference::nearest(tagged(sets))).await, west);
    let east = where_reads_go::<R>(ReadPreference::secondary(tagged(&[&[("dc", "east")]]))).await;
    let primary = shared().primary().expect("a primary");
    assert_eq!(east, (0..2).filter(|i| *i != primary).collect());
}

async fn predicates<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let wanted = set.address(2).to_owned();
    let criteria =
        SelectionCriteria::Predicate(Arc::new(move |server| server.address().to_string() == wanted));
    for _ in 0..10 {
        let _ =
            fresh(&client).find_one(doc! {}).selection_criteria(criteria.clone()).await.expect("an answer");
    }
    assert!(book.sent_to("find").iter().all(|address| address == set.address(2)));
}

async fn nobody_suits<R: TestRuntime>() {
    let set = shared();
    let client: Client<R> = client(options(&set, "&serverSelectionTimeoutMS=300").await);
    let begin = std::time::Instant::now();
    let north = ReadPreference::secondary(tagged(&[&[("dc", "north")]]));
    let error = fresh(&client).find_one(doc! {}).selection_criteria(north.into()).await.expect_err("nobody");
    let waited = begin.elapsed();
    assert!(matches!(*error.kind, ErrorKind::ServerSelection { .. }), "{error:?}");
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(3), "{waited:?}");
    let text = error.to_string();
    for i in 0..3 {
        assert!(text.contains(set.address(i)), "{text}");
    }
    assert!(text.contains("north") && text.contains("ReplicaSetWithPrimary"), "{text}");
    // A staleness below what can be measured is refused at once.
    let stale = ReadPreferenceOptions::builder().max_staleness(Duration::from_secs(30)).build();
    let criteria = ReadPreference::secondary(stale).into();
    let begin = std::time::Instant::now();
    let error = fresh(&client).find_one(doc! {}).selection_criteria(criteria).await.expect_err("too small");
    assert!(error.to_string().contains("90"), "{error}");
    assert!(begin.elapsed() < Duration::from_millis(250), "{:?}", begin.elapsed());
}

async fn options_are_inherited_and_overridden<R: TestRuntime>() {
    let set = shared();
    let (client, book) =
        heard::<R>(&set, "&w=2&readConcernLevel=majority&readPreference=secondaryPreferred").await;
    let last = |name: &str| book.started(name).pop().expect("one was sent");
    let w = |command: &Document| command.get_document("writeConcern").ok().and_then(|c| c.get("w").cloned());
    let level = |command: &Document| {
        command.get_document("readConcern").ok().and_then(|c| c.get_str("level").ok().map(str::to_owned))
    };
    let mode = |command: &Document| {
        command.get_document("$readPreference").ok().and_then(|c| c.get_str("mode").ok().map(str::to_owned))
    };
    let of_client = client.database("suite");
    let things: Collection<Document, R> = of_client.collection(&fresh_name());
    things.insert_one(doc! {}).await.expect("an insert");
    things.find_one(doc! {}).await.expect("an answer");
    assert_eq!(w(&last("insert")), Some(2.into()));
    assert_eq!(level(&last("find")).as_deref(), Some("majority"));
    assert_eq!(mode(&last("find")).as_deref(), Some("secondaryPreferred"));
    let of_database = DatabaseOptions::builder()
        .write_concern(WriteConcern::majority())
        .read_concern(ReadConcern::local())
        .selection_criteria(SelectionCriteria::from(ReadPreference::nearest(None)))
        .build();
    let database = client.database_with_options("suite", of_database);
    let things: Collection<Document, R> = database.collection(&fresh_name());
    things.insert_one(doc! {}).await.expect("an insert");
    things.find_one(doc! {}).await.expect("an answer");
    assert_eq!(w(&last("insert")), Some("majority".into()));
    assert_eq!(level(&last("find")).as_deref(), Some("local"));
    assert_eq!(mode(&last("find")).as_deref(), Some("nearest"));
    let of_collection = CollectionOptions::builder()
        .write_concern(WriteConcern::nodes(1))
        .read_concern(ReadConcern::available())
        .selection_criteria(SelectionCriteria::from(ReadPreference::Primary))
        .build();
    let things: Collection<Document, R> = database.collection_with_options(&fresh_name(), of_collection);
    things.insert_one(doc! {}).await.expect("an insert");
    things.find_one(doc! {}).await.expect("an answer");
    assert_eq!(w(&last("insert")), Some(1.into()));
    assert_eq!(level(&last("find")).as_deref(), Some("available"));
    assert_eq!(mode(&last("find")), None);
    things.insert_one(doc! {}).write_concern(WriteConcern::nodes(3)).await.expect("an insert");
    things.find_one(doc! {}).read_concern(ReadConcern::majority()).await.expect("an answer");
    assert_eq!(w(&last("insert")), Some(3.into()));
    assert_eq!(level(&last("find")).as_deref(), Some("majority"));
    // Commands of one's own inherit nothing.
    client.database("suite").run_command(doc! { "ping": 1 }).await.expect("an answer");
    let ping = last("ping");
    assert_eq!((w(&ping), level(&ping), mode(&ping)), (None, None, None));
}

async fn sessions_and_cluster_time<R: TestRuntime>() {
    let set = shared();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    for i in 0..5 {
        things.insert_one(doc! { "_id": i }).await.expect("an insert");
        things.find_one(doc! {}).await.expect("an answer");
    }
    let inserts = book.started("insert");
    let sessions: BTreeSet<String> =
        inserts.iter().map(|insert| insert.get("lsid").expect("a session").to_string()).collect();
    assert_eq!(sessions.len(), 1, "one at a time takes one session");
    let numbers: Vec<i64> =
        inserts.iter().map(|insert| insert.get_i64("txnNumber").expect("a number")).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
    assert!(inserts[1..].iter().all(|insert| insert.get_document("$clusterTime").is_ok()), "{inserts:?}");
    assert!(book.started("find").iter().all(|find| find.get("txnNumber").is_none()));
}
