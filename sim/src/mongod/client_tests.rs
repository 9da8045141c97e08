//! The real client, as it is shipped, against simulated servers in a simulated network.

use super::{Mongod, MongodSettings};
use crate::SimRuntime;
use crate::node::NodeId;
use crate::oplog::Namespace;
use crate::repl::{Config, Directory, Member, MemberConfig};
use crate::store::ReadAt;
use crate::world::{HostId, World, WorldOptions};
use bson::{Document, doc};
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
pub(super) fn set(seed: u64) -> (World<Mongod>, HostId, Vec<NodeId>) {
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
pub(super) fn primary(world: &World<Mongod>, nodes: &[NodeId]) -> Option<NodeId> {
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

/// What a member has in `shop.orders`.
fn ids(world: &World<Mongod>, node: NodeId) -> Vec<i32> {
    let ns = Namespace { db: "shop".to_owned(), coll: "orders".to_owned() };
    let read = |mongod: &Mongod| {
        let documents = mongod.store().documents(&ns, ReadAt::Latest);
        documents.iter().map(|d| d.get_i32("_id").unwrap()).collect::<Vec<i32>>()
    };
    let mut ids = world.inspect(node, read).unwrap();
    ids.sort_unstable();
    ids
}

/// Twenty inserts a second for half a minute, in which the primary is killed twice and hangs once: every acknowledged one is there
/// in the end, none twice.
fn inserts_through_failovers(seed: u64) -> u64 {
    let (world, app, nodes) = set(seed);
    let start = world.now();
    for (at, what) in [(5, 0), (12, 1), (20, 0)] {
        let nodes = nodes.clone();
        world.at(start + Duration::from_secs(at), move |world| {
            let Some(old) = primary(world, &nodes) else { return };
            if what == 0 {
                world.kill(old)
            } else {
                world.hang(old)
            }
            world.at(world.now() + Duration::from_secs(4), move |world| {
                if what == 0 { world.start(old) } else { world.resume(old) }
            });
        });
    }
    world.block_on(async {
        let client = client(&world, app, SET).await;
        let orders = client.database("shop").collection::<Document>("orders");
        for id in 0..600 {
            orders.insert_one(doc! { "_id": id }).await.unwrap();
            world.runtime(app).sleep(Duration::from_millis(50)).await;
        }
        world.runtime(app).sleep(Duration::from_secs(10)).await;
        client.shutdown().await;
    });
    let all: Vec<i32> = (0..600).collect();
    for node in nodes {
        assert_eq!(ids(&world, node), all, "member {node:?}");
    }
    world.trace_hash()
}

#[test]
fn acknowledged_inserts_survive_failovers() {
    for seed in 1..6 {
        let before = inserts_through_failovers(seed);
        if seed == 1 {
            assert_eq!(before, inserts_through_failovers(seed), "the same seed, another trace");
        }
    }
}

/// A minute of inserts while members are killed, hung, ended and cut off at random: what was acknowledged by a majority is there
/// in the end, on all members alike, and once.
fn inserts_through_chaos(seed: u64) {
    let (world, app, nodes) = set(seed);
    let mut rng = quorate_core::Rng::new(seed);
    let start = world.now();
    for round in 0..8_u64 {
        let node = nodes[rng.below(3)];
        let what = rng.below(5);
        let at = start + Duration::from_secs(4 + round * 6) + Duration::from_millis(rng.next_u64() % 2000);
        let host = world.host_of(node);
        let lasts = Duration::from_millis(500 + rng.next_u64() % 5000);
        world.at(at, move |world| {
            match what {
                0 => world.kill(node),
                1 => world.hang(node),
                2 => world.terminate(node),
                3 => world.isolate(host),
                _ => world.reset_connections(app, host),
            }
            world.at(world.now() + lasts, move |world| match what {
                0 => world.start(node),
                1 => world.resume(node),
                2 => world.kill(node),
                _ => world.heal(),
            });
            if what == 2 {
                world.at(world.now() + lasts + Duration::from_millis(100), move |world| world.start(node));
            }
        });
    }
    let mut acknowledged = Vec::new();
    world.block_on(async {
        let uri = format!("{SET}&w=majority&serverSelectionTimeoutMS=8000");
        let client = client(&world, app, &uri).await;
        let orders = client.database("shop").collection::<Document>("orders");
        for id in 0..600 {
            if orders.insert_one(doc! { "_id": id }).await.is_ok() {
                acknowledged.push(id);
            }
            world.runtime(app).sleep(Duration::from_millis(50)).await;
        }
        world.heal();
        for node in &nodes {
            world.resume(*node);
            world.start(*node);
        }
        world.runtime(app).sleep(Duration::from_secs(60)).await;
        client.shutdown().await;
    });
    assert!(acknowledged.len() > 300, "seed {seed}: {}", acknowledged.len());
    let first = ids(&world, nodes[0]);
    for node in &nodes {
        assert!(ids(&world, *node) == first, "seed {seed}, member {node:?}\n{}", world.timeline());
    }
    assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: twice");
    let lost: Vec<&i32> = acknowledged.iter().filter(|id| !first.contains(id)).collect();
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}\n{}", world.timeline());
}

#[test]
fn acknowledged_inserts_survive_chaos() {
    for seed in 100..112 {
        inserts_through_chaos(seed);
    }
}
