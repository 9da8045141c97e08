//! One document found and written: what `update`, `delete` and `findAndModify` do.

use super::Run;
use super::insert::check_id;
use crate::oplog::{Change, Namespace};
use crate::store::data::{RecordId, View};
use crate::store::failure::{Failure, Result};
use crate::store::query::Filter;
use crate::store::sort::Sort;
use crate::store::update::{Circumstances, Update, upsert};
use crate::store::value::document_size;
use crate::store::value::size::MAX_DOCUMENT;
use bson::{Bson, Document};
use std::sync::Arc;

/// A document that a filter found.
pub(super) struct Target {
    pub(super) record: RecordId,
    pub(super) document: Arc<Document>,
}

impl Run<'_> {
    /// What writers read: the latest, or the transaction's snapshot.
    fn write_view(&self) -> View {
        if self.txn.is_some() { self.view } else { View::LATEST }
    }

    /// The documents to write: the first in order, or all that pass. Fails with a conflict if one of them is not free.
    pub(super) fn targets(
        &self,
        ns: &Namespace,
        filter: &Filter,
        sort: &Sort,
        all: bool,
    ) -> Result<Vec<Target>> {
        let Some((_, collection)) = self.store.data.current(ns, self.txn)? else { return Ok(Vec::new()) };
        let mut found: Vec<Target> = Vec::new();
        for (record, document) in collection.scan(filter, self.write_view()) {
            found.push(Target { record, document: document.clone() });
            if !all && sort.is_empty() {
                break;
            }
        }
        if !all && !sort.is_empty() {
            let mut documents: Vec<_> = found.iter().map(|t| t.document.clone()).collect();
            sort.sort(&mut documents);
            if let Some(first) = documents.first() {
                found.retain(|t| Arc::ptr_eq(&t.document, first));
                found.truncate(1);
            }
        }
        let writer = self.writer();
        for target in &found {
            if let Some(record) = collection.record(target.record) {
                writer.may_write(record)?;
            }
        }
        Ok(found)
    }

    /// What an update makes of a document, checked; `None` where it changes nothing.
    pub(super) fn updated(
        &self,
        ns: &Namespace,
        target: &Target,
        filter: &Filter,
        update: &Update,
    ) -> Result<Option<Arc<Document>>> {
        let (_, position) = filter.matches_where(&target.document);
        let at = Circumstances { position, insert: false, now: self.now };
        let Some(new) = update.apply(&target.document, at)? else { return Ok(None) };
        if document_size(&new) > MAX_DOCUMENT {
            return Err(Failure::new(
                17419,
                format!("Resulting document after update is larger than {MAX_DOCUMENT}"),
            ));
        }
        if let Some((_, collection)) = self.store.data.current(ns, self.txn)? {
            if self.txn.is_some() && collection.is_capped() {
                return Err(super::insert::capped_in_transaction(ns));
            }
            collection.check_unique(&new, Some(target.record), self.writer())?;
        }
        Ok(Some(Arc::new(new)))
    }

    /// The document an upsert makes, checked. Its collection is there afterwards.
    pub(super) fn upserted(
        &mut self,
        ns: &Namespace,
        filter: &Filter,
        update: &Update,
    ) -> Result<Arc<Document>> {
        let now = self.now;
        let document = upsert(filter, update, now, || self.new_id())?;
        match document.get("_id") {
            Some(Bson::Array(_)) if update.is_replacement() => {
                return Err(Failure::new(
                    54,
                    "After applying the update to the document, the (immutable) field '_id' was found to be an array or array \
                     descendant.",
                ));
            }
            id => check_id(id)?,
        }
        if document_size(&document) > MAX_DOCUMENT {
            return Err(Failure::new(17420, format!("Document to upsert is larger than {MAX_DOCUMENT}")));
        }
        self.ensure(ns)?;
        if let Some((_, collection)) = self.store.data.current(ns, self.txn)? {
            collection.check_unique(&document, None, self.writer())?;
        }
        Ok(Arc::new(document))
    }

    /// A document in place of the one with its `_id`, or a new one.
    pub(super) fn put(ns: &Namespace, document: &Arc<Document>) -> Vec<Change> {
        vec![Change::Put { ns: ns.clone(), document: document.clone() }]
    }

    /// A document gone.
    pub(super) fn remove(ns: &Namespace, document: &Document) -> Vec<Change> {
        document.get("_id").map(|id| Change::Delete { ns: ns.clone(), id: id.clone() }).into_iter().collect()
    }
}
