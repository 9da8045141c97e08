//! Runs a plan and says what of it must not have been.

use super::harm::{make_well, schedule, start_all};
use super::plan::{Class, FIXED, Fault, LISTS, Plan};
use super::rule::{Rule, Violation};
use super::settle;
use super::watch::Recorder;
use super::work::{DATABASE, Worker};
use crate::cluster::{Cluster, Task};
use crate::runtime::SimRuntime;
use crate::world::{Keep, StuckReason};
use bson::{Document, doc};
use quorate::{Client, LONGEST_SILENCE};
use quorate_core::{ClientOptions, Duration, Instant};
use std::sync::Arc;

/// How a plan is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Keep the whole trace and give it as a timeline.
    pub trace: bool,
    /// The mistake that clients make.
    #[cfg(feature = "mistakes")]
    pub mistake: Option<quorate_core::mistakes::Mistake>,
}

impl RunOptions {
    /// The same with the trace kept, or not.
    #[must_use]
    pub fn with_trace(mut self, trace: bool) -> Self {
        self.trace = trace;
        self
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What must not have been, in the order in which it was seen. A run ends with the first.
    pub violations: Vec<Violation>,
    /// Calls of the driver's API that were made.
    pub operations: u64,
    /// How long it took in virtual time.
    pub simulated: Duration,
    /// A hash of all that happened.
    pub trace_hash: u64,
    /// What happened, where it was kept.
    pub timeline: Option<String>,
}

/// After all was made well, tasks have so long on top of what their clients' time-outs come to.
const RECOVERY: Duration = Duration::from_secs(60);
/// And so long to find out, by TCP's keep-alive, that a server has forgotten their connections; or, of a router, its shard.
const SILENCE: Duration = LONGEST_SILENCE;
/// How closely somebody looks for a new primary.
const LOOK: Duration = Duration::from_micros(500);

/// Runs a plan.
pub fn run(plan: &Plan, options: &RunOptions) -> Report {
    let cluster = plan.shape.build(plan.seed, 2, options.trace);
    if options.trace {
        cluster.keep_trace(Keep::All);
    }
    let recorder = Recorder::new(cluster.runtime(0), options.trace.then(|| cluster.clone()));
    let run =
        Run { plan: Arc::new(plan.clone()), cluster: cluster.clone(), recorder: recorder.clone(), options };
    let mut watch =
        Watch { recorder: recorder.clone(), class: plan.class, next: Instant::ZERO, old: None, new: None };
    let result = cluster.run_watched(run.all(), |cluster| watch.look(cluster));
    if let Err(stuck) = result
        && !matches!(stuck.reason, StuckReason::Violated(_))
    {
        recorder.violated(Rule::Run, stuck.to_string().lines().next().unwrap_or_default().to_owned());
    }
    let (violations, operations) =
        recorder.update(|record, _| (record.violations.clone(), record.calls.len() as u64));
    let report = Report {
        violations,
        operations,
        simulated: cluster.elapsed(),
        trace_hash: cluster.trace_hash(),
        timeline: options.trace.then(|| cluster.timeline_of(super::report::is_worth_showing)),
    };
    cluster.close();
    report
}

/// A plan under way.
struct Run<'o> {
    plan: Arc<Plan>,
    cluster: Cluster,
    recorder: Recorder,
    options: &'o RunOptions,
}

impl Run<'_> {
    async fn all(self) {
        if let Err(why) = self.prepare().await {
            return self.recorder.violated(Rule::Run, format!("the data could not be made: {why}"));
        }
        let clients = match self.clients().await {
            Ok(clients) => clients,
            Err(error) => return self.recorder.violated(Rule::Run, format!("no client: {error}")),
        };
        let began = self.cluster.now();
        schedule(&self.cluster, &self.plan);
        let tasks = self.tasks(&clients);
        self.cluster.sleep(Duration::from_millis(self.plan.heal_at)).await;
        make_well(&self.cluster, &self.plan);
        self.recorder.update(|record, now| record.made_well = Some(now));
        self.wait_for(tasks, began).await;
        for (number, client) in clients.iter().enumerate() {
            self.check_recovery(number, client).await;
        }
        for client in clients {
            client.shutdown().await;
        }
        self.check_shutdown().await;
        self.check_data().await;
    }

    /// Makes the data that is there before anything happens, and waits until all members have it.
    async fn prepare(&self) -> Result<(), String> {
        let client = self.cluster.client("w=majority").await.map_err(|error| error.to_string())?;
        let database = client.database(DATABASE);
        let fixed: Vec<Document> = (0..FIXED).map(|id| doc! { "_id": id, "group": id % 3 }).collect();
        let lists: Vec<Document> = (0..LISTS).map(|id| doc! { "_id": id, "t": [] }).collect();
        let mut collections = vec![("fixed", fixed), ("lists", lists)];
        if self.plan.has_transactions() {
            let pairs = (LISTS..2 * LISTS).map(|id| doc! { "_id": id, "t": [] });
            collections.push(("pairs", pairs.collect()));
        }
        for (name, documents) in collections {
            let collection = database.collection::<Document>(name);
            collection.insert_many(documents).await.map_err(|error| error.to_string())?;
        }
        client.shutdown().await;
        settle::replicated(&self.cluster, Duration::from_secs(30)).await
    }

    async fn clients(&self) -> quorate::error::Result<Vec<Client<SimRuntime>>> {
        let mut clients = Vec::new();
        for plan in &self.plan.clients {
            let base = match plan.direct.filter(|member| *member < self.plan.shape.members.len()) {
                Some(member) => format!("mongodb://db{member}:27017/?"),
                None => {
                    let uri = self.cluster.uri();
                    format!("{uri}{}", if uri.contains('?') { "&" } else { "?" })
                }
            };
            let uri = format!("{base}{}", plan.options(&self.plan.shape));
            let mut options = ClientOptions::parse(&uri).await?;
            self.recorder.watch(plan, &mut options);
            #[cfg(feature = "mistakes")]
            {
                options.mistake = self.options.mistake;
            }
            #[cfg(not(feature = "mistakes"))]
            let _ = self.options;
            clients.push(Client::on(self.cluster.runtime(plan.machine), options)?);
        }
        Ok(clients)
    }

    fn tasks(&self, clients: &[Client<SimRuntime>]) -> Vec<(u32, Task<()>)> {
        let start = |task: &super::plan::TaskPlan| {
            let worker = Worker {
                plan: self.plan.clone(),
                recorder: self.recorder.clone(),
                runtime: self.cluster.runtime(self.plan.clients[task.client].machine),
                client: clients[task.client].clone(),
                number: task.client,
                own: Vec::new(),
                session: None,
            };
            (task.number, self.cluster.spawn(worker.run(task.clone())))
        };
        self.plan.tasks.iter().map(start).collect()
    }

    /// Waits until the tasks are done. None of them hangs once all is well.
    async fn wait_for(&self, tasks: Vec<(u32, Task<()>)>, began: Instant) {
        let patience =
            |plan: &super::plan::ClientPlan| plan.selection_ms * 2 + plan.heartbeat_ms + plan.connect_ms * 2;
        let longest = self.plan.clients.iter().map(patience).max().unwrap_or(0);
        let pauses = |task: &super::plan::TaskPlan| task.ops.iter().map(pause).sum::<u64>();
        let pauses = self.plan.tasks.iter().map(pauses).max().unwrap_or(0);
        let outage = self.cluster.now() - began;
        let limit = began
            + outage * 3
            + RECOVERY
            + SILENCE
            + Duration::from_millis(longest)
            + Duration::from_micros(pauses);
        let mut tasks = tasks;
        while !tasks.is_empty() {
            start_all(&self.cluster);
            self.cluster.sleep(Duration::from_millis(100)).await;
            let mut waiting = Vec::new();
            for (number, mut task) in tasks {
                if futures::poll!(&mut task).is_pending() {
                    waiting.push((number, task));
                }
            }
            tasks = waiting;
            if self.cluster.now() > limit
                && let Some((number, _)) = tasks.first()
            {
                let hung = self.recorder.lock().calls.iter().rev().find(|call| call.ended.is_none()).cloned();
                let hung = hung.map(|call| call.describe()).unwrap_or_default();
                return self.recorder.violated(Rule::Deadline, format!("task {number} hangs: {hung}"));
            }
        }
    }

    /// A client works again once all is well.
    async fn check_recovery(&self, number: usize, client: &Client<SimRuntime>) {
        if self.plan.clients[number].direct.is_some() {
            return;
        }
        let until = self.cluster.now() + RECOVERY + SILENCE;
        let docs = client.database(DATABASE).collection::<Document>("after");
        loop {
            start_all(&self.cluster);
            let error = match docs.find_one(doc! {}).await {
                Ok(_) => return,
                Err(error) => error,
            };
            if self.cluster.now() > until {
                return self
                    .recorder
                    .violated(Rule::Deadline, format!("client {number} does not recover: {error}"));
            }
            self.cluster.sleep(Duration::from_millis(50)).await;
        }
    }

    /// Nothing is left of clients that were shut down: neither as they tell it, nor as servers see it.
    async fn check_shutdown(&self) {
        self.cluster.sleep(Duration::from_secs(2)).await;
        let mut found = Vec::new();
        self.recorder.update(|record, _| {
            for (number, client) in record.clients.iter().enumerate() {
                let about = |text: String| format!("client {number} after its shutdown: {text}");
                found.extend(
                    client.pools.leftovers().into_iter().map(|text| (Rule::Connections, about(text))),
                );
                found.extend(
                    client.topologies.leftovers().into_iter().map(|text| (Rule::Events, about(text))),
                );
                found.extend(client.commands.leftovers().into_iter().map(|text| (Rule::Events, about(text))));
                if self.plan.class == Class::Quiet {
                    let open = client.commands.open_cursors();
                    found.extend(open.iter().map(|(id, server)| {
                        (Rule::Bounded, about(format!("cursor {id} on {server} was left open")))
                    }));
                }
            }
        });
        // What the network has forgotten no server ever hears of.
        if !self.plan.faults.iter().any(|fault| matches!(fault.fault, Fault::Forget(_))) {
            found.extend(self.open_connections().await.map(|text| (Rule::Connections, text)));
        }
        found.into_iter().for_each(|(rule, text)| self.recorder.violated(rule, text));
    }

    /// Connections that servers still have. What was closed while nothing got through is told them when the client's machine
    /// next tries, after twice as long at most.
    async fn open_connections(&self) -> Option<String> {
        let open = |process: usize| {
            Some((process, self.cluster.connections(process))).filter(|(_, count)| *count > 0)
        };
        for _ in 0..60 {
            (0..self.cluster.process_count()).find_map(open)?;
            self.cluster.sleep(Duration::from_secs(1)).await;
        }
        let (process, count) = (0..self.cluster.process_count()).find_map(open)?;
        Some(format!("process {process} still has {count} connections"))
    }

    /// What was acknowledged is there.
    async fn check_data(&self) {
        if let Err(why) = settle::replicated(&self.cluster, RECOVERY).await {
            return self.recorder.violated(Rule::Run, why);
        }
        let data = settle::committed(&self.cluster);
        let found = self.recorder.update(|record, _| record.history.check(&self.plan, &data));
        if let Err((rule, text)) = found.and_then(|()| settle::agree(&self.cluster, &data)) {
            self.recorder.violated(rule, text);
        }
    }
}

/// How long a task waits for an operation's sake, in microseconds.
fn pause(op: &super::plan::OpPlan) -> u64 {
    match op.act {
        super::plan::Act::Scan { pause_us, .. } => op.pause_us + pause_us * (FIXED as u64 + 1),
        super::plan::Act::Transaction(ref plan) => op.pause_us + plan.pauses_us(),
        _ => op.pause_us,
    }
}

/// Looks at the deployment after everything that happens.
struct Watch {
    recorder: Recorder,
    class: Class,
    next: Instant,
    /// The primary that is to be lost.
    old: Option<usize>,
    /// The one that came after it.
    new: Option<usize>,
}

impl Watch {
    fn look(&mut self, cluster: &Cluster) -> Result<(), String> {
        if let Some(violation) = self.recorder.lock().violations.first() {
            return Err(violation.to_string());
        }
        let now = cluster.now();
        if self.class == Class::Failover && now >= self.next {
            self.next = now + LOOK;
            let leader = settle::leader(cluster);
            let old = *self.old.get_or_insert(leader.unwrap_or(usize::MAX));
            let primaries = cluster.primaries();
            let lost = self.new.is_some_and(|new| !primaries.contains(&new));
            self.new = self.new.or_else(|| primaries.into_iter().find(|primary| *primary != old));
            let mut record = self.recorder.lock();
            record.lost_again |= lost;
            if record.served_since.is_none() && leader.is_some_and(|leader| leader != old) {
                record.served_since = Some(now);
            }
        }
        Ok(())
    }
}
