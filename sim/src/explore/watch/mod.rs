//! Everything that is seen while a plan runs: calls and their commands, and, client by client, what events tell. What must
//! not be is noted the moment it is seen.

mod calls;
mod commands;
mod ends;
mod pools;
mod tagged;
mod topology;
mod transactions;

pub(super) use calls::{Call, CallEnd, CallKind, Place};
pub(super) use tagged::Tagged;

use super::history::History;
use super::plan::ClientPlan;
use super::rule::{Rule, Violation};
use crate::cluster::Cluster;
use crate::runtime::SimRuntime;
use commands::Commands;
use pools::Pools;
use quorate::Runtime;
use quorate::event::{EventHandler, cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent};
use quorate_core::{ClientOptions, Instant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use topology::Topologies;

/// Notes what is seen. Clones are the same one.
#[derive(Clone)]
pub(super) struct Recorder(Arc<Inner>);

struct Inner {
    clock: SimRuntime,
    /// To write remarks into the trace with, if it is kept.
    trace: Option<Cluster>,
    record: Mutex<Record>,
}

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// The call that is being polled.
    pub(super) current: Option<usize>,
    /// All calls, in the order in which they began.
    pub(super) calls: Vec<Call>,
    pub(super) clients: Vec<Watched>,
    pub(super) history: History,
    /// Since when there is a new primary that serves, after the one loss that the plan has.
    pub(super) served_since: Option<Instant>,
    /// The new primary has gone, too: two members stood for election at the same time. A write is tried twice, and had both.
    pub(super) lost_again: bool,
    /// Since when all is made well again.
    pub(super) made_well: Option<Instant>,
    pub(super) violations: Vec<Violation>,
    /// Remarks for the trace.
    remarks: Vec<String>,
}

/// One client as its events show it.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) plan: ClientPlan,
    pub(super) commands: Commands,
    pub(super) pools: Pools,
    pub(super) topologies: Topologies,
}

impl Recorder {
    pub(super) fn new(clock: SimRuntime, trace: Option<Cluster>) -> Self {
        Recorder(Arc::new(Inner { clock, trace, record: Mutex::default() }))
    }

    pub(super) fn now(&self) -> Instant {
        self.0.clock.now()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Record> {
        self.0.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something must not be.
    pub(super) fn violated(&self, rule: Rule, text: String) {
        self.update(|record, now| record.violated(now, rule, text));
    }

    /// Looks at and changes what is known.
    pub(super) fn update<T>(&self, change: impl FnOnce(&mut Record, Instant) -> T) -> T {
        let now = self.now();
        let mut record = self.lock();
        let value = change(&mut record, now);
        let remarks = std::mem::take(&mut record.remarks);
        drop(record);
        if let Some(cluster) = &self.0.trace {
            remarks.iter().for_each(|remark| cluster.remark(remark));
        }
        value
    }

    /// Begins to watch a client that is to have those options; gives its number.
    pub(super) fn watch(&self, plan: &ClientPlan, options: &mut ClientOptions) -> usize {
        let number = self.update(|record, _| {
            let balanced = options.load_balanced == Some(true);
            record.clients.push(Watched {
                plan: plan.clone(),
                commands: Commands::default(),
                pools: Pools::new(plan, balanced),
                topologies: Topologies::default(),
            });
            record.clients.len() - 1
        });
        let this = self.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event: CommandEvent| {
            this.update(|record, now| record.command(now, number, &event));
        }));
        let this = self.clone();
        options.cmap_event_handler = Some(EventHandler::callback(move |event: CmapEvent| {
            this.update(|record, now| record.pool(now, number, &event));
        }));
        let this = self.clone();
        options.sdam_event_handler = Some(EventHandler::callback(move |event: SdamEvent| {
            this.update(|record, now| record.topology(now, number, &event));
        }));
        number
    }
}

impl Record {
    pub(super) fn violated(&mut self, at: Instant, rule: Rule, text: String) {
        self.remarks.push(format!("VIOLATION of {rule}: {text}"));
        self.violations.push(Violation { at, rule, text });
    }

    fn remark(&mut self, text: impl FnOnce() -> String) {
        self.remarks.push(text());
    }

    fn pool(&mut self, now: Instant, client: usize, event: &CmapEvent) {
        if let CmapEvent::ConnectionCheckoutStarted(_) = event
            && let Some(call) = self.current.and_then(|call| self.calls.get_mut(call))
        {
            call.asked_again = true;
            call.asked = true;
        }
        if let Err(text) = self.clients[client].pools.note(now, event) {
            self.violated(now, Rule::Connections, format!("client {client}: {text}"));
        }
    }

    fn topology(&mut self, now: Instant, client: usize, event: &SdamEvent) {
        if let Err((rule, text)) = self.clients[client].topologies.note(now, event) {
            self.violated(now, rule, format!("client {client}: {text}"));
        }
        if let SdamEvent::TopologyDescriptionChanged(event) = event {
            let new = &event.new_description;
            self.remark(|| format!("client {client} publishes {}", topology::describe(new)));
        }
    }
}
