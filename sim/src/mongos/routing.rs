//! Where a job goes, what comes back, and whether it goes again.

use super::{Call, Job, Mongos, Stage};
use crate::mongod::generic::expect_int;
use crate::mongod::reply::{Labelling, is_retryable, is_state_change};
use crate::node::NodeId;
use crate::store::Failure;
use bson::{Bson, Document, doc};
use quorate_core::raw::Timestamp;
use quorate_core::{Duration, Instant};

/// How long a mongos looks for a member that will do, as the real one does.
const FIND_HOST: Duration = Duration::from_secs(15);
/// How long a shard may take where the client has set no limit.
const SILENCE: Duration = Duration::from_secs(30);
/// How often what may be sent again is.
const ATTEMPTS: u32 = 3;

impl Mongos {
    /// Carries a command out: here, or at its shards.
    pub(super) fn dispatch(&mut self, now: Instant, id: u64, mut job: Job) {
        if matches!(job.command.name, "hello" | "isMaster") {
            return self.hello(now, id, job);
        }
        match self.local(now, &job) {
            Some(Ok(reply)) => return self.answer(now, id, job, reply),
            Some(Err(failure)) => return self.fail(now, id, job, &failure),
            None => {}
        }
        let shards = match job.command.name {
            "getMore" => match self.cursor_of(&mut job) {
                Ok(cursor) => return self.ask_node(now, id, job, cursor.shard, cursor.node),
                Err(failure) => Err(failure),
            },
            "commitTransaction" | "abortTransaction" => self.ends_at(&job),
            "listDatabases" => Ok((0..self.shards.len()).collect()),
            _ => Ok(vec![self.home_of(&job.generic.db)]),
        };
        match shards {
            Err(failure) => self.fail(now, id, job, &failure),
            Ok(shards) => {
                job.to_visit = shards;
                self.visit_next(now, id, job);
            }
        }
    }

    /// Goes to the next shard it has to, or is done.
    fn visit_next(&mut self, now: Instant, id: u64, mut job: Job) {
        if job.to_visit.is_empty() {
            let reply = merge(&mut job);
            return self.answer(now, id, job, reply);
        }
        let shard = job.to_visit.remove(0);
        job.attempts = 0;
        if !job.command.ends_transactions()
            && let Err(failure) = self.join(&mut job, shard)
        {
            return self.fail(now, id, job, &failure);
        }
        self.visit(now, id, job, shard);
    }

    /// Asks a member of that shard, now or when there is one that will do.
    pub(super) fn visit(&mut self, now: Instant, id: u64, mut job: Job, shard: usize) {
        let preference = job.body.get_document("$readPreference").ok();
        let mode = preference.and_then(|p| p.get_str("mode").ok()).unwrap_or("primary");
        let pinned = job.command.writes() && job.command.name != "aggregate"
            || job.generic.session.is_some_and(|session| session.transaction.is_some());
        let mode = if pinned { "primary" } else { mode };
        let found = self.shards.get(shard).and_then(|s| s.readable(mode, id));
        if let Some(node) = found {
            return self.ask_node(now, id, job, shard, node);
        }
        let until = job.timer.take().unwrap_or(now + FIND_HOST);
        if until <= now {
            return self.nobody(now, id, job, shard);
        }
        job.timer = Some(job.deadline.map_or(until, |deadline| deadline.min(until)));
        job.stage = Stage::Searching { shard };
        self.keep(id, job);
    }

    /// The search was in vain.
    pub(super) fn nobody(&mut self, now: Instant, id: u64, job: Job, shard: usize) {
        if job.deadline.is_some_and(|deadline| deadline <= now) {
            return self.fail(now, id, job, &Failure::new(50, "operation exceeded time limit"));
        }
        let name = self.shards.get(shard).map_or("", |shard| shard.name.as_str());
        let text =
            format!("Could not find host matching read preference {{ mode: \"primary\" }} for set {name}");
        self.fail(now, id, job, &Failure::new(133, text));
    }

    fn ask_node(&mut self, now: Instant, id: u64, mut job: Job, shard: usize, node: NodeId) {
        let mut body = job.body.clone();
        body.remove("recoveryToken");
        if let Some(deadline) = job.deadline {
            let left = i64::try_from((deadline - now).as_millis()).unwrap_or(i64::MAX);
            body.insert("maxTimeMS", left.max(1));
        }
        if self.cluster_time != Timestamp::default() {
            let Timestamp { time, increment } = self.cluster_time;
            body.insert("$clusterTime", doc! { "clusterTime": bson::Timestamp { time, increment } });
        }
        job.attempts += 1;
        let call = self.ask(node, body, Call::Job { job: id, node });
        job.stage = Stage::Asking { call, shard };
        // The shard keeps the limit itself; a shard that is gone is noticed by its silence, also where there is no limit: what
        // was sent to it, or its answer, may be lost.
        job.timer = Some(job.deadline.map_or(now + SILENCE, |deadline| deadline + Duration::from_secs(1)));
        self.keep(id, job);
    }

    /// A member has answered.
    pub(super) fn answered(&mut self, now: Instant, call: u64, mut reply: Document) {
        let Some(what) = self.calls.remove(&call) else { return };
        self.hear(&mut reply);
        let (id, node) = match what {
            Call::Check { shard, member } => return self.checked(now, shard, member, &reply),
            Call::Forgotten => return,
            Call::Job { job, node } => (job, node),
        };
        let Some(Stage::Asking { shard, .. }) = self.jobs.get(&id).map(|job| &job.stage) else { return };
        let shard = *shard;
        let Some(mut job) = self.take(id) else { return };
        let failed = reply.get("ok").and_then(expect_int) == Some(0);
        let code = if failed { reply.get_i32("code").unwrap_or(0) } else { 0 };
        if is_state_change(code) || matches!(code, 91 | 11600) {
            self.no_primary(node);
        }
        if failed && is_retryable(code) && job.may_go_again() {
            job.timer = None;
            return self.visit(now, id, job, shard);
        }
        if failed {
            return self.answer(now, id, job, reply);
        }
        for field in ["topologyVersion", "electionId", "opTime"] {
            reply.remove(field);
        }
        self.adopt_cursor(&job, node, shard, &mut reply);
        if job.command.name == "getMore" {
            return self.answer(now, id, job, reply);
        }
        job.gathered.push(reply);
        self.visit_next(now, id, job);
    }

    /// Nobody runs where these jobs have asked.
    pub(super) fn lost_jobs(&mut self, now: Instant, node: NodeId) {
        let lost = |(call, what): (&u64, &Call)| match what {
            Call::Job { job, node: asked } if *asked == node => Some((*call, *job)),
            _ => None,
        };
        let lost: Vec<(u64, u64)> = self.calls.iter().filter_map(lost).collect();
        for (call, id) in lost {
            self.calls.remove(&call);
            let Some(mut job) = self.take(id) else { continue };
            match job.stage {
                Stage::Asking { shard, .. } if job.may_go_again() => {
                    job.timer = None;
                    self.visit(now, id, job, shard);
                }
                _ => {
                    let failure = Failure::new(
                        6,
                        "Error connecting to shard :: caused by :: Connection closed by peer",
                    );
                    self.fail(now, id, job, &failure);
                }
            }
        }
    }

    /// Takes the times of a reply over and out.
    fn hear(&mut self, reply: &mut Document) {
        if let Some(Bson::Document(times)) = reply.remove("$clusterTime")
            && let Ok(t) = times.get_timestamp("clusterTime")
        {
            self.cluster_time = self.cluster_time.max(Timestamp { time: t.time, increment: t.increment });
        }
        reply.remove("operationTime");
    }
}

impl Job {
    /// Whether it may be sent again: reads and retryable writes outside of transactions, a few times.
    fn may_go_again(&self) -> bool {
        let in_transaction = self.generic.session.is_some_and(|session| session.transaction.is_some());
        let harmless = !self.command.writes() && self.command.name != "getMore";
        let retryable = self.labelling == Labelling::Retryable;
        self.attempts < ATTEMPTS && !in_transaction && (harmless || retryable)
    }
}

/// One reply of those of all shards.
fn merge(job: &mut Job) -> Document {
    if job.gathered.len() <= 1 || job.command.name != "listDatabases" {
        return job.gathered.pop().unwrap_or_default();
    }
    let (mut databases, mut total) = (Vec::new(), 0);
    for reply in &mut job.gathered {
        total += reply.get("totalSize").and_then(expect_int).unwrap_or(0);
        if let Ok(list) = reply.get_array_mut("databases") {
            databases.append(list);
        }
    }
    doc! { "databases": databases, "totalSize": total, "totalSizeMb": total / 1_048_576 }
}
