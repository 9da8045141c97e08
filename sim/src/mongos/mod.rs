//! A simulated `mongos`: routes commands to the primaries (or, where a client asks for it, the secondaries) of its shards.
//!
//! A database lives on one shard as a whole, chosen by its name: collections are not split. So a statement goes to one shard,
//! and a transaction to as many as it touches databases of. Such a transaction's commit is not atomic across shards here, as
//! it would be with the real server's two phases; one that touches one shard is exactly as on that shard.
//!
//! What a driver can see of routing is all there: `msg: "isdbgrid"`, cursors and transactions that only the mongos knows where they
//! began (pinning), recovery tokens that let another one finish a commit, errors of a shard's members passed on without their
//! topology version, and behind a [load balancer](crate::balancer) a `serviceId`.
//!
//! | file | what |
//! |---|---|
//! | `clients` | connections, from messages to jobs and from replies to bytes |
//! | `local` | commands a mongos answers itself |
//! | `shards` | who is primary where: a hello that waits at every member |
//! | `routing` | where a job goes, again where that is allowed |
//! | `transactions`, `cursors` | what it remembers of both |

mod clients;
mod cursors;
mod local;
mod process;
mod routing;
mod shards;
#[cfg(test)]
mod tests;
mod transactions;

use crate::mongod::compression::Compression;
use crate::mongod::conn::Conn;
use crate::mongod::failpoint::{FailCommand, Strike};
use crate::mongod::hello::TopologyVersion;
use crate::mongod::log_in::Credentials;
use crate::mongod::{Message, MongodSettings};
use crate::mongod::{commands::Command, generic::Generic, reply::Labelling, request::ReplyTo};
use crate::node::{ConnId, NodeId, NodeOutput};
use crate::tls::Tls;
use bson::Document;
use cursors::RoutedCursor;
use quorate_core::raw::Timestamp;
use quorate_core::{Instant, Rng};
use shards::Shard;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use transactions::RoutedTransaction;

/// A shard as a mongos is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardSettings {
    /// The shard's name, which is its replica set's too.
    pub name: String,
    /// The processes of its members.
    pub members: Vec<NodeId>,
}

/// A simulated `mongos`.
#[derive(Debug)]
pub struct Mongos {
    settings: MongodSettings,
    shards: Vec<Shard>,
    clients: BTreeMap<ConnId, Client>,
    jobs: BTreeMap<u64, Job>,
    /// What was asked of a member, by the number the answer repeats.
    calls: BTreeMap<u64, Call>,
    timers: BTreeSet<(Instant, Due)>,
    ready: VecDeque<ConnId>,
    /// Jobs to look at again, outside of whatever made that so.
    again: VecDeque<u64>,
    out: VecDeque<NodeOutput<Message>>,
    fail: FailCommand,
    credentials: Credentials,
    compression: Compression,
    tls: Tls,
    rng: Rng,
    version: TopologyVersion,
    running: bool,
    next: Numbers,
    cluster_time: Timestamp,
    transactions: BTreeMap<[u8; 16], RoutedTransaction>,
    cursors: BTreeMap<i64, RoutedCursor>,
}

/// The next numbers. Those of calls are never used twice, restarts included: answers may come late.
#[derive(Debug)]
struct Numbers {
    job: u64,
    call: u64,
    connection: i32,
    request: i32,
}

/// A client's connection.
#[derive(Debug)]
struct Client {
    conn: Conn,
    /// The load balancer it came through.
    via: Option<NodeId>,
}

/// A command on its way through.
#[derive(Debug)]
struct Job {
    conn: ConnId,
    reply_to: ReplyTo,
    body: Document,
    again: Option<Document>,
    command: &'static Command,
    /// The deployment's own operator gave it.
    operator: bool,
    generic: Generic,
    labelling: Labelling,
    labels: Option<Vec<String>>,
    deadline: Option<Instant>,
    /// Where it still has to go after this one, and what came from where it has been.
    to_visit: Vec<usize>,
    gathered: Vec<Document>,
    attempts: u32,
    stage: Stage,
    timer: Option<Instant>,
}

#[derive(Debug)]
enum Stage {
    /// Not waiting for anything.
    Working,
    /// A fail point holds it up.
    Blocked(Strike),
    /// A hello that waits for a change.
    Change,
    /// A member has been asked.
    Asking {
        /// By this call.
        call: u64,
        /// Of this shard.
        shard: usize,
    },
    /// No member of that shard would do at the moment.
    Searching {
        /// Which.
        shard: usize,
    },
    /// Answered; the bytes leave when the time has come.
    Answered {
        /// The message.
        bytes: Vec<u8>,
        /// The number of this reply, if another one follows in answer to it.
        again: Option<i32>,
    },
}

/// Something asked of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    /// For a job.
    Job {
        /// Which.
        job: u64,
        /// Of whom.
        node: NodeId,
    },
    /// Whether it is the primary.
    Check {
        /// The shard.
        shard: usize,
        /// Which of its members.
        member: usize,
    },
    /// Something whose answer nobody waits for.
    Forgotten,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// A job.
    Job(u64),
    /// Ask a member again; or its answer is overdue.
    Check {
        /// The shard.
        shard: usize,
        /// Which of its members.
        member: usize,
    },
}

impl Mongos {
    /// A mongos in front of these shards. Of the settings, those for replica set members mean nothing here.
    pub fn new(settings: MongodSettings, shards: Vec<ShardSettings>) -> Self {
        let mut rng = Rng::new(settings.seed);
        let credentials = Credentials::new(&settings, rng.next_u64());
        Mongos {
            compression: Compression::new(&settings.compressors),
            tls: Tls::new(&settings),
            settings,
            shards: shards.into_iter().map(Shard::new).collect(),
            clients: BTreeMap::new(),
            jobs: BTreeMap::new(),
            calls: BTreeMap::new(),
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
            again: VecDeque::new(),
            out: VecDeque::new(),
            fail: FailCommand::default(),
            credentials,
            rng,
            version: TopologyVersion { process_id: [0; 12], counter: 0 },
            running: false,
            next: Numbers { job: 1, call: 1, connection: 1, request: 1 },
            cluster_time: Timestamp::default(),
            transactions: BTreeMap::new(),
            cursors: BTreeMap::new(),
        }
    }

    /// How it was set up.
    pub fn settings(&self) -> &MongodSettings {
        &self.settings
    }

    /// Whether the process runs.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.clients.len()
    }

    /// The shard that a database lives on, by name.
    pub fn shard_of(&self, db: &str) -> Option<&str> {
        self.shards.get(self.home_of(db)).map(|shard| shard.name.as_str())
    }

    /// The shard that a database lives on: `admin` and `config` on the first, others by a hash of their name (FNV-1a).
    fn home_of(&self, db: &str) -> usize {
        if matches!(db, "admin" | "config") || self.shards.is_empty() {
            return 0;
        }
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        let hash = db.bytes().fold(0xcbf2_9ce4_8422_2325, mix);
        // Fewer shards than 32 bits count, on any machine.
        (hash % self.shards.len() as u64) as usize
    }

    fn keep(&mut self, id: u64, job: Job) {
        if let Some(at) = job.timer {
            self.timers.insert((at, Due::Job(id)));
        }
        self.jobs.insert(id, job);
    }

    fn take(&mut self, id: u64) -> Option<Job> {
        let mut job = self.jobs.remove(&id)?;
        if let Some(at) = job.timer.take() {
            self.timers.remove(&(at, Due::Job(id)));
        }
        Some(job)
    }
}
