//! `update`.

use super::namespace::{of_command, writable};
use super::shape::{Field, Kind, check, flag, object, present};
use super::write::Batch;
use super::{Outcome, Run};
use crate::oplog::Namespace;
use crate::store::call::Parked;
use crate::store::failure::{Failure, Result};
use crate::store::query;
use crate::store::sort::Sort;
use crate::store::update::{self, Update, refuse_array_filters};
use bson::{Bson, Document, doc};

const FIELDS: &[Field] = &[
    ("updates", Kind::Objects, true),
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
    ("u", Kind::Any, true),
    ("c", Kind::Object, false),
    ("arrayFilters", Kind::Objects, false),
    ("hint", Kind::Any, false),
    ("multi", Kind::Bool, false),
    ("upsert", Kind::Bool, false),
    ("upsertSupplied", Kind::Bool, false),
    ("collation", Kind::Object, false),
];

/// The fields of `update` and of its statements.
pub(super) fn shape(body: &Document) -> Result<()> {
    check("update", body, FIELDS, true)?;
    for statement in body.get_array("updates").into_iter().flatten().filter_map(Bson::as_document) {
        check("update.updates", statement, STATEMENT, false)?;
        update::check(statement.get("u").unwrap_or(&Bson::Null))?;
    }
    Ok(())
}

impl Run<'_> {
    /// `update`.
    pub(super) fn update(&mut self, parked: Parked) -> Result<Outcome> {
        let statements = parked.body.get_array("updates").cloned().unwrap_or_default();
        let statements: Vec<&Document> = statements.iter().filter_map(Bson::as_document).collect();
        self.refuse_committed()?;
        let ns = of_command(self.db, &parked.body)?;
        writable(&ns)?;
        let batch = Batch::new("update", &parked.body, statements.len())?;
        self.batch(parked, &batch, true, |run, _, index, stmt_id| match statements.get(index) {
            Some(statement) => run.update_one(&ns, statement, stmt_id),
            None => Ok(Document::new()),
        })
    }

    fn update_one(&mut self, ns: &Namespace, statement: &Document, stmt_id: i32) -> Result<Document> {
        super::find::refuse_collation(statement)?;
        if present(statement, "arrayFilters").is_some() {
            return Err(refuse_array_filters());
        }
        let multi = flag(statement, "multi", false);
        if multi && self.retryable().is_some() {
            return Err(Failure::new(72, "Cannot use (or request) retryable writes with multi=true"));
        }
        let update = update::parse(statement.get("u").unwrap_or(&Bson::Null), self.now)?;
        if multi && update.is_replacement() {
            return Err(Failure::new(9, "multi update is not supported for replacement-style update"));
        }
        let empty = Document::new();
        let filter = query::parse(object(statement, "q").unwrap_or(&empty))?;
        let targets = self.targets(ns, &filter, &Sort::default(), multi)?;
        if targets.is_empty() && flag(statement, "upsert", false) {
            return self.upsert_one(ns, &filter, &update, stmt_id);
        }
        let (mut n, mut modified) = (0, 0);
        for target in &targets {
            if let Some(new) = self.updated(ns, target, &filter, &update)? {
                let record = self.statement(stmt_id, || doc! { "n": 1, "nModified": 1 });
                self.commit(Self::put(ns, &new), record);
                modified += 1;
            }
            n += 1;
        }
        Ok(doc! { "n": n, "nModified": modified })
    }

    fn upsert_one(
        &mut self,
        ns: &Namespace,
        filter: &query::Filter,
        update: &Update,
        stmt_id: i32,
    ) -> Result<Document> {
        let document = self.upserted(ns, filter, update)?;
        let result = || {
            let mut result = doc! { "n": 1, "nModified": 0 };
            result.insert("upserted", document.get("_id").cloned().unwrap_or(Bson::Null));
            result
        };
        let record = self.statement(stmt_id, result);
        self.commit(Self::put(ns, &document), record);
        Ok(result())
    }
}
