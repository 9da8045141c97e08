//! Transactions: begun by a command's place in them, ended by `commitTransaction` and `abortTransaction`.

use super::shape::{Kind, check};
use super::{Outcome, Run};
use crate::oplog::{Change, OplogEntry, Statement};
use crate::store::Store;
use crate::store::call::{Parked, TransactionPart};
use crate::store::data::{Touched, TxnId};
use crate::store::failure::{Failure, Result};
use crate::store::sessions::{COMMIT, Standing};
use bson::{Bson, Document};
use quorate_core::raw::Timestamp;
use std::sync::Arc;

/// How long a transaction may last, in milliseconds: `transactionLifetimeLimitSeconds`.
pub(crate) const LIFETIME: i64 = 60_000;

/// A transaction in progress.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) number: i64,
    pub(crate) snapshot: Timestamp,
    pub(crate) started: i64,
    changes: Vec<Change>,
    touched: Touched,
}

/// Whether an error in a transaction is worth another try of all of it: what gets the label `TransientTransactionError`.
/// (Errors of a server that is no primary any more get it too, but for a commit.)
pub fn is_transient(code: i32) -> bool {
    matches!(code, 24 | 112 | 239 | 246 | 251 | 267)
}

/// Databases and collections that transactions must not touch.
pub(super) fn check_namespace(db: &str, body: &Document) -> Result<()> {
    let unsupported = |message| Err(Failure::new(263, message));
    match (db, body.values().next()) {
        ("config", _) => {
            unsupported("Cannot run command against the config database in a transaction.".to_owned())
        }
        ("local", _) => {
            unsupported("Cannot run command against the 'local' database in a transaction.".to_owned())
        }
        (_, Some(Bson::String(coll))) if coll.starts_with("system.") => {
            unsupported(format!("Cannot run command against the '{db}.{coll}' collection in a transaction."))
        }
        _ => Ok(()),
    }
}

/// The fields of `commitTransaction`.
pub(super) fn commit_shape(body: &Document) -> Result<()> {
    let fields = [("recoveryToken", Kind::Object, false), ("commitTimestamp", Kind::Any, false)];
    check("commitTransaction", body, &fields, true)
}

/// The fields of `abortTransaction`.
pub(super) fn abort_shape(body: &Document) -> Result<()> {
    check("abortTransaction", body, &[("recoveryToken", Kind::Object, false)], true)
}

impl Run<'_> {
    /// The command is part of its session's transaction from here on.
    pub(super) fn enter_transaction(
        &mut self,
        lsid: TxnId,
        number: i64,
        part: TransactionPart,
    ) -> Result<()> {
        match part {
            TransactionPart::Start => {
                if self.store.sessions.start_transaction(lsid, number)? {
                    self.store.abort_transaction(lsid);
                }
                let transaction = Transaction {
                    number,
                    snapshot: self.store.applied.ts,
                    started: self.now,
                    changes: Vec::new(),
                    touched: Touched::default(),
                };
                self.store.transactions.insert(lsid, transaction);
            }
            TransactionPart::Continue => {
                let standing = self.store.sessions.continue_transaction(lsid, number)?;
                if standing == Standing::Committed {
                    return Ok(());
                }
            }
        }
        self.txn = Some(lsid);
        self.view.txn = Some(lsid);
        self.view.at = self.store.transactions.get(&lsid).map_or(self.view.at, |t| t.snapshot);
        Ok(())
    }

    /// A command other than a commit, in a transaction that is committed.
    pub(super) fn refuse_committed(&self) -> Result<()> {
        match self.session {
            Some(s) if s.transaction.is_some() && self.txn.is_none() => {
                let number = s.txn_number.unwrap_or(-1);
                Err(Failure::new(
                    256,
                    format!("Transaction with {{ txnNumber: {number} }} has been committed."),
                ))
            }
            _ => Ok(()),
        }
    }

    fn must_be_in_one(&self, name: &str) -> Result<()> {
        if self.session.is_some_and(|s| s.transaction.is_some()) {
            return Ok(());
        }
        Err(Failure::new(125, format!("{name} must be run within a transaction")))
    }

    /// `commitTransaction`.
    pub(super) fn commit_transaction(&mut self, _: Parked) -> Result<Outcome> {
        self.must_be_in_one("commitTransaction")?;
        let Some(lsid) = self.txn else {
            // Committed before: the reply got lost.
            return Ok(Document::new().into());
        };
        let Some(transaction) = self.store.transactions.remove(&lsid) else {
            return Ok(Document::new().into());
        };
        self.store.sessions.end_transaction(lsid, true);
        self.store.close_cursors_of(lsid, transaction.number);
        if !transaction.changes.is_empty() {
            let optime = (self.optimes)();
            let statement =
                Statement { lsid, txn_number: transaction.number, stmt_id: COMMIT, result: Document::new() };
            let entry =
                Arc::new(OplogEntry { optime, changes: transaction.changes, statement: Some(statement) });
            self.store.data.commit(optime, &transaction.touched);
            self.store.note(&entry);
            self.entries.push(entry);
        }
        self.store.changed();
        Ok(Document::new().into())
    }

    /// `abortTransaction`.
    pub(super) fn abort_transaction(&mut self, _: Parked) -> Result<Outcome> {
        self.must_be_in_one("abortTransaction")?;
        self.refuse_committed()?;
        if let Some(lsid) = self.txn {
            self.store.abort_transaction(lsid);
            self.store.sessions.end_transaction(lsid, false);
        }
        Ok(Document::new().into())
    }
}

impl Store {
    /// Writes in a transaction in progress.
    pub(super) fn write_pending(&mut self, txn: TxnId, changes: Vec<Change>) {
        let Some(transaction) = self.transactions.get_mut(&txn) else { return };
        for change in changes {
            self.data.apply_pending(txn, &change, &mut transaction.touched);
            transaction.changes.push(change);
        }
    }

    /// What a transaction in progress has written is gone, and it with it.
    pub(crate) fn abort_transaction(&mut self, txn: TxnId) {
        if let Some(transaction) = self.transactions.remove(&txn) {
            self.data.abort(&transaction.touched);
            self.close_cursors_of(txn, transaction.number);
            self.changed();
        }
    }
}
