//! Options of reads.

use super::{Collation, CursorType, Hint, ReadConcern, SelectionCriteria, WriteConcern};
use bson::{Bson, Document};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// Options of `Collection::find`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct FindOptions {
    /// Whether the server may use temporary files for a large sort.
    pub allow_disk_use: Option<bool>,
    /// Whether a sharded cluster may leave out shards that do not answer.
    pub allow_partial_results: Option<bool>,
    /// Documents a batch.
    pub batch_size: Option<u32>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// What the cursor does at the end.
    pub cursor_type: Option<CursorType>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// The most documents to return; 0 is no limit. A negative one means its absolute value, in one batch.
    pub limit: Option<i64>,
    /// The exclusive upper bound of an index, together with `hint`.
    pub max: Option<Document>,
    /// How long the server waits for new documents at the end of a `TailableAwait` cursor; whole milliseconds.
    pub max_await_time: Option<Duration>,
    /// The most index keys or documents to look at. Servers since 4.2 refuse it.
    pub max_scan: Option<u64>,
    /// How long the server may work on it, all batches together; whole milliseconds.
    pub max_time: Option<Duration>,
    /// The inclusive lower bound of an index, together with `hint`.
    pub min: Option<Document>,
    /// Whether the server keeps the cursor open however long nothing is asked of it.
    pub no_cursor_timeout: Option<bool>,
    /// Which fields to return.
    pub projection: Option<Document>,
    /// The read concern.
    pub read_concern: Option<ReadConcern>,
    /// Whether to return index keys only.
    pub return_key: Option<bool>,
    /// Which servers it may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// Whether each document carries its record id as `$recordId`.
    pub show_record_id: Option<bool>,
    /// Documents to pass over.
    pub skip: Option<u64>,
    /// The order of the results.
    pub sort: Option<Document>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// Variables for the filter's expressions.
    pub let_vars: Option<Document>,
}

/// Options of `Collection::find_one`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct FindOneOptions {
    /// Whether a sharded cluster may leave out shards that do not answer.
    pub allow_partial_results: Option<bool>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// The exclusive upper bound of an index, together with `hint`.
    pub max: Option<Document>,
    /// The most index keys or documents to look at. Servers since 4.2 refuse it.
    pub max_scan: Option<u64>,
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// The inclusive lower bound of an index, together with `hint`.
    pub min: Option<Document>,
    /// Which fields to return.
    pub projection: Option<Document>,
    /// The read concern.
    pub read_concern: Option<ReadConcern>,
    /// Whether to return index keys only.
    pub return_key: Option<bool>,
    /// Which servers it may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// Whether the document carries its record id as `$recordId`.
    pub show_record_id: Option<bool>,
    /// Documents to pass over.
    pub skip: Option<u64>,
    /// Which document is the first.
    pub sort: Option<Document>,
    /// Variables for the filter's expressions.
    pub let_vars: Option<Document>,
}

impl From<FindOneOptions> for FindOptions {
    fn from(options: FindOneOptions) -> Self {
        FindOptions {
            allow_partial_results: options.allow_partial_results,
            collation: options.collation,
            comment: options.comment,
            hint: options.hint,
            // One document, and the server closes the cursor by itself.
            limit: Some(-1),
            max: options.max,
            max_scan: options.max_scan,
            max_time: options.max_time,
            min: options.min,
            projection: options.projection,
            read_concern: options.read_concern,
            return_key: options.return_key,
            selection_criteria: options.selection_criteria,
            show_record_id: options.show_record_id,
            skip: options.skip,
            sort: options.sort,
            let_vars: options.let_vars,
            ..FindOptions::default()
        }
    }
}

/// Options of `Collection::aggregate` and `Database::aggregate`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct AggregateOptions {
    /// Whether stages may use temporary files.
    pub allow_disk_use: Option<bool>,
    /// Documents a batch. Not sent where the pipeline writes its results (`$out`, `$merge`).
    pub batch_size: Option<u32>,
    /// Whether `$out` and `$merge` pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// How long the server waits for new documents before it answers that there are none; whole milliseconds.
    pub max_await_time: Option<Duration>,
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// The read concern.
    pub read_concern: Option<ReadConcern>,
    /// Which servers it may go to. A pipeline that writes goes to the primary whatever is said here.
    pub selection_criteria: Option<SelectionCriteria>,
    /// The write concern of `$out` and `$merge`.
    pub write_concern: Option<WriteConcern>,
    /// Variables for the pipeline's expressions.
    pub let_vars: Option<Document>,
}

/// Options of `Collection::count_documents`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct CountOptions {
    /// The index to use.
    pub hint: Option<Hint>,
    /// The most documents to count.
    pub limit: Option<u64>,
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Documents to pass over.
    pub skip: Option<u64>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// Which servers it may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// The read concern.
    pub read_concern: Option<ReadConcern>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::estimated_document_count`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct EstimatedDocumentCountOptions {
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Which servers it may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// The read concern.
    pub read_concern: Option<ReadConcern>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::distinct`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct DistinctOptions {
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Which servers it may go to.
    pub selection_criteria: Option<SelectionCriteria>,
    /// The read concern.
    pub read_concern: Option<ReadConcern>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// The index to use.
    pub hint: Option<Hint>,
}
