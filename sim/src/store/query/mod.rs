//! Match expressions: what `find`, `update`, `delete`, `$match` and friends select documents with.

mod eval;
mod fields;
mod operators;
mod parse;
mod path;
mod pattern;
mod types;

pub(crate) use fields::Ids;
pub(crate) use operators::is_condition;
pub(crate) use parse::{parse, unsupported};
pub(crate) use path::{Leaf, Path, position, split, visit};

use super::expression::Expression;
use super::value::Key;
use bson::Bson;
use pattern::Pattern;
use types::Types;

/// A match expression.
#[derive(Debug)]
pub(crate) enum Filter {
    /// Always so, or never.
    Constant(bool),
    /// All of them.
    And(Vec<Filter>),
    /// One of them.
    Or(Vec<Filter>),
    /// Not so.
    Not(Box<Filter>),
    /// Something about a field.
    Field(Path, Test),
    /// `$expr`.
    Expression(Box<Expression>),
}

/// Something about the value of a field.
#[derive(Debug)]
pub(crate) enum Test {
    /// `$eq`.
    Equal(Bson),
    /// `$gt`, `$gte`, `$lt`, `$lte`.
    Order(Order, Bson),
    /// `$in`.
    In(OneOf),
    /// `$exists`.
    Exists,
    /// `$regex`.
    Pattern(Pattern),
    /// `$mod`: divisor and remainder.
    Modulo(i64, i64),
    /// `$type`.
    Type(Types),
    /// `$size`.
    Size(i64),
    /// `$elemMatch` with conditions on the fields of documents in an array.
    ElementObject(Box<Filter>),
    /// `$elemMatch` with conditions on the elements themselves.
    ElementValue(Box<Filter>),
}

/// Which side a value must lie on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The argument of `$in`.
#[derive(Debug, Default)]
pub(crate) struct OneOf {
    /// Sorted, each once.
    pub(crate) values: Vec<Key>,
    /// Null is one of them.
    pub(crate) null: bool,
    patterns: Vec<Pattern>,
}
