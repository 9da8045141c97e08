//! What a collection handle carries, and types that several operations share.

use super::{ReadConcern, SelectionCriteria, WriteConcern};
use bson::{Bson, Document};
use serde::{Deserialize, Serialize};
use typed_builder::TypedBuilder;

/// What a collection handle does differently from its database.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct CollectionOptions {
    /// Which servers reads may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// The read concern of reads.
    pub read_concern: Option<ReadConcern>,
    /// The write concern of writes.
    pub write_concern: Option<WriteConcern>,
}

/// An index named to the query planner: use this one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Hint {
    /// By its keys.
    Keys(Document),
    /// By its name.
    Name(String),
}

impl From<Hint> for Bson {
    fn from(hint: Hint) -> Self {
        match hint {
            Hint::Keys(keys) => Bson::Document(keys),
            Hint::Name(name) => Bson::String(name),
        }
    }
}

/// What an update does: update operators, or an aggregation pipeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum UpdateModifications {
    /// A document of update operators (`$set`, `$inc`, ...).
    Document(Document),
    /// A pipeline.
    Pipeline(Vec<Document>),
}

impl From<Document> for UpdateModifications {
    fn from(update: Document) -> Self {
        UpdateModifications::Document(update)
    }
}

impl From<Vec<Document>> for UpdateModifications {
    fn from(pipeline: Vec<Document>) -> Self {
        UpdateModifications::Pipeline(pipeline)
    }
}

/// Which state of a modified document to return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReturnDocument {
    /// As it is afterwards.
    After,
    /// As it was before: the default.
    Before,
}

/// What a cursor does at the end of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CursorType {
    /// It closes: the default.
    NonTailable,
    /// It stays open for documents yet to come. Capped collections only.
    Tailable,
    /// As `Tailable`, and the server waits a while for new documents before it answers that there are none.
    TailableAwait,
}
