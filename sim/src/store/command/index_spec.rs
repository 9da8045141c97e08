//! Descriptions of indexes: checked, in the form `listIndexes` gives them, compared.

use crate::store::failure::{Failure, Result};
use crate::store::query;
use crate::store::value::{Number, as_i64, identical, show_document, show_field, truthy, type_name};
use bson::{Bson, Document, doc};

/// Options of an index, in the order `listIndexes` gives them after `v`, `key` and `name`.
const OPTIONS: &[&str] = &[
    "background",
    "unique",
    "hidden",
    "sparse",
    "expireAfterSeconds",
    "partialFilterExpression",
    "collation",
    "storageEngine",
    "weights",
    "default_language",
    "language_override",
    "textIndexVersion",
    "2dsphereIndexVersion",
    "bits",
    "min",
    "max",
    "bucketSize",
    "wildcardProjection",
    "dropDups",
    "clustered",
    "prepareUnique",
];

/// Whether an index is the one every collection has.
pub(super) fn is_id(spec: &Document) -> bool {
    spec.get_document("key").is_ok_and(|k| k.len() == 1 && k.contains_key("_id"))
}

/// An index's description, checked, as `listIndexes` will give it.
pub(super) fn normalized(spec: &Document) -> Result<Document> {
    for (name, value) in spec {
        check_field(spec, name, value)?;
    }
    let missing = |name: &str| {
        wrong(spec, 9, &format!("The '{name}' field is a required property of an index specification"))
    };
    let key = spec.get_document("key").map_err(|_| missing("key"))?;
    let name = spec.get_str("name").map_err(|_| missing("name"))?;
    if name == "*" {
        return Err(Failure::new(2, "The index name '*' is not valid."));
    }
    if name.is_empty() {
        let mut shown = spec.clone();
        shown.insert("v", 2);
        return Err(wrong(&shown, 67, "index name cannot be empty"));
    }
    if is_id(spec) && key.get("_id").and_then(as_i64) != Some(1) {
        return Err(Failure::new(
            2,
            format!("The field 'key' for an _id index must be {{_id: 1}}, but got {}", show_document(key)),
        ));
    }
    let mut index = doc! { "v": 2, "key": key.clone(), "name": name };
    for option in OPTIONS {
        match (*option, spec.get(*option)) {
            (_, None) | ("dropDups", _) => {}
            // Not being unique, or hidden, is not worth a word; the others are as they were asked for.
            ("unique" | "hidden", Some(value)) if !truthy(value) => {}
            ("unique" | "sparse" | "hidden" | "background", Some(value)) => {
                index.insert(*option, truthy(value));
            }
            (_, Some(value)) => {
                index.insert(*option, value.clone());
            }
        }
    }
    Ok(index)
}

fn wrong(spec: &Document, code: i32, why: &str) -> Failure {
    Failure::new(code, format!("Error in specification {} :: caused by :: {why}", show_document(spec)))
}

fn check_field(spec: &Document, name: &str, value: &Bson) -> Result<()> {
    let wrong = |code, why: String| Err(wrong(spec, code, &why));
    match (name, value) {
        ("key", key) => check_key(key).or_else(|e| wrong(e.code, e.message)),
        ("name", Bson::String(_)) | ("v" | "ns", _) => Ok(()),
        ("name", other) => {
            wrong(14, format!("The field 'name' must be a string, but got {}", type_name(other)))
        }
        ("unique" | "sparse" | "hidden" | "background", Bson::Boolean(_)) => Ok(()),
        ("unique" | "sparse" | "hidden" | "background", value) if Number::of(value).is_none() => wrong(
            14,
            format!(
                "The field '{name} has value {}, which is not convertible to bool",
                show_field(name, value)
            ),
        ),
        ("partialFilterExpression", Bson::Document(filter)) => match query::parse(filter) {
            Ok(_) => Ok(()),
            Err(error) => wrong(error.code, error.message),
        },
        ("partialFilterExpression", other) => wrong(
            14,
            format!("The field 'partialFilterExpression' must be an object, but got {}", type_name(other)),
        ),
        (name, _) if OPTIONS.contains(&name) => Ok(()),
        _ => wrong(
            197,
            format!(
                "The field '{name}' is not valid for an index specification. Specification: {}",
                show_document(spec)
            ),
        ),
    }
}

fn check_key(key: &Bson) -> Result<()> {
    let cannot = |message: String| Err(Failure::new(67, message));
    let Bson::Document(key) = key else {
        return Err(Failure::new(
            14,
            format!("The field 'key' must be an object, but got {}", type_name(key)),
        ));
    };
    if key.is_empty() {
        return cannot("Index keys cannot be empty.".to_owned());
    }
    for (name, value) in key {
        match value {
            Bson::String(plugin) => {
                if !matches!(plugin.as_str(), "2d" | "2dsphere" | "text" | "hashed") {
                    return cannot(format!("Unknown index plugin '{plugin}'"));
                }
            }
            value => match Number::of(value) {
                Some(n) if n.is_zero() => {
                    return cannot("Values in the index key pattern cannot be 0.".to_owned());
                }
                Some(_) => {}
                None => {
                    return cannot(format!(
                        "Values in v:2 index key pattern cannot be of type {}. Only numbers > 0, numbers < 0, and strings \
                         are allowed.",
                        type_name(value)
                    ));
                }
            },
        }
        if name.is_empty() {
            return cannot("Index keys cannot be an empty field.".to_owned());
        }
    }
    Ok(())
}

/// Whether an index is there already; an error if it is, but not quite.
pub(super) fn is_same(there: &Document, wanted: &Document) -> Result<bool> {
    let field = |d: &Document, name: &str| d.get(name).cloned().unwrap_or(Bson::Null);
    let same = |name: &str| identical(&field(there, name), &field(wanted, name));
    let (name, key) = (same("name"), same("key"));
    // Not sparse is the same whether it was said or not.
    let sparse = |d: &Document| d.get_bool("sparse").unwrap_or(false);
    let options = sparse(there) == sparse(wanted)
        && ["unique", "expireAfterSeconds", "partialFilterExpression"].iter().all(|option| same(option));
    let shown = |d: &Document| {
        // Options stand before the key in what the server shows.
        let mut ordered = doc! { "v": 2 };
        let options = d.iter().filter(|(k, _)| !matches!(k.as_str(), "v" | "key" | "name"));
        ordered.extend(options.map(|(k, v)| (k.clone(), v.clone())));
        ordered.extend([("key".to_owned(), field(d, "key")), ("name".to_owned(), field(d, "name"))]);
        show_document(&ordered)
    };
    if name && !(key && options) {
        return Err(Failure::new(
            86,
            format!(
                "An existing index has the same name as the requested index. When index names are not specified, they are \
                 auto generated and can cause conflicts. Please refer to our documentation. Requested index: {}, existing \
                 index: {}",
                shown(wanted),
                shown(there)
            ),
        ));
    }
    if !name && key && same("partialFilterExpression") {
        if options {
            let name = there.get_str("name").unwrap_or_default();
            return Err(Failure::new(85, format!("Index already exists with a different name: {name}")));
        }
        return Err(Failure::new(
            85,
            format!(
                "An equivalent index already exists with a different name and options. Requested index: {}, existing index: \
                 {}",
                shown(wanted),
                shown(there)
            ),
        ));
    }
    Ok(name)
}
