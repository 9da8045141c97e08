//! Transactions: by hand and by the convenient way.

use super::super::history::{Effect, Known, Seen, Snapshot, Txn, Write, txn_token};
use super::super::plan::{Act, Ending, FIXED, LISTS, Level, OpPlan, Step, TxnLevel, TxnPlan};
use super::super::rule::Rule;
use super::super::watch::{CallKind, Place};
use super::Worker;
use super::writes::tokens;
use crate::runtime::SimRuntime;
use bson::{Document, doc};
use quorate::action::StartTransaction;
use quorate::error::{Error, Result, labels};
use quorate::options::ReturnDocument;
use quorate::{ClientSession, Collection};
use quorate_core::{Duration, Instant, ReadConcern, WriteConcern};
use std::collections::BTreeMap;

type Session = ClientSession<SimRuntime>;

/// One attempt at a transaction, as far as it has got.
pub(super) struct Attempt {
    number: u32,
    began: Instant,
    pushes: Vec<(i32, i64)>,
    /// What was seen of lists without what it has written itself.
    reads: BTreeMap<i32, Vec<i64>>,
    txn: Option<i64>,
}

/// What became of the steps.
enum Worked {
    Done,
    Failed(Error),
    Dropped,
}

impl Worker {
    pub(super) async fn transaction(&mut self, op: &OpPlan, plan: &TxnPlan) {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => match self.client.start_session().await {
                Ok(session) => session,
                Err(error) => return self.wrong(op, &format!("no session: {error}")),
            },
        };
        let keeps = if plan.ending == Ending::Convenient {
            self.convenient(op, plan, &mut session).await
        } else {
            self.by_hand(op, plan, &mut session).await
        };
        if keeps {
            self.session = Some(session);
        }
    }

    /// Whether the session is used again.
    async fn by_hand(&self, op: &OpPlan, plan: &TxnPlan, session: &mut Session) -> bool {
        let mut attempt = self.attempt(0);
        if let Err(error) = begun(session, plan).await {
            self.wrong(op, &format!("no transaction: {error}"));
            return false;
        }
        let worked = self.steps(op, plan, session, &mut attempt).await;
        let (known, keeps) = match (worked, plan.ending) {
            (Worked::Dropped, _) | (_, Ending::Leave) => (Known::Never, false),
            (Worked::Done, Ending::Commit { calls, confirm }) => {
                self.commit(op, plan, session, calls, confirm).await
            }
            _ => (Known::Never, self.abort(op, plan, session).await),
        };
        self.conclude(op, attempt, known);
        keeps
    }

    async fn abort(&self, op: &OpPlan, plan: &TxnPlan, session: &mut Session) -> bool {
        let abort = session.abort_transaction().into_future();
        let drop_us = dropped_at(plan, plan.steps.len());
        let (_, result) = self.call_for(op, CallKind::Abort, Place::Writable, drop_us, abort).await;
        result.is_some()
    }

    /// Commits, until that is known to have come to something. Gives what is known of it, and whether the session is used again.
    async fn commit(
        &self,
        op: &OpPlan,
        plan: &TxnPlan,
        session: &mut Session,
        calls: u32,
        confirm: bool,
    ) -> (Known, bool) {
        // Of the commands that say so.
        let mut all = 0;
        let mut known = Known::Never;
        for number in 0..calls {
            let drop_us = dropped_at(plan, plan.steps.len()).filter(|_| number == 0);
            let commit = session.commit_transaction().into_future();
            let (call, result) = self.call_for(op, CallKind::Commit, Place::Writable, drop_us, commit).await;
            let sent = self.recorder.update(|record, _| record.calls[call].attempts.len());
            all += sent;
            let sent = sent > 0;
            match result {
                None => return (if sent { known.max(Known::Maybe) } else { known }, false),
                Some(Ok(())) => {
                    known = done(plan);
                    if !confirm || number > 0 {
                        break;
                    }
                }
                Some(Err(error)) => {
                    known = self.judge_commit(op, known, (all, sent), &error);
                    if !error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT) {
                        break;
                    }
                }
            }
        }
        (known, true)
    }

    fn judge_commit(&self, op: &OpPlan, known: Known, (all, sent): (usize, bool), error: &Error) -> Known {
        let writes = matches!(&op.act, Act::Transaction(plan) if plan.steps.iter().any(|step| matches!(step, Step::Push(..))));
        let says_no = error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR);
        if known == Known::Durable {
            // A new primary does not know of one that has written nothing.
            if says_no && writes {
                self.wrong(op, &format!("a commit that had succeeded did not, asked again: {error}"));
            }
            return known;
        }
        match says_no {
            // It was carried out, and is lost by now: a majority was not asked for.
            true if known == Known::Applied => Known::Maybe,
            // An earlier one may have been carried out, and be lost with its primary.
            true if all > 1 => Known::Lost,
            true => Known::Never,
            false if sent => known.max(Known::Maybe),
            false => known,
        }
    }

    /// By `and_run`: whether the session is used again.
    async fn convenient(&self, op: &OpPlan, plan: &TxnPlan, session: &mut Session) -> bool {
        let mut attempts: Vec<Attempt> = Vec::new();
        let whole = with_options(session.start_transaction(), plan).and_run(
            (self, op, plan, &mut attempts),
            |session, (worker, op, plan, attempts)| {
                attempts.push(worker.attempt(attempts.len() as u32));
                Box::pin(async move {
                    let Some(attempt) = attempts.last_mut() else { return Ok(()) };
                    match worker.steps(op, plan, session, attempt).await {
                        Worked::Failed(error) => Err(error),
                        Worked::Done | Worked::Dropped => Ok(()),
                    }
                })
            },
        );
        let drop_us = plan.drop.map(|(_, after)| after);
        let (call, result) = self.call_for(op, CallKind::Whole, Place::Writable, drop_us, whole).await;
        let last = attempts.len();
        for (number, attempt) in (1..).zip(attempts) {
            let sent = self.recorder.update(|record, _| {
                let ends = record.calls[call].attempts.iter();
                ends.filter(|end| end.command == "commitTransaction" && end.txn == attempt.txn).count()
            });
            // All of it is done again where nothing came of it only.
            let known = match &result {
                _ if number < last && sent > 1 => Known::Lost,
                _ if number < last => Known::Never,
                Some(Ok(())) => done(plan),
                _ if sent > 0 => Known::Maybe,
                _ => Known::Never,
            };
            self.conclude(op, attempt, known);
        }
        result.is_some()
    }

    fn attempt(&self, number: u32) -> Attempt {
        let began = self.recorder.now();
        Attempt { number, began, pushes: Vec::new(), reads: BTreeMap::new(), txn: None }
    }

    async fn steps(
        &self,
        op: &OpPlan,
        plan: &TxnPlan,
        session: &mut Session,
        attempt: &mut Attempt,
    ) -> Worked {
        for (at, step) in plan.steps.iter().enumerate() {
            let drop_us = dropped_at(plan, at).filter(|_| plan.ending != Ending::Convenient);
            let result = match *step {
                Step::Push(key, and_see) => self.push_in(op, session, attempt, key, and_see, drop_us).await,
                Step::Read(key) => self.read_in(op, session, attempt, key, drop_us).await,
                Step::Scan(batch) => self.scan_in(op, session, batch, drop_us).await,
                Step::Pause(us) => {
                    self.runtime.sleep(Duration::from_micros(us)).await;
                    Some(Ok(()))
                }
            };
            match result {
                Some(Ok(())) => {}
                Some(Err(error)) => return Worked::Failed(error),
                None => return Worked::Dropped,
            }
        }
        Worked::Done
    }

    /// The list of that number: those from [`LISTS`] on are for transactions alone.
    fn list_of(&self, key: i32) -> Collection<Document, SimRuntime> {
        self.collection(if key < LISTS { "lists" } else { "pairs" })
    }

    async fn push_in(
        &self,
        op: &OpPlan,
        session: &mut Session,
        attempt: &mut Attempt,
        key: i32,
        and_see: bool,
        drop_us: Option<u64>,
    ) -> Option<Result<()>> {
        let token = txn_token(op.id, attempt.number, attempt.pushes.len());
        attempt.pushes.push((key, token));
        let (lists, change) = (self.list_of(key), doc! { "$push": { "t": token } });
        let (filter, kind) = (doc! { "_id": key }, CallKind::Statement);
        let (call, result, seen) = if and_see {
            let update = lists.find_one_and_update(filter, change).return_document(ReturnDocument::After);
            let update = update.session(session).into_future();
            let (call, result) = self.call_for(op, kind, Place::Writable, drop_us, update).await;
            let seen = result.as_ref().and_then(|found| found.as_ref().ok()).cloned();
            (call, result.map(|found| found.map(drop)), seen)
        } else {
            let update = lists.update_one(filter, change).session(session).into_future();
            let (call, result) = self.call_for(op, kind, Place::Writable, drop_us, update).await;
            if let Some(Ok(result)) = &result
                && (result.matched_count, result.modified_count) != (1, 1)
            {
                self.wrong(op, &format!("a list that is there was not found: {result:?}"));
            }
            (call, result.map(|result| result.map(drop)), None)
        };
        self.sent_as(call, attempt);
        if let Some(list) = seen {
            self.see(op, attempt, key, list.as_ref().and_then(tokens));
        }
        result
    }

    async fn read_in(
        &self,
        op: &OpPlan,
        session: &mut Session,
        attempt: &mut Attempt,
        key: i32,
        drop_us: Option<u64>,
    ) -> Option<Result<()>> {
        let list = self.list_of(key);
        let find = list.find_one(doc! { "_id": key }).session(session).into_future();
        let (call, result) = self.call_for(op, CallKind::Statement, Place::Writable, drop_us, find).await;
        self.sent_as(call, attempt);
        if let Some(Ok(found)) = &result {
            self.see(op, attempt, key, found.as_ref().and_then(tokens));
        }
        result.map(|found| found.map(drop))
    }

    async fn scan_in(
        &self,
        op: &OpPlan,
        session: &mut Session,
        batch: u32,
        drop_us: Option<u64>,
    ) -> Option<Result<()>> {
        let fixed = self.collection("fixed");
        let find = fixed.find(doc! {}).sort(doc! { "_id": 1 }).batch_size(batch);
        let find = find.session(&mut *session).into_future();
        let (_, result) = self.call_for(op, CallKind::Statement, Place::Writable, drop_us, find).await;
        let mut cursor = match result? {
            Ok(cursor) => cursor,
            Err(error) => return Some(Err(error)),
        };
        for next in 0.. {
            let advance = cursor.advance(session);
            let (_, result) = self.call(op, CallKind::Statement, Place::Cursor, advance).await;
            match result? {
                Err(error) => return Some(Err(error)),
                Ok(false) if next == FIXED => break,
                Ok(false) => self.wrong(op, &format!("{next} documents read, and there are {FIXED}")),
                Ok(true) => {
                    let id = cursor.current().get("_id").ok().flatten().and_then(|id| id.as_i32());
                    if id == Some(next) {
                        continue;
                    }
                    self.wrong(op, &format!("document {id:?} read where {next} is due"));
                }
            }
            break;
        }
        Some(Ok(()))
    }

    /// Notes the number that a statement went out under.
    fn sent_as(&self, call: usize, attempt: &mut Attempt) {
        let sent =
            self.recorder.update(|record, _| record.calls[call].attempts.last().and_then(|sent| sent.txn));
        attempt.txn = attempt.txn.or(sent);
    }

    /// A transaction sees what it has written itself, behind what was there when it began.
    fn see(&self, op: &OpPlan, attempt: &mut Attempt, key: i32, list: Option<Vec<i64>>) {
        let Some(mut list) = list else { return self.wrong(op, "no list") };
        let own: Vec<i64> =
            attempt.pushes.iter().filter(|(of, _)| *of == key).map(|(_, token)| *token).collect();
        if !list.ends_with(&own) {
            let text = format!("{op}: its own writes {own:?} are not seen in {list:?}");
            return self.recorder.violated(Rule::Atomic, text);
        }
        list.truncate(list.len() - own.len());
        if let Some(before) = attempt.reads.get(&key)
            && *before != list
        {
            let text = format!("{op}: list {key} changed during the transaction: {before:?}, {list:?}");
            return self.recorder.violated(Rule::Atomic, text);
        }
        attempt.reads.insert(key, list);
    }

    fn conclude(&self, op: &OpPlan, attempt: Attempt, known: Known) {
        let Attempt { began, pushes, reads, .. } = attempt;
        self.recorder.update(|record, ended| {
            let history = &mut record.history;
            for (key, token) in &pushes {
                history.writes.push(Write { effect: Effect::Push(*key, *token), known, began, ended });
            }
            history.transactions.push(Txn { op: op.id, pushes });
            // What a transaction has read is as lasting as it is itself.
            let level = if known == Known::Durable { Level::Majority } else { Level::Local };
            for (key, tokens) in &reads {
                let (key, tokens) = (*key, tokens.clone());
                history.seen.push(Seen { op: op.id, key, tokens, level, began });
            }
            history.snapshots.push(Snapshot { op: op.id, lists: reads });
        });
    }
}

/// What a successful commit says. Behind a failure it has waited for a majority in any case, which is no promise.
fn done(plan: &TxnPlan) -> Known {
    if plan.one { Known::Applied } else { Known::Durable }
}

fn dropped_at(plan: &TxnPlan, step: usize) -> Option<u64> {
    plan.drop.filter(|(at, _)| *at == step).map(|(_, after)| after)
}

async fn begun(session: &mut Session, plan: &TxnPlan) -> Result<()> {
    with_options(session.start_transaction(), plan).await
}

fn with_options<'s>(
    start: StartTransaction<'s, SimRuntime>,
    plan: &TxnPlan,
) -> StartTransaction<'s, SimRuntime> {
    let start = start.write_concern(if plan.one { WriteConcern::nodes(1) } else { WriteConcern::majority() });
    match plan.level {
        TxnLevel::Unset => start,
        TxnLevel::Majority => start.read_concern(ReadConcern::majority()),
        TxnLevel::Snapshot => start.read_concern(ReadConcern::snapshot()),
    }
}
