//! Projections: which fields of a document come back, and computed ones. `find`, `findAndModify`, `$project`, `$set` and
//! `$unset` share them.

mod apply;
mod parse;

pub(crate) use parse::{add_fields, exclude, find, stage};

use super::expression::Expression;
use super::query::Filter;

/// A projection.
#[derive(Debug)]
pub(crate) struct Projection {
    kind: Kind,
    /// Whether `_id` is kept.
    id: bool,
    root: Node,
}

/// What becomes of fields that a projection does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// They go.
    Include,
    /// They stay.
    Exclude,
    /// They stay, and the named ones are computed.
    Add,
}

/// The fields a projection names, in the order it names them.
#[derive(Debug, Default)]
struct Node {
    fields: Vec<(String, Part)>,
}

/// What is to be done with one field.
#[derive(Debug)]
enum Part {
    /// Keep it, or leave it out: as the projection's kind says.
    Named,
    /// Something inside of it.
    Inside(Node),
    /// Compute it.
    Computed(Expression),
    /// Part of an array: `$slice`.
    Slice(i64, Option<i64>),
    /// The first element that passes: `$elemMatch`.
    Element(Filter),
}
