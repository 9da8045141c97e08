//! [`ClientSession`]: operations that belong together.

use crate::action::{AbortTransaction, CommitTransaction, StartTransaction};
use crate::command::ending;
use crate::{Client, Runtime};
use bson::spec::BinarySubtype;
use bson::{Binary, Document, Timestamp, doc};
use quorate_core::client_session::{ClientSession as Core, Scope};
use quorate_core::raw;
use quorate_core::transaction::{EndTransaction, TransactionState};
use quorate_core::{ClusterTime, Error, Result};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a session is while no operation has it. An operation that is dropped puts it back.
#[derive(Clone, Debug)]
pub(crate) struct Slot(Arc<Mutex<Option<Box<Core>>>>);

impl Slot {
    fn new(session: Core) -> Self {
        Slot(Arc::new(Mutex::new(Some(Box::new(session)))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Core>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session, for an operation.
    pub(crate) fn take(&self) -> Result<Box<Core>> {
        self.lock().take().ok_or_else(lost)
    }

    pub(crate) fn put(&self, session: Option<Box<Core>>) {
        if session.is_some() {
            *self.lock() = session;
        }
    }

    /// Looks at it, or changes it.
    fn with<T>(&self, use_it: impl FnOnce(&mut Core) -> T) -> Result<T> {
        self.lock().as_mut().map(|session| use_it(session)).ok_or_else(lost)
    }
}

/// A call that had the session was leaked.
fn lost() -> Error {
    Error::invalid_argument(
        "the session is still in use by an operation that was neither awaited to its end nor dropped",
    )
}

/// A session: operations in it are causally consistent with one another, may form a transaction, or read one snapshot.
///
/// Made by [`Client::start_session`]; passed to operations by their method `session`. One operation at a time: that takes the
/// session by `&mut`.
///
/// ```no_run
/// # use quorate::{Client, Runtime, bson::{Document, doc}, error::Result};
/// # async fn example<R: Runtime>(client: Client<R>) -> Result<()> {
/// let accounts = client.database("bank").collection::<Document>("accounts");
/// let mut session = client.start_session().await?;
/// session.start_transaction().await?;
/// accounts.update_one(doc! { "_id": 1 }, doc! { "$inc": { "sum": -5 } }).session(&mut session).await?;
/// accounts.update_one(doc! { "_id": 2 }, doc! { "$inc": { "sum": 5 } }).session(&mut session).await?;
/// session.commit_transaction().await?;
/// # Ok(())
/// # }
/// ```
///
/// Dropping it ends it, and aborts in the background a transaction that is in progress.
pub struct ClientSession<R: Runtime> {
    client: Client<R>,
    slot: Slot,
    id: Document,
}

impl<R: Runtime> ClientSession<R> {
    pub(crate) fn new(client: Client<R>, session: Core) -> Self {
        let id = Binary { subtype: BinarySubtype::Uuid, bytes: session.id().to_vec() };
        ClientSession { client, id: doc! { "id": id }, slot: Slot::new(session) }
    }

    /// The client it was made by, which alone may use it.
    pub fn client(&self) -> Client<R> {
        self.client.clone()
    }

    /// What it is called on the servers: `lsid`.
    pub fn id(&self) -> &Document {
        &self.id
    }

    /// The newest cluster time seen in it; `None` before its first operation.
    pub fn cluster_time(&self) -> Option<ClusterTime> {
        let time = self.slot.with(|session| session.cluster_time().clone()).ok()?;
        time.timestamp().map(|_| time)
    }

    /// Takes in the cluster time of another session; an older one changes nothing.
    pub fn advance_cluster_time(&mut self, to: &ClusterTime) {
        if let Some(document) = to.document() {
            let _ = self.slot.with(|session| session.advance_cluster_time(document));
        }
    }

    /// When its latest operation took place; `None` before its first operation.
    pub fn operation_time(&self) -> Option<Timestamp> {
        self.slot.with(|session| session.operation_time()).ok().flatten().map(timestamp)
    }

    /// Takes in the operation time of another session, so that reads in this one see what was written in that; an older one
    /// changes nothing.
    pub fn advance_operation_time(&mut self, ts: Timestamp) {
        let time = raw::Timestamp { time: ts.time, increment: ts.increment };
        let _ = self.slot.with(|session| session.advance_operation_time(time));
    }

    /// The moment that the reads of a snapshot session are of; `None` before the first, and in other sessions.
    pub fn snapshot_time(&self) -> Option<Timestamp> {
        self.slot.with(|session| session.snapshot_time()).ok().flatten().map(timestamp)
    }

    /// Begins a transaction. It must not be in one already. Nothing is sent before its first operation.
    pub fn start_transaction(&mut self) -> StartTransaction<'_, R> {
        StartTransaction::new(self)
    }

    /// Commits the transaction.
    ///
    /// An error with the label [`UNKNOWN_TRANSACTION_COMMIT_RESULT`](crate::error::labels::UNKNOWN_TRANSACTION_COMMIT_RESULT) leaves
    /// open whether it was committed: call this again to find out. It is never committed twice.
    pub fn commit_transaction(&mut self) -> CommitTransaction<'_, R> {
        CommitTransaction::new(self)
    }

    /// Aborts the transaction. What goes wrong on the server is no error: it aborts the transaction by itself then.
    pub fn abort_transaction(&mut self) -> AbortTransaction<'_, R> {
        AbortTransaction::new(self)
    }

    /// Calls `use_it` with the core's side of it.
    pub(crate) fn with<T>(&self, use_it: impl FnOnce(&mut Core) -> T) -> Result<T> {
        self.slot.with(use_it)
    }

    /// What operations in it inherit.
    pub(crate) fn scope(&self) -> Scope {
        self.slot.with(|session| session.scope()).unwrap_or_default()
    }

    /// Where its transaction stands.
    pub(crate) fn state(&self) -> TransactionState {
        self.slot.with(|session| session.state()).unwrap_or_default()
    }

    /// The place operations take it from, for those of `client`.
    ///
    /// # Errors
    /// When that is another client (driver sessions specification, "startSession": "error if the session is used with another client").
    pub(crate) fn slot_for(&self, client: &Client<R>) -> Result<Slot> {
        if self.client.is_same(client) {
            return Ok(self.slot.clone());
        }
        Err(Error::invalid_argument("a session can only be used with the client that it was started by"))
    }
}

fn timestamp(time: raw::Timestamp) -> Timestamp {
    Timestamp { time: time.time, increment: time.increment }
}

impl<R: Runtime> fmt::Debug for ClientSession<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSession")
            .field("id", &self.id)
            .field("transaction", &self.state())
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> Drop for ClientSession<R> {
    fn drop(&mut self) {
        let in_progress = self.state() == TransactionState::InProgress;
        let abort = in_progress.then(|| self.with(|session| session.end_transaction(false)));
        let (client, slot) = (self.client.clone(), self.slot.clone());
        if let Some(Ok(Ok(EndTransaction::Send { .. }))) = abort {
            return self.client.host().runtime.clone().spawn(async move {
                let (mut operation, mut request) = ending(false);
                operation.explicit = Some(slot.clone());
                // "MUST ignore any errors raised by abortTransaction while ending a session."
                let _ = client.execute(operation, &mut request).await;
                client.end_client_session(&slot);
            });
        }
        client.end_client_session(&slot);
    }
}
