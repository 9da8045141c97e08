//! What `insert`, `update` and `delete` share: statements one after the other, errors among them, and the reply.

use super::shape::{count, flag, present};
use super::{Outcome, Run};
use crate::store::call::{Parked, WaitFor};
use crate::store::failure::{Failure, Result};
use crate::store::value::{as_i64, show};
use bson::{Bson, Document, doc};

/// The most statements one command may have.
const MAX_STATEMENTS: usize = 100_000;

/// How far a batch has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    next: usize,
    n: i64,
    modified: i64,
    upserted: Vec<Bson>,
    errors: Vec<Bson>,
    retried: Vec<Bson>,
}

/// A batch of writes.
pub(super) struct Batch {
    /// How many statements there are.
    pub(super) size: usize,
    ordered: bool,
    stmt_ids: StatementIds,
}

enum StatementIds {
    From(i32),
    These(Vec<i32>),
}

impl Batch {
    /// Reads what all three commands have.
    pub(super) fn new(name: &str, body: &Document, size: usize) -> Result<Batch> {
        if size == 0 || size > MAX_STATEMENTS {
            return Err(Failure::new(
                16,
                format!("Write batch sizes must be between 1 and {MAX_STATEMENTS}. Got {size} operations."),
            ));
        }
        let small = |n: i64| i32::try_from(n).unwrap_or(i32::MAX);
        let stmt_ids = match present(body, "stmtIds") {
            Some(Bson::Array(ids)) => {
                if ids.len() != size {
                    return Err(Failure::new(
                        16,
                        format!(
                            "Number of statement ids must match the number of batch entries. Got {} statement ids but {size} \
                             operations. Statement ids: {{ stmtIds: {} }}. Write command: {name}",
                            ids.len(),
                            show(&Bson::Array(ids.clone()))
                        ),
                    ));
                }
                StatementIds::These(ids.iter().map(|id| small(as_i64(id).unwrap_or(0))).collect())
            }
            _ => StatementIds::From(small(count(body, "stmtId").unwrap_or(0))),
        };
        Ok(Batch { size, ordered: flag(body, "ordered", true), stmt_ids })
    }

    /// The id of a statement.
    pub(super) fn stmt_id(&self, index: usize) -> i32 {
        match &self.stmt_ids {
            StatementIds::From(first) => first.saturating_add(i32::try_from(index).unwrap_or(i32::MAX)),
            StatementIds::These(ids) => ids.get(index).copied().unwrap_or(0),
        }
    }
}

impl Progress {
    /// A statement's result: `n`, `nModified`, `upserted`.
    fn add(&mut self, index: usize, result: Document) {
        self.n += result.get("n").and_then(as_i64).unwrap_or(0);
        self.modified += result.get("nModified").and_then(as_i64).unwrap_or(0);
        if let Some(id) = result.get("upserted") {
            self.upserted.push(Bson::Document(doc! { "index": small(index), "_id": id.clone() }));
        }
    }

    fn reply(self, updates: bool) -> Document {
        let mut reply = doc! { "n": self.n as i32 };
        let mut list = |name: &str, items: Vec<Bson>| {
            if !items.is_empty() {
                reply.insert(name, items);
            }
        };
        list("writeErrors", self.errors);
        list("retriedStmtIds", self.retried);
        list("upserted", self.upserted);
        if updates {
            reply.insert("nModified", self.modified as i32);
        }
        reply
    }
}

fn small(index: usize) -> i32 {
    i32::try_from(index).unwrap_or(i32::MAX)
}

impl Run<'_> {
    /// Carries out the statements of a batch. `each` does one, and gives its result for the record.
    pub(super) fn batch(
        &mut self,
        mut parked: Parked,
        batch: &Batch,
        updates: bool,
        mut each: impl FnMut(&mut Self, &mut Document, usize, i32) -> Result<Document>,
    ) -> Result<Outcome> {
        let mut progress = parked.progress.take().unwrap_or_default();
        while progress.next < batch.size {
            let (index, stmt_id) = (progress.next, batch.stmt_id(progress.next));
            if let Some(result) = self.carried_out(stmt_id) {
                progress.add(index, result);
                progress.retried.push(Bson::Int32(stmt_id));
                progress.next += 1;
                continue;
            }
            match each(self, &mut parked.body, index, stmt_id) {
                Ok(result) => progress.add(index, result),
                Err(e) if e.code == 112 && self.txn.is_none() => {
                    parked.progress = Some(progress);
                    return Ok(Outcome::Wait(WaitFor::Transaction, parked));
                }
                Err(e) if e.code == 112 => return Err(e),
                Err(e) => {
                    progress.errors.push(Bson::Document(e.write_error(small(index))));
                    if batch.ordered || self.txn.is_some() {
                        break;
                    }
                }
            }
            progress.next += 1;
        }
        Ok(progress.reply(updates).into())
    }
}
