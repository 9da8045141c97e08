//! Options of the operations that change one document and return it.

use super::{Collation, Hint, ReturnDocument, WriteConcern};
use bson::{Bson, Document};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// Options of `Collection::find_one_and_delete`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct FindOneAndDeleteOptions {
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Which fields to return.
    pub projection: Option<Document>,
    /// Which of several matching documents is deleted.
    pub sort: Option<Document>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// Variables for expressions.
    pub let_vars: Option<Document>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::find_one_and_replace`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct FindOneAndReplaceOptions {
    /// Whether to pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Which fields to return.
    pub projection: Option<Document>,
    /// Which state of the document to return.
    pub return_document: Option<ReturnDocument>,
    /// Which of several matching documents is replaced.
    pub sort: Option<Document>,
    /// Whether to insert the document where none matches.
    pub upsert: Option<bool>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// Variables for expressions.
    pub let_vars: Option<Document>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::find_one_and_update`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct FindOneAndUpdateOptions {
    /// Which array elements `$[name]` stands for.
    pub array_filters: Option<Vec<Document>>,
    /// Whether to pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// How long the server may work on it; whole milliseconds.
    pub max_time: Option<Duration>,
    /// Which fields to return.
    pub projection: Option<Document>,
    /// Which state of the document to return.
    pub return_document: Option<ReturnDocument>,
    /// Which of several matching documents is updated.
    pub sort: Option<Document>,
    /// Whether to insert a document where none matches.
    pub upsert: Option<bool>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// Variables for expressions.
    pub let_vars: Option<Document>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

impl From<FindOneAndDeleteOptions> for FindOneAndUpdateOptions {
    fn from(options: FindOneAndDeleteOptions) -> Self {
        FindOneAndUpdateOptions {
            max_time: options.max_time,
            projection: options.projection,
            sort: options.sort,
            write_concern: options.write_concern,
            collation: options.collation,
            hint: options.hint,
            let_vars: options.let_vars,
            comment: options.comment,
            ..FindOneAndUpdateOptions::default()
        }
    }
}

impl From<FindOneAndReplaceOptions> for FindOneAndUpdateOptions {
    fn from(options: FindOneAndReplaceOptions) -> Self {
        FindOneAndUpdateOptions {
            array_filters: None,
            bypass_document_validation: options.bypass_document_validation,
            max_time: options.max_time,
            projection: options.projection,
            return_document: options.return_document,
            sort: options.sort,
            upsert: options.upsert,
            write_concern: options.write_concern,
            collation: options.collation,
            hint: options.hint,
            let_vars: options.let_vars,
            comment: options.comment,
        }
    }
}
