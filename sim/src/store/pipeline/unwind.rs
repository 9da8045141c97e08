//! `$unwind`.

use crate::store::expression::{field_path, path_parts};
use crate::store::failure::{Failure, Result};
use crate::store::value::type_name;
use bson::{Bson, Document};
use std::sync::Arc;

/// `$unwind`: a document for each element of an array.
#[derive(Debug)]
pub(super) struct Unwind {
    path: Vec<String>,
    preserve: bool,
    index: Option<Vec<String>>,
}

impl Unwind {
    pub(super) fn parse(spec: &Bson) -> Result<Unwind> {
        let mut unwind = Unwind { path: Vec::new(), preserve: false, index: None };
        let path = match spec {
            Bson::String(path) => path,
            Bson::Document(d) => {
                for (name, value) in d {
                    unwind.option(name, value)?;
                }
                d.get_str("path").map_err(|_| Failure::new(28812, "no path specified to $unwind stage"))?
            }
            other => {
                let kind = type_name(other);
                return Err(Failure::new(
                    15981,
                    format!(
                        "expected either a string or an object as specification for $unwind stage, got {kind}"
                    ),
                ));
            }
        };
        let Some(path) = path.strip_prefix('$') else {
            return Err(Failure::new(
                28818,
                format!("path option to $unwind stage should be prefixed with a '$': {path}"),
            ));
        };
        unwind.path = path_parts(path)?;
        Ok(unwind)
    }

    fn option(&mut self, name: &str, value: &Bson) -> Result<()> {
        let expected = |code, what: &str| {
            let kind = type_name(value);
            Err(Failure::new(code, format!("expected a {what} $unwind stage, got {kind}")))
        };
        match (name, value) {
            ("path", Bson::String(_)) => {}
            ("path", _) => return expected(28808, "string as the path for"),
            ("preserveNullAndEmptyArrays", Bson::Boolean(preserve)) => self.preserve = *preserve,
            ("preserveNullAndEmptyArrays", _) => {
                return expected(28809, "boolean for the preserveNullAndEmptyArrays option to");
            }
            ("includeArrayIndex", Bson::String(index)) if index.starts_with('$') => {
                return Err(Failure::new(
                    28822,
                    format!(
                        "includeArrayIndex option to $unwind stage should not be prefixed with a '$': {index}"
                    ),
                ));
            }
            ("includeArrayIndex", Bson::String(index)) if !index.is_empty() => {
                self.index = Some(path_parts(index)?);
            }
            ("includeArrayIndex", _) => {
                return expected(28810, "non-empty string for the includeArrayIndex  option to");
            }
            _ => {
                return Err(Failure::new(28811, format!("unrecognized option to $unwind stage: {name}")));
            }
        }
        Ok(())
    }

    /// The documents it makes of one.
    pub(super) fn run(&self, document: &Arc<Document>) -> Vec<Arc<Document>> {
        match field_path(document, &self.path) {
            Some(Bson::Array(items)) if !items.is_empty() => items
                .into_iter()
                .enumerate()
                .map(|(i, item)| {
                    let mut one = (**document).clone();
                    put(&mut one, &self.path, Some(item));
                    self.number(&mut one, Bson::Int64(i64::try_from(i).unwrap_or(i64::MAX)));
                    Arc::new(one)
                })
                .collect(),
            Some(Bson::Array(_)) if self.preserve => {
                let mut one = (**document).clone();
                put(&mut one, &self.path, None);
                self.number(&mut one, Bson::Null);
                vec![Arc::new(one)]
            }
            Some(Bson::Array(_)) => Vec::new(),
            None | Some(Bson::Null | Bson::Undefined) if !self.preserve => Vec::new(),
            _ => {
                let mut one = (**document).clone();
                self.number(&mut one, Bson::Null);
                vec![Arc::new(one)]
            }
        }
    }

    fn number(&self, document: &mut Document, index: Bson) {
        if let Some(path) = &self.index {
            put(document, path, Some(index));
        }
    }
}

/// Writes, or takes away, what a path leads to.
fn put(document: &mut Document, path: &[String], value: Option<Bson>) {
    let Some((first, rest)) = path.split_first() else { return };
    match (rest.is_empty(), value) {
        (true, Some(value)) => {
            document.insert(first, value);
        }
        (true, None) => {
            document.remove(first);
        }
        (false, value) => {
            if !matches!(document.get(first), Some(Bson::Document(_))) {
                document.insert(first, Document::new());
            }
            if let Some(Bson::Document(inner)) = document.get_mut(first) {
                put(inner, rest, value);
            }
        }
    }
}
