//! One collection: its records in natural order, the look-up by `_id`, its other indexes.

use super::ids::IdIndex;
use super::index::{Index, Writer, duplicate_key};
use super::{Record, RecordId, TxnId, View};
use crate::oplog::Namespace;
use crate::store::failure::Result;
use crate::store::query::{Filter, Ids};
use crate::store::value::{as_i64, document_size, truthy};
use bson::{Bson, Document, doc};
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One collection.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Its name.
    pub(crate) ns: Namespace,
    /// Its UUID.
    pub(crate) uuid: [u8; 16],
    /// As given to `create`.
    pub(crate) options: Document,
    created: OpTime,
    dropped: Option<OpTime>,
    /// The transaction in progress that makes it.
    maker: Option<TxnId>,
    records: BTreeMap<RecordId, Record>,
    ids: IdIndex,
    indexes: Vec<Index>,
    next: RecordId,
    live: i64,
    bytes: i64,
}

/// One document that a scan finds.
pub(crate) type Found<'c> = (RecordId, &'c Arc<Document>);

impl Collection {
    pub(super) fn new(
        ns: Namespace,
        uuid: [u8; 16],
        options: Document,
        created: OpTime,
        maker: Option<TxnId>,
    ) -> Collection {
        Collection {
            ns,
            uuid,
            options,
            created,
            dropped: None,
            maker,
            records: BTreeMap::new(),
            ids: IdIndex::default(),
            indexes: Vec::new(),
            next: 1,
            live: 0,
            bytes: 0,
        }
    }

    pub(super) fn visible(&self, view: View) -> bool {
        match self.maker {
            Some(maker) => view.txn == Some(maker),
            None => self.created.ts <= view.at && self.dropped.is_none_or(|at| at.ts > view.at),
        }
    }

    /// The transaction in progress that makes it.
    pub(crate) fn maker(&self) -> Option<TxnId> {
        self.maker
    }

    pub(super) fn dropped(&self) -> Option<OpTime> {
        self.dropped
    }

    pub(super) fn drop_at(&mut self, optime: OpTime) {
        self.dropped = Some(optime);
    }

    pub(super) fn undrop(&mut self) {
        self.dropped = None;
    }

    pub(super) fn made_at(&mut self, optime: OpTime) {
        self.maker = None;
        self.created = optime;
        self.uuid = super::uuid_of(&self.ns, optime);
    }

    /// How many documents there are, and their bytes, for those who read the latest.
    pub(crate) fn totals(&self) -> (i64, i64) {
        (self.live, self.bytes)
    }

    /// Whether it forgets its oldest documents.
    pub(crate) fn is_capped(&self) -> bool {
        self.options.get("capped").is_some_and(truthy)
    }

    /// Whether any transaction in progress has written to it.
    pub(crate) fn held(&self) -> bool {
        self.maker.is_some() || self.records.values().any(|r| r.pending().is_some())
    }

    /// A record by its id.
    pub(crate) fn record(&self, id: RecordId) -> Option<&Record> {
        self.records.get(&id)
    }

    /// All documents a reader sees, in natural order, from after a record on.
    pub(crate) fn after(&self, after: RecordId, view: View) -> impl Iterator<Item = Found<'_>> {
        self.records
            .range(after.saturating_add(1)..)
            .filter_map(move |(id, record)| Some((*id, record.visible(view)?)))
    }

    /// The newest committed documents.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Arc<Document>> {
        self.records.values().filter_map(Record::newest)
    }

    /// The documents that pass a filter: by `_id` where the filter names it, in natural order if not.
    pub(crate) fn scan<'c>(
        &'c self,
        filter: &'c Filter,
        view: View,
    ) -> Box<dyn Iterator<Item = Found<'c>> + 'c> {
        let look_up = move |id: RecordId| Some((id, self.records.get(&id)?.visible(view)?));
        let passes = move |found: &Found<'c>| filter.matches(found.1);
        match filter.ids() {
            Ids::All if filter.goes_by_id() => Box::new(self.ids.all().filter_map(look_up).filter(passes)),
            Ids::All => Box::new(self.after(0, view).filter(passes)),
            Ids::These(ids) => {
                Box::new(ids.into_iter().flat_map(|id| self.ids.of(id)).filter_map(look_up).filter(passes))
            }
            Ids::Between(low, high) => {
                Box::new(self.ids.between(low, high).filter_map(look_up).filter(passes))
            }
        }
    }

    /// Whether a document may be written, as a new one or over the record `own`: fails where another has one of its unique
    /// keys.
    pub(crate) fn check_unique(
        &self,
        document: &Document,
        own: Option<RecordId>,
        writer: Writer,
    ) -> Result<()> {
        if own.is_none()
            && let Some(id) = document.get("_id")
        {
            for record in self.ids.of(id).filter_map(|r| self.records.get(&r)) {
                if writer.collides(record, |_| true)? {
                    return Err(duplicate_key(self, "_id_", doc! { "_id": 1 }, doc! { "_id": id.clone() }));
                }
            }
        }
        self.indexes.iter().filter(|i| i.is_unique()).try_for_each(|i| i.check(self, document, own, writer))
    }

    /// The `_id`s that must go for a new document to fit in a capped collection.
    pub(crate) fn overflow(&self, document: &Document) -> Vec<Bson> {
        if !self.is_capped() {
            return Vec::new();
        }
        let limit = |name| self.options.get(name).and_then(as_i64).filter(|n| *n > 0);
        let mut count = self.live + 1;
        let mut bytes = self.bytes + size(document);
        let mut gone = Vec::new();
        for oldest in self.newest() {
            if limit("max").is_none_or(|max| count <= max) && limit("size").is_none_or(|max| bytes <= max) {
                break;
            }
            count -= 1;
            bytes -= size(oldest);
            gone.extend(oldest.get("_id").cloned());
        }
        gone
    }

    /// All indexes but the one on `_id`.
    pub(crate) fn indexes(&self) -> &[Index] {
        &self.indexes
    }

    /// Why an index cannot be made, if it cannot: two documents with one unique key, or parallel arrays.
    pub(crate) fn check_index(&self, spec: &Document) -> Result<()> {
        Index::new(spec.clone()).first_duplicate(self)
    }

    pub(super) fn add_index(&mut self, spec: Document) -> Option<String> {
        let mut index = Index::new(spec);
        if self.indexes.iter().any(|i| i.name() == index.name()) {
            return None;
        }
        for (id, record) in &self.records {
            record.contents().for_each(|d| index.add(d, *id));
        }
        let name = index.name().to_owned();
        self.indexes.push(index);
        Some(name)
    }

    pub(super) fn remove_index(&mut self, name: &str) -> Option<Index> {
        let at = self.indexes.iter().position(|i| i.name() == name)?;
        Some(self.indexes.remove(at))
    }

    /// Writes a document that is in the log. Gives the record, or nothing for a document without `_id`.
    pub(super) fn put(&mut self, document: &Arc<Document>, optime: OpTime) -> Option<RecordId> {
        let id = self.place(document.get("_id")?);
        self.write(id, optime, Some(document.clone()));
        Some(id)
    }

    pub(super) fn delete(&mut self, key: &Bson, optime: OpTime) -> Option<RecordId> {
        let id = self.living(key)?;
        self.write(id, optime, None);
        Some(id)
    }

    pub(super) fn put_pending(&mut self, document: &Arc<Document>, txn: TxnId) -> Option<RecordId> {
        let id = self.place(document.get("_id")?);
        self.pend(id, txn, Some(document.clone()))
    }

    pub(super) fn delete_pending(&mut self, key: &Bson, txn: TxnId) -> Option<RecordId> {
        let id = self.living(key)?;
        self.pend(id, txn, None)
    }

    /// What was pending is in the log now. `false` if nothing was: the transaction wrote it twice.
    pub(super) fn commit(&mut self, id: RecordId, optime: OpTime) -> bool {
        let Some(content) = self.records.get_mut(&id).and_then(Record::take_pending) else { return false };
        self.write(id, optime, content);
        true
    }

    pub(super) fn abort(&mut self, id: RecordId) {
        let gone = self.records.get_mut(&id).and_then(Record::take_pending).flatten();
        self.unindex(id, gone.into_iter().collect());
    }

    /// Takes back what was written after `optime`.
    pub(super) fn roll_back(&mut self, id: RecordId, optime: OpTime) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let before = record.newest().cloned();
        let gone = record.pop_after(optime);
        let after = record.newest().cloned();
        self.count(before.as_deref(), -1);
        self.count(after.as_deref(), 1);
        self.unindex(id, gone);
    }

    pub(super) fn trim(&mut self, id: RecordId, horizon: Timestamp) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let gone = record.trim(horizon);
        if !gone.is_empty() || record.is_over() {
            self.unindex(id, gone);
        }
    }

    /// The record to write a document of this `_id` to: the living one, or a new one.
    fn place(&mut self, key: &Bson) -> RecordId {
        if let Some(id) = self.living(key) {
            return id;
        }
        let id = self.next;
        self.next += 1;
        self.records.insert(id, Record::default());
        self.ids.insert(key, id);
        id
    }

    /// The record of this `_id` that is there, or that a transaction is at.
    fn living(&self, key: &Bson) -> Option<RecordId> {
        self.ids.of(key).rev().find(|id| {
            self.records.get(id).is_some_and(|r| match r.pending() {
                Some((_, content)) => content.is_some(),
                None => r.newest().is_some(),
            })
        })
    }

    fn write(&mut self, id: RecordId, optime: OpTime, content: Option<Arc<Document>>) {
        let Some(record) = self.records.get_mut(&id) else { return };
        let before = record.newest().cloned();
        record.push(optime, content.clone());
        self.count(before.as_deref(), -1);
        self.count(content.as_deref(), 1);
        if let Some(document) = content {
            self.indexes.iter_mut().for_each(|i| i.add(&document, id));
        }
    }

    fn pend(&mut self, id: RecordId, txn: TxnId, content: Option<Arc<Document>>) -> Option<RecordId> {
        let record = self.records.get_mut(&id)?;
        record.set_pending(txn, content.clone());
        if let Some(document) = content {
            self.indexes.iter_mut().for_each(|i| i.add(&document, id));
        }
        Some(id)
    }

    fn count(&mut self, document: Option<&Document>, sign: i64) {
        if let Some(document) = document {
            self.live += sign;
            if self.is_capped() {
                self.bytes += sign * size(document);
            }
        }
    }

    /// Contents are gone from a record; if that was all, it goes too.
    fn unindex(&mut self, id: RecordId, gone: Vec<Arc<Document>>) {
        for document in &gone {
            let record = self.records.get(&id);
            self.indexes.iter_mut().for_each(|i| i.remove(document, id, record));
        }
        let over = self.records.get(&id).is_some_and(Record::is_over);
        if !over {
            return;
        }
        self.records.remove(&id);
        match gone.first().and_then(|d| d.get("_id")) {
            Some(key) => self.ids.remove(key, id),
            // A tombstone without its document: trimmed before. Rare enough to look for.
            None => self.ids.forget(id),
        }
    }

    /// When it was made.
    pub(super) fn created(&self) -> OpTime {
        self.created
    }
}

fn size(document: &Document) -> i64 {
    i64::try_from(document_size(document)).unwrap_or(i64::MAX)
}
