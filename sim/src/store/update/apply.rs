//! Operators at work: finding the place a path leads to, making it where need be, and writing what comes out.

use super::operator::{Effect, Operator, Place};
use super::{Circumstances, Failure, Modification, Result};
use crate::store::value::{identical, show_field};
use bson::{Bson, Document};

/// Arrays do not grow by more than this at once.
const MAX_PADDING: usize = 1_500_000;

/// The document with all modifications made; `None` where they change nothing.
pub(super) fn modify(
    old: &Document,
    modifications: &[Modification],
    at: Circumstances,
) -> Result<Option<Document>> {
    let mut new = old.clone();
    let id = old.get("_id").map_or_else(|| "no id".to_owned(), |id| show_field("_id", id));
    let mut changed = false;
    for m in modifications {
        let parts = resolved(&m.parts, at)?;
        let name = parts.last().map_or("", String::as_str);
        let path = parts.join(".");
        let walk = Walk { operator: &m.operator, place: Place { name, path: &path, id: &id }, at };
        let wrote = match &m.operator {
            Operator::RenameFrom(from) => rename(&mut new, from, &parts, walk)?,
            _ => walk.document(&mut new, &parts)?,
        };
        changed |= wrote;
        let intact = match (old.get("_id"), new.get("_id")) {
            (Some(a), Some(b)) => identical(a, b),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if wrote && !intact {
            let source =
                matches!(&m.operator, Operator::RenameFrom(from) if from.first().is_some_and(|p| p == "_id"));
            let path = if source { "_id" } else { &m.path };
            return Err(Failure::new(
                66,
                format!("Performing an update on the path '{path}' would modify the immutable field '_id'"),
            ));
        }
    }
    Ok(changed.then_some(new))
}

/// The path with the element the filter found in place of `$`.
fn resolved(parts: &[String], at: Circumstances) -> Result<Vec<String>> {
    parts
        .iter()
        .map(|part| match (part.as_str(), at.position) {
            ("$", Some(i)) => Ok(i.to_string()),
            ("$", None) => {
                Err(Failure::new(2, "The positional operator did not find the match needed from the query."))
            }
            _ => Ok(part.clone()),
        })
        .collect()
}

/// The old name's value moves to the new name.
fn rename(document: &mut Document, from: &[String], to: &[String], walk: Walk<'_>) -> Result<bool> {
    let refuse = |which: &str, parts: &[String], array: &str| {
        Failure::new(
            2,
            format!(
                "The {which} field cannot be an array element, '{}' in doc with {} has an array field called '{array}'",
                parts.join("."),
                walk.place.id
            ),
        )
    };
    let located = locate(document, from).map_err(|(name, value)| {
        Failure::new(
            28,
            format!(
                "cannot use the part ({name} of {}) to traverse the element ({{{}}})",
                from.join("."),
                show_field(name, value)
            ),
        )
    })?;
    let Some(value) = located.cloned() else { return Ok(false) };
    if let Some(array) = array_on(document, from) {
        return Err(refuse("source", from, array));
    }
    if let Some(array) = array_on(document, to) {
        return Err(refuse("destination", to, array));
    }
    let set = Operator::Set(value);
    Walk { operator: &set, ..walk }.document(document, to)?;
    Walk { operator: &Operator::Unset, ..walk }.document(document, from)?;
    Ok(true)
}

/// The name of an array on the way.
fn array_on<'p>(document: &Document, parts: &'p [String]) -> Option<&'p str> {
    let (first, rest) = parts.split_first()?;
    match document.get(first) {
        Some(Bson::Document(inner)) => array_on(inner, rest),
        Some(Bson::Array(_)) if !rest.is_empty() => Some(first),
        _ => None,
    }
}

/// Where a path leads, array indexes included. An error is a value on the way, with its name, that the path cannot go into:
/// neither a document, nor an array with an index to come.
fn locate<'d>(
    document: &'d Document,
    parts: &'d [String],
) -> std::result::Result<Option<&'d Bson>, (&'d str, &'d Bson)> {
    let Some((mut name, mut rest)) = parts.split_first() else { return Ok(None) };
    let Some(mut value) = document.get(name) else { return Ok(None) };
    while let Some((next, after)) = rest.split_first() {
        let inside = match (value, index_of(next)) {
            (Bson::Document(inner), _) => inner.get(next),
            (Bson::Array(items), Some(i)) => items.get(i),
            _ => return Err((name, value)),
        };
        let Some(inside) = inside else { return Ok(None) };
        (value, name, rest) = (inside, next, after);
    }
    Ok(Some(value))
}

/// One operator on its way.
#[derive(Clone, Copy)]
struct Walk<'w> {
    operator: &'w Operator,
    place: Place<'w>,
    at: Circumstances,
}

impl Walk<'_> {
    /// In a document. Says whether anything changed.
    fn document(self, document: &mut Document, parts: &[String]) -> Result<bool> {
        let Some((first, rest)) = parts.split_first() else { return Ok(false) };
        if rest.is_empty() {
            return Ok(match self.operator.effect(document.get(first), self.place, self.at)? {
                Effect::Keep => false,
                Effect::Set(value) => {
                    document.insert(first, value);
                    true
                }
                Effect::Remove => document.remove(first).is_some(),
            });
        }
        match document.get_mut(first) {
            Some(value) => self.value(value, first, rest),
            None => match self.made(rest)? {
                Some(value) => {
                    document.insert(first, value);
                    Ok(true)
                }
                None => Ok(false),
            },
        }
    }

    /// In a value on the way, whose name is given for errors.
    fn value(self, value: &mut Bson, name: &str, rest: &[String]) -> Result<bool> {
        match value {
            Bson::Document(inner) => {
                if rest.first().is_some_and(|p| p == "$[]") {
                    return Err(not_an_array(name, value));
                }
                self.document(inner, rest)
            }
            Bson::Array(items) => self.array(items, name, rest),
            other if rest.first().is_some_and(|p| p == "$[]") => Err(not_an_array(name, other)),
            other if self.operator.creates(self.at) => Err(cannot_create(rest, name, other)),
            other => self.blocked(rest, name, other),
        }
    }

    fn array(self, items: &mut Vec<Bson>, name: &str, parts: &[String]) -> Result<bool> {
        let Some((first, rest)) = parts.split_first() else { return Ok(false) };
        if first == "$[]" {
            let mut changed = false;
            for (i, item) in items.iter_mut().enumerate() {
                let path = self.place.path.replacen("$[]", &i.to_string(), 1);
                let place = Place { path: &path, ..self.place };
                changed |= Walk { place, ..self }.element(item, i, rest)?;
            }
            return Ok(changed);
        }
        let Some(index) = index_of(first) else {
            if self.operator.creates(self.at) {
                return Err(cannot_create(parts, name, &Bson::Array(items.clone())));
            }
            return self.blocked(parts, name, &Bson::Array(items.clone()));
        };
        if let Some(item) = items.get_mut(index) {
            return self.element(item, index, rest);
        }
        let made = if rest.is_empty() {
            match self.operator.effect(None, self.place, self.at)? {
                Effect::Set(value) => Some(value),
                _ => None,
            }
        } else {
            self.made(rest)?
        };
        let Some(value) = made else { return Ok(false) };
        if index - items.len() > MAX_PADDING {
            return Err(Failure::new(34, format!("Can't backfill more than {MAX_PADDING} elements")));
        }
        items.resize(index, Bson::Null);
        items.push(value);
        Ok(true)
    }

    /// An element: removed ones leave null behind.
    fn element(self, item: &mut Bson, index: usize, rest: &[String]) -> Result<bool> {
        let name = index.to_string();
        if !rest.is_empty() {
            return self.value(item, &name, rest);
        }
        let place = Place { name: &name, ..self.place };
        Ok(match self.operator.effect(Some(item), place, self.at)? {
            Effect::Keep => false,
            Effect::Set(value) => {
                *item = value;
                true
            }
            Effect::Remove => {
                *item = Bson::Null;
                true
            }
        })
    }

    /// The path goes on where there is nothing to go into. Operators that make nothing and look for no array do not mind.
    fn blocked(self, parts: &[String], name: &str, value: &Bson) -> Result<bool> {
        if !matches!(self.operator, Operator::Pop { .. } | Operator::Pull(_) | Operator::PullAll(_)) {
            return Ok(false);
        }
        let part = parts.first().map_or("", String::as_str);
        Err(Failure::new(
            28,
            format!(
                "Cannot use the part ({part}) of ({}) to traverse the element ({{{}}})",
                self.place.path,
                show_field(name, value)
            ),
        ))
    }

    /// A path that is not there, made for an operator that wants it.
    fn made(self, parts: &[String]) -> Result<Option<Bson>> {
        if parts.iter().any(|p| p == "$[]") {
            return Err(Failure::new(
                2,
                format!(
                    "The path '{}' must exist in the document in order to apply array updates.",
                    self.place.path.split(".$[]").next().unwrap_or_default()
                ),
            ));
        }
        if !self.operator.creates(self.at) {
            return Ok(None);
        }
        let Effect::Set(mut value) = self.operator.effect(None, self.place, self.at)? else {
            return Ok(None);
        };
        for part in parts.iter().rev() {
            let mut around = Document::new();
            around.insert(part, value);
            value = Bson::Document(around);
        }
        Ok(Some(value))
    }
}

/// An array index as updates take it: leading zeros and all.
fn index_of(part: &str) -> Option<usize> {
    part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok()).flatten()
}

fn cannot_create(parts: &[String], name: &str, value: &Bson) -> Failure {
    let wanted = parts.first().map_or("", String::as_str);
    Failure::new(28, format!("Cannot create field '{wanted}' in element {{{}}}", show_field(name, value)))
}

fn not_an_array(name: &str, value: &Bson) -> Failure {
    Failure::new(2, format!("Cannot apply array updates to non-array element {}", show_field(name, value)))
}

#[cfg(test)]
mod tests {
    use crate::store::failure::Failure;
    use crate::store::update::{Circumstances, parse};
    use bson::{Bson, Document, doc};

    fn update(update: Document, old: Document) -> Result<Option<Document>, Failure> {
        let at = Circumstances { now: 5, position: Some(1), insert: false };
        parse(&Bson::Document(update), 5).and_then(|u| u.apply(&old, at))
    }

    #[test]
    fn fields_are_written_in_the_order_of_their_paths() {
        let new = update(doc! { "$set": { "z": 1, "b.c": 2, "10": 3, "9": 4 } }, doc! { "_id": 1 })
            .unwrap()
            .unwrap();
        assert_eq!(new.to_string(), doc! { "_id": 1, "9": 4, "10": 3, "b": { "c": 2 }, "z": 1 }.to_string());
    }

    #[test]
    fn what_changes_nothing_is_no_change() {
        let old = || doc! { "_id": 1, "a": 1, "l": [1, 2] };
        for u in [
            doc! { "$set": { "a": 1 } },
            doc! { "$inc": { "a": 0 } },
            doc! { "$min": { "a": 5 } },
            doc! { "$unset": { "b.c": 1 } },
            doc! { "$pull": { "l": 9 } },
            doc! { "$addToSet": { "l": 1 } },
            doc! { "$setOnInsert": { "q": 1 } },
            doc! { "$rename": { "q": "r" } },
        ] {
            assert_eq!(update(u.clone(), old()).unwrap(), None, "{u}");
        }
    }

    #[test]
    fn arrays() {
        let old = || doc! { "_id": 1, "l": [1, 2] };
        let l = |u| update(u, old()).unwrap().unwrap().get_array("l").unwrap().clone();
        assert_eq!(l(doc! { "$set": { "l.$": 9 } }), [1.into(), Bson::Int32(9)]);
        assert_eq!(l(doc! { "$inc": { "l.$[]": 1 } }), [2.into(), Bson::Int32(3)]);
        assert_eq!(l(doc! { "$set": { "l.3": 9 } }), [1.into(), 2.into(), Bson::Null, Bson::Int32(9)]);
        assert_eq!(l(doc! { "$pull": { "l": { "$gte": 2 } } }), [Bson::Int32(1)]);
        assert_eq!(l(doc! { "$unset": { "l.0": 1 } }), [Bson::Null, Bson::Int32(2)]);
        assert_eq!(
            update(doc! { "$set": { "l.x": 1 } }, old()).unwrap_err().message,
            "Cannot create field 'x' in element {l: [ 1, 2 ]}"
        );
    }

    #[test]
    fn the_id_stays() {
        let e = update(doc! { "$set": { "_id": 2 } }, doc! { "_id": 1 }).unwrap_err();
        assert_eq!(e.code, 66);
        let e = update(doc! { "$set": { "a": 1 }, "$inc": { "a.b": 1 } }, doc! { "_id": 1 }).unwrap_err();
        assert_eq!(e.message, "Updating the path 'a.b' would create a conflict at 'a'");
    }
}
