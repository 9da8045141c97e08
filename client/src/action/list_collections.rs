//! `list_collections` and `list_collection_names`.

use super::{ListNames, ListSpecifications, action, setters};
use crate::command::{Body, operation};
use crate::cursor::{Cursor, GetMore};
use crate::exec::{Operation, Retry};
use crate::options::ListCollectionsOptions;
use crate::results::CollectionSpecification;
use crate::{Database, Runtime};
use bson::{Bson, Document};
use quorate_core::raw::{RawDoc, Value};
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::marker::PhantomData;
use std::sync::Arc;

/// Lists collections. Made by [`Database::list_collections`] and [`Database::list_collection_names`]; gives a [`Cursor`]
/// over their specifications, or their names.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct ListCollections<'a, R: Runtime, Mode = ListSpecifications> {
    database: &'a Database<R>,
    options: ListCollectionsOptions,
    mode: PhantomData<fn() -> Mode>,
}

impl<'a, R: Runtime, Mode> ListCollections<'a, R, Mode> {
    pub(crate) fn new(database: &'a Database<R>) -> Self {
        ListCollections { database, options: ListCollectionsOptions::default(), mode: PhantomData }
    }

    setters! { ListCollectionsOptions;
        set batch_size: u32,
        into comment: Bson,
        set filter: Document,
        set authorized_collections: bool,
    }

    async fn run<T>(self, names_only: bool) -> Result<Cursor<T, R>> {
        let (operation, mut request) = encode(self.database.shared_name(), names_only, &self.options)?;
        let client = self.database.client();
        let reply = client.execute(operation, &mut request).await?;
        let ListCollectionsOptions { batch_size, comment, .. } = self.options;
        Cursor::open(client, reply, GetMore { batch_size, max_await_time: None, comment })
    }
}

action! { ['a, R: Runtime] ListCollections<'a, R, ListSpecifications> => Cursor<CollectionSpecification, R>; |this| {
    this.run(false).await
} }

action! { ['a, R: Runtime] ListCollections<'a, R, ListNames> => Vec<String>; |this| {
    names(this.run::<()>(true).await?).await
} }

/// The field `name` of every document.
pub(super) async fn names<R: Runtime>(mut cursor: Cursor<(), R>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while cursor.advance().await? {
        let document = RawDoc::new(cursor.current().as_bytes()).map_err(crate::decode::malformed)?;
        let name = document.get("name").map_err(crate::decode::malformed)?.and_then(Value::as_str);
        names.push(name.ok_or_else(|| Error::invalid_response("an entry without a name"))?.to_owned());
    }
    Ok(names)
}

/// Enumerate collections specification: on the primary; `nameOnly` only where the filter asks for nothing but the name,
/// since the server filters what is left ("Filtering" and "nameOnly").
pub(super) fn encode(
    database: &Arc<str>,
    names_only: bool,
    options: &ListCollectionsOptions,
) -> Result<(Operation, Request)> {
    let by_name = options.filter.as_ref().is_none_or(|filter| filter.keys().all(|key| key == "name"));
    let cursor = Body::batch_size_document(options.batch_size)?;
    let mut request = Request::new();
    Body::database_command(&mut request, "listCollections", database)
        .document("filter", options.filter.as_ref())
        .bool("nameOnly", (names_only && by_name).then_some(true))
        .bool("authorizedCollections", options.authorized_collections)
        .document("cursor", Some(&cursor))
        .bson("comment", options.comment.as_ref())
        .finish()?;
    let mut operation = operation("listCollections", database, SelectionCriteria::default(), Retry::Read);
    operation.keep_session = true;
    Ok((operation, request))
}
