//! The value of an expression for a document. `None` is a missing value.

use super::{Expression, Operator, Variable, array, math};
use crate::store::failure::{Failure, Result};
use crate::store::value::{compare, truthy, type_name};
use bson::{Bson, Document};
use std::cmp::Ordering;

/// What variables stand for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'d> {
    root: &'d Document,
}

impl<'d> Scope<'d> {
    /// For one document.
    pub(crate) fn of(root: &'d Document) -> Scope<'d> {
        Scope { root }
    }
}

/// The value a path leads to; an array on the way gives the array of what its documents have there.
pub(crate) fn field_path(document: &Document, parts: &[String]) -> Option<Bson> {
    let (first, rest) = parts.split_first()?;
    let value = document.get(first)?;
    if rest.is_empty() {
        return Some(value.clone());
    }
    match value {
        Bson::Document(inner) => field_path(inner, rest),
        Bson::Array(items) => Some(Bson::Array(
            items
                .iter()
                .filter_map(|item| match item {
                    Bson::Document(inner) => field_path(inner, rest),
                    _ => None,
                })
                .collect(),
        )),
        _ => None,
    }
}

/// The value, or null where it is missing.
fn or_null(value: Option<Bson>) -> Bson {
    value.unwrap_or(Bson::Null)
}

/// Whether a value counts as absent.
pub(super) fn nullish(value: Option<&Bson>) -> bool {
    matches!(value, None | Some(Bson::Null | Bson::Undefined))
}

impl Expression {
    /// The value for a document.
    pub(crate) fn eval(&self, scope: &Scope<'_>) -> Result<Option<Bson>> {
        Ok(match self {
            Expression::Constant(value) => Some(value.clone()),
            Expression::Field(Variable::Remove, _) => None,
            Expression::Field(Variable::Root, parts) if parts.is_empty() => {
                Some(Bson::Document(scope.root.clone()))
            }
            Expression::Field(Variable::Root, parts) => field_path(scope.root, parts),
            Expression::Object(fields) => {
                let mut object = Document::new();
                for (name, expression) in fields {
                    if let Some(value) = expression.eval(scope)? {
                        object.insert(name, value);
                    }
                }
                Some(Bson::Document(object))
            }
            Expression::Array(items) => Some(Bson::Array(
                items.iter().map(|item| item.eval(scope).map(or_null)).collect::<Result<_>>()?,
            )),
            Expression::Call(operator, arguments) => call(*operator, arguments, scope)?,
        })
    }
}

fn call(operator: Operator, arguments: &[Expression], scope: &Scope<'_>) -> Result<Option<Bson>> {
    // These look at no more arguments than they need.
    match operator {
        Operator::And | Operator::Or => {
            for argument in arguments {
                if argument.eval(scope)?.as_ref().is_some_and(truthy) == (operator == Operator::Or) {
                    return Ok(Some(Bson::Boolean(operator == Operator::Or)));
                }
            }
            return Ok(Some(Bson::Boolean(operator == Operator::And)));
        }
        Operator::Condition => {
            let [test, then, otherwise] = arguments else { return Ok(None) };
            let chosen = if test.eval(scope)?.as_ref().is_some_and(truthy) { then } else { otherwise };
            return chosen.eval(scope);
        }
        Operator::IfNull => {
            let mut last = None;
            for argument in arguments {
                last = argument.eval(scope)?;
                if !nullish(last.as_ref()) {
                    break;
                }
            }
            return Ok(last);
        }
        _ => {}
    }
    let mut values: Vec<Option<Bson>> = arguments.iter().map(|a| a.eval(scope)).collect::<Result<_>>()?;
    if matches!(operator, Operator::Add | Operator::Multiply) {
        // The server moves constants to the end, which shows where one of the others is null.
        let mut constants = arguments.iter().map(|a| matches!(a, Expression::Constant(_)));
        let (last, first): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|_| constants.next() == Some(true));
        values = first;
        values.extend(last);
    }
    apply(operator, &values)
}

fn apply(operator: Operator, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let first = values.first().and_then(Option::as_ref);
    let second = values.get(1).and_then(Option::as_ref);
    let order = || match (first, second) {
        (None, None) => Ordering::Equal,
        // What is missing comes before everything but this.
        (None, Some(Bson::MinKey)) => Ordering::Greater,
        (Some(Bson::MinKey), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Less,
        (Some(_), None) => Ordering::Greater,
        (Some(a), Some(b)) => compare(a, b),
    };
    Ok(Some(match operator {
        Operator::Add | Operator::Multiply => return math::fold(operator, values).map(Some),
        Operator::Subtract | Operator::Divide | Operator::Mod => {
            return math::pair(operator, first, second).map(Some);
        }
        Operator::Abs => return math::abs(first).map(Some),
        Operator::Equal => Bson::Boolean(order().is_eq()),
        Operator::NotEqual => Bson::Boolean(order().is_ne()),
        Operator::Greater => Bson::Boolean(order().is_gt()),
        Operator::GreaterOrEqual => Bson::Boolean(order().is_ge()),
        Operator::Less => Bson::Boolean(order().is_lt()),
        Operator::LessOrEqual => Bson::Boolean(order().is_le()),
        Operator::Compare => Bson::Int32(order() as i32),
        Operator::Not => Bson::Boolean(!first.is_some_and(truthy)),
        Operator::Concat => concat(values)?,
        Operator::ToLower => Bson::String(text(first, "$toLower")?.to_ascii_lowercase()),
        Operator::ToUpper => Bson::String(text(first, "$toUpper")?.to_ascii_uppercase()),
        Operator::Type => Bson::from(first.map_or("missing", type_name)),
        Operator::Sum | Operator::Average | Operator::Min | Operator::Max => {
            return math::summary(operator, values);
        }
        Operator::MergeObjects => merge(values)?,
        other => return array::apply(other, first, second, values),
    }))
}

fn concat(values: &[Option<Bson>]) -> Result<Bson> {
    let mut joined = String::new();
    for value in values {
        match value {
            value if nullish(value.as_ref()) => return Ok(Bson::Null),
            Some(Bson::String(s)) => joined.push_str(s),
            other => {
                let kind = other.as_ref().map_or("missing", type_name);
                return Err(Failure::new(16702, format!("$concat only supports strings, not {kind}")));
            }
        }
    }
    Ok(Bson::String(joined))
}

fn text(value: Option<&Bson>, name: &str) -> Result<String> {
    match value {
        value if nullish(value) => Ok(String::new()),
        Some(Bson::String(s) | Bson::Symbol(s)) => Ok(s.clone()),
        Some(Bson::Int32(n)) => Ok(n.to_string()),
        Some(Bson::Int64(n)) => Ok(n.to_string()),
        other => {
            let kind = other.map_or("missing", type_name);
            Err(Failure::new(16007, format!("can't convert from BSON type {kind} to String ({name})")))
        }
    }
}

fn merge(values: &[Option<Bson>]) -> Result<Bson> {
    let mut merged = Document::new();
    for value in values {
        match value {
            value if nullish(value.as_ref()) => {}
            Some(Bson::Document(d)) => merged.extend(d.clone()),
            other => {
                let kind = other.as_ref().map_or("missing", type_name);
                return Err(Failure::new(
                    40400,
                    format!(
                        "$mergeObjects requires object inputs, but input {} is of type {kind}",
                        super::parse::shown(other.as_ref())
                    ),
                ));
            }
        }
    }
    Ok(Bson::Document(merged))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::expression::parse;
    use bson::{bson, doc};

    fn value(expression: Bson, document: Document) -> Option<Bson> {
        parse(&expression).unwrap().eval(&Scope::of(&document)).unwrap()
    }

    #[test]
    fn paths_map_over_arrays() {
        let d = doc! { "a": [{ "b": 1 }, { "b": 2 }, 3, { "c": 1 }] };
        assert_eq!(value(bson!("$a.b"), d.clone()), Some(bson!([1, 2])));
        assert_eq!(value(bson!("$x.b"), d), None);
    }

    #[test]
    fn operators() {
        let d = doc! { "a": 2, "b": 3.5 };
        assert_eq!(value(bson!({ "$add": ["$a", "$b", 1] }), d.clone()), Some(bson!(6.5)));
        assert_eq!(
            value(bson!({ "$cond": { "if": { "$gt": ["$a", 1] }, "then": "y", "else": "n" } }), d.clone()),
            Some(bson!("y"))
        );
        assert_eq!(value(bson!({ "$ifNull": ["$nope", 5] }), d.clone()), Some(bson!(5)));
        assert_eq!(value(bson!({ "k": "$a", "n": "$nope" }), d), Some(bson!({ "k": 2 })));
        assert_eq!(parse(&bson!({ "$foo": 1 })).unwrap_err().code, 168);
    }
}
