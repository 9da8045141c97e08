//! `find`.

use super::cursor::{Cursor, Rest, Tail};
use super::namespace::{full, of_command, readable};
use super::shape::{Field, Kind, check, count, flag, object, present};
use super::{Outcome, Run};
use crate::store::call::Parked;
use crate::store::data::Collection;
use crate::store::failure::{Failure, Result};
use crate::store::projection;
use crate::store::query::{self, Filter, Ids, unsupported};
use crate::store::sort::Sort;
use bson::{Bson, Document};
use std::sync::Arc;

const FIELDS: &[Field] = &[
    ("filter", Kind::FindObject, false),
    ("projection", Kind::FindObject, false),
    ("sort", Kind::FindObject, false),
    ("hint", Kind::Hint, false),
    ("collation", Kind::FindObject, false),
    ("skip", Kind::Count, false),
    ("limit", Kind::Count, false),
    ("batchSize", Kind::Count, false),
    ("ntoreturn", Kind::Count, false),
    ("singleBatch", Kind::FindBool, false),
    ("allowDiskUse", Kind::FindBool, false),
    ("min", Kind::FindObject, false),
    ("max", Kind::FindObject, false),
    ("returnKey", Kind::FindBool, false),
    ("showRecordId", Kind::FindBool, false),
    ("tailable", Kind::FindBool, false),
    ("oplogReplay", Kind::FindBool, false),
    ("noCursorTimeout", Kind::FindBool, false),
    ("awaitData", Kind::FindBool, false),
    ("allowPartialResults", Kind::FindBool, false),
    ("mirrored", Kind::FindBool, false),
    ("requestResumeToken", Kind::FindBool, false),
    ("let", Kind::Object, false),
    ("options", Kind::FindObject, false),
    ("term", Kind::Number, false),
    ("readOnce", Kind::FindBool, false),
];

/// Only the order of bytes is simulated.
pub(super) fn refuse_collation(body: &Document) -> Result<()> {
    match object(body, "collation") {
        Some(c) if !c.is_empty() && c.get_str("locale").ok() != Some("simple") => {
            Err(unsupported("a collation"))
        }
        _ => Ok(()),
    }
}

/// Documents, and whether the plan that found them knows that there are no more.
pub(super) type Found = (Vec<Arc<Document>>, bool);

/// The fields of `find`.
pub(super) fn shape(body: &Document) -> Result<()> {
    check("FindCommandRequest", body, FIELDS, true)
}

impl Run<'_> {
    /// `find`.
    pub(super) fn find(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        self.refuse_committed()?;
        let ns = readable(of_command(self.db, body)?)?;
        let (tailable, awaits) = (flag(body, "tailable", false), flag(body, "awaitData", false));
        if awaits && !tailable {
            return Err(Failure::new(9, "Cannot set 'awaitData' without also setting 'tailable'"));
        }
        if tailable && self.txn.is_some() {
            return Err(Failure::new(72, "It is illegal to open a tailable cursor in a transaction"));
        }
        refuse_collation(body)?;
        for name in ["min", "max", "returnKey", "showRecordId"] {
            if object(body, name).is_some_and(|d| !d.is_empty())
                || flag(body, name, false) && object(body, name).is_none()
            {
                return Err(unsupported(name));
            }
        }
        let empty = Document::new();
        let filter = query::parse(object(body, "filter").unwrap_or(&empty))?;
        let sort = Sort::parse(object(body, "sort").unwrap_or(&empty))?;
        let projection = projection::find(object(body, "projection").unwrap_or(&empty))?;
        let Some((id, collection)) = self.store.data.find(&ns, self.view) else {
            return Ok(super::cursor::empty(&full(&ns)).into());
        };
        let rest = if tailable {
            if !collection.is_capped() {
                return Err(unplannable(&ns, "tailable cursor requested on non capped collection"));
            }
            if !sort.is_empty() {
                return Err(Failure::new(
                    2,
                    "cannot use tailable option with a sort other than {$natural: 1}",
                ));
            }
            if collection.after(0, self.view).next().is_none() {
                // There is no place yet to wait at: such a cursor is dead from the start.
                Rest::Documents { documents: Default::default(), ends: true }
            } else {
                Rest::Tail(Tail { collection: id, after: 0, filter, awaits })
            }
        } else {
            let (skip, limit) = (size(body, "skip"), size(body, "limit"));
            let limit = if limit == 0 { usize::MAX } else { limit };
            let (documents, ends) = matching(collection, &filter, &sort, skip, limit, self.view);
            Rest::Documents { documents: documents.into(), ends }
        };
        let cursor = Cursor::new(self, ns, rest, projection, flag(body, "noCursorTimeout", false));
        let batch = present(body, "batchSize").and_then(|_| count(body, "batchSize"));
        let single = flag(body, "singleBatch", false);
        self.first_batch(cursor, batch, single).map(Outcome::Done)
    }
}

/// The documents a query finds.
pub(super) fn matching(
    collection: &Collection,
    filter: &Filter,
    sort: &Sort,
    skip: usize,
    limit: usize,
    view: crate::store::data::View,
) -> Found {
    let found = collection.scan(filter, view).map(|(_, d)| d.clone());
    let mut documents: Vec<Arc<Document>> = if sort.is_empty() {
        found.skip(skip).take(limit).collect()
    } else {
        let mut all: Vec<_> = found.collect();
        sort.sort(&mut all);
        all.into_iter().skip(skip).take(limit).collect()
    };
    documents.shrink_to_fit();
    let one = matches!(filter.ids(), Ids::These(ids) if ids.len() == 1);
    let ends = one || (sort.is_empty() && documents.len() == limit);
    (documents, ends)
}

fn size(body: &Document, name: &str) -> usize {
    count(body, name).and_then(|n| usize::try_from(n).ok()).unwrap_or(0)
}

fn unplannable(ns: &crate::oplog::Namespace, reason: &str) -> Failure {
    Failure::new(
        2,
        format!("error processing query: ns={}Tree: $and\nSort: {{}}\nProj: {{}}\n {reason}", full(ns)),
    )
}

/// A named value for a part of a reply.
pub(super) fn cursor_reply(id: i64, ns: &str, batch_name: &str, batch: Vec<Bson>) -> Document {
    let mut cursor = Document::new();
    cursor.insert(batch_name, batch);
    cursor.insert("id", id);
    cursor.insert("ns", ns);
    let mut reply = Document::new();
    reply.insert("cursor", cursor);
    reply
}
