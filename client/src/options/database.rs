//! Options of databases and of the operations on them.

use super::{Collation, CursorType, ReadConcern, SelectionCriteria, WriteConcern};
use crate::serde_helpers::{opt_seconds, opt_u64_number, self_or_true};
use bson::{Bson, Document, doc};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// What a database handle does differently from its client.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct DatabaseOptions {
    /// Which servers reads may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// The read concern of reads.
    pub read_concern: Option<ReadConcern>,
    /// The write concern of writes.
    pub write_concern: Option<WriteConcern>,
}

/// Options of `Database::create_collection`, and what a collection listing says of a collection.
#[derive(Clone, Debug, Default, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CreateCollectionOptions {
    /// Whether its size is fixed and the oldest documents go first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<bool>,
    /// The size of a capped collection, in bytes.
    #[serde(default, with = "opt_u64_number", skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// The most documents of a capped collection.
    #[serde(default, with = "opt_u64_number", skip_serializing_if = "Option::is_none")]
    pub max: Option<u64>,
    /// Settings for the storage engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_engine: Option<Document>,
    /// What documents must look like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validator: Option<Document>,
    /// Which documents the validator is applied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_level: Option<ValidationLevel>,
    /// What happens with documents that are not valid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_action: Option<ValidationAction>,
    /// Makes it a view on that collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view_on: Option<String>,
    /// The view's pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<Vec<Document>>,
    /// How strings compare unless an operation says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collation: Option<Collation>,
    /// The write concern of the creation.
    #[serde(skip)]
    pub write_concern: Option<WriteConcern>,
    /// Defaults for its indexes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index_option_defaults: Option<IndexOptionDefaults>,
    /// Makes it a time series collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeseries: Option<TimeseriesOptions>,
    /// How long documents of a time series or clustered collection are kept; whole seconds.
    #[serde(default, with = "opt_seconds", skip_serializing_if = "Option::is_none")]
    pub expire_after_seconds: Option<Duration>,
    /// Whether change streams can show documents as they were before and after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change_stream_pre_and_post_images: Option<ChangeStreamPreAndPostImages>,
    /// Makes it a clustered collection.
    #[serde(default, deserialize_with = "self_or_true", skip_serializing_if = "Option::is_none")]
    pub clustered_index: Option<ClusteredIndex>,
    /// Any value to find the operation by in logs and the profiler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<Bson>,
}

/// Which documents a validator is applied to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ValidationLevel {
    /// None.
    Off,
    /// All that are inserted or updated.
    Strict,
    /// As `Strict`, without updates of documents that are not valid already.
    Moderate,
}

/// What happens with documents that are not valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum ValidationAction {
    /// They are refused.
    Error,
    /// They are accepted, and the server logs it.
    Warn,
}

/// The index a clustered collection is stored by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ClusteredIndex {
    /// Its keys: `_id`.
    pub key: Document,
    /// Must be true.
    pub unique: bool,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The version of the index format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v: Option<i32>,
}

impl Default for ClusteredIndex {
    fn default() -> Self {
        ClusteredIndex { key: doc! { "_id": 1 }, unique: true, name: None, v: None }
    }
}

/// Defaults for a collection's indexes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct IndexOptionDefaults {
    /// Settings for the storage engine.
    pub storage_engine: Document,
}

/// What makes a collection a time series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct TimeseriesOptions {
    /// The field that holds the time of a measurement.
    pub time_field: String,
    /// The field that says what was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_field: Option<String>,
    /// About how far apart measurements are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granularity: Option<TimeseriesGranularity>,
    /// The longest time one bucket spans; whole seconds.
    #[serde(
        rename = "bucketMaxSpanSeconds",
        default,
        with = "opt_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub bucket_max_span: Option<Duration>,
    /// What buckets' beginnings are rounded to; whole seconds.
    #[serde(
        rename = "bucketRoundingSeconds",
        default,
        with = "opt_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub bucket_rounding: Option<Duration>,
}

/// About how far apart the measurements of a time series are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum TimeseriesGranularity {
    /// Seconds.
    Seconds,
    /// Minutes.
    Minutes,
    /// Hours.
    Hours,
}

/// Whether change streams can show documents as they were before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ChangeStreamPreAndPostImages {
    /// Whether they can.
    pub enabled: bool,
}

/// Options of `Database::drop`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct DropDatabaseOptions {
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
}

/// Options of `Collection::drop`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct DropCollectionOptions {
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
}

/// Options of `Database::list_collections` and `Database::list_collection_names`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct ListCollectionsOptions {
    /// Collections a batch.
    pub batch_size: Option<u32>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// Which collections.
    pub filter: Option<Document>,
    /// Whether to list only those the user may use, where he may not list all (names only).
    pub authorized_collections: Option<bool>,
}

/// Options of `Client::list_databases` and `Client::list_database_names`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct ListDatabasesOptions {
    /// Whether to list only those the user may use.
    pub authorized_databases: Option<bool>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// Which databases.
    pub filter: Option<Document>,
}

/// Options of `Database::run_command`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct RunCommandOptions {
    /// Which servers it may go to; the primary by default, whatever the database's read preference is.
    pub selection_criteria: Option<SelectionCriteria>,
}

/// Options of `Database::run_cursor_command`. The last four are about the cursor's further batches.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct RunCursorCommandOptions {
    /// Which servers it may go to; the primary by default, whatever the database's read preference is.
    pub selection_criteria: Option<SelectionCriteria>,
    /// What the cursor does at the end.
    pub cursor_type: Option<CursorType>,
    /// Documents a batch.
    pub batch_size: Option<u32>,
    /// How long the server may wait for documents of one batch; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}
