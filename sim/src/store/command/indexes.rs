//! `createIndexes`, `dropIndexes`.

use super::listing::id_index;
use super::namespace::{full, of_command, writable};
use super::shape::{Field, Kind, check, present};
use super::{Outcome, Run};
use crate::oplog::{Change, Namespace};
use crate::store::call::{Parked, WaitFor};
use crate::store::data::{Collection, View};
use crate::store::failure::{Failure, Result};
use crate::store::query;
use crate::store::value::{Number, identical, show_document, show_field, truthy, type_name};
use bson::{Bson, Document, doc};

const CREATE: &[Field] = &[
    ("indexes", Kind::Objects, true),
    ("commitQuorum", Kind::Any, false),
    ("ignoreUnknownIndexOptions", Kind::SafeBool, false),
    ("v", Kind::Any, false),
    ("isTimeseriesNamespace", Kind::SafeBool, false),
];

const DROP: &[Field] = &[("index", Kind::Any, true), ("isTimeseriesNamespace", Kind::SafeBool, false)];

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

/// The fields of `createIndexes`.
pub(super) fn create_shape(body: &Document) -> Result<()> {
    check("createIndexes", body, CREATE, true)
}

/// The fields of `dropIndexes`.
pub(super) fn drop_shape(body: &Document) -> Result<()> {
    check("dropIndexes", body, DROP, true)
}

impl Run<'_> {
    /// `createIndexes`.
    pub(super) fn create_indexes(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        self.refuse_committed()?;
        let ns = of_command(self.db, body)?;
        writable(&ns)?;
        let given = body.get_array("indexes").map_or(&[] as &[Bson], Vec::as_slice);
        if given.is_empty() {
            return Err(Failure::new(2, "Must specify at least one index to create"));
        }
        let specs: Vec<Document> =
            given.iter().filter_map(Bson::as_document).map(normalized).collect::<Result<_>>()?;
        let existing = match self.store.data.current(&ns, self.txn) {
            Err(e) if self.txn.is_none() && e.code == 112 => {
                return Ok(Outcome::Wait(WaitFor::Transaction, parked));
            }
            other => other?.map(|(_, c)| c),
        };
        if self.txn.is_some() && existing.is_some_and(|c| c.maker() != self.txn) {
            return Err(Failure::new(
                263,
                format!(
                    "Cannot create new indexes on existing collection {} in a multi-document transaction.",
                    full(&ns)
                ),
            ));
        }
        let automatically = existing.is_none();
        let before = 1 + existing.map_or(0, |c| c.indexes().len());
        let new = match existing {
            Some(collection) => {
                let new = new_ones(collection, &specs)?;
                check_among(collection, &new).map_err(|e| self.build_failed(&ns, collection, e))?;
                new
            }
            None => specs.into_iter().filter(|s| !is_id(s)).collect(),
        };
        if let Some(collection) = existing {
            if self.txn.is_none() && !new.is_empty() && collection.held() {
                return Ok(Outcome::Wait(WaitFor::Transaction, parked));
            }
            for spec in &new {
                collection.check_index(spec).map_err(|e| self.build_failed(&ns, collection, e))?;
            }
        }
        if automatically {
            self.ensure(&ns)?;
        }
        let after = before + new.len();
        let note = new.is_empty() && !automatically;
        for index in new {
            self.commit(vec![Change::CreateIndex { ns: ns.clone(), index }], None);
        }
        let mut reply = doc! { "numIndexesBefore": number(before), "numIndexesAfter": number(after) };
        if note {
            reply.insert("note", "all indexes already exist");
        } else {
            reply.insert("createdCollectionAutomatically", automatically);
            let quorum = present(body, "commitQuorum").cloned();
            reply.insert("commitQuorum", quorum.unwrap_or_else(|| Bson::from("votingMembers")));
        }
        Ok(reply.into())
    }

    /// A build that found what must not be.
    fn build_failed(&self, ns: &Namespace, collection: &Collection, e: Failure) -> Failure {
        use crate::store::value::show::uuid_text;
        // The build's own UUID is nobody's business here: any will do, this one repeats itself.
        let build = uuid_text(&quorate_core::Rng::new(self.now as u64).uuid_v4());
        let reason = if collection.totals().0 == 0 {
            format!("index build on empty collection failed: {build} :: caused by :: {}", e.message)
        } else {
            e.message
        };
        let message = format!(
            "Index build failed: {build}: Collection {} ( {} ) :: caused by :: {}",
            full(ns),
            uuid_text(&collection.uuid),
            reason
        );
        Failure { message, ..e }
    }

    /// `dropIndexes`.
    pub(super) fn drop_indexes(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        let which = body.get("index").unwrap_or(&Bson::Null);
        if !matches!(which, Bson::String(_) | Bson::Document(_) | Bson::Array(_)) {
            return Err(super::shape::wrong_type("dropIndexes", "index", which, "types '[string, object']"));
        }
        let ns = of_command(self.db, body)?;
        let Some((_, collection)) = self.store.data.find(&ns, View::LATEST) else {
            return Err(Failure::new(26, format!("ns not found {}", full(&ns))));
        };
        if collection.held() {
            return Ok(Outcome::Wait(WaitFor::Transaction, parked));
        }
        let names = to_drop(collection, which)?;
        let mut reply = doc! { "nIndexesWas": number(1 + collection.indexes().len()) };
        if *which == Bson::String("*".to_owned()) {
            reply.insert("msg", "non-_id indexes dropped for collection");
        }
        for name in names {
            self.commit(vec![Change::DropIndex { ns: ns.clone(), name }], None);
        }
        Ok(reply.into())
    }
}

fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn is_id(spec: &Document) -> bool {
    spec.get_document("key").is_ok_and(|k| k.len() == 1 && k.contains_key("_id"))
}

/// An index's description, checked, as `listIndexes` will give it.
fn normalized(spec: &Document) -> Result<Document> {
    let wrong = |code, why: &str| {
        Failure::new(code, format!("Error in specification {} :: caused by :: {why}", show_document(spec)))
    };
    let missing = |name: &str| {
        wrong(9, &format!("The '{name}' field is a required property of an index specification"))
    };
    for (name, value) in spec {
        match name.as_str() {
            "key" => check_key(value).map_err(|e| wrong(e.code, &e.message))?,
            "name" if !matches!(value, Bson::String(_)) => {
                return Err(wrong(
                    14,
                    &format!("The field 'name' must be a string, but got {}", type_name(value)),
                ));
            }
            "name" | "v" | "ns" => {}
            "unique" | "sparse" | "hidden" | "background" => {
                if Number::of(value).is_none() && !matches!(value, Bson::Boolean(_)) {
                    return Err(wrong(
                        14,
                        &format!(
                            "The field '{name} has value {}, which is not convertible to bool",
                            show_field(name, value)
                        ),
                    ));
                }
            }
            "partialFilterExpression" => match value {
                Bson::Document(d) => {
                    query::parse(d)?;
                }
                other => {
                    let kind = type_name(other);
                    return Err(wrong(
                        14,
                        &format!("The field 'partialFilterExpression' must be an object, but got {kind}"),
                    ));
                }
            },
            name if OPTIONS.contains(&name) => {}
            _ => {
                return Err(wrong(
                    197,
                    &format!(
                        "The field '{name}' is not valid for an index specification. Specification: {}",
                        show_document(spec)
                    ),
                ));
            }
        }
    }
    let key = spec.get_document("key").map_err(|_| missing("key"))?;
    let name = spec.get_str("name").map_err(|_| missing("name"))?;
    if name == "*" {
        return Err(Failure::new(2, "The index name '*' is not valid."));
    }
    if name.is_empty() {
        let mut shown = spec.clone();
        shown.insert("v", 2);
        return Err(Failure::new(
            67,
            format!(
                "Error in specification {} :: caused by :: index name cannot be empty",
                show_document(&shown)
            ),
        ));
    }
    if is_id(spec) && key.get("_id").and_then(crate::store::value::as_i64) != Some(1) {
        return Err(Failure::new(
            2,
            format!("The field 'key' for an _id index must be {{_id: 1}}, but got {}", show_document(key)),
        ));
    }
    let mut index = doc! { "v": 2, "key": key.clone(), "name": name };
    for option in OPTIONS {
        match (*option, spec.get(*option)) {
            (_, None) | ("dropDups", _) => {}
            ("unique" | "sparse" | "hidden" | "background", Some(value)) => {
                if truthy(value) {
                    index.insert(*option, true);
                }
            }
            (_, Some(value)) => {
                index.insert(*option, value.clone());
            }
        }
    }
    Ok(index)
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

/// Those that are not there yet. Fails where one is in the way.
fn new_ones(collection: &Collection, specs: &[Document]) -> Result<Vec<Document>> {
    let mut new: Vec<Document> = Vec::new();
    for spec in specs.iter().filter(|s| !is_id(s)) {
        let mut same = false;
        for index in collection.indexes() {
            same |= is_same(&index.spec, spec)?;
        }
        if !same {
            new.push(spec.clone());
        }
    }
    Ok(new)
}

/// No two of those asked for may be the same, nor be in each other's way.
fn check_among(collection: &Collection, new: &[Document]) -> Result<()> {
    for (i, spec) in new.iter().enumerate() {
        for other in new.iter().take(i) {
            if !is_same(other, spec)? {
                continue;
            }
            return Err(if collection.totals().0 == 0 {
                let name = spec.get_str("name").unwrap_or_default();
                Failure::new(68, format!("Identical index already exists: {name}"))
            } else {
                Failure::new(96, "Cannot build two identical indexes. Try again without duplicate indexes.")
            });
        }
    }
    Ok(())
}

/// Whether an index is there already; an error if it is, but not quite.
fn is_same(there: &Document, wanted: &Document) -> Result<bool> {
    let field = |d: &Document, name: &str| d.get(name).cloned().unwrap_or(Bson::Null);
    let same = |name: &str| identical(&field(there, name), &field(wanted, name));
    let (name, key) = (same("name"), same("key"));
    let options =
        ["unique", "sparse", "expireAfterSeconds", "partialFilterExpression"].iter().all(|o| same(o));
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

/// The names of the indexes that are meant.
fn to_drop(collection: &Collection, which: &Bson) -> Result<Vec<String>> {
    let protected = || Failure::new(72, "cannot drop _id index");
    let missing = |name: &str| Failure::new(27, format!("index not found with name [{name}]"));
    let has = |name: &str| collection.indexes().iter().any(|i| i.name() == name);
    let by_name = |name: &str| match name {
        "_id_" => Err(protected()),
        name if has(name) => Ok(name.to_owned()),
        name => Err(missing(name)),
    };
    match which {
        Bson::String(all) if all == "*" => {
            Ok(collection.indexes().iter().map(|i| i.name().to_owned()).collect())
        }
        Bson::String(name) => by_name(name).map(|name| vec![name]),
        Bson::Document(key)
            if identical(&Bson::Document(key.clone()), &id_index().remove("key").unwrap_or(Bson::Null)) =>
        {
            Err(protected())
        }
        Bson::Document(key) => {
            let found = collection
                .indexes()
                .iter()
                .find(|i| i.key().is_some_and(|k| crate::store::value::identical_documents(k, key)));
            match found {
                Some(index) => Ok(vec![index.name().to_owned()]),
                None => Err(Failure::new(27, format!("can't find index with key: {}", show_document(key)))),
            }
        }
        Bson::Array(names) => names
            .iter()
            .map(|name| match name {
                Bson::String(name) => by_name(name),
                _ => Err(super::shape::wrong_type("dropIndexes", "index", which, "types '[string']")),
            })
            .collect(),
        _ => Ok(Vec::new()),
    }
}
