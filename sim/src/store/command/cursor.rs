//! Cursors: what is left of a result, given out in batches. `getMore`, `killCursors`.

use super::find::cursor_reply;
use super::namespace::full;
use super::shape::{Field, Kind, check, count, present};
use super::{Outcome, Run};
use crate::oplog::Namespace;
use crate::store::Store;
use crate::store::call::{Parked, WaitFor};
use crate::store::data::{CollectionId, RecordId, TxnId, View};
use crate::store::failure::{Failure, Result};
use crate::store::projection::Projection;
use crate::store::query::Filter;
use crate::store::sessions::described;
use crate::store::value::document_size;
use crate::store::value::size::MAX_DOCUMENT;
use bson::{Bson, Document, doc};
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a cursor may be left alone, in milliseconds: `cursorTimeoutMillis`.
pub(crate) const TIMEOUT: i64 = 600_000;
/// The first batch, where nothing else is asked for.
const FIRST_BATCH: i64 = 101;
/// How long a tailable cursor waits for data, in milliseconds, where nothing else is asked for.
const AWAIT: i64 = 1000;

/// An open cursor.
#[derive(Debug)]
pub(crate) struct Cursor {
    ns: Namespace,
    rest: Rest,
    projection: Option<Projection>,
    lsid: Option<[u8; 16]>,
    txn_number: Option<i64>,
    /// What its session's transaction, or the read concern it was opened with, lets it see.
    view: View,
    pub(crate) last_used: i64,
    pub(crate) immortal: bool,
}

/// What a cursor has still to give.
#[derive(Debug)]
pub(super) enum Rest {
    /// These, and whether the last one is known to be the last.
    Documents { documents: VecDeque<Arc<Document>>, ends: bool },
    /// Whatever comes at the end of a capped collection.
    Tail(Tail),
}

/// A place in a capped collection.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) collection: CollectionId,
    pub(super) after: RecordId,
    pub(super) filter: Filter,
    pub(super) awaits: bool,
}

const GET_MORE: &[Field] = &[
    ("getMore", Kind::Long, true),
    ("collection", Kind::Text, true),
    ("batchSize", Kind::Count, false),
    ("term", Kind::Number, false),
    ("lastKnownCommittedOpTime", Kind::Object, false),
];

const KILL: &[Field] = &[("cursors", Kind::Longs, true)];

/// The reply where there is no collection.
pub(super) fn empty(ns: &str) -> Document {
    doc! { "cursor": { "id": 0_i64, "ns": ns, "firstBatch": [] } }
}

impl Cursor {
    /// A cursor of this command.
    pub(super) fn new(
        run: &Run<'_>,
        ns: Namespace,
        rest: Rest,
        projection: Option<Projection>,
        immortal: bool,
    ) -> Cursor {
        Cursor {
            ns,
            rest,
            projection,
            lsid: run.session.map(|s| s.lsid),
            txn_number: run.txn.and(run.session.and_then(|s| s.txn_number)),
            view: run.view,
            last_used: run.now,
            immortal,
        }
    }

    /// The next documents, at most `limit`, at most as many as fit into a reply; and whether that was all.
    fn take(&mut self, store: &Store, limit: usize) -> Result<(Vec<Bson>, bool)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < limit {
            let Some(document) = self.peek(store)? else {
                return Ok((batch, !matches!(self.rest, Rest::Tail(_))));
            };
            let shown = match &self.projection {
                Some(projection) => projection.apply(&document)?,
                None => (*document).clone(),
            };
            bytes += document_size(&shown);
            if bytes > MAX_DOCUMENT && !batch.is_empty() {
                return Ok((batch, false));
            }
            batch.push(Bson::Document(shown));
            self.advance(store);
        }
        let over = matches!(&self.rest, Rest::Documents { documents, ends: true } if documents.is_empty());
        Ok((batch, over))
    }

    fn peek(&self, store: &Store) -> Result<Option<Arc<Document>>> {
        match &self.rest {
            Rest::Documents { documents, .. } => Ok(documents.front().cloned()),
            Rest::Tail(tail) => Ok(tail.next(store, self.view)?.map(|(_, d)| d)),
        }
    }

    fn advance(&mut self, store: &Store) {
        let view = self.view;
        match &mut self.rest {
            Rest::Documents { documents, .. } => {
                documents.pop_front();
            }
            Rest::Tail(tail) => {
                if let Ok(Some((id, _))) = tail.next(store, view) {
                    tail.after = id;
                }
            }
        }
    }
}

impl Tail {
    fn next(&self, store: &Store, view: View) -> Result<Option<(RecordId, Arc<Document>)>> {
        let lost = || {
            Failure::new(
                136,
                format!(
                    "CollectionScan died due to position in capped collection \
                     being deleted. Last seen record id: RecordId({})",
                    self.after
                ),
            )
        };
        let Some(collection) = store.data.collection(self.collection) else {
            return Err(Failure::new(175, "collection dropped between getMore calls"));
        };
        let here = collection.record(self.after).is_some_and(|r| r.visible(view).is_some());
        if self.after != 0 && !here {
            return Err(lost());
        }
        let mut later = collection.after(self.after, view);
        Ok(later.find(|(_, d)| self.filter.matches(d)).map(|(id, d)| (id, d.clone())))
    }
}

/// The fields of `getMore`.
pub(super) fn get_more_shape(body: &Document) -> Result<()> {
    match body.get("getMore") {
        Some(Bson::Int64(_)) | None => check("getMore", body, GET_MORE, true),
        Some(other) => Err(super::shape::wrong_type("getMore", "getMore", other, "type 'long'")),
    }
}

/// The fields of `killCursors`.
pub(super) fn kill_shape(body: &Document) -> Result<()> {
    check("killCursors", body, KILL, true)
}

impl Run<'_> {
    /// The reply of the command that opens a cursor; what is left stays.
    pub(super) fn first_batch(
        &mut self,
        mut cursor: Cursor,
        size: Option<i64>,
        single: bool,
    ) -> Result<Document> {
        let limit = usize::try_from(size.unwrap_or(FIRST_BATCH)).unwrap_or(0);
        let (batch, over) = cursor.take(self.store, limit)?;
        let ns = full(&cursor.ns);
        let id = if over || single { 0 } else { self.store.keep_cursor(cursor) };
        Ok(cursor_reply(id, &ns, "firstBatch", batch))
    }

    /// `getMore`.
    pub(super) fn get_more(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        self.refuse_committed()?;
        let (id, collection) =
            (body.get_i64("getMore").unwrap_or(0), body.get_str("collection").unwrap_or(""));
        if collection.is_empty() {
            return Err(Failure::new(73, "Collection names cannot be empty"));
        }
        let ns = Namespace { db: self.db.to_owned(), coll: collection.to_owned() };
        let Some(mut cursor) = self.store.cursors.remove(&id) else {
            return Err(Failure::new(43, format!("cursor id {id} not found")));
        };
        if let Err(e) = self.check_cursor(id, &cursor, &ns, body) {
            self.store.cursors.insert(id, cursor);
            return Err(e);
        }
        // An error from here on closes the cursor.
        let limit = match count(body, "batchSize") {
            None | Some(0) => usize::MAX,
            Some(n) => usize::try_from(n).unwrap_or(usize::MAX),
        };
        let (batch, over) = cursor.take(self.store, limit)?;
        cursor.last_used = self.now;
        let awaits = matches!(&cursor.rest, Rest::Tail(tail) if tail.awaits);
        if !over {
            self.store.cursors.insert(id, cursor);
        }
        if batch.is_empty() && awaits && !self.last {
            let millis = count(body, "maxTimeMS").unwrap_or(AWAIT);
            return Ok(Outcome::Wait(WaitFor::Data { ns, millis }, parked));
        }
        Ok(cursor_reply(if over { 0 } else { id }, &full(&ns), "nextBatch", batch).into())
    }

    /// Whether this command may have the cursor's next batch.
    fn check_cursor(&self, id: i64, cursor: &Cursor, ns: &Namespace, body: &Document) -> Result<()> {
        if cursor.ns != *ns {
            return Err(Failure::new(
                13,
                format!(
                    "Requested getMore on namespace '{}', but cursor belongs to a different namespace {}",
                    full(ns),
                    full(&cursor.ns)
                ),
            ));
        }
        check_session(id, cursor, self.session.map(|s| s.lsid))?;
        let number = self.txn.and(self.session.and_then(|s| s.txn_number));
        match (cursor.txn_number, number) {
            (Some(opened), None) => Err(Failure::new(
                50740,
                format!(
                    "Cannot run getMore on cursor {id}, which was created in transaction {opened}, without a txnNumber"
                ),
            )),
            (Some(opened), Some(now)) if opened != now => Err(Failure::new(
                50741,
                format!(
                    "Cannot run getMore on cursor {id}, which was created in transaction {opened}, in transaction {now}"
                ),
            )),
            (None, Some(now)) => Err(Failure::new(
                50739,
                format!(
                    "Cannot run getMore on cursor {id}, which was not created in a transaction, in transaction {now}"
                ),
            )),
            _ => {
                let awaits = matches!(&cursor.rest, Rest::Tail(tail) if tail.awaits);
                if present(body, "maxTimeMS").is_some() && !awaits {
                    return Err(Failure::new(
                        2,
                        "cannot set maxTimeMS on getMore command for a non-awaitData cursor",
                    ));
                }
                Ok(())
            }
        }
    }

    /// `killCursors`.
    pub(super) fn kill_cursors(&mut self, parked: Parked) -> Result<Outcome> {
        self.refuse_committed()?;
        super::namespace::of_command(self.db, &parked.body)?;
        let (mut killed, mut missing) = (Vec::new(), Vec::new());
        for id in parked.body.get_array("cursors").into_iter().flatten() {
            match id {
                Bson::Int64(n) if self.store.cursors.remove(n).is_some() => killed.push(id.clone()),
                _ => missing.push(id.clone()),
            }
        }
        Ok(doc! {
            "cursorsKilled": killed,
            "cursorsNotFound": missing,
            "cursorsAlive": [],
            "cursorsUnknown": [],
        }
        .into())
    }
}

fn check_session(id: i64, cursor: &Cursor, lsid: Option<[u8; 16]>) -> Result<()> {
    match (cursor.lsid, lsid) {
        (Some(opened), None) => Err(Failure::new(
            50737,
            format!(
                "Cannot run getMore on cursor {id}, which was created in session {}, without an lsid",
                described(&opened)
            ),
        )),
        (Some(opened), Some(now)) if opened != now => Err(Failure::new(
            50738,
            format!(
                "Cannot run getMore on cursor {id}, which was created in session {}, in session {}",
                described(&opened),
                described(&now)
            ),
        )),
        (None, Some(now)) => Err(Failure::new(
            50736,
            format!(
                "Cannot run getMore on cursor {id}, which was not created in a session, in session {}",
                described(&now)
            ),
        )),
        _ => Ok(()),
    }
}

impl Store {
    /// Keeps a cursor under a fresh id.
    pub(super) fn keep_cursor(&mut self, cursor: Cursor) -> i64 {
        loop {
            let id = (self.rng.next_u64() >> 1) as i64;
            if id != 0 && !self.cursors.contains_key(&id) {
                self.cursors.insert(id, cursor);
                return id;
            }
        }
    }

    /// Closes the cursors of a transaction.
    pub(crate) fn close_cursors_of(&mut self, lsid: TxnId, number: i64) {
        self.cursors.retain(|_, c| c.lsid != Some(lsid) || c.txn_number != Some(number));
    }

    /// Closes the cursors of a session.
    pub(crate) fn close_session_cursors(&mut self, lsid: &[u8; 16]) {
        self.cursors.retain(|_, c| c.lsid.as_ref() != Some(lsid));
    }
}
