//! Options of inserts, updates and deletes.

use super::{Collation, Hint, WriteConcern};
use bson::{Bson, Document};
use typed_builder::TypedBuilder;

/// Options of `Collection::insert_one`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct InsertOneOptions {
    /// Whether to pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::insert_many`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct InsertManyOptions {
    /// Whether to pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// Whether to stop at the first document that is refused. The default is `true`.
    pub ordered: Option<bool>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}

/// Options of `Collection::update_one` and `Collection::update_many`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct UpdateOptions {
    /// Which array elements `$[name]` stands for.
    pub array_filters: Option<Vec<Document>>,
    /// Whether to pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// Whether to insert a document where none matches.
    pub upsert: Option<bool>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// Variables for expressions.
    pub let_vars: Option<Document>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// Which of several matching documents is updated (`update_one` only, MongoDB 8.0).
    pub sort: Option<Document>,
}

/// Options of `Collection::replace_one`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct ReplaceOptions {
    /// Whether to pass by document validation.
    pub bypass_document_validation: Option<bool>,
    /// Whether to insert the document where none matches.
    pub upsert: Option<bool>,
    /// How strings compare.
    pub collation: Option<Collation>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// Variables for expressions.
    pub let_vars: Option<Document>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
    /// Which of several matching documents is replaced (MongoDB 8.0).
    pub sort: Option<Document>,
}

impl From<ReplaceOptions> for UpdateOptions {
    fn from(options: ReplaceOptions) -> Self {
        UpdateOptions {
            array_filters: None,
            bypass_document_validation: options.bypass_document_validation,
            upsert: options.upsert,
            collation: options.collation,
            hint: options.hint,
            write_concern: options.write_concern,
            let_vars: options.let_vars,
            comment: options.comment,
            sort: options.sort,
        }
    }
}

/// Options of `Collection::delete_one` and `Collection::delete_many`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct DeleteOptions {
    /// How strings compare.
    pub collation: Option<Collation>,
    /// The write concern.
    pub write_concern: Option<WriteConcern>,
    /// The index to use.
    pub hint: Option<Hint>,
    /// Variables for expressions.
    pub let_vars: Option<Document>,
    /// Any value to find the operation by in logs and the profiler.
    pub comment: Option<Bson>,
}
