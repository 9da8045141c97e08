//! Finding a server and a connection for an operation, and waiting for them.

use super::operation::{Stage, read_preference_to_send};
use super::{Begin, Checkout, ConnectionId, Driver, Operation, Output, Role, ServerId, Ticket};
use crate::error::{Error, ErrorKind};
use crate::pool::{OpToken, PoolConnId};
use crate::retry::Retry;
use crate::sdam::TopologyType;
use crate::selection::{self, SelectionCriteria};
use crate::{Instant, ServerAddress};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::vec::Vec;

/// The operations that wait.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    waiting: BTreeMap<Ticket, Waiter>,
    deadlines: BTreeSet<(Instant, Ticket)>,
}

#[derive(Debug)]
struct Waiter {
    began: Instant,
    deadline: Instant,
    /// Whether [`Waiter::deadline`] is the operation's own rather than `serverSelectionTimeoutMS`.
    own_deadline: bool,
    criteria: SelectionCriteria,
    deprioritized: Vec<ServerAddress>,
    state: Waiting,
}

#[derive(Debug)]
enum Waiting {
    /// No suitable server yet.
    Server,
    /// In the queue of that server's pool.
    Connection(ServerId),
    /// It has a connection; nobody has fetched it yet.
    Ready(ServerId, PoolConnId),
    /// It is over; nobody has heard of it yet.
    Failed(Error),
}

impl Waiters {
    fn add(&mut self, waiter: Waiter) -> Ticket {
        self.next += 1;
        let ticket = Ticket(self.next);
        self.deadlines.insert((waiter.deadline, ticket));
        self.waiting.insert(ticket, waiter);
        ticket
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiting.remove(&ticket)?;
        self.deadlines.remove(&(waiter.deadline, ticket));
        Some(waiter)
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(super) fn anybody_wants_a_server(&self) -> bool {
        self.waiting.values().any(|waiter| matches!(waiter.state, Waiting::Server))
    }

    fn tickets_for_server(&self) -> Vec<Ticket> {
        let wants_server = |(ticket, waiter): (&Ticket, &Waiter)| {
            matches!(waiter.state, Waiting::Server).then_some(*ticket)
        };
        self.waiting.iter().filter_map(wants_server).collect()
    }
}

impl Driver {
    /// Begins an attempt at `operation`: its first, or the next after [`super::Decision::Again`].
    ///
    /// An operation that is still under way is abandoned first.
    pub fn begin(&mut self, now: Instant, operation: &mut Operation) -> Begin {
        if operation.stage != Stage::Idle {
            self.abandon(now, operation);
        }
        operation.attempts = operation.attempts.saturating_add(1);
        if self.closed {
            return self.give_up(now, operation, ErrorKind::Shutdown.into());
        }
        if operation.deadline.is_some_and(|deadline| deadline <= now) {
            let error = deadline_passed("before a server was selected");
            return self.give_up(now, operation, error);
        }
        match self.pick(&operation.criteria, &operation.deprioritized) {
            Err(error) => self.give_up(now, operation, error),
            Ok(Some(server)) => self.check_out(now, operation, server),
            Ok(None) => {
                let ticket = self.wait(now, operation, Waiting::Server);
                self.request_checks(now);
                self.pump(now);
                Begin::Wait(ticket)
            }
        }
    }

    /// Goes on with an operation that waited; a call before its [`Output::Wake`] answers `Wait` again.
    pub fn resume(&mut self, now: Instant, operation: &mut Operation) -> Begin {
        let Stage::Waiting(ticket) = operation.stage else {
            return self.begin(now, operation);
        };
        let still_waits = |waiter: &Waiter| matches!(waiter.state, Waiting::Server | Waiting::Connection(_));
        if self.waiters.waiting.get(&ticket).is_some_and(still_waits) {
            return Begin::Wait(ticket);
        }
        operation.stage = Stage::Idle;
        match self.waiters.remove(ticket).map(|waiter| waiter.state) {
            Some(Waiting::Ready(server, connection)) => self.go(now, operation, server, connection),
            Some(Waiting::Failed(error)) => self.give_up(now, operation, error),
            _ => self.give_up(now, operation, ErrorKind::Shutdown.into()),
        }
    }

    /// A suitable server, by the rules of server selection; `None` when there is none yet.
    fn pick(&mut self, criteria: &SelectionCriteria, avoid: &[ServerAddress]) -> Result<Option<ServerId>, Error> {
        let servers = &self.servers;
        let load = |index: u32| servers.load(index);
        let index = if avoid.is_empty() {
            self.cache.pick(&self.snapshot, criteria, load, &mut self.rng)?
        } else {
            self.cache.pick_avoiding(&self.snapshot, criteria, avoid, load, &mut self.rng)?
        };
        Ok(index.and_then(|index| self.servers.id_at(index)))
    }

    fn check_out(&mut self, now: Instant, operation: &mut Operation, id: ServerId) -> Begin {
        let Some(server) = self.servers.get_mut(id) else {
            return self.give_up(now, operation, ErrorKind::Shutdown.into());
        };
        server.operation_count += 1;
        if let Some(connection) = server.pool.try_check_out(now) {
            // What it closed on the way (idle for too long) and what listeners are to hear.
            if server.pool.has_output() {
                self.servers.mark(id);
                self.pump(now);
            }
            return self.go(now, operation, id, connection);
        }
        let ticket = self.wait(now, operation, Waiting::Connection(id));
        self.queue_for_connection(now, ticket, id);
        self.pump(now);
        self.resume(now, operation)
    }

    fn queue_for_connection(&mut self, now: Instant, ticket: Ticket, id: ServerId) {
        let own = self.waiters.waiting.get(&ticket).filter(|w| w.own_deadline).map(|w| w.deadline);
        if let Some(server) = self.servers.get_mut(id) {
            server.pool.check_out(now, OpToken(ticket.0), own);
            self.servers.mark(id);
        }
    }

    fn wait(&mut self, now: Instant, operation: &mut Operation, state: Waiting) -> Ticket {
        let selection = now + self.options.server_selection_timeout;
        let deadline = operation.deadline.map_or(selection, |own| own.min(selection));
        let ticket = self.waiters.add(Waiter {
            began: now,
            deadline,
            own_deadline: operation.deadline.is_some_and(|own| own <= selection),
            criteria: operation.criteria.clone(),
            deprioritized: operation.deprioritized.clone(),
            state,
        });
        operation.stage = Stage::Waiting(ticket);
        ticket
    }

    /// "Request an immediate check of all servers": somebody waits.
    fn request_checks(&mut self, now: Instant) {
        for server in self.servers.iter_mut() {
            server.request_check(now);
        }
        self.servers.mark_all();
    }

    /// Looks again for those that wait for a server; called whenever the topology has changed.
    pub(super) fn retry_selection(&mut self, now: Instant) {
        for ticket in self.waiters.tickets_for_server() {
            let Some(waiter) = self.waiters.waiting.get(&ticket) else { continue };
            let (criteria, avoid) = (waiter.criteria.clone(), waiter.deprioritized.clone());
            match self.pick(&criteria, &avoid) {
                Ok(None) => {}
                Ok(Some(id)) => {
                    self.set(ticket, Waiting::Connection(id));
                    self.take_or_queue(now, ticket, id);
                }
                Err(error) => self.fail(ticket, error),
            }
        }
    }

    fn take_or_queue(&mut self, now: Instant, ticket: Ticket, id: ServerId) {
        let Some(server) = self.servers.get_mut(id) else { return };
        server.operation_count += 1;
        match server.pool.try_check_out(now) {
            Some(connection) => self.connection_ready(now, id, OpToken(ticket.0), connection),
            None => self.queue_for_connection(now, ticket, id),
        }
    }

    fn set(&mut self, ticket: Ticket, state: Waiting) {
        if let Some(waiter) = self.waiters.waiting.get_mut(&ticket) {
            waiter.state = state;
        }
    }

    fn fail(&mut self, ticket: Ticket, error: Error) {
        self.set(ticket, Waiting::Failed(error));
        self.outputs.push_back(Output::Wake { ticket });
    }

    /// The pool has found a connection for the waiter.
    pub(super) fn connection_ready(&mut self, now: Instant, id: ServerId, token: OpToken, connection: PoolConnId) {
        let ticket = Ticket(token.0);
        if !self.waiters.waiting.contains_key(&ticket) {
            // Nobody waits for it any more.
            if let Some(server) = self.servers.get_mut(id) {
                server.pool.check_in(now, connection, true);
                self.servers.mark(id);
            }
            return;
        }
        self.set(ticket, Waiting::Ready(id, connection));
        self.outputs.push_back(Output::Wake { ticket });
    }

    /// The pool has none to give. Nothing was sent, so whatever the operation is, it may be placed anew: if the pool
    /// was cleared or the connection could not be made, the server is no longer known, and selection waits for a better one.
    pub(super) fn connection_denied(&mut self, now: Instant, id: ServerId, token: OpToken, error: Error) {
        let ticket = Ticket(token.0);
        if let Some(server) = self.servers.get_mut(id) {
            server.operation_count = server.operation_count.saturating_sub(1);
        }
        let nothing_sent =
            error.is_network() || matches!(*error.kind, ErrorKind::ConnectionPoolCleared { .. });
        if self.closed {
            return self.fail(ticket, ErrorKind::Shutdown.into());
        }
        if !nothing_sent {
            return self.fail(ticket, error);
        }
        let Some(waiter) = self.waiters.waiting.get_mut(&ticket) else { return };
        waiter.state = Waiting::Server;
        if waiter.deadline > now {
            self.request_checks(now);
            self.servers.selection_due = true;
        } else if let Some(waiter) = self.waiters.waiting.get(&ticket) {
            let error = self.selection_timed_out(now, waiter);
            self.fail(ticket, error);
        }
    }

    pub(super) fn expire_waiters(&mut self, now: Instant) {
        while let Some(&(deadline, ticket)) = self.waiters.deadlines.first() {
            if deadline > now {
                return;
            }
            self.waiters.deadlines.remove(&(deadline, ticket));
            let Some(waiter) = self.waiters.waiting.get(&ticket) else { continue };
            match waiter.state {
                Waiting::Server => {
                    let error = self.selection_timed_out(now, waiter);
                    self.fail(ticket, error);
                }
                Waiting::Connection(id) if waiter.own_deadline => {
                    if let Some(server) = self.servers.get_mut(id) {
                        server.pool.cancel(now, OpToken(ticket.0));
                        server.operation_count = server.operation_count.saturating_sub(1);
                        self.servers.mark(id);
                    }
                    self.fail(ticket, deadline_passed("waiting for a connection"));
                }
                // Having found a server, it is bounded by waitQueueTimeoutMS and by the connection's own time-out.
                Waiting::Connection(_) | Waiting::Ready(..) | Waiting::Failed(_) => {}
            }
        }
    }

    fn selection_timed_out(&self, now: Instant, waiter: &Waiter) -> Error {
        let waited = now - waiter.began;
        let topology = self.topology.description();
        if waiter.own_deadline {
            let state = selection::describe(topology, &waiter.criteria);
            return deadline_passed(&format!("waiting {waited:?} for a server: {state}"));
        }
        selection::timeout_error(topology, &waiter.criteria, waited)
    }

    pub(super) fn fail_all_waiters(&mut self) {
        let waiting: Vec<Ticket> = self.waiters.waiting.keys().copied().collect();
        for ticket in waiting {
            let unfinished = self
                .waiters
                .waiting
                .get(&ticket)
                .is_some_and(|w| matches!(w.state, Waiting::Server | Waiting::Connection(_)));
            if unfinished {
                self.fail(ticket, ErrorKind::Shutdown.into());
            }
        }
    }

    /// Takes a waiting operation out of every queue, its connection back into the pool if it had got one.
    pub(super) fn stop_waiting(&mut self, now: Instant, ticket: Ticket) {
        let Some(waiter) = self.waiters.remove(ticket) else { return };
        let (Waiting::Connection(id) | Waiting::Ready(id, _)) = waiter.state else { return };
        let Some(server) = self.servers.get_mut(id) else { return };
        server.operation_count = server.operation_count.saturating_sub(1);
        match waiter.state {
            Waiting::Ready(_, connection) => server.pool.check_in(now, connection, true),
            _ => server.pool.cancel(now, OpToken(ticket.0)),
        };
        self.servers.mark(id);
        self.pump(now);
    }

    /// The operation has its connection: what is to be said on it.
    fn go(&mut self, now: Instant, operation: &mut Operation, id: ServerId, connection: PoolConnId) -> Begin {
        let connection = ConnectionId { server: id, role: Role::Pool(connection) };
        operation.stage = Stage::Running(connection);
        let Some(server) = self.servers.get_mut(id) else {
            operation.stage = Stage::Idle;
            return self.give_up(now, operation, ErrorKind::Shutdown.into());
        };
        let description = server.description.clone();
        let has_sessions = description.logical_session_timeout_minutes.is_some() || self.options.load_balanced;
        if operation.acknowledged && has_sessions && operation.session.is_none() {
            operation.session = Some(self.sessions.take(now, self.session_timeout));
        }
        let numbered = operation.retry == Retry::Write
            && self.options.retry_writes
            && (description.supports_retryable_writes() || self.options.load_balanced);
        if numbered && operation.txn_number.is_none() {
            operation.txn_number = operation.session.as_mut().map(|session| session.next_txn_number());
        }
        // "If the server selected for a retry does not support retryable writes, raise the original error."
        let mixed = operation.txn_number.is_some() && !numbered;
        if let Some(first) = operation.first_error.take_if(|_| mixed) {
            operation.stage = Stage::Idle;
            self.release(now, connection, true);
            return self.give_up(now, operation, first);
        }
        let single = self.topology.description().topology_type == TopologyType::Single;
        Begin::Go(Checkout {
            connection,
            lsid: operation.session.as_ref().filter(|_| has_sessions).map(|session| session.id()),
            txn_number: operation.txn_number,
            cluster_time: self.cluster_time.timestamp().map(|_| self.cluster_time.clone()),
            read_preference: read_preference_to_send(&operation.criteria, single, description.server_type),
            server: description,
        })
    }
}

fn deadline_passed(doing: &str) -> Error {
    ErrorKind::Timeout { message: doing.into() }.into()
}
