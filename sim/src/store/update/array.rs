//! `$push`, `$addToSet`, `$pop`.

use super::operator::{Effect, Place};
use super::{Failure, Result};
use crate::store::sort::Sort;
use crate::store::value::{compare, show_field, type_name, whole};
use bson::{Bson, Document};
use std::sync::Arc;

/// `$push` with its modifiers.
#[derive(Debug, Default)]
pub(crate) struct Push {
    each: Vec<Bson>,
    position: Option<i64>,
    slice: Option<i64>,
    sort: Option<PushSort>,
}

#[derive(Debug)]
enum PushSort {
    /// The elements themselves, ascending or not.
    Elements(bool),
    /// By their fields.
    Fields(Sort),
}

fn bad(message: String) -> Failure {
    Failure::new(2, message)
}

impl Push {
    /// Reads the argument: a value, or `$each` with modifiers.
    pub(super) fn parse(argument: &Bson) -> Result<Push> {
        let Bson::Document(d) = argument else {
            return Ok(Push { each: vec![argument.clone()], ..Push::default() });
        };
        let Some(each) = d.get("$each") else {
            return Ok(Push { each: vec![argument.clone()], ..Push::default() });
        };
        let mut push = Push { each: array(each, "$push")?, ..Push::default() };
        for (name, value) in d {
            match name.as_str() {
                "$each" => {}
                "$slice" => push.slice = Some(integer(name, value)?),
                "$position" => push.position = Some(integer(name, value)?),
                "$sort" => push.sort = Some(push_sort(value)?),
                _ => return Err(bad(format!("Unrecognized clause in $push: {name}"))),
            }
        }
        Ok(push)
    }

    /// The array with the new elements, sorted and cut.
    pub(super) fn onto(&self, mut items: Vec<Bson>) -> Vec<Bson> {
        let count = i64::try_from(items.len()).unwrap_or(i64::MAX);
        let at = match self.position {
            None => count,
            Some(p) if p < 0 => (count + p).max(0),
            Some(p) => p.min(count),
        };
        let at = usize::try_from(at).unwrap_or(0);
        items.splice(at..at, self.each.iter().cloned());
        match &self.sort {
            None => {}
            Some(PushSort::Elements(ascending)) => {
                items.sort_by(|a, b| if *ascending { compare(a, b) } else { compare(b, a) });
            }
            Some(PushSort::Fields(sort)) => items = by_fields(sort, items),
        }
        if let Some(slice) = self.slice {
            let count = items.len();
            let keep = usize::try_from(slice.unsigned_abs()).unwrap_or(usize::MAX).min(count);
            if slice < 0 {
                items.drain(..count - keep);
            } else {
                items.truncate(keep);
            }
        }
        items
    }
}

/// Elements that are no documents sort as empty ones.
fn by_fields(sort: &Sort, items: Vec<Bson>) -> Vec<Bson> {
    let mut wrapped: Vec<Arc<Document>> = items
        .into_iter()
        .map(|item| {
            let mut d = match &item {
                Bson::Document(d) => d.clone(),
                _ => Document::new(),
            };
            // A name no sort can ask for carries the element itself.
            d.insert("\0", item);
            Arc::new(d)
        })
        .collect();
    sort.sort(&mut wrapped);
    wrapped.iter().filter_map(|d| d.get("\0").cloned()).collect()
}

fn array(value: &Bson, operator: &str) -> Result<Vec<Bson>> {
    match value {
        Bson::Array(items) => Ok(items.clone()),
        other => {
            let (code, colon) = if operator == "$push" { (2, ":") } else { (14, "") };
            let kind = type_name(other);
            Err(Failure::new(
                code,
                format!(
                    "The argument to $each in {operator} must be an array but it was of type{colon} {kind}"
                ),
            ))
        }
    }
}

fn integer(name: &str, value: &Bson) -> Result<i64> {
    whole(value).ok_or_else(|| {
        let how = if name == "$position" { ", not of type" } else { " but was given type" };
        bad(format!("The value for {name} must be an integer value{how}: {}", type_name(value)))
    })
}

fn push_sort(value: &Bson) -> Result<PushSort> {
    match value {
        Bson::Document(d) if d.is_empty() => Err(bad(
            "The sort pattern is empty when it should be a set of fields.".to_owned(),
        )),
        Bson::Document(d) => {
            if d.values().any(|v| !matches!(whole(v), Some(1 | -1))) {
                return Err(bad("The $sort element value must be either 1 or -1".to_owned()));
            }
            Sort::parse(d).map(PushSort::Fields)
        }
        value => match whole(value) {
            Some(1) => Ok(PushSort::Elements(true)),
            Some(-1) => Ok(PushSort::Elements(false)),
            Some(_) => Err(bad("The $sort element value must be either 1 or -1".to_owned())),
            None => Err(bad(
                "The $sort is invalid: use 1/-1 to sort the whole element, or {field:1/-1} to sort embedded fields"
                    .to_owned(),
            )),
        },
    }
}

/// `$push` on what is no array.
pub(super) fn push_on(value: &Bson, place: Place<'_>) -> Failure {
    bad(format!(
        "The field '{}' must be an array but is of type {} in document {{{}}}",
        place.path,
        type_name(value),
        place.id
    ))
}

/// The argument of `$addToSet`.
pub(super) fn set_members(argument: &Bson) -> Result<Vec<Bson>> {
    match argument {
        Bson::Document(d) if d.keys().next().is_some_and(|k| k == "$each") => {
            if d.len() > 1 {
                let shown = crate::store::value::show_document(d);
                return Err(bad(format!("Found unexpected fields after $each in $addToSet: {shown}")));
            }
            d.get("$each").map_or_else(|| Ok(Vec::new()), |each| array(each, "$addToSet"))
        }
        one => Ok(vec![one.clone()]),
    }
}

/// `$addToSet`.
pub(super) fn add_to_set(value: Option<&Bson>, new: &[Bson], place: Place<'_>) -> Result<Effect> {
    let old: &[Bson] = match value {
        None => &[],
        Some(Bson::Array(items)) => items,
        Some(other) => {
            return Err(bad(format!(
                "Cannot apply $addToSet to non-array field. Field named '{}' has non-array type {}",
                place.name,
                type_name(other)
            )));
        }
    };
    let mut items = old.to_vec();
    for item in new {
        if !items.iter().any(|there| compare(there, item).is_eq()) {
            items.push(item.clone());
        }
    }
    Ok(if value.is_some() && items.len() == old.len() {
        Effect::Keep
    } else {
        Effect::Set(Bson::Array(items))
    })
}

/// `$pop`.
pub(super) fn pop(value: Option<&Bson>, first: bool, place: Place<'_>) -> Result<Effect> {
    match value {
        None => Ok(Effect::Keep),
        Some(Bson::Array(items)) if items.is_empty() => Ok(Effect::Keep),
        Some(Bson::Array(items)) => {
            let mut items = items.clone();
            if first {
                items.remove(0);
            } else {
                items.pop();
            }
            Ok(Effect::Set(Bson::Array(items)))
        }
        Some(other) => Err(Failure::new(
            14,
            format!("Path '{}' contains an element of non-array type '{}'", place.path, type_name(other)),
        )),
    }
}

/// `$pop` takes 1 or -1: whether it is the first that goes.
pub(super) fn pop_end(path: &str, argument: &Bson) -> Result<bool> {
    match whole(argument) {
        Some(1) => Ok(false),
        Some(-1) => Ok(true),
        Some(n) => Err(Failure::new(9, format!("$pop expects 1 or -1, found: {n}"))),
        None => Err(Failure::new(9, format!("Expected a number in: {}", show_field(path, argument)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{bson, doc};

    fn pushed(argument: Bson, onto: Vec<Bson>) -> Bson {
        Bson::Array(Push::parse(&argument).unwrap().onto(onto))
    }

    #[test]
    fn push_modifiers() {
        let old = || vec![bson!(3), bson!(1)];
        assert_eq!(pushed(bson!(2), old()), bson!([3, 1, 2]));
        assert_eq!(pushed(bson!({ "$each": [9, 8], "$position": 0 }), old()), bson!([9, 8, 3, 1]));
        assert_eq!(pushed(bson!({ "$each": [9, 8], "$position": -1 }), old()), bson!([3, 9, 8, 1]));
        assert_eq!(pushed(bson!({ "$each": [2], "$sort": 1, "$slice": 2 }), old()), bson!([1, 2]));
        assert_eq!(pushed(bson!({ "$each": [2], "$sort": -1, "$slice": -2 }), old()), bson!([2, 1]));
        let docs = vec![Bson::Document(doc! { "k": 2 }), Bson::Document(doc! { "k": 1 })];
        assert_eq!(
            pushed(bson!({ "$each": [], "$sort": { "k": 1 } }), docs),
            bson!([{ "k": 1 }, { "k": 2 }])
        );
    }
}
