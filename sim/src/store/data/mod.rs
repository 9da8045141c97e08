//! The data itself: collections, their documents in versions, indexes; what was done and can be undone.
//!
//! Everything that replicates goes through [`Data::apply`], on the server that wrote it and on those that follow. What a
//! transaction in progress wrote stands beside the versions as *pending*, seen by nobody else, until it commits.

mod collection;
mod ids;
mod index;
mod record;
mod undo;

pub(crate) use collection::Collection;
pub(crate) use index::{Index, Writer};
pub(crate) use record::Record;

use super::failure::{Failure, Result};
use crate::oplog::{Change, Namespace, OplogEntry, SharedEntry};
use bson::Document;
use quorate_core::Rng;
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use undo::Undo;

/// A transaction in progress: the session it runs in.
pub(crate) type TxnId = [u8; 16];
/// A collection, for as long as a store lives: names come and go.
pub(crate) type CollectionId = u32;
/// A document's place in its collection: natural order.
pub(crate) type RecordId = u64;

/// What a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// Nothing after this.
    pub(crate) at: Timestamp,
    /// And what this transaction has written.
    pub(crate) txn: Option<TxnId>,
}

impl View {
    /// All that is applied.
    pub(crate) const LATEST: View = View { at: Timestamp { time: u32::MAX, increment: u32::MAX }, txn: None };
}

/// All collections of one server.
#[derive(Debug, Default)]
pub(crate) struct Data {
    collections: BTreeMap<CollectionId, Collection>,
    names: BTreeMap<Namespace, Vec<CollectionId>>,
    next: CollectionId,
    undo: VecDeque<(OpTime, Undo)>,
}

impl Data {
    /// The collection of this name, as a reader sees it.
    pub(crate) fn find(&self, ns: &Namespace, view: View) -> Option<(CollectionId, &Collection)> {
        let ids = self.names.get(ns)?;
        ids.iter()
            .rev()
            .filter_map(|id| Some((*id, self.collections.get(id)?)))
            .find(|(_, c)| c.visible(view))
    }

    /// The collection of this name to write to. A transaction in progress that is making it is in the way of others.
    pub(crate) fn current(
        &self,
        ns: &Namespace,
        txn: Option<TxnId>,
    ) -> Result<Option<(CollectionId, &Collection)>> {
        let last = self.names.get(ns).and_then(|ids| ids.last());
        let Some((id, collection)) = last.and_then(|id| Some((*id, self.collections.get(id)?))) else {
            return Ok(None);
        };
        match (collection.maker(), collection.dropped()) {
            (Some(maker), _) if Some(maker) != txn => Err(Failure::write_conflict()),
            (_, Some(_)) => Ok(None),
            _ => Ok(Some((id, collection))),
        }
    }

    /// A collection by its id.
    pub(crate) fn collection(&self, id: CollectionId) -> Option<&Collection> {
        self.collections.get(&id)
    }

    /// All collections a reader sees, by name.
    pub(crate) fn all(&self, view: View) -> impl Iterator<Item = &Collection> {
        self.names.keys().filter_map(move |ns| self.find(ns, view).map(|(_, c)| c))
    }

    /// The collections of one database, by name.
    pub(crate) fn database<'d>(&'d self, db: &'d str, view: View) -> impl Iterator<Item = &'d Collection> {
        let first = Namespace { db: db.to_owned(), coll: String::new() };
        self.names
            .range(first..)
            .take_while(move |(ns, _)| ns.db == db)
            .filter_map(move |(ns, _)| self.find(ns, view).map(|(_, c)| c))
    }

    /// Makes a change that is in the log at `optime`.
    pub(crate) fn apply(&mut self, optime: OpTime, change: &Change) {
        match change {
            Change::Noop => {}
            Change::Put { ns, document } => {
                let id = self.made(ns, optime);
                if let Some(record) = self.collections.get_mut(&id).and_then(|c| c.put(document, optime)) {
                    self.undo.push_back((optime, Undo::Write(id, record)));
                }
            }
            Change::Delete { ns, id: key } => {
                let found = self.current_mut(ns).and_then(|(id, c)| Some((id, c.delete(key, optime)?)));
                if let Some((id, record)) = found {
                    self.undo.push_back((optime, Undo::Write(id, record)));
                }
            }
            Change::Create { ns, options } => {
                let exists = self.current_mut(ns).is_some();
                if !exists {
                    self.create(ns, options.clone(), optime, None);
                }
            }
            Change::Drop { ns } => {
                if let Some((id, collection)) = self.current_mut(ns) {
                    collection.drop_at(optime);
                    self.undo.push_back((optime, Undo::Drop(id)));
                }
            }
            Change::CreateIndex { ns, index } => {
                let id = self.made(ns, optime);
                if let Some(name) = self.collections.get_mut(&id).and_then(|c| c.add_index(index.clone())) {
                    self.undo.push_back((optime, Undo::MakeIndex(id, name)));
                }
            }
            Change::DropIndex { ns, name } => {
                let dropped = self.current_mut(ns).and_then(|(id, c)| Some((id, c.remove_index(name)?)));
                if let Some((id, index)) = dropped {
                    self.undo.push_back((optime, Undo::DropIndex(id, Box::new(index))));
                }
            }
        }
    }

    /// Makes a change for a transaction in progress. `touched` gets what it wrote.
    pub(crate) fn apply_pending(&mut self, txn: TxnId, change: &Change, touched: &mut Touched) {
        match change {
            Change::Put { ns, document } => {
                let Some((id, collection)) = self.current_mut(ns) else { return };
                if let Some(record) = collection.put_pending(document, txn) {
                    touched.records.push((id, record));
                }
            }
            Change::Delete { ns, id: key } => {
                let Some((id, collection)) = self.current_mut(ns) else { return };
                if let Some(record) = collection.delete_pending(key, txn) {
                    touched.records.push((id, record));
                }
            }
            Change::Create { ns, options } => {
                let id = self.create(ns, options.clone(), OpTime::default(), Some(txn));
                touched.made.push(id);
            }
            Change::CreateIndex { ns, index } => {
                if let Some((_, collection)) = self.current_mut(ns) {
                    collection.add_index(index.clone());
                }
            }
            Change::Noop | Change::Drop { .. } | Change::DropIndex { .. } => {}
        }
    }

    /// What a transaction wrote is in the log at `optime` now.
    pub(crate) fn commit(&mut self, optime: OpTime, touched: &Touched) {
        for id in &touched.made {
            if let Some(collection) = self.collections.get_mut(id) {
                collection.made_at(optime);
                self.undo.push_back((optime, Undo::Create(*id)));
            }
        }
        for (id, record) in &touched.records {
            let Some(collection) = self.collections.get_mut(id) else { continue };
            if collection.commit(*record, optime) {
                self.undo.push_back((optime, Undo::Write(*id, *record)));
            }
        }
    }

    /// What a transaction wrote is gone.
    pub(crate) fn abort(&mut self, touched: &Touched) {
        for (id, record) in &touched.records {
            if let Some(collection) = self.collections.get_mut(id) {
                collection.abort(*record);
            }
        }
        for id in &touched.made {
            self.remove(*id);
        }
    }

    /// Entries that make the collections as they are, when they were made; and the changes that fill them.
    pub(crate) fn rebuild(&self, entries: &mut Vec<SharedEntry>, fill: &mut Vec<Change>) {
        for collection in self.all(View::LATEST) {
            let ns = &collection.ns;
            let create = Change::Create { ns: ns.clone(), options: collection.options.clone() };
            let entry = OplogEntry { optime: collection.created(), changes: vec![create], statement: None };
            entries.push(Arc::new(entry));
            let indexes = collection.indexes().iter();
            fill.extend(indexes.map(|i| Change::CreateIndex { ns: ns.clone(), index: i.spec.clone() }));
            let documents = collection.newest();
            fill.extend(documents.map(|d| Change::Put { ns: ns.clone(), document: d.clone() }));
        }
    }

    /// The collection to write to, made if need be.
    fn made(&mut self, ns: &Namespace, optime: OpTime) -> CollectionId {
        match self.current_mut(ns) {
            Some((id, _)) => id,
            None => self.create(ns, Document::new(), optime, None),
        }
    }

    fn create(
        &mut self,
        ns: &Namespace,
        options: Document,
        optime: OpTime,
        maker: Option<TxnId>,
    ) -> CollectionId {
        self.next += 1;
        let id = self.next;
        let uuid = uuid_of(ns, optime);
        self.collections.insert(id, Collection::new(ns.clone(), uuid, options, optime, maker));
        self.names.entry(ns.clone()).or_default().push(id);
        if maker.is_none() {
            self.undo.push_back((optime, Undo::Create(id)));
        }
        id
    }

    fn current_mut(&mut self, ns: &Namespace) -> Option<(CollectionId, &mut Collection)> {
        let id = *self.names.get(ns)?.last()?;
        let collection = self.collections.get_mut(&id).filter(|c| c.dropped().is_none())?;
        Some((id, collection))
    }

    fn remove(&mut self, id: CollectionId) {
        let Some(collection) = self.collections.remove(&id) else { return };
        if let Some(ids) = self.names.get_mut(&collection.ns) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.names.remove(&collection.ns);
            }
        }
    }

    /// Takes back everything after `optime`. No transaction may be in progress.
    pub(crate) fn roll_back_to(&mut self, optime: OpTime) {
        while self.undo.back().is_some_and(|(at, _)| *at > optime) {
            let Some((_, undo)) = self.undo.pop_back() else { return };
            self.take_back(undo, optime);
        }
    }

    /// Lets go of versions that nobody can ask for any more: all but the newest up to `horizon`.
    pub(crate) fn trim(&mut self, horizon: Timestamp) {
        while self.undo.front().is_some_and(|(at, _)| at.ts <= horizon) {
            let Some((_, undo)) = self.undo.pop_front() else { return };
            self.forget(undo, horizon);
        }
    }
}

/// What a transaction in progress has written.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub(crate) records: Vec<(CollectionId, RecordId)>,
    pub(crate) made: Vec<CollectionId>,
}

/// A collection's UUID: the same on every member, for it follows from what all have in common.
fn uuid_of(ns: &Namespace, optime: OpTime) -> [u8; 16] {
    let mut seed = u64::from(optime.ts.time) << 32 | u64::from(optime.ts.increment);
    for byte in ns.db.bytes().chain([b'.']).chain(ns.coll.bytes()) {
        seed = (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    Rng::new(seed).uuid_v4()
}
