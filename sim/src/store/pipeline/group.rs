//! `$group`.

use crate::store::expression::{self, Expression, Scope, average, greatest, least, sum};
use crate::store::failure::{Failure, Result};
use crate::store::value::{Key, Number};
use bson::{Bson, Document};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `$group`.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: Expression,
    pub(super) fields: Vec<(String, Accumulator)>,
}

/// What is made of all values in a group.
#[derive(Debug)]
pub(super) struct Accumulator {
    kind: Kind,
    argument: Expression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sum,
    Average,
    Min,
    Max,
    First,
    Last,
    Push,
    AddToSet,
    Count,
}

impl Accumulator {
    pub(super) fn parse(name: &str, argument: &Bson, now: i64) -> Result<Accumulator> {
        let kind = match name {
            "$sum" => Kind::Sum,
            "$avg" => Kind::Average,
            "$min" => Kind::Min,
            "$max" => Kind::Max,
            "$first" => Kind::First,
            "$last" => Kind::Last,
            "$push" => Kind::Push,
            "$addToSet" => Kind::AddToSet,
            "$count" => Kind::Count,
            _ => return Err(Failure::new(15952, format!("unknown group operator '{name}'"))),
        };
        Ok(Accumulator { kind, argument: expression::parse_at(argument, Some(now))? })
    }

    /// The values of a group, missing ones as `None`, into one.
    fn of(&self, values: Vec<Option<Bson>>) -> Bson {
        let numbers = || values.iter().flatten().filter_map(Number::of);
        let present = || values.iter().flatten().filter(|v| !matches!(v, Bson::Null | Bson::Undefined));
        match self.kind {
            Kind::Sum => sum(numbers()).to_bson(),
            Kind::Count => Bson::Int32(i32::try_from(values.len()).unwrap_or(i32::MAX)),
            Kind::Average => average(&numbers().collect::<Vec<_>>()),
            Kind::Min => least(present()).cloned().unwrap_or(Bson::Null),
            Kind::Max => greatest(present()).cloned().unwrap_or(Bson::Null),
            Kind::First => values.into_iter().next().flatten().unwrap_or(Bson::Null),
            Kind::Last => values.into_iter().next_back().flatten().unwrap_or(Bson::Null),
            Kind::Push => Bson::Array(values.into_iter().flatten().collect()),
            Kind::AddToSet => {
                let mut set: Vec<Key> = values.into_iter().flatten().map(Key).collect();
                set.sort();
                set.dedup();
                Bson::Array(set.into_iter().map(|Key(v)| v).collect())
            }
        }
    }
}

impl Group {
    /// One document a group, in order of their ids (a real server gives no order).
    pub(super) fn run(&self, documents: Vec<Arc<Document>>) -> Result<Vec<Arc<Document>>> {
        let mut groups: BTreeMap<Key, Vec<Arc<Document>>> = BTreeMap::new();
        for document in documents {
            let id = self.id.eval(&Scope::of(&document))?.unwrap_or(Bson::Null);
            groups.entry(Key(id)).or_default().push(document);
        }
        groups
            .into_iter()
            .map(|(Key(id), members)| {
                let mut group = Document::new();
                group.insert("_id", id);
                for (name, accumulator) in &self.fields {
                    let values = members
                        .iter()
                        .map(|d| accumulator.argument.eval(&Scope::of(d)))
                        .collect::<Result<Vec<_>>>()?;
                    group.insert(name, accumulator.of(values));
                }
                Ok(Arc::new(group))
            })
            .collect()
    }
}
