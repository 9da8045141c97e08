//! The order of BSON values: by class of type first, numbers of all types by their value.

use super::number::Number;
use bson::{Bson, Document};
use std::cmp::Ordering;

/// A value with the order of the server, for maps and sorted lists. Equal keys may be of different number types.
#[derive(Clone, Debug)]
pub(crate) struct Key(pub(crate) Bson);

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Key {}
impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        compare(&self.0, &other.0)
    }
}

/// The place of a type among the types; types with the same place compare by value.
fn class(value: &Bson) -> u8 {
    match value {
        Bson::MinKey => 0,
        Bson::Undefined => 1,
        Bson::Null => 2,
        Bson::Double(_) | Bson::Int32(_) | Bson::Int64(_) | Bson::Decimal128(_) => 3,
        Bson::String(_) | Bson::Symbol(_) => 4,
        Bson::Document(_) => 5,
        Bson::Array(_) => 6,
        Bson::Binary(_) => 7,
        Bson::ObjectId(_) => 8,
        Bson::Boolean(_) => 9,
        Bson::DateTime(_) => 10,
        Bson::Timestamp(_) => 11,
        Bson::RegularExpression(_) => 12,
        Bson::DbPointer(_) => 13,
        Bson::JavaScriptCode(_) => 14,
        Bson::JavaScriptCodeWithScope(_) => 15,
        Bson::MaxKey => 16,
    }
}

/// Whether two values are of the same class, so that `$lt` and friends compare them at all.
pub(crate) fn same_class(a: &Bson, b: &Bson) -> bool {
    class(a) == class(b)
}

/// The order of two values.
pub(crate) fn compare(a: &Bson, b: &Bson) -> Ordering {
    // The two most frequent kinds of `_id` first.
    match (a, b) {
        (Bson::ObjectId(a), Bson::ObjectId(b)) => return a.bytes().cmp(&b.bytes()),
        (Bson::Int32(a), Bson::Int32(b)) => return a.cmp(b),
        _ => {}
    }
    class(a).cmp(&class(b)).then_with(|| within_class(a, b))
}

fn within_class(a: &Bson, b: &Bson) -> Ordering {
    if let (Some(a), Some(b)) = (Number::of(a), Number::of(b)) {
        return a.cmp(&b);
    }
    match (a, b) {
        (Bson::String(a) | Bson::Symbol(a), Bson::String(b) | Bson::Symbol(b)) => a.cmp(b),
        (Bson::Document(a), Bson::Document(b)) => compare_documents(a, b),
        (Bson::Array(a), Bson::Array(b)) => compare_arrays(a, b),
        (Bson::Binary(a), Bson::Binary(b)) => (a.bytes.len(), u8::from(a.subtype), &a.bytes).cmp(&(
            b.bytes.len(),
            u8::from(b.subtype),
            &b.bytes,
        )),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => a.bytes().cmp(&b.bytes()),
        (Bson::Boolean(a), Bson::Boolean(b)) => a.cmp(b),
        (Bson::DateTime(a), Bson::DateTime(b)) => a.timestamp_millis().cmp(&b.timestamp_millis()),
        (Bson::Timestamp(a), Bson::Timestamp(b)) => (a.time, a.increment).cmp(&(b.time, b.increment)),
        (Bson::RegularExpression(a), Bson::RegularExpression(b)) => {
            (a.pattern.as_str(), a.options.as_str()).cmp(&(b.pattern.as_str(), b.options.as_str()))
        }
        (Bson::JavaScriptCode(a), Bson::JavaScriptCode(b)) => a.cmp(b),
        (Bson::JavaScriptCodeWithScope(a), Bson::JavaScriptCodeWithScope(b)) => {
            a.code.cmp(&b.code).then_with(|| compare_documents(&a.scope, &b.scope))
        }
        (Bson::DbPointer(a), Bson::DbPointer(b)) => format!("{a:?}").cmp(&format!("{b:?}")),
        _ => Ordering::Equal,
    }
}

/// The order of two documents: field by field, each by class of type, name, value; the shorter first.
pub(crate) fn compare_documents(a: &Document, b: &Document) -> Ordering {
    for ((ka, va), (kb, vb)) in a.iter().zip(b) {
        let order = class(va).cmp(&class(vb)).then_with(|| ka.cmp(kb)).then_with(|| within_class(va, vb));
        if order.is_ne() {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

fn compare_arrays(a: &[Bson], b: &[Bson]) -> Ordering {
    a.iter().zip(b).map(|(a, b)| compare(a, b)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{bson, doc};

    #[test]
    fn types_come_in_the_servers_order() {
        let sorted = [
            Bson::MinKey,
            Bson::Undefined,
            Bson::Null,
            bson!(f64::NAN),
            bson!(-5),
            bson!(2.5),
            bson!("a"),
            bson!("b"),
            bson!({}),
            bson!({ "a": 1 }),
            bson!([]),
            bson!([0]),
            Bson::ObjectId(bson::oid::ObjectId::from_bytes([0; 12])),
            bson!(false),
            bson!(true),
            Bson::DateTime(bson::DateTime::from_millis(0)),
            Bson::MaxKey,
        ];
        for pair in sorted.windows(2) {
            assert_eq!(compare(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn numbers_of_all_types_are_one_class() {
        let one = [bson!(1), bson!(1_i64), bson!(1.0), Bson::Decimal128("1.00".parse().unwrap())];
        for (a, b) in one.iter().flat_map(|a| one.iter().map(move |b| (a, b))) {
            assert_eq!(Key(a.clone()), Key(b.clone()));
        }
        assert_eq!(compare(&bson!(i64::MAX), &bson!(9_223_372_036_854_775_808.0)), Ordering::Less);
        assert_eq!(compare(&bson!(2), &Bson::Decimal128("1.999".parse().unwrap())), Ordering::Greater);
        assert_eq!(
            compare(&Bson::Decimal128("-Infinity".parse().unwrap()), &bson!(i64::MIN)),
            Ordering::Less
        );
    }

    #[test]
    fn documents_compare_type_before_name() {
        assert_eq!(compare_documents(&doc! { "b": 1 }, &doc! { "a": "x" }), Ordering::Less);
        assert_eq!(compare_documents(&doc! { "a": 2 }, &doc! { "b": 1 }), Ordering::Less);
        assert_eq!(compare_documents(&doc! { "a": 1, "b": 1 }, &doc! { "a": 1 }), Ordering::Greater);
        let id = |n| bson::oid::ObjectId::from_bytes([n; 12]);
        assert_eq!(compare_documents(&doc! { "a": id(1) }, &doc! { "a": id(2) }), Ordering::Less);
    }
}
