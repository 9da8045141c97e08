//! Tasks of an application: each carries out its operations one after the other, and notes what it did and saw.

mod calls;
mod reads;
mod transactions;
mod writes;

use super::history::{Effect, Known, Seen, Write};
use super::plan::{Act, Concern, Level, Mode, OpPlan, Plan, TaskPlan, WriteDefault};
use super::rule::Rule;
use super::watch::Recorder;
use crate::runtime::SimRuntime;
use bson::Document;
use quorate::options::{ReadPreference, ReadPreferenceOptions, TagSet};
use quorate::{Client, ClientSession, Collection};
use quorate_core::{Duration, ReadConcern, WriteConcern};
use std::sync::Arc;

/// The database everything is in.
pub(super) const DATABASE: &str = "explore";

/// One task at work.
pub(super) struct Worker {
    pub(super) plan: Arc<Plan>,
    pub(super) recorder: Recorder,
    pub(super) runtime: SimRuntime,
    pub(super) client: Client<SimRuntime>,
    /// The client's number.
    pub(super) number: usize,
    /// Documents that are surely there, and not yet deleted.
    pub(super) own: Vec<i64>,
    /// What its transactions are run in, between two of them.
    pub(super) session: Option<ClientSession<SimRuntime>>,
}

impl Worker {
    /// Carries out a task.
    pub(super) async fn run(mut self, task: TaskPlan) {
        for op in &task.ops {
            self.runtime.sleep(Duration::from_micros(op.pause_us)).await;
            self.carry_out(op).await;
        }
    }

    async fn carry_out(&mut self, op: &OpPlan) {
        match &op.act {
            Act::Insert(concern) => self.insert(op, *concern).await,
            Act::InsertMany { count, ordered, concern } => {
                self.insert_many(op, *count, *ordered, *concern).await
            }
            Act::Push { key, by, concern } => self.push(op, *key, *by, *concern).await,
            Act::Delete { by, concern } => self.delete(op, *by, *concern).await,
            Act::Read { key, mode, level } => self.read(op, *key, *mode, *level).await,
            Act::Scan { by, mode, batch, stop_after, pause_us } => {
                let pause = Duration::from_micros(*pause_us);
                self.scan(op, *by, *mode, *batch, *stop_after, pause).await;
            }
            Act::Count { by, mode } => self.count(op, *by, *mode).await,
            Act::FindOne { id, mode } => self.find_one(op, *id, *mode).await,
            Act::Ping => self.ping(op).await,
            Act::ListCollections => self.list(op).await,
            Act::Transaction(plan) => self.transaction(op, plan).await,
        }
    }

    fn collection(&self, name: &str) -> Collection<Document, SimRuntime> {
        self.client.database(DATABASE).collection(name)
    }

    fn note(&self, effect: Effect, known: Known, call: usize) {
        self.recorder.update(|record, now| {
            let began = record.calls[call].began;
            record.history.writes.push(Write { effect, known, began, ended: now });
        });
    }

    fn saw(&self, op: &OpPlan, key: i32, tokens: Vec<i64>, level: Level, call: usize) {
        self.recorder.update(|record, _| {
            let began = record.calls[call].began;
            record.history.seen.push(Seen { op: op.id, key, tokens, level, began });
        });
    }

    fn wrong(&self, op: &OpPlan, text: &str) {
        self.recorder.violated(Rule::Answers, format!("{op}: {text}"));
    }

    /// Whether an acknowledgement of that kind means that a majority has the write.
    fn is_durable(&self, concern: Concern) -> bool {
        let inherits = self.plan.clients[self.number].w == WriteDefault::Majority;
        self.plan.shape.has_majorities()
            && (concern == Concern::Majority || (concern == Concern::Inherited && inherits))
    }
}

/// As the client wants it.
fn write_concern(concern: Concern) -> Option<WriteConcern> {
    match concern {
        Concern::Inherited => None,
        Concern::Majority => Some(WriteConcern::majority()),
        Concern::One => Some(WriteConcern::nodes(1)),
        Concern::None => Some(WriteConcern::nodes(0)),
        Concern::Nodes(count, ms) => {
            let mut concern = WriteConcern::nodes(count);
            concern.w_timeout = Some(Duration::from_millis(ms));
            Some(concern)
        }
    }
}

fn read_preference(mode: Mode) -> ReadPreference {
    match mode {
        Mode::Primary => ReadPreference::primary(),
        Mode::PrimaryPreferred => ReadPreference::primary_preferred(None),
        Mode::Secondary => ReadPreference::secondary(None),
        Mode::SecondaryPreferred => ReadPreference::secondary_preferred(None),
        Mode::Nearest => ReadPreference::nearest(None),
        Mode::East => {
            let east = TagSet::from([("dc".to_owned(), "east".to_owned())]);
            let options = ReadPreferenceOptions::builder().tag_sets(vec![east, TagSet::new()]).build();
            ReadPreference::nearest(options)
        }
    }
}

fn read_concern(level: Level) -> Option<ReadConcern> {
    match level {
        Level::Local => None,
        Level::Majority => Some(ReadConcern::majority()),
        Level::Linearizable => Some(ReadConcern::linearizable()),
    }
}
