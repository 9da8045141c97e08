//! `create`, `drop`, `dropDatabase`.

use super::namespace::{full, of_command, writable};
use super::shape::{Field, Kind, check, flag, present};
use super::{Outcome, Run};
use crate::oplog::{Change, Namespace};
use crate::store::call::{Parked, WaitFor};
use crate::store::data::View;
use crate::store::failure::{Failure, Result};
use crate::store::query::unsupported;
use crate::store::value::{as_i64, identical};
use bson::{Bson, Document, doc};

const CREATE: &[Field] = &[
    ("capped", Kind::SafeBool, false),
    ("autoIndexId", Kind::SafeBool, false),
    ("idIndex", Kind::Object, false),
    ("size", Kind::Positive, false),
    ("max", Kind::Number, false),
    ("storageEngine", Kind::Object, false),
    ("validator", Kind::Object, false),
    ("validationLevel", Kind::Text, false),
    ("validationAction", Kind::Text, false),
    ("indexOptionDefaults", Kind::Object, false),
    ("viewOn", Kind::Text, false),
    ("pipeline", Kind::Array, false),
    ("collation", Kind::Object, false),
    ("recordPreImages", Kind::SafeBool, false),
    ("changeStreamPreAndPostImages", Kind::Object, false),
    ("timeseries", Kind::Object, false),
    ("clusteredIndex", Kind::Any, false),
    ("expireAfterSeconds", Kind::Any, false),
    ("encryptedFields", Kind::Object, false),
    ("temp", Kind::SafeBool, false),
];

/// The fields of `create`.
pub(super) fn create_shape(body: &Document) -> Result<()> {
    check("create", body, CREATE, true)
}

/// The fields of `drop`.
pub(super) fn drop_shape(body: &Document) -> Result<()> {
    check("drop", body, &[("collectionUUID", Kind::Any, false)], true)
}

/// The fields of `dropDatabase`.
pub(super) fn drop_database_shape(body: &Document) -> Result<()> {
    let value = body.values().next().unwrap_or(&Bson::Null);
    let Some(number) = as_i64(value) else {
        let expected = "types '[long, int, decimal, double']";
        return Err(super::shape::wrong_type("dropDatabase", "dropDatabase", value, expected));
    };
    check("dropDatabase", body, &[], true)?;
    if number != 1 {
        return Err(Failure::new(5_255_100, "Have to pass 1 as 'drop' parameter"));
    }
    Ok(())
}

impl Run<'_> {
    /// `create`.
    pub(super) fn create(&mut self, parked: Parked) -> Result<Outcome> {
        let body = &parked.body;
        self.refuse_committed()?;
        let ns = of_command(self.db, body)?;
        let options = options(&ns, body)?;
        writable(&ns)?;
        let existing = match self.store.data.current(&ns, self.txn) {
            Err(e) if self.txn.is_none() && e.code == 112 => {
                return Ok(Outcome::Wait(WaitFor::Transaction, parked));
            }
            other => other?.map(|(_, c)| c.options.clone()),
        };
        if let Some(there) = existing {
            // In a transaction, a collection with the same options will do.
            let same = identical(&Bson::Document(there), &Bson::Document(options));
            if same && self.txn.is_some() {
                return Ok(Document::new().into());
            }
            return Err(Failure::new(48, format!("Collection {} already exists.", full(&ns))));
        }
        self.check_case(&ns)?;
        self.commit(vec![Change::Create { ns, options }], None);
        Ok(Document::new().into())
    }

    /// `drop`.
    pub(super) fn drop_collection(&mut self, parked: Parked) -> Result<Outcome> {
        let ns = of_command(self.db, &parked.body)?;
        let Some((_, collection)) = self.store.data.find(&ns, View::LATEST) else {
            return Err(Failure::new(26, "ns not found"));
        };
        if collection.held() {
            return Ok(Outcome::Wait(WaitFor::Transaction, parked));
        }
        let indexes = i32::try_from(collection.indexes().len()).unwrap_or(i32::MAX).saturating_add(1);
        let name = full(&ns);
        self.commit(vec![Change::Drop { ns }], None);
        Ok(doc! { "nIndexesWas": indexes, "ns": name }.into())
    }

    /// `dropDatabase`.
    pub(super) fn drop_database(&mut self, parked: Parked) -> Result<Outcome> {
        if matches!(self.db, "admin" | "local" | "config") {
            return Err(Failure::new(
                20,
                format!("Cannot drop '{}' database while replication is active", self.db),
            ));
        }
        let collections: Vec<Namespace> = {
            let mut found = Vec::new();
            for collection in self.store.data.database(self.db, View::LATEST) {
                if collection.held() {
                    return Ok(Outcome::Wait(WaitFor::Transaction, parked));
                }
                found.push(collection.ns.clone());
            }
            found
        };
        for ns in collections {
            self.commit(vec![Change::Drop { ns }], None);
        }
        Ok(Document::new().into())
    }
}

/// What is kept of the options, in the order `listCollections` gives them.
fn options(ns: &Namespace, body: &Document) -> Result<Document> {
    for name in ["viewOn", "timeseries", "clusteredIndex", "encryptedFields"] {
        if present(body, name).is_some() {
            return Err(unsupported(&format!("{name} of create")));
        }
    }
    super::find::refuse_collation(body)?;
    let refuse = |code, message: String| Err(Failure::new(code, message));
    let capped = flag(body, "capped", false);
    let size = present(body, "size").and_then(as_i64);
    let max = present(body, "max").and_then(as_i64);
    if present(body, "temp").is_some() {
        return refuse(72, "the 'temp' field is an invalid option".to_owned());
    }
    if capped && size.is_none() {
        return refuse(72, "the 'size' field is required when 'capped' is true".to_owned());
    }
    if !capped && (size.is_some() || max.is_some()) {
        return refuse(
            72,
            "the 'capped' field needs to be true when either the 'size' or 'max' fields are present"
                .to_owned(),
        );
    }
    if present(body, "autoIndexId").is_some() && !flag(body, "autoIndexId", true) {
        let name = full(ns);
        return refuse(
            50001,
            format!("autoIndexId:false is not allowed for collection {name} because it can be replicated"),
        );
    }
    if present(body, "expireAfterSeconds").is_some() {
        return refuse(
            72,
            "'expireAfterSeconds' is only supported on time-series collections or when the 'clusteredIndex' option is \
             specified"
                .to_owned(),
        );
    }
    let mut options = Document::new();
    if capped {
        options.insert("capped", true);
        // Rounded up to a multiple of 256 bytes.
        options.insert("size", small(size.unwrap_or(0).max(1).saturating_add(255) / 256 * 256));
        if let Some(max) = max {
            // None is as many as there can be.
            options.insert("max", small(if max > 0 { max } else { i64::from(i32::MAX) }));
        }
    }
    for name in
        ["changeStreamPreAndPostImages", "storageEngine", "validator", "validationLevel", "validationAction"]
    {
        if let Some(value) = present(body, name) {
            options.insert(name, value.clone());
        }
    }
    Ok(options)
}

/// A number as the catalog keeps it: 32 bits where they do.
fn small(n: i64) -> Bson {
    i32::try_from(n).map_or(Bson::Int64(n), Bson::Int32)
}
