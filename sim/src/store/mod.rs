//! The data of one simulated server: documents and their versions, queries, updates, sessions' records, transactions.
//!
//! A [`Store`] is told commands ([`Store::run`]) where its server is primary or alone, and oplog entries ([`Store::apply`])
//! where it follows. It answers with the reply a real 6.0 server gives, error codes and messages included, and with the oplog
//! entries the command came to. It has no clock, no network and no say in what is committed: wall-clock time and optimes come
//! in with every call.
//!
//! | room | what |
//! |---|---|
//! | [`call`] | what a command brings and what comes of it |
//! | [`failure`] | errors as the server words them |
//! | `command` | one file a family of commands; their shapes, their place in a transaction |
//! | `data` | collections, documents in versions, indexes, what can be taken back |
//! | `sessions` | statements carried out, transactions' numbers |
//! | `query`, `update`, `projection`, `sort`, `expression`, `pipeline`, `transform` | the language of queries |
//! | `value` | the order of BSON values, their arithmetic, how messages show them |

pub mod call;
mod command;
mod data;
mod expression;
pub mod failure;
mod pipeline;
mod projection;
mod query;
mod sessions;
mod sort;
#[cfg(test)]
mod tests;
mod transform;
mod update;
mod value;

pub use call::{Call, Parked, Ran, ReadAt, Session, TransactionPart, Wait, WaitFor, Work};
pub use command::is_transient;
pub use failure::Failure;

use crate::oplog::{Namespace, OplogEntry, SharedEntry};
use bson::Document;
use command::{Cursor, Transaction};
use data::{Data, TxnId, View};
use quorate_core::Rng;
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;
use sessions::Sessions;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long versions stay after they are committed, in seconds, unless [`Store::keep_history`] says otherwise.
const HISTORY: u32 = 10;
/// How long the record of a session's last write stays, in seconds: `localLogicalSessionTimeoutMinutes`.
const SESSION_HISTORY: u32 = 30 * 60;
/// How often old ones are looked for, in seconds.
const SESSION_CHECK: u32 = 60;
const SESSION_LOOKS: u8 = 30;

/// The data of one simulated server.
#[derive(Debug)]
pub struct Store {
    data: Data,
    sessions: Sessions,
    transactions: BTreeMap<TxnId, Transaction>,
    cursors: BTreeMap<i64, Cursor>,
    rng: Rng,
    /// What this store's ObjectIds have in common, and how many there were.
    process: u64,
    ids: u32,
    applied: OpTime,
    committed: OpTime,
    generation: u64,
    history: u32,
    next_session_check: u32,
}

impl Store {
    /// A store without any data. The seed makes ObjectIds and cursor ids.
    pub fn new(seed: u64) -> Store {
        let mut rng = Rng::new(seed);
        Store {
            process: rng.next_u64(),
            ids: 0,
            data: Data::default(),
            sessions: Sessions::default(),
            transactions: BTreeMap::new(),
            cursors: BTreeMap::new(),
            rng,
            applied: OpTime::default(),
            committed: OpTime::default(),
            generation: 0,
            history: HISTORY,
            next_session_check: 0,
        }
    }

    /// How long versions stay readable by [`ReadAt::At`] after they are committed, in seconds of optimes. A real server keeps
    /// five minutes, this one ten seconds unless told otherwise.
    pub fn keep_history(&mut self, seconds: u32) {
        self.history = seconds;
    }

    /// Whether [`run`](Store::run) carries out the command of this name.
    pub fn knows(name: &str) -> bool {
        command::knows(name)
    }

    /// Carries out one command, applies what it writes, and gives reply and oplog entries.
    ///
    /// The caller has checked that this server may run it: that it is primary where the command writes, that its read
    /// concern can be had, that its generic arguments (`writeConcern`, `maxTimeMS` ...) are well formed.
    pub fn run(&mut self, call: Call<'_>) -> Ran {
        command::run(self, call)
    }

    /// Applies an entry that another server wrote.
    pub fn apply(&mut self, entry: &SharedEntry) {
        for change in &entry.changes {
            self.data.apply(entry.optime, change);
        }
        self.note(entry);
    }

    /// Takes back everything after `optime`. Cursors close and transactions in progress end, for what they saw is gone.
    pub fn roll_back_to(&mut self, optime: OpTime) {
        self.step_down();
        self.cursors.clear();
        self.data.roll_back_to(optime);
        self.sessions.roll_back_to(optime);
        self.applied = self.applied.min(optime);
        self.changed();
    }

    /// Everything up to `optime` is committed by a majority: older versions may go, after a while.
    pub fn commit_point(&mut self, optime: OpTime) {
        if optime <= self.committed {
            return;
        }
        self.committed = optime;
        let horizon = self.horizon();
        self.data.trim(horizon);
        self.sessions.trim(self.committed);
        if optime.ts.time >= self.next_session_check {
            self.next_session_check = optime.ts.time.saturating_add(SESSION_CHECK);
            self.sessions.expire(optime.ts.time.saturating_sub(SESSION_HISTORY), SESSION_LOOKS);
        }
    }

    /// What nobody reads behind any more.
    pub(crate) fn horizon(&self) -> Timestamp {
        let kept = Timestamp { time: self.committed.ts.time.saturating_sub(self.history), increment: 0 };
        self.transactions.values().map(|t| t.snapshot).min().unwrap_or(kept).min(kept)
    }

    /// The process is gone: cursors, transactions in progress and everything after `durable` are lost.
    pub fn crash(&mut self, durable: OpTime) {
        self.roll_back_to(durable);
        self.sessions.forget_volatile();
    }

    /// The server is no primary any more: transactions in progress end. Cursors stay.
    pub fn step_down(&mut self) {
        for txn in self.transactions.keys().copied().collect::<Vec<_>>() {
            self.abort_transaction(txn);
            self.sessions.end_transaction(txn, false);
        }
    }

    /// Ends what sessions have running: their transactions are aborted, their cursors closed.
    pub fn end_sessions(&mut self, lsids: &[[u8; 16]]) {
        for lsid in lsids {
            self.abort_transaction(*lsid);
            self.sessions.end_transaction(*lsid, false);
            self.close_session_cursors(lsid);
        }
    }

    /// Closes cursors idle for ten minutes and aborts transactions older than a minute. `now` in milliseconds of wall-clock time.
    pub fn expire(&mut self, now: i64) {
        self.cursors.retain(|_, c| c.immortal || c.last_used.saturating_add(command::CURSOR_TIMEOUT) > now);
        let over: Vec<TxnId> = self
            .transactions
            .iter()
            .filter(|(_, t)| t.started.saturating_add(command::TRANSACTION_LIFETIME) <= now)
            .map(|(txn, _)| *txn)
            .collect();
        for txn in over {
            self.abort_transaction(txn);
            self.sessions.end_transaction(txn, false);
        }
    }

    /// When [`expire`](Store::expire) next has something to do, in milliseconds of wall-clock time.
    pub fn next_expiry(&self) -> Option<i64> {
        let cursors = self.cursors.values().filter(|c| !c.immortal);
        let cursors = cursors.map(|c| c.last_used.saturating_add(command::CURSOR_TIMEOUT));
        let transactions =
            self.transactions.values().map(|t| t.started.saturating_add(command::TRANSACTION_LIFETIME));
        cursors.chain(transactions).min()
    }

    /// The last entry applied.
    pub fn last_applied(&self) -> OpTime {
        self.applied
    }

    /// Rises with every change of data and every transaction's end: what is [parked](Wait) is worth another try when it has.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many cursors are open, and how many transactions are in progress.
    pub fn open(&self) -> (usize, usize) {
        (self.cursors.len(), self.transactions.len())
    }

    /// The collections there are, in order of their names.
    pub fn namespaces(&self, read: ReadAt) -> Vec<Namespace> {
        self.data.all(self.view(read)).map(|c| c.ns.clone()).collect()
    }

    /// All documents of a collection, in natural order; none where there is no such collection.
    pub fn documents(&self, ns: &Namespace, read: ReadAt) -> Vec<Arc<Document>> {
        let view = self.view(read);
        let found = self.data.find(ns, view);
        found.map_or_else(Vec::new, |(_, c)| c.after(0, view).map(|(_, d)| d.clone()).collect())
    }

    /// Entries that make the same data and the same records of sessions in a new store: what an initial sync brings. They are
    /// in order, and the last one is at [`last_applied`](Store::last_applied).
    pub fn rebuild(&self) -> Vec<SharedEntry> {
        let mut entries = self.sessions.rebuild();
        let mut last = Vec::new();
        self.data.rebuild(&mut entries, &mut last);
        entries.sort_by_key(|e| e.optime);
        entries.push(Arc::new(OplogEntry { optime: self.applied, changes: last, statement: None }));
        entries
    }

    fn view(&self, read: ReadAt) -> View {
        match read {
            ReadAt::Latest => View::LATEST,
            ReadAt::Committed => View { at: self.committed.ts, txn: None },
            ReadAt::At(at) => View { at, txn: None },
        }
    }

    /// An entry is in the log, and its changes are in the data.
    fn note(&mut self, entry: &SharedEntry) {
        if let Some(statement) = &entry.statement {
            self.sessions.apply(entry, statement);
        }
        self.applied = entry.optime;
        self.changed();
    }

    fn changed(&mut self) {
        self.generation += 1;
    }
}
