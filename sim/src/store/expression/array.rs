//! Expressions on arrays.

use super::Operator;
use super::eval::nullish;
use crate::store::failure::{Failure, Result};
use crate::store::value::{compare, type_name, whole};
use bson::Bson;

fn kind(value: Option<&Bson>) -> &'static str {
    value.map_or("missing", type_name)
}

/// Operators of this file by their values.
pub(super) fn apply(
    operator: Operator,
    first: Option<&Bson>,
    second: Option<&Bson>,
    values: &[Option<Bson>],
) -> Result<Option<Bson>> {
    match operator {
        Operator::IsArray => Ok(Some(Bson::Boolean(matches!(first, Some(Bson::Array(_)))))),
        Operator::Size => match first {
            Some(Bson::Array(items)) => Ok(Some(Bson::Int32(i32::try_from(items.len()).unwrap_or(i32::MAX)))),
            other => Err(Failure::new(
                17124,
                format!("The argument to $size must be an array, but was of type: {}", kind(other)),
            )),
        },
        Operator::In => match second {
            Some(Bson::Array(items)) => {
                let found =
                    first.is_some_and(|wanted| items.iter().any(|item| compare(item, wanted).is_eq()));
                Ok(Some(Bson::Boolean(found)))
            }
            other => Err(Failure::new(
                40081,
                format!("$in requires an array as a second argument, found: {}", kind(other)),
            )),
        },
        Operator::ElementAt => element_at(first, second),
        Operator::First => end(first, "$first", |items| items.first()),
        Operator::Last => end(first, "$last", |items| items.last()),
        Operator::ConcatArrays => concat(values).map(Some),
        _ => Ok(None),
    }
}

fn element_at(array: Option<&Bson>, index: Option<&Bson>) -> Result<Option<Bson>> {
    if nullish(array) || nullish(index) {
        return Ok(Some(Bson::Null));
    }
    let Some(Bson::Array(items)) = array else {
        return Err(Failure::new(
            28689,
            format!("$arrayElemAt's first argument must be an array, but is {}", kind(array)),
        ));
    };
    let Some(index) = index.and_then(whole) else {
        return Err(Failure::new(
            28690,
            format!("$arrayElemAt's second argument must be a numeric value, but is {}", kind(index)),
        ));
    };
    let from_end = i64::try_from(items.len()).unwrap_or(i64::MAX);
    let index = if index < 0 { index + from_end } else { index };
    Ok(usize::try_from(index).ok().and_then(|i| items.get(i)).cloned())
}

fn end(array: Option<&Bson>, name: &str, pick: fn(&[Bson]) -> Option<&Bson>) -> Result<Option<Bson>> {
    match array {
        array if nullish(array) => Ok(Some(Bson::Null)),
        Some(Bson::Array(items)) => Ok(pick(items).cloned()),
        other => {
            Err(Failure::new(28689, format!("{name}'s argument must be an array, but is {}", kind(other))))
        }
    }
}

fn concat(values: &[Option<Bson>]) -> Result<Bson> {
    let mut joined = Vec::new();
    for value in values {
        match value {
            value if nullish(value.as_ref()) => return Ok(Bson::Null),
            Some(Bson::Array(items)) => joined.extend(items.iter().cloned()),
            other => {
                return Err(Failure::new(
                    28664,
                    format!("$concatArrays only supports arrays, not {}", kind(other.as_ref())),
                ));
            }
        }
    }
    Ok(Bson::Array(joined))
}
