//! `delete`.

use super::namespace::{of_command, writable};
use super::shape::{Field, Kind, check, object};
use super::write::Batch;
use super::{Outcome, Run};
use crate::oplog::Namespace;
use crate::store::call::Parked;
use crate::store::failure::{Failure, Result};
use crate::store::query;
use crate::store::sort::Sort;
use crate::store::value::as_i64;
use bson::{Bson, Document, doc};

const FIELDS: &[Field] = &[
    ("deletes", Kind::Objects, true),
    ("ordered", Kind::Bool, false),
    ("bypassDocumentValidation", Kind::SafeBool, false),
    ("stmtId", Kind::Number, false),
    ("stmtIds", Kind::Array, false),
    ("let", Kind::Object, false),
    ("legacyRuntimeConstants", Kind::Object, false),
    ("encryptionInformation", Kind::Object, false),
];

const STATEMENT: &[Field] = &[
    ("q", Kind::Object, true),
    ("limit", Kind::Any, true),
    ("hint", Kind::Any, false),
    ("collation", Kind::Object, false),
];

/// The fields of `delete` and of its statements.
pub(super) fn shape(body: &Document) -> Result<()> {
    check("delete", body, FIELDS, true)?;
    for statement in body.get_array("deletes").into_iter().flatten().filter_map(Bson::as_document) {
        check("delete.deletes", statement, STATEMENT, false)?;
        one_only(statement)?;
    }
    Ok(())
}

impl Run<'_> {
    /// `delete`.
    pub(super) fn delete(&mut self, parked: Parked) -> Result<Outcome> {
        let statements = parked.body.get_array("deletes").cloned().unwrap_or_default();
        let statements: Vec<&Document> = statements.iter().filter_map(Bson::as_document).collect();
        self.refuse_committed()?;
        let ns = of_command(self.db, &parked.body)?;
        writable(&ns)?;
        let batch = Batch::new("delete", &parked.body, statements.len())?;
        self.batch(parked, &batch, false, |run, _, index, stmt_id| match statements.get(index) {
            Some(statement) => run.delete_one(&ns, statement, stmt_id),
            None => Ok(Document::new()),
        })
    }

    fn delete_one(&mut self, ns: &Namespace, statement: &Document, stmt_id: i32) -> Result<Document> {
        super::find::refuse_collation(statement)?;
        let one = one_only(statement)?;
        if !one && self.retryable().is_some() {
            return Err(Failure::new(72, "Cannot use (or request) retryable writes with limit=0"));
        }
        let empty = Document::new();
        let filter = query::parse(object(statement, "q").unwrap_or(&empty))?;
        let targets = self.targets(ns, &filter, &Sort::default(), !one)?;
        for target in &targets {
            let record = self.statement(stmt_id, || doc! { "n": 1 });
            self.commit(Self::remove(ns, &target.document), record);
        }
        Ok(doc! { "n": i32::try_from(targets.len()).unwrap_or(i32::MAX) })
    }
}

/// `limit`: 1, or 0 for all. What is no number counts as 0, as the server has it.
fn one_only(statement: &Document) -> Result<bool> {
    match statement.get("limit").and_then(as_i64).unwrap_or(0) {
        0 => Ok(false),
        1 => Ok(true),
        n => Err(Failure::new(9, format!("The limit field in delete objects must be 0 or 1. Got {n}"))),
    }
}
