//! What people embed: a deployment in virtual time, with faults to order and the truth to compare with.
//!
//! ```
//! use quorate_sim::Cluster;
//! use quorate_sim::bson::{Document, doc};
//!
//! let cluster = Cluster::replica_set().members(3).seed(7).build();
//! cluster.run(async {
//!     let client = cluster.client("w=majority").await?;
//!     let orders = client.database("shop").collection::<Document>("orders");
//!     orders.insert_one(doc! { "item": "pen" }).await?;
//!     cluster.kill(cluster.primary().unwrap());
//!     // Retried, and answered by the new primary: ten seconds later there, at once here.
//!     orders.insert_one(doc! { "item": "ink" }).await?;
//!     assert_eq!(cluster.committed("shop", "orders").len(), 2);
//!     Ok::<(), quorate::error::Error>(())
//! })?;
//! # Ok::<(), quorate::error::Error>(())
//! ```
//!
//! | file | its one idea |
//! |---|---|
//! | `builder` | which deployment |
//! | `members` | its processes |
//! | `faults` | what can be done to it, now or later |
//! | `truth` | what is so, whatever clients believe |
//! | `operator` | commands to one member, past every fault of clients' networks |
//! | `task` | tasks beside the main one |
//! | `served` | the same on real sockets |

mod builder;
mod faults;
mod members;
mod operator;
#[cfg(not(target_family = "wasm"))]
mod served;
mod task;
#[cfg(test)]
mod tests;
mod truth;

pub use builder::Builder;
pub use members::{Part, Process};
#[cfg(not(target_family = "wasm"))]
pub use served::ServedCluster;
pub use task::Task;

use crate::mongod::IdentityProvider;
use crate::node::NodeId;
use crate::repl::wall_millis;
use crate::runtime::{SimRuntime, Sleep};
use crate::world::{HostId, Keep, START, Stuck, Traced, World};
use quorate::error::Result;
use quorate::{Client, Runtime, ServerAddress};
use quorate_core::{ClientOptions, Duration, Instant};
use std::future::Future;
use std::sync::{Arc, Weak};

/// A simulated deployment. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Cluster(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: World<Process>,
    uri: String,
    places: Vec<Place>,
    /// Where applications run.
    clients: Vec<HostId>,
    /// Where the operator sits, whom no partition touches.
    operator: HostId,
    /// What the operator shows where others log in.
    number: Option<i64>,
    /// Whose tokens let people in.
    provider: Option<IdentityProvider>,
}

/// A process of the deployment.
#[derive(Clone, Debug)]
struct Place {
    node: NodeId,
    host: HostId,
    address: ServerAddress,
    part: Part,
}

/// A deployment that goes when everybody else has let go of it: for its own tasks.
#[derive(Clone, Debug)]
pub(crate) struct WeakCluster(Weak<Inner>);

impl WeakCluster {
    pub(crate) fn upgrade(&self) -> Option<Cluster> {
        self.0.upgrade().map(Cluster)
    }
}

impl Cluster {
    pub(crate) fn downgrade(&self) -> WeakCluster {
        WeakCluster(Arc::downgrade(&self.0))
    }
}

/// Making one.
impl Cluster {
    /// A replica set: of three ordinary members unless the builder says otherwise.
    pub fn replica_set() -> Builder {
        Builder::replica_set()
    }

    /// One server alone.
    pub fn standalone() -> Builder {
        Builder::standalone()
    }

    /// A sharded cluster: two shards of three members each and two routers (`mongos`) unless the builder says otherwise.
    pub fn sharded() -> Builder {
        Builder::sharded(false)
    }

    /// A sharded cluster with a load balancer in front of its routers, which is all that clients see.
    pub fn load_balanced() -> Builder {
        Builder::sharded(true)
    }
}

/// Using it.
impl Cluster {
    /// The connection string.
    pub fn uri(&self) -> &str {
        &self.0.uri
    }

    /// Where a process listens.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn address(&self, process: usize) -> &ServerAddress {
        &self.0.places[process].address
    }

    /// A client on the first application machine. `options` are those of a connection string, such as
    /// `readPreference=secondary&w=majority`, and may be empty.
    ///
    /// # Errors
    /// When the options are wrong.
    pub async fn client(&self, options: &str) -> Result<Client<SimRuntime>> {
        self.client_on(0, options).await
    }

    /// A client on one of the application machines, counted from 0; see [`Builder::clients`].
    ///
    /// # Errors
    /// When the options are wrong.
    ///
    /// # Panics
    /// When there is no such machine.
    pub async fn client_on(&self, machine: usize, options: &str) -> Result<Client<SimRuntime>> {
        let between = if self.0.uri.contains('?') { "&" } else { "?" };
        let uri = format!("{}{}{options}", self.0.uri, if options.is_empty() { "" } else { between });
        Client::on(self.runtime(machine), ClientOptions::parse(&uri).await?)
    }

    /// A token that lets a user in by MONGODB-OIDC, from now on and for so long; see [`Builder::tokens`].
    ///
    /// # Panics
    /// When the deployment takes none.
    pub fn token(&self, user: &str, lifetime: Duration) -> String {
        let provider = self.0.provider.as_ref().expect("a deployment that takes tokens");
        provider.token(user, wall_millis(self.now() + lifetime))
    }

    /// The runtime of an application machine, for clients made otherwise.
    ///
    /// # Panics
    /// When there is no such machine.
    pub fn runtime(&self, machine: usize) -> SimRuntime {
        self.0.world.runtime(self.0.clients[machine])
    }

    /// Runs the deployment until the future is done.
    ///
    /// # Panics
    /// With the last that happened when nothing will ever happen, or a day of virtual time has passed.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.0.world.block_on(future)
    }

    /// As [`Cluster::run`].
    ///
    /// # Errors
    /// Where that panics.
    pub fn try_run<F: Future>(&self, future: F) -> std::result::Result<F::Output, Stuck> {
        self.0.world.run_until(future)
    }

    /// As [`Cluster::try_run`], with somebody who looks at the deployment after everything that happens, and says what must not
    /// be.
    ///
    /// # Errors
    /// As there, and what the watcher says.
    pub fn run_watched<F: Future>(
        &self,
        future: F,
        mut watch: impl FnMut(&Cluster) -> std::result::Result<(), String>,
    ) -> std::result::Result<F::Output, Stuck> {
        self.0.world.run_watched(future, |_| watch(self))
    }

    /// Starts a task beside the one that is run. It goes on by itself when its handle is dropped.
    ///
    /// A task that holds a clone of its cluster keeps it in memory until the task ends or [`Cluster::close`] drops it.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> Task<T> {
        Task::spawn(&self.runtime(0), task)
    }

    /// Ends after that span of virtual time.
    pub fn sleep(&self, span: Duration) -> Sleep {
        self.runtime(0).sleep_until(self.now() + span)
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.0.world.now()
    }

    /// How long the deployment has been there.
    pub fn elapsed(&self) -> Duration {
        self.now() - START
    }

    /// Drops every task and lets nothing happen any more. For those whose tasks hold the cluster they run in: neither
    /// would ever go otherwise.
    pub fn close(&self) {
        self.0.world.clear_tasks();
    }
}

/// What happened.
impl Cluster {
    /// Says how much of the trace is kept from now on.
    pub fn keep_trace(&self, keep: Keep) {
        self.0.world.keep_trace(keep);
    }

    /// The trace as far as it is kept.
    pub fn trace(&self) -> Vec<Traced> {
        self.0.world.trace()
    }

    /// A hash of all that has happened: the same for the same seed and the same program, on any machine.
    pub fn trace_hash(&self) -> u64 {
        self.0.world.trace_hash()
    }

    /// The trace as far as it is kept, for people.
    pub fn timeline(&self) -> String {
        self.0.world.timeline()
    }

    /// Those events of the trace that are wanted, for people: without the messages between members, for example.
    pub fn timeline_of(&self, wanted: impl FnMut(&Traced) -> bool) -> String {
        self.0.world.timeline_of(wanted)
    }

    /// Puts a line into the trace.
    pub fn remark(&self, text: &str) {
        self.0.world.remark(text);
    }

    /// The world below, for what there is no method for.
    pub fn world(&self) -> &World<Process> {
        &self.0.world
    }
}
