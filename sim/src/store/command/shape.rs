//! The shapes of commands: which fields each has, of which types, and the server's words for what is wrong with them.

use crate::store::failure::{Failure, Result};
use crate::store::value::{Number, as_i64, truthy, type_name};
use bson::{Bson, Document};

/// What a field may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// The same, or a number that stands for it.
    SafeBool,
    /// A number.
    Number,
    /// A number that is not negative.
    Count,
    /// A number that is one at least.
    Positive,
    /// A 64-bit integer.
    Long,
    /// Text.
    Text,
    /// A document.
    Object,
    /// An array.
    Array,
    /// An array of documents.
    Objects,
    /// An array of 64-bit integers.
    Longs,
    /// Text or a document, to name an index.
    Hint,
    /// A document, where `find` says so in its own words: it takes no null either.
    FindObject,
    /// A boolean, where `find` says so in its own words.
    FindBool,
}

/// One field: name, what it may hold, whether it must be there.
pub(super) type Field = (&'static str, Kind, bool);

/// Arguments that every command takes; who reads them checks them.
const GENERIC: &[&str] = &[
    "$audit",
    "$client",
    "$clusterTime",
    "$configServerState",
    "$configTime",
    "$db",
    "$oplogQueryData",
    "$queryOptions",
    "$readPreference",
    "$replData",
    "$topologyTime",
    "allowImplicitCollectionCreation",
    "apiDeprecationErrors",
    "apiStrict",
    "apiVersion",
    "autocommit",
    "comment",
    "coordinator",
    "databaseVersion",
    "help",
    "lsid",
    "maxTimeMS",
    "maxTimeMSOpOnly",
    "mayBypassWriteBlocking",
    "readConcern",
    "shardVersion",
    "startTransaction",
    "tracking_info",
    "txnNumber",
    "txnRetryCounter",
    "writeConcern",
];

/// Checks a command's body, or a part of it, whose name for errors is `owner`.
pub(super) fn check(owner: &str, body: &Document, fields: &[Field], skip_first: bool) -> Result<()> {
    for (name, value) in body.iter().skip(usize::from(skip_first)) {
        match fields.iter().find(|(n, ..)| n == name) {
            Some((_, kind, required)) => {
                let absent = matches!(value, Bson::Null | Bson::Undefined);
                if *required || *kind == Kind::FindObject || !absent {
                    check_value(owner, name, value, *kind)?;
                }
            }
            None if skip_first && GENERIC.contains(&name.as_str()) => {}
            None => {
                return Err(Failure::new(40415, format!("BSON field '{owner}.{name}' is an unknown field.")));
            }
        }
    }
    match fields.iter().find(|(name, _, required)| *required && !body.contains_key(name)) {
        None => Ok(()),
        Some((name, ..)) => {
            Err(Failure::new(40414, format!("BSON field '{owner}.{name}' is missing but a required field")))
        }
    }
}

fn check_value(owner: &str, name: &str, value: &Bson, kind: Kind) -> Result<()> {
    let wrong = |expected: &str| Err(wrong_type(owner, name, value, expected));
    let number = Number::of(value).is_some();
    match kind {
        Kind::Any => Ok(()),
        Kind::Bool if matches!(value, Bson::Boolean(_)) => Ok(()),
        Kind::Bool => wrong("type 'bool'"),
        Kind::SafeBool if number || matches!(value, Bson::Boolean(_)) => Ok(()),
        Kind::SafeBool => wrong("types '[bool, long, int, decimal, double']"),
        Kind::Number | Kind::Count | Kind::Positive if !number => {
            wrong("types '[long, int, decimal, double']")
        }
        Kind::Count | Kind::Positive => {
            let least = i64::from(kind == Kind::Positive);
            match as_i64(value) {
                Some(n) if n < least => Err(Failure::new(
                    51024,
                    format!("BSON field '{name}' value must be >= {least}, actual value '{n}'"),
                )),
                _ => Ok(()),
            }
        }
        Kind::Number => Ok(()),
        Kind::Long if matches!(value, Bson::Int64(_)) => Ok(()),
        Kind::Long => wrong("type 'long'"),
        Kind::Text if matches!(value, Bson::String(_)) => Ok(()),
        Kind::Text => wrong("type 'string'"),
        Kind::Object if matches!(value, Bson::Document(_)) => Ok(()),
        Kind::Object => wrong("type 'object'"),
        Kind::Hint if matches!(value, Bson::Document(_) | Bson::String(_)) => Ok(()),
        Kind::Hint => Err(Failure::new(9, "Hint must be a string or an object")),
        Kind::Objects if *value == Bson::Null => {
            Err(Failure::new(10065, format!("invalid parameter: expected an object ({name})")))
        }
        Kind::Array | Kind::Objects | Kind::Longs => match value {
            Bson::Array(items) => check_items(owner, name, items, kind),
            _ => wrong("type 'array'"),
        },
        Kind::FindObject if matches!(value, Bson::Document(_)) => Ok(()),
        Kind::FindObject => Err(Failure::new(14, format!("Expected field {name}to be of type object"))),
        Kind::FindBool if number || matches!(value, Bson::Boolean(_)) => Ok(()),
        Kind::FindBool => Err(Failure::new(
            14,
            format!("Field '{name}' should be a boolean value, but found: {}", type_name(value)),
        )),
    }
}

fn check_items(owner: &str, name: &str, items: &[Bson], kind: Kind) -> Result<()> {
    for (i, item) in items.iter().enumerate() {
        let expected = match (kind, item) {
            (Kind::Array, _) | (Kind::Objects, Bson::Document(_)) | (Kind::Longs, Bson::Int64(_)) => continue,
            (Kind::Objects, _) => "type 'object'",
            _ => "type 'long'",
        };
        return Err(wrong_type(owner, &format!("{name}.{i}"), item, expected));
    }
    Ok(())
}

/// A field of the wrong type.
pub(super) fn wrong_type(owner: &str, name: &str, value: &Bson, expected: &str) -> Failure {
    let got = type_name(value);
    Failure::new(14, format!("BSON field '{owner}.{name}' is the wrong type '{got}', expected {expected}"))
}

/// A field that is there and not null.
pub(super) fn present<'b>(body: &'b Document, name: &str) -> Option<&'b Bson> {
    body.get(name).filter(|v| !matches!(v, Bson::Null | Bson::Undefined))
}

/// A checked document.
pub(super) fn object<'b>(body: &'b Document, name: &str) -> Option<&'b Document> {
    present(body, name).and_then(Bson::as_document)
}

/// A checked boolean.
pub(super) fn flag(body: &Document, name: &str, default: bool) -> bool {
    present(body, name).map_or(default, truthy)
}

/// A checked number.
pub(super) fn count(body: &Document, name: &str) -> Option<i64> {
    present(body, name).and_then(as_i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    const FIELDS: &[Field] = &[("a", Kind::SafeBool, true), ("n", Kind::Count, false)];

    fn error(body: Document) -> String {
        check("cmd", &body, FIELDS, true).unwrap_err().message
    }

    #[test]
    fn the_servers_words() {
        assert_eq!(check("cmd", &doc! { "cmd": 1, "a": 1, "n": null, "lsid": {} }, FIELDS, true), Ok(()));
        assert_eq!(error(doc! { "cmd": 1 }), "BSON field 'cmd.a' is missing but a required field");
        assert_eq!(error(doc! { "cmd": 1, "x": 1 }), "BSON field 'cmd.x' is an unknown field.");
        assert_eq!(
            error(doc! { "cmd": 1, "a": "x" }),
            "BSON field 'cmd.a' is the wrong type 'string', expected types '[bool, long, int, decimal, double']"
        );
        assert_eq!(error(doc! { "cmd": 1, "n": -1 }), "BSON field 'n' value must be >= 0, actual value '-1'");
    }
}
