//! `delete_one` and `delete_many`: the `delete` command with one statement.

use super::{action, session_setter, setters};
use crate::collection::Target;
use crate::command::{Body, statement, write_operation};
use crate::exec::Operation;
use crate::options::{Collation, DeleteOptions, Hint, WriteConcern};
use crate::reply::{check_write, count};
use crate::results::DeleteResult;
use crate::{ClientSession, Collection, Runtime};
use bson::{Bson, Document};
use quorate_core::Result;
use quorate_core::wire::Request;

/// Deletes documents. Made by [`Collection::delete_one`] and [`Collection::delete_many`]; gives a [`DeleteResult`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct Delete<'a, R: Runtime> {
    collection: Collection<(), R>,
    query: Document,
    multi: bool,
    options: DeleteOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> Delete<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>, query: Document, multi: bool) -> Self {
        Delete { collection, query, multi, options: DeleteOptions::default(), session: None }
    }

    setters! { DeleteOptions;
        set collation: Collation,
        set write_concern: WriteConcern,
        set hint: Hint,
        set let_vars: Document,
        into comment: Bson,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] Delete<'a, R> => DeleteResult; |this| {
    let (operation, mut request) = encode(&this.collection.target().within(this.session.as_deref()), &this.query, this.multi, &this.options)?;
    let acknowledged = operation.acknowledged;
    let reply = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    if !acknowledged {
        return Ok(DeleteResult::default());
    }
    let deleted_count = count(check_write(&reply)?.n, "n", &reply.server.address)?;
    Ok(DeleteResult { deleted_count })
} }

pub(super) fn encode(
    target: &Target<'_>,
    query: &Document,
    multi: bool,
    options: &DeleteOptions,
) -> Result<(Operation, Request)> {
    let concern = target.write_concern(options.write_concern.as_ref())?;
    let mut request = Request::new();
    statement(&mut request, "deletes", |body| {
        body.document("q", Some(query))
            .i32("limit", i32::from(!multi))
            .value("collation", options.collation.as_ref())
            .bson("hint", options.hint.as_ref())
    })?;
    Body::command(&mut request, "delete", target.collection, target.database)
        .bool("ordered", Some(true))
        .document("let", options.let_vars.as_ref())
        .bson("comment", options.comment.as_ref())
        .write_concern(concern)
        .finish()?;
    Ok((write_operation("delete", target.database, concern, !multi)?, request))
}
