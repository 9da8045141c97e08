//! The end of an attempt: what it tells about the server, and whether there is another.

use super::operation::{Bond, Stage};
use super::waiters::Doubt;
use super::{Begin, ConnectionId, Decision, Driver, Operation, Outcome, Output, Role};
use crate::error::{Error, ErrorKind, WriteFailure, labels};
use crate::event::Event;
use crate::pool::{PoolConnId, PoolOutput};
use crate::raw::RawDoc;
use crate::reply::{self, ReplySummary};
use crate::retry::{self, Attempt, Retry, RetryDecision};
use crate::sdam::{AppError, ServerType, TopologyType, TopologyVersion, state_change};
use crate::transaction::TransactionCommand;
use crate::{Instant, ServerAddress};
use alloc::format;

impl Driver {
    /// Ends the attempt that `operation` has under way and says what is next. The host has stopped using the connection
    /// and put its socket back under its id; if it is not fit to be used again, an [`super::Output::Close`] follows.
    pub fn finish(&mut self, now: Instant, operation: &mut Operation, outcome: Outcome<'_>) -> Decision {
        let Stage::Running(connection) = operation.stage else {
            return Decision::Fail(Error::invalid_argument("the operation is not under way"));
        };
        operation.stage = Stage::Idle;
        operation.note_sent(&outcome);
        match outcome {
            Outcome::Reply { summary, body } => self.replied(now, operation, connection, summary, body),
            Outcome::NoReply => {
                self.put_back(now, operation, connection, true);
                self.over(now, operation);
                Decision::Done
            }
            Outcome::Failed(error) => self.failed(now, operation, connection, error),
            Outcome::Interrupted => {
                let error = self.interruption(connection, operation);
                self.failed(now, operation, connection, error)
            }
        }
    }

    /// Gives up an operation wherever it is: its future was dropped. A connection it was on is closed, as a reply may
    /// still be owed on it; a kept session goes back to the pool.
    pub fn abandon(&mut self, now: Instant, operation: &mut Operation) {
        match core::mem::replace(&mut operation.stage, Stage::Idle) {
            Stage::Idle => {}
            Stage::Waiting(ticket) => self.stop_waiting(now, ticket),
            Stage::Running(connection) => {
                operation.note_sent(&Outcome::Interrupted);
                if let Some(session) = operation.server_session() {
                    session.mark_dirty();
                }
                self.put_back(now, operation, connection, mistaken!(self.options, ReplyOwed));
            }
        }
        self.failed_for_good(now, operation);
    }

    /// Gives back a connection that turned out to be dead before anything was sent on it: it had died while it rested in its
    /// pool. The attempt does not count; [`Driver::begin`] is next.
    pub fn discard(&mut self, now: Instant, operation: &mut Operation) {
        if let Stage::Running(connection) = operation.stage {
            operation.stage = Stage::Idle;
            operation.attempts = operation.attempts.saturating_sub(1);
            self.put_back(now, operation, connection, false);
        }
    }

    fn replied(
        &mut self,
        now: Instant,
        operation: &mut Operation,
        connection: ConnectionId,
        summary: &ReplySummary<'_>,
        body: RawDoc<'_>,
    ) -> Decision {
        if let Some(time) = summary.cluster_time {
            self.cluster_time.advance_to(time.time, time.document);
        }
        if let Some(session) = operation.server_session() {
            session.touch(now);
        }
        if let Some(session) = &mut operation.client_session {
            session.handle_reply(summary);
        }
        let Some(mut error) = reply_error(summary, body) else {
            operation.bond = self.bond_of_cursor(operation, connection, summary);
            self.put_back(now, operation, connection, true);
            self.over(now, operation);
            return Decision::Done;
        };
        operation.bond = Bond::Free;
        error = self.label(operation, connection, error);
        self.tell_topology(now, connection, &error, summary.topology_version());
        self.put_back(now, operation, connection, true);
        if mistaken!(self.options, WtimeoutIsFailure) && summary.write_concern_error.is_some() {
            let failure = reply::command_error(summary, body);
            return self.decide(now, operation, connection, failure);
        }
        // A write concern error inside `ok: 1` ends the operation with its reply: the write took place. Of a commit it says that it
        // is not known to last ("commitTransaction": "Drivers MUST report an error").
        let reply_stands = summary.ok && operation.command != TransactionCommand::Commit;
        match self.decide(now, operation, connection, error) {
            Decision::Fail(_) if reply_stands => Decision::Done,
            decision => decision,
        }
    }

    /// Whether the operation leaves a cursor open that only this connection leads to. In a transaction that is pinned to it,
    /// everything goes there anyway.
    fn bond_of_cursor(
        &self,
        operation: &Operation,
        connection: ConnectionId,
        summary: &ReplySummary<'_>,
    ) -> Bond {
        let is_open = |cursor: RawDoc<'_>| {
            cursor.get("id").ok().flatten().and_then(|id| id.as_i64()).is_some_and(|id| id != 0)
        };
        let in_transaction =
            operation.client_session.as_ref().is_some_and(|session| session.held().is_some());
        let stays = self.options.load_balanced && operation.keep_session && !in_transaction;
        let stays = stays && !mistaken!(self.options, CursorNotPinned);
        if stays && summary.cursor.is_some_and(is_open) { Bond::To(connection) } else { Bond::Free }
    }

    fn failed(
        &mut self,
        now: Instant,
        operation: &mut Operation,
        connection: ConnectionId,
        mut error: Error,
    ) -> Decision {
        if let Some(session) = operation.server_session() {
            session.mark_dirty();
        }
        error = self.label(operation, connection, error);
        self.tell_topology(now, connection, &error, None);
        self.put_back(now, operation, connection, false);
        self.decide(now, operation, connection, error)
    }

    /// Retry, or the error to show. The first attempt's error is kept, as it may be the one to show in the end.
    fn decide(
        &mut self,
        now: Instant,
        operation: &mut Operation,
        connection: ConnectionId,
        error: Error,
    ) -> Decision {
        let attempt = self.attempt(operation);
        match retry::decide(attempt, &error) {
            RetryDecision::Retry if !self.closed => {
                if self.is_avoided(&error)
                    && let Some(server) = self.servers.get(connection.server)
                    && !operation.deprioritized.contains(&server.address)
                {
                    operation.deprioritized.push(server.address.clone());
                }
                operation.doubt = self.doubted(connection, &error);
                operation.failed_on = Some(connection.server);
                // What is shown if nothing comes of the next attempt: the latest error after which a write may have taken place, else
                // the first (retryable writes specification, "Executing Retryable Write Commands").
                if operation.earlier_error.is_none() || !error.contains_label(labels::NO_WRITES_PERFORMED) {
                    operation.earlier_error = Some(error.clone());
                }
                Decision::Again(error)
            }
            RetryDecision::FailWithEarlier => {
                let earlier = operation.earlier_error.take().unwrap_or(error);
                self.failed_for_good(now, operation);
                Decision::Fail(earlier)
            }
            RetryDecision::Retry | RetryDecision::Fail => {
                self.failed_for_good(now, operation);
                Decision::Fail(error)
            }
        }
    }

    /// Whether the server is still taken for what it was although it has refused an operation for its state.
    fn doubted(&self, connection: ConnectionId, error: &Error) -> Option<Doubt> {
        state_change(error)?;
        let description = &self.servers.get(connection.server)?.description;
        matches!(description.server_type, ServerType::RsPrimary | ServerType::RsSecondary)
            .then_some(Doubt { server: connection.server, version: description.topology_version })
    }

    /// Whether the next attempt keeps off the server that failed this one: in a sharded cluster always; elsewhere only where that
    /// server is overloaded, as reads that prefer the primary would end up on secondaries for nothing (retryable reads
    /// specification, "Selecting the server for retry").
    fn is_avoided(&self, error: &Error) -> bool {
        self.topology.description().topology_type == TopologyType::Sharded
            || error.contains_label(labels::SYSTEM_OVERLOADED_ERROR)
    }

    fn attempt(&self, operation: &Operation) -> Attempt {
        let retry = match operation.retry {
            // "Drivers MUST retry the commitTransaction and abortTransaction commands even when retryWrites has been disabled."
            _ if operation.ends_transaction() && mistaken!(self.options, CommitOnce) => Retry::Never,
            retry if operation.ends_transaction() => retry,
            _ if operation.is_in_transaction() => Retry::Never,
            Retry::Never if mistaken!(self.options, EverythingRetried) => Retry::Read,
            Retry::Read if !self.options.retry_reads => Retry::Never,
            Retry::Write if !self.options.retry_writes => Retry::Never,
            retry => retry,
        };
        // With a time-out of its own an operation may be repeated until that passes (client-side operations timeout
        // specification, "Retryability").
        let most_attempts = if operation.deadline.is_some() { u32::MAX } else { 2 };
        Attempt {
            retry,
            number: operation.attempts,
            has_txn_number: operation.txn_number.is_some(),
            most_attempts,
        }
    }

    /// An attempt that never got a connection.
    pub(super) fn give_up(&mut self, now: Instant, operation: &mut Operation, mut error: Error) -> Begin {
        operation.label(&mut error);
        let attempt = self.attempt(operation);
        let error = match operation.earlier_error.take() {
            // "If the driver cannot select a server for a retry attempt ... raise the retryable error from the previous attempt."
            Some(earlier) if retry::decide(attempt, &error) == RetryDecision::FailWithEarlier => earlier,
            _ => error,
        };
        self.failed_for_good(now, operation);
        Begin::Fail(error)
    }

    /// The operation has failed: no cursor came of it, so nobody keeps its session.
    fn failed_for_good(&mut self, now: Instant, operation: &mut Operation) {
        operation.keep_session = false;
        if let Some(pin) = operation.take_pin() {
            self.unpin(now, pin);
        }
        self.over(now, operation);
    }

    /// The operation has ended: its session goes back unless the caller keeps it.
    fn over(&mut self, now: Instant, operation: &mut Operation) {
        operation.txn_number = None;
        if !operation.keep_session
            && let Some(session) = operation.session.take()
        {
            #[cfg(feature = "mistakes")]
            if mistaken!(self.options, SessionReturnedTwice) {
                self.sessions.give_back(session.twin(), now, self.session_timeout);
            }
            self.sessions.give_back(session, now, self.session_timeout);
        }
    }

    /// The connection is free again, or done for.
    pub(super) fn release(&mut self, now: Instant, connection: ConnectionId, reusable: bool) {
        let Role::Pool(id) = connection.role else { return };
        let Some(server) = self.servers.get_mut(connection.server) else {
            return self.release_late(now, connection, id);
        };
        server.operation_count = server.operation_count.saturating_sub(1);
        server.pool.check_in(now, id, reusable);
        if server.pool.has_output() || self.options.max_idle_time.is_some() || self.topology.has_output() {
            self.servers.mark(connection.server);
            self.pump(now);
        }
    }

    /// A connection to a server that has left the topology: it is closed, whatever state it is in.
    fn release_late(&mut self, now: Instant, connection: ConnectionId, id: PoolConnId) {
        let outputs = &mut self.outputs;
        self.servers.check_in_late(now, connection.server, id, |output| {
            if let PoolOutput::Event(event) = output {
                outputs.push_back(Output::Event(Event::Cmap(event)));
            }
        });
        outputs.push_back(Output::Close { connection });
    }

    /// Names the server and puts the driver's labels on the error. A server that has left the topology in the meantime was a
    /// modern member of a replica set, as any this driver talks to.
    fn label(&self, operation: &mut Operation, connection: ConnectionId, mut error: Error) -> Error {
        let mut max_wire_version = crate::sdam::MAX_WIRE_VERSION;
        let mut is_mongos = false;
        if let Some(server) = self.servers.get(connection.server) {
            if error.server_address().is_none() {
                error = error.with_server(server.address.clone());
            }
            let description = server.as_connected();
            if description.server_type.is_available() {
                max_wire_version = description.max_wire_version;
                is_mongos = description.server_type == ServerType::Mongos;
            }
        }
        if mistaken!(self.options, LabelMissing) {
            return error;
        }
        retry::add_labels(&mut error, operation.txn_number.is_some(), max_wire_version, is_mongos);
        operation.label(&mut error);
        error
    }

    /// An error on an application's connection may tell that the server is gone or no longer what it was. The reply's topology
    /// version, if there is one, tells whether that is news.
    fn tell_topology(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        error: &Error,
        version: Option<TopologyVersion>,
    ) {
        let Some((address, mut error)) = self.app_error(connection, error) else { return };
        error.topology_version = error.topology_version.or(version);
        self.topology.handle_app_error(now, &address, &error);
    }

    /// An error on a pool's connection, with what the topology must know to judge it.
    pub(super) fn app_error(
        &self,
        connection: ConnectionId,
        error: &Error,
    ) -> Option<(ServerAddress, AppError)> {
        let Role::Pool(id) = connection.role else { return None };
        let server = self.servers.get(connection.server)?;
        let mut error = AppError::new(error.clone(), server.pool.generation_of(id).unwrap_or_default());
        error.service_id = server.pool.service_of(id);
        Some((server.address.clone(), error))
    }

    fn interruption(&self, connection: ConnectionId, operation: &Operation) -> Error {
        if self.closed {
            return ErrorKind::Shutdown.into();
        }
        let server = self.servers.get(connection.server);
        let why = server.map_or("the server left the deployment", |server| server.interrupted_because);
        let outcome = match operation.retry {
            Retry::Read => "a read has no effect to be unsure of",
            _ if !operation.acknowledged => "the write was unacknowledged",
            _ => "whether it took effect there is unknown",
        };
        ErrorKind::Interrupted { message: format!("{why}; {outcome}") }.into()
    }
}

/// The error in a reply, as far as retrying and SDAM look at it: a failed command, or a write concern error.
fn reply_error(summary: &ReplySummary<'_>, body: RawDoc<'_>) -> Option<Error> {
    if !summary.ok {
        return Some(reply::command_error(summary, body));
    }
    let concern = reply::write_concern_error(summary.write_concern_error?);
    let mut error: Error = ErrorKind::Write(WriteFailure::WriteConcernError(concern)).into();
    for label in reply::error_labels(summary.error_labels) {
        error.add_label(alloc::string::String::from(label));
    }
    Some(error)
}
