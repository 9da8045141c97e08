//! Cursors: results that come in batches.

mod session;
mod state;
#[cfg(test)]
mod tests;

pub use session::{SessionCursor, SessionCursorStream};
pub(crate) use state::{GetMore, first_document};

use crate::decode::decode;
use crate::exec::Reply;
use crate::session::Slot;
use crate::{BoxFuture, Client, Runtime};
use bson::RawDocument;
use futures::Stream;
#[cfg(feature = "mistakes")]
use quorate_core::{ReadPreference, ReadPreferenceMode};
use quorate_core::{Result, ServerAddress};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use state::{CursorState, as_raw_document};
use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The results of a query, batch by batch, as a [`Stream`] of `Result<T>`.
///
/// ```no_run
/// # use quorate::{Collection, Runtime, bson::{Document, doc}, error::Result};
/// # async fn example<R: Runtime>(collection: Collection<Document, R>) -> Result<()> {
/// use futures::stream::TryStreamExt;
/// let mut cursor = collection.find(doc! { "year": 1984 }).await?;
/// while let Some(book) = cursor.try_next().await? {
///     println!("{book}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// Each batch stays in the buffer it was received in. [`Cursor::advance`] with [`Cursor::deserialize_current`] or
/// [`Cursor::current`] reads documents there without copying: types that borrow, such as `&str` fields, work.
///
/// A cursor that is dropped before its end is closed on the server in the background. Dropping the future of
/// [`Cursor::advance`] or of `next` loses nothing: the next call goes on.
pub struct Cursor<T, R: Runtime> {
    raw: RawCursor<R>,
    documents: PhantomData<fn() -> T>,
}

/// A cursor without a document type.
struct RawCursor<R: Runtime> {
    client: Client<R>,
    state: CursorState,
    /// The next batch, asked for and not yet there.
    pending: Option<BoxFuture<'static, Result<Reply>>>,
}

impl<T, R: Runtime> fmt::Debug for Cursor<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor")
            .field("server", self.raw.state.server())
            .field("finished", &self.raw.state.is_finished())
            .field("waiting", &self.raw.pending.is_some())
            .finish_non_exhaustive()
    }
}

impl<T, R: Runtime> Cursor<T, R> {
    /// The cursor that `reply` speaks of.
    pub(crate) fn open(client: &Client<R>, reply: Reply, get_more: GetMore) -> Result<Self> {
        Ok(Cursor { raw: RawCursor::open(client, reply, get_more)?, documents: PhantomData })
    }

    /// A cursor over nothing.
    pub(crate) fn empty(client: &Client<R>, server: ServerAddress) -> Self {
        Cursor { raw: RawCursor::empty(client, server), documents: PhantomData }
    }

    /// Goes to the next document, with a further batch where it takes one. `false` when there is none any more.
    ///
    /// # Errors
    /// What asking for a batch can give. The cursor gives nothing after one.
    pub async fn advance(&mut self) -> Result<bool> {
        poll_fn(|context| self.raw.poll_advance(context, None)).await
    }

    /// The document the cursor stands on, as bytes. Before the first [`Cursor::advance`], after the end and after an error
    /// it is empty.
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
    pub fn with_type<'a, D: Deserialize<'a>>(self) -> Cursor<D, R> {
        Cursor { raw: self.raw, documents: PhantomData }
    }
}

impl<T: DeserializeOwned, R: Runtime> Stream for Cursor<T, R> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        Poll::Ready(match ready!(self.raw.poll_advance(context, None)) {
            Ok(true) => Some(self.deserialize_current()),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

impl<R: Runtime> RawCursor<R> {
    fn open(client: &Client<R>, mut reply: Reply, get_more: GetMore) -> Result<Self> {
        let (session, pin) = (reply.session.take(), reply.pin.take());
        match CursorState::new(reply, get_more) {
            Ok(mut state) => {
                state.keep(session, pin);
                Ok(Self::new(client, state))
            }
            Err(error) => {
                if let Some(pin) = pin {
                    client.unpin(pin);
                }
                if let Some(session) = session {
                    client.end_session(session);
                }
                Err(error)
            }
        }
    }

    fn empty(client: &Client<R>, server: ServerAddress) -> Self {
        Self::new(client, CursorState::empty(server))
    }

    fn new(client: &Client<R>, state: CursorState) -> Self {
        let mut raw = RawCursor { client: client.clone(), state, pending: None };
        raw.release_session();
        raw
    }

    fn current(&self) -> &RawDocument {
        as_raw_document(self.state.current())
    }

    /// Gives the session back as soon as the server has closed the cursor, however long the cursor lives here.
    fn release_session(&mut self) {
        if let Some(session) = self.state.spent_session() {
            self.client.end_session(session);
        }
    }

    /// Goes to the next document; further batches are asked for in `session`, if the cursor has an explicit one.
    fn poll_advance(&mut self, context: &mut Context<'_>, session: Option<&Slot>) -> Poll<Result<bool>> {
        loop {
            if let Some(pending) = &mut self.pending {
                let reply = ready!(pending.as_mut().poll(context));
                self.pending = None;
                let outcome = self.state.on_batch(reply);
                self.release_session();
                outcome?;
            }
            if self.state.advance()? {
                return Poll::Ready(Ok(true));
            }
            if self.state.is_finished() {
                return Poll::Ready(Ok(false));
            }
            // Each round here waits for a server's answer, so a tailable cursor at its end makes no hot loop.
            let (mut operation, mut request) = self.state.next_batch()?;
            operation.explicit = session.cloned();
            #[cfg(feature = "mistakes")]
            if self.client.options().mistake == Some(quorate_core::mistakes::Mistake::GetMoreElsewhere) {
                operation.criteria = ReadPreference::new(ReadPreferenceMode::Nearest).into();
            }
            let client = self.client.clone();
            self.pending = Some(Box::pin(async move { client.execute(operation, &mut request).await }));
        }
    }
}

impl<R: Runtime> Drop for RawCursor<R> {
    fn drop(&mut self) {
        // First the batch that is on its way: its connection is given up, and the server learns of it by that.
        self.pending = None;
        #[cfg(feature = "mistakes")]
        if self.client.options().mistake == Some(quorate_core::mistakes::Mistake::CursorNotClosed) {
            return self.release_session();
        }
        if let Some((operation, request)) = self.state.kill() {
            self.client.spawn_execute(operation, request);
        }
        self.release_session();
    }
}
