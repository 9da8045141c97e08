//! `update_one`, `update_many` and `replace_one`: the `update` command with one statement.

use super::{action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, statement, write_operation};
use crate::decode::field;
use crate::exec::{Operation, Reply};
use crate::options::{Collation, Hint, ReplaceOptions, UpdateModifications, UpdateOptions, WriteConcern};
use crate::reply::{check_write, count};
use crate::results::UpdateResult;
use crate::{ClientSession, Collection, Runtime};
use bson::{Bson, Document};
use quorate_core::raw::RawDoc;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};

/// Updates documents. Made by [`Collection::update_one`] and [`Collection::update_many`]; gives an [`UpdateResult`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Update<'a, R: Runtime> {
    collection: Collection<(), R>,
    query: Document,
    update: UpdateModifications,
    multi: bool,
    options: UpdateOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> Update<'a, R> {
    pub(crate) fn new(
        collection: Collection<(), R>,
        query: Document,
        update: UpdateModifications,
        multi: bool,
    ) -> Self {
        Update { collection, query, update, multi, options: UpdateOptions::default(), session: None }
    }

    setters! { UpdateOptions;
        list array_filters: Document,
        set bypass_document_validation: bool,
        set upsert: bool,
        set collation: Collation,
        set hint: Hint,
        set write_concern: WriteConcern,
        set let_vars: Document,
        into comment: Bson,
        set sort: Document,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] Update<'a, R> => UpdateResult; |this| {
    let change = Change::of(&this.update)?;
    let (operation, mut request) =
        encode(&this.collection.target().within(this.session.as_deref()), &this.query, change, this.multi, &this.options)?;
    run(&this.collection, operation, &mut request, this.session.as_deref()).await
} }

/// Replaces a document. Made by [`Collection::replace_one`]; gives an [`UpdateResult`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct ReplaceOne<'a, R: Runtime> {
    collection: Collection<(), R>,
    query: Document,
    replacement: Result<Vec<u8>>,
    options: ReplaceOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> ReplaceOne<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>, query: Document, replacement: Result<Vec<u8>>) -> Self {
        ReplaceOne { collection, query, replacement, options: ReplaceOptions::default(), session: None }
    }

    setters! { ReplaceOptions;
        set bypass_document_validation: bool,
        set upsert: bool,
        set collation: Collation,
        set hint: Hint,
        set write_concern: WriteConcern,
        set let_vars: Document,
        into comment: Bson,
        set sort: Document,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] ReplaceOne<'a, R> => UpdateResult; |this| {
    let replacement = this.replacement?;
    let change = Change::replacement(&replacement)?;
    let (operation, mut request) =
        encode(&this.collection.target().within(this.session.as_deref()), &this.query, change, false, &this.options.into())?;
    run(&this.collection, operation, &mut request, this.session.as_deref()).await
} }

async fn run<R: Runtime>(
    collection: &Collection<(), R>,
    operation: Operation,
    request: &mut Request,
    session: Option<&ClientSession<R>>,
) -> Result<UpdateResult> {
    let acknowledged = operation.acknowledged;
    let reply = collection.client().execute_in(operation, request, session).await?;
    if acknowledged { read(&reply) } else { Ok(UpdateResult::default()) }
}

/// What an update puts in the place of what was there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change<'a> {
    Operators(&'a Document),
    Pipeline(&'a [Document]),
    Replacement(RawDoc<'a>),
}

impl<'a> Change<'a> {
    /// Update operators, or a pipeline (CRUD specification, "Update vs. Replace Validation").
    pub(super) fn of(update: &'a UpdateModifications) -> Result<Self> {
        match update {
            UpdateModifications::Pipeline(pipeline) => Ok(Change::Pipeline(pipeline)),
            UpdateModifications::Document(document) => match document.keys().next() {
                Some(first) if first.starts_with('$') => Ok(Change::Operators(document)),
                Some(first) => Err(Error::invalid_argument(format!(
                    "an update's first field must be an operator such as $set, not {first:?}"
                ))),
                None => Err(Error::invalid_argument("an update must not be empty")),
            },
        }
    }

    /// A whole document. It may be empty, but not begin with an operator.
    pub(super) fn replacement(bytes: &'a [u8]) -> Result<Self> {
        let document = RawDoc::new(bytes).map_err(crate::decode::malformed)?;
        match document.iter().next() {
            Some(Ok((first, _))) if first.starts_with('$') => Err(Error::invalid_argument(format!(
                "a replacement's first field must not be an operator, as {first:?} is"
            ))),
            _ => Ok(Change::Replacement(document)),
        }
    }

    pub(super) fn write<'w>(self, name: &str, body: Body<'w>) -> Body<'w> {
        match self {
            Change::Operators(document) => body.document(name, Some(document)),
            Change::Pipeline(pipeline) => body.documents(name, Some(pipeline)),
            Change::Replacement(document) => body.raw(name, document),
        }
    }
}

pub(super) fn encode(
    target: &Target<'_>,
    query: &Document,
    change: Change<'_>,
    multi: bool,
    options: &UpdateOptions,
) -> Result<(Operation, Request)> {
    let concern = target.write_concern(options.write_concern.as_ref())?;
    let mut request = Request::new();
    statement(&mut request, "updates", |body| {
        change
            .write("u", body.document("q", Some(query)))
            .bool("multi", multi.then_some(true))
            .bool("upsert", options.upsert)
            .documents("arrayFilters", options.array_filters.as_deref())
            .value("collation", options.collation.as_ref())
            .bson("hint", options.hint.as_ref())
            .document("sort", options.sort.as_ref())
    })?;
    Body::command(&mut request, "update", target.collection, target.database)
        .bool("ordered", Some(true))
        .bool("bypassDocumentValidation", options.bypass_document_validation)
        .document("let", options.let_vars.as_ref())
        .bson("comment", options.comment.as_ref())
        .write_concern(concern)
        .finish()?;
    Ok((write_operation("update", target.database, concern, !multi)?, request))
}

pub(super) fn read(reply: &Reply) -> Result<UpdateResult> {
    let summary = check_write(reply)?;
    let n = count(summary.n, "n", &reply.server.address)?;
    let modified_count = count(summary.n_modified.or(Some(0)), "nModified", &reply.server.address)?;
    let Some(upserted) = summary.upserted.filter(|array| !array.is_empty()) else {
        return Ok(UpdateResult { matched_count: n, modified_count, upserted_id: None });
    };
    // The server counts an upserted document in `n`; nothing matched.
    let id = match upserted.iter().next() {
        Some(Ok((_, value))) => {
            value.as_document().map(|entry| field(entry.as_bytes(), "_id")).transpose()?.flatten()
        }
        _ => None,
    };
    let invalid =
        || Error::invalid_response("upserted without an _id").with_server(reply.server.address.clone());
    Ok(UpdateResult {
        matched_count: n.saturating_sub(1),
        modified_count,
        upserted_id: Some(id.ok_or_else(invalid)?),
    })
}
