//! Commands: from a body to a reply. One file a family; what they share is [`Run`].

mod aggregate;
mod catalog;
mod count;
mod cursor;
mod delete;
mod dispatch;
mod find;
mod find_and_modify;
mod index_spec;
mod indexes;
mod insert;
mod listing;
mod namespace;
mod shape;
mod statement;
mod transaction;
mod update;
mod write;

pub(crate) use cursor::{Cursor, TIMEOUT as CURSOR_TIMEOUT};
pub(crate) use dispatch::{knows, run};
pub use transaction::is_transient;
pub(crate) use transaction::{LIFETIME as TRANSACTION_LIFETIME, Transaction};
pub(crate) use write::Progress;

use super::call::{Parked, Session, WaitFor};
use super::data::{TxnId, View, Writer};
use super::failure::{Failure, Result};
use super::{Store, sessions};
use crate::oplog::{Change, Namespace, OplogEntry, SharedEntry, Statement};
use bson::{Bson, Document, oid::ObjectId};
use quorate_core::concern::OpTime;
use std::sync::Arc;

/// One command on its way.
pub(crate) struct Run<'r> {
    store: &'r mut Store,
    db: &'r str,
    now: i64,
    view: View,
    session: Option<Session>,
    /// The transaction it belongs to.
    txn: Option<TxnId>,
    optimes: &'r mut dyn FnMut() -> OpTime,
    entries: Vec<SharedEntry>,
    /// A tailable cursor that finds nothing answers all the same.
    last: bool,
}

/// What a command comes to.
pub(crate) enum Outcome {
    /// A reply.
    Done(Document),
    /// It must wait.
    Wait(WaitFor, Parked),
}

impl From<Document> for Outcome {
    fn from(reply: Document) -> Outcome {
        Outcome::Done(reply)
    }
}

impl Run<'_> {
    /// Who writes.
    fn writer(&self) -> Writer {
        Writer { txn: self.txn, snapshot: self.view.at }
    }

    /// Writes: into the log and the data, or, in a transaction, aside.
    fn commit(&mut self, changes: Vec<Change>, statement: Option<Statement>) {
        match self.txn {
            Some(txn) => self.store.write_pending(txn, changes),
            None => {
                let optime = (self.optimes)();
                let entry = Arc::new(OplogEntry { optime, changes, statement });
                self.store.apply(&entry);
                self.entries.push(entry);
            }
        }
    }

    /// Makes a collection that is to be written to, if it is not there.
    fn ensure(&mut self, ns: &Namespace) -> Result<()> {
        if self.store.data.current(ns, self.txn)?.is_some() {
            return Ok(());
        }
        namespace::writable(ns)?;
        self.check_case(ns)?;
        self.commit(vec![Change::Create { ns: ns.clone(), options: Document::new() }], None);
        Ok(())
    }

    /// Two databases must not differ in case alone.
    fn check_case(&self, ns: &Namespace) -> Result<()> {
        let other = self
            .store
            .data
            .all(View::LATEST)
            .find(|c| c.ns.db != ns.db && c.ns.db.eq_ignore_ascii_case(&ns.db));
        match other {
            None => Ok(()),
            Some(c) => Err(Failure::new(
                13297,
                format!(
                    "db already exists with different case already have: [{}] trying to create [{}]",
                    c.ns.db, ns.db
                ),
            )),
        }
    }

    /// A fresh ObjectId: of this time, this store, and after all before it.
    fn new_id(&mut self) -> Bson {
        let store = &mut *self.store;
        store.ids = store.ids.wrapping_add(1);
        let seconds = u32::try_from(self.now / 1000).unwrap_or(0).to_be_bytes();
        let process = store.process.to_be_bytes();
        let counter = store.ids.to_be_bytes();
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&seconds);
        bytes[4..9].copy_from_slice(&process[3..]);
        bytes[9..].copy_from_slice(&counter[1..]);
        Bson::ObjectId(ObjectId::from_bytes(bytes))
    }

    /// The retryable write this command is: its session and number.
    fn retryable(&self) -> Option<([u8; 16], i64)> {
        match self.session {
            Some(Session { lsid, txn_number: Some(number), transaction: None }) => Some((lsid, number)),
            _ => None,
        }
    }

    /// The reply's part of a statement that was carried out before.
    fn carried_out(&self, stmt_id: i32) -> Option<Document> {
        let (lsid, number) = self.retryable()?;
        let entry = self.store.sessions.statement(&lsid, number, stmt_id)?;
        entry.statement.as_ref().map(|s| s.result.clone())
    }

    /// What an entry says of the statement it carries out.
    fn statement(&self, stmt_id: i32, result: impl FnOnce() -> Document) -> Option<Statement> {
        let (lsid, txn_number) = self.retryable()?;
        debug_assert_ne!(stmt_id, sessions::COMMIT);
        Some(Statement { lsid, txn_number, stmt_id, result: result() })
    }
}
