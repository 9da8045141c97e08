//! The real client against sharded clusters and load balancers in a simulated network.

use super::{Mongos, ShardSettings};
use crate::SimRuntime;
use crate::balancer::Balancer;
use crate::mongod::raw_client::RawClient;
use crate::mongod::{Mongod, MongodSettings};
use crate::node::NodeId;
use crate::repl::{Config, Directory, Member, MemberConfig};
use crate::server::Server;
use crate::world::{HostId, World, WorldOptions};
use bson::spec::BinarySubtype;
use bson::{Binary, Document, doc};
use quorate::Client;
use quorate_core::{ClientOptions, Duration, ServerAddress};
use std::sync::Arc;

/// Two shards of two members each, two mongos, a load balancer in front of them, and a machine for clients.
struct Sharded {
    world: World<Server>,
    app: HostId,
    /// The members of both shards.
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

    fn primary_of(&self, shard: usize) -> Option<NodeId> {
        let primary = |server: &Server| server.as_mongod().is_some_and(|m| m.is_running() && m.is_primary());
        self.shards[shard].iter().copied().find(|node| self.world.inspect(*node, primary) == Some(true))
    }

    /// A database that lives on that shard.
    fn db_on(&self, shard: usize) -> String {
        let home = |name: &String| {
            let look = |server: &Server| {
                server.as_mongos().and_then(|m| m.shard_of(name)).map(|s| s == format!("shard{shard}"))
            };
            self.world.inspect(self.mongos[0], look).flatten() == Some(true)
        };
        (0..100).map(|i| format!("db{i}")).find(home).unwrap()
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

#[test]
fn databases_live_on_their_shards_and_survive_a_failover() {
    let sharded = Sharded::new(3);
    let (first, second) = (sharded.db_on(0), sharded.db_on(1));
    sharded.world.clone().block_on(async {
        let client = sharded.client(ROUTERS).await;
        for (shard, db) in [&first, &second].into_iter().enumerate() {
            let coll = client.database(db).collection::<Document>("c");
            for i in 0..5 {
                coll.insert_one(doc! { "_id": i }).await.unwrap();
            }
            let old = sharded.primary_of(shard).unwrap();
            sharded.world.kill(old);
            for i in 5..10 {
                coll.insert_one(doc! { "_id": i }).await.unwrap();
            }
            sharded.world.start(old);
            assert_eq!(coll.count_documents(doc! {}).await.unwrap(), 10);
        }
        client.shutdown().await;
    });
}

#[test]
fn a_stopped_mongos_closes_what_came_through_the_balancer() {
    let sharded = Sharded::new(4);
    sharded.world.clone().block_on(async {
        let client = sharded.client("mongodb://lb/?loadBalanced=true&retryReads=true").await;
        for round in 0..20 {
            let coll = client.database("test").collection::<Document>("c");
            coll.insert_one(doc! { "round": round }).await.unwrap();
            if round == 10 {
                sharded.world.kill(sharded.mongos[0]);
            }
        }
        client.shutdown().await;
    });
}

/// A statement of a transaction.
fn part(mut body: Document, session: u8, number: i64, first: bool) -> Document {
    let id = Binary { subtype: BinarySubtype::Uuid, bytes: vec![session; 16] };
    body.extend(doc! { "lsid": { "id": id }, "txnNumber": number, "autocommit": false });
    if first {
        body.insert("startTransaction", true);
    }
    body
}

#[test]
fn transactions_belong_to_one_mongos_until_they_are_committed() {
    let sharded = Sharded::new(5);
    let db = sharded.db_on(1);
    sharded.world.clone().block_on(async {
        let runtime = sharded.world.runtime(sharded.app);
        let mut m0 = RawClient::connect(&runtime, "m0").await;
        let mut m1 = RawClient::connect(&runtime, "m1").await;
        m0.ok(&db, doc! { "create": "c" }).await;
        let insert = |id: i32| doc! { "insert": "c", "documents": [{ "_id": id }] };
        let reply = m0.ok(&db, part(insert(1), 1, 1, true)).await;
        let token = reply.get_document("recoveryToken").unwrap().clone();
        assert_eq!(token, doc! { "recoveryShardId": "shard1" });
        // The other one does not know it.
        let (code, labels) = m1.fails(&db, part(insert(2), 1, 1, false)).await;
        assert_eq!((code, labels), (251, vec!["TransientTransactionError".to_owned()]));
        m0.ok(&db, part(insert(2), 1, 1, false)).await;
        let count = doc! { "count": "c" };
        assert_eq!(m1.ok(&db, count.clone()).await.get_i32("n").unwrap(), 0);
        // But with the token it can commit, again and again.
        let commit = part(doc! { "commitTransaction": 1, "recoveryToken": token }, 1, 1, false);
        m1.ok("admin", commit.clone()).await;
        m0.ok("admin", commit).await;
        assert_eq!(m1.ok(&db, count).await.get_i32("n").unwrap(), 2);

        m0.ok(&db, part(insert(3), 1, 2, true)).await;
        m0.ok("admin", part(doc! { "abortTransaction": 1 }, 1, 2, false)).await;
        let (code, _) = m0.fails("admin", part(doc! { "commitTransaction": 1 }, 1, 2, false)).await;
        assert_eq!(code, 251);
    });
}

#[test]
fn cursors_live_where_they_were_opened() {
    let sharded = Sharded::new(6);
    sharded.world.clone().block_on(async {
        let runtime = sharded.world.runtime(sharded.app);
        let mut m0 = RawClient::connect(&runtime, "m0").await;
        let mut m1 = RawClient::connect(&runtime, "m1").await;
        let documents: Vec<Document> = (0..10).map(|i| doc! { "_id": i }).collect();
        m0.ok("test", doc! { "insert": "c", "documents": documents }).await;
        let reply = m0.ok("test", doc! { "find": "c", "batchSize": 3 }).await;
        let id = reply.get_document("cursor").unwrap().get_i64("id").unwrap();
        let more = doc! { "getMore": id, "collection": "c", "batchSize": 3 };
        assert_eq!(m1.fails("test", more.clone()).await.0, 43);
        let mut seen = 3;
        loop {
            let reply = m0.ok("test", more.clone()).await;
            let cursor = reply.get_document("cursor").unwrap();
            seen += cursor.get_array("nextBatch").unwrap().len();
            match cursor.get_i64("id").unwrap() {
                0 => break,
                same => assert_eq!(same, id),
            }
        }
        assert_eq!(seen, 10);
        assert_eq!(m0.fails("test", more).await.0, 43);
        let reply = m0.ok("test", doc! { "find": "c", "batchSize": 3 }).await;
        let id = reply.get_document("cursor").unwrap().get_i64("id").unwrap();
        let kill = doc! { "killCursors": "c", "cursors": [id] };
        assert_eq!(m0.ok("test", kill.clone()).await.get_array("cursorsKilled").unwrap().len(), 1);
        assert_eq!(m0.ok("test", kill).await.get_array("cursorsNotFound").unwrap().len(), 1);
    });
}

/// Inserts through two routers while members, routers and the network fail at random: what was acknowledged is there in the end.
fn inserts_through_chaos(seed: u64, uri: &str) {
    let sharded = Sharded::new(seed);
    let world = &sharded.world;
    let mut rng = quorate_core::Rng::new(seed);
    let all: Vec<NodeId> = sharded.shards.iter().flatten().chain(&sharded.mongos).copied().collect();
    for round in 0..8_u64 {
        let node = all[rng.below(all.len())];
        let what = rng.below(4);
        let host = world.host_of(node);
        let lasts = Duration::from_millis(500 + rng.next_u64() % 4000);
        let at = world.now() + Duration::from_secs(4 + round * 6);
        world.at(at, move |world| {
            match what {
                0 => world.kill(node),
                1 => world.hang(node),
                2 => world.isolate(host),
                _ => world.terminate(node),
            }
            world.at(world.now() + lasts, move |world| {
                world.heal();
                world.resume(node);
                world.kill(node);
                world.start(node);
            });
        });
    }
    let dbs = [sharded.db_on(0), sharded.db_on(1)];
    world.clone().block_on(async {
        let client = sharded.client(uri).await;
        let mut acknowledged = vec![Vec::new(), Vec::new()];
        for id in 0..400_i32 {
            let shard = (id % 2) as usize;
            let coll = client.database(&dbs[shard]).collection::<Document>("c");
            if coll.insert_one(doc! { "_id": id }).await.is_ok() {
                acknowledged[shard].push(id);
            }
            sharded.sleep(100).await;
        }
        sharded.sleep(30_000).await;
        for (db, acknowledged) in dbs.iter().zip(acknowledged) {
            let coll = client.database(db).collection::<Document>("c");
            assert!(acknowledged.len() > 100, "seed {seed}: {}", acknowledged.len());
            for id in acknowledged {
                let found = coll.find_one(doc! { "_id": id }).await.unwrap();
                assert!(found.is_some(), "seed {seed}: {id} is lost");
            }
        }
        client.shutdown().await;
    });
}

#[test]
fn acknowledged_inserts_survive_chaos() {
    for seed in 50..54 {
        inserts_through_chaos(seed, ROUTERS);
        inserts_through_chaos(seed, "mongodb://lb/?loadBalanced=true");
    }
}
