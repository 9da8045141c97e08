//! The seeded world: a clock that moves only when all is quiet, machines and processes on them, a network that can fail in
//! every way, and tasks.
//!
//! | file | its one idea |
//! |---|---|
//! | `clock`, `queue`, `timers` | virtual time and what is due |
//! | `executor` | tasks, one after the other |
//! | `core` | what tasks and nodes share |
//! | `link`, `conn`, `net`, `connect`, `names` | the network |
//! | `processes`, `faults` | nodes, and what can be done to them |
//! | `trace`, `timeline`, `label`, `hash` | what happened |
//! | `run` | the loop |
//!
//! # The loop
//!
//! 1. Every task that was woken is polled, at the same moment, until none is left.
//! 2. The next event is taken from the queue; the clock moves to it.
//! 3. A node is told, or a task woken; what the node says goes into the queue. On with 1.
//!
//! Everything is a function of the seed and of what the tasks do: the same program gives the same trace, on any machine.
//!
//! # Locks
//!
//! One thread is enough, and there are locks all the same: the client's bounds ask for `Send` and `Sync`. The nodes' lock is taken
//! before the core's; no task is polled, no waker woken and no destructor of a stranger run under either.

mod calls;
mod clock;
mod conn;
mod connect;
mod core;
mod executor;
mod faults;
mod hash;
mod label;
mod link;
mod names;
mod net;
mod processes;
mod queue;
mod run;
mod stuck;
mod timeline;
mod timers;
mod trace;

#[cfg(test)]
mod tests;

pub use self::core::ProcessState;
pub use clock::{START, WALL_EPOCH, wall};
pub use link::Link;
pub use names::{Answer, RESOLVER_TIMEOUT};
pub use stuck::{Stuck, StuckReason};
pub use trace::{Change, Event, HostId, Keep, Traced};

pub(crate) use self::core::Shared;
pub(crate) use executor::Executor;
pub(crate) use hash::child_seed;
pub(crate) use timers::TimerKey;

use self::core::Core;
use crate::node::{Node, NodeId};
use crate::runtime::SimRuntime;
use processes::Processes;
use quorate_core::{DEFAULT_PORT, Duration, Instant, Rng};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a world is made with.
#[derive(Clone, Debug)]
pub struct WorldOptions {
    /// Where all chance comes from.
    pub seed: u64,
    /// What the network between two machines is like unless [`World::set_link`] says otherwise.
    pub link: Link,
    /// Whether tasks that can run at the same moment do so in an order drawn from the seed: more is tried out. Without it
    /// they run in the order in which they were woken.
    pub shuffle: bool,
}

impl WorldOptions {
    /// The usual options with that seed.
    pub fn new(seed: u64) -> Self {
        WorldOptions { seed, link: Link::default(), shuffle: false }
    }
}

/// A world of nodes of one type. Clones are the same world; with the last one its tasks end.
#[derive(Debug)]
pub struct World<N: Node>(Arc<Inner<N>>);

impl<N: Node> Clone for World<N> {
    fn clone(&self) -> Self {
        World(self.0.clone())
    }
}

type Action<N> = Box<dyn FnOnce(&World<N>) + Send>;

struct Inner<N: Node> {
    shared: Arc<Shared>,
    executor: Arc<Executor>,
    processes: Mutex<Processes<N>>,
    actions: Mutex<BTreeMap<u64, Action<N>>>,
    next_action: AtomicU64,
    running: AtomicBool,
    /// Virtual nanoseconds one run may take.
    limit: AtomicU64,
}

impl<N: Node> std::fmt::Debug for Inner<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("now", &self.shared.now()).finish_non_exhaustive()
    }
}

impl<N: Node> Drop for Inner<N> {
    fn drop(&mut self) {
        self.executor.clear();
    }
}

/// A run may take so long in virtual time, until [`World::set_time_limit`] says otherwise.
const TIME_LIMIT: Duration = Duration::from_secs(24 * 3600);

/// Making one.
impl<N: Node> World<N> {
    /// An empty world.
    pub fn new(options: WorldOptions) -> Self {
        let WorldOptions { seed, link, shuffle } = options;
        let shuffle = shuffle.then(|| Rng::new(child_seed(seed, "tasks", 0)));
        World(Arc::new(Inner {
            shared: Arc::new(Shared::new(Core::new(seed, link))),
            executor: Arc::new(Executor::new(shuffle)),
            processes: Mutex::default(),
            actions: Mutex::default(),
            next_action: AtomicU64::new(0),
            running: AtomicBool::new(false),
            limit: AtomicU64::new(clock::nanos(TIME_LIMIT)),
        }))
    }

    /// Drops every task. They may hold the world they run in; neither would ever go otherwise.
    pub fn clear_tasks(&self) {
        self.0.executor.clear();
    }

    /// A machine, known by `name` (a host name without a port) to name look-up.
    pub fn add_host(&self, name: &str) -> HostId {
        self.0.shared.with(|core| core.add_host(name))
    }

    /// A process that is to listen on a port of a machine. It is down until [`World::start`].
    ///
    /// `make` gets its id.
    pub fn add_node(&self, host: HostId, port: u16, make: impl FnOnce(NodeId) -> N) -> NodeId {
        let mut processes = self.processes();
        let id = self.0.shared.with(|core| core.add_process(host, port));
        processes.add(make(id));
        id
    }

    /// A machine with a process on the usual port, started.
    pub fn serve_on(&self, name: &str, make: impl FnOnce(NodeId) -> N) -> NodeId {
        let host = self.add_host(name);
        let node = self.add_node(host, DEFAULT_PORT, make);
        self.start(node);
        node
    }

    /// The runtime for a client on that machine.
    pub fn runtime(&self, host: HostId) -> SimRuntime {
        SimRuntime::new(self.0.shared.clone(), &self.0.executor, host)
    }
}

/// Looking at it.
impl<N: Node> World<N> {
    /// The time.
    pub fn now(&self) -> Instant {
        self.0.shared.now()
    }

    /// The machine of a process.
    pub fn host_of(&self, node: NodeId) -> HostId {
        self.0.shared.with(|core| core.host_of(node))
    }

    /// What a process is doing.
    pub fn state(&self, node: NodeId) -> ProcessState {
        self.0.shared.with(|core| core.process(node).state)
    }

    /// Looks at a node. It must not be changed in a way that it would have something to say: [`World::operate`] is for that.
    pub fn inspect<T>(&self, node: NodeId, look: impl FnOnce(&N) -> T) -> Option<T> {
        self.processes().get_mut(node).map(|node| look(node))
    }

    /// A hash of all that has happened, the same for the same run on any machine.
    pub fn trace_hash(&self) -> u64 {
        self.0.shared.with(|core| core.trace.hash())
    }

    /// How much has happened.
    pub fn event_count(&self) -> u64 {
        self.0.shared.with(|core| core.trace.count())
    }

    /// Says how much of the trace is kept from now on.
    pub fn keep_trace(&self, keep: Keep) {
        self.0.shared.with(|core| core.trace.keep(keep));
    }

    /// The trace as far as it is kept.
    pub fn trace(&self) -> Vec<Traced> {
        self.0.shared.with(|core| core.trace.events().cloned().collect())
    }

    /// The trace as far as it is kept, for people.
    pub fn timeline(&self) -> String {
        self.timeline_of(|_| true)
    }

    /// Those events of the trace that are wanted, for people.
    pub fn timeline_of(&self, wanted: impl FnMut(&Traced) -> bool) -> String {
        self.0.shared.with(|core| {
            let hosts: Vec<_> = core.hosts.iter().map(|host| host.name.clone()).collect();
            let nodes = core.processes.iter().map(|process| hosts[process.host.0 as usize].clone()).collect();
            let conns = core.conns.iter().map(|(id, conn)| (*id, (conn.client, conn.server))).collect();
            timeline::print(timeline::Names { hosts, nodes, conns }, core.trace.events(), wanted)
        })
    }

    /// Puts a line into the trace.
    pub fn remark(&self, text: &str) {
        self.0.shared.with(|core| core.note(Event::Remark(text.into())));
    }

    fn processes(&self) -> MutexGuard<'_, Processes<N>> {
        self.0.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Processes.
impl<N: Node> World<N> {
    /// Starts a process that is down; its machine gets its power back where it had lost it.
    pub fn start(&self, node: NodeId) {
        self.processes().start(&self.0.shared, node);
    }

    /// Ends a process at once (SIGKILL): its kernel resets its connections.
    pub fn kill(&self, node: NodeId) {
        self.processes().crash(&self.0.shared, node, false);
    }

    /// Takes a process's machine its power: nobody is told, and nothing that is sent there is answered until
    /// [`World::start`].
    pub fn power_off(&self, node: NodeId) {
        self.processes().crash(&self.0.shared, node, true);
    }

    /// Asks a process to end (SIGTERM).
    pub fn terminate(&self, node: NodeId) {
        self.processes().terminate(&self.0.shared, node);
    }

    /// Stops a process as it is (SIGSTOP): its machine goes on taking connections and bytes, and nobody answers.
    pub fn hang(&self, node: NodeId) {
        self.0.shared.with(|core| core.process_hangs(node));
    }

    /// Lets a hung process go on (SIGCONT): it finds all at once what has arrived meanwhile.
    pub fn resume(&self, node: NodeId) {
        self.processes().resume(&self.0.shared, node);
    }

    /// Does something to a node as its operator would, whatever its process's state, and carries out what it says to it.
    pub fn operate<T>(&self, node: NodeId, act: impl FnOnce(&mut N, Instant) -> T) -> Option<T> {
        self.processes().operate(&self.0.shared, node, act)
    }
}

/// The network.
impl<N: Node> World<N> {
    /// Says what the network from one machine to another is like. What is on its way already is not changed.
    pub fn set_link(&self, from: HostId, to: HostId, link: Link) {
        self.0.shared.with(|core| core.link(from, to).set(link));
    }

    /// What the network from one machine to another is like.
    pub fn link(&self, from: HostId, to: HostId) -> Link {
        self.0.shared.with(|core| core.link(from, to).settings().clone())
    }

    /// Lets nothing through from one machine to another. What is sent is held, and sent again when the way is free, as TCP
    /// does; the other direction is not touched.
    pub fn cut(&self, from: HostId, to: HostId) {
        self.set_cut(&[(from, to)], true);
    }

    /// Lets everything through again from one machine to another.
    pub fn mend(&self, from: HostId, to: HostId) {
        self.set_cut(&[(from, to)], false);
    }

    /// Cuts every machine of `one` off from every machine of `other`, both ways.
    pub fn partition(&self, one: &[HostId], other: &[HostId]) {
        let pairs: Vec<_> =
            one.iter().flat_map(|a| other.iter().flat_map(|b| [(*a, *b), (*b, *a)])).collect();
        self.set_cut(&pairs, true);
    }

    /// Cuts a machine off from all others, both ways.
    pub fn isolate(&self, host: HostId) {
        let count = self.0.shared.with(|core| core.hosts.len()) as u32;
        let others: Vec<_> = (0..count).map(HostId).filter(|other| *other != host).collect();
        self.partition(&[host], &others);
    }

    /// Ends every partition.
    pub fn heal(&self) {
        self.0.shared.with(|core| {
            for link in core.hosts.iter_mut().flat_map(|host| &mut host.links) {
                link.cut = false;
            }
            core.note(Event::Remark("the network is whole".into()));
            core.release_held();
        });
    }

    fn set_cut(&self, pairs: &[(HostId, HostId)], cut: bool) {
        self.0.shared.with(|core| {
            for (from, to) in pairs.iter().filter(|(from, to)| from != to) {
                if std::mem::replace(&mut core.link(*from, *to).cut, cut) != cut {
                    let name = |host: &HostId| &core.hosts[host.0 as usize].name;
                    let how = if cut { "does not reach" } else { "reaches" };
                    let text = format!("{} {how} {}", name(from), name(to));
                    core.note(Event::Remark(text.into()));
                }
            }
            if !cut {
                core.release_held();
            }
        });
    }

    /// Resets every connection between two machines, for both ends.
    pub fn reset_connections(&self, a: HostId, b: HostId) {
        let mut processes = self.processes();
        let told = self.0.shared.with(|core| {
            core.note(Event::Remark("connections reset".into()));
            let conns = core.conns_between(a, b);
            conns.into_iter().filter_map(|conn| Some((conn, core.reset_both(conn)?))).collect::<Vec<_>>()
        });
        for (conn, node) in told {
            processes.call(&self.0.shared, node, self::core::Call::Close(conn));
        }
    }

    /// Makes something on the way forget every connection there is between two machines, as a firewall may: both ends keep
    /// theirs, and nothing arrives on them any more. New ones are not touched.
    pub fn forget_connections(&self, a: HostId, b: HostId) {
        self.0.shared.with(|core| {
            core.note(Event::Remark("connections forgotten".into()));
            core.conns_between(a, b).into_iter().for_each(|conn| core.forget(conn));
        });
    }

    /// What name look-up answers for a host name from now on.
    pub fn set_dns(&self, name: &str, answer: impl Into<Answer>) {
        self.0.shared.with(|core| {
            core.note(Event::Remark(format!("name look-up changes for {name}").into()));
            core.names.set(name, answer.into());
        });
    }
}
