//! What tasks and nodes share: the clock, the queue, the network. No node, no task and no waker of theirs runs in here.

use super::clock::START;
use super::conn::{Conn, FIRST_CONN, FIRST_RETRANSMIT, SECOND};
use super::hash::child_seed;
use super::label;
use super::link::{Link, LinkState};
use super::names::Names;
use super::queue::{Due, Queue};
use super::timers::Timers;
use super::trace::{Change, Event, HostId, Trace};
use crate::node::{ConnId, NodeId};
use quorate_core::{Instant, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

/// A machine.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: Arc<str>,
    /// Without power: nothing that is sent to it is answered.
    pub(super) off: bool,
    pub(super) ports: BTreeMap<u16, NodeId>,
    /// To each machine, by its number.
    pub(super) links: Vec<LinkState>,
    /// For the seeds of its clients.
    pub(super) seeds: Rng,
}

/// What a process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessState {
    /// It is not there.
    Down,
    /// It runs.
    Running,
    /// It is stopped, as by SIGSTOP: its machine takes connections and bytes, nobody answers.
    Hung,
}

#[derive(Debug)]
pub(super) struct Process {
    pub(super) host: HostId,
    pub(super) state: ProcessState,
    /// Who has sent it messages, and so has connections to it.
    peers: BTreeSet<NodeId>,
    /// Its earliest event in the queue.
    pub(super) armed: Option<u64>,
}

/// The world but for its nodes and tasks.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) seed: u64,
    pub(super) now: u64,
    pub(super) queue: Queue,
    pub(super) timers: Timers,
    pub(super) hosts: Vec<Host>,
    pub(super) processes: Vec<Process>,
    pub(super) conns: BTreeMap<ConnId, Box<Conn>>,
    pub(super) names: Names,
    pub(super) trace: Trace,
    default_link: Link,
    next_conn: ConnId,
    /// To be woken when the lock is free.
    pub(super) woken: Vec<Waker>,
    /// To be dropped when the lock is free.
    pub(super) trash: Vec<Waker>,
}

/// What an event comes to.
#[derive(Debug)]
pub(super) enum Step {
    /// There is none: nothing will ever happen.
    Nothing,
    /// It is dealt with.
    Done,
    /// A node is to be told.
    Node(NodeId, Call),
    /// A scripted action is due.
    Action(u64),
}

/// What a node is to be told.
#[derive(Debug)]
pub(super) enum Call {
    Open(ConnId),
    Bytes(ConnId, Vec<u8>),
    Close(ConnId),
    /// The next message from that node.
    Message(NodeId),
    /// Nobody runs where that node was.
    Unreachable(NodeId),
    Timeout,
}

impl Core {
    pub(super) fn new(seed: u64, default_link: Link) -> Self {
        Core {
            seed,
            now: START.as_nanos(),
            queue: Queue::default(),
            timers: Timers::default(),
            hosts: Vec::new(),
            processes: Vec::new(),
            conns: BTreeMap::new(),
            names: Names::new(child_seed(seed, "names", 0)),
            trace: Trace::new(),
            default_link,
            next_conn: FIRST_CONN,
            woken: Vec::new(),
            trash: Vec::new(),
        }
    }

    pub(super) fn add_host(&mut self, name: &str) -> HostId {
        let id = HostId(self.hosts.len() as u32);
        let seed = self.seed;
        let link = |from: u32, to: u32, settings: &Link| {
            let number = u64::from(from) << 32 | u64::from(to);
            LinkState::new(settings.clone(), child_seed(seed, "link", number))
        };
        let settings = &self.default_link;
        for (from, host) in (0..).zip(&mut self.hosts) {
            host.links.push(link(from, id.0, settings));
        }
        self.hosts.push(Host {
            name: name.into(),
            off: false,
            ports: BTreeMap::new(),
            links: (0..=id.0).map(|to| link(id.0, to, settings)).collect(),
            seeds: Rng::new(child_seed(seed, "clients", u64::from(id.0))),
        });
        self.names.set(name, id.into());
        id
    }

    pub(super) fn add_process(&mut self, host: HostId, port: u16) -> NodeId {
        let node = NodeId(self.processes.len() as u32);
        self.processes.push(Process { host, state: ProcessState::Down, peers: BTreeSet::new(), armed: None });
        self.hosts[host.0 as usize].ports.insert(port, node);
        node
    }

    pub(super) fn next_conn(&mut self) -> ConnId {
        let conn = self.next_conn;
        self.next_conn = ConnId(conn.0 + 1);
        conn
    }

    pub(super) fn link(&mut self, from: HostId, to: HostId) -> &mut LinkState {
        &mut self.hosts[from.0 as usize].links[to.0 as usize]
    }

    /// Whether nothing gets from one machine to another.
    pub(super) fn is_cut(&self, from: HostId, to: HostId) -> bool {
        let from = &self.hosts[from.0 as usize];
        from.links[to.0 as usize].cut || from.off || self.hosts[to.0 as usize].off
    }

    pub(super) fn process(&mut self, node: NodeId) -> &mut Process {
        &mut self.processes[node.0 as usize]
    }

    pub(super) fn host_of(&self, node: NodeId) -> HostId {
        self.processes[node.0 as usize].host
    }

    pub(super) fn note(&mut self, event: Event) {
        self.trace.add(self.now, event);
    }

    pub(super) fn note_process(&mut self, node: NodeId, change: Change) {
        self.note(Event::Process { node, change });
    }

    /// Takes the next event, and deals with it as far as no node and no task has to.
    pub(super) fn step(&mut self) -> Step {
        let Some((at, due)) = self.queue.pop() else { return Step::Nothing };
        self.now = self.now.max(at);
        match due {
            Due::Timer { slot, generation } => {
                let waker = self.timers.ring(slot, generation);
                self.woken.extend(waker);
                Step::Done
            }
            Due::NodeTimer { node, armed } => self.node_timer(node, armed),
            Due::Segment { conn, way } => self.segment_arrives(conn, way),
            Due::Syn { conn } => self.syn_arrives(conn),
            Due::SynAck { conn } => self.syn_ack_arrives(conn),
            Due::Refused { conn } => self.refusal_arrives(conn),
            Due::Reset { conn } => self.reset_arrives(conn),
            Due::GiveUp { conn, way, since } => self.give_up(conn, way, since),
            Due::Probe { conn, left } => self.probe(conn, left),
            Due::Message { from, to } => Step::Node(to, Call::Message(from)),
            Due::Unreachable { node, gone } => self.refusal_of_message(node, gone),
            Due::Action(id) => Step::Action(id),
        }
    }

    fn node_timer(&mut self, node: NodeId, armed: u64) -> Step {
        let process = self.process(node);
        if process.armed != Some(armed) {
            return Step::Done;
        }
        process.armed = None;
        match process.state {
            ProcessState::Running => Step::Node(node, Call::Timeout),
            // Looked at again when it goes on.
            ProcessState::Hung | ProcessState::Down => Step::Done,
        }
    }

    /// Sees to it that the node is called at its deadline.
    pub(super) fn arm(&mut self, node: NodeId, deadline: Option<Instant>) {
        let Some(deadline) = deadline else { return };
        let at = deadline.as_nanos().max(self.now);
        let process = &mut self.processes[node.0 as usize];
        // One that is later is found when the earlier one comes, for nothing.
        if process.armed.is_none_or(|armed| at < armed) {
            process.armed = Some(at);
            self.queue.push(at, Due::NodeTimer { node, armed: at });
        }
    }

    /// Sends a message from node to node, whatever is in it; false where it is lost at once.
    pub(super) fn send_message(&mut self, from: NodeId, to: NodeId, stream: bool) -> bool {
        let (a, b) = (self.host_of(from), self.host_of(to));
        if self.is_cut(a, b) && !stream {
            self.note(Event::Lost { from, to });
            return false;
        }
        let now = self.now;
        self.process(to).peers.insert(from);
        let link = self.link(a, b);
        // Most are heartbeats and some entries: what they are on the wire matters little.
        let at = link.arrival(now, 256).max(link.last_message_at);
        link.last_message_at = at;
        self.queue.push(at, Due::Message { from, to });
        true
    }

    /// Whether a message of a stream cannot arrive yet; it is sent again then.
    pub(super) fn message_waits(&mut self, from: NodeId, to: NodeId) -> bool {
        let cut = self.is_cut(self.host_of(from), self.host_of(to));
        if cut {
            self.queue.push(self.now + FIRST_RETRANSMIT, Due::Message { from, to });
        }
        cut
    }

    /// Whether a message that was on its way arrives. The machine of a process that is gone says so to the sender.
    pub(super) fn message_arrives(&mut self, from: NodeId, to: NodeId, message: &impl Debug) -> bool {
        let (a, b) = (self.host_of(from), self.host_of(to));
        let (cut, there) = (self.is_cut(a, b), self.process(to).state != ProcessState::Down);
        let arrives = there && !cut;
        if arrives {
            let label = self.trace.has_labels().then(|| label::of_message(message));
            self.note(Event::Message { from, to, label });
        } else {
            self.note(Event::Lost { from, to });
        }
        if !cut && !there {
            self.refuse_messages(from, to);
        }
        arrives
    }

    /// Tells everybody with connections to a process that it is gone.
    pub(super) fn tell_peers(&mut self, gone: NodeId) {
        for node in std::mem::take(&mut self.process(gone).peers) {
            self.refuse_messages(node, gone);
        }
    }

    fn refuse_messages(&mut self, node: NodeId, gone: NodeId) {
        let now = self.now;
        let (to, from) = (self.host_of(node), self.host_of(gone));
        let at = self.link(from, to).arrival(now, 0);
        self.queue.push(at, Due::Unreachable { node, gone });
    }

    fn refusal_of_message(&mut self, node: NodeId, gone: NodeId) -> Step {
        if self.is_cut(self.host_of(gone), self.host_of(node)) {
            // Told when one of the two tries again.
            self.queue.push(self.now + SECOND, Due::Unreachable { node, gone });
            return Step::Done;
        }
        Step::Node(node, Call::Unreachable(gone))
    }
}

/// What tasks, streams and the world hold in common.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// The time once more, to be read without the lock.
    now: AtomicU64,
}

impl Shared {
    pub(super) fn new(core: Core) -> Self {
        Shared { now: AtomicU64::new(core.now), core: Mutex::new(core) }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.now.load(Ordering::Relaxed))
    }

    /// Does something under the lock, and wakes and drops what it left behind when that is free again.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
        let result = act(&mut core);
        self.now.store(core.now, Ordering::Relaxed);
        if core.woken.is_empty() && core.trash.is_empty() {
            return result;
        }
        let (woken, trash) = (std::mem::take(&mut core.woken), std::mem::take(&mut core.trash));
        drop(core);
        drop(trash);
        woken.into_iter().for_each(Waker::wake);
        result
    }
}
