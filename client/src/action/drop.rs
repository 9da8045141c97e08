//! `drop`, of a collection and of a database.

use super::{action, session_setter, setters};
use crate::command::{Body, write_operation};
use crate::exec::{Operation, Reply};
use crate::options::{DropCollectionOptions, DropDatabaseOptions, WriteConcern};
use crate::reply::check_write;
use crate::{ClientSession, Collection, Database, Runtime};
use quorate_core::Result;
use quorate_core::wire::Request;

/// NamespaceNotFound: what should go was not there.
pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;

/// Removes a collection. Made by [`Collection::drop`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct DropCollection<'a, R: Runtime> {
    collection: Collection<(), R>,
    options: DropCollectionOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> DropCollection<'a, R> {
    pub(crate) fn new(collection: Collection<(), R>) -> Self {
        DropCollection { collection, options: DropCollectionOptions::default(), session: None }
    }

    setters! { DropCollectionOptions;
        set write_concern: WriteConcern,
    }

    session_setter!('a, R);
}

action! { ['a, R: Runtime] DropCollection<'a, R> => (); |this| {
    let (operation, mut request) = {
        let target = this.collection.target().within(this.session.as_deref());
        let concern = target.write_concern(this.options.write_concern.as_ref())?;
        let mut request = Request::new();
        Body::command(&mut request, "drop", target.collection, target.database).write_concern(concern).finish()?;
        (write_operation("drop", target.database, concern, false)?, request)
    };
    let acknowledged = operation.acknowledged;
    let outcome = this.collection.client().execute_in(operation, &mut request, this.session.as_deref()).await;
    forgive_missing(outcome, acknowledged)
} }

/// Removes a database. Made by [`Database::drop`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct DropDatabase<'a, R: Runtime> {
    database: &'a Database<R>,
    options: DropDatabaseOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> DropDatabase<'a, R> {
    pub(crate) fn new(database: &'a Database<R>) -> Self {
        DropDatabase { database, options: DropDatabaseOptions::default(), session: None }
    }

    setters! { DropDatabaseOptions;
        set write_concern: WriteConcern,
    }

    session_setter!('a, R);

    fn encode(&self) -> Result<(Operation, Request)> {
        let database = self.database.shared_name();
        let scope = self.session.as_deref().map(ClientSession::scope).unwrap_or_default();
        let concern =
            scope.write_concern(self.options.write_concern.as_ref(), self.database.write_concern())?;
        let mut request = Request::new();
        Body::database_command(&mut request, "dropDatabase", database).write_concern(concern).finish()?;
        Ok((write_operation("dropDatabase", database, concern, false)?, request))
    }
}

action! { ['a, R: Runtime] DropDatabase<'a, R> => (); |this| {
    let (operation, mut request) = this.encode()?;
    let acknowledged = operation.acknowledged;
    let outcome = this.database.client().execute_in(operation, &mut request, this.session.as_deref()).await;
    forgive_missing(outcome, acknowledged)
} }

/// What was not there is as gone as it should be.
pub(super) fn forgive_missing(outcome: Result<Reply>, acknowledged: bool) -> Result<()> {
    match outcome {
        Err(error) if error.code() == Some(NAMESPACE_NOT_FOUND) => Ok(()),
        Err(error) => Err(error),
        Ok(reply) if acknowledged => check_write(&reply).map(|_| ()),
        Ok(_) => Ok(()),
    }
}
