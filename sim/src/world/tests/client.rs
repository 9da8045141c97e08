//! The real client, as it is shipped, in a world.

use super::greeter::Greeter;
use super::*;
use crate::SimRuntime;
use bson::{Document, doc};
use quorate::Client;
use quorate_core::ClientOptions;

fn greeter_world(seed: u64) -> (World<Greeter>, HostId, NodeId) {
    let world = World::new(WorldOptions::new(seed));
    let app = world.add_host("app");
    let node = world.serve_on("server", |_| Greeter::default());
    (world, app, node)
}

async fn client(world: &World<Greeter>, app: HostId) -> Client<SimRuntime> {
    let options = ClientOptions::parse("mongodb://server/?serverSelectionTimeoutMS=5000").await.unwrap();
    Client::on(world.runtime(app), options).unwrap()
}

/// Some inserts across a minute, with a restart in between; the trace's hash.
fn run(seed: u64, fragment: Option<u32>) -> (u64, Vec<bson::Bson>) {
    let (world, app, node) = greeter_world(seed);
    world.set_link(app, world.host_of(node), Link { fragment, ..Link::default() });
    let at = world.now();
    world.at(at + ms(20_000), move |world| world.kill(node));
    world.at(at + ms(23_000), move |world| world.start(node));
    world.block_on(async {
        let client = client(&world, app).await;
        let runtime = world.runtime(app);
        for i in 0..60 {
            client
                .database("shop")
                .collection::<Document>("orders")
                .insert_one(doc! { "i": i })
                .await
                .unwrap();
            runtime.sleep(ms(1000)).await;
        }
        client.shutdown().await;
    });
    (world.trace_hash(), world.inspect(node, |node| node.inserted.clone()).unwrap())
}

#[test]
fn a_minute_of_inserts_survives_a_restart() {
    let (_, inserted) = run(1, None);
    // Servers that are no replica set take no retryable writes: the one that is cut off may be lost. Here none is.
    assert_eq!(inserted.len(), 60);
    let distinct: std::collections::BTreeSet<_> =
        inserted.iter().map(|id| id.as_object_id().unwrap()).collect();
    assert_eq!(distinct.len(), 60);
    let first = inserted[0].as_object_id().unwrap();
    assert_eq!(first.timestamp().timestamp_millis() / 1000, 1_767_225_601);
}

#[test]
fn the_client_does_not_mind_single_bytes() {
    assert_eq!(run(1, Some(1)).1.len(), 60);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    assert_eq!(run(7, None), run(7, None));
    assert_eq!(run(7, Some(5)), run(7, Some(5)));
    assert_ne!(run(7, None).0, run(8, None).0);
}
