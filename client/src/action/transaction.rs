//! `start_transaction`, `commit_transaction`, `abort_transaction`, and the convenient way to all three.

use super::{action, setters};
use crate::command::ending;
use crate::options::{ReadConcern, SelectionCriteria, TransactionOptions, WriteConcern};
use crate::{BoxFuture, ClientSession, Runtime};
use quorate_core::client_session::{Convenient, Next};
use quorate_core::transaction::{EndTransaction, TransactionState};
use quorate_core::{Instant, Result, client_session as core};
use std::time::Duration;

/// Starts a transaction. Made by [`ClientSession::start_transaction`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is started until it is awaited"]
pub struct StartTransaction<'a, R: Runtime> {
    session: &'a mut ClientSession<R>,
    options: TransactionOptions,
}

impl<'a, R: Runtime> StartTransaction<'a, R> {
    pub(crate) fn new(session: &'a mut ClientSession<R>) -> Self {
        StartTransaction { session, options: TransactionOptions::default() }
    }

    setters! { TransactionOptions;
        set read_concern: ReadConcern,
        set write_concern: WriteConcern,
        set selection_criteria: SelectionCriteria,
        set max_commit_time: Duration,
    }

    /// Starts a transaction, runs `callback`, and commits; all of it again, for up to two minutes (or the client's `timeoutMS`), when
    /// that fails with the label [`TRANSIENT_TRANSACTION_ERROR`](crate::error::labels::TRANSIENT_TRANSACTION_ERROR), as it does after
    /// a write conflict or a failover. The commit alone is repeated while its outcome is unknown.
    ///
    /// So the callback may run several times: what it does outside of the session it must be able to do twice. It must hand on
    /// every error of an operation in the session, as the server may have aborted the transaction with it: one that is kept back
    /// makes the commit fail and everything start again. Other errors than those above abort the transaction and are given
    /// back. A callback that has committed or aborted by itself ends the call.
    ///
    /// `context` is lent to the callback each time, as a closure that gives a future cannot lend what it has captured:
    ///
    /// ```no_run
    /// # use quorate::{Client, Runtime, bson::{Document, doc}, error::Result};
    /// # use futures::FutureExt;
    /// # async fn example<R: Runtime>(client: Client<R>) -> Result<()> {
    /// let stock = client.database("shop").collection::<Document>("stock");
    /// let mut session = client.start_session().await?;
    /// session
    ///     .start_transaction()
    ///     .and_run((stock, "pen"), |session, (stock, item)| {
    ///         async move {
    ///             stock.update_one(doc! { "_id": *item }, doc! { "$inc": { "left": -1 } }).session(session).await
    ///         }
    ///         .boxed()
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the callback and the commit; [`ErrorKind::Timeout`](crate::error::ErrorKind::Timeout), with the last error's words and
    /// labels, when the time is over.
    pub async fn and_run<T, C, F>(self, context: C, mut callback: F) -> Result<T>
    where
        F: for<'b> FnMut(&'b mut ClientSession<R>, &'b mut C) -> BoxFuture<'b, Result<T>>,
    {
        let mut context = context;
        let StartTransaction { session, options } = self;
        let mut convenient = begin(session)?;
        loop {
            start(session, &options, &mut convenient).await?;
            let outcome = callback(session, &mut context).await;
            if let Some(outcome) = conclude(session, &mut convenient, outcome).await {
                return outcome;
            }
        }
    }

    /// As [`StartTransaction::and_run`], with an async closure, which may borrow from what is around it.
    ///
    /// ```no_run
    /// # use quorate::{Client, Runtime, bson::{Document, doc}, error::Result};
    /// # async fn example<R: Runtime>(client: Client<R>) -> Result<()> {
    /// let stock = client.database("shop").collection::<Document>("stock");
    /// let mut session = client.start_session().await?;
    /// session
    ///     .start_transaction()
    ///     .and_run2(async |session| {
    ///         stock.update_one(doc! { "_id": "pen" }, doc! { "$inc": { "left": -1 } }).session(session).await
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`StartTransaction::and_run`].
    pub async fn and_run2<T, F>(self, mut callback: F) -> Result<T>
    where
        F: for<'b> AsyncFnMut(&'b mut ClientSession<R>) -> Result<T>,
    {
        let StartTransaction { session, options } = self;
        let mut convenient = begin(session)?;
        loop {
            start(session, &options, &mut convenient).await?;
            let outcome = callback(session).await;
            if let Some(outcome) = conclude(session, &mut convenient, outcome).await {
                return outcome;
            }
        }
    }
}

action! { ['a, R: Runtime] StartTransaction<'a, R> => (); |this| {
    start_now(this.session, &this.options)
} }

fn start_now<R: Runtime>(session: &ClientSession<R>, options: &TransactionOptions) -> Result<()> {
    let client = session.client();
    let defaults = core::TransactionOptions {
        read_concern: client.read_concern().cloned(),
        write_concern: client.write_concern().cloned(),
        criteria: client.selection_criteria().map(SelectionCriteria::to_core),
        max_commit_time: None,
    };
    session.with(|session| session.start_transaction(options.to_core(), &defaults))?
}

fn now<R: Runtime>(session: &ClientSession<R>) -> Instant {
    session.client().host().now()
}

fn begin<R: Runtime>(session: &ClientSession<R>) -> Result<Convenient> {
    let rng = session.with(|session| session.child_rng())?;
    Ok(Convenient::new(now(session), session.client().timeout(), rng))
}

/// Waits until an attempt is due, and starts its transaction.
async fn start<R: Runtime>(
    session: &ClientSession<R>,
    options: &TransactionOptions,
    convenient: &mut Convenient,
) -> Result<()> {
    let before = now(session);
    let due = convenient.attempt(before)?;
    if due > before {
        session.client().host().runtime.sleep_until(due).await;
    }
    start_now(session, options)
}

/// What follows the callback: `None` when all of it is to be done again.
async fn conclude<R: Runtime, T>(
    session: &ClientSession<R>,
    convenient: &mut Convenient,
    outcome: Result<T>,
) -> Option<Result<T>> {
    let (value, error) = match outcome {
        Ok(value) => (Some(value), None),
        Err(error) => (None, Some(error)),
    };
    if error.is_some() && matches!(session.state(), TransactionState::Starting | TransactionState::InProgress)
    {
        // Only a transaction that is not in progress could make it fail.
        let _ = end(session, false).await;
    }
    let mut next = convenient.after_callback(now(session), error, session.state());
    loop {
        match next {
            Next::Commit => {
                let error = end(session, true).await.err();
                next = convenient.after_commit(now(session), error);
            }
            Next::Repeat => return None,
            Next::Fail(error) => return Some(Err(error)),
            Next::Return => return value.map(Ok),
        }
    }
}

/// Ends the transaction one way or the other.
async fn end<R: Runtime>(session: &ClientSession<R>, committing: bool) -> Result<()> {
    match session.with(|session| session.end_transaction(committing))?? {
        EndTransaction::Nothing => Ok(()),
        EndTransaction::Send { .. } => {
            let (operation, mut request) = ending(committing);
            let outcome = session.client().execute_in(operation, &mut request, Some(session)).await;
            // "Drivers MUST NOT propagate errors from the abortTransaction command."
            if committing { outcome.map(drop) } else { Ok(()) }
        }
    }
}

/// Commits a transaction. Made by [`ClientSession::commit_transaction`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct CommitTransaction<'a, R: Runtime> {
    session: &'a mut ClientSession<R>,
}

impl<'a, R: Runtime> CommitTransaction<'a, R> {
    pub(crate) const fn new(session: &'a mut ClientSession<R>) -> Self {
        CommitTransaction { session }
    }
}

action! { ['a, R: Runtime] CommitTransaction<'a, R> => (); |this| {
    end(this.session, true).await
} }

/// Aborts a transaction. Made by [`ClientSession::abort_transaction`]; gives nothing.
#[derive(Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct AbortTransaction<'a, R: Runtime> {
    session: &'a mut ClientSession<R>,
}

impl<'a, R: Runtime> AbortTransaction<'a, R> {
    pub(crate) const fn new(session: &'a mut ClientSession<R>) -> Self {
        AbortTransaction { session }
    }
}

action! { ['a, R: Runtime] AbortTransaction<'a, R> => (); |this| {
    end(this.session, false).await
} }
