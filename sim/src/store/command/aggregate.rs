//! `aggregate`.

use super::cursor::{Cursor, Rest};
use super::namespace::{namespace, writable};
use super::shape::{Field, Kind, check, count, flag, object, present};
use super::{Outcome, Run};
use crate::oplog::{Change, Namespace};
use crate::store::call::Parked;
use crate::store::failure::{Failure, Result};
use crate::store::pipeline::{self, Target, WhenMatched, WhenNotMatched};
use crate::store::query::unsupported;
use crate::store::value::identical_documents;
use bson::{Bson, Document, doc};
use std::sync::Arc;

const FIELDS: &[Field] = &[
    ("pipeline", Kind::Any, true),
    ("cursor", Kind::Any, false),
    ("explain", Kind::Bool, false),
    ("allowDiskUse", Kind::Bool, false),
    ("bypassDocumentValidation", Kind::SafeBool, false),
    ("collation", Kind::Object, false),
    ("hint", Kind::Hint, false),
    ("let", Kind::Object, false),
    ("needsMerge", Kind::Bool, false),
    ("fromMongos", Kind::Bool, false),
    ("use44SortKeys", Kind::Bool, false),
    ("isMapReduceCommand", Kind::Bool, false),
    ("requestReshardingResumeToken", Kind::Bool, false),
    ("exchange", Kind::Object, false),
    ("runtimeConstants", Kind::Object, false),
    ("encryptionInformation", Kind::Object, false),
    ("collectionUUID", Kind::Any, false),
];

impl Run<'_> {
    /// `aggregate`.
    pub(super) fn aggregate(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        let stages = body.get_array("pipeline").map_or(&[] as &[Bson], Vec::as_slice);
        self.refuse_committed()?;
        let ns = self.aggregated(body)?;
        super::find::refuse_collation(body)?;
        let pipeline = pipeline::parse(stages, self.db, self.now)?;
        if ns.coll == "$cmd.aggregate" {
            return if stages.is_empty() {
                Err(Failure::new(73, "{aggregate: 1} is not valid for an empty pipeline."))
            } else {
                Err(Failure::new(73, "{aggregate: 1} is not valid for '$match'; a collection is required."))
            };
        }
        if pipeline.target.is_some() && self.txn.is_some() {
            return Err(Failure::new(263, "$out cannot be used in a transaction"));
        }
        let (documents, ends) = match self.store.data.find(&ns, self.view) {
            Some((_, collection)) => pipeline.run(collection, self.view)?,
            None => (Vec::new(), true),
        };
        if let Some(target) = &pipeline.target {
            self.write_result(target, documents).map_err(executing)?;
            let rest = Rest::Documents { documents: Default::default(), ends: true };
            let cursor = Cursor::new(self, ns, rest, None, false);
            return self.first_batch(cursor, None, true).map(Outcome::Done);
        }
        let batch = object(body, "cursor").and_then(|c| count(c, "batchSize"));
        // The executor of pipelines knows its end only once it has been asked for more.
        let rest = Rest::Documents { documents: documents.into(), ends };
        let cursor = Cursor::new(self, ns, rest, None, false);
        self.first_batch(cursor, batch, false).map(Outcome::Done)
    }

    fn aggregated(&self, body: &Document) -> Result<Namespace> {
        match body.values().next() {
            Some(Bson::String(coll)) => namespace(self.db, coll),
            Some(Bson::Int32(1) | Bson::Int64(1)) => {
                Ok(Namespace { db: self.db.to_owned(), coll: "$cmd.aggregate".to_owned() })
            }
            Some(Bson::Double(x)) if *x == 1.0 => {
                Ok(Namespace { db: self.db.to_owned(), coll: "$cmd.aggregate".to_owned() })
            }
            _ => Err(Failure::new(
                9,
                "Invalid command format: the 'aggregate' field must specify a collection name or 1",
            )),
        }
    }

    fn write_result(&mut self, target: &Target, documents: Vec<Arc<Document>>) -> Result<()> {
        match target {
            Target::Out(ns) => {
                writable(ns)
                    .map_err(|e| Failure::new(20, format!("error with target namespace: {}", e.message)))?;
                if self.store.data.current(ns, None)?.is_some() {
                    self.commit(vec![Change::Drop { ns: ns.clone() }], None);
                }
                self.ensure(ns)?;
                for document in documents {
                    let document = self.with_id(document);
                    self.merge_new(ns, document)?;
                }
                Ok(())
            }
            Target::Merge(ns, matched, missing) => {
                writable(ns)?;
                for document in documents {
                    let document = self.with_id(document);
                    self.merge_one(ns, document, *matched, *missing)?;
                }
                Ok(())
            }
        }
    }

    fn with_id(&mut self, document: Arc<Document>) -> Arc<Document> {
        if document.contains_key("_id") {
            return document;
        }
        let mut with = doc! { "_id": self.new_id() };
        with.extend((*document).clone());
        Arc::new(with)
    }

    fn merge_new(&mut self, ns: &Namespace, document: Arc<Document>) -> Result<()> {
        if let Some((_, collection)) = self.store.data.current(ns, None)? {
            collection.check_unique(&document, None, self.writer())?;
        }
        self.commit(Self::put(ns, &document), None);
        Ok(())
    }

    fn merge_one(
        &mut self,
        ns: &Namespace,
        document: Arc<Document>,
        matched: WhenMatched,
        missing: WhenNotMatched,
    ) -> Result<()> {
        let filter = crate::store::query::parse(&doc! { "_id": { "$eq": document.get("_id").cloned() } })?;
        let targets = self.targets(ns, &filter, &Default::default(), false)?;
        let Some(target) = targets.first() else {
            return match missing {
                WhenNotMatched::Insert => {
                    self.ensure(ns)?;
                    self.merge_new(ns, document)
                }
                WhenNotMatched::Discard => Ok(()),
                WhenNotMatched::Fail => Err(Failure::new(
                    13113,
                    "$merge could not find a matching document in the target collection for at least one document in the \
                     source collection",
                )),
            };
        };
        let new = match matched {
            WhenMatched::KeepExisting => return Ok(()),
            WhenMatched::Fail => {
                let found = "$merge with whenMatched: fail found an existing document with the same values for the 'on' fields";
                return self.merge_new(ns, document).map_err(|e| {
                    let message = format!("{found} :: caused by :: {}", e.message);
                    Failure { message, ..e }
                });
            }
            WhenMatched::Replace => document,
            WhenMatched::Merge => {
                let mut merged = (*target.document).clone();
                merged.extend((*document).clone());
                Arc::new(merged)
            }
        };
        if !identical_documents(&new, &target.document) {
            self.commit(Self::put(ns, &new), None);
        }
        Ok(())
    }
}

/// Errors of the execution say so.
fn executing(e: Failure) -> Failure {
    Failure { message: format!("PlanExecutor error during aggregation :: caused by :: {}", e.message), ..e }
}

/// The fields of `aggregate`.
pub(super) fn shape(body: &Document) -> Result<()> {
    match body.get("pipeline") {
        Some(Bson::Array(items)) if items.iter().any(|item| !matches!(item, Bson::Document(_))) => {
            return Err(Failure::new(14, "Each element of the 'pipeline' array must be an object"));
        }
        Some(Bson::Array(_)) => {}
        Some(_) => return Err(Failure::new(14, "'pipeline' option must be specified as an array")),
        None => {}
    }
    if present(body, "explain").is_some_and(|v| !matches!(v, Bson::Boolean(_))) {
        return Err(Failure::new(14, "explain must be a boolean"));
    }
    check("aggregate", body, FIELDS, true)?;
    if flag(body, "explain", false) {
        return Err(unsupported("explain"));
    }
    match present(body, "cursor") {
        None => Err(Failure::new(
            9,
            "The 'cursor' option is required, except for aggregate with the explain argument",
        )),
        Some(Bson::Document(cursor)) => check("cursor", cursor, &[("batchSize", Kind::Count, false)], false),
        Some(_) => Err(Failure::new(14, "cursor field must be missing or an object")),
    }
}
