//! Expressions out of documents. Error texts are the server's.

use super::{Expression, Operator, Variable};
use crate::store::failure::{Failure, Result};
use crate::store::query::split;
use crate::store::value::{show, show_document};
use bson::{Bson, Document};

/// How many arguments an operator takes.
type Arity = (usize, usize);

const ANY: Arity = (0, usize::MAX);

const OPERATORS: &[(&str, Operator, Arity)] = &[
    ("$abs", Operator::Abs, (1, 1)),
    ("$add", Operator::Add, ANY),
    ("$and", Operator::And, ANY),
    ("$arrayElemAt", Operator::ElementAt, (2, 2)),
    ("$avg", Operator::Average, ANY),
    ("$cmp", Operator::Compare, (2, 2)),
    ("$concat", Operator::Concat, ANY),
    ("$concatArrays", Operator::ConcatArrays, ANY),
    ("$cond", Operator::Condition, (3, 3)),
    ("$divide", Operator::Divide, (2, 2)),
    ("$eq", Operator::Equal, (2, 2)),
    ("$first", Operator::First, (1, 1)),
    ("$gt", Operator::Greater, (2, 2)),
    ("$gte", Operator::GreaterOrEqual, (2, 2)),
    ("$ifNull", Operator::IfNull, (2, usize::MAX)),
    ("$in", Operator::In, (2, 2)),
    ("$isArray", Operator::IsArray, (1, 1)),
    ("$last", Operator::Last, (1, 1)),
    ("$lt", Operator::Less, (2, 2)),
    ("$lte", Operator::LessOrEqual, (2, 2)),
    ("$max", Operator::Max, ANY),
    ("$mergeObjects", Operator::MergeObjects, ANY),
    ("$min", Operator::Min, ANY),
    ("$mod", Operator::Mod, (2, 2)),
    ("$multiply", Operator::Multiply, ANY),
    ("$ne", Operator::NotEqual, (2, 2)),
    ("$not", Operator::Not, (1, 1)),
    ("$or", Operator::Or, ANY),
    ("$size", Operator::Size, (1, 1)),
    ("$subtract", Operator::Subtract, (2, 2)),
    ("$sum", Operator::Sum, ANY),
    ("$toLower", Operator::ToLower, (1, 1)),
    ("$toUpper", Operator::ToUpper, (1, 1)),
    ("$type", Operator::Type, (1, 1)),
];

/// Whether there is an operator of this name.
pub(crate) fn is_operator(name: &str) -> bool {
    name == "$literal" || OPERATORS.iter().any(|(n, _, _)| *n == name)
}

/// Reads an expression where `$$NOW` is not known.
pub(crate) fn parse(value: &Bson) -> Result<Expression> {
    parse_at(value, None)
}

/// Reads an expression; `now` is what `$$NOW` stands for, in milliseconds.
pub(crate) fn parse_at(value: &Bson, now: Option<i64>) -> Result<Expression> {
    match value {
        Bson::String(text) if text.starts_with('$') => variable(text, now),
        Bson::Document(d) if d.keys().next().is_some_and(|k| k.starts_with('$')) => operator(d, now),
        Bson::Document(d) => object(d, now),
        Bson::Array(items) => {
            Ok(Expression::Array(items.iter().map(|item| parse_at(item, now)).collect::<Result<_>>()?))
        }
        constant => Ok(Expression::Constant(constant.clone())),
    }
}

fn object(d: &Document, now: Option<i64>) -> Result<Expression> {
    d.iter()
        .map(|(name, value)| {
            if name.contains('.') {
                return Err(Failure::new(
                    40353,
                    format!("FieldPath field names may not contain '.' in '{name}'."),
                ));
            }
            if name.starts_with('$') {
                return Err(Failure::new(
                    16410,
                    "FieldPath field names may not start with '$'. Consider using $getField or $setField.",
                ));
            }
            Ok((name.clone(), parse_at(value, now)?))
        })
        .collect::<Result<_>>()
        .map(Expression::Object)
}

/// `$a.b`, `$$ROOT.a`, `$$NOW`.
fn variable(text: &str, now: Option<i64>) -> Result<Expression> {
    let Some(named) = text.strip_prefix("$$") else {
        let path = text.get(1..).unwrap_or_default();
        if path.is_empty() {
            return Err(Failure::new(16872, "'$' by itself is not a valid FieldPath"));
        }
        return Ok(Expression::Field(Variable::Root, path_parts(path)?));
    };
    let (name, rest) = named.split_once('.').map_or((named, None), |(name, rest)| (name, Some(rest)));
    let parts = rest.map_or_else(|| Ok(Vec::new()), path_parts)?;
    match name {
        "ROOT" | "CURRENT" => Ok(Expression::Field(Variable::Root, parts)),
        "REMOVE" => Ok(Expression::Field(Variable::Remove, parts)),
        "NOW" => match now {
            Some(ms) => Ok(Expression::Constant(Bson::DateTime(bson::DateTime::from_millis(ms)))),
            None => Err(crate::store::query::unsupported("$$NOW here")),
        },
        "" => Err(Failure::new(9, "empty variable names are not allowed")),
        _ => Err(Failure::new(17276, format!("Use of undefined variable: {name}"))),
    }
}

/// A path's parts, each of which must be a field's name.
pub(crate) fn path_parts(path: &str) -> Result<Vec<String>> {
    let parts = split(path);
    for part in &parts {
        if part.is_empty() {
            return Err(if path.is_empty() {
                Failure::new(40352, "FieldPath cannot be constructed with empty string")
            } else if path.ends_with('.') {
                Failure::new(40353, "FieldPath must not end with a '.'.")
            } else {
                Failure::new(15998, "FieldPath field names may not be empty strings.")
            });
        }
        if part.starts_with('$') {
            return Err(Failure::new(
                16410,
                "FieldPath field names may not start with '$'. Consider using $getField or $setField.",
            ));
        }
    }
    Ok(parts)
}

fn operator(d: &Document, now: Option<i64>) -> Result<Expression> {
    let Some((name, argument)) = d.iter().next() else { return Ok(Expression::Object(Vec::new())) };
    if d.len() > 1 {
        return Err(Failure::new(
            15983,
            format!("an object representing an expression must have exactly one field: {}", show_document(d)),
        ));
    }
    if name == "$literal" {
        return Ok(Expression::Constant(argument.clone()));
    }
    let Some((_, operator, arity)) = OPERATORS.iter().find(|(n, _, _)| n == name) else {
        return Err(Failure::new(168, format!("Unrecognized expression '{name}'")));
    };
    let arguments = match argument {
        Bson::Document(c) if *operator == Operator::Condition => condition(c, now)?,
        Bson::Array(items) => items.iter().map(|item| parse_at(item, now)).collect::<Result<_>>()?,
        one => vec![parse_at(one, now)?],
    };
    check_arity(name, *arity, arguments.len())?;
    Ok(Expression::Call(*operator, arguments))
}

fn check_arity(name: &str, (low, high): Arity, got: usize) -> Result<()> {
    if (low..=high).contains(&got) {
        return Ok(());
    }
    Err(if low == high {
        Failure::new(16020, format!("Expression {name} takes exactly {low} arguments. {got} were passed in."))
    } else {
        Failure::new(1257300, format!("{name} needs at least two arguments, had: {got}"))
    })
}

/// `$cond` with names.
fn condition(c: &Document, now: Option<i64>) -> Result<Vec<Expression>> {
    if let Some(name) = c.keys().find(|k| !matches!(k.as_str(), "if" | "then" | "else")) {
        return Err(Failure::new(17083, format!("Unrecognized parameter to $cond: {name}")));
    }
    [("if", 17080), ("then", 17081), ("else", 17082)]
        .into_iter()
        .map(|(name, code)| match c.get(name) {
            Some(value) => parse_at(value, now),
            None => Err(Failure::new(code, format!("Missing '{name}' parameter to $cond"))),
        })
        .collect()
}

/// A value in an error message, where a missing one has a word too.
pub(super) fn shown(value: Option<&Bson>) -> String {
    value.map_or_else(|| "MISSING".to_owned(), show)
}
