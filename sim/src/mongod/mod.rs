//! A simulated server process: [`Mongod`] speaks the wire protocol as mongod 6.0.5 does, in front of a
//! [`Store`] and, in a replica set, a [`Member`].
//!
//! The life of a command:
//!
//! ```text
//! bytes -> conn.rs whole messages -> request.rs a command -> admit.rs may it run? fail points
//!       -> execute.rs what it does: hello, server commands, the store, replication
//!       -> concern.rs waits for its write concern -> answer.rs labels, times, bytes -> the client
//! ```
//!
//! A connection has one operation at a time, as in the real server; whatever waits is an `op::Op` with a
//! stage (`op::Stage`) and perhaps a timer. Effects land when the command is carried out, the reply leaves
//! [a little later](MongodSettings::reply_delay): a connection that breaks in between loses it.

mod admit;
mod answer;
#[cfg(test)]
mod client_tests;
pub(crate) mod codes;
pub(crate) mod commands;
pub(crate) mod compression;
mod concern;
pub(crate) mod conn;
mod execute;
pub(crate) mod failpoint;
pub(crate) mod generic;
mod glue;
pub(crate) mod hello;
pub(crate) mod info;
mod intake;
pub(crate) mod log_in;
pub(crate) mod oidc;
mod op;
mod process;
#[cfg(test)]
pub(crate) mod raw_client;
pub(crate) mod reply;
pub(crate) mod request;
pub(crate) mod scram;
#[cfg(test)]
mod set_tests;
pub(crate) mod settings;
mod store_call;
#[cfg(test)]
mod tests;

pub use codes::code_name;
pub use oidc::IdentityProvider;
pub use settings::{Delay, MongodSettings, User, WIRE_VERSION};

use crate::balancer::Relay;
use crate::node::{ConnId, NodeId, NodeOutput};
use crate::repl::{self, Member};
use crate::store::Store;
use crate::tls::Tls;
use bson::Document;
use compression::Compression;
use conn::Conn;
use failpoint::FailCommand;
use hello::TopologyVersion;
use log_in::Credentials;
use op::{Op, OpId};
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;
use quorate_core::{Instant, Rng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What simulated processes say to each other.
#[derive(Clone, Debug)]
pub enum Message {
    /// One member of a replica set to another.
    Repl(repl::Message),
    /// A mongos to the primary of a shard, or its answer.
    Route(Route),
    /// A load balancer to a mongos, or back.
    Relay(Relay),
}

/// Between a mongos and the members of its shards.
#[derive(Clone, Debug)]
pub enum Route {
    /// Carry this out.
    Command {
        /// The mongos' number for it.
        call: u64,
        /// The command as a client would send it, document sequences merged in.
        body: Document,
    },
    /// The whole reply.
    Reply {
        /// The number of the command.
        call: u64,
        /// The reply.
        body: Document,
    },
}

/// A simulated `mongod`: alone, or a member of a replica set.
#[derive(Debug)]
pub struct Mongod {
    settings: MongodSettings,
    /// In a replica set.
    member: Option<Member>,
    store: Store,
    conns: BTreeMap<ConnId, Conn>,
    /// What is in progress and waits.
    ops: BTreeMap<OpId, Op>,
    /// When operations want to be looked at.
    timers: BTreeSet<(Instant, OpId)>,
    /// Connections to read on from.
    ready: VecDeque<ConnId>,
    out: VecDeque<NodeOutput<Message>>,
    fail: FailCommand,
    credentials: Credentials,
    compression: Compression,
    tls: Tls,
    rng: Rng,
    process: Process,
    /// Optimes and journal of a server that is alone.
    alone: Alone,
    /// The highest cluster time heard of.
    cluster_time: Timestamp,
    /// Operations that wait for the store, and the generation of its data they were last tried at.
    parked: BTreeSet<OpId>,
    tried_at: u64,
    /// Operations that wait for a cluster time.
    awaiting_time: BTreeSet<OpId>,
    /// Hellos that wait for a change.
    awaiting_change: BTreeSet<OpId>,
}

/// What is true of one run of the process.
#[derive(Debug)]
struct Process {
    version: TopologyVersion,
    started: Instant,
    running: bool,
    /// Asked to end.
    ending: bool,
    /// In the very act of ending: answers leave at once.
    leaving: bool,
    next_op: OpId,
    next_connection: i32,
    next_request: i32,
}

/// What a server without a replica set keeps instead of one.
#[derive(Debug, Default)]
struct Alone {
    last: OpTime,
    /// Everything up to here survives a crash.
    durable: OpTime,
    /// The journal is next written then.
    next_flush: Instant,
}

impl Mongod {
    /// A server that is alone.
    pub fn standalone(settings: MongodSettings) -> Self {
        Self::new(settings, None)
    }

    /// A member of a replica set.
    pub fn member(settings: MongodSettings, member: Member) -> Self {
        Self::new(settings, Some(member))
    }

    fn new(settings: MongodSettings, member: Option<Member>) -> Self {
        let mut rng = Rng::new(settings.seed);
        let store = Store::new(rng.next_u64());
        let credentials = Credentials::new(&settings, rng.next_u64());
        Mongod {
            compression: Compression::new(&settings.compressors),
            tls: Tls::new(&settings),
            settings,
            member,
            store,
            conns: BTreeMap::new(),
            ops: BTreeMap::new(),
            timers: BTreeSet::new(),
            ready: VecDeque::new(),
            out: VecDeque::new(),
            fail: FailCommand::default(),
            credentials,
            rng,
            process: Process {
                version: TopologyVersion { process_id: [0; 12], counter: 0 },
                started: Instant::ZERO,
                running: false,
                ending: false,
                leaving: false,
                next_op: 1,
                next_connection: 1,
                next_request: 1,
            },
            alone: Alone::default(),
            cluster_time: Timestamp::default(),
            parked: BTreeSet::new(),
            tried_at: 0,
            awaiting_time: BTreeSet::new(),
            awaiting_change: BTreeSet::new(),
        }
    }

    /// How it was set up.
    pub fn settings(&self) -> &MongodSettings {
        &self.settings
    }

    /// Its data, for tests that want the truth.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Its part in the replica set, if it is in one.
    pub fn replica(&self) -> Option<&Member> {
        self.member.as_ref()
    }

    /// Whether the process runs: started, and neither crashed nor gone.
    pub fn is_running(&self) -> bool {
        self.process.running
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.conns.len()
    }

    /// The node ids it sends to are those of the world; its own is not needed.
    fn send(&mut self, to: NodeId, message: Message) {
        self.out.push_back(NodeOutput::Message { to, message });
    }

    /// Keeps an operation until its timer or something else wakes it.
    fn keep(&mut self, id: OpId, op: Op) {
        if let Some(at) = op.timer {
            self.timers.insert((at, id));
        }
        self.ops.insert(id, op);
    }

    /// Takes an operation that waits, to work on it.
    fn take(&mut self, id: OpId) -> Option<Op> {
        let mut op = self.ops.remove(&id)?;
        if let Some(at) = op.timer.take() {
            self.timers.remove(&(at, id));
        }
        self.parked.remove(&id);
        self.awaiting_time.remove(&id);
        self.awaiting_change.remove(&id);
        Some(op)
    }
}
