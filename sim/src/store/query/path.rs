//! Dotted paths through documents and arrays, as match expressions walk them.

use bson::{Bson, Document};

/// A dotted path. Without parts it stands for the value itself, inside of `$elemMatch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// As it was written.
    pub(crate) full: String,
    /// Between the dots.
    pub(crate) parts: Vec<String>,
}

impl Path {
    /// The path written this way.
    pub(crate) fn new(full: &str) -> Path {
        Path { full: full.to_owned(), parts: split(full) }
    }

    /// The value itself.
    pub(crate) fn itself() -> Path {
        Path { full: String::new(), parts: Vec::new() }
    }
}

/// The parts of a dotted path.
pub(crate) fn split(full: &str) -> Vec<String> {
    full.split('.').map(str::to_owned).collect()
}

/// What to make of an array at the end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    /// Its elements, then the array itself.
    Elements,
    /// Only the array itself.
    Whole,
}

/// What [`visit`] tells of each place a path leads to: the value, if there is one, and the index in the outermost array on
/// the way. `true` ends the walk.
pub(crate) type Visitor<'v> = dyn FnMut(Option<&Bson>, Option<usize>) -> bool + 'v;

/// Walks all places a path leads to. Says whether the visitor ended it.
pub(crate) fn visit(document: &Document, parts: &[String], leaf: Leaf, see: &mut Visitor<'_>) -> bool {
    in_document(document, parts, leaf, None, see)
}

fn in_document(
    document: &Document,
    parts: &[String],
    leaf: Leaf,
    index: Option<usize>,
    see: &mut Visitor<'_>,
) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    match document.get(first) {
        None => see(None, index),
        Some(value) if rest.is_empty() => at_leaf(value, leaf, index, see),
        Some(Bson::Document(inner)) => in_document(inner, rest, leaf, index, see),
        Some(Bson::Array(items)) => in_array(items, rest, leaf, index, see),
        Some(_) => see(None, index),
    }
}

fn at_leaf(value: &Bson, leaf: Leaf, index: Option<usize>, see: &mut Visitor<'_>) -> bool {
    if let (Bson::Array(items), Leaf::Elements) = (value, leaf) {
        for (i, item) in items.iter().enumerate() {
            if see(Some(item), index.or(Some(i))) {
                return true;
            }
        }
    }
    see(Some(value), index)
}

/// An array in the middle of a path: its documents are walked, and a number names an element.
fn in_array(
    items: &[Bson],
    parts: &[String],
    leaf: Leaf,
    index: Option<usize>,
    see: &mut Visitor<'_>,
) -> bool {
    let Some((first, rest)) = parts.split_first() else { return false };
    let named = position(first);
    for (i, item) in items.iter().enumerate() {
        let outer = index.or(Some(i));
        if let Bson::Document(inner) = item
            && in_document(inner, parts, leaf, outer, see)
        {
            return true;
        }
        if named != Some(i) {
            continue;
        }
        let ended = match item {
            item if rest.is_empty() => see(Some(item), outer),
            Bson::Document(inner) => in_document(inner, rest, leaf, outer, see),
            Bson::Array(inner) => in_array(inner, rest, leaf, outer, see),
            _ => false,
        };
        if ended {
            return true;
        }
    }
    false
}

/// The array index a part of a path is, if it is one.
pub(crate) fn position(part: &str) -> Option<usize> {
    let canonical = part == "0" || (!part.starts_with('0') && part.bytes().all(|b| b.is_ascii_digit()));
    if canonical { part.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{bson, doc};

    fn places(d: Document, path: &str, leaf: Leaf) -> Vec<Option<Bson>> {
        let mut seen = Vec::new();
        visit(&d, &split(path), leaf, &mut |value, _| {
            seen.push(value.cloned());
            false
        });
        seen
    }

    #[test]
    fn arrays_are_walked() {
        let d = doc! { "a": [{ "b": 1 }, 7, { "b": [2, 3] }, { "c": 1 }] };
        assert_eq!(
            places(d.clone(), "a.b", Leaf::Elements),
            [Some(bson!(1)), Some(bson!(2)), Some(bson!(3)), Some(bson!([2, 3])), None]
        );
        assert_eq!(places(d, "a.1", Leaf::Elements), [None, Some(bson!(7)), None, None]);
    }

    #[test]
    fn a_scalar_on_the_way_is_a_missing_field() {
        assert_eq!(places(doc! { "a": 1 }, "a.b", Leaf::Elements), [None]);
        assert_eq!(places(doc! { "a": [] }, "a.b", Leaf::Elements), []);
    }
}
