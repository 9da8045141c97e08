//! `create_collection`.

use super::{action, session_setter, setters};
use crate::command::{Body, write_operation};
use crate::exec::Operation;
use crate::options::{
    ChangeStreamPreAndPostImages, ClusteredIndex, Collation, CreateCollectionOptions, IndexOptionDefaults,
    TimeseriesOptions, ValidationAction, ValidationLevel, WriteConcern,
};
use crate::reply::check_write;
use crate::{ClientSession, Database, Runtime};
use bson::{Bson, Document};
use quorate_core::Result;
use quorate_core::wire::Request;
use std::sync::Arc;
use std::time::Duration;

/// Makes a collection or a view. Made by [`Database::create_collection`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct CreateCollection<'a, R: Runtime> {
    database: &'a Database<R>,
    name: String,
    options: CreateCollectionOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> CreateCollection<'a, R> {
    pub(crate) fn new(database: &'a Database<R>, name: String) -> Self {
        CreateCollection { database, name, options: CreateCollectionOptions::default(), session: None }
    }

    setters! { CreateCollectionOptions;
        set capped: bool,
        set size: u64,
        set max: u64,
        set storage_engine: Document,
        set validator: Document,
        set validation_level: ValidationLevel,
        set validation_action: ValidationAction,
        into view_on: String,
        list pipeline: Document,
        set collation: Collation,
        set write_concern: WriteConcern,
        set index_option_defaults: IndexOptionDefaults,
        set timeseries: TimeseriesOptions,
        set expire_after_seconds: Duration,
        set change_stream_pre_and_post_images: ChangeStreamPreAndPostImages,
        set clustered_index: ClusteredIndex,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] CreateCollection<'a, R> => (); |this| {
    let session = this.session.as_deref();
    let scope = session.map(ClientSession::scope).unwrap_or_default();
    let concern = scope.write_concern(this.options.write_concern.as_ref(), this.database.write_concern())?;
    let (operation, mut request) = encode(this.database.shared_name(), &this.name, &this.options, concern)?;
    let acknowledged = operation.acknowledged;
    let reply = this.database.client().execute_in(operation, &mut request, session).await?;
    if acknowledged {
        check_write(&reply)?;
    }
    Ok(())
} }

pub(super) fn encode(
    database: &Arc<str>,
    name: &str,
    options: &CreateCollectionOptions,
    concern: Option<&WriteConcern>,
) -> Result<(Operation, Request)> {
    let mut request = Request::new();
    Body::command(&mut request, "create", name, database).fields(options).write_concern(concern).finish()?;
    Ok((write_operation("create", database, concern, false)?, request))
}
