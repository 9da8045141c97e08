//! Cursors behind a load balancer: only the connection that one was made on leads to the router that has it.

use super::*;
use futures::StreamExt;
use quorate::Client;
use quorate::bson::Document;
use quorate::event::{EventHandler, cmap::CmapEvent};
use quorate::options::ClientOptions;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

type Things = quorate::Collection<Document, crate::SimRuntime>;

fn balanced() -> Cluster {
    Cluster::load_balanced().shards(1).members(1).routers(3).seed(11).build()
}

async fn filled(client: &Client<crate::SimRuntime>) -> Things {
    let things: Things = client.database("test").collection("things");
    things.insert_many((0..20).map(|n| doc! { "_id": n })).await.unwrap();
    things
}

/// A client, and how many of its connections are out of their pool.
async fn watched(cluster: &Cluster, options: &str) -> (Client<crate::SimRuntime>, Arc<AtomicI64>) {
    let in_use = Arc::new(AtomicI64::new(0));
    let counter = in_use.clone();
    let uri = format!("{}&{options}", cluster.uri());
    let mut options = ClientOptions::parse(&uri).await.unwrap();
    options.cmap_event_handler = Some(EventHandler::callback(move |event: CmapEvent| {
        let change = match event {
            CmapEvent::ConnectionCheckedOut(_) => 1,
            CmapEvent::ConnectionCheckedIn(_) => -1,
            _ => 0,
        };
        counter.fetch_add(change, Relaxed);
    }));
    (Client::on(cluster.runtime(0), options).unwrap(), in_use)
}

#[test]
fn every_batch_is_asked_for_on_the_cursors_own_connection() {
    let cluster = balanced();
    cluster.run(async {
        let (client, in_use) = watched(&cluster, "").await;
        let things = filled(&client).await;
        // Many at a time, so that connections would be mixed up.
        let cursors = (0..6).map(|_| async {
            let mut cursor = things.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(3).await.unwrap();
            let mut found = 0;
            while let Some(document) = cursor.next().await {
                assert_eq!(document.unwrap().get_i32("_id").unwrap(), found);
                found += 1;
            }
            assert_eq!(found, 20);
        });
        futures::future::join_all(cursors).await;
        assert_eq!(in_use.load(Relaxed), 0);
    });
}

#[test]
fn a_cursor_that_is_dropped_is_closed_where_it_is_and_gives_its_connection_back() {
    let cluster = balanced();
    cluster.run(async {
        let (client, in_use) = watched(&cluster, "maxPoolSize=1").await;
        let things = filled(&client).await;
        for _ in 0..5 {
            let mut cursor = things.find(doc! {}).batch_size(3).await.unwrap();
            assert!(cursor.next().await.unwrap().is_ok());
            assert_eq!(in_use.load(Relaxed), 1);
            drop(cursor);
            // There is one connection: this waits for it.
            assert_eq!(things.count_documents(doc! {}).await.unwrap(), 20);
        }
        assert_eq!(in_use.load(Relaxed), 0);
    });
}

#[test]
fn a_cursor_whose_connection_is_gone_does_not_go_on_elsewhere() {
    let cluster = balanced();
    cluster.run(async {
        let (client, in_use) = watched(&cluster, "").await;
        let things = filled(&client).await;
        let mut cursor = things.find(doc! {}).batch_size(3).await.unwrap();
        for router in cluster.routers() {
            cluster.kill(router);
            cluster.start(router);
        }
        cluster.sleep(secs(1)).await;
        for _ in 0..3 {
            cursor.next().await.unwrap().unwrap();
        }
        let error = cursor.next().await.unwrap().unwrap_err();
        assert!(error.is_network(), "{error}");
        assert!(cursor.next().await.is_none());
        drop(cursor);
        assert_eq!(things.count_documents(doc! {}).await.unwrap(), 20);
        assert_eq!(in_use.load(Relaxed), 0);
    });
}
