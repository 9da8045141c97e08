//! `list_databases` and `list_database_names`.

use super::{ListNames, ListSpecifications, action, session_setter, setters};
use crate::command::{Body, operation};
use crate::decode::{decode, malformed};
use crate::exec::{Operation, Reply, Retry};
use crate::options::ListDatabasesOptions;
use crate::results::DatabaseSpecification;
use crate::{Client, ClientSession, Runtime};
use bson::{Bson, Document};
use quorate_core::raw::{RawDoc, Value};
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::marker::PhantomData;
use std::sync::Arc;

/// Lists databases. Made by [`Client::list_databases`] and [`Client::list_database_names`]; gives their
/// specifications or their names.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct ListDatabases<'a, R: Runtime, Mode = ListSpecifications> {
    client: &'a Client<R>,
    options: ListDatabasesOptions,
    session: Option<&'a mut ClientSession<R>>,
    mode: PhantomData<fn() -> Mode>,
}

impl<'a, R: Runtime, Mode> ListDatabases<'a, R, Mode> {
    pub(crate) fn new(client: &'a Client<R>) -> Self {
        ListDatabases { client, options: ListDatabasesOptions::default(), session: None, mode: PhantomData }
    }

    setters! { ListDatabasesOptions;
        set authorized_databases: bool,
        into comment: Bson,
        set filter: Document,
    }

    session_setter!('a, R);

    async fn run(&self, names_only: bool) -> Result<Reply> {
        let (operation, mut request) = encode(names_only, &self.options)?;
        self.client.execute_in(operation, &mut request, self.session.as_deref()).await
    }
}

action! { ['a, R: Runtime] ListDatabases<'a, R, ListSpecifications> => Vec<DatabaseSpecification>; |this| {
    let reply = this.run(false).await?;
    databases(&reply)?.into_iter().map(|database| decode(database.as_bytes())).collect()
} }

action! { ['a, R: Runtime] ListDatabases<'a, R, ListNames> => Vec<String>; |this| {
    let reply = this.run(true).await?;
    let name = |database: RawDoc<'_>| {
        let name = database.get("name").map_err(malformed)?.and_then(Value::as_str).map(str::to_owned);
        name.ok_or_else(|| Error::invalid_response("a database without a name").with_server(reply.server.address.clone()))
    };
    databases(&reply)?.into_iter().map(name).collect()
} }

/// Enumerate databases specification: on the primary, on the database `admin`.
pub(super) fn encode(names_only: bool, options: &ListDatabasesOptions) -> Result<(Operation, Request)> {
    let admin: Arc<str> = Arc::from("admin");
    let mut request = Request::new();
    Body::database_command(&mut request, "listDatabases", &admin)
        .bool("nameOnly", names_only.then_some(true))
        .document("filter", options.filter.as_ref())
        .bool("authorizedDatabases", options.authorized_databases)
        .bson("comment", options.comment.as_ref())
        .finish()?;
    Ok((operation("listDatabases", &admin, SelectionCriteria::default(), Retry::Read), request))
}

pub(super) fn databases(reply: &Reply) -> Result<Vec<RawDoc<'_>>> {
    let invalid =
        || Error::invalid_response("no databases in the reply").with_server(reply.server.address.clone());
    let array =
        reply.doc().get("databases").map_err(malformed)?.and_then(Value::as_array).ok_or_else(invalid)?;
    array.iter().map(|element| element.map_err(malformed)?.1.as_document().ok_or_else(invalid)).collect()
}
