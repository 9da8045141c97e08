//! Cursors in explicit sessions.

use super::{GetMore, RawCursor};
use crate::decode::decode;
use crate::exec::Reply;
use crate::{Client, ClientSession, Runtime};
use bson::RawDocument;
use futures::{Stream, StreamExt};
use quorate_core::{Error, Result, ServerAddress};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The results of a query that was run in a [`ClientSession`], which every further batch takes as well.
///
/// ```no_run
/// # use quorate::{Client, Collection, Runtime, bson::{Document, doc}, error::Result};
/// # async fn example<R: Runtime>(client: Client<R>, books: Collection<Document, R>) -> Result<()> {
/// let mut session = client.start_session().await?;
/// let mut cursor = books.find(doc! { "year": 1984 }).session(&mut session).await?;
/// while let Some(book) = cursor.next(&mut session).await.transpose()? {
///     println!("{book}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// One that is dropped before its end is closed on the server in the background. A future of [`SessionCursor::advance`] or
/// [`SessionCursor::next`] that is dropped while a batch is on its way has lost that: the cursor gives an error from then on
/// rather than results with a gap.
pub struct SessionCursor<T, R: Runtime> {
    raw: RawCursor<R>,
    documents: PhantomData<fn() -> T>,
}

impl<T, R: Runtime> fmt::Debug for SessionCursor<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCursor")
            .field("server", self.raw.state.server())
            .field("finished", &self.raw.state.is_finished())
            .finish_non_exhaustive()
    }
}

impl<T, R: Runtime> SessionCursor<T, R> {
    /// The cursor that `reply` speaks of.
    pub(crate) fn open(client: &Client<R>, reply: Reply, get_more: GetMore) -> Result<Self> {
        Ok(SessionCursor { raw: RawCursor::open(client, reply, get_more)?, documents: PhantomData })
    }

    /// A cursor over nothing.
    pub(crate) fn empty(client: &Client<R>, server: ServerAddress) -> Self {
        SessionCursor { raw: RawCursor::empty(client, server), documents: PhantomData }
    }

    /// The documents as a stream, as long as it has the session.
    pub fn stream<'session>(
        &mut self,
        session: &'session mut ClientSession<R>,
    ) -> SessionCursorStream<'_, 'session, T, R> {
        SessionCursorStream { cursor: self, session }
    }

    /// Goes to the next document and gives it; `None` when there is none any more.
    pub async fn next(&mut self, session: &mut ClientSession<R>) -> Option<Result<T>>
    where
        T: DeserializeOwned,
    {
        self.stream(session).next().await
    }

    /// Goes to the next document, with a further batch where it takes one. `false` when there is none any more.
    ///
    /// # Errors
    /// What asking for a batch can give. The cursor gives nothing after one.
    pub async fn advance(&mut self, session: &mut ClientSession<R>) -> Result<bool> {
        let mut stream = self.stream(session);
        poll_fn(|context| stream.poll_advance(context)).await
    }

    /// The document the cursor stands on, as bytes; see [`Cursor::current`](crate::Cursor::current).
    pub fn current(&self) -> &RawDocument {
        self.raw.current()
    }

    /// Whether there may be more. (The last batch may turn out to be empty.)
    pub fn has_next(&self) -> bool {
        self.raw.state.has_next()
    }

    /// The document the cursor stands on as a `T`, which may borrow from it.
    ///
    /// # Errors
    /// When it is no `T`.
    pub fn deserialize_current<'a>(&'a self) -> Result<T>
    where
        T: Deserialize<'a>,
    {
        decode(self.current().as_bytes())
    }

    /// The same cursor with documents of another type.
    pub fn with_type<'a, D: Deserialize<'a>>(self) -> SessionCursor<D, R> {
        SessionCursor { raw: self.raw, documents: PhantomData }
    }
}

/// A [`SessionCursor`] with its session, as a [`Stream`] of `Result<T>`. Made by [`SessionCursor::stream`].
#[derive(Debug)]
pub struct SessionCursorStream<'cursor, 'session, T, R: Runtime> {
    cursor: &'cursor mut SessionCursor<T, R>,
    session: &'session mut ClientSession<R>,
}

impl<T, R: Runtime> SessionCursorStream<'_, '_, T, R> {
    fn poll_advance(&mut self, context: &mut Context<'_>) -> Poll<Result<bool>> {
        let slot = self.session.slot_for(&self.cursor.raw.client)?;
        self.cursor.raw.poll_advance(context, Some(&slot))
    }
}

impl<T: DeserializeOwned, R: Runtime> Stream for SessionCursorStream<'_, '_, T, R> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        Poll::Ready(match ready!(self.poll_advance(context)) {
            Ok(true) => Some(self.cursor.deserialize_current()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl<T, R: Runtime> Drop for SessionCursorStream<'_, '_, T, R> {
    /// The session goes back to its owner: a batch that is on its way is given up.
    fn drop(&mut self) {
        if self.cursor.raw.pending.take().is_some() {
            let error = Error::invalid_argument("a batch of the cursor was lost, as its future was dropped");
            self.cursor.raw.state.fail(error);
        }
    }
}
