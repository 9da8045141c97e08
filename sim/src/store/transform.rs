//! Steps that make one document out of one: `$project`, `$set`, `$unset`, `$replaceRoot`, in pipelines and in updates.

use super::expression::{self, Expression, Scope};
use super::failure::{Failure, Result};
use super::projection::{self, Projection};
use super::value::{show, show_document, type_name};
use bson::{Bson, Document};

/// One step.
#[derive(Debug)]
pub(crate) enum Transform {
    /// `$project`, `$set`, `$addFields`, `$unset`.
    Project(Projection),
    /// `$replaceRoot`, `$replaceWith`.
    Replace(Expression),
}

impl Transform {
    /// The step of this name; `None` if the name is no step's. `now` is what `$$NOW` stands for.
    pub(crate) fn parse(name: &str, spec: &Bson, now: i64) -> Result<Option<Transform>> {
        Ok(Some(match name {
            "$project" => match spec {
                Bson::Document(d) => Transform::Project(projection::stage(d, now)?),
                _ => return Err(Failure::new(15969, "$project specification must be an object")),
            },
            "$set" | "$addFields" => match spec {
                Bson::Document(d) => Transform::Project(invalid(name, projection::add_fields(d, now))?),
                other => {
                    let kind = type_name(other);
                    return Err(Failure::new(
                        40272,
                        format!("{name} specification stage must be an object, got {kind}"),
                    ));
                }
            },
            "$unset" => Transform::Project(unset(spec)?),
            "$replaceWith" => Transform::Replace(expression::parse_at(spec, Some(now))?),
            "$replaceRoot" => Transform::Replace(new_root(spec, now)?),
            _ => return Ok(None),
        }))
    }

    /// The document it makes.
    pub(crate) fn apply(&self, document: &Document) -> Result<Document> {
        match self {
            Transform::Project(projection) => projection.apply(document),
            Transform::Replace(expression) => match expression.eval(&Scope::of(document))? {
                Some(Bson::Document(d)) => Ok(d),
                other => {
                    let kind = other.as_ref().map_or("missing", type_name);
                    let shown = other.as_ref().map_or_else(|| "MISSING".to_owned(), show);
                    Err(Failure::new(
                        40228,
                        format!(
                            "'newRoot' expression  must evaluate to an object, but resulting value was: {shown}. Type of \
                             resulting value: '{kind}'. Input document: {}",
                            show_document(document)
                        ),
                    ))
                }
            },
        }
    }
}

fn invalid<T>(name: &str, result: Result<T>) -> Result<T> {
    result.map_err(|e| Failure { message: format!("Invalid {name} :: caused by :: {}", e.message), ..e })
}

fn unset(spec: &Bson) -> Result<Projection> {
    let paths: Vec<&str> = match spec {
        Bson::String(path) => vec![path],
        Bson::Array(items) if items.is_empty() => {
            return Err(Failure::new(
                31119,
                "$unset specification must be a string or an array with at least one field",
            ));
        }
        Bson::Array(items) => items
            .iter()
            .map(|item| match item {
                Bson::String(path) => Ok(path.as_str()),
                _ => Err(Failure::new(
                    31120,
                    "$unset specification must be a string or an array containing only string values",
                )),
            })
            .collect::<Result<_>>()?,
        _ => return Err(Failure::new(31002, "$unset specification must be a string or an array")),
    };
    invalid("$unset", projection::exclude(&paths))
}

fn new_root(spec: &Bson, now: i64) -> Result<Expression> {
    let Bson::Document(d) = spec else {
        return Err(Failure::new(
            40229,
            format!("expected an object as specification for $replaceRoot stage, got {}", type_name(spec)),
        ));
    };
    if let Some(name) = d.keys().find(|k| *k != "newRoot") {
        return Err(Failure::new(40415, format!("BSON field '$replaceRoot.{name}' is an unknown field.")));
    }
    match d.get("newRoot") {
        Some(root) => expression::parse_at(root, Some(now)),
        None => Err(Failure::new(40414, "BSON field '$replaceRoot.newRoot' is missing but a required field")),
    }
}
