//! The real client, as it is shipped, against simulated servers in a simulated network.

use super::{Mongod, MongodSettings};
use crate::SimRuntime;
use crate::node::NodeId;
use crate::repl::{Config, Directory, Member, MemberConfig};
use crate::world::{HostId, World, WorldOptions};
use bson::doc;
use quorate::Client;
use quorate_core::{ClientOptions, Duration, ServerAddress};
use std::sync::Arc;

/// A standalone server `a` and a machine for clients.
fn alone(seed: u64) -> (World<Mongod>, HostId) {
    let world = World::new(WorldOptions::new(seed));
    let app = world.add_host("app");
    world.serve_on("a", |_| Mongod::standalone(MongodSettings::new(ServerAddress::tcp("a", 27017), seed)));
    (world, app)
}

async fn client(world: &World<Mongod>, app: HostId, uri: &str) -> Client<SimRuntime> {
    let options = ClientOptions::parse(uri).await.unwrap();
    Client::on(world.runtime(app), options).unwrap()
}

#[test]
fn the_client_pings_a_standalone() {
    let (world, app) = alone(1);
    world.block_on(async {
        let client = client(&world, app, "mongodb://a/").await;
        let admin = client.database("admin");
        for _ in 0..10 {
            let reply = admin.run_command(doc! { "ping": 1 }).await.unwrap();
            assert_eq!(reply.get_f64("ok").unwrap(), 1.0);
            world.runtime(app).sleep(Duration::from_secs(5)).await;
        }
        let error = admin.run_command(doc! { "nope": 1 }).await.unwrap_err();
        assert_eq!(error.code(), Some(59));
        let data = doc! { "failCommands": ["ping"], "closeConnection": true };
        let configure = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
        admin.run_command(configure).await.unwrap();
        assert!(admin.run_command(doc! { "ping": 1 }).await.is_err());
        admin.run_command(doc! { "ping": 1 }).await.unwrap();
        client.shutdown().await;
    });
}

/// A replica set `a`, `b`, `c` whose election time-out is a second, and a machine for clients.
fn set(seed: u64) -> (World<Mongod>, HostId, Vec<NodeId>) {
    let world = World::new(WorldOptions::new(seed));
    let app = world.add_host("app");
    let hosts = ["a", "b", "c"].map(|name| ServerAddress::tcp(name, 27017));
    let members = hosts.iter().zip(0..).map(|(host, id)| MemberConfig::new(id, host.clone()));
    let mut config = Config::new("rs0", members);
    config.settings.election_timeout = Duration::from_secs(1);
    let directory: Directory = Arc::new(hosts.iter().cloned().zip((0..).map(NodeId)).collect());
    let nodes = hosts.iter().zip(seed * 10..).map(|(host, seed)| {
        let machine = world.add_host(host.host());
        world.add_node(machine, 27017, |node| {
            let member = Member::new(node, host.clone(), config.clone(), directory.clone(), seed);
            Mongod::member(MongodSettings::new(host.clone(), seed), member)
        })
    });
    let nodes: Vec<NodeId> = nodes.collect();
    assert_eq!(nodes, [NodeId(0), NodeId(1), NodeId(2)]);
    nodes.iter().for_each(|node| world.start(*node));
    (world, app, nodes)
}

/// The member that takes writes.
fn primary(world: &World<Mongod>, nodes: &[NodeId]) -> Option<NodeId> {
    let writable = |node: &NodeId| world.inspect(*node, |mongod| mongod.is_running() && mongod.is_primary());
    nodes.iter().copied().find(|node| writable(node) == Some(true))
}

const SET: &str = "mongodb://a,b,c/?replicaSet=rs0";

#[test]
fn the_client_finds_the_primary_and_follows_a_step_down() {
    let (world, app, nodes) = set(3);
    world.block_on(async {
        let client = client(&world, app, SET).await;
        let admin = client.database("admin");
        let hello = admin.run_command(doc! { "hello": 1 }).await.unwrap();
        assert!(hello.get_bool("isWritablePrimary").unwrap(), "{hello}");
        let old = primary(&world, &nodes).unwrap();
        admin.run_command(doc! { "replSetStepDown": 30, "secondaryCatchUpPeriodSecs": 5 }).await.unwrap();
        world.runtime(app).sleep(Duration::from_secs(3)).await;
        let hello = admin.run_command(doc! { "hello": 1 }).await.unwrap();
        assert!(hello.get_bool("isWritablePrimary").unwrap(), "{hello}");
        assert_ne!(primary(&world, &nodes), Some(old));
        client.shutdown().await;
    });
}

#[test]
fn a_member_that_is_to_end_says_so_first() {
    let (world, app, nodes) = set(4);
    world.block_on(async {
        let client = client(&world, app, SET).await;
        let admin = client.database("admin");
        admin.run_command(doc! { "ping": 1 }).await.unwrap();
        let old = primary(&world, &nodes).unwrap();
        world.terminate(old);
        for _ in 0..40 {
            world.runtime(app).sleep(Duration::from_millis(500)).await;
            admin.run_command(doc! { "ping": 1 }).await.unwrap();
        }
        assert_eq!(world.inspect(old, Mongod::is_running), Some(false));
        world.start(old);
        world.runtime(app).sleep(Duration::from_secs(5)).await;
        assert_eq!(world.inspect(old, |mongod| mongod.is_running() && !mongod.is_primary()), Some(true));
        client.shutdown().await;
    });
}
