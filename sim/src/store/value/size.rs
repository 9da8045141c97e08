//! How many bytes a value takes on the wire, and how deep it goes: the server has limits for both.

use bson::{Bson, Document};

/// The largest document a client may store.
pub(crate) const MAX_DOCUMENT: usize = 16 * 1024 * 1024;
/// The deepest nesting the server takes from a client.
pub(crate) const MAX_DEPTH: usize = 200;

/// The encoded length of a document.
pub(crate) fn document_size(document: &Document) -> usize {
    5 + document.iter().map(|(name, value)| 2 + name.len() + value_size(value)).sum::<usize>()
}

fn value_size(value: &Bson) -> usize {
    match value {
        Bson::Double(_) | Bson::Int64(_) | Bson::DateTime(_) | Bson::Timestamp(_) => 8,
        Bson::String(s) | Bson::Symbol(s) | Bson::JavaScriptCode(s) => 5 + s.len(),
        Bson::Array(items) => {
            5 + items
                .iter()
                .enumerate()
                .map(|(i, item)| 2 + decimal_digits(i) + value_size(item))
                .sum::<usize>()
        }
        Bson::Document(d) => document_size(d),
        Bson::Boolean(_) => 1,
        Bson::Null | Bson::Undefined | Bson::MaxKey | Bson::MinKey => 0,
        Bson::RegularExpression(r) => 2 + r.pattern.as_str().len() + r.options.as_str().len(),
        Bson::JavaScriptCodeWithScope(c) => 9 + c.code.len() + document_size(&c.scope),
        Bson::Int32(_) => 4,
        Bson::Binary(b) => 5 + b.bytes.len(),
        Bson::ObjectId(_) => 12,
        Bson::Decimal128(_) => 16,
        // A deprecated type whose parts the `bson` crate keeps to itself: its name's length is not known here.
        Bson::DbPointer(_) => 17,
    }
}

fn decimal_digits(n: usize) -> usize {
    n.checked_ilog10().unwrap_or(0) as usize + 1
}

/// Whether a document nests at most so many levels.
pub(crate) fn depth_within(document: &Document, levels: usize) -> bool {
    levels > 0 && document.values().all(|v| value_depth_within(v, levels - 1))
}

fn value_depth_within(value: &Bson, levels: usize) -> bool {
    match value {
        Bson::Document(d) => depth_within(d, levels),
        Bson::Array(items) => levels > 0 && items.iter().all(|v| value_depth_within(v, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn the_size_is_that_of_the_encoding() {
        let d = doc! {
            "a": 1, "b": 2_i64, "c": "text", "d": [1, "x", { "y": null }], "e": true,
            "f": bson::oid::ObjectId::from_bytes([1; 12]), "g": bson::DateTime::from_millis(3), "h": {},
            "i": bson::Binary { subtype: bson::spec::BinarySubtype::Generic, bytes: vec![1, 2, 3] },
            "k": (0..120).collect::<Vec<i32>>(),
        };
        assert_eq!(document_size(&d), d.to_vec().unwrap().len());
    }

    #[test]
    fn depth() {
        let d = doc! { "a": { "b": [{ "c": 1 }] } };
        assert!(depth_within(&d, 4));
        assert!(!depth_within(&d, 3));
    }
}
