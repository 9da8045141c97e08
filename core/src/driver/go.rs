//! The connection is there: what is said on it, and which stay with a transaction.

use super::operation::{Bond, Operation, Stage, read_preference_to_send};
use super::{Begin, Checkout, ConnectionId, Driver, Role, ServerId};
use crate::client_session::{ClientSession, SessionOptions};
use crate::error::{Error, ErrorKind, IoErrorKind, Result};
use crate::pool::{PoolConnId, Purpose};
use crate::retry::Retry;
use crate::sdam::{ServerDescription, ServerType, TopologyType};
use crate::selection::SelectionCriteria;
use crate::shared::Arc;
use crate::{ClusterTime, Instant};
use alloc::boxed::Box;

impl Driver {
    /// Begins an explicit session: it has its server session until [`Driver::end_client_session`].
    ///
    /// # Errors
    /// When the options contradict one another ([`SessionOptions::validate`]).
    pub fn start_session(&mut self, now: Instant, options: SessionOptions) -> Result<ClientSession> {
        options.validate()?;
        let server = self.sessions.take(now, self.session_timeout);
        Ok(ClientSession::new(server, options, self.rng.child()))
    }

    /// Ends an explicit session: its server session may be used by others, and the connection that its transaction was pinned to. A
    /// transaction in progress is to be aborted before ("endSession changes"); if it is not, the server aborts it when the session is
    /// used for something else.
    pub fn end_client_session(&mut self, now: Instant, mut session: ClientSession) {
        if let Some(connection) = session.held() {
            session.hold(None);
            self.release(now, connection, true);
        }
        self.end_session(now, session.into_server());
    }

    /// Brings what the operation holds in line with the pin of its session, which may have gone ("When to unpin").
    pub(super) fn settle_pin(&mut self, now: Instant, operation: &mut Operation) {
        operation.pinned = None;
        let Some(session) = &mut operation.client_session else { return };
        operation.pinned = session.pin().cloned().map(SelectionCriteria::Server);
        if operation.pinned.is_none()
            && let Some(connection) = session.held()
        {
            session.hold(None);
            self.release(now, connection, true);
        }
    }

    /// Behind a load balancer a transaction stays on its connection, and so does a cursor (load balancers specification, "Behaviour
    /// With Transactions", "Behaviour With Cursors").
    pub(super) fn go_where_held(&mut self, now: Instant, operation: &mut Operation) -> Option<Begin> {
        match operation.bond {
            Bond::Free => {}
            Bond::To(bound) if self.knows(bound) => {
                let Role::Pool(connection) = bound.role else { return None };
                return Some(self.go(now, operation, bound.server, connection));
            }
            // Any other connection may lead to a router that has a cursor of that number for somebody else.
            Bond::To(_) | Bond::Lost => {
                let error =
                    Error::io(IoErrorKind::Closed, "the connection that the cursor was pinned to is gone");
                return Some(self.give_up(now, operation, error));
            }
        }
        let held = operation.client_session.as_ref()?.held()?;
        let Role::Pool(connection) = held.role else { return None };
        if self.knows(held) {
            return Some(self.go(now, operation, held.server, connection));
        }
        if let Some(session) = &mut operation.client_session {
            session.hold(None);
        }
        None
    }

    fn knows(&self, connection: ConnectionId) -> bool {
        let Role::Pool(id) = connection.role else { return false };
        self.servers.get(connection.server).is_some_and(|server| server.pool.generation_of(id).is_some())
    }

    /// The attempt has done with its connection. A transaction or a cursor that is pinned to it keeps it.
    pub(super) fn put_back(
        &mut self,
        now: Instant,
        operation: &mut Operation,
        connection: ConnectionId,
        reusable: bool,
    ) {
        if let Some(session) = &mut operation.client_session
            && session.held() == Some(connection)
        {
            if reusable && session.pin().is_some() {
                return;
            }
            session.hold(None);
        }
        if operation.bond == Bond::To(connection) {
            if reusable {
                return self.set_purpose(connection, Purpose::Cursor);
            }
            operation.bond = Bond::Lost;
        }
        self.release(now, connection, reusable);
    }

    fn set_purpose(&mut self, connection: ConnectionId, purpose: Purpose) {
        if let Role::Pool(id) = connection.role
            && let Some(server) = self.servers.get_mut(connection.server)
        {
            server.pool.set_purpose(id, purpose);
        }
    }

    /// The operation has its connection: what is to be said on it.
    pub(super) fn go(
        &mut self,
        now: Instant,
        operation: &mut Operation,
        id: ServerId,
        connection: PoolConnId,
    ) -> Begin {
        let connection = ConnectionId { server: id, role: Role::Pool(connection) };
        operation.stage = Stage::Running(connection);
        let Some(server) = self.servers.get_mut(id) else {
            operation.stage = Stage::Idle;
            // `resume` and `check_out` have just seen it.
            return self.give_up(now, operation, ErrorKind::Shutdown.into());
        };
        let description = if mistaken!(self.options, AbilitiesForgotten) {
            server.description.clone()
        } else {
            server.as_connected().clone()
        };
        let has_sessions =
            description.logical_session_timeout_minutes.is_some() || self.options.load_balanced;
        if let Some(session) = &operation.client_session
            && let Err(error) = session.suits(has_sessions, description.max_wire_version)
        {
            operation.stage = Stage::Idle;
            self.put_back(now, operation, connection, true);
            return Begin::Fail(error.with_server(description.address.clone()));
        }
        self.pin(operation, connection, &description);
        if operation.acknowledged
            && has_sessions
            && operation.client_session.is_none()
            && operation.session.is_none()
        {
            operation.session = Some(self.sessions.take(now, self.session_timeout));
        }
        let numbered = self.number(operation, &description);
        // "If the server selected for a retry does not support retryable writes, raise the original error."
        let mixed = operation.txn_number.is_some() && !numbered;
        if let Some(earlier) = operation.earlier_error.take_if(|_| mixed) {
            operation.stage = Stage::Idle;
            self.put_back(now, operation, connection, true);
            return self.give_up(now, operation, earlier);
        }
        Begin::Go(self.checkout(operation, connection, has_sessions, description))
    }

    /// Gives a retryable write its number, once; false if it is sent without one. The end of a transaction has the transaction's,
    /// and what is in one is no retryable write (transactions specification, "Interaction with Retryable Writes").
    fn number(&self, operation: &mut Operation, server: &ServerDescription) -> bool {
        if operation.ends_transaction() {
            let session = operation.client_session.as_ref();
            operation.txn_number = session.and_then(|session| session.txn_number(operation.command));
            return true;
        }
        let numbered = operation.retry == Retry::Write
            && self.options.retry_writes
            && !operation.is_in_transaction()
            && (server.supports_retryable_writes() || self.options.load_balanced);
        if numbered && (operation.txn_number.is_none() || mistaken!(self.options, NewNumberOnRetry)) {
            operation.txn_number = operation.server_session().map(|session| session.next_txn_number());
        }
        numbered
    }

    /// The first command of a transaction pins it ("Mongos Pinning").
    fn pin(&mut self, operation: &mut Operation, connection: ConnectionId, server: &ServerDescription) {
        let Some(session) = &mut operation.client_session else { return };
        let routes = matches!(server.server_type, ServerType::Mongos | ServerType::LoadBalancer);
        let routes = routes && !mistaken!(self.options, TransactionNotPinned);
        session.handle_selected(routes.then_some(&server.address));
        if !self.options.load_balanced {
            return;
        }
        session.hold(session.pin().is_some().then_some(connection));
        if session.held().is_some() {
            self.set_purpose(connection, Purpose::Transaction);
        }
    }

    fn checkout(
        &self,
        operation: &mut Operation,
        connection: ConnectionId,
        has_sessions: bool,
        server: Arc<ServerDescription>,
    ) -> Checkout {
        let single = self.topology.description().topology_type == TopologyType::Single;
        let mut cluster_time = self.cluster_time.timestamp().map(|_| &self.cluster_time);
        let mut txn_number = operation.txn_number;
        let mut fields = None;
        let mut read_preference = read_preference_to_send(&operation.criteria, single, server.server_type);
        if let Some(session) = &operation.client_session {
            txn_number = session.txn_number(operation.command).or(txn_number);
            let mut said = session.fields(operation.command, &operation.read_concern);
            said.start_transaction |= said.in_transaction && mistaken!(self.options, StartsEveryTime);
            if mistaken!(self.options, CommitConcernKept) && operation.ends_transaction() {
                said.write_concern = session.given_write_concern();
            }
            fields = Some(Box::new(said));
            // "The cluster time to send is the higher of the client's and the session's" (driver sessions specification, "Gossipping
            // the cluster time").
            let known = cluster_time.and_then(ClusterTime::timestamp);
            if session.cluster_time().timestamp() > known {
                cluster_time = Some(session.cluster_time());
            }
            // A transaction reads from the primary, and the server refuses any other word for it.
            if operation.is_in_transaction() {
                read_preference = None;
            }
        }
        let cluster_time = cluster_time.cloned();
        let read_concern = operation.read_concern.alone().filter(|_| fields.is_none()).cloned();
        let lsid = operation.server_session().filter(|_| has_sessions).map(|session| session.id());
        Checkout { connection, lsid, txn_number, cluster_time, read_preference, read_concern, fields, server }
    }
}
