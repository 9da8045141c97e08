//! Indexes. Only unique ones hold entries: reads do without, but for `_id`.

use super::{Collection, Record, RecordId, TxnId};
use crate::store::failure::{Failure, Result};
use crate::store::query::{self, Filter};
use crate::store::sort::values_at;
use crate::store::value::{Key, show_document};
use bson::{Bson, Document};
use std::collections::BTreeMap;

/// One index.
#[derive(Debug)]
pub(crate) struct Index {
    /// Its description, as `listIndexes` gives it.
    pub(crate) spec: Document,
    name: String,
    fields: Vec<(String, Vec<String>)>,
    sparse: bool,
    partial: Option<Filter>,
    /// For a unique index: which records have, in any version, this key.
    entries: Option<BTreeMap<Vec<Key>, Vec<RecordId>>>,
}

impl Index {
    pub(super) fn new(spec: Document) -> Index {
        let fields = spec.get_document("key").map_or_else(
            |_| Vec::new(),
            |key| key.keys().map(|path| (path.clone(), query::split(path))).collect(),
        );
        let unique = spec.get_bool("unique").unwrap_or(false);
        Index {
            name: spec.get_str("name").unwrap_or_default().to_owned(),
            fields,
            sparse: spec.get_bool("sparse").unwrap_or(false),
            partial: spec.get_document("partialFilterExpression").ok().and_then(|f| query::parse(f).ok()),
            entries: unique.then(BTreeMap::new),
            spec,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it indexes.
    pub(crate) fn key(&self) -> Option<&Document> {
        self.spec.get_document("key").ok()
    }

    pub(super) fn is_unique(&self) -> bool {
        self.entries.is_some()
    }

    /// The keys of a document: several where it has an array.
    fn keys(&self, document: &Document) -> Result<Vec<Vec<Key>>> {
        if self.partial.as_ref().is_some_and(|f| !f.matches(document)) {
            return Ok(Vec::new());
        }
        let columns: Vec<Vec<Bson>> =
            self.fields.iter().map(|(_, parts)| values_at(document, parts)).collect();
        let there = |parts: &[String]| document.contains_key(parts.first().map_or("", String::as_str));
        if self.sparse && self.fields.iter().all(|(_, parts)| !there(parts)) {
            return Ok(Vec::new());
        }
        let arrays: Vec<&str> = columns
            .iter()
            .zip(&self.fields)
            .filter(|(values, _)| values.len() > 1)
            .map(|(_, (path, _))| path.as_str())
            .collect();
        if let [first, second, ..] = arrays.as_slice() {
            return Err(Failure::new(171, format!("cannot index parallel arrays [{second}] [{first}]")));
        }
        let count = columns.iter().map(Vec::len).max().unwrap_or(0);
        let mut keys: Vec<Vec<Key>> = (0..count)
            .map(|i| {
                columns
                    .iter()
                    .map(|values| Key(values.get(i).or(values.first()).cloned().unwrap_or(Bson::Null)))
                    .collect()
            })
            .collect();
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    pub(super) fn add(&mut self, document: &Document, record: RecordId) {
        if self.entries.is_none() {
            return;
        }
        let keys = self.keys(document).unwrap_or_default();
        let Some(entries) = &mut self.entries else { return };
        for key in keys {
            let records = entries.entry(key).or_default();
            if !records.contains(&record) {
                records.push(record);
            }
        }
    }

    /// Entries of a content that is gone, where no other content of the record has the same key.
    pub(super) fn remove(&mut self, document: &Document, id: RecordId, record: Option<&Record>) {
        if self.entries.is_none() {
            return;
        }
        let keys = self.keys(document).unwrap_or_default();
        let kept: Vec<Vec<Key>> = record
            .into_iter()
            .flat_map(|r| r.contents())
            .flat_map(|d| self.keys(d).unwrap_or_default())
            .collect();
        let Some(entries) = &mut self.entries else { return };
        for key in keys.iter().filter(|key| !kept.contains(key)) {
            if let Some(records) = entries.get_mut(key) {
                records.retain(|other| *other != id);
                if records.is_empty() {
                    entries.remove(key);
                }
            }
        }
    }

    /// Whether a document may be written at `own` (or as a new one): fails with the key another document has.
    pub(super) fn check(
        &self,
        collection: &Collection,
        document: &Document,
        own: Option<RecordId>,
        writer: Writer,
    ) -> Result<()> {
        let keys = self.keys(document)?;
        let Some(entries) = &self.entries else { return Ok(()) };
        for key in keys {
            for other in entries.get(&key).into_iter().flatten().filter(|r| Some(**r) != own) {
                let Some(record) = collection.record(*other) else { continue };
                let has = |d: &Document| self.keys(d).is_ok_and(|keys| keys.contains(&key));
                if writer.collides(record, has)? {
                    return Err(self.duplicate(collection, &key));
                }
            }
        }
        Ok(())
    }

    /// Two documents of a collection that have the same key, for an index to be made.
    pub(super) fn first_duplicate(&self, collection: &Collection) -> Result<()> {
        let mut seen: BTreeMap<Vec<Key>, ()> = BTreeMap::new();
        for document in collection.newest() {
            for key in self.keys(document)? {
                if self.is_unique() && seen.insert(key.clone(), ()).is_some() {
                    return Err(self.duplicate(collection, &key));
                }
            }
        }
        Ok(())
    }

    fn duplicate(&self, collection: &Collection, key: &[Key]) -> Failure {
        let value: Document = self
            .fields
            .iter()
            .zip(key)
            .map(|((path, _), Key(value))| (path.clone(), value.clone()))
            .collect();
        duplicate_key(collection, &self.name, self.key().cloned().unwrap_or_default(), value)
    }
}

/// The error of a key that is there already.
pub(super) fn duplicate_key(
    collection: &Collection,
    index: &str,
    pattern: Document,
    value: Document,
) -> Failure {
    Failure::new(
        11000,
        format!(
            "E11000 duplicate key error collection: {}.{} index: {index} dup key: {}",
            collection.ns.db,
            collection.ns.coll,
            show_document(&value)
        ),
    )
    .with("keyPattern", pattern)
    .with("keyValue", value)
}

/// Who writes: nobody in particular, or a transaction with the snapshot it reads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writer {
    /// The transaction.
    pub(crate) txn: Option<TxnId>,
    /// Up to when it sees others' writes.
    pub(crate) snapshot: quorate_core::raw::Timestamp,
}

impl Writer {
    /// Whether a record may be written: not if another transaction holds it, or if it changed after the snapshot.
    pub(crate) fn may_write(self, record: &Record) -> Result<()> {
        let held = record.pending().is_some_and(|(txn, _)| Some(txn) != self.txn);
        let changed = self.txn.is_some() && record.written().ts > self.snapshot;
        if held || changed { Err(Failure::write_conflict()) } else { Ok(()) }
    }

    /// Whether a record is in the way of a key it `has`: a conflict where that is not certain yet.
    pub(super) fn collides(self, record: &Record, has: impl Fn(&Document) -> bool) -> Result<bool> {
        let committed = record.newest().is_some_and(|d| has(d));
        match record.pending() {
            Some((txn, content)) if Some(txn) == self.txn => Ok(content.is_some_and(|d| has(d))),
            Some((_, content)) => {
                if committed || content.is_some_and(|d| has(d)) {
                    Err(Failure::write_conflict())
                } else {
                    Ok(false)
                }
            }
            None if committed && self.txn.is_some() && record.written().ts > self.snapshot => {
                Err(Failure::write_conflict())
            }
            None => Ok(committed),
        }
    }
}
