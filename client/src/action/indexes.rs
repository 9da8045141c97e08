//! `create_index`, `create_indexes`, `drop_index`, `drop_indexes`, `list_indexes` and `list_index_names`.

use super::drop::NAMESPACE_NOT_FOUND;
use super::list_collections::{names, names_in};
use super::{
    ExplicitSession, ImplicitSession, ListNames, ListSpecifications, Multiple, Single, action,
    session_setter, setters,
};
use crate::collection::Target;
use crate::command::{Body, operation, write_operation};
use crate::cursor::{Cursor, GetMore, SessionCursor};
use crate::exec::{Operation, Reply, Retry};
use crate::options::{
    CommitQuorum, CreateIndexOptions, DropIndexOptions, IndexModel, ListIndexesOptions, WriteConcern,
};
use crate::reply::check_write;
use crate::results::{CreateIndexResult, CreateIndexesResult};
use crate::{ClientSession, Collection, Runtime};
use bson::Bson;
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, Result, ServerAddress};
use std::marker::PhantomData;
use std::time::Duration;

/// Makes indexes. Made by [`Collection::create_index`] and [`Collection::create_indexes`]; gives their names.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct CreateIndex<'a, R: Runtime, Mode = Single> {
    collection: Collection<(), R>,
    indexes: Vec<IndexModel>,
    options: CreateIndexOptions,
    session: Option<&'a mut ClientSession<R>>,
    mode: PhantomData<fn() -> Mode>,
}

impl<'a, R: Runtime, Mode> CreateIndex<'a, R, Mode> {
    pub(crate) fn new(collection: Collection<(), R>, mut indexes: Vec<IndexModel>) -> Self {
        for index in &mut indexes {
            let name = index.name();
            index.options.get_or_insert_default().name = Some(name);
        }
        CreateIndex {
            collection,
            indexes,
            options: CreateIndexOptions::default(),
            session: None,
            mode: PhantomData,
        }
    }

    setters! { CreateIndexOptions;
        set commit_quorum: CommitQuorum,
        set max_time: Duration,
        set write_concern: WriteConcern,
        into comment: Bson,
    }

    session_setter!('a, R);

    async fn run(self) -> Result<Vec<String>> {
        let (operation, mut request) = encode_create(
            &self.collection.target().within(self.session.as_deref()),
            &self.indexes,
            &self.options,
        )?;
        let acknowledged = operation.acknowledged;
        let reply =
            self.collection.client().execute_in(operation, &mut request, self.session.as_deref()).await?;
        if acknowledged {
            check_write(&reply)?;
        }
        Ok(self.indexes.iter().map(IndexModel::name).collect())
    }
}

action! { ['a, R: Runtime] CreateIndex<'a, R, Single> => CreateIndexResult; |this| {
    let name = this.run().await?.pop();
    let index_name = name.ok_or_else(|| Error::invalid_argument("no index was given"))?;
    Ok(CreateIndexResult { index_name })
} }

action! { ['a, R: Runtime] CreateIndex<'a, R, Multiple> => CreateIndexesResult; |this| {
    Ok(CreateIndexesResult { index_names: this.run().await? })
} }

pub(super) fn encode_create(
    target: &Target<'_>,
    indexes: &[IndexModel],
    options: &CreateIndexOptions,
) -> Result<(Operation, Request)> {
    let concern = target.write_concern(options.write_concern.as_ref())?;
    let quorum = options.commit_quorum.as_ref().map(bson::serialize_to_bson).transpose()?;
    let mut request = Request::new();
    Body::command(&mut request, "createIndexes", target.collection, target.database)
        .documents("indexes", Some(indexes))
        .bson("commitQuorum", quorum.as_ref())
        .max_time(options.max_time)
        .bson("comment", options.comment.as_ref())
        .write_concern(concern)
        .finish()?;
    Ok((write_operation("createIndexes", target.database, concern, false)?, request))
}

/// Removes indexes. Made by [`Collection::drop_index`] and [`Collection::drop_indexes`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct DropIndex<'a, R: Runtime> {
    collection: Collection<(), R>,
    name: Option<String>,
    options: DropIndexOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> DropIndex<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>, name: Option<String>) -> Self {
        DropIndex { collection, name, options: DropIndexOptions::default(), session: None }
    }

    setters! { DropIndexOptions;
        set max_time: Duration,
        set write_concern: WriteConcern,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] DropIndex<'a, R> => (); |this| {
    let (operation, mut request) = encode_drop(&this.collection.target().within(this.session.as_deref()), this.name.as_deref(), &this.options)?;
    let acknowledged = operation.acknowledged;
    let reply = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    if acknowledged {
        check_write(&reply)?;
    }
    Ok(())
} }

/// `dropIndexes`; without a name all of them (index management specification, "Drop Indexes").
pub(super) fn encode_drop(
    target: &Target<'_>,
    name: Option<&str>,
    options: &DropIndexOptions,
) -> Result<(Operation, Request)> {
    if name == Some("*") {
        return Err(Error::invalid_argument(
            "drop_index(\"*\") would drop all indexes: that is drop_indexes()",
        ));
    }
    let concern = target.write_concern(options.write_concern.as_ref())?;
    let mut request = Request::new();
    Body::command(&mut request, "dropIndexes", target.collection, target.database)
        .str("index", Some(name.unwrap_or("*")))
        .max_time(options.max_time)
        .bson("comment", options.comment.as_ref())
        .write_concern(concern)
        .finish()?;
    Ok((write_operation("dropIndexes", target.database, concern, false)?, request))
}

/// Lists indexes. Made by [`Collection::list_indexes`] and [`Collection::list_index_names`]; gives a [`Cursor`] of
/// [`IndexModel`]s (in an explicit session a [`SessionCursor`]), or names. A collection that does not exist has none.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct ListIndexes<'a, R: Runtime, Mode = ListSpecifications, Session = ImplicitSession> {
    collection: Collection<(), R>,
    options: ListIndexesOptions,
    session: Session,
    lifetime: PhantomData<&'a ()>,
    mode: PhantomData<fn() -> Mode>,
}

impl<'a, R: Runtime, Mode> ListIndexes<'a, R, Mode> {
    pub(crate) fn new(collection: Collection<(), R>) -> Self {
        ListIndexes {
            collection,
            options: ListIndexesOptions::default(),
            session: ImplicitSession,
            lifetime: PhantomData,
            mode: PhantomData,
        }
    }

    /// Runs it in that session, as part of its transaction if one has been started.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession<R>>,
    ) -> ListIndexes<'a, R, Mode, ExplicitSession<'a, R>> {
        ListIndexes {
            collection: self.collection,
            options: self.options,
            session: ExplicitSession(value.into()),
            lifetime: PhantomData,
            mode: PhantomData,
        }
    }
}

impl<R: Runtime, Mode, Session> ListIndexes<'_, R, Mode, Session> {
    setters! { ListIndexesOptions;
        set max_time: Duration,
        set batch_size: u32,
        into comment: Bson,
    }
}

/// What came of it: a first batch, or the server that knows no such collection.
async fn list<R: Runtime>(
    collection: &Collection<(), R>,
    options: ListIndexesOptions,
    session: Option<&ClientSession<R>>,
) -> Result<Result<(Reply, GetMore), ServerAddress>> {
    let (operation, mut request) = encode_list(&collection.target(), &options)?;
    match collection.client().execute_in(operation, &mut request, session).await {
        Ok(reply) => {
            let ListIndexesOptions { batch_size, comment, .. } = options;
            Ok(Ok((reply, GetMore { batch_size, max_await_time: None, comment })))
        }
        Err(error) if error.code() == Some(NAMESPACE_NOT_FOUND) => {
            Ok(Err(error.server_address().cloned().unwrap_or_default()))
        }
        Err(error) => Err(error),
    }
}

async fn open<T, R: Runtime>(
    collection: &Collection<(), R>,
    options: ListIndexesOptions,
) -> Result<Cursor<T, R>> {
    match list(collection, options, None).await? {
        Ok((reply, get_more)) => Cursor::open(collection.client(), reply, get_more),
        Err(server) => Ok(Cursor::empty(collection.client(), server)),
    }
}

async fn open_in<T, R: Runtime>(
    collection: &Collection<(), R>,
    options: ListIndexesOptions,
    session: &ClientSession<R>,
) -> Result<SessionCursor<T, R>> {
    match list(collection, options, Some(session)).await? {
        Ok((reply, get_more)) => SessionCursor::open(collection.client(), reply, get_more),
        Err(server) => Ok(SessionCursor::empty(collection.client(), server)),
    }
}

action! { ['a, R: Runtime] ListIndexes<'a, R, ListSpecifications> => Cursor<IndexModel, R>; |this| {
    open(&this.collection, this.options).await
} }

action! { ['a, R: Runtime]
    ListIndexes<'a, R, ListSpecifications, ExplicitSession<'a, R>> => SessionCursor<IndexModel, R>; |this| {
    open_in(&this.collection, this.options, this.session.0).await
} }

action! { ['a, R: Runtime] ListIndexes<'a, R, ListNames> => Vec<String>; |this| {
    names(open(&this.collection, this.options).await?).await
} }

action! { ['a, R: Runtime] ListIndexes<'a, R, ListNames, ExplicitSession<'a, R>> => Vec<String>; |this| {
    let session = this.session.0;
    names_in(open_in(&this.collection, this.options, session).await?, session).await
} }

pub(super) fn encode_list(target: &Target<'_>, options: &ListIndexesOptions) -> Result<(Operation, Request)> {
    let cursor = Body::batch_size_document(options.batch_size)?;
    let mut request = Request::new();
    Body::command(&mut request, "listIndexes", target.collection, target.database)
        .document("cursor", Some(&cursor))
        .max_time(options.max_time)
        .bson("comment", options.comment.as_ref())
        .finish()?;
    let mut operation = operation("listIndexes", target.database, SelectionCriteria::default(), Retry::Read);
    operation.keep_session = true;
    Ok((operation, request))
}
