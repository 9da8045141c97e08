//! One member of a replica set: MongoDB's replication protocol version 1 as of 6.0, as a sans-IO machine.
//!
//! It decides who is primary, in which order entries stand, how far they are replicated and what must be undone. It never
//! looks into an entry. The process around it (`mongod`) gives it messages, time and its own writes, and carries its outputs to the
//! store, to clients and to other members.
//!
//! | files | what is decided there |
//! |---|---|
//! | `heartbeats`, `peer`, `install` | who is there, in what state and by which configuration |
//! | `elections`, `votes`, `takeover`, `become_primary` | who is primary |
//! | `primary`, `handoff`, `shutdown` | how a primary ends |
//! | `sync`, `source`, `apply`, `rollback`, `log` | how entries spread, and are undone |
//! | `journal`, `progress`, `wait` | how far they have come, and who waits for that |
//! | `commands`, `initiate`, `reconfig`, `validate`, `config_doc`, `status`, `hello` | what clients see and ask for |
//!
//! # The loop
//! 1. Call a `handle_*`, [`append`](Member::append), [`wait_for`](Member::wait_for) or [`command`](Member::command) with what happened.
//! 2. Drain [`poll_output`](Member::poll_output) until `None`, doing each in order before anything else is given to the member.
//! 3. Call [`handle_timeout`](Member::handle_timeout) when [`poll_timeout`](Member::poll_timeout) says. Early, late and spurious calls are
//!    harmless.
//!
//! # The network
//! Messages between two members arrive in order or not at all. Members that have ended are noticed at once only if the process
//! around this one tells it ([`handle_unreachable`](Member::handle_unreachable)): call it when a message is refused because nobody
//! listens there, and when a member's process dies, as its connections then break. A hung or cut-off member is noticed by time.
//!
//! # What a crash leaves
//! The configuration, the last vote and the journaled part of the log. After [`handle_crash`](Member::handle_crash) the store must go
//! back to [`last_applied`](Member::last_applied).

mod apply;
mod become_primary;
mod commands;
mod config;
mod config_doc;
mod elections;
mod handoff;
mod heartbeats;
mod hello;
mod initiate;
mod install;
mod journal;
mod log;
mod message;
mod output;
mod peer;
mod primary;
mod progress;
mod reconfig;
mod role;
mod rollback;
mod shutdown;
mod source;
mod state;
mod status;
mod sync;
mod takeover;
mod timers;
mod timing;
mod validate;
mod view;
mod votes;
mod wait;
mod wall;

#[cfg(test)]
mod tests;

pub use config::{Config, ConfigVersion, MemberConfig, Settings};
pub use message::{
    Batch, Heartbeat, HeartbeatReply, Message, Position, Progress, Refusal, Snapshot, VoteReply, VoteRequest,
};
pub use output::{Answer, Output, WaitEnd};
pub use state::MemberState;
pub use timing::Timing;
pub use wall::{WALL_EPOCH_SECS, wall_millis};

use crate::node::NodeId;
use crate::oplog::{Change, OplogEntry, SharedEntry};
use log::NOTHING;
use peer::Peer;
use quorate_core::concern::{OpTime, ReplicaSetConfig};
use quorate_core::raw::Timestamp;
use quorate_core::{Instant, Rng, ServerAddress};
use role::{Disk, Election, Follower, Participation, Role, Sync};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use timers::{Timer, Timers};

/// Which process listens at an address: how members find each other. Shared by all of a world.
pub type Directory = Arc<BTreeMap<ServerAddress, NodeId>>;

/// One member of a replica set. See the [module](self) for the loop around it.
#[derive(Debug)]
pub struct Member {
    node: NodeId,
    host: ServerAddress,
    /// The set's name as on the command line.
    set_name: String,
    directory: Directory,
    timing: Timing,
    rng: Rng,
    disk: Disk,

    running: bool,
    started: Instant,
    role: Role,
    term: i64,
    /// This member's `_id`; `None` without a configuration it is in.
    me: Option<i32>,
    /// Whom it takes for the primary.
    primary: Option<i32>,
    /// The primary it last knew.
    last_primary: Option<i32>,
    commit: OpTime,
    peers: Vec<Peer>,
    /// The configuration as the write-concern evaluator wants it.
    concerns: ReplicaSetConfig,
    timers: Timers,
    sync: Sync,
    followers: Vec<Follower>,
    journal: journal::Journal,
    election: Option<Election>,
    participation: Option<Participation>,
    /// Not to be elected before.
    frozen_until: Option<Instant>,
    waits: wait::Waits,
    /// Members' progress since waits and the commit point were last looked at: from where to where.
    changes: Vec<(OpTime, OpTime)>,
    pending: commands::Pending,
    shutdown: shutdown::Shutdown,
    last_rpc: u64,
    last_stream: u64,
    last_optime: OpTime,
    shown: Option<hello::Shown>,
    outputs: VecDeque<Output>,
}

impl Member {
    /// A member that has been in its set for long: it starts as a secondary, with the log's first entry and no data. The
    /// first election comes after an election timeout, or by `replSetStepUp`.
    pub fn new(node: NodeId, host: ServerAddress, config: Config, directory: Directory, seed: u64) -> Member {
        let mut member = Member::unconfigured(node, host, &config.name, directory, seed);
        let arbiter = config.find(&member.host).is_some_and(|of| of.arbiter_only);
        if !arbiter {
            let optime = OpTime::new(-1, WALL_EPOCH_SECS, 1);
            let first = OplogEntry { optime, changes: vec![Change::Noop], statement: None };
            member.disk.log.push(Arc::new(first));
            member.disk.durable = optime;
        }
        member.disk.has_data = !arbiter;
        member.disk.config = Some(Arc::new(config));
        member
    }

    /// A member without data or configuration, started with the name of its set: it waits for `replSetInitiate`, or for a
    /// primary that has added it.
    pub fn unconfigured(
        node: NodeId,
        host: ServerAddress,
        set_name: &str,
        directory: Directory,
        seed: u64,
    ) -> Member {
        Member {
            node,
            host,
            set_name: set_name.into(),
            directory,
            timing: Timing::default(),
            rng: Rng::new(seed),
            disk: Disk::empty(),
            running: false,
            started: Instant::ZERO,
            role: Role::Startup,
            term: 0,
            me: None,
            primary: None,
            last_primary: None,
            commit: NOTHING,
            peers: Vec::new(),
            concerns: ReplicaSetConfig::new([]),
            timers: Timers::default(),
            sync: Sync::new(),
            followers: Vec::new(),
            journal: journal::Journal::default(),
            election: None,
            participation: None,
            frozen_until: None,
            waits: wait::Waits::default(),
            changes: Vec::new(),
            pending: commands::Pending::default(),
            shutdown: shutdown::Shutdown::No,
            last_rpc: 0,
            last_stream: 0,
            last_optime: NOTHING,
            shown: None,
            outputs: VecDeque::new(),
        }
    }

    // --- What happened.

    /// The process has started, for the first time or again.
    pub fn handle_start(&mut self, now: Instant) {
        let first = !self.running && self.shown.is_none();
        self.running = true;
        self.started = now;
        self.term = self.disk.vote.0.max(self.disk.log.last().term).max(0);
        self.last_optime = self.disk.log.last();
        if let Some(config) = self.disk.config.clone() {
            self.enter_config(now, &config);
            self.begin(now, first);
        }
        self.settle(now);
    }

    /// The process is gone: what was not journaled is lost. Waits and commands under way are forgotten without an answer,
    /// outputs not yet polled are dropped.
    pub fn handle_crash(&mut self, now: Instant) {
        self.disk.log.truncate_after(self.disk.durable);
        self.forget(now);
    }

    /// A message has arrived. Those for a member that does not run, and late answers, are ignored.
    pub fn handle_message(&mut self, now: Instant, from: NodeId, message: Message) {
        if !self.running {
            return;
        }
        match message {
            Message::Heartbeat(beat) => self.on_heartbeat(now, from, &beat),
            Message::HeartbeatReply(reply) => self.on_heartbeat_reply(now, from, *reply),
            Message::VoteRequest(request) => self.on_vote_request(now, from, &request),
            Message::VoteReply(reply) => self.on_vote_reply(now, from, &reply),
            Message::Follow { stream, after, term } => {
                self.see_term(now, term);
                self.on_follow(now, from, stream, after);
            }
            Message::Batch(batch) => self.on_batch(now, from, *batch),
            Message::FollowRefused { stream, why } => self.on_follow_refused(now, from, stream, why),
            Message::Progress(progress) => self.on_progress(now, from, &progress),
            Message::StepUp => self.on_step_up(now),
            Message::WantSnapshot { stream } => self.on_want_snapshot(now, from, stream),
            Message::Snapshot { stream, snapshot } => self.on_snapshot(now, from, stream, &snapshot),
        }
        self.settle(now);
    }

    /// A message to that process was refused, or its connections have broken: nobody runs there. Harmless when untrue.
    pub fn handle_unreachable(&mut self, now: Instant, node: NodeId) {
        if !self.running {
            return;
        }
        self.followers.retain(|follower| follower.node != node);
        self.vote_unreachable(now, node);
        self.initiate_unreachable(now, node);
        if let Some(at) = self.peers.iter().position(|peer| peer.node == Some(node)) {
            let member = self.peers[at].member;
            self.sync.below.remove(&member);
            self.beat_refused(now, at);
            if self.sync.source == Some(member) {
                self.lose_source(now);
            }
        }
        self.settle(now);
    }

    /// The snapshot asked for by [`Output::TakeSnapshot`].
    pub fn handle_snapshot(&mut self, now: Instant, to: NodeId, stream: u64, snapshot: Snapshot) {
        if self.running {
            self.send(to, Message::Snapshot { stream, snapshot: Arc::new(snapshot) });
            self.settle(now);
        }
    }

    /// A deadline has come. Does nothing before one has.
    pub fn handle_timeout(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        // Leadership that has lapsed ends before anything else is done with it: a process may have hung for long.
        if self.timers.take(Timer::Liveness, now) {
            self.check_liveness(now);
        }
        for (timer, act) in ACTIONS {
            if self.timers.take(*timer, now) {
                act(self, now);
            }
        }
        self.beats_overdue(now);
        self.settle(now);
    }

    // --- The primary's own writes.

    /// The optime of the next write; each call gives a later one. Only to be asked of a writable primary.
    pub fn next_optime(&mut self, now: Instant) -> OpTime {
        let secs = wall::wall_secs(now);
        let last = self.last_optime.ts;
        let next = if secs > last.time {
            OpTime::new(self.term, secs, 1)
        } else {
            OpTime::new(self.term, last.time, last.increment.saturating_add(1))
        };
        self.last_optime = next;
        next
    }

    /// A cluster time has been heard of (from a client, from another shard): the next write comes after it.
    pub fn see_cluster_time(&mut self, ts: Timestamp) {
        self.last_optime.ts = self.last_optime.ts.max(ts);
    }

    /// Takes the primary's own writes into the log; they are in its store already. Entries given to a member that is no longer a
    /// writable primary are refused, and the store is told to undo them.
    pub fn append(&mut self, now: Instant, entries: Vec<SharedEntry>) {
        if entries.is_empty() {
            return;
        }
        let old = self.disk.log.last();
        let writable = self.is_writable_primary();
        let fits = writable && entries.into_iter().all(|entry| self.disk.log.push(entry));
        if !fits {
            self.outputs.push_back(Output::RollBackTo(self.disk.log.last()));
        }
        let new = self.disk.log.last();
        if new != old {
            self.changes.push((old, new));
            self.journal_later(now);
        }
        self.settle(now);
    }

    // --- Outputs and deadlines.

    /// What to do next, until `None`.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`handle_timeout`](Member::handle_timeout) wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.running {
            return None;
        }
        let beats =
            self.peers.iter().filter_map(|peer| peer.beat.map(|beat| beat.deadline).or(peer.next)).min();
        [self.timers.next(), beats].into_iter().flatten().min()
    }

    // --- Inside.

    fn send(&mut self, to: NodeId, message: Message) {
        self.outputs.push_back(Output::Send { to, message });
    }

    fn note(&mut self, text: String) {
        self.outputs.push_back(Output::Note(text));
    }

    fn rpc(&mut self) -> u64 {
        self.last_rpc += 1;
        self.last_rpc
    }

    /// A setting of the configuration; the default without one.
    fn election_timeout(&self) -> Duration {
        self.disk.config.as_ref().map_or(Duration::from_secs(10), |config| config.settings.election_timeout)
    }

    fn peer(&self, member: i32) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.member == member)
    }

    fn is_primary(&self) -> bool {
        matches!(self.role, Role::Primary(_))
    }

    fn set_role(&mut self, role: Role) {
        let (from, to) = (self.role.state(), role.state());
        self.role = role;
        if from != to {
            self.outputs.push_back(Output::StateChanged { from, to });
        }
    }

    /// What follows from whatever has just been handled, in the order it depends on each other.
    fn settle(&mut self, now: Instant) {
        if !self.running {
            return;
        }
        self.look_at_progress(now);
        self.check_pending(now);
        self.send_due_heartbeats(now);
        self.pump_followers(now);
        self.report_progress(now);
        if self.disk.log.trim(self.timing.log_capacity, self.timing.log_bytes, self.commit) {
            self.drop_stragglers();
        }
        self.show_hello();
    }

    /// Volatile state is gone; what the disk has stays.
    fn forget(&mut self, _now: Instant) {
        self.running = false;
        self.role = Role::Startup;
        self.primary = None;
        self.commit = NOTHING;
        self.peers.clear();
        self.timers.clear_all();
        self.sync = Sync::new();
        self.followers.clear();
        self.journal = journal::Journal::default();
        self.election = None;
        self.participation = None;
        self.frozen_until = None;
        self.waits = wait::Waits::default();
        self.changes.clear();
        self.pending = commands::Pending::default();
        self.shutdown = shutdown::Shutdown::No;
        self.outputs.clear();
    }
}

type Action = fn(&mut Member, Instant);

/// What each deadline does. [`Timer::Liveness`] is not among them: it comes first.
const ACTIONS: &[(Timer, Action)] = &[
    (Timer::Recover, Member::recovered),
    (Timer::Flushed, Member::flushed),
    (Timer::Journal, Member::journal_now),
    (Timer::Apply, Member::apply_due),
    (Timer::RolledBack, Member::rolled_back),
    (Timer::SourceSilent, Member::source_silent),
    (Timer::ChooseSource, Member::choose_source),
    (Timer::KeepAlive, Member::keep_followers),
    (Timer::Feedback, Member::feedback_due),
    (Timer::Votes, Member::lose_election),
    (Timer::CatchUp, Member::catch_up_over),
    (Timer::Takeover, Member::take_over),
    (Timer::Unfreeze, Member::unfreeze),
    (Timer::Election, Member::election_timeout_fired),
    (Timer::Noop, Member::periodic_noop),
    (Timer::Waits, Member::end_waits),
    (Timer::StepDown, Member::try_step_down),
    (Timer::Initiate, Member::initiate_over),
    (Timer::Shutdown, Member::shutdown_due),
];
