//! Client sessions: what an application runs operations in that belong together.
//!
//! [`ClientSession`] is what the driver knows of one. It travels with the operation that is run in it
//! ([`crate::driver::Operation::in_client_session`]) and back to its owner, so that two operations can never use it at once.
//! Made by [`crate::driver::Driver::start_session`], ended by [`crate::driver::Driver::end_client_session`].
//!
//! # What a command in it carries
//!
//! | | outside of transactions | first of a transaction | later in it | `commitTransaction`, `abortTransaction` |
//! |---|---|---|---|---|
//! | `lsid`, `$clusterTime` | yes | yes | yes | yes |
//! | `txnNumber` | retryable writes: the next | the transaction's | the transaction's | the transaction's |
//! | `startTransaction: true` | | yes | | |
//! | `autocommit: false` | | yes | yes | yes |
//! | `readConcern` | the operation's | the transaction's | | |
//! | `readConcern.afterClusterTime` | reads and writes, if causally consistent | any command, if causally consistent | | |
//! | `readConcern` `snapshot`, `atClusterTime` | in snapshot sessions | | | |
//! | `writeConcern` | the operation's | | | the transaction's; of a repeated commit `majority` |
//! | `maxTimeMS` | the operation's | the operation's | the operation's | of a commit `max_commit_time` |
//! | `recoveryToken` | | | | the latest that a server gave |
//! | sent again | as retryable reads and writes are | no | no | once, whatever the options say |
//!
//! Sources: transactions specification, "Constructing commands within a transaction" and "Interaction with Retryable Writes";
//! causal consistency specification, "Causally consistent read and write commands"; snapshot sessions specification, "Snapshot
//! Read Commands"; driver sessions specification, "ClientSession".

mod convenient;
mod fields;
mod options;
mod scope;
#[cfg(test)]
mod tests;

pub use convenient::{Convenient, Next};
pub use fields::ReadConcernField;
pub(crate) use fields::{SentReadConcern, SessionFields};
pub use options::{SessionOptions, TransactionOptions};
pub use scope::Scope;

use crate::driver::ConnectionId;
use crate::error::{Error, ErrorKind, Result};
use crate::raw::{RawDoc, Timestamp};
use crate::reply::{ClusterTimeRef, ReplySummary};
use crate::selection::SelectionCriteria;
use crate::session::ServerSession;
use crate::transaction::{
    EndTransaction, Transaction, TransactionCommand, TransactionState, retried_commit_concern,
};
use crate::{ClusterTime, ReadConcern, ReadPreferenceMode, Rng, ServerAddress, WriteConcern};

/// A recovery token larger than this is not one (it has about 50 bytes); it would be sent back with the commit.
const LARGEST_RECOVERY_TOKEN: usize = 16 * 1024;
/// The wire version of MongoDB 5.0.
const SNAPSHOT_READS: i32 = 13;

/// A client session. See the [module](self).
#[derive(Debug)]
pub struct ClientSession {
    server: ServerSession,
    options: SessionOptions,
    transaction: Transaction,
    transaction_options: TransactionOptions,
    txn_number: i64,
    cluster_time: ClusterTime,
    operation_time: Option<Timestamp>,
    snapshot_time: Option<Timestamp>,
    /// Behind a load balancer: the connection that the transaction is pinned to, which stays checked out.
    held: Option<ConnectionId>,
    rng: Rng,
}

impl ClientSession {
    pub(crate) fn new(server: ServerSession, options: SessionOptions, rng: Rng) -> Self {
        ClientSession {
            server,
            transaction: Transaction::new(),
            transaction_options: TransactionOptions::default(),
            txn_number: 0,
            cluster_time: ClusterTime::default(),
            operation_time: None,
            snapshot_time: options.snapshot_time,
            held: None,
            options,
            rng,
        }
    }

    /// The UUID it has on the servers.
    pub const fn id(&self) -> [u8; 16] {
        self.server.id()
    }

    /// Where its transaction stands.
    pub const fn state(&self) -> TransactionState {
        self.transaction.state()
    }

    /// Whether a transaction has begun and not ended: the next operation is part of it.
    pub const fn in_transaction(&self) -> bool {
        matches!(self.state(), TransactionState::Starting | TransactionState::InProgress)
    }

    /// What operations inherit now.
    pub const fn scope(&self) -> Scope {
        if self.in_transaction() { Scope::Transaction } else { Scope::Alone }
    }

    /// The newest cluster time seen in it.
    pub const fn cluster_time(&self) -> &ClusterTime {
        &self.cluster_time
    }

    /// Takes in a cluster time, of another session for one; an older one changes nothing ("advanceClusterTime").
    pub fn advance_cluster_time(&mut self, time: RawDoc<'_>) {
        if let Some(time) = ClusterTimeRef::from_raw(time) {
            self.cluster_time.advance_to(time.time, time.document);
        }
    }

    /// When its latest operation took place ("operationTime").
    pub const fn operation_time(&self) -> Option<Timestamp> {
        self.operation_time
    }

    /// Takes in an operation time, of another session for one; an older one changes nothing ("advanceOperationTime").
    pub fn advance_operation_time(&mut self, time: Timestamp) {
        if self.operation_time.is_none_or(|known| time > known) {
            self.operation_time = Some(time);
        }
    }

    /// The moment that a snapshot session's reads are of, once it is known.
    pub const fn snapshot_time(&self) -> Option<Timestamp> {
        self.snapshot_time
    }

    /// The mongos, or load balancer, that the transaction is pinned to.
    pub const fn pin(&self) -> Option<&ServerAddress> {
        self.transaction.pin()
    }

    /// Chance for the convenient API.
    pub fn child_rng(&mut self) -> Rng {
        self.rng.child()
    }

    /// Begins a transaction ("startTransaction"). Nothing is sent yet. What is not set in `given` comes from the session's
    /// defaults, then from `client`.
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] in a snapshot session, while one is in progress, or if the write concern asks for no
    /// acknowledgement. Nothing changes then.
    pub fn start_transaction(
        &mut self,
        given: TransactionOptions,
        client: &TransactionOptions,
    ) -> Result<()> {
        if self.options.snapshot {
            return Err(refusal("Transactions are not supported in snapshot sessions"));
        }
        let options = given.or(&self.options.default_transaction_options).or(client);
        let concern = options.write_concern.as_ref();
        if !self.in_transaction() && concern.is_some_and(|concern| !concern.is_acknowledged()) {
            return Err(refusal("transactions do not support unacknowledged write concerns"));
        }
        if let Some(Err(message)) = concern.map(WriteConcern::validate) {
            return Err(Error::invalid_argument(message));
        }
        self.transaction.start()?;
        self.txn_number = self.server.next_txn_number();
        self.transaction_options = options;
        Ok(())
    }

    /// Begins the end of the transaction; what it says is to be sent is an operation with
    /// [`crate::driver::Operation::ending_transaction`].
    ///
    /// # Errors
    /// [`ErrorKind::Transaction`] where there is nothing to end; see [`Transaction::commit`] and [`Transaction::abort`].
    pub fn end_transaction(&mut self, committing: bool) -> Result<EndTransaction> {
        if committing { self.transaction.commit() } else { self.transaction.abort() }
    }

    /// Whether an operation may be run in it. What is refused here has changed nothing ("Client-side errors MUST NOT change
    /// transaction state"); any other ends a transaction that was committed or aborted.
    pub(crate) fn admit(
        &mut self,
        command: TransactionCommand,
        criteria: &SelectionCriteria,
        acknowledged: bool,
    ) -> Result<()> {
        if command != TransactionCommand::Operation {
            return Ok(());
        }
        if !acknowledged {
            // Driver sessions specification, "unacknowledged writes".
            return Err(Error::invalid_argument(
                "an unacknowledged write cannot be run in an explicit session",
            ));
        }
        // "readPreference": writes, and what goes to a server for another reason, are not looked at.
        let reads =
            matches!(criteria, SelectionCriteria::ReadPreference(_) | SelectionCriteria::Predicate(_));
        let chosen = self.transaction_options.criteria.as_ref();
        if self.in_transaction() && reads && !(is_primary(criteria) && chosen.is_none_or(is_primary)) {
            return Err(refusal("read preference in a transaction must be primary"));
        }
        self.transaction.operation();
        Ok(())
    }

    /// Whether the server that was selected can do what the session needs.
    pub(crate) fn suits(&self, has_sessions: bool, max_wire_version: i32) -> Result<()> {
        if !has_sessions {
            return Err(ErrorKind::SessionsNotSupported.into());
        }
        if self.options.snapshot && max_wire_version < SNAPSHOT_READS {
            let message = "Snapshot reads require MongoDB 5.0 or later".into();
            return Err(ErrorKind::Incompatible { message }.into());
        }
        Ok(())
    }

    /// A server has been selected; `router` is its address where transactions are pinned to it.
    pub(crate) fn handle_selected(&mut self, router: Option<&ServerAddress>) {
        self.transaction.handle_selected(router);
    }

    /// What the command carries.
    pub(crate) fn fields(&self, command: TransactionCommand, concern: &ReadConcernField) -> SessionFields {
        let transaction = self.transaction.fields(command);
        let mut fields = SessionFields {
            start_transaction: transaction.start,
            in_transaction: transaction.in_transaction,
            recovery_token: transaction.recovery_token.map(|token| token.as_bytes().to_vec()),
            ..SessionFields::default()
        };
        if command == TransactionCommand::Operation {
            fields.read_concern = self.read_concern(&fields, concern);
            return fields;
        }
        fields.write_concern = self.given_write_concern();
        if command == TransactionCommand::Commit {
            fields.max_time = self.transaction_options.max_commit_time;
            if self.transaction.is_commit_repeated() {
                fields.write_concern = retried_commit_concern(&fields.write_concern);
            }
        }
        fields
    }

    /// The write concern of its transaction, as it was asked for.
    pub(crate) fn given_write_concern(&self) -> WriteConcern {
        self.transaction_options.write_concern.clone().unwrap_or_default()
    }

    fn read_concern(&self, fields: &SessionFields, concern: &ReadConcernField) -> SentReadConcern {
        let causal = self.operation_time.filter(|_| self.options.is_causally_consistent());
        let sent = |concern: Option<&ReadConcern>, after_cluster_time| SentReadConcern {
            concern: concern.cloned().unwrap_or_default(),
            after_cluster_time,
            at_cluster_time: None,
        };
        match concern {
            ReadConcernField::Never => SentReadConcern::default(),
            _ if fields.start_transaction => sent(self.transaction_options.read_concern.as_ref(), causal),
            _ if fields.in_transaction => SentReadConcern::default(),
            // "Sending readConcern to the server on all commands".
            _ if self.options.snapshot => SentReadConcern {
                concern: ReadConcern::snapshot(),
                after_cluster_time: None,
                at_cluster_time: self.snapshot_time,
            },
            ReadConcernField::Plain => SentReadConcern::default(),
            ReadConcernField::Causal(concern) => sent(concern.as_ref(), causal),
        }
    }

    /// The number that goes along with a command of the transaction.
    pub(crate) fn txn_number(&self, command: TransactionCommand) -> Option<i64> {
        let part = command != TransactionCommand::Operation || self.in_transaction();
        part.then_some(self.txn_number)
    }

    /// The command has been sent, or at least in part.
    pub(crate) fn handle_sent(&mut self, command: TransactionCommand) {
        self.transaction.handle_sent(command);
    }

    /// A reply has come, good or bad.
    pub(crate) fn handle_reply(&mut self, summary: &ReplySummary<'_>) {
        if let Some(time) = summary.cluster_time {
            self.cluster_time.advance_to(time.time, time.document);
        }
        if let Some(time) = summary.operation_time {
            self.advance_operation_time(time);
        }
        if summary.ok {
            let fits = |token: &RawDoc<'_>| token.as_bytes().len() <= LARGEST_RECOVERY_TOKEN;
            self.transaction.handle_reply(summary.recovery_token.filter(fits));
        }
        if self.options.snapshot && self.snapshot_time.is_none() {
            self.snapshot_time = summary.at_cluster_time();
        }
    }

    /// A command of the session has failed, or could not be sent: labels, and where the next one goes.
    pub(crate) fn handle_error(&mut self, command: TransactionCommand, error: &mut Error) {
        self.transaction.handle_error(command, error);
    }

    pub(crate) const fn server_mut(&mut self) -> &mut ServerSession {
        &mut self.server
    }

    pub(crate) fn into_server(self) -> ServerSession {
        self.server
    }

    /// The connection that the transaction is pinned to.
    pub(crate) const fn held(&self) -> Option<ConnectionId> {
        self.held
    }

    pub(crate) const fn hold(&mut self, connection: Option<ConnectionId>) {
        self.held = connection;
    }
}

fn is_primary(criteria: &SelectionCriteria) -> bool {
    criteria.as_read_preference().is_some_and(|preference| preference.mode == ReadPreferenceMode::Primary)
}

fn refusal(message: &str) -> Error {
    ErrorKind::Transaction { message: message.into() }.into()
}
