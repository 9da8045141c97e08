//! `find` and `find_one`.

use super::{ExplicitSession, ImplicitSession, action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, read_operation};
use crate::cursor::{Cursor, GetMore, SessionCursor, first_document};
use crate::decode::decode;
use crate::exec::{Operation, Reply};
use crate::options::{
    Collation, CursorType, FindOneOptions, FindOptions, Hint, ReadConcern, SelectionCriteria,
};
use crate::{ClientSession, Collection, Runtime};
use bson::{Bson, Document};
use quorate_core::Result;
use quorate_core::wire::Request;
use serde::de::DeserializeOwned;
use std::time::Duration;

/// Finds documents. Made by [`Collection::find`]; gives a [`Cursor`], or in an explicit session a [`SessionCursor`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Find<'a, T, R: Runtime, Session = ImplicitSession> {
    collection: &'a Collection<T, R>,
    filter: Document,
    options: FindOptions,
    session: Session,
}

impl<'a, T, R: Runtime> Find<'a, T, R> {
    pub(crate) fn new(collection: &'a Collection<T, R>, filter: Document) -> Self {
        Find { collection, filter, options: FindOptions::default(), session: ImplicitSession }
    }

    /// Runs it in that session, as part of its transaction if one has been started.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession<R>>,
    ) -> Find<'a, T, R, ExplicitSession<'a, R>> {
        let Find { collection, filter, options, .. } = self;
        Find { collection, filter, options, session: ExplicitSession(value.into()) }
    }
}

impl<T, R: Runtime, Session> Find<'_, T, R, Session> {
    setters! { FindOptions;
        set allow_disk_use: bool,
        set allow_partial_results: bool,
        set batch_size: u32,
        into comment: Bson,
        set cursor_type: CursorType,
        set hint: Hint,
        set limit: i64,
        set max: Document,
        set max_await_time: Duration,
        set max_scan: u64,
        set max_time: Duration,
        set min: Document,
        set no_cursor_timeout: bool,
        set projection: Document,
        set read_concern: ReadConcern,
        set return_key: bool,
        set selection_criteria: SelectionCriteria,
        set show_record_id: bool,
        set skip: u64,
        set sort: Document,
        set collation: Collation,
        set let_vars: Document,
    }
}

action! { ['a, T: Send + Sync, R: Runtime] Find<'a, T, R> => Cursor<T, R>; |find| {
    let reply = run(find.collection, &find.filter, &find.options, None).await?;
    Cursor::open(find.collection.client(), reply, get_more(find.options))
} }

action! { ['a, T: Send + Sync, R: Runtime] Find<'a, T, R, ExplicitSession<'a, R>> => SessionCursor<T, R>; |find| {
    let reply = run(find.collection, &find.filter, &find.options, Some(find.session.0)).await?;
    SessionCursor::open(find.collection.client(), reply, get_more(find.options))
} }

async fn run<T, R: Runtime>(
    collection: &Collection<T, R>,
    filter: &Document,
    options: &FindOptions,
    session: Option<&ClientSession<R>>,
) -> Result<Reply> {
    let (operation, mut request) = encode(&collection.target().within(session), filter, options)?;
    collection.client().execute_in(operation, &mut request, session).await
}

/// Finds the first of the documents. Made by [`Collection::find_one`]; gives an `Option<T>`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct FindOne<'a, T, R: Runtime> {
    collection: &'a Collection<T, R>,
    filter: Document,
    options: FindOneOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, T, R: Runtime> FindOne<'a, T, R> {
    pub(crate) fn new(collection: &'a Collection<T, R>, filter: Document) -> Self {
        FindOne { collection, filter, options: FindOneOptions::default(), session: None }
    }

    session_setter!('a, R);

    setters! { FindOneOptions;
        set allow_partial_results: bool,
        set collation: Collation,
        into comment: Bson,
        set hint: Hint,
        set max: Document,
        set max_scan: u64,
        set max_time: Duration,
        set min: Document,
        set projection: Document,
        set read_concern: ReadConcern,
        set return_key: bool,
        set selection_criteria: SelectionCriteria,
        set show_record_id: bool,
        set skip: u64,
        set sort: Document,
        set let_vars: Document,
    }
}

action! { ['a, T: DeserializeOwned + Send + Sync, R: Runtime] FindOne<'a, T, R> => Option<T>; |find| {
    let session = find.session.as_deref();
    let (mut operation, mut request) =
        encode(&find.collection.target().within(session), &find.filter, &find.options.into())?;
    // One batch: the server closes the cursor itself.
    operation.keep_session = false;
    let reply = find.collection.client().execute_in(operation, &mut request, session).await?;
    first_document(&reply)?.map(decode).transpose()
} }

/// `find` ("find, getMore and killCursors commands" specification, "find").
pub(super) fn encode(
    target: &Target<'_>,
    filter: &Document,
    options: &FindOptions,
) -> Result<(Operation, Request)> {
    let limit = options.limit.filter(|limit| *limit != 0);
    // Without this a server with exactly that many results would keep the cursor open for a batch that is empty.
    let batch_size = match (options.batch_size, limit) {
        (Some(size), Some(limit)) if i64::from(size) == limit => Some(size.saturating_add(1)),
        (size, _) => size,
    };
    let await_data = options.cursor_type == Some(CursorType::TailableAwait);
    let tailable = await_data || options.cursor_type == Some(CursorType::Tailable);
    let mut request = Request::new();
    Body::command(&mut request, "find", target.collection, target.database)
        .document("filter", Some(filter))
        .document("sort", options.sort.as_ref())
        .document("projection", options.projection.as_ref())
        .bson("hint", options.hint.as_ref())
        .u64("skip", options.skip)
        .i64("limit", limit.map(i64::saturating_abs))
        .batch_size(batch_size)
        .bool("singleBatch", limit.filter(|limit| *limit < 0).map(|_| true))
        .bson("comment", options.comment.as_ref())
        .u64("maxScan", options.max_scan)
        .max_time(options.max_time)
        .document("max", options.max.as_ref())
        .document("min", options.min.as_ref())
        .bool("returnKey", options.return_key)
        .bool("showRecordId", options.show_record_id)
        .bool("tailable", tailable.then_some(true))
        .bool("awaitData", await_data.then_some(true))
        .bool("noCursorTimeout", options.no_cursor_timeout)
        .bool("allowPartialResults", options.allow_partial_results)
        .bool("allowDiskUse", options.allow_disk_use)
        .value("collation", options.collation.as_ref())
        .document("let", options.let_vars.as_ref())
        .finish()?;
    let criteria = target.criteria(options.selection_criteria.as_ref());
    let concern = target.read_concern(options.read_concern.as_ref())?;
    let mut operation = read_operation("find", target.database, criteria, concern);
    operation.keep_session = true;
    Ok((operation, request))
}

/// How further batches are asked for. A waiting time belongs to `TailableAwait` cursors alone; the server refuses it for
/// others.
pub(super) fn get_more(options: FindOptions) -> GetMore {
    let awaits = options.cursor_type == Some(CursorType::TailableAwait);
    GetMore {
        batch_size: options.batch_size,
        max_await_time: options.max_await_time.filter(|_| awaits),
        comment: options.comment,
    }
}
