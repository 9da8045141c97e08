//! Clients that end.

use crate::set::{alone, heard};
use crate::support::{TestRuntime, eventually, fresh, sleep};
use quorate::bson::doc;
use quorate::error::ErrorKind;
use quorate::event::cmap::CmapEvent;
use quorate::event::sdam::SdamEvent;
use quorate_harness::ReplicaSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);

crate::on_every_runtime!(
    a_dropped_client_leaves_no_connection,
    shutdown_ends_everything,
    shutdown_ends_what_is_under_way,
);

/// Connections that the members see of the client of that name.
fn connections(set: &ReplicaSet, app_name: &str) -> usize {
    let pipeline = doc! {
        "aggregate": 1,
        "pipeline": [
            { "$currentOp": { "allUsers": true, "idleConnections": true } },
            { "$match": { "appName": app_name } },
        ],
        "cursor": {},
        "$readPreference": { "mode": "primaryPreferred" },
    };
    let count = |i| {
        let reply = set.command(i, "admin", pipeline.clone()).expect("an answer");
        reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch")).map_or(0, Vec::len)
    };
    (0..3).map(count).sum()
}

async fn a_dropped_client_leaves_no_connection<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "&minPoolSize=2").await;
    let name = client.options().app_name.clone().expect("a name");
    let things = fresh(&client);
    things.insert_many((0..10).map(|i| doc! { "_id": i })).await.expect("inserts");
    let cursor = things.find(doc! {}).batch_size(2).await.expect("a cursor");
    // Two in each pool, a monitor and a round-trip probe a member.
    eventually::<R>("everything is connected", SOON, || connections(&set, &name) >= 12).await;
    // All handles to the client count.
    drop(client);
    sleep::<R>(Duration::from_millis(50)).await;
    things.insert_one(doc! {}).await.expect("a collection keeps its client");
    drop((things, cursor));
    eventually::<R>("all connections are closed", SOON, || connections(&set, &name) == 0).await;
    let counts = book.pool_counts();
    assert_eq!(counts.created, counts.closed, "{counts:?}");
    assert!(book.lock().servers.iter().any(|event| matches!(event, SdamEvent::TopologyClosed(_))));
    book.check_pairs();
}

async fn shutdown_ends_everything<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let name = client.options().app_name.clone().expect("a name");
    let things = fresh(&client);
    things.insert_one(doc! {}).await.expect("an insert");
    client.shutdown().await;
    assert_eq!(book.started("endSessions").len(), 1);
    let error = things.insert_one(doc! {}).await.expect_err("it has ended");
    assert!(matches!(*error.kind, ErrorKind::Shutdown), "{error:?}");
    eventually::<R>("all connections are closed", SOON, || connections(&set, &name) == 0).await;
    let heard = book.lock();
    let closed = heard.pools.iter().filter(|event| matches!(event, CmapEvent::PoolClosed(_))).count();
    let created = heard.pools.iter().filter(|event| matches!(event, CmapEvent::PoolCreated(_))).count();
    assert_eq!((created, closed), (3, 3));
    assert!(matches!(heard.servers.last(), Some(SdamEvent::TopologyClosed(_))), "{:?}", heard.servers.last());
    let (mut started, mut ended) = (0, 0);
    for event in &heard.servers {
        match event {
            SdamEvent::ServerHeartbeatStarted(_) => started += 1,
            SdamEvent::ServerHeartbeatSucceeded(_) | SdamEvent::ServerHeartbeatFailed(_) => ended += 1,
            _ => {}
        }
    }
    assert_eq!(started, ended, "each heartbeat has its end");
    drop(heard);
    book.check_pairs();
}

async fn shutdown_ends_what_is_under_way<R: TestRuntime>() {
    let set = alone();
    let (client, book) = heard::<R>(&set, "").await;
    let things = fresh(&client);
    things.insert_one(doc! {}).await.expect("an insert");
    let late = doc! { "blockConnection": true, "blockTimeMS": 2000 };
    let _point = crate::set::fail(&set, &client, &["find"], 1, late);
    let slow = async { things.find_one(doc! {}).await };
    let end = async {
        sleep::<R>(Duration::from_millis(200)).await;
        client.clone().shutdown().await;
    };
    let begin = std::time::Instant::now();
    let (outcome, ()) = futures::join!(slow, end);
    let error = outcome.expect_err("ended");
    assert!(begin.elapsed() < Duration::from_millis(1800), "{:?}: {error:?}", begin.elapsed());
    assert!(matches!(*error.kind, ErrorKind::Shutdown | ErrorKind::Interrupted { .. }), "{error:?}");
    let counts = book.pool_counts();
    assert_eq!(counts.created, counts.closed, "{counts:?}");
    book.check_pairs();
}
