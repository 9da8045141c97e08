//! `insert`.

use super::namespace::{of_command, writable};
use super::shape::{Field, Kind, check};
use super::write::Batch;
use super::{Outcome, Run};
use crate::oplog::{Change, Namespace};
use crate::store::call::Parked;
use crate::store::failure::{Failure, Result};
use crate::store::value::size::{MAX_DEPTH, MAX_DOCUMENT};
use crate::store::value::{depth_within, document_size, type_name};
use bson::{Bson, Document, doc};
use std::sync::Arc;

const FIELDS: &[Field] = &[
    ("documents", Kind::Objects, true),
    ("ordered", Kind::Bool, false),
    ("bypassDocumentValidation", Kind::SafeBool, false),
    ("stmtId", Kind::Number, false),
    ("stmtIds", Kind::Array, false),
    ("encryptionInformation", Kind::Object, false),
];

/// The deepest nesting of a document that is stored.
const STORED_DEPTH: usize = MAX_DEPTH - 19;

/// The fields of `insert`.
pub(super) fn shape(body: &Document) -> Result<()> {
    check("insert", body, FIELDS, true)
}

impl Run<'_> {
    /// `insert`.
    pub(super) fn insert(&mut self, parked: Parked) -> Result<Outcome> {
        self.refuse_committed()?;
        let ns = of_command(self.db, &parked.body)?;
        writable(&ns)?;
        let size = parked.body.get_array("documents").map_or(0, Vec::len);
        let batch = Batch::new("insert", &parked.body, size)?;
        self.batch(parked, &batch, false, |run, body, index, stmt_id| {
            let slot = body.get_array_mut("documents").ok().and_then(|d| d.get_mut(index));
            let Some(Bson::Document(slot)) = slot else { return Ok(Document::new()) };
            run.insert_one(&ns, slot, stmt_id)
        })
    }

    /// One statement. The document leaves its slot once nothing can be in its way any more.
    fn insert_one(&mut self, ns: &Namespace, slot: &mut Document, stmt_id: i32) -> Result<Document> {
        self.complete(slot)?;
        self.ensure(ns)?;
        let writer = self.writer();
        let Some((_, collection)) = self.store.data.current(ns, self.txn)? else {
            return Ok(Document::new());
        };
        if self.txn.is_some() && collection.is_capped() {
            return Err(capped_in_transaction(ns));
        }
        collection.check_unique(slot, None, writer)?;
        let overflow = collection.overflow(slot);
        // Entries are kept, so without room to grow.
        let mut changes: Vec<Change> = Vec::with_capacity(overflow.len() + 1);
        changes.extend(overflow.into_iter().map(|id| Change::Delete { ns: ns.clone(), id }));
        changes.push(Change::Put { ns: ns.clone(), document: Arc::new(std::mem::take(slot)) });
        let result = || doc! { "n": 1 };
        let statement = self.statement(stmt_id, result);
        self.commit(changes, statement);
        Ok(result())
    }

    /// Makes a document one that can be stored: its `_id` is there, in front, and of a type an `_id` may have.
    fn complete(&mut self, document: &mut Document) -> Result<()> {
        if !depth_within(document, STORED_DEPTH) {
            return Err(Failure::new(
                15,
                format!("cannot insert document because it exceeds {} levels of nesting", MAX_DEPTH - 20),
            ));
        }
        if document.keys().next().is_none_or(|k| k != "_id") {
            let id = document.remove("_id").unwrap_or_else(|| self.new_id());
            let mut with = Document::new();
            with.insert("_id", id);
            with.extend(std::mem::take(document));
            *document = with;
        }
        check_id(document.get("_id"))?;
        let size = document_size(document);
        if size > MAX_DOCUMENT {
            return Err(Failure::new(
                2,
                format!("object to insert too large. size in bytes: {size}, max size: {MAX_DOCUMENT}"),
            ));
        }
        Ok(())
    }
}

/// Writes in transactions do not go to capped collections.
pub(super) fn capped_in_transaction(ns: &Namespace) -> Failure {
    Failure::new(
        263,
        format!(
            "Collection '{}.{}' is a capped collection. Writes in transactions are not allowed on capped collections.",
            ns.db, ns.coll
        ),
    )
}

/// Whether a value may be an `_id`.
pub(super) fn check_id(id: Option<&Bson>) -> Result<()> {
    match id {
        Some(value @ (Bson::Array(_) | Bson::RegularExpression(_) | Bson::Undefined)) => {
            Err(Failure::new(53, format!("The '_id' value cannot be of type {}", type_name(value))))
        }
        Some(Bson::Document(d)) => match d.keys().find(|k| k.starts_with('$')) {
            Some(name) => Err(Failure::new(
                52,
                format!("_id fields may not contain '$'-prefixed fields: {name} is not valid for storage."),
            )),
            None => Ok(()),
        },
        _ => Ok(()),
    }
}
