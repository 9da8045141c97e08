//! The data of one simulated server: documents and their versions, queries, updates, sessions' records, transactions.
//!
//! A [`Store`] is told commands ([`Store::run`]) where its server is primary or alone, and oplog entries ([`Store::apply`])
//! where it follows. It answers with the reply a real 6.0 server gives, error codes and messages included, and with the oplog
//! entries the command came to. It has no clock, no network and no say in what is committed: wall-clock time and optimes come
//! in with every call.
//!
//! | file | what |
//! |---|---|
//! | [`call`] | what a command brings and what comes of it |
//! | [`failure`] | errors as the server words them |

pub mod call;
mod codes;
mod data;
mod expression;
pub mod failure;
mod pipeline;
mod projection;
mod query;
mod sessions;
mod sort;
mod transform;
mod update;
mod value;

pub use call::{Call, Parked, Ran, ReadAt, Session, TransactionPart, Wait, WaitFor, Work};
pub use failure::Failure;

use crate::oplog::{Namespace, OplogEntry};
use bson::Document;
use quorate_core::concern::OpTime;
use std::sync::Arc;

/// The data of one simulated server.
#[derive(Debug)]
pub struct Store {
    applied: OpTime,
    generation: u64,
}

impl Store {
    /// A store without any data. The seed makes ObjectIds, UUIDs and cursor ids.
    pub fn new(_seed: u64) -> Store {
        Store { applied: OpTime::default(), generation: 0 }
    }

    /// Whether [`run`](Store::run) carries out the command of this name.
    pub fn knows(_name: &str) -> bool {
        false
    }

    /// Carries out one command, applies what it writes, and gives reply and oplog entries.
    pub fn run(&mut self, call: Call<'_>) -> Ran {
        let name = call.work.name().to_owned();
        Ran::failed(&Failure::new(59, format!("no such command: '{name}'")))
    }

    /// Applies an entry that another server wrote.
    pub fn apply(&mut self, entry: &OplogEntry) {
        self.applied = entry.optime;
        self.generation += 1;
    }

    /// Takes back everything after `optime`.
    pub fn roll_back_to(&mut self, optime: OpTime) {
        self.applied = self.applied.min(optime);
    }

    /// Everything up to `optime` is committed by a majority: older versions may go.
    pub fn commit_point(&mut self, _optime: OpTime) {}

    /// The process is gone: cursors, transactions in progress and everything after `durable` are lost.
    pub fn crash(&mut self, durable: OpTime) {
        self.roll_back_to(durable);
    }

    /// The server is no primary any more: transactions in progress end. Cursors stay.
    pub fn step_down(&mut self) {}

    /// Ends what sessions have running: their transactions are aborted, their cursors closed.
    pub fn end_sessions(&mut self, _lsids: &[[u8; 16]]) {}

    /// Closes cursors idle for ten minutes and aborts transactions older than a minute. `now` in milliseconds of wall-clock time.
    pub fn expire(&mut self, _now: i64) {}

    /// When [`expire`](Store::expire) next has something to do, in milliseconds of wall-clock time.
    pub fn next_expiry(&self) -> Option<i64> {
        None
    }

    /// The last entry applied.
    pub fn last_applied(&self) -> OpTime {
        self.applied
    }

    /// Rises with every change of data and every transaction's end: what is [parked](Wait) is worth another try when it has.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The collections there are, in order of their names.
    pub fn namespaces(&self, _read: ReadAt) -> Vec<Namespace> {
        Vec::new()
    }

    /// All documents of a collection, in natural order; none where there is no such collection.
    pub fn documents(&self, _ns: &Namespace, _read: ReadAt) -> Vec<Arc<Document>> {
        Vec::new()
    }

    /// A copy of all data and records of sessions, without cursors and transactions in progress: what an initial sync makes.
    pub fn initial_sync(&self, seed: u64) -> Store {
        Store { applied: self.applied, ..Store::new(seed) }
    }
}
