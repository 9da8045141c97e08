//! `createIndexes`, `dropIndexes`.

use super::index_spec::{is_id, is_same, normalized};
use super::listing::id_index;
use super::namespace::{full, of_command, writable};
use super::shape::{Field, Kind, check, present};
use super::{Outcome, Run};
use crate::oplog::{Change, Namespace};
use crate::store::call::{Parked, WaitFor};
use crate::store::data::{Collection, View};
use crate::store::failure::{Failure, Result};
use crate::store::value::{identical, show_document};
use bson::{Bson, Document, doc};

const CREATE: &[Field] = &[
    ("indexes", Kind::Objects, true),
    ("commitQuorum", Kind::Any, false),
    ("ignoreUnknownIndexOptions", Kind::SafeBool, false),
    ("v", Kind::Any, false),
    ("isTimeseriesNamespace", Kind::SafeBool, false),
];

const DROP: &[Field] = &[("index", Kind::Any, true), ("isTimeseriesNamespace", Kind::SafeBool, false)];

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
            Some(collection) => self.checked(&ns, collection, &specs)?,
            None => specs.into_iter().filter(|s| !is_id(s)).collect(),
        };
        if self.txn.is_none() && !new.is_empty() && existing.is_some_and(Collection::held) {
            return Ok(Outcome::Wait(WaitFor::Transaction, parked));
        }
        if automatically {
            self.ensure(&ns)?;
        }
        let mut reply =
            doc! { "numIndexesBefore": number(before), "numIndexesAfter": number(before + new.len()) };
        if new.is_empty() && !automatically {
            reply.insert("note", "all indexes already exist");
        } else {
            reply.insert("createdCollectionAutomatically", automatically);
            let quorum = present(body, "commitQuorum").cloned();
            reply.insert("commitQuorum", quorum.unwrap_or_else(|| Bson::from("votingMembers")));
        }
        for index in new {
            self.commit(vec![Change::CreateIndex { ns: ns.clone(), index }], None);
        }
        Ok(reply.into())
    }

    /// Those that are to be made, if they can be.
    fn checked(&self, ns: &Namespace, collection: &Collection, specs: &[Document]) -> Result<Vec<Document>> {
        let new = new_ones(collection, specs)?;
        check_among(collection, &new)
            .and_then(|()| new.iter().try_for_each(|spec| collection.check_index(spec)))
            .map_err(|e| self.build_failed(ns, collection, e))?;
        Ok(new)
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
