//! The processes of a deployment, and where they are found.

use super::builder::Shape;
use crate::balancer::Balancer;
use crate::mongod::{Mongod, MongodSettings};
use crate::mongos::{Mongos, ShardSettings};
use crate::node::NodeId;
use crate::repl::{Config, Member};
use crate::server::Server;
use crate::world::child_seed;
use quorate::ServerAddress;
use std::sync::Arc;

/// What runs on the machines of a deployment.
pub type Process = Server;

/// What part of the deployment a process has. Processes are counted from 0: members, shard by shard, then routers, then the
/// load balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A server with data, or an arbiter.
    Member {
        /// Its number among all.
        number: usize,
        /// Its shard; 0 where there are none.
        shard: usize,
    },
    /// A `mongos`.
    Router(usize),
    /// The load balancer.
    Balancer,
}

impl Part {
    /// The name of its machine.
    pub(super) fn host_name(self) -> String {
        match self {
            Part::Member { number, .. } => format!("db{number}"),
            Part::Router(number) => format!("router{number}"),
            Part::Balancer => "balancer".to_owned(),
        }
    }
}

impl Shape {
    /// All processes, in the order in which they are counted.
    pub(super) fn parts(&self) -> Vec<Part> {
        let (size, shards, routers, balanced) = match self {
            Shape::Standalone => (1, 1, 0, false),
            Shape::ReplicaSet(config) => (config.members.len(), 1, 0, false),
            Shape::Sharded { config, shards, routers, balanced } => {
                (config.members.len(), *shards, *routers, *balanced)
            }
        };
        let members = (0..size * shards).map(|number| Part::Member { number, shard: number / size.max(1) });
        members.chain((0..routers).map(Part::Router)).chain(balanced.then_some(Part::Balancer)).collect()
    }

    /// The connection string: what clients are told of.
    pub(super) fn uri(&self, addresses: &[ServerAddress]) -> String {
        let list = |shown: &mut dyn Iterator<Item = &ServerAddress>| {
            shown.map(ServerAddress::to_string).collect::<Vec<_>>().join(",")
        };
        match self {
            Shape::Standalone => format!("mongodb://{}/", list(&mut addresses.iter())),
            Shape::ReplicaSet(config) => {
                let shown = config.members.iter().zip(addresses);
                let shown = shown.filter(|(member, _)| !member.hidden && !member.arbiter_only);
                let hosts = list(&mut shown.map(|(_, address)| address));
                format!("mongodb://{hosts}/?replicaSet={}", config.name)
            }
            Shape::Sharded { balanced: true, .. } => {
                format!("mongodb://{}/?loadBalanced=true", list(&mut addresses.last().into_iter()))
            }
            Shape::Sharded { config, shards, .. } => {
                format!("mongodb://{}/", list(&mut addresses.iter().skip(config.members.len() * shards)))
            }
        }
    }

    /// Who is to be the first primary of each replica set: the first of the highest priority.
    pub(super) fn favourites(&self) -> Vec<usize> {
        let (config, shards) = match self {
            Shape::Standalone => return Vec::new(),
            Shape::ReplicaSet(config) => (config, 1),
            Shape::Sharded { config, shards, .. } => (config, *shards),
        };
        let highest = config.members.iter().map(|member| member.priority).fold(0.0, f64::max);
        let favourite =
            config.members.iter().position(|member| member.is_electable() && member.priority >= highest);
        favourite
            .into_iter()
            .flat_map(|at| (0..shards).map(move |shard| shard * config.members.len() + at))
            .collect()
    }

    /// The processes, with those settings. Their ids count from 0.
    pub(super) fn processes(&self, settings: Vec<MongodSettings>) -> Vec<Process> {
        match self {
            Shape::Standalone => {
                settings.into_iter().map(|settings| Mongod::standalone(settings).into()).collect()
            }
            Shape::ReplicaSet(config) => replica_set(config, 0, &settings),
            Shape::Sharded { config, shards, balanced, .. } => sharded(config, *shards, *balanced, &settings),
        }
    }
}

/// The members of one replica set, the first of which is that node.
fn replica_set(config: &Config, first: usize, settings: &[MongodSettings]) -> Vec<Process> {
    let mut config = config.clone();
    for (member, settings) in config.members.iter_mut().zip(settings) {
        member.host = settings.host.clone();
    }
    let nodes = || (first as u32..).map(NodeId);
    let directory = Arc::new(settings.iter().map(|settings| settings.host.clone()).zip(nodes()).collect());
    let member = |(settings, node): (&MongodSettings, NodeId)| {
        let (host, seed) = (settings.host.clone(), child_seed(settings.seed, "member", 0));
        let member = Member::new(node, host, config.clone(), Arc::clone(&directory), seed);
        Mongod::member(settings.clone(), member).into()
    };
    settings.iter().zip(nodes()).map(member).collect()
}

fn sharded(config: &Config, count: usize, balanced: bool, settings: &[MongodSettings]) -> Vec<Process> {
    let size = config.members.len();
    let (members, rest) = settings.split_at(size * count);
    let mut processes = Vec::new();
    let mut shards = Vec::new();
    for (number, settings) in members.chunks(size.max(1)).enumerate() {
        let config = Config { name: format!("{}{number}", config.name), ..config.clone() };
        let nodes = (number * size..(number + 1) * size).map(|node| NodeId(node as u32));
        shards.push(ShardSettings { name: config.name.clone(), members: nodes.collect() });
        processes.extend(replica_set(&config, number * size, settings));
    }
    let (routers, balancer) = rest.split_at(rest.len() - usize::from(balanced));
    let first = processes.len() as u32;
    for settings in routers {
        let mut settings = settings.clone();
        settings.service_id = balanced.then(|| service_id(settings.seed));
        processes.push(Mongos::new(settings, shards.clone()).into());
    }
    for settings in balancer {
        let behind = (first..first + routers.len() as u32).map(NodeId).collect();
        processes.push(Balancer::new(behind, settings.seed).into());
    }
    processes
}

fn service_id(seed: u64) -> [u8; 12] {
    let mut id = [0; 12];
    id[..8].copy_from_slice(&child_seed(seed, "service", 0).to_be_bytes());
    id
}
