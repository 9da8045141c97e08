//! `count` and `distinct`.

use super::find::refuse_collation;
use super::namespace::{of_command, readable};
use super::shape::{Field, Kind, check, count, object, present};
use super::{Outcome, Run};
use crate::oplog::Namespace;
use crate::store::call::Parked;
use crate::store::expression::path_parts;
use crate::store::failure::{Failure, Result};
use crate::store::query::{self, Leaf, visit};
use crate::store::value::{Key, Number, show_field, type_name, whole};
use bson::{Bson, Document, doc};
use std::collections::BTreeSet;

const COUNT: &[Field] = &[
    ("query", Kind::Object, false),
    ("limit", Kind::Any, false),
    ("skip", Kind::Count, false),
    ("hint", Kind::Any, false),
    ("collation", Kind::Object, false),
    ("fields", Kind::Any, false),
    ("queryOptions", Kind::Object, false),
    ("encryptionInformation", Kind::Object, false),
    ("collectionUUID", Kind::Any, false),
];

const DISTINCT: &[Field] = &[
    ("key", Kind::Text, true),
    ("query", Kind::Object, false),
    ("collation", Kind::Object, false),
    ("hint", Kind::Any, false),
    ("collectionUUID", Kind::Any, false),
];

/// The fields of `count`.
pub(super) fn count_shape(body: &Document) -> Result<()> {
    check("count", body, COUNT, true)
}

/// The fields of `distinct`.
pub(super) fn distinct_shape(body: &Document) -> Result<()> {
    check("distinct", body, DISTINCT, true)
}

impl Run<'_> {
    /// `count`.
    pub(super) fn count(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        let ns = self.counted(body)?;
        refuse_collation(body)?;
        match present(body, "limit") {
            Some(limit) if Number::of(limit).is_none() => {
                return Err(Failure::new(2, "limit value is not a valid number"));
            }
            Some(limit) if whole(limit).is_none() => {
                return Err(Failure::new(9, format!("Expected an integer: {}", show_field("limit", limit))));
            }
            _ => {}
        }
        // A negative limit is as good as its opposite; none and zero are no limit.
        let size = |n: i64| usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
        let skip = count(body, "skip").map_or(0, size);
        let limit = count(body, "limit").filter(|n| *n != 0).map_or(usize::MAX, size);
        let empty = Document::new();
        let filter = query::parse(object(body, "query").unwrap_or(&empty))?;
        let n = match self.store.data.find(&ns, self.view) {
            None => 0,
            Some((_, collection)) => collection.scan(&filter, self.view).skip(skip).take(limit).count(),
        };
        Ok(doc! { "n": i32::try_from(n).unwrap_or(i32::MAX) }.into())
    }

    /// `distinct`.
    pub(super) fn distinct(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        self.refuse_committed()?;
        let ns = self.counted(body)?;
        refuse_collation(body)?;
        let key = body.get_str("key").unwrap_or_default();
        if key.contains('\0') {
            return Err(Failure::new(31032, "Key field cannot contain an embedded null byte"));
        }
        let empty = Document::new();
        let filter = query::parse(object(body, "query").unwrap_or(&empty))?;
        let parts = path_parts(key)?;
        // In order of their values, as the server gives them.
        let mut seen = BTreeSet::new();
        let mut note = |value: &Bson| {
            seen.insert(Key(value.clone()));
        };
        if let Some((_, collection)) = self.store.data.find(&ns, self.view) {
            for (_, document) in collection.scan(&filter, self.view) {
                visit(document, &parts, Leaf::Whole, &mut |value, _| {
                    match value {
                        Some(Bson::Array(items)) => items.iter().for_each(&mut note),
                        Some(value) => note(value),
                        None => {}
                    }
                    false
                });
            }
        }
        let values: Vec<Bson> = seen.into_iter().map(|Key(value)| value).collect();
        Ok(doc! { "values": values }.into())
    }

    fn counted(&self, body: &Document) -> Result<Namespace> {
        if let Some(other) = body.values().next().filter(|v| !matches!(v, Bson::String(_))) {
            return Err(Failure::new(73, format!("collection name has invalid type {}", type_name(other))));
        }
        readable(of_command(self.db, body)?)
    }
}
