//! The document an upsert makes.

use super::{Circumstances, Result, Update};
use crate::store::query::Filter;
use bson::{Bson, Document};

/// The document an upsert inserts: what the filter says it must have, updated, its `_id` in front (made by `new_id` if
/// neither gives one).
pub(crate) fn upsert(
    filter: &Filter,
    update: &Update,
    now: i64,
    new_id: impl FnOnce() -> Bson,
) -> Result<Document> {
    let mut base = Document::new();
    // Of a replacement's filter, only the `_id` counts.
    let wanted = if update.is_replacement() { |part: &str| part == "_id" } else { |_: &str| true };
    for (parts, value) in filter.equalities(wanted)? {
        put(&mut base, parts, value);
    }
    let at = Circumstances { position: None, insert: true, now };
    let made = update.apply(&base, at)?.unwrap_or(base);
    let mut document = Document::new();
    let id = made.get("_id").cloned();
    document.insert("_id", id.unwrap_or_else(new_id));
    document.extend(made.into_iter().filter(|(k, _)| k != "_id"));
    Ok(document)
}

fn put(document: &mut Document, parts: &[String], value: &Bson) {
    let Some((first, rest)) = parts.split_first() else { return };
    if rest.is_empty() {
        document.insert(first, value.clone());
        return;
    }
    if let Bson::Document(inner) = document.entry(first.clone()).or_insert(Bson::Document(Document::new())) {
        put(inner, rest, value);
    }
}
