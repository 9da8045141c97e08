//! `aggregate`, on a collection or a database.

use super::{ExplicitSession, ImplicitSession, action, setters};
use crate::collection::Target;
use crate::command::{Body, operation, write_operation};
use crate::cursor::{Cursor, GetMore, SessionCursor};
use crate::exec::{Operation, Reply, Retry};
use crate::options::{AggregateOptions, Collation, Hint, ReadConcern, SelectionCriteria, WriteConcern};
use crate::{Client, ClientSession, Collection, Database, Runtime};
use bson::{Bson, Document};
use quorate_core::client_session::ReadConcernField;
use quorate_core::wire::Request;
use quorate_core::{Error, Result, selection};
use serde::Deserialize;
use std::marker::PhantomData;
use std::time::Duration;

/// Runs an aggregation. Made by [`Collection::aggregate`] and [`Database::aggregate`]; gives a [`Cursor`], or in
/// an explicit session a [`SessionCursor`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Aggregate<'a, R: Runtime, T = Document, Session = ImplicitSession> {
    target: AggregateTarget<R>,
    pipeline: Vec<Document>,
    options: AggregateOptions,
    session: Session,
    lifetime: PhantomData<&'a ()>,
    documents: PhantomData<fn() -> T>,
}

/// What an aggregation reads.
#[derive(Debug)]
pub(crate) enum AggregateTarget<R: Runtime> {
    Collection(Collection<(), R>),
    Database(Database<R>, selection::SelectionCriteria),
}

impl<R: Runtime> AggregateTarget<R> {
    pub(crate) fn collection(collection: Collection<(), R>) -> Self {
        AggregateTarget::Collection(collection)
    }

    pub(crate) fn database(database: &Database<R>) -> Self {
        let criteria = database.selection_criteria().map(SelectionCriteria::to_core).unwrap_or_default();
        AggregateTarget::Database(database.clone(), criteria)
    }

    fn client(&self) -> &Client<R> {
        match self {
            AggregateTarget::Collection(collection) => collection.client(),
            AggregateTarget::Database(database, _) => database.client(),
        }
    }

    fn encode(
        &self,
        pipeline: &[Document],
        options: &AggregateOptions,
        session: Option<&ClientSession<R>>,
    ) -> Result<(Operation, Request)> {
        match self {
            AggregateTarget::Collection(collection) => {
                encode(&collection.target().within(session), false, pipeline, options)
            }
            AggregateTarget::Database(database, criteria) => {
                let target = Target::new(database.shared_name(), "", criteria)
                    .with_concerns(database.read_concern(), database.write_concern())
                    .within(session);
                encode(&target, true, pipeline, options)
            }
        }
    }
}

impl<'a, R: Runtime> Aggregate<'a, R> {
    pub(crate) fn new(target: AggregateTarget<R>, pipeline: Vec<Document>) -> Self {
        Aggregate {
            target,
            pipeline,
            options: AggregateOptions::default(),
            session: ImplicitSession,
            lifetime: PhantomData,
            documents: PhantomData,
        }
    }
}

impl<'a, R: Runtime, T> Aggregate<'a, R, T> {
    /// Runs it in that session, as part of its transaction if one has been started.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession<R>>,
    ) -> Aggregate<'a, R, T, ExplicitSession<'a, R>> {
        Aggregate {
            target: self.target,
            pipeline: self.pipeline,
            options: self.options,
            session: ExplicitSession(value.into()),
            lifetime: PhantomData,
            documents: PhantomData,
        }
    }
}

impl<'a, R: Runtime, T, Session> Aggregate<'a, R, T, Session> {
    /// Has the cursor give documents of type `U`.
    pub fn with_type<U: for<'de> Deserialize<'de>>(self) -> Aggregate<'a, R, U, Session> {
        Aggregate {
            target: self.target,
            pipeline: self.pipeline,
            options: self.options,
            session: self.session,
            lifetime: PhantomData,
            documents: PhantomData,
        }
    }

    setters! { AggregateOptions;
        set allow_disk_use: bool,
        set batch_size: u32,
        set bypass_document_validation: bool,
        set collation: Collation,
        into comment: Bson,
        set hint: Hint,
        set max_await_time: Duration,
        set max_time: Duration,
        set read_concern: ReadConcern,
        set selection_criteria: SelectionCriteria,
        set write_concern: WriteConcern,
        set let_vars: Document,
    }
}

action! { ['a, R: Runtime, T: 'a] Aggregate<'a, R, T> => Cursor<T, R>; |this| {
    let reply = run(&this.target, &this.pipeline, &this.options, None).await?;
    Cursor::open(this.target.client(), reply, get_more(this.options))
} }

action! { ['a, R: Runtime, T: 'a] Aggregate<'a, R, T, ExplicitSession<'a, R>> => SessionCursor<T, R>; |this| {
    let reply = run(&this.target, &this.pipeline, &this.options, Some(this.session.0)).await?;
    SessionCursor::open(this.target.client(), reply, get_more(this.options))
} }

async fn run<R: Runtime>(
    target: &AggregateTarget<R>,
    pipeline: &[Document],
    options: &AggregateOptions,
    session: Option<&ClientSession<R>>,
) -> Result<Reply> {
    let (operation, mut request) = target.encode(pipeline, options, session)?;
    target.client().execute_in(operation, &mut request, session).await
}

fn get_more(options: AggregateOptions) -> GetMore {
    // Only change streams wait, and they ask for their batches themselves.
    GetMore { batch_size: options.batch_size, max_await_time: None, comment: options.comment }
}

/// Whether the pipeline writes its results: its last stage is `$out` or `$merge`.
fn writes(pipeline: &[Document]) -> bool {
    let stage = pipeline.last().and_then(|stage| stage.keys().next());
    stage.is_some_and(|stage| stage == "$out" || stage == "$merge")
}

/// CRUD specification, "aggregate". On a database the command's target is the number 1.
///
/// A pipeline that writes goes to a writable server, which every server version can do ("Read preferences and server
/// selection"), takes the write concern as well, and no `batchSize`.
pub(super) fn encode(
    target: &Target<'_>,
    on_database: bool,
    pipeline: &[Document],
    options: &AggregateOptions,
) -> Result<(Operation, Request)> {
    let writes = writes(pipeline);
    let concern = if writes { target.write_concern(options.write_concern.as_ref())? } else { None };
    let cursor_options = Body::batch_size_document(options.batch_size.filter(|_| !writes))?;
    let mut request = Request::new();
    let body = if on_database {
        Body::database_command(&mut request, "aggregate", target.database)
    } else {
        Body::command(&mut request, "aggregate", target.collection, target.database)
    };
    body.documents("pipeline", Some(pipeline))
        .document("cursor", Some(&cursor_options))
        .bool("allowDiskUse", options.allow_disk_use)
        .bool("bypassDocumentValidation", options.bypass_document_validation.filter(|_| writes))
        .value("collation", options.collation.as_ref())
        .bson("comment", options.comment.as_ref())
        .bson("hint", options.hint.as_ref())
        .max_time(options.max_time)
        .document("let", options.let_vars.as_ref())
        .write_concern(concern)
        .finish()?;
    let mut operation = if writes {
        let operation = write_operation("aggregate", target.database, concern, false)?;
        if !operation.acknowledged {
            return Err(Error::invalid_argument(
                "an aggregation answers with a cursor: its write concern cannot be w: 0",
            ));
        }
        operation
    } else {
        let criteria = target.criteria(options.selection_criteria.as_ref());
        operation("aggregate", target.database, criteria, Retry::Read)
    };
    let concern = target.read_concern(options.read_concern.as_ref())?;
    operation.read_concern = ReadConcernField::Causal(concern.cloned());
    operation.keep_session = true;
    Ok((operation, request))
}
