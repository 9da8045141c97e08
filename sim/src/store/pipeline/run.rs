//! A pipeline at work.

use super::{Pipeline, Stage};
use crate::store::data::{Collection, View};
use crate::store::expression::Scope;
use crate::store::failure::{Failure, Result};
use crate::store::query::Filter;
use crate::store::value::{Key, compare};
use bson::{Bson, Document, doc};
use std::collections::BTreeMap;
use std::sync::Arc;

impl Pipeline {
    /// What comes out for a collection, and whether the plan knows that this is all.
    pub(crate) fn run(&self, collection: &Collection, view: View) -> Result<(Vec<Arc<Document>>, bool)> {
        let everything = Filter::Constant(true);
        // A first `$match` may look up by `_id`.
        let (filter, rest) = match self.stages.split_first() {
            Some((Stage::Match(filter), rest)) => (filter, rest),
            _ => (&everything, self.stages.as_slice()),
        };
        let limit = match rest.first() {
            Some(Stage::Limit(n)) => *n,
            _ => usize::MAX,
        };
        let mut documents: Vec<Arc<Document>> =
            collection.scan(filter, view).take(limit).map(|(_, d)| d.clone()).collect();
        for stage in rest {
            documents = stage.run(documents, collection).map_err(|e| Failure {
                message: format!("PlanExecutor error during aggregation :: caused by :: {}", e.message),
                ..e
            })?;
        }
        Ok((documents, false))
    }
}

impl Stage {
    fn run(&self, mut documents: Vec<Arc<Document>>, collection: &Collection) -> Result<Vec<Arc<Document>>> {
        match self {
            Stage::Match(filter) => documents.retain(|d| filter.matches(d)),
            Stage::Sort(sort) => sort.sort(&mut documents),
            Stage::Skip(n) => {
                documents.drain(..(*n).min(documents.len()));
            }
            Stage::Limit(n) | Stage::Sample(n) => documents.truncate(*n),
            Stage::Transform(transform) => {
                for document in &mut documents {
                    *document = Arc::new(transform.apply(document)?);
                }
            }
            Stage::Group(group) => return group.run(documents),
            Stage::Count(_) if documents.is_empty() => {}
            Stage::Count(name) => {
                let mut counted = Document::new();
                counted.insert(name, i32::try_from(documents.len()).unwrap_or(i32::MAX));
                return Ok(vec![Arc::new(counted)]);
            }
            Stage::Unwind(unwind) => {
                documents = documents.iter().flat_map(|d| unwind.run(d)).collect();
            }
            Stage::SortByCount(expression) => {
                let mut counts: BTreeMap<Key, i32> = BTreeMap::new();
                for document in &documents {
                    let value = expression.eval(&Scope::of(document))?.unwrap_or(Bson::Null);
                    *counts.entry(Key(value)).or_default() += 1;
                }
                let mut sorted: Vec<(Key, i32)> = counts.into_iter().collect();
                sorted.sort_by(|(a, m), (b, n)| n.cmp(m).then_with(|| compare(&a.0, &b.0)));
                return Ok(sorted
                    .into_iter()
                    .map(|(Key(id), count)| Arc::new(doc! { "_id": id, "count": count }))
                    .collect());
            }
            Stage::CollectionCount => {
                let count = i32::try_from(collection.totals().0).unwrap_or(i32::MAX);
                let ns = format!("{}.{}", collection.ns.db, collection.ns.coll);
                return Ok(vec![Arc::new(doc! { "ns": ns, "count": count })]);
            }
        }
        Ok(documents)
    }
}
