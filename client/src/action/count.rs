//! `count_documents` and `estimated_document_count`.

use super::{action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, read_operation};
use crate::cursor::first_document;
use crate::exec::{Operation, Reply};
use crate::options::{
    AggregateOptions, Collation, CountOptions, EstimatedDocumentCountOptions, Hint, ReadConcern,
    SelectionCriteria,
};
use crate::reply::{count, summary};
use crate::{ClientSession, Collection, Runtime};
use bson::{Bson, Document, doc};
use quorate_core::raw::RawDoc;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::time::Duration;

/// Counts documents. Made by [`Collection::count_documents`]; gives a `u64`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct CountDocuments<'a, R: Runtime> {
    collection: Collection<(), R>,
    filter: Document,
    options: CountOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> CountDocuments<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>, filter: Document) -> Self {
        CountDocuments { collection, filter, options: CountOptions::default(), session: None }
    }

    setters! { CountOptions;
        set hint: Hint,
        set limit: u64,
        set max_time: Duration,
        set skip: u64,
        set collation: Collation,
        set selection_criteria: SelectionCriteria,
        set read_concern: ReadConcern,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] CountDocuments<'a, R> => u64; |this| {
    let (operation, mut request) = encode_count_documents(&this.collection.target().within(this.session.as_deref()), this.filter, this.options)?;
    let reply = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    read_count_documents(&reply)
} }

/// CRUD specification, "countDocuments": an aggregation that counts.
pub(super) fn encode_count_documents(
    target: &Target<'_>,
    filter: Document,
    options: CountOptions,
) -> Result<(Operation, Request)> {
    let number = |value: u64| {
        i64::try_from(value).map_err(|_| Error::invalid_argument("skip and limit must be below 2^63"))
    };
    let mut pipeline = vec![doc! { "$match": filter }];
    if let Some(skip) = options.skip {
        pipeline.push(doc! { "$skip": number(skip)? });
    }
    if let Some(limit) = options.limit {
        pipeline.push(doc! { "$limit": number(limit)? });
    }
    pipeline.push(doc! { "$group": { "_id": 1, "n": { "$sum": 1 } } });
    let options = AggregateOptions {
        hint: options.hint,
        max_time: options.max_time,
        collation: options.collation,
        selection_criteria: options.selection_criteria,
        read_concern: options.read_concern,
        comment: options.comment,
        ..AggregateOptions::default()
    };
    let (mut operation, request) = super::aggregate::encode(target, false, &pipeline, &options)?;
    // One document at the most: no further batch.
    operation.keep_session = false;
    Ok((operation, request))
}

pub(super) fn read_count_documents(reply: &Reply) -> Result<u64> {
    // No document matched, no group.
    let Some(group) = first_document(reply)? else { return Ok(0) };
    let group = RawDoc::new(group).map_err(crate::decode::malformed)?;
    let n = group.get("n").map_err(crate::decode::malformed)?;
    count(n.and_then(|n| n.as_i64()), "n", &reply.server.address)
}

/// Counts by metadata. Made by [`Collection::estimated_document_count`]; gives a `u64`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct EstimatedDocumentCount<'a, R: Runtime> {
    collection: Collection<(), R>,
    options: EstimatedDocumentCountOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> EstimatedDocumentCount<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>) -> Self {
        EstimatedDocumentCount {
            collection,
            options: EstimatedDocumentCountOptions::default(),
            session: None,
        }
    }

    setters! { EstimatedDocumentCountOptions;
        set max_time: Duration,
        set selection_criteria: SelectionCriteria,
        set read_concern: ReadConcern,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] EstimatedDocumentCount<'a, R> => u64; |this| {
    let (operation, mut request) = encode_estimated(&this.collection.target().within(this.session.as_deref()), &this.options)?;
    let reply = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    count(summary(&reply)?.n, "n", &reply.server.address)
} }

/// CRUD specification, "estimatedDocumentCount": the `count` command without a filter.
pub(super) fn encode_estimated(
    target: &Target<'_>,
    options: &EstimatedDocumentCountOptions,
) -> Result<(Operation, Request)> {
    let mut request = Request::new();
    Body::command(&mut request, "count", target.collection, target.database)
        .max_time(options.max_time)
        .bson("comment", options.comment.as_ref())
        .finish()?;
    let criteria = target.criteria(options.selection_criteria.as_ref());
    let concern = target.read_concern(options.read_concern.as_ref())?;
    Ok((read_operation("count", target.database, criteria, concern), request))
}
