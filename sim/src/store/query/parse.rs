//! Filters out of documents: the top level and what joins conditions. Error texts are the server's.

use super::operators::field;
use super::{Filter, Path};
use crate::store::expression;
use crate::store::failure::{Failure, Result};
use bson::{Bson, Document};

/// Reads a filter.
pub(crate) fn parse(filter: &Document) -> Result<Filter> {
    let mut all = Vec::with_capacity(filter.len());
    for (name, value) in filter {
        if name.starts_with('$') {
            if let Some(part) = top_level(name, value)? {
                all.push(part);
            }
        } else {
            all.push(field(&Path::new(name), value)?);
        }
    }
    Ok(if all.len() == 1 { all.swap_remove(0) } else { Filter::And(all) })
}

fn top_level(name: &str, value: &Bson) -> Result<Option<Filter>> {
    Ok(Some(match name {
        "$and" => Filter::And(list(name, value)?),
        "$or" => Filter::Or(list(name, value)?),
        "$nor" => Filter::Not(Box::new(Filter::Or(list(name, value)?))),
        "$comment" => return Ok(None),
        "$expr" => Filter::Expression(Box::new(expression::parse(value)?)),
        "$alwaysTrue" => Filter::Constant(true),
        "$alwaysFalse" => Filter::Constant(false),
        "$not" => {
            return Err(Failure::new(
                2,
                "unknown top level operator: $not. If you are trying to negate an entire expression, use $nor.",
            ));
        }
        "$where" | "$jsonSchema" | "$text" | "$sampleRate" => return Err(unsupported(name)),
        _ => {
            return Err(Failure::new(
                2,
                format!(
                    "unknown top level operator: {name}. If you have a field name that starts with a '$' symbol, \
                     consider using $getField or $setField."
                ),
            ));
        }
    }))
}

/// What a real server has and this one has not.
pub(crate) fn unsupported(what: &str) -> Failure {
    Failure::new(238, format!("{what} is not simulated"))
}

fn list(name: &str, value: &Bson) -> Result<Vec<Filter>> {
    let Bson::Array(items) = value else {
        return Err(Failure::new(2, format!("{name} must be an array")));
    };
    if items.is_empty() {
        return Err(Failure::new(2, "$and/$or/$nor must be a nonempty array"));
    }
    items
        .iter()
        .map(|item| match item {
            Bson::Document(d) => parse(d),
            _ => Err(Failure::new(2, "$or/$and/$nor entries need to be full objects")),
        })
        .collect()
}
