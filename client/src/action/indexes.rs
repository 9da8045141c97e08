//! `create_index`, `create_indexes`, `drop_index`, `drop_indexes`, `list_indexes` and `list_index_names`.

use super::drop::NAMESPACE_NOT_FOUND;
use super::list_collections::names;
use super::{ListNames, ListSpecifications, Multiple, Single, action, setters};
use crate::collection::Target;
use crate::command::{Body, operation, write_operation};
use crate::cursor::{Cursor, GetMore};
use crate::exec::{Operation, Retry};
use crate::options::{
    CommitQuorum, CreateIndexOptions, DropIndexOptions, IndexModel, ListIndexesOptions, WriteConcern,
};
use crate::reply::check_write;
use crate::results::{CreateIndexResult, CreateIndexesResult};
use crate::{Collection, Runtime};
use bson::Bson;
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::marker::PhantomData;
use std::time::Duration;

/// Makes indexes. Made by [`Collection::create_index`] and [`Collection::create_indexes`]; gives their names.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct CreateIndex<'a, R: Runtime, Mode = Single> {
    collection: Collection<(), R>,
    indexes: Vec<IndexModel>,
    options: CreateIndexOptions,
    lifetime: PhantomData<&'a ()>,
    mode: PhantomData<fn() -> Mode>,
}

impl<R: Runtime, Mode> CreateIndex<'_, R, Mode> {
    pub(crate) fn new(collection: Collection<(), R>, mut indexes: Vec<IndexModel>) -> Self {
        for index in &mut indexes {
            let name = index.name();
            index.options.get_or_insert_default().name = Some(name);
        }
        CreateIndex {
            collection,
            indexes,
            options: CreateIndexOptions::default(),
            lifetime: PhantomData,
            mode: PhantomData,
        }
    }

    setters! { CreateIndexOptions;
        set commit_quorum: CommitQuorum,
        set max_time: Duration,
        set write_concern: WriteConcern,
        into comment: Bson,
    }

    async fn run(self) -> Result<Vec<String>> {
        let (operation, mut request) =
            encode_create(&self.collection.target(), &self.indexes, &self.options)?;
        let acknowledged = operation.acknowledged;
        let reply = self.collection.client().execute(operation, &mut request).await?;
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
    let concern = target.write_concern(options.write_concern.as_ref());
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
    lifetime: PhantomData<&'a ()>,
}

impl<R: Runtime> DropIndex<'_, R> {
    pub(crate) fn new(collection: Collection<(), R>, name: Option<String>) -> Self {
        DropIndex { collection, name, options: DropIndexOptions::default(), lifetime: PhantomData }
    }

    setters! { DropIndexOptions;
        set max_time: Duration,
        set write_concern: WriteConcern,
        into comment: Bson,
    }
}

action! { ['a, R: Runtime] DropIndex<'a, R> => (); |this| {
    let (operation, mut request) = encode_drop(&this.collection.target(), this.name.as_deref(), &this.options)?;
    let acknowledged = operation.acknowledged;
    let reply = this.collection.client().execute(operation, &mut request).await?;
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
    let concern = target.write_concern(options.write_concern.as_ref());
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
/// [`IndexModel`]s, or names. A collection that does not exist has none.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct ListIndexes<'a, R: Runtime, Mode = ListSpecifications> {
    collection: Collection<(), R>,
    options: ListIndexesOptions,
    lifetime: PhantomData<&'a ()>,
    mode: PhantomData<fn() -> Mode>,
}

impl<R: Runtime, Mode> ListIndexes<'_, R, Mode> {
    pub(crate) fn new(collection: Collection<(), R>) -> Self {
        ListIndexes {
            collection,
            options: ListIndexesOptions::default(),
            lifetime: PhantomData,
            mode: PhantomData,
        }
    }

    setters! { ListIndexesOptions;
        set max_time: Duration,
        set batch_size: u32,
        into comment: Bson,
    }

    async fn run<T>(self) -> Result<Cursor<T, R>> {
        let (operation, mut request) = encode_list(&self.collection.target(), &self.options)?;
        let client = self.collection.client();
        match client.execute(operation, &mut request).await {
            Ok(reply) => {
                let ListIndexesOptions { batch_size, comment, .. } = self.options;
                Cursor::open(client, reply, GetMore { batch_size, max_await_time: None, comment })
            }
            Err(error) if error.code() == Some(NAMESPACE_NOT_FOUND) => {
                Ok(Cursor::empty(client, error.server_address().cloned().unwrap_or_default()))
            }
            Err(error) => Err(error),
        }
    }
}

action! { ['a, R: Runtime] ListIndexes<'a, R, ListSpecifications> => Cursor<IndexModel, R>; |this| {
    this.run().await
} }

action! { ['a, R: Runtime] ListIndexes<'a, R, ListNames> => Vec<String>; |this| {
    names(this.run::<()>().await?).await
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
