//! `run_command` and `run_cursor_command`: the caller's own commands.

use super::{action, setters};
use crate::command::{Body, operation};
use crate::cursor::{Cursor, GetMore};
use crate::decode::decode;
use crate::exec::{Operation, Retry};
use crate::options::{CursorType, RunCommandOptions, RunCursorCommandOptions, SelectionCriteria};
use crate::{Database, Runtime};
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
}

impl<'a, R: Runtime> RunCommand<'a, R> {
    pub(crate) fn new(database: &'a Database<R>, command: Result<Vec<u8>>) -> Self {
        RunCommand { database, command, options: RunCommandOptions::default() }
    }

    setters! { RunCommandOptions;
        set selection_criteria: SelectionCriteria,
    }
}

action! { ['a, R: Runtime] RunCommand<'a, R> => Document; |this| {
    let criteria = this.options.selection_criteria;
    let (operation, mut request) = encode(this.database.shared_name(), &this.command?, criteria.as_ref())?;
    let reply = this.database.client().execute(operation, &mut request).await?;
    decode(reply.doc().as_bytes())
} }

/// Runs a command that answers with a cursor. Made by [`Database::run_cursor_command`]; gives a [`Cursor`].
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct RunCursorCommand<'a, R: Runtime> {
    database: &'a Database<R>,
    command: Result<Vec<u8>>,
    options: RunCursorCommandOptions,
}

impl<'a, R: Runtime> RunCursorCommand<'a, R> {
    pub(crate) fn new(database: &'a Database<R>, command: Result<Vec<u8>>) -> Self {
        RunCursorCommand { database, command, options: RunCursorCommandOptions::default() }
    }

    setters! { RunCursorCommandOptions;
        set selection_criteria: SelectionCriteria,
        set cursor_type: CursorType,
        set batch_size: u32,
        set max_time: Duration,
        into comment: Bson,
    }
}

action! { ['a, R: Runtime] RunCursorCommand<'a, R> => Cursor<Document, R>; |this| {
    let RunCursorCommandOptions { selection_criteria, batch_size, max_time, comment, .. } = this.options;
    let (mut operation, mut request) =
        encode(this.database.shared_name(), &this.command?, selection_criteria.as_ref())?;
    operation.keep_session = true;
    let client = this.database.client();
    let reply = client.execute(operation, &mut request).await?;
    Cursor::open(client, reply, GetMore { batch_size, max_await_time: max_time, comment })
} }

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
