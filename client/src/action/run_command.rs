//! `run_command` and `run_cursor_command`: the caller's own commands.

use super::{ExplicitSession, ImplicitSession, action, session_setter, setters};
use crate::command::{Body, operation};
use crate::cursor::{Cursor, GetMore, SessionCursor};
use crate::decode::decode;
use crate::exec::{Operation, Reply, Retry};
use crate::options::{CursorType, RunCommandOptions, RunCursorCommandOptions, SelectionCriteria};
use crate::{ClientSession, Database, Runtime};
use bson::{Bson, Document};
use quorate_core::raw::RawDoc;
use quorate_core::wire::Request;
use quorate_core::{Error, Result};
use std::sync::Arc;
use std::time::Duration;

/// Runs a command. Made by [`Database::run_command`]; gives the reply as a [`Document`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct RunCommand<'a, R: Runtime> {
    database: &'a Database<R>,
    command: Result<Vec<u8>>,
    options: RunCommandOptions,
    session: Option<&'a mut ClientSession<R>>,
}

impl<'a, R: Runtime> RunCommand<'a, R> {
    pub(crate) fn new(database: &'a Database<R>, command: Result<Vec<u8>>) -> Self {
        RunCommand { database, command, options: RunCommandOptions::default(), session: None }
    }

    session_setter!('a, R);

    setters! { RunCommandOptions;
        set selection_criteria: SelectionCriteria,
    }
}

action! { ['a, R: Runtime] RunCommand<'a, R> => Document; |this| {
    let criteria = this.options.selection_criteria;
    let (operation, mut request) = encode(this.database.shared_name(), &this.command?, criteria.as_ref())?;
    let reply = this.database.client().execute_in(operation, &mut request, this.session.as_deref()).await?;
    decode(reply.doc().as_bytes())
} }

/// Runs a command that answers with a cursor. Made by [`Database::run_cursor_command`]; gives a [`Cursor`], or in an explicit
/// session a [`SessionCursor`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct RunCursorCommand<'a, R: Runtime, Session = ImplicitSession> {
    database: &'a Database<R>,
    command: Result<Vec<u8>>,
    options: RunCursorCommandOptions,
    session: Session,
}

impl<'a, R: Runtime> RunCursorCommand<'a, R> {
    pub(crate) fn new(database: &'a Database<R>, command: Result<Vec<u8>>) -> Self {
        let options = RunCursorCommandOptions::default();
        RunCursorCommand { database, command, options, session: ImplicitSession }
    }

    /// Runs it in that session, as part of its transaction if one has been started.
    pub fn session(
        self,
        value: impl Into<&'a mut ClientSession<R>>,
    ) -> RunCursorCommand<'a, R, ExplicitSession<'a, R>> {
        let RunCursorCommand { database, command, options, .. } = self;
        RunCursorCommand { database, command, options, session: ExplicitSession(value.into()) }
    }
}

impl<R: Runtime, Session> RunCursorCommand<'_, R, Session> {
    setters! { RunCursorCommandOptions;
        set selection_criteria: SelectionCriteria,
        set cursor_type: CursorType,
        set batch_size: u32,
        set max_time: Duration,
        into comment: Bson,
    }
}

action! { ['a, R: Runtime] RunCursorCommand<'a, R> => Cursor<Document, R>; |this| {
    let reply = run(this.database, &this.command?, &this.options, None).await?;
    Cursor::open(this.database.client(), reply, get_more(this.options))
} }

action! { ['a, R: Runtime] RunCursorCommand<'a, R, ExplicitSession<'a, R>> => SessionCursor<Document, R>; |this| {
    let reply = run(this.database, &this.command?, &this.options, Some(this.session.0)).await?;
    SessionCursor::open(this.database.client(), reply, get_more(this.options))
} }

async fn run<R: Runtime>(
    database: &Database<R>,
    command: &[u8],
    options: &RunCursorCommandOptions,
    session: Option<&ClientSession<R>>,
) -> Result<Reply> {
    let (mut operation, mut request) =
        encode(database.shared_name(), command, options.selection_criteria.as_ref())?;
    operation.keep_session = true;
    database.client().execute_in(operation, &mut request, session).await
}

fn get_more(options: RunCursorCommandOptions) -> GetMore {
    let RunCursorCommandOptions { batch_size, max_time, comment, .. } = options;
    GetMore { batch_size, max_await_time: max_time, comment }
}

/// Run command specification: the caller's fields as they are, and `$db`. Nothing is inherited; without criteria of its own
/// it goes to the primary ("Read Preference").
pub(super) fn encode(
    database: &Arc<str>,
    command: &[u8],
    criteria: Option<&SelectionCriteria>,
) -> Result<(Operation, Request)> {
    let command = RawDoc::new(command).map_err(|error| Error::invalid_argument(error.to_string()))?;
    let mut name = None;
    for element in command.iter() {
        let (key, _) = element.map_err(|error| Error::invalid_argument(error.to_string()))?;
        name = name.or(Some(key));
        if key == "$db" {
            return Err(Error::invalid_argument("a command must not have a field $db: the database sets it"));
        }
    }
    let name = name.ok_or_else(|| Error::invalid_argument("an empty document is no command"))?.to_owned();
    let mut request = Request::new();
    Body::over(request.body()).raw_fields(command).str("$db", Some(database)).finish()?;
    let criteria = criteria.map(SelectionCriteria::to_core).unwrap_or_default();
    Ok((operation(name, database, criteria, Retry::None), request))
}
