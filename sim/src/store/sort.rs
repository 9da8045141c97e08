//! Sort specifications, and the values documents are sorted and indexed by.

use super::expression::path_parts;
use super::failure::{Failure, Result};
use super::value::{as_i64, compare, show_field};
use bson::{Bson, Document};
use std::cmp::Ordering;
use std::sync::Arc;

/// A sort specification.
#[derive(Debug, Default)]
pub(crate) struct Sort {
    fields: Vec<(Vec<String>, bool)>,
}

impl Sort {
    /// Reads one: each field 1 or -1.
    pub(crate) fn parse(spec: &Document) -> Result<Sort> {
        let mut fields = Vec::with_capacity(spec.len());
        for (name, value) in spec {
            if let Bson::Document(d) = value {
                return Err(if d.keys().next().is_some_and(|k| k == "$meta") {
                    let shown = d.iter().next().map_or_else(String::new, |(k, v)| show_field(k, v));
                    Failure::new(31138, format!("Illegal $meta sort: {shown}"))
                } else {
                    Failure::new(17312, "$meta is the only expression supported by $sort right now")
                });
            }
            if super::value::Number::of(value).is_none() {
                return Err(Failure::new(
                    15974,
                    format!("Illegal key in $sort specification: {}", show_field(name, value)),
                ));
            }
            let ascending = match as_i64(value) {
                Some(1) => true,
                Some(-1) => false,
                _ => {
                    return Err(Failure::new(
                        15975,
                        "$sort key ordering must be 1 (for ascending) or -1 (for descending)",
                    ));
                }
            };
            fields.push((path_parts(name)?, ascending));
        }
        Ok(Sort { fields })
    }

    /// Whether it asks for no order.
    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Sorts documents; equal ones stay in their order.
    pub(crate) fn sort(&self, documents: &mut Vec<Arc<Document>>) {
        if self.is_empty() || documents.len() < 2 {
            return;
        }
        let mut keyed: Vec<(Vec<Bson>, Arc<Document>)> =
            documents.drain(..).map(|d| (self.key(&d), d)).collect();
        keyed.sort_by(|(a, _), (b, _)| self.compare(a, b));
        documents.extend(keyed.into_iter().map(|(_, d)| d));
    }

    /// What one document is sorted by: of an array the least or the greatest element.
    fn key(&self, document: &Document) -> Vec<Bson> {
        self.fields
            .iter()
            .map(|(parts, ascending)| {
                let values = values_at(document, parts).into_iter();
                let best = if *ascending { values.min_by(compare) } else { values.max_by(compare) };
                best.unwrap_or(Bson::Null)
            })
            .collect()
    }

    fn compare(&self, a: &[Bson], b: &[Bson]) -> Ordering {
        for ((a, b), (_, ascending)) in a.iter().zip(b).zip(&self.fields) {
            let order = compare(a, b);
            if order.is_ne() {
                return if *ascending { order } else { order.reverse() };
            }
        }
        Ordering::Equal
    }
}

/// The values an index on a path holds for a document: null where there is nothing, the elements of an array, undefined for
/// an empty one.
pub(crate) fn values_at(document: &Document, parts: &[String]) -> Vec<Bson> {
    let mut values = Vec::new();
    collect(document, parts, &mut values);
    values
}

fn collect(document: &Document, parts: &[String], values: &mut Vec<Bson>) {
    let Some((first, rest)) = parts.split_first() else { return };
    match document.get(first) {
        Some(Bson::Array(items)) if rest.is_empty() => {
            if items.is_empty() {
                values.push(Bson::Undefined);
            }
            values.extend(items.iter().cloned());
        }
        Some(value) if rest.is_empty() => values.push(value.clone()),
        Some(Bson::Document(inner)) => collect(inner, rest, values),
        Some(Bson::Array(items)) => collect_in_array(items, rest, values),
        _ => values.push(Bson::Null),
    }
}

fn collect_in_array(items: &[Bson], parts: &[String], values: &mut Vec<Bson>) {
    let Some((first, rest)) = parts.split_first() else { return };
    let named = super::query::position(first).and_then(|i| items.get(i));
    match named {
        Some(Bson::Document(inner)) if !rest.is_empty() => return collect(inner, rest, values),
        Some(Bson::Array(inner)) if !rest.is_empty() => return collect_in_array(inner, rest, values),
        Some(Bson::Array(inner)) if inner.is_empty() => return values.push(Bson::Undefined),
        Some(value) if rest.is_empty() => return values.push(value.clone()),
        _ => {}
    }
    if items.is_empty() {
        values.push(Bson::Null);
    }
    for item in items {
        match item {
            Bson::Document(inner) => collect(inner, parts, values),
            _ => values.push(Bson::Null),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::query::split;
    use bson::{bson, doc};

    #[test]
    fn arrays_sort_by_their_least_and_greatest() {
        let mut documents: Vec<_> = [
            doc! { "_id": 1, "a": [5, 1] },
            doc! { "_id": 2, "a": 3 },
            doc! { "_id": 3 },
            doc! { "_id": 4, "a": [] },
        ]
        .into_iter()
        .map(Arc::new)
        .collect();
        let ids = |documents: &[Arc<Document>]| -> Vec<i32> {
            documents.iter().map(|d| d.get_i32("_id").unwrap()).collect()
        };
        Sort::parse(&doc! { "a": 1 }).unwrap().sort(&mut documents);
        assert_eq!(ids(&documents), [4, 3, 1, 2]);
        Sort::parse(&doc! { "a": -1 }).unwrap().sort(&mut documents);
        assert_eq!(ids(&documents), [1, 2, 3, 4]);
    }

    #[test]
    fn index_values() {
        let d = doc! { "a": [{ "b": 1 }, { "b": [2, 3] }, 4] };
        assert_eq!(values_at(&d, &split("a.b")), [bson!(1), bson!(2), bson!(3), Bson::Null]);
        assert_eq!(values_at(&d, &split("x")), [Bson::Null]);
    }
}
