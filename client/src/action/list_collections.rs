//! `list_collections` and `list_collection_names`.

use super::{ExplicitSession, ImplicitSession, ListNames, ListSpecifications, action, setters};
use crate::command::{Body, operation};
use crate::cursor::{Cursor, GetMore, SessionCursor};
use crate::exec::{Operation, Reply, Retry};
use crate::options::ListCollectionsOptions;
use crate::results::CollectionSpecification;
use crate::{ClientSession, Database, Runtime};
use bson::{Bson, Document};
use quorate_core::raw::{RawDoc, Value};
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::marker::PhantomData;
use std::sync::Arc;

/// Lists collections. Made by [`Database::list_collections`] and [`Database::list_collection_names`]; gives a [`Cursor`]
/// over their specifications (in an explicit session a [`SessionCursor`]), or their names.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct ListCollections<'a, R: Runtime, Mode = ListSpecifications, Session = ImplicitSession> {
    database: &'a Database<R>,
    options: ListCollectionsOptions,
    session: Session,
    mode: PhantomData<fn() -> Mode>,
}

impl<'a, R: Runtime, Mode> ListCollections<'a, R, Mode> {
    pub(crate) fn new(database: &'a Database<R>) -> Self {
        let options = ListCollectionsOptions::default();
        ListCollections { database, options, session: ImplicitSession, mode: PhantomData }
    }

    /// Runs it in that session, as part of its transaction if one has been started.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession<R>>,
    ) -> ListCollections<'a, R, Mode, ExplicitSession<'a, R>> {
        let ListCollections { database, options, .. } = self;
        ListCollections { database, options, session: ExplicitSession(value.into()), mode: PhantomData }
    }
}

impl<R: Runtime, Mode, Session> ListCollections<'_, R, Mode, Session> {
    setters! { ListCollectionsOptions;
        set batch_size: u32,
        into comment: Bson,
        set filter: Document,
        set authorized_collections: bool,
    }
}

async fn run<R: Runtime>(
    database: &Database<R>,
    names_only: bool,
    options: ListCollectionsOptions,
    session: Option<&ClientSession<R>>,
) -> Result<(Reply, GetMore)> {
    let (operation, mut request) = encode(database.shared_name(), names_only, &options)?;
    let reply = database.client().execute_in(operation, &mut request, session).await?;
    let ListCollectionsOptions { batch_size, comment, .. } = options;
    Ok((reply, GetMore { batch_size, max_await_time: None, comment }))
}

action! { ['a, R: Runtime] ListCollections<'a, R, ListSpecifications> => Cursor<CollectionSpecification, R>; |this| {
    let (reply, get_more) = run(this.database, false, this.options, None).await?;
    Cursor::open(this.database.client(), reply, get_more)
} }

action! { ['a, R: Runtime]
    ListCollections<'a, R, ListSpecifications, ExplicitSession<'a, R>> => SessionCursor<CollectionSpecification, R>; |this| {
    let (reply, get_more) = run(this.database, false, this.options, Some(this.session.0)).await?;
    SessionCursor::open(this.database.client(), reply, get_more)
} }

action! { ['a, R: Runtime] ListCollections<'a, R, ListNames> => Vec<String>; |this| {
    let (reply, get_more) = run(this.database, true, this.options, None).await?;
    names(Cursor::open(this.database.client(), reply, get_more)?).await
} }

action! { ['a, R: Runtime] ListCollections<'a, R, ListNames, ExplicitSession<'a, R>> => Vec<String>; |this| {
    let session = this.session.0;
    let (reply, get_more) = run(this.database, true, this.options, Some(session)).await?;
    names_in(SessionCursor::open(this.database.client(), reply, get_more)?, session).await
} }

/// The field `name` of every document.
pub(super) async fn names<R: Runtime>(mut cursor: Cursor<(), R>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while cursor.advance().await? {
        names.push(name(cursor.current().as_bytes())?);
    }
    Ok(names)
}

/// The same in a session.
pub(super) async fn names_in<R: Runtime>(
    mut cursor: SessionCursor<(), R>,
    session: &mut ClientSession<R>,
) -> Result<Vec<String>> {
    let mut names = Vec::new();
    while cursor.advance(session).await? {
        names.push(name(cursor.current().as_bytes())?);
    }
    Ok(names)
}

fn name(document: &[u8]) -> Result<String> {
    let document = RawDoc::new(document).map_err(crate::decode::malformed)?;
    let name = document.get("name").map_err(crate::decode::malformed)?.and_then(Value::as_str);
    Ok(name.ok_or_else(|| Error::invalid_response("an entry without a name"))?.to_owned())
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
