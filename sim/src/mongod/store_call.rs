//! Commands on data: what the store is told, and what is done with what it says.

use super::op::{Op, OpId, Stage};
use super::{Mongod, answer};
use crate::oplog::{Change, OplogEntry, SharedEntry};
use crate::repl::wall_millis;
use crate::store::{Call, Failure, Parked, ReadAt, Wait, WaitFor, Work};
use bson::{Document, doc};
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;
use quorate_core::{Duration, Instant, ReadConcernLevel};
use std::sync::Arc;

/// How often a server that is alone writes its journal.
const JOURNAL_EVERY: Duration = Duration::from_millis(100);

impl Mongod {
    /// Lets the store work on a command, new or parked.
    pub(super) fn run_store(&mut self, now: Instant, id: OpId, op: Op, work: Work) {
        let read = self.read_at(&op);
        let (member, alone) = (&mut self.member, &mut self.alone);
        let mut optimes = || match member {
            Some(member) => member.next_optime(now),
            None => alone.next_optime(now),
        };
        let ran = self.store.run(Call {
            db: &op.generic.db,
            work,
            now: wall_millis(now),
            read,
            session: op.generic.session,
            optimes: &mut optimes,
        });
        let mut reply = ran.reply;
        if let (ReadAt::At(at), false) = (read, op.in_transaction()) {
            say_when(&mut reply, at);
        }
        let last = ran.entries.last().map(|entry| entry.optime);
        self.take_over(now, ran.entries);
        match ran.wait {
            Some(wait) => self.park(now, id, op, wait),
            None if op.generic.read.level == Some(ReadConcernLevel::Linearizable) => {
                self.confirm(now, id, op, reply);
            }
            None => self.replicate(now, id, op, reply, last),
        }
    }

    /// What a command reads.
    fn read_at(&self, op: &Op) -> ReadAt {
        let Some(member) = &self.member else { return ReadAt::Latest };
        match (&op.generic.read.level, op.generic.read.at) {
            (Some(ReadConcernLevel::Majority), _) => ReadAt::Committed,
            (Some(ReadConcernLevel::Snapshot), Some(at)) => ReadAt::At(at),
            (Some(ReadConcernLevel::Snapshot), None) => ReadAt::At(member.commit_point().ts),
            _ => ReadAt::Latest,
        }
    }

    /// How far this member has come for a read of that kind: what `afterClusterTime` waits for and `operationTime` says.
    pub(super) fn readable_to(&self, op: &Op) -> Timestamp {
        let Some(member) = &self.member else { return Timestamp::default() };
        match op.generic.read.level {
            Some(ReadConcernLevel::Majority | ReadConcernLevel::Snapshot) if op.command.reads() => {
                member.commit_point().ts
            }
            _ => member.last_applied().ts,
        }
    }

    /// What was written goes into the log.
    fn take_over(&mut self, now: Instant, entries: Vec<SharedEntry>) {
        if entries.is_empty() {
            return;
        }
        match &mut self.member {
            Some(member) => member.append(now, entries),
            None => {
                self.alone.flush(now);
                self.alone.last = self.store.last_applied();
                // Nobody else has to have it: it is committed, and older versions may go.
                self.store.commit_point(self.alone.last);
            }
        }
        self.drain_member(now);
        self.cluster_time_moved(now);
    }

    fn park(&mut self, now: Instant, id: OpId, mut op: Op, wait: Wait) {
        let (timer, tailing) = match wait.on {
            WaitFor::Data { millis, .. } => {
                let until = now + Duration::from_millis(u64::try_from(millis).unwrap_or(0));
                (Some(op.timer.unwrap_or(until)), true)
            }
            WaitFor::Transaction => (op.deadline, false),
        };
        op.timer = timer;
        op.stage = Stage::Parked { parked: wait.parked, tailing };
        self.parked.insert(id);
        self.keep(id, op);
    }

    /// Tries again what waits for the store, if that has changed. Whether anything was tried.
    pub(super) fn retry_parked(&mut self, now: Instant) -> bool {
        let generation = self.store.generation();
        if self.parked.is_empty() || generation == self.tried_at {
            return false;
        }
        self.tried_at = generation;
        let waited = self.parked.len();
        for id in self.parked.iter().copied().collect::<Vec<_>>() {
            let until = self.ops.get(&id).and_then(|op| op.timer);
            let Some(mut op) = self.take(id) else { continue };
            if let Stage::Parked { parked, tailing } = std::mem::replace(&mut op.stage, Stage::Start) {
                // A cursor that finds nothing again goes on waiting until the same moment.
                op.timer = until.filter(|_| tailing);
                self.run_store(now, id, op, Work::Again { parked, last: false });
            }
        }
        if self.parked.len() == waited {
            // Nobody got further: what changed was the trying itself.
            self.tried_at = self.store.generation();
        }
        true
    }

    /// The time of a parked operation is up.
    pub(super) fn out_of_patience(&mut self, now: Instant, id: OpId, op: Op, parked: Parked, tailing: bool) {
        if tailing {
            return self.run_store(now, id, op, Work::Again { parked, last: true });
        }
        self.fail(now, id, op, &answer::timed_out());
    }

    /// A primary that has nothing as late as a cluster time somebody wants to read after (it comes from another shard) writes
    /// an empty entry that is.
    pub(super) fn write_up_to(&mut self, now: Instant, after: Timestamp) {
        let Some(member) =
            self.member.as_mut().filter(|m| m.is_writable_primary() && m.last_applied().ts < after)
        else {
            return;
        };
        member.see_cluster_time(after);
        let optime = member.next_optime(now);
        self.write_nothing(now, optime);
    }

    /// An entry without a change.
    fn write_nothing(&mut self, now: Instant, optime: OpTime) {
        let entry = Arc::new(OplogEntry { optime, changes: vec![Change::Noop], statement: None });
        self.store.apply(&entry);
        self.take_over(now, vec![entry]);
    }

    /// A linearizable read is answered once a majority has followed what was read: an entry of its own shows that.
    fn confirm(&mut self, now: Instant, id: OpId, mut op: Op, reply: Document) {
        let Some(member) = &mut self.member else { return self.answer(now, id, op, reply) };
        if reply.contains_key("ok") {
            return self.answer(now, id, op, reply);
        }
        let optime = member.next_optime(now);
        self.write_nothing(now, optime);
        op.stage = Stage::Confirming(reply);
        self.keep(id, op);
        self.wait_for(now, id, optime, &quorate_core::WriteConcern::majority());
    }

    /// The member has moved: operations that wait for a cluster time look again.
    pub(super) fn cluster_time_moved(&mut self, now: Instant) {
        if let Some(member) = &self.member {
            let applied = member.last_applied().ts;
            self.advance_cluster_time(applied);
        }
        for id in self.awaiting_time.iter().copied().collect::<Vec<_>>() {
            let reached = self
                .ops
                .get(&id)
                .is_some_and(|op| op.generic.read.after.is_none_or(|t| self.readable_to(op) >= t));
            if reached && let Some(op) = self.take(id) {
                self.execute(now, id, op);
            }
        }
    }

    /// `maxTimeMS` is over before the cluster time was reached.
    pub(super) fn out_of_cluster_time(&mut self, now: Instant, id: OpId, op: Op) {
        let after = op.generic.read.after.unwrap_or_default();
        let current = self.member.as_ref().map(|member| member.last_applied()).unwrap_or_default();
        let text = format!(
            "Error waiting for optime {{ ts: Timestamp({}, {}), t: -1 }}, current relevant optime is \
             {{ ts: Timestamp({}, {}), t: {} }}. :: caused by :: operation exceeded time limit",
            after.time, after.increment, current.ts.time, current.ts.increment, current.term
        );
        self.fail(now, id, op, &Failure::new(50, text));
    }

    /// Crashes replication or the journal: up to where everything survives.
    pub(super) fn survivors(&mut self, now: Instant) -> OpTime {
        match &mut self.member {
            Some(member) => {
                member.handle_crash(now);
                member.last_applied()
            }
            None => {
                self.alone.flush(now);
                self.alone.durable
            }
        }
    }
}

impl super::Alone {
    fn next_optime(&mut self, now: Instant) -> OpTime {
        let seconds = u32::try_from(wall_millis(now) / 1000).unwrap_or(0);
        let ts = self.last.ts;
        self.last = if seconds > ts.time {
            OpTime::new(0, seconds, 1)
        } else {
            OpTime::new(0, ts.time, ts.increment.saturating_add(1))
        };
        self.last
    }

    /// Writes the journal if it was time to since the last write: to be called before the next one is noted, and at a crash.
    fn flush(&mut self, now: Instant) {
        if now >= self.next_flush {
            self.durable = self.last;
            self.next_flush = now + JOURNAL_EVERY;
        }
    }

    /// Writes the journal now: a write concern asked for it.
    pub(super) fn flush_now(&mut self) {
        self.durable = self.last;
    }
}

/// `atClusterTime` of a read of one moment: drivers repeat it in the session's later reads.
fn say_when(reply: &mut Document, at: Timestamp) {
    let shown = bson::Timestamp { time: at.time, increment: at.increment };
    if reply.contains_key("values") {
        reply.insert("atClusterTime", shown);
    } else if let Ok(cursor) = reply.get_document_mut("cursor") {
        cursor.insert("atClusterTime", shown);
    }
}

/// What members of a replica set add to the replies of plain writes, behind `n`.
pub(super) fn with_optime(reply: Document, election_id: Option<[u8; 12]>, optime: OpTime) -> Document {
    let mut out = Document::new();
    let ts = bson::Timestamp { time: optime.ts.time, increment: optime.ts.increment };
    for (name, value) in reply {
        let first = name == "n";
        out.insert(name, value);
        if first {
            if let Some(id) = election_id {
                out.insert("electionId", bson::oid::ObjectId::from_bytes(id));
            }
            out.insert("opTime", doc! { "ts": ts, "t": optime.term });
        }
    }
    out
}
