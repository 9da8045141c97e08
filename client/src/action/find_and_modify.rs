//! `find_one_and_delete`, `find_one_and_replace` and `find_one_and_update`: the `findAndModify` command.

use super::update::Change;
use super::{action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, write_operation};
use crate::decode::decode;
use crate::exec::{Operation, Reply};
use crate::options::{
    Collation, FindOneAndDeleteOptions, FindOneAndReplaceOptions, FindOneAndUpdateOptions, Hint,
    ReturnDocument, UpdateModifications, WriteConcern,
};
use crate::reply::check_write;
use crate::{ClientSession, Collection, Runtime};
use bson::{Bson, Document};
use quorate_core::raw::Value;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Deletes a document and gives it. Made by [`Collection::find_one_and_delete`]; gives an `Option<T>`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct FindOneAndDelete<'a, T, R: Runtime> {
    collection: &'a Collection<T, R>,
    filter: Document,
    options: FindOneAndDeleteOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, T, R: Runtime> FindOneAndDelete<'a, T, R> {
    pub(crate) fn new(collection: &'a Collection<T, R>, filter: Document) -> Self {
        FindOneAndDelete { collection, filter, options: FindOneAndDeleteOptions::default(), session: None }
    }

    setters! { FindOneAndDeleteOptions;
        set max_time: Duration,
        set projection: Document,
        set sort: Document,
        set write_concern: WriteConcern,
        set collation: Collation,
        set hint: Hint,
        set let_vars: Document,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, T: DeserializeOwned + Send + Sync, R: Runtime] FindOneAndDelete<'a, T, R> => Option<T>; |this| {
    run(this.collection, &this.filter, None, &this.options.into(), this.session.as_deref()).await
} }

/// Replaces a document and gives it. Made by [`Collection::find_one_and_replace`]; gives an `Option<T>`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct FindOneAndReplace<'a, T, R: Runtime> {
    collection: &'a Collection<T, R>,
    filter: Document,
    replacement: Result<Vec<u8>>,
    options: FindOneAndReplaceOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, T, R: Runtime> FindOneAndReplace<'a, T, R> {
    pub(crate) fn new(
        collection: &'a Collection<T, R>,
        filter: Document,
        replacement: Result<Vec<u8>>,
    ) -> Self {
        FindOneAndReplace {
            collection,
            filter,
            replacement,
            options: FindOneAndReplaceOptions::default(),
            session: None,
        }
    }

    setters! { FindOneAndReplaceOptions;
        set bypass_document_validation: bool,
        set max_time: Duration,
        set projection: Document,
        set return_document: ReturnDocument,
        set sort: Document,
        set upsert: bool,
        set write_concern: WriteConcern,
        set collation: Collation,
        set hint: Hint,
        set let_vars: Document,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, T: DeserializeOwned + Send + Sync, R: Runtime] FindOneAndReplace<'a, T, R> => Option<T>; |this| {
    let replacement = this.replacement?;
    let change = Change::replacement(&replacement)?;
    run(this.collection, &this.filter, Some(change), &this.options.into(), this.session.as_deref()).await
} }

/// Updates a document and gives it. Made by [`Collection::find_one_and_update`]; gives an `Option<T>`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct FindOneAndUpdate<'a, T, R: Runtime> {
    collection: &'a Collection<T, R>,
    filter: Document,
    update: UpdateModifications,
    options: FindOneAndUpdateOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, T, R: Runtime> FindOneAndUpdate<'a, T, R> {
    pub(crate) fn new(
        collection: &'a Collection<T, R>,
        filter: Document,
        update: UpdateModifications,
    ) -> Self {
        FindOneAndUpdate {
            collection,
            filter,
            update,
            options: FindOneAndUpdateOptions::default(),
            session: None,
        }
    }

    setters! { FindOneAndUpdateOptions;
        list array_filters: Document,
        set bypass_document_validation: bool,
        set max_time: Duration,
        set projection: Document,
        set return_document: ReturnDocument,
        set sort: Document,
        set upsert: bool,
        set write_concern: WriteConcern,
        set collation: Collation,
        set hint: Hint,
        set let_vars: Document,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, T: DeserializeOwned + Send + Sync, R: Runtime] FindOneAndUpdate<'a, T, R> => Option<T>; |this| {
    let change = Change::of(&this.update)?;
    run(this.collection, &this.filter, Some(change), &this.options, this.session.as_deref()).await
} }

async fn run<T: DeserializeOwned, R: Runtime>(
    collection: &Collection<T, R>,
    filter: &Document,
    change: Option<Change<'_>>,
    options: &FindOneAndUpdateOptions,
    session: Option<&ClientSession<R>>,
) -> Result<Option<T>> {
    let (operation, mut request) = encode(&collection.target().within(session), filter, change, options)?;
    let acknowledged = operation.acknowledged;
    let reply = collection.client().execute_in(operation, &mut request, session).await?;
    if acknowledged { read(&reply) } else { Ok(None) }
}

/// `findAndModify`; without a change it removes.
pub(super) fn encode(
    target: &Target<'_>,
    filter: &Document,
    change: Option<Change<'_>>,
    options: &FindOneAndUpdateOptions,
) -> Result<(Operation, Request)> {
    let concern = target.write_concern(options.write_concern.as_ref())?;
    let new = options.return_document.map(|which| which == ReturnDocument::After);
    let mut request = Request::new();
    let body = Body::command(&mut request, "findAndModify", target.collection, target.database)
        .document("query", Some(filter));
    let body = match change {
        Some(change) => change.write("update", body),
        None => body.bool("remove", Some(true)),
    };
    body.document("sort", options.sort.as_ref())
        .bool("new", new)
        .bool("upsert", options.upsert)
        .document("fields", options.projection.as_ref())
        .documents("arrayFilters", options.array_filters.as_deref())
        .bool("bypassDocumentValidation", options.bypass_document_validation)
        .value("collation", options.collation.as_ref())
        .bson("hint", options.hint.as_ref())
        .document("let", options.let_vars.as_ref())
        .max_time(options.max_time)
        .bson("comment", options.comment.as_ref())
        .write_concern(concern)
        .finish()?;
    Ok((write_operation("findAndModify", target.database, concern, true)?, request))
}

pub(super) fn read<T: DeserializeOwned>(reply: &Reply) -> Result<Option<T>> {
    match check_write(reply)?.value {
        Some(Value::Document(document)) => decode(document.as_bytes()).map(Some),
        Some(Value::Null) => Ok(None),
        _ => Err(Error::invalid_response("no value in the reply to findAndModify")
            .with_server(reply.server.address.clone())),
    }
}
