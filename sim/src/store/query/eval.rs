//! Whether a document, or an element of an array, is what a filter asks for.

use super::path::{Leaf, visit};
use super::{Filter, OneOf, Order, Test};
use crate::store::expression::Scope;
use crate::store::value::{Key, Number, as_i64, compare, same_class, truthy};
use bson::{Bson, Document};
use std::cmp::Ordering;

/// What a filter is asked about.
#[derive(Clone, Copy)]
enum Target<'a> {
    Document(&'a Document),
    Element(&'a Bson),
}

impl Filter {
    /// Whether a document is what the filter asks for.
    pub(crate) fn matches(&self, document: &Document) -> bool {
        self.eval(Target::Document(document), &mut None)
    }

    /// The same, and the index of the array element that made it so: what `$` stands for in updates.
    pub(crate) fn matches_where(&self, document: &Document) -> (bool, Option<usize>) {
        let mut position = None;
        let matched = self.eval(Target::Document(document), &mut position);
        (matched, position)
    }

    /// Whether one value is, for conditions without a path.
    pub(crate) fn matches_value(&self, value: &Bson) -> bool {
        self.eval(Target::Element(value), &mut None)
    }

    fn eval(&self, target: Target<'_>, position: &mut Option<usize>) -> bool {
        match self {
            Filter::Constant(b) => *b,
            Filter::And(all) => all.iter().all(|f| f.eval(target, position)),
            Filter::Or(some) => some.iter().any(|f| f.eval(target, position)),
            Filter::Not(inner) => !inner.eval(target, &mut None),
            Filter::Field(path, test) => match target {
                Target::Element(value) if path.parts.is_empty() => test.accepts(Some(value)),
                Target::Element(Bson::Document(d)) | Target::Document(d) => {
                    visit(d, &path.parts, test.leaf(), &mut |value, index| {
                        let element = test.element(value);
                        if !element.unwrap_or_else(|| test.accepts(value)) {
                            return false;
                        }
                        let here = if element.is_some() { test.position(value) } else { None };
                        if let Some(i) = index.or(here) {
                            *position = Some(i);
                        }
                        true
                    })
                }
                Target::Element(_) => test.accepts(None),
            },
            Filter::Expression(expression) => match target {
                Target::Document(d) => {
                    expression.eval(&Scope::of(d)).is_ok_and(|v| v.as_ref().is_some_and(truthy))
                }
                Target::Element(_) => false,
            },
        }
    }
}

impl Test {
    /// Tests of arrays look at the array, all others at its elements too.
    fn leaf(&self) -> Leaf {
        match self {
            Test::Size(_) | Test::ElementObject(_) | Test::ElementValue(_) => Leaf::Whole,
            _ => Leaf::Elements,
        }
    }

    /// For `$elemMatch`: whether one of the elements is the one; `None` for other tests.
    fn element(&self, value: Option<&Bson>) -> Option<bool> {
        matches!(self, Test::ElementObject(_) | Test::ElementValue(_)).then(|| self.position(value).is_some())
    }

    /// For `$elemMatch`: which element.
    fn position(&self, value: Option<&Bson>) -> Option<usize> {
        let Some(Bson::Array(items)) = value else { return None };
        match self {
            Test::ElementObject(filter) => items.iter().position(|item| match item {
                Bson::Document(d) => filter.matches(d),
                // An array in an array: its indexes are its field names.
                Bson::Array(inner) => {
                    let fields: Document =
                        inner.iter().enumerate().map(|(i, v)| (i.to_string(), v.clone())).collect();
                    filter.matches(&fields)
                }
                _ => false,
            }),
            Test::ElementValue(filter) => items.iter().position(|item| filter.matches_value(item)),
            _ => None,
        }
    }

    /// Whether one value passes; `None` is a missing field.
    fn accepts(&self, value: Option<&Bson>) -> bool {
        match self {
            Test::Equal(wanted) => equal(value, wanted),
            Test::Order(order, limit) => ordered(value, *order, limit),
            Test::In(one_of) => one_of.contains(value),
            Test::Exists => value.is_some(),
            Test::Pattern(pattern) => value.is_some_and(|v| pattern.matches(v)),
            Test::Modulo(divisor, remainder) => value.is_some_and(|v| modulo(v, *divisor, *remainder)),
            Test::Type(types) => value.is_some_and(|v| types.contain(v)),
            Test::Size(size) => {
                matches!(value, Some(Bson::Array(items)) if i64::try_from(items.len()) == Ok(*size))
            }
            Test::ElementObject(_) | Test::ElementValue(_) => self.position(value).is_some(),
        }
    }
}

fn modulo(value: &Bson, divisor: i64, remainder: i64) -> bool {
    match Number::of(value) {
        Some(n) if !n.is_nan() && n.to_f64().is_finite() => {
            as_i64(value).and_then(|n| n.checked_rem(divisor)).unwrap_or(0) == remainder
        }
        _ => false,
    }
}

/// Null stands for missing fields and undefined too.
fn equal(value: Option<&Bson>, wanted: &Bson) -> bool {
    match (value, wanted) {
        (None | Some(Bson::Null | Bson::Undefined), Bson::Null) => true,
        (None, _) => false,
        (Some(value), wanted) => compare(value, wanted).is_eq(),
    }
}

fn ordered(value: Option<&Bson>, order: Order, limit: &Bson) -> bool {
    let or_equal = matches!(order, Order::LessOrEqual | Order::GreaterOrEqual);
    match (value, limit) {
        (None | Some(Bson::Null | Bson::Undefined), Bson::Null) => or_equal,
        // These two compare with everything, even with what is not there; nothing else does across types.
        (value, Bson::MaxKey) if !matches!(value, Some(Bson::MaxKey)) => {
            matches!(order, Order::Less | Order::LessOrEqual)
        }
        (value, Bson::MinKey) if !matches!(value, Some(Bson::MinKey)) => {
            matches!(order, Order::Greater | Order::GreaterOrEqual)
        }
        (None, _) => false,
        (Some(value), limit) if !same_class(value, limit) => false,
        (Some(value), limit) => {
            if let (Some(a), Some(b)) = (Number::of(value), Number::of(limit))
                && (a.is_nan() || b.is_nan())
            {
                return or_equal && a.is_nan() && b.is_nan();
            }
            match compare(value, limit) {
                Ordering::Less => matches!(order, Order::Less | Order::LessOrEqual),
                Ordering::Equal => or_equal,
                Ordering::Greater => matches!(order, Order::Greater | Order::GreaterOrEqual),
            }
        }
    }
}

impl OneOf {
    fn contains(&self, value: Option<&Bson>) -> bool {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => self.null,
            Some(value) => {
                self.values.binary_search_by(|k: &Key| compare(&k.0, value)).is_ok()
                    || self.patterns.iter().any(|p| p.matches(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::store::query::parse;
    use bson::{Document, doc};

    fn matches(filter: Document, document: Document) -> bool {
        parse(&filter).unwrap().matches(&document)
    }

    #[test]
    fn equality_looks_into_arrays_and_null_is_missing() {
        assert!(matches(doc! { "a": 1 }, doc! { "a": [3, 1] }));
        assert!(matches(doc! { "a": [3, 1] }, doc! { "a": [3, 1] }));
        assert!(!matches(doc! { "a": [1] }, doc! { "a": [3, 1] }));
        assert!(matches(doc! { "a": null }, doc! {}));
        assert!(!matches(doc! { "a.b": null }, doc! { "a": [] }));
        assert!(matches(doc! { "a": { "$ne": 1 } }, doc! {}));
        assert!(!matches(doc! { "a": { "$ne": 1 } }, doc! { "a": [1, 2] }));
    }

    #[test]
    fn order_stays_within_a_type() {
        assert!(matches(doc! { "a": { "$gt": 1 } }, doc! { "a": 1.5 }));
        assert!(!matches(doc! { "a": { "$gt": 1 } }, doc! { "a": "x" }));
        assert!(matches(doc! { "a": { "$gt": 1, "$lt": 3 } }, doc! { "a": [0, 5] }));
        assert!(!matches(doc! { "a": { "$elemMatch": { "$gt": 1, "$lt": 3 } } }, doc! { "a": [0, 5] }));
    }

    #[test]
    fn the_matching_element_is_known() {
        let filter = parse(&doc! { "a": { "$elemMatch": { "k": 2 } } }).unwrap();
        assert_eq!(filter.matches_where(&doc! { "a": [{ "k": 1 }, { "k": 2 }] }), (true, Some(1)));
        let filter = parse(&doc! { "a.k": 2 }).unwrap();
        assert_eq!(filter.matches_where(&doc! { "a": [{ "k": 1 }, { "k": 2 }] }), (true, Some(1)));
        let filter = parse(&doc! { "a": { "$gte": 4 } }).unwrap();
        assert_eq!(filter.matches_where(&doc! { "a": [3, 4, 5] }), (true, Some(1)));
    }
}
