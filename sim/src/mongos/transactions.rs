//! What a mongos remembers of transactions, and how another one finishes them.
//!
//! Source: the transactions specification, "Sharded Transactions" and "Recovering a transaction's outcome" (`recoveryToken`).

use super::{Job, Mongos};
use crate::store::{Failure, Session, TransactionPart};
use bson::{Document, doc};
use std::collections::BTreeSet;

/// A session's transaction as far as this mongos knows it.
#[derive(Debug)]
pub(super) struct RoutedTransaction {
    number: i64,
    /// The shards it has touched.
    shards: BTreeSet<usize>,
    /// The shard that can say how it ended: the first that was written to.
    recovery: Option<usize>,
}

fn none(text: String) -> Failure {
    Failure::new(251, text).label("TransientTransactionError")
}

impl Mongos {
    /// A statement is about to go to `shard`: adds `startTransaction` where it is that shard's first, and refuses one of a
    /// transaction that did not begin here.
    pub(super) fn join(&mut self, job: &mut Job, shard: usize) -> Result<(), Failure> {
        let Some(Session { lsid, txn_number: Some(number), transaction: Some(part) }) = job.generic.session
        else {
            return Ok(());
        };
        if part == TransactionPart::Start {
            let fresh = RoutedTransaction { number, shards: BTreeSet::new(), recovery: None };
            self.transactions.insert(lsid, fresh);
        }
        let known = self.transactions.get_mut(&lsid).filter(|known| known.number == number);
        let Some(known) = known else {
            let text = format!("cannot continue txnId {number} for session {}", uuid(&lsid));
            return Err(none(text));
        };
        if known.shards.insert(shard) {
            job.body.insert("startTransaction", true);
            if let Some(concern) = self.read_concern_of(job) {
                job.body.insert("readConcern", concern);
            }
        } else {
            job.body.remove("startTransaction");
        }
        if job.command.is_retryable() {
            let known = self.transactions.get_mut(&lsid);
            known.into_iter().for_each(|known| known.recovery = known.recovery.or(Some(shard)));
        }
        Ok(())
    }

    /// The read concern of the statement itself; later shards of a transaction get the default.
    fn read_concern_of(&self, job: &Job) -> Option<Document> {
        job.body.get_document("readConcern").ok().cloned()
    }

    /// Where a commit or an abort has to go: to the shards of the transaction, or to the one its recovery token names.
    pub(super) fn ends_at(&mut self, job: &Job) -> Result<Vec<usize>, Failure> {
        let name = job.command.name;
        let Some(Session { lsid, txn_number: Some(number), transaction: Some(_) }) = job.generic.session
        else {
            return Err(Failure::new(125, format!("{name} must be run within a transaction")));
        };
        if let Some(known) = self.transactions.get(&lsid).filter(|known| known.number == number) {
            return Ok(known.shards.iter().copied().collect());
        }
        let token =
            job.body.get_document("recoveryToken").ok().and_then(|t| t.get_str("recoveryShardId").ok());
        match token.and_then(|name| self.shards.iter().position(|shard| shard.name == name)) {
            Some(shard) => Ok(vec![shard]),
            None if name == "commitTransaction" => Err(none(format!(
                "cannot commit txnId {number} for session {} without a participant",
                uuid(&lsid)
            ))),
            None => Err(none(format!("no known command has been sent by this router for txnId {number}"))),
        }
    }

    /// The token that goes with the reply to a statement of a transaction.
    pub(super) fn recovery_token(&self, job: &Job) -> Option<Document> {
        let session = job.generic.session.filter(|session| session.transaction.is_some())?;
        if job.command.ends_transactions() {
            return None;
        }
        let known = self.transactions.get(&session.lsid)?;
        Some(match known.recovery.and_then(|shard| self.shards.get(shard)) {
            Some(shard) => doc! { "recoveryShardId": &shard.name },
            None => doc! {},
        })
    }
}

/// A session's id as errors show it.
fn uuid(bytes: &[u8; 16]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let part = |range| hex.get(range).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32))
}
