//! What a filter says a document must have: the `_id`s it can have, and the fields an upsert starts with.

use super::{Filter, Order, Test};
use crate::store::failure::{Failure, Result};
use crate::store::value::Key;
use bson::Bson;
use std::ops::Bound;

/// Which `_id`s a document can have that passes a filter: where to look for it.
#[derive(Debug, PartialEq)]
pub(crate) enum Ids<'f> {
    /// These, in order.
    These(Vec<&'f Bson>),
    /// Those in a range.
    Between(Bound<&'f Bson>, Bound<&'f Bson>),
    /// Any.
    All,
}

impl Filter {
    /// Where to look for documents that pass.
    pub(crate) fn ids(&self) -> Ids<'_> {
        match self {
            Filter::And(all) => {
                let (mut low, mut high) = (Bound::Unbounded, Bound::Unbounded);
                for part in all {
                    match part.ids() {
                        Ids::These(ids) => return Ids::These(ids),
                        Ids::Between(l, h) => {
                            if l != Bound::Unbounded {
                                low = l;
                            }
                            if h != Bound::Unbounded {
                                high = h;
                            }
                        }
                        Ids::All => {}
                    }
                }
                if (low, high) == (Bound::Unbounded, Bound::Unbounded) {
                    Ids::All
                } else {
                    Ids::Between(low, high)
                }
            }
            Filter::Field(path, test) if path.full == "_id" => test.ids(),
            _ => Ids::All,
        }
    }

    /// Whether the server would look at documents in the order of their `_id`s: wherever an index on it can help at all.
    pub(crate) fn goes_by_id(&self) -> bool {
        match self {
            Filter::And(all) => all.iter().any(Filter::goes_by_id),
            Filter::Field(path, test) => {
                path.full == "_id"
                    && !matches!(test, Test::ElementObject(_) | Test::ElementValue(_) | Test::Size(_))
            }
            Filter::Not(inner) => matches!(
                inner.as_ref(),
                Filter::Field(path, Test::Equal(_) | Test::In(_) | Test::Order(..)) if path.full == "_id"
            ),
            _ => false,
        }
    }

    /// The fields that equality in the filter gives a document that an upsert makes: path and value, of those wanted by the
    /// first part of their path. The server's rules:
    /// `$and` and an `$or` of one are looked into, a field may be named once, and not above or below another.
    pub(crate) fn equalities(&self, wanted: fn(&str) -> bool) -> Result<Vec<(&[String], &Bson)>> {
        let mut all = Vec::new();
        self.collect_equalities(wanted, &mut all);
        // The server's plan has them in the order of their paths.
        all.sort_by_key(|(full, ..)| *full);
        let mut found: Vec<Equality<'_>> = Vec::with_capacity(all.len());
        for (full, parts, value) in all {
            check_equality(&found, full, parts)?;
            found.push((full, parts, value));
        }
        Ok(found.into_iter().map(|(_, parts, value)| (parts, value)).collect())
    }

    /// Whether nothing can pass, as far as the server sees that before it looks at documents.
    fn is_never(&self) -> bool {
        match self {
            Filter::Constant(passes) => !passes,
            Filter::And(all) => all.iter().any(Filter::is_never),
            Filter::Or(some) => some.iter().all(Filter::is_never),
            _ => false,
        }
    }

    fn collect_equalities<'f>(&'f self, wanted: fn(&str) -> bool, found: &mut Vec<Equality<'f>>) {
        match self {
            // What nothing can pass says nothing of what does.
            _ if self.is_never() => {}
            Filter::And(all) => all.iter().for_each(|f| f.collect_equalities(wanted, found)),
            Filter::Or(some) => {
                let mut possible = some.iter().filter(|f| !f.is_never());
                if let (Some(only), None) = (possible.next(), possible.next()) {
                    only.collect_equalities(wanted, found);
                }
            }
            Filter::Field(path, test) if path.parts.first().is_some_and(|p| wanted(p)) => {
                found.extend(
                    test.only_value().map(|value| (path.full.as_str(), path.parts.as_slice(), value)),
                );
            }
            _ => {}
        }
    }
}

/// A path, its parts, and the value it must have.
type Equality<'f> = (&'f str, &'f [String], &'f Bson);

fn check_equality(found: &[Equality<'_>], full: &str, parts: &[String]) -> Result<()> {
    for (other, other_parts, _) in found {
        if *other == full {
            return Err(Failure::new(
                54,
                format!("cannot infer query fields to set, path '{full}' is matched twice"),
            ));
        }
        if parts.starts_with(other_parts) || other_parts.starts_with(parts) {
            return Err(Failure::new(
                54,
                format!("cannot infer query fields to set, both paths '{full}' and '{other}' are matched"),
            ));
        }
    }
    Ok(())
}

impl Test {
    /// The one value that passes, if there is one.
    fn only_value(&self) -> Option<&Bson> {
        match self {
            Test::Equal(value) => Some(value),
            Test::In(one_of) if one_of.patterns.is_empty() => match (one_of.values.as_slice(), one_of.null) {
                ([Key(only)], false) => Some(only),
                ([], true) => Some(&Bson::Null),
                _ => None,
            },
            _ => None,
        }
    }

    /// Regular expressions, arrays and null make an equality more than a look-up.
    fn ids(&self) -> Ids<'_> {
        match self {
            Test::Equal(value) if exact(value) => Ids::These(vec![value]),
            Test::In(one_of) if !one_of.null && one_of.patterns.is_empty() => {
                let all_exact = one_of.values.iter().all(|Key(v)| exact(v));
                if all_exact { Ids::These(one_of.values.iter().map(|Key(v)| v).collect()) } else { Ids::All }
            }
            Test::Order(order, limit) if exact(limit) && !matches!(limit, Bson::MinKey | Bson::MaxKey) => {
                match order {
                    Order::Less => Ids::Between(Bound::Unbounded, Bound::Excluded(limit)),
                    Order::LessOrEqual => Ids::Between(Bound::Unbounded, Bound::Included(limit)),
                    Order::Greater => Ids::Between(Bound::Excluded(limit), Bound::Unbounded),
                    Order::GreaterOrEqual => Ids::Between(Bound::Included(limit), Bound::Unbounded),
                }
            }
            _ => Ids::All,
        }
    }
}

fn exact(value: &Bson) -> bool {
    !matches!(value, Bson::Null | Bson::Undefined | Bson::Array(_) | Bson::RegularExpression(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::parse;
    use bson::{bson, doc};

    #[test]
    fn ids_are_found_at_the_top_and_in_and() {
        let filter = parse(&doc! { "a": 1, "_id": 7 }).unwrap();
        assert_eq!(filter.ids(), Ids::These(vec![&bson!(7)]));
        let filter = parse(&doc! { "_id": { "$gt": 1, "$lte": 5 } }).unwrap();
        assert_eq!(filter.ids(), Ids::Between(Bound::Excluded(&bson!(1)), Bound::Included(&bson!(5))));
        let filter = parse(&doc! { "$or": [{ "_id": 1 }, { "a": 1 }] }).unwrap();
        assert_eq!(filter.ids(), Ids::All);
    }

    #[test]
    fn equalities_must_not_overlap() {
        let filter = parse(&doc! { "a": 1, "a.b": 2 }).unwrap();
        assert_eq!(filter.equalities(|_| true).unwrap_err().code, 54);
    }
}
