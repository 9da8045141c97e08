//! The real client against sharded clusters and load balancers in a simulated network.

use super::{Mongos, ShardSettings};
use crate::SimRuntime;
use crate::balancer::Balancer;
use crate::mongod::{Mongod, MongodSettings};
use crate::node::NodeId;
use crate::repl::{Config, Directory, Member, MemberConfig};
use crate::server::Server;
use crate::world::{HostId, World, WorldOptions};
use bson::doc;
use quorate::Client;
use quorate_core::{ClientOptions, Duration, ServerAddress};
use std::sync::Arc;

/// Two shards of two members each, two mongos, a load balancer in front of them, and a machine for clients.
struct Sharded {
    world: World<Server>,
    app: HostId,
    shards: Vec<Vec<NodeId>>,
    mongos: Vec<NodeId>,
}

fn at(name: &str) -> ServerAddress {
    ServerAddress::tcp(name, 27017)
}

impl Sharded {
    fn new(seed: u64) -> Sharded {
        let world = World::new(WorldOptions::new(seed));
        let app = world.add_host("app");
        let names = [["s0a", "s0b", "s0c"], ["s1a", "s1b", "s1c"]];
        let all = names.iter().flatten().map(|name| at(name));
        let directory: Directory = Arc::new(all.zip((0..).map(NodeId)).collect());
        let mut sharded = Sharded { world, app, shards: Vec::new(), mongos: Vec::new() };
        for (number, hosts) in names.iter().enumerate() {
            let members = hosts.iter().zip(0..).map(|(name, id)| MemberConfig::new(id, at(name)));
            let mut config = Config::new(&format!("shard{number}"), members);
            config.settings.election_timeout = Duration::from_secs(1);
            let nodes = hosts.iter().map(|name| {
                sharded.add(name, |node| {
                    let seed = seed * 100 + u64::from(node.0);
                    let member = Member::new(node, at(name), config.clone(), directory.clone(), seed);
                    Mongod::member(MongodSettings::new(at(name), seed), member).into()
                })
            });
            let nodes = nodes.collect();
            sharded.shards.push(nodes);
        }
        let settings = |(number, members): (usize, &Vec<NodeId>)| ShardSettings {
            name: format!("shard{number}"),
            members: members.clone(),
        };
        let shards: Vec<ShardSettings> = sharded.shards.iter().enumerate().map(settings).collect();
        for name in ["m0", "m1"] {
            let settings = MongodSettings::new(at(name), seed * 1000 + u64::from(name == "m1"));
            let node = sharded.add(name, |_| Mongos::new(settings, shards.clone()).into());
            sharded.mongos.push(node);
        }
        let balancer = Balancer::new(sharded.mongos.clone(), seed);
        let balancer = sharded.add("lb", |_| balancer.into());
        (0..=balancer.0).for_each(|node| sharded.world.start(NodeId(node)));
        sharded
    }

    fn add(&self, name: &str, make: impl FnOnce(NodeId) -> Server) -> NodeId {
        let machine = self.world.add_host(name);
        self.world.add_node(machine, 27017, make)
    }

    async fn client(&self, uri: &str) -> Client<SimRuntime> {
        let options = ClientOptions::parse(uri).await.unwrap();
        Client::on(self.world.runtime(self.app), options).unwrap()
    }

    async fn sleep(&self, millis: u64) {
        self.world.runtime(self.app).sleep(Duration::from_millis(millis)).await;
    }
}

const ROUTERS: &str = "mongodb://m0,m1/";

#[test]
fn the_client_takes_it_for_a_sharded_cluster() {
    let sharded = Sharded::new(1);
    sharded.world.clone().block_on(async {
        let client = sharded.client(ROUTERS).await;
        let hello = client.database("admin").run_command(doc! { "hello": 1 }).await.unwrap();
        assert_eq!(hello.get_str("msg").unwrap(), "isdbgrid");
        let error = client.database("admin").run_command(doc! { "replSetGetStatus": 1 }).await.unwrap_err();
        assert_eq!(error.code(), Some(59));
        sharded.sleep(30_000).await;
        client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
        client.shutdown().await;
    });
}

#[test]
fn through_a_load_balancer_there_is_a_service_id() {
    let sharded = Sharded::new(2);
    sharded.world.clone().block_on(async {
        let client = sharded.client("mongodb://lb/?loadBalanced=true").await;
        for _ in 0..5 {
            client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
        }
        client.shutdown().await;
    });
}
