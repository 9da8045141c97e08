//! `distinct`.

use super::{action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, read_operation};
use crate::decode::field;
use crate::exec::{Operation, Reply};
use crate::options::{Collation, DistinctOptions, Hint, ReadConcern, SelectionCriteria};
use crate::{ClientSession, Collection, Runtime};
use bson::{Bson, Document};
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::time::Duration;

/// Finds a field's different values. Made by [`Collection::distinct`]; gives a `Vec<Bson>`.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Distinct<'a, R: Runtime> {
    collection: Collection<(), R>,
    field_name: String,
    filter: Document,
    options: DistinctOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> Distinct<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>, field_name: String, filter: Document) -> Self {
        Distinct { collection, field_name, filter, options: DistinctOptions::default(), session: None }
    }

    setters! { DistinctOptions;
        set max_time: Duration,
        set selection_criteria: SelectionCriteria,
        set read_concern: ReadConcern,
        set collation: Collation,
        into comment: Bson,
        set hint: Hint,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] Distinct<'a, R> => Vec<Bson>; |this| {
    let (operation, mut request) =
        encode(&this.collection.target().within(this.session.as_deref()), &this.field_name, &this.filter, &this.options)?;
    let reply = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    read(&reply)
} }

pub(super) fn encode(
    target: &Target<'_>,
    field_name: &str,
    filter: &Document,
    options: &DistinctOptions,
) -> Result<(Operation, Request)> {
    let mut request = Request::new();
    Body::command(&mut request, "distinct", target.collection, target.database)
        .str("key", Some(field_name))
        .document("query", Some(filter).filter(|filter| !filter.is_empty()))
        .max_time(options.max_time)
        .value("collation", options.collation.as_ref())
        .bson("comment", options.comment.as_ref())
        .bson("hint", options.hint.as_ref())
        .finish()?;
    let criteria = target.criteria(options.selection_criteria.as_ref());
    let concern = target.read_concern(options.read_concern.as_ref())?;
    Ok((read_operation("distinct", target.database, criteria, concern), request))
}

pub(super) fn read(reply: &Reply) -> Result<Vec<Bson>> {
    match field(reply.doc().as_bytes(), "values")? {
        Some(Bson::Array(values)) => Ok(values),
        _ => Err(Error::invalid_response("no values in the reply to distinct")
            .with_server(reply.server.address.clone())),
    }
}
