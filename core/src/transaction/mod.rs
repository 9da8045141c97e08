//! The transaction of one client session: what may be called when, what its commands carry, and where they go.
//!
//! [`Transaction`] is a machine without time and outputs: each step is a method that answers at once. It does not know the
//! session's id and number, nor how a server is selected. A host of it does, for every operation in the session:
//!
//! 1. [`Transaction::operation`], [`Transaction::commit`] or [`Transaction::abort`]: may it be called at all?
//! 2. Selects a server: the one in [`Transaction::pin`] if there is one, and then calls [`Transaction::handle_selected`].
//! 3. Writes what [`Transaction::fields`] gives into the command, and calls [`Transaction::handle_sent`] when that is on its way:
//!    an error before that leaves the state as it was.
//! 4. [`Transaction::handle_reply`] or [`Transaction::handle_error`], which labels the error and may take the pin away.
//!
//! A retry begins again with step 2.
//!
//! # The states
//!
//! Each call in each state, as in the diagram of "ClientSession changes" and the sections "startTransaction", "commitTransaction" and
//! "abortTransaction"; what is refused changes nothing. The test `every_call_in_every_state` holds the code to this table.
//!
//! | in | `start` | an operation is sent | `commit` | `abort` |
//! |---|---|---|---|---|
//! | none | starting | none | refused | refused |
//! | starting | refused | in progress, with `startTransaction` | committed, nothing sent | aborted, nothing sent |
//! | in progress | refused | in progress | committed, sent | aborted, sent |
//! | committed | starting | none | committed, sent again if it was before | refused |
//! | aborted | starting | none | refused | refused |
//!
//! # The pin
//!
//! The first command of a transaction pins the session to the mongos it goes to ("Mongos Pinning"). "When to unpin", by its numbers:
//! 1 [`Transaction::handle_selected`] and [`Transaction::handle_error`] of an abort; 2, 3 [`Transaction::handle_error`]; 4
//! [`Transaction::start`]; 5 [`Transaction::operation`]; 6 the session is gone.
//!
//! Source: transactions specification.

mod concern;

pub use concern::retried_commit_concern;

use crate::error::{Error, ErrorKind, Result, is_retryable_write, labels};
use crate::raw::{DocWriter, RawDoc};
use crate::{ServerAddress, concern as write_concern};
use alloc::vec::Vec;

/// "ClientSession is in one of five states".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum TransactionState {
    /// Operations are on their own.
    #[default]
    None,
    /// Begun by the application, not yet on any server.
    Starting,
    /// A command of it has been sent.
    InProgress,
    /// `commitTransaction` was called, whatever came of it.
    Committed,
    /// `abortTransaction` was called, whatever came of it.
    Aborted,
}

/// Whose error or reply it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TransactionCommand {
    /// Any command but the other two.
    Operation,
    /// `commitTransaction`.
    Commit,
    /// `abortTransaction`.
    Abort,
}

/// What to do to end a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndTransaction {
    /// Nothing: no command of it was ever sent.
    Nothing,
    /// Send the command.
    Send {
        /// Whether this repeats a commit, so that [`retried_commit_concern`] is the write concern to use.
        again: bool,
    },
}

/// What a command of a transaction carries besides `lsid` and `txnNumber`.
#[derive(Clone, Copy, Debug, Default)]
pub struct TransactionFields<'a> {
    /// `autocommit: false`; set on every command of a transaction.
    pub in_transaction: bool,
    /// `startTransaction: true`; also the only command that takes a read concern.
    pub start: bool,
    /// `recoveryToken`, for `commitTransaction` and `abortTransaction` of a sharded transaction.
    pub recovery_token: Option<RawDoc<'a>>,
}

impl TransactionFields<'_> {
    /// Appends the fields.
    pub fn write<'w>(&self, mut writer: DocWriter<'w>) -> DocWriter<'w> {
        if self.start {
            writer = writer.bool("startTransaction", true);
        }
        if self.in_transaction {
            writer = writer.bool("autocommit", false);
        }
        match self.recovery_token {
            Some(token) => writer.raw("recoveryToken", token),
            None => writer,
        }
    }
}

/// The transaction of a client session. See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Transaction {
    state: TransactionState,
    /// Whether a command of the current transaction was sent.
    sent: bool,
    /// Whether `commitTransaction` was sent.
    committed_before: bool,
    pin: Option<ServerAddress>,
    recovery_token: Option<Vec<u8>>,
}

impl Transaction {
    /// A new session's: none.
    pub const fn new() -> Self {
        Transaction {
            state: TransactionState::None,
            sent: false,
            committed_before: false,
            pin: None,
            recovery_token: None,
        }
    }

    /// Where it stands.
    pub const fn state(&self) -> TransactionState {
        self.state
    }

    /// The `mongos` that all commands must go to ("Mongos Pinning").
    pub const fn pin(&self) -> Option<&ServerAddress> {
        self.pin.as_ref()
    }

    /// Begins a transaction ("startTransaction"). The session's number is to be counted up with it.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when there is one already; nothing changes then.
    pub fn start(&mut self) -> Result<()> {
        if matches!(self.state, TransactionState::Starting | TransactionState::InProgress) {
            return refuse("Transaction already in progress");
        }
        *self = Transaction { state: TransactionState::Starting, ..Self::new() };
        Ok(())
    }

    /// An operation other than the two below is about to begin. After the end of a transaction it is one outside of any, and the
    /// session is unpinned for it ("When to unpin", 5).
    pub fn operation(&mut self) {
        if matches!(
            self.state,
            TransactionState::Committed | TransactionState::Aborted | TransactionState::None
        ) {
            *self = Self::new();
        }
    }

    /// `commitTransaction` was called. May be called again, to have the outcome confirmed.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when there is none to commit; nothing changes then.
    pub fn commit(&mut self) -> Result<EndTransaction> {
        match self.state {
            TransactionState::None => refuse("No transaction started"),
            TransactionState::Aborted => {
                refuse("Cannot call commitTransaction after calling abortTransaction")
            }
            TransactionState::Starting | TransactionState::InProgress | TransactionState::Committed => {
                self.state = TransactionState::Committed;
                Ok(self.end(self.committed_before))
            }
        }
    }

    /// `abortTransaction` was called. The session is unpinned by it once the server for its first attempt is known: call
    /// [`Transaction::handle_selected`].
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] when there is none to abort; nothing changes then.
    pub fn abort(&mut self) -> Result<EndTransaction> {
        match self.state {
            TransactionState::None => refuse("No transaction started"),
            TransactionState::Committed => {
                refuse("Cannot call abortTransaction after calling commitTransaction")
            }
            TransactionState::Aborted => refuse("Cannot call abortTransaction twice"),
            TransactionState::Starting | TransactionState::InProgress => {
                self.state = TransactionState::Aborted;
                if !self.sent {
                    self.pin = None;
                }
                Ok(self.end(false))
            }
        }
    }

    fn end(&self, again: bool) -> EndTransaction {
        if self.sent { EndTransaction::Send { again } } else { EndTransaction::Nothing }
    }

    /// A server was selected for a command; `mongos` is its address if it is one. The first command of a transaction pins the
    /// session to it. An abort ends the pin ("When to unpin", 1).
    pub fn handle_selected(&mut self, mongos: Option<&ServerAddress>) {
        match self.state {
            TransactionState::Starting if !self.sent => self.pin = mongos.cloned(),
            TransactionState::Aborted => self.pin = None,
            _ => {}
        }
    }

    /// What the command carries that is about to be written.
    pub fn fields(&self, command: TransactionCommand) -> TransactionFields<'_> {
        let ends = command != TransactionCommand::Operation;
        let in_transaction =
            ends || matches!(self.state, TransactionState::Starting | TransactionState::InProgress);
        let start = !ends && self.state == TransactionState::Starting;
        TransactionFields {
            in_transaction,
            start,
            recovery_token: self
                .recovery_token
                .as_deref()
                .filter(|_| ends)
                .and_then(|token| RawDoc::new(token).ok()),
        }
    }

    /// The command has been sent, or part of it. The first of a transaction puts it in progress; a commit is repeated from now on.
    pub fn handle_sent(&mut self, command: TransactionCommand) {
        if command == TransactionCommand::Operation && self.state == TransactionState::Starting {
            self.state = TransactionState::InProgress;
            self.sent = true;
        }
        self.committed_before |= command == TransactionCommand::Commit;
    }

    /// Whether a commit sent now repeats one, so that [`retried_commit_concern`] is the write concern to use.
    pub const fn is_commit_repeated(&self) -> bool {
        self.committed_before
    }

    /// A command of the transaction succeeded; `recovery_token` is the document of that name in its reply. The latest counts.
    pub fn handle_reply(&mut self, recovery_token: Option<RawDoc<'_>>) {
        if let Some(token) = recovery_token.filter(|_| self.state != TransactionState::None) {
            self.recovery_token = Some(token.as_bytes().to_vec());
        }
    }

    /// A command of the transaction failed, or no server could be had for it. Puts the labels on the error that the driver has to
    /// put ("Error Labels"), and unpins the session where that is due ("When to unpin", 1 to 3). Before every retry, too.
    pub fn handle_error(&mut self, command: TransactionCommand, error: &mut Error) {
        if self.state == TransactionState::None {
            return;
        }
        label(command, error);
        let unpin = command == TransactionCommand::Abort
            || error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR)
            || error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT);
        if unpin {
            self.pin = None;
        }
    }
}

fn refuse<T>(message: &'static str) -> Result<T> {
    Err(Error::new(ErrorKind::Transaction { message: message.into() }))
}

/// "Transient Transaction Error" and "UnknownTransactionCommitResult".
fn label(command: TransactionCommand, error: &mut Error) {
    let no_reply = matches!(
        *error.kind,
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::WaitQueueTimeout { .. }
            | ErrorKind::Interrupted { .. }
    );
    match command {
        TransactionCommand::Operation | TransactionCommand::Abort if no_reply => {
            error.add_label(labels::TRANSIENT_TRANSACTION_ERROR);
        }
        TransactionCommand::Commit if no_reply || outcome_is_unknown(error) => {
            error.remove_label(labels::TRANSIENT_TRANSACTION_ERROR);
            error.add_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT);
        }
        _ => {}
    }
}

/// Whether a server's answer to a commit leaves open whether it took place with its write concern: "retryable writes error,
/// MaxTimeMSExpired error, or write concern failed / timeout", but for write concerns that can never be satisfied.
fn outcome_is_unknown(error: &Error) -> bool {
    const MAX_TIME_MS_EXPIRED: i32 = 50;
    match (&*error.kind, error.code()) {
        (ErrorKind::Timeout { .. }, _) => true,
        (ErrorKind::Write(_), Some(code)) => {
            code != write_concern::UNSATISFIABLE_WRITE_CONCERN
                && code != write_concern::UNKNOWN_REPL_WRITE_CONCERN
        }
        (_, Some(code)) => {
            code == MAX_TIME_MS_EXPIRED
                || is_retryable_write(code)
                || error.contains_label(labels::RETRYABLE_WRITE_ERROR)
        }
        (_, None) => error.contains_label(labels::RETRYABLE_WRITE_ERROR),
    }
}

#[cfg(test)]
mod tests;
