//! A cursor without its client: where it is in which batch, and what it would ask for next.

use crate::command::{Body, operation};
use crate::decode::malformed;
use crate::exec::{Operation, Reply, Retry, ServerSessionHandle};
use crate::reply::{check_write_concern, summary};
use bson::{Bson, RawDocument};
use quorate_core::client_session::ReadConcernField;
use quorate_core::driver::CursorPin;
use quorate_core::raw::RawDoc;
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::Request;
use quorate_core::{Error, Result, ServerAddress};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The wire version of MongoDB 4.4.
const COMMENT_ON_GET_MORE: i32 = 9;

/// What further batches are asked for with.
#[derive(Clone, Debug, Default)]
pub(crate) struct GetMore {
    /// Documents a batch.
    pub(crate) batch_size: Option<u32>,
    /// How long the server waits at the end of a `TailableAwait` cursor.
    pub(crate) max_await_time: Option<Duration>,
    /// The comment of the command that made the cursor.
    pub(crate) comment: Option<Bson>,
}

/// A batch of documents inside the reply it came in. Documents are found one by one and never copied.
#[derive(Debug, Default)]
struct Batch {
    reply: Option<Reply>,
    /// The next element of the array.
    at: usize,
    /// Where the array's terminator is.
    end: usize,
    /// The document the cursor stands on.
    current: Option<Range<usize>>,
}

impl Batch {
    /// The array at `range` of `reply`.
    fn new(reply: Reply, range: Range<usize>) -> Self {
        Batch { reply: Some(reply), at: range.start + 4, end: range.end - 1, current: None }
    }

    fn bytes(&self) -> &[u8] {
        self.reply.as_ref().map_or(&[], |reply| reply.doc().as_bytes())
    }

    /// Goes to the next document; `false` at the end.
    fn advance(&mut self) -> Result<bool> {
        self.current = None;
        // Nothing is read behind an element that is no document.
        let position = std::mem::replace(&mut self.at, self.end);
        let Some(rest) = self.bytes().get(position..self.end).filter(|rest| !rest.is_empty()) else {
            return Ok(false);
        };
        let name = rest.iter().position(|byte| *byte == 0).filter(|_| rest.first() == Some(&0x03));
        let name =
            name.ok_or_else(|| Error::invalid_response("a batch with an element that is no document"))?;
        let (document, _) =
            RawDoc::split_from(rest.get(name + 1..).unwrap_or_default()).map_err(malformed)?;
        let start = position + name + 1;
        let end = start + document.as_bytes().len();
        self.at = end;
        self.current = Some(start..end);
        Ok(true)
    }
}

/// Where a cursor is.
#[derive(Debug)]
pub(crate) struct CursorState {
    id: i64,
    database: Arc<str>,
    collection: String,
    server: ServerAddress,
    session: Option<ServerSessionHandle>,
    /// The connection that leads to the cursor, where only one does.
    pin: Option<CursorPin>,
    /// Whether there was one: without it nothing can be asked.
    was_pinned: bool,
    batch: Batch,
    get_more: GetMore,
    /// No further batch may be asked for.
    finished: bool,
    /// Why there is nothing more to give, to be told once.
    failure: Option<Error>,
}

impl CursorState {
    /// The cursor that `reply` speaks of, made by a command on `database`.
    pub(crate) fn new(reply: Reply, get_more: GetMore) -> Result<Self> {
        let mut get_more = get_more;
        // A comment on getMore came with 4.4; older servers refuse the field.
        if reply.server.max_wire_version < COMMENT_ON_GET_MORE {
            get_more.comment = None;
        }
        let found = Found::read(&reply, "firstBatch")?;
        let (database, collection) =
            found.namespace.as_deref().and_then(|namespace| namespace.split_once('.')).ok_or_else(|| {
                Error::invalid_response("a cursor without a namespace")
                    .with_server(reply.server.address.clone())
            })?;
        let mut state = CursorState {
            id: 0,
            database: Arc::from(database),
            collection: collection.to_owned(),
            server: reply.server.address.clone(),
            session: None,
            pin: None,
            was_pinned: false,
            batch: Batch::default(),
            get_more,
            finished: false,
            failure: None,
        };
        state.take(reply, found.id, found.batch);
        Ok(state)
    }

    /// A cursor over nothing.
    pub(crate) fn empty(server: ServerAddress) -> Self {
        CursorState {
            id: 0,
            database: Arc::from(""),
            collection: String::new(),
            server,
            session: None,
            pin: None,
            was_pinned: false,
            batch: Batch::default(),
            get_more: GetMore::default(),
            finished: true,
            failure: None,
        }
    }

    fn take(&mut self, reply: Reply, id: i64, batch: Range<usize>) {
        self.id = id;
        self.finished = id == 0;
        self.batch = Batch::new(reply, batch);
    }

    /// The session that the cursor's commands run in, and the connection that they must take.
    pub(crate) fn keep(&mut self, session: Option<ServerSessionHandle>, pin: Option<CursorPin>) {
        self.session = session;
        self.was_pinned = pin.is_some();
        self.pin = pin;
    }

    /// That session, once no further command needs it.
    pub(crate) fn spent_session(&mut self) -> Option<ServerSessionHandle> {
        if self.id == 0 { self.session.take() } else { None }
    }

    /// Goes to the next document of the batch; `false` when a further one is needed, or there is none.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.batch.advance().map_err(|error| {
            self.finished = true;
            error.with_server(self.server.clone())
        })
    }

    /// Whether documents are left here, or the server may have more.
    pub(crate) fn has_next(&self) -> bool {
        self.batch.at < self.batch.end || !self.finished
    }

    /// Whether the server has closed the cursor.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The bytes of the document the cursor stands on.
    pub(crate) fn current(&self) -> Option<&[u8]> {
        self.batch.bytes().get(self.batch.current.clone()?)
    }

    /// Asks for the next batch ("find, getMore and killCursors commands" specification, "getMore").
    pub(crate) fn next_batch(&mut self) -> Result<(Operation, Request)> {
        let mut request = Request::new();
        let body = request.body().i64("getMore", self.id).str("collection", &self.collection);
        Body::over(body.str("$db", &self.database))
            // 0 would ask for a batch without documents, for ever.
            .batch_size(self.get_more.batch_size.filter(|size| *size != 0))
            .max_time(self.get_more.max_await_time)
            .bson("comment", self.get_more.comment.as_ref())
            .finish()?;
        let server = SelectionCriteria::Server(self.server.clone());
        let mut operation = operation("getMore", &self.database, server, Retry::None);
        operation.read_concern = ReadConcernField::Never;
        operation.session = self.session.take();
        operation.pin = self.pin.take();
        operation.keep_session = true;
        Ok((operation, request))
    }

    /// Takes the answer to [`CursorState::next_batch`]. After an error the cursor gives nothing any more.
    pub(crate) fn on_batch(&mut self, reply: Result<Reply>) -> Result<()> {
        let outcome = reply.and_then(|mut reply| {
            self.session = reply.session.take();
            self.pin = reply.pin.take();
            let found = Found::read(&reply, "nextBatch")?;
            if found.id != 0 && found.id != self.id {
                return Err(Error::invalid_response("a batch of another cursor")
                    .with_server(reply.server.address.clone()));
            }
            self.take(reply, found.id, found.batch);
            Ok(())
        });
        if let Err(error) = &outcome {
            self.finished = true;
            self.batch = Batch::default();
            // CursorNotFound, CursorKilled: nothing is left to close. After a network error the server closes it, as it
            // was asked on a connection that is gone.
            if matches!(error.code(), Some(43 | 237)) || error.is_network() {
                self.id = 0;
            }
        }
        outcome
    }

    /// Gives up what is left: the next step tells why.
    pub(crate) fn fail(&mut self, error: Error) {
        self.finished = true;
        self.batch = Batch::default();
        self.failure = Some(error);
    }

    /// Closes the cursor on the server, if it is open there.
    pub(crate) fn kill(&mut self) -> Option<(Operation, Request)> {
        self.finished = true;
        let id = std::mem::take(&mut self.id);
        // Another connection may lead to a router that has a cursor of that number for somebody else.
        if id == 0 || (self.was_pinned && self.pin.is_none()) {
            return None;
        }
        let mut request = Request::new();
        let body =
            request.body().str("killCursors", &self.collection).array("cursors", |ids| ids.i64("0", id));
        body.str("$db", &self.database).suspend();
        let server = SelectionCriteria::Server(self.server.clone());
        let mut operation = operation("killCursors", &self.database, server, Retry::None);
        operation.read_concern = ReadConcernField::Never;
        operation.session = self.session.take();
        operation.pin = self.pin.take();
        Some((operation, request))
    }

    pub(crate) fn server(&self) -> &ServerAddress {
        &self.server
    }
}

/// What a reply says of a cursor.
struct Found {
    id: i64,
    namespace: Option<String>,
    /// The array of documents within the reply.
    batch: Range<usize>,
}

impl Found {
    fn read(reply: &Reply, batch_name: &str) -> Result<Self> {
        let invalid = |what: &str| Error::invalid_response(what).with_server(reply.server.address.clone());
        let summary = summary(reply)?;
        check_write_concern(&summary, &reply.server.address)?;
        let cursor = summary.cursor.ok_or_else(|| invalid("no cursor in the reply"))?;
        let (mut id, mut namespace, mut batch) = (None, None, None);
        for element in cursor.iter() {
            let (name, value) = element.map_err(malformed)?;
            match name {
                "id" => id = value.as_i64(),
                "ns" => namespace = value.as_str().map(str::to_owned),
                name if name == batch_name => batch = value.as_array(),
                _ => {}
            }
        }
        let id = id.ok_or_else(|| invalid("a cursor without an id"))?;
        let array = batch.ok_or_else(|| invalid("a cursor without a batch"))?.as_bytes();
        // The array is a part of the reply's bytes: only where it begins is asked of the pointers.
        let start = (array.as_ptr() as usize).wrapping_sub(reply.doc().as_bytes().as_ptr() as usize);
        let batch = start..start.saturating_add(array.len());
        if reply.doc().as_bytes().get(batch.clone()).map(<[u8]>::as_ptr) != Some(array.as_ptr()) {
            return Err(invalid("a cursor without a batch"));
        }
        Ok(Found { id, namespace, batch })
    }
}

/// The first document of a command that answers with one batch.
pub(crate) fn first_document(reply: &Reply) -> Result<Option<&[u8]>> {
    let batch = Found::read(reply, "firstBatch")?.batch;
    let array = RawDoc::new(reply.doc().as_bytes().get(batch).unwrap_or_default()).map_err(malformed)?;
    let Some(first) = array.iter().next() else { return Ok(None) };
    let document = first.map_err(malformed)?.1.as_document();
    match document {
        Some(document) => Ok(Some(document.as_bytes())),
        None => Err(Error::invalid_response("a batch with an element that is no document")),
    }
}

/// Bytes that were found to be a document before.
pub(crate) fn as_raw_document(bytes: Option<&[u8]>) -> &RawDocument {
    const EMPTY: &[u8] = &[5, 0, 0, 0, 0];
    bytes
        .and_then(|bytes| RawDocument::from_bytes(bytes).ok())
        .or_else(|| RawDocument::from_bytes(EMPTY).ok())
        .unwrap_or_else(|| unreachable!("the empty document is one"))
}
