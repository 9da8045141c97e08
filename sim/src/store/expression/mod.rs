//! Aggregation expressions: what `$project`, `$group`, `$expr` and update pipelines compute with. A useful part of them.

mod array;
mod eval;
mod math;
mod parse;

pub(crate) use eval::{Scope, field_path};
pub(crate) use math::{average, greatest, least, sum};
pub(crate) use parse::{is_operator, parse, parse_at, path_parts};

use bson::Bson;

/// An expression.
#[derive(Debug)]
pub(crate) enum Expression {
    /// A value.
    Constant(Bson),
    /// A field of the document, or of another variable's value: `$a.b`, `$$ROOT.a`.
    Field(Variable, Vec<String>),
    /// A document of expressions.
    Object(Vec<(String, Expression)>),
    /// An array of expressions.
    Array(Vec<Expression>),
    /// An operator with its arguments.
    Call(Operator, Vec<Expression>),
}

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The document: `$$ROOT`, `$$CURRENT`.
    Root,
    /// Nothing: `$$REMOVE`.
    Remove,
}

/// The operators there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Mod,
    Abs,
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    Compare,
    And,
    Or,
    Not,
    Condition,
    IfNull,
    Concat,
    ToLower,
    ToUpper,
    Size,
    ElementAt,
    First,
    Last,
    In,
    ConcatArrays,
    MergeObjects,
    IsArray,
    Type,
    Sum,
    Average,
    Min,
    Max,
}
