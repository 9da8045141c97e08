//! `listCollections`, `listDatabases`, `listIndexes`, `collStats`, `dbStats`.

use super::cursor::{Cursor, Rest};
use super::namespace::{full, of_command};
use super::shape::{Field, Kind, check, count, flag, object};
use super::{Outcome, Run};
use crate::oplog::Namespace;
use crate::store::call::Parked;
use crate::store::data::{Collection, View};
use crate::store::failure::{Failure, Result};
use crate::store::query;
use crate::store::value::document_size;
use bson::{Binary, Bson, Document, doc, spec::BinarySubtype};
use std::collections::BTreeMap;
use std::sync::Arc;

const COLLECTIONS: &[Field] = &[
    ("cursor", Kind::Object, false),
    ("filter", Kind::Object, false),
    ("nameOnly", Kind::SafeBool, false),
    ("authorizedCollections", Kind::SafeBool, false),
];

const DATABASES: &[Field] = &[
    ("nameOnly", Kind::SafeBool, false),
    ("filter", Kind::Object, false),
    ("authorizedDatabases", Kind::SafeBool, false),
];

const INDEXES: &[Field] = &[
    ("cursor", Kind::Object, false),
    ("includeBuildUUIDs", Kind::SafeBool, false),
    ("includeIndexBuildInfo", Kind::SafeBool, false),
];

/// The index every collection has.
pub(super) fn id_index() -> Document {
    doc! { "v": 2, "key": { "_id": 1 }, "name": "_id_" }
}

/// The fields of `listCollections`.
pub(super) fn collections_shape(body: &Document) -> Result<()> {
    check("listCollections", body, COLLECTIONS, true)
}

/// The fields of `listIndexes`.
pub(super) fn indexes_shape(body: &Document) -> Result<()> {
    check("listIndexes", body, INDEXES, true)
}

/// The fields of `listDatabases`.
pub(super) fn databases_shape(body: &Document) -> Result<()> {
    check("listDatabases", body, DATABASES, true)
}

/// The fields of `collStats`.
pub(super) fn coll_stats_shape(body: &Document) -> Result<()> {
    let fields = [("scale", Kind::Number, false), ("waitForLock", Kind::SafeBool, false)];
    check("collStats", body, &fields, true)
}

/// The fields of `dbStats`.
pub(super) fn db_stats_shape(body: &Document) -> Result<()> {
    check("dbStats", body, &[("scale", Kind::Number, false), ("freeStorage", Kind::Number, false)], true)
}

impl Run<'_> {
    /// `listCollections`.
    pub(super) fn list_collections(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        let empty = Document::new();
        let filter = query::parse(object(body, "filter").unwrap_or(&empty))?;
        let name_only = flag(body, "nameOnly", false);
        let listed: Vec<Arc<Document>> = self
            .store
            .data
            .database(self.db, self.view)
            .map(|c| {
                if name_only {
                    doc! { "name": &c.ns.coll, "type": "collection" }
                } else {
                    describe(c)
                }
            })
            .filter(|d| filter.matches(d))
            .map(Arc::new)
            .collect();
        let ns = Namespace { db: self.db.to_owned(), coll: "$cmd.listCollections".to_owned() };
        self.listed(ns, listed, body)
    }

    /// `listIndexes`.
    pub(super) fn list_indexes(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        let ns = of_command(self.db, body)?;
        let Some((_, collection)) = self.store.data.find(&ns, self.view) else {
            return Err(Failure::new(26, format!("ns does not exist: {}", full(&ns))));
        };
        let specs = collection.indexes().iter().map(|i| i.spec.clone());
        let listed = std::iter::once(id_index()).chain(specs).map(Arc::new).collect();
        self.listed(ns, listed, body)
    }

    fn listed(&mut self, ns: Namespace, listed: Vec<Arc<Document>>, body: &Document) -> Result<Outcome> {
        let batch = match object(body, "cursor") {
            Some(cursor) => {
                check("cursor", cursor, &[("batchSize", Kind::Count, false)], false)?;
                count(cursor, "batchSize")
            }
            None => None,
        };
        let rest = Rest::Documents { documents: listed.into(), ends: true };
        let cursor = Cursor::new(self, ns, rest, None, false);
        self.first_batch(cursor, Some(batch.unwrap_or(i64::from(u32::MAX))), false).map(Outcome::Done)
    }

    /// `listDatabases`.
    pub(super) fn list_databases(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        let empty = Document::new();
        let filter = query::parse(object(body, "filter").unwrap_or(&empty))?;
        let mut sizes: BTreeMap<&str, i64> = BTreeMap::new();
        for collection in self.store.data.all(self.view) {
            *sizes.entry(&collection.ns.db).or_default() += disk_size(collection);
        }
        let name_only = flag(body, "nameOnly", false);
        let mut total = 0;
        let mut databases = Vec::new();
        for (name, size) in sizes {
            let described = doc! { "name": name, "sizeOnDisk": size, "empty": false };
            if !filter.matches(&described) {
                continue;
            }
            total += size;
            databases.push(Bson::Document(if name_only {
                doc! { "name": name }
            } else {
                described
            }));
        }
        let mut reply = doc! { "databases": databases };
        if !name_only {
            reply.extend(doc! { "totalSize": total, "totalSizeMb": total / (1024 * 1024) });
        }
        Ok(reply.into())
    }

    /// `collStats`: what can be said without a storage engine.
    pub(super) fn coll_stats(&mut self, parked: Parked) -> Result<Outcome> {
        let ns = of_command(self.db, &parked.body)?;
        let Some((_, collection)) = self.store.data.find(&ns, View::LATEST) else {
            return Ok(doc! {
                "ns": full(&ns), "size": 0, "count": 0, "numOrphanDocs": 0, "storageSize": 0, "totalSize": 0,
                "nindexes": 0, "totalIndexSize": 0, "indexDetails": {}, "indexSizes": {}, "scaleFactor": 1,
            }
            .into());
        };
        let (live, _) = collection.totals();
        let size = bytes(collection);
        let names = collection.indexes().iter().map(|i| i.name().to_owned());
        let sizes: Document =
            std::iter::once("_id_".to_owned()).chain(names).map(|name| (name, Bson::Int32(PAGE))).collect();
        let index_size = PAGE.saturating_mul(i32::try_from(sizes.len()).unwrap_or(i32::MAX));
        let mut reply = doc! { "ns": full(&ns), "size": small(size), "count": small(live) };
        if live > 0 {
            reply.insert("avgObjSize", small(size / live));
        }
        reply.extend(doc! {
            "numOrphanDocs": 0, "storageSize": PAGE, "freeStorageSize": 0, "capped": collection.is_capped(),
        });
        if collection.is_capped() {
            reply.insert("max", collection.options.get("max").cloned().unwrap_or(Bson::Int32(0)));
            reply.insert("maxSize", collection.options.get("size").cloned());
        }
        reply.extend(doc! {
            "nindexes": small(sizes.len() as i64), "indexBuilds": [], "totalIndexSize": index_size,
            "totalSize": index_size.saturating_add(PAGE), "indexSizes": sizes, "scaleFactor": 1,
        });
        Ok(reply.into())
    }

    /// `dbStats`: likewise.
    pub(super) fn db_stats(&mut self, _: Parked) -> Result<Outcome> {
        let (mut collections, mut objects, mut size, mut indexes) = (0_i64, 0_i64, 0_i64, 0_i64);
        for collection in self.store.data.database(self.db, View::LATEST) {
            collections += 1;
            objects += collection.totals().0;
            size += bytes(collection);
            indexes += 1 + collection.indexes().len() as i64;
        }
        let page = i64::from(PAGE);
        let average = if objects == 0 { 0.0 } else { size as f64 / objects as f64 };
        Ok(doc! {
            "db": self.db, "collections": collections, "views": 0_i64, "objects": objects, "avgObjSize": average,
            "dataSize": size as f64, "storageSize": (collections * page) as f64, "indexes": indexes,
            "indexSize": (indexes * page) as f64, "totalSize": ((collections + indexes) * page) as f64, "scaleFactor": 1.0,
        }
        .into())
    }
}

/// What a table takes on disk, at the least.
const PAGE: i32 = 4096;

fn small(n: i64) -> Bson {
    i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32)
}

fn bytes(collection: &Collection) -> i64 {
    collection.after(0, View::LATEST).map(|(_, d)| document_size(d) as i64).sum()
}

fn disk_size(collection: &Collection) -> i64 {
    i64::from(PAGE) * (2 + collection.indexes().len() as i64)
}

fn describe(collection: &Collection) -> Document {
    let uuid = Binary { subtype: BinarySubtype::Uuid, bytes: collection.uuid.to_vec() };
    doc! {
        "name": &collection.ns.coll,
        "type": "collection",
        "options": collection.options.clone(),
        "info": { "readOnly": false, "uuid": uuid },
        "idIndex": id_index(),
    }
}
