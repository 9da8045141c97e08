//! Updates: replacements, operators, pipelines. What an upsert starts with.

mod apply;
mod array;
mod numbers;
mod operator;
mod parse;
mod pull;
mod upsert;

pub(crate) use parse::{check, parse, refuse_array_filters};
pub(crate) use upsert::upsert;

use super::failure::{Failure, Result};
use super::transform::Transform;
use super::value::{compare, identical, identical_documents, show_field};
use bson::{Bson, Document};
use operator::Operator;

/// What becomes of a document.
#[derive(Debug)]
pub(crate) enum Update {
    /// Another takes its place; its `_id` stays.
    Replace(Document),
    /// Some of its fields change.
    Modify(Vec<Modification>),
    /// A pipeline makes the new one.
    Pipeline(Vec<Transform>),
}

/// One operator on one path.
#[derive(Debug)]
pub(crate) struct Modification {
    path: String,
    parts: Vec<String>,
    operator: Operator,
}

/// What an update needs to know besides the document.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Circumstances {
    /// The array element that the filter found: what `$` stands for.
    pub(crate) position: Option<usize>,
    /// The document is being made by an upsert.
    pub(crate) insert: bool,
    /// Wall-clock time in milliseconds.
    pub(crate) now: i64,
}

impl Update {
    /// Whether it is a replacement.
    pub(crate) fn is_replacement(&self) -> bool {
        matches!(self, Update::Replace(_))
    }

    /// The new document, or `None` where nothing changes.
    pub(crate) fn apply(&self, old: &Document, at: Circumstances) -> Result<Option<Document>> {
        let new = match self {
            Update::Replace(replacement) => replace(old, replacement)?,
            Update::Modify(modifications) => return apply::modify(old, modifications, at),
            Update::Pipeline(steps) => {
                let mut new = old.clone();
                for step in steps {
                    new = step.apply(&new)?;
                }
                keep_id(old, new)?
            }
        };
        Ok((!identical_documents(old, &new)).then_some(new))
    }
}

/// The `_id` stays, in front.
fn replace(old: &Document, replacement: &Document) -> Result<Document> {
    let mut new = Document::new();
    // An equal number of another type may take its place.
    let kept = match (old.get("_id"), replacement.get("_id")) {
        (Some(id), Some(other)) if compare(id, other).is_ne() => return Err(altered(other)),
        (id, None) => id,
        (_, id) => id,
    };
    if let Some(id) = kept {
        new.insert("_id", id.clone());
    }
    new.extend(replacement.iter().filter(|(k, _)| *k != "_id").map(|(k, v)| (k.clone(), v.clone())));
    Ok(new)
}

fn keep_id(old: &Document, mut new: Document) -> Result<Document> {
    let Some(id) = old.get("_id") else { return Ok(new) };
    match new.get("_id") {
        Some(other) if !identical(id, other) => Err(altered(other)),
        Some(_) => Ok(new),
        None => {
            let mut with = Document::new();
            with.insert("_id", id.clone());
            with.extend(std::mem::take(&mut new));
            Ok(with)
        }
    }
}

fn altered(id: &Bson) -> Failure {
    Failure::new(
        66,
        format!(
            "After applying the update, the (immutable) field '_id' was found to have been altered to {}",
            show_field("_id", id)
        ),
    )
}
