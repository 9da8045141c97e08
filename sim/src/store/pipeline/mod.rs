//! Aggregation pipelines: a useful part of their stages.

mod group;
mod parse;
mod run;
mod unwind;

pub(crate) use parse::{is_stage, parse};

use super::expression::Expression;
use super::query::Filter;
use super::sort::Sort;
use super::transform::Transform;
use crate::oplog::Namespace;
use group::Group;
use unwind::Unwind;

/// A pipeline.
#[derive(Debug)]
pub(crate) struct Pipeline {
    stages: Vec<Stage>,
    /// What becomes of the result, other than a reply.
    pub(crate) target: Option<Target>,
}

/// One stage.
#[derive(Debug)]
enum Stage {
    Match(Filter),
    Sort(Sort),
    Skip(usize),
    Limit(usize),
    Transform(Transform),
    Group(Group),
    Count(String),
    Unwind(Unwind),
    /// Only as many as there are; in the order they come, for a simulation repeats itself.
    Sample(usize),
    SortByCount(Box<Expression>),
    /// The collection's own numbers: `$collStats: { count: {} }`.
    CollectionCount,
}

/// Where the result goes.
#[derive(Debug)]
pub(crate) enum Target {
    /// `$out`: in place of what is there.
    Out(Namespace),
    /// `$merge`: among what is there, by `_id`.
    Merge(Namespace, WhenMatched, WhenNotMatched),
}

/// `whenMatched` of `$merge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenMatched {
    Merge,
    Replace,
    KeepExisting,
    Fail,
}

/// `whenNotMatched` of `$merge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WhenNotMatched {
    Insert,
    Discard,
    Fail,
}
