//! The index on `_id`, in as few bytes as can be: every member of a set has one of its own for every document.

use super::RecordId;
use crate::store::value::{Key, compare};
use bson::Bson;
use bson::oid::ObjectId;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Records by `_id`: one for each, or several where a document was deleted and made anew.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    places: BTreeSet<(IdKey, RecordId)>,
}

impl IdIndex {
    pub(super) fn insert(&mut self, id: &Bson, record: RecordId) {
        self.places.insert((IdKey::new(id), record));
    }

    pub(super) fn remove(&mut self, id: &Bson, record: RecordId) {
        self.places.remove(&(IdKey::new(id), record));
    }

    /// Takes a record out whose `_id` nobody remembers. It is looked for in all of them.
    pub(super) fn forget(&mut self, record: RecordId) {
        self.places.retain(|(_, other)| *other != record);
    }

    /// The records of one `_id`, in the order they were made.
    pub(super) fn of(&self, id: &Bson) -> impl DoubleEndedIterator<Item = RecordId> {
        let key = IdKey::new(id);
        self.places.range((key.clone(), 0)..=(key, RecordId::MAX)).map(|(_, record)| *record)
    }

    /// All records, by their `_id`.
    pub(super) fn all(&self) -> impl Iterator<Item = RecordId> {
        self.places.iter().map(|(_, record)| *record)
    }

    /// The records whose `_id` lies between two values.
    pub(super) fn between(&self, low: Bound<&Bson>, high: Bound<&Bson>) -> impl Iterator<Item = RecordId> {
        let low = match low {
            Bound::Included(id) => Bound::Included((IdKey::new(id), 0)),
            Bound::Excluded(id) => Bound::Excluded((IdKey::new(id), RecordId::MAX)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let high = match high {
            Bound::Included(id) => Bound::Included((IdKey::new(id), RecordId::MAX)),
            Bound::Excluded(id) => Bound::Excluded((IdKey::new(id), 0)),
            Bound::Unbounded => Bound::Unbounded,
        };
        let range = (!is_empty_range(&low, &high)).then(|| self.places.range((low, high)));
        range.into_iter().flatten().map(|(_, record)| *record)
    }
}

/// `BTreeSet::range` takes no range that ends before it starts.
fn is_empty_range<T: Ord>(low: &Bound<T>, high: &Bound<T>) -> bool {
    match (low, high) {
        (Bound::Excluded(a), Bound::Excluded(b)) => a >= b,
        (Bound::Included(a) | Bound::Excluded(a), Bound::Included(b) | Bound::Excluded(b)) => a > b,
        _ => false,
    }
}

/// An `_id` with the order of [`Key`], a fifth of its size for the kinds of `_id` that most documents have.
#[derive(Clone, Debug)]
enum IdKey {
    Int(i64),
    ObjectId([u8; 12]),
    Text(Box<str>),
    Other(Box<Key>),
}

impl IdKey {
    fn new(id: &Bson) -> IdKey {
        match id {
            Bson::Int32(n) => IdKey::Int(i64::from(*n)),
            Bson::Int64(n) => IdKey::Int(*n),
            Bson::ObjectId(id) => IdKey::ObjectId(id.bytes()),
            Bson::String(text) => IdKey::Text(text.as_str().into()),
            other => IdKey::Other(Box::new(Key(other.clone()))),
        }
    }

    /// The value again. Only where values of unlike kinds meet, which in one collection is rare.
    fn value(&self) -> Bson {
        match self {
            IdKey::Int(n) => Bson::Int64(*n),
            IdKey::ObjectId(bytes) => Bson::ObjectId(ObjectId::from_bytes(*bytes)),
            IdKey::Text(text) => Bson::String(text.as_ref().to_owned()),
            IdKey::Other(key) => key.0.clone(),
        }
    }
}

impl Ord for IdKey {
    fn cmp(&self, other: &IdKey) -> Ordering {
        match (self, other) {
            (IdKey::Int(a), IdKey::Int(b)) => a.cmp(b),
            (IdKey::ObjectId(a), IdKey::ObjectId(b)) => a.cmp(b),
            (IdKey::Text(a), IdKey::Text(b)) => a.cmp(b),
            (IdKey::Other(a), IdKey::Other(b)) => a.cmp(b),
            (a, b) => compare(&a.value(), &b.value()),
        }
    }
}

impl PartialOrd for IdKey {
    fn partial_cmp(&self, other: &IdKey) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for IdKey {
    fn eq(&self, other: &IdKey) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for IdKey {}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{bson, doc};

    /// One of each kind, and numbers of all types, in the order of the server.
    fn values() -> Vec<Bson> {
        let id = |n| Bson::ObjectId(ObjectId::from_bytes([n; 12]));
        vec![
            Bson::MinKey,
            bson!(-1.5),
            bson!(-1),
            bson!(2_i64),
            bson!(2.5),
            bson!(i64::MAX),
            bson!(1e300),
            bson!("a"),
            bson!("aa"),
            Bson::Symbol("b".to_owned()),
            bson!("c"),
            bson!(doc! { "a": 1 }),
            id(1),
            id(2),
            bson!(true),
        ]
    }

    #[test]
    fn keys_have_the_order_of_values() {
        let keys: Vec<_> = values().iter().map(IdKey::new).collect();
        for (i, a) in keys.iter().enumerate() {
            for (j, b) in keys.iter().enumerate() {
                assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
        assert_eq!(IdKey::new(&bson!(2)), IdKey::new(&bson!(2.0)));
        assert_eq!(IdKey::new(&bson!("x")), IdKey::new(&Bson::Symbol("x".to_owned())));
    }

    #[test]
    fn finds_one_id_and_ranges_of_them() {
        let mut index = IdIndex::default();
        for (record, value) in (1..).zip(values()) {
            index.insert(&value, record);
        }
        index.insert(&bson!(2.0), 99);
        assert_eq!(index.of(&bson!(2)).collect::<Vec<_>>(), [4, 99]);
        let (two, text) = (bson!(2), bson!("aa"));
        let between = |low, high| index.between(low, high).collect::<Vec<_>>();
        assert_eq!(between(Bound::Excluded(&two), Bound::Included(&text)), [5, 6, 7, 8, 9]);
        assert_eq!(between(Bound::Included(&two), Bound::Excluded(&text)), [4, 99, 5, 6, 7, 8]);
        assert!(between(Bound::Excluded(&text), Bound::Included(&two)).is_empty());
        assert!(between(Bound::Excluded(&two), Bound::Excluded(&two)).is_empty());
        assert_eq!(index.all().count(), 16);
        index.remove(&bson!(2_i64), 99);
        index.forget(4);
        assert_eq!(index.of(&two).count(), 0);
    }
}
