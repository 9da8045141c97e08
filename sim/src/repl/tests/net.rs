//! Members in a small network of their own, with everything checked that must always hold.

use crate::node::NodeId;
use crate::oplog::{Change, OplogEntry, SharedEntry};
use crate::repl::{
    Answer, Config, Directory, Member, MemberConfig, MemberState, Message, Output, Snapshot, WaitEnd,
};
use bson::Document;
use quorate_core::concern::{OpTime, WriteConcern};
use quorate_core::{Instant, Rng, ServerAddress};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

enum Event {
    Deliver { from: usize, to: usize, message: Message },
    Unreachable { at: usize, gone: usize },
}

/// A whole set, its network and its truth.
pub(super) struct Net {
    pub(super) now: Instant,
    pub(super) rng: Rng,
    pub(super) members: Vec<Member>,
    pub(super) up: Vec<bool>,
    pub(super) hung: Vec<bool>,
    /// Which members cannot reach each other.
    pub(super) cut: BTreeSet<(usize, usize)>,
    pub(super) latency: Duration,
    queue: BTreeMap<(Instant, u64), Event>,
    /// What arrived for a hung member.
    parked: Vec<Vec<Event>>,
    sequence: u64,
    /// Messages between two members stay in order.
    last_arrival: BTreeMap<(usize, usize), Instant>,
    /// What each member's store was told.
    pub(super) stores: Vec<Vec<SharedEntry>>,
    /// Who was primary in which term.
    primaries: BTreeMap<i64, usize>,
    /// For each entry ever made, the one before.
    before: BTreeMap<OpTime, OpTime>,
    /// Entries at or before some member's commit point.
    pub(super) committed: BTreeSet<OpTime>,
    commit_points: Vec<OpTime>,
    pub(super) waited: BTreeMap<u64, (Instant, Result<(), WaitEnd>)>,
    /// Waits that have not ended, and on whom.
    pub(super) waiting: BTreeMap<u64, usize>,
    pub(super) answered: BTreeMap<u64, (Instant, Document)>,
    /// Who became writable, and when.
    pub(super) writable: Vec<(Instant, usize)>,
    pub(super) outputs: Vec<(usize, Output)>,
    pub(super) trace: Vec<String>,
    pub(super) steps: u64,
    last_waiter: u64,
    was_writable: Vec<bool>,
}

pub(super) fn host(i: usize) -> ServerAddress {
    ServerAddress::tcp(format!("m{i}.test"), 27017)
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// `n` ordinary members.
pub(super) fn ordinary(n: usize) -> Vec<MemberConfig> {
    (0..n).map(|i| MemberConfig::new(i as i32, host(i))).collect()
}

impl Net {
    pub(super) fn new(seed: u64, members: Vec<MemberConfig>) -> Net {
        Net::with(seed, Config::new("rs", members), 0)
    }

    /// A set with a configuration, and `spare` processes that are in none.
    pub(super) fn with(seed: u64, config: Config, spare: usize) -> Net {
        let count = config.members.len() + spare;
        let directory: Directory = Arc::new((0..count).map(|i| (host(i), NodeId(i as u32))).collect());
        let mut rng = Rng::new(seed);
        let mut members = Vec::new();
        for i in 0..count {
            let (node, seed) = (NodeId(i as u32), rng.next_u64());
            members.push(if i < config.members.len() {
                Member::new(node, host(i), config.clone(), Arc::clone(&directory), seed)
            } else {
                Member::unconfigured(node, host(i), "rs", Arc::clone(&directory), seed)
            });
        }
        let stores = members.iter().map(|member| member.log().cloned().collect()).collect();
        let mut net = Net {
            now: Instant::ZERO + secs(1),
            rng,
            members,
            up: vec![true; count],
            hung: vec![false; count],
            cut: BTreeSet::new(),
            latency: ms(1),
            queue: BTreeMap::new(),
            parked: (0..count).map(|_| Vec::new()).collect(),
            sequence: 0,
            last_arrival: BTreeMap::new(),
            stores,
            primaries: BTreeMap::new(),
            before: BTreeMap::new(),
            committed: BTreeSet::new(),
            commit_points: vec![OpTime::new(-1, 0, 0); count],
            waited: BTreeMap::new(),
            waiting: BTreeMap::new(),
            answered: BTreeMap::new(),
            writable: Vec::new(),
            outputs: Vec::new(),
            trace: Vec::new(),
            steps: 0,
            last_waiter: 0,
            was_writable: vec![false; count],
        };
        for i in 0..count {
            net.members[i].handle_start(net.now);
            net.drain(i);
        }
        net
    }

    /// A set whose first member is primary already.
    pub(super) fn elected(seed: u64, members: Vec<MemberConfig>) -> Net {
        let mut net = Net::new(seed, members);
        net.run(secs(1));
        net.command(0, bson::doc! { "replSetStepUp": 1 });
        net.run(secs(4));
        assert_eq!(net.primary(), Some(0));
        net
    }

    // --- Time.

    pub(super) fn run(&mut self, time: Duration) {
        self.run_until(self.now + time, |_| false);
    }

    /// Until something holds; panics when it does not within `limit`.
    pub(super) fn wait(&mut self, limit: Duration, what: &str, holds: impl Fn(&Net) -> bool) -> Duration {
        let start = self.now;
        if !self.run_until(start + limit, &holds) {
            panic!("not within {limit:?}: {what}\n{}", self.tail());
        }
        self.now - start
    }

    fn run_until(&mut self, end: Instant, holds: impl Fn(&Net) -> bool) -> bool {
        loop {
            if holds(self) {
                return true;
            }
            let message = self.queue.first_key_value().map(|((at, _), _)| *at);
            let timer = (0..self.members.len())
                .filter(|i| self.up[*i] && !self.hung[*i])
                .filter_map(|i| self.members[i].poll_timeout().map(|at| (at, i)))
                .min();
            let next = [message, timer.map(|(at, _)| at)].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                self.now = end;
                return holds(self);
            };
            self.now = self.now.max(at);
            self.steps += 1;
            if message.is_some_and(|m| m <= at) {
                if let Some((_, event)) = self.queue.pop_first() {
                    self.happen(event);
                }
            } else if let Some((due, i)) = timer {
                self.members[i].handle_timeout(self.now);
                let next = self.members[i].poll_timeout();
                assert!(next != Some(due) || due > self.now, "member {i} gives a deadline again");
                self.drain(i);
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Deliver { to, .. } | Event::Unreachable { at: to, .. } if self.hung[to] => {
                self.parked[to].push(event);
            }
            Event::Unreachable { at, gone } => {
                if self.up[at] {
                    self.members[at].handle_unreachable(self.now, NodeId(gone as u32));
                    self.drain(at);
                }
            }
            Event::Deliver { from, to, message } => {
                if self.is_cut(from, to) {
                    return;
                }
                if self.up[to] {
                    self.members[to].handle_message(self.now, NodeId(from as u32), message);
                    self.drain(to);
                } else {
                    self.post(self.latency, Event::Unreachable { at: from, gone: to });
                }
            }
        }
    }

    fn post(&mut self, after: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), event);
    }

    fn transmit(&mut self, from: usize, to: usize, message: Message) {
        let jitter = self.rng.below(self.latency.as_micros() as usize) as u64;
        let arrival = self.now + self.latency + Duration::from_micros(jitter);
        let arrival = self.last_arrival.get(&(from, to)).map_or(arrival, |last| arrival.max(*last));
        self.last_arrival.insert((from, to), arrival);
        self.post(arrival - self.now, Event::Deliver { from, to, message });
    }

    pub(super) fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a.min(b), a.max(b)))
    }

    // --- Faults.

    pub(super) fn isolate(&mut self, i: usize) {
        for other in (0..self.members.len()).filter(|other| *other != i) {
            self.cut.insert((i.min(other), i.max(other)));
        }
        self.trace.push(format!("{:?} isolate {i}", self.now));
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
        self.trace.push(format!("{:?} heal", self.now));
    }

    pub(super) fn crash(&mut self, i: usize) {
        if !self.up[i] {
            return;
        }
        self.trace.push(format!("{:?} crash {i}", self.now));
        self.up[i] = false;
        self.hung[i] = false;
        self.parked[i].clear();
        self.waiting.retain(|_, on| *on != i);
        self.members[i].handle_crash(self.now);
        assert!(self.members[i].poll_timeout().is_none());
        self.back_to(i, self.members[i].last_applied());
        self.commit_points[i] = OpTime::new(-1, 0, 0);
        self.was_writable[i] = false;
        for at in (0..self.members.len()).filter(|at| *at != i) {
            if !self.is_cut(at, i) {
                self.post(self.latency, Event::Unreachable { at, gone: i });
            }
        }
    }

    pub(super) fn start(&mut self, i: usize) {
        if self.up[i] {
            return;
        }
        self.trace.push(format!("{:?} start {i}", self.now));
        self.up[i] = true;
        self.members[i].handle_start(self.now);
        self.drain(i);
    }

    pub(super) fn hang(&mut self, i: usize) {
        self.trace.push(format!("{:?} hang {i}", self.now));
        self.hung[i] = self.up[i];
    }

    pub(super) fn resume(&mut self, i: usize) {
        if !std::mem::take(&mut self.hung[i]) {
            return;
        }
        self.trace.push(format!("{:?} resume {i}", self.now));
        for event in std::mem::take(&mut self.parked[i]) {
            self.happen(event);
        }
    }

    // --- Work.

    /// The writable primary of the latest term.
    pub(super) fn primary(&self) -> Option<usize> {
        (0..self.members.len())
            .filter(|i| self.up[*i] && !self.hung[*i] && self.members[*i].is_writable_primary())
            .max_by_key(|i| self.members[*i].term())
    }

    /// Writes `count` entries on a member that takes writes and waits for the last.
    pub(super) fn write(&mut self, i: usize, count: usize, concern: &WriteConcern) -> (u64, OpTime) {
        let mut entries = Vec::new();
        for _ in 0..count {
            let optime = self.members[i].next_optime(self.now);
            entries.push(Arc::new(OplogEntry { optime, changes: vec![Change::Noop], statement: None }));
        }
        for entry in &entries {
            self.apply_to_store(i, entry);
        }
        let optime = entries.last().unwrap().optime;
        self.last_waiter += 1;
        self.waiting.insert(self.last_waiter, i);
        self.members[i].append(self.now, entries);
        self.members[i].wait_for(self.now, self.last_waiter, optime, concern, None);
        self.drain(i);
        (self.last_waiter, optime)
    }

    pub(super) fn command(&mut self, i: usize, body: Document) -> u64 {
        self.last_waiter += 1;
        let call = self.last_waiter;
        let answer = self.members[i].command(self.now, call, &body);
        if let Answer::Reply(reply) = answer {
            self.answered.insert(call, (self.now, reply));
        }
        self.drain(i);
        call
    }

    /// Runs a command to its answer.
    pub(super) fn ask(&mut self, i: usize, body: Document) -> Document {
        let call = self.command(i, body);
        self.wait(secs(60), "an answer", |net| net.answered.contains_key(&call));
        self.answered[&call].1.clone()
    }

    pub(super) fn is(&self, i: usize, state: MemberState) -> bool {
        self.up[i] && self.members[i].state() == state
    }

    // --- Outputs, and what must hold.

    pub(super) fn drain(&mut self, i: usize) {
        while let Some(output) = self.members[i].poll_output() {
            self.outputs.push((i, output.clone()));
            self.carry_out(i, output);
        }
        let stored = self.stores[i].last().map_or(OpTime::new(-1, 0, 0), |entry| entry.optime);
        if self.members[i].state() != MemberState::Arbiter {
            assert_eq!(stored, self.members[i].last_applied(), "store and log of {i}\n{}", self.tail());
        }
        assert!(self.members[i].commit_point() <= self.members[i].last_applied());
        let writable = self.members[i].is_writable_primary();
        if writable && !self.was_writable[i] {
            self.writable.push((self.now, i));
        }
        self.was_writable[i] = writable;
        if self.outputs.len() > 10_000 {
            self.outputs.drain(..5_000);
        }
    }

    fn carry_out(&mut self, i: usize, output: Output) {
        match output {
            Output::Send { to, message } => self.transmit(i, to.0 as usize, message),
            Output::Apply(entries) => entries.iter().for_each(|entry| self.apply_to_store(i, entry)),
            Output::RollBackTo(optime) => {
                let gone = self.back_to(i, optime);
                let lost = gone.iter().find(|gone| self.committed.contains(gone));
                assert_eq!(lost, None, "rolled back though committed, on {i}\n{}", self.tail());
            }
            Output::CommitPoint(optime) => {
                assert!(optime > self.commit_points[i], "commit point of {i} goes back\n{}", self.tail());
                let from = self.stores[i].partition_point(|entry| entry.optime <= self.commit_points[i]);
                let to = self.stores[i].partition_point(|entry| entry.optime <= optime);
                self.committed.extend(self.stores[i][from..to].iter().map(|entry| entry.optime));
                self.commit_points[i] = optime;
            }
            Output::TakeSnapshot { to, stream } => {
                let snapshot =
                    Snapshot { at: self.members[i].last_applied(), entries: self.stores[i].clone() };
                self.members[i].handle_snapshot(self.now, to, stream, snapshot);
            }
            Output::Load(snapshot) => self.stores[i] = snapshot.entries.clone(),
            Output::StateChanged { from, to } => {
                self.trace.push(format!("{:?} {i}: {from} -> {to}", self.now));
                if to == MemberState::Primary {
                    let term = self.members[i].term();
                    let other = *self.primaries.entry(term).or_insert(i);
                    assert_eq!(other, i, "two primaries in term {term}\n{}", self.tail());
                }
            }
            Output::Waited { waiter, result } => {
                self.waiting.remove(&waiter);
                assert!(self.waited.insert(waiter, (self.now, result)).is_none(), "waiter {waiter} twice");
            }
            Output::Answered { call, reply } => {
                assert!(self.answered.insert(call, (self.now, reply)).is_none(), "call {call} twice");
            }
            Output::ShutDown => {
                self.up[i] = false;
                self.members[i].handle_exit(self.now);
                self.commit_points[i] = OpTime::new(-1, 0, 0);
            }
            Output::Note(text) => self.trace.push(format!("{:?} {i}: {text}", self.now)),
            Output::HelloChanged | Output::CloseConnections | Output::KillOperations => {}
        }
    }

    /// Log matching: an entry has the same one before it wherever it stands.
    fn apply_to_store(&mut self, i: usize, entry: &SharedEntry) {
        let previous = self.stores[i].last().map_or(OpTime::new(-1, 0, 0), |entry| entry.optime);
        assert!(entry.optime > previous);
        let known = *self.before.entry(entry.optime).or_insert(previous);
        assert_eq!(known, previous, "before {:?} on {i}\n{}", entry.optime, self.tail());
        self.stores[i].push(Arc::clone(entry));
    }

    fn back_to(&mut self, i: usize, optime: OpTime) -> Vec<OpTime> {
        let keep = self.stores[i].partition_point(|entry| entry.optime <= optime);
        self.stores[i].split_off(keep).iter().map(|entry| entry.optime).collect()
    }

    pub(super) fn tail(&self) -> String {
        let from = self.trace.len().saturating_sub(60);
        self.trace[from..].join("\n")
    }
}
