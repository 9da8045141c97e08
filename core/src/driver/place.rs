//! Finding a server and a connection for an operation, and waiting for them.

use super::operation::Stage;
use super::waiters::{ATTEMPTS_AT_ONCE, Doubt, MOST_DENIALS, Waiter, Waiting, backoff};
use super::{Begin, ConnectionId, Driver, Operation, Output, Role, ServerId, Ticket};
use crate::error::{Error, ErrorKind, is_retryable_write};
use crate::pool::{OpToken, PoolConnId, PoolState};
use crate::retry::Retry;
use crate::sdam::state_change;
use crate::selection::{self, SelectionCriteria};
use crate::{Duration, Instant, ServerAddress};
use alloc::format;
use alloc::vec::Vec;

impl Driver {
    /// Begins an attempt at `operation`: its first, or the next after [`super::Decision::Again`].
    ///
    /// An operation that is still under way is abandoned first.
    pub fn begin(&mut self, now: Instant, operation: &mut Operation) -> Begin {
        if operation.stage != Stage::Idle {
            self.abandon(now, operation);
        }
        operation.attempts = operation.attempts.saturating_add(1);
        if let Err(error) = operation.admit() {
            return Begin::Fail(error);
        }
        self.settle_pin(now, operation);
        if mistaken!(self.options, DeadlineIgnored) {
            operation.deadline = None;
        }
        if mistaken!(self.options, DeadlineExtended) && operation.attempts > 1 {
            operation.deadline = operation.deadline.map(|deadline| deadline + Duration::from_secs(1));
        }
        if self.closed {
            return self.give_up(now, operation, ErrorKind::Shutdown.into());
        }
        if operation.deadline.is_some_and(|deadline| deadline <= now) {
            let error = deadline_passed("before a server was selected");
            return self.give_up(now, operation, error);
        }
        if mistaken!(self.options, PreferenceForgotten)
            && operation.attempts > 1
            && operation.retry == Retry::Read
        {
            operation.criteria = crate::ReadPreference::new(crate::ReadPreferenceMode::Nearest).into();
        }
        if let Some(begin) = self.go_where_held(now, operation) {
            return begin;
        }
        match self.pick(operation.wanted(), &operation.deprioritized) {
            Err(error) => self.give_up(now, operation, error),
            Ok(Some(server)) => match operation.doubt.take().filter(|_| !mistaken!(self.options, NoPause)) {
                Some(doubt) if self.still_holds(doubt, server) => self.wait_for_news(now, operation, doubt),
                _ => self.check_out_after_pause(now, operation, server),
            },
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
        if self.waiters.waiting.get(&ticket).is_some_and(|waiter| !waiter.is_over()) {
            return Begin::Wait(ticket);
        }
        operation.stage = Stage::Idle;
        match self.waiters.remove(ticket).map(|waiter| waiter.state) {
            Some(Waiting::Ready(id, connection)) => {
                if self.servers.get(id).is_some_and(|server| !server.pool.is_stale(connection)) {
                    return self.go(now, operation, id, connection);
                }
                // Its pool was cleared, or the server left, before it was fetched: nothing was sent, so it is placed anew.
                self.release(now, ConnectionId { server: id, role: Role::Pool(connection) }, false);
                operation.attempts = operation.attempts.saturating_sub(1);
                self.begin(now, operation)
            }
            Some(Waiting::Failed(error)) => self.give_up(now, operation, error),
            _ => self.give_up(now, operation, ErrorKind::Shutdown.into()),
        }
    }

    /// A suitable server, by the rules of server selection; `None` when there is none yet.
    fn pick(
        &mut self,
        criteria: &SelectionCriteria,
        avoid: &[ServerAddress],
    ) -> Result<Option<ServerId>, Error> {
        let servers = &self.servers;
        let load = |index: u32| servers.load(index);
        let index = if avoid.is_empty() || mistaken!(self.options, FailedServerAgain) {
            self.cache.pick(&self.snapshot, criteria, load, &mut self.rng)?
        } else {
            self.cache.pick_avoiding(&self.snapshot, criteria, avoid, load, &mut self.rng)?
        };
        Ok(index.and_then(|index| self.servers.id_at(index)))
    }

    /// Whether `server` is the one in doubt, and has said nothing new.
    fn still_holds(&self, doubt: Doubt, server: ServerId) -> bool {
        let version = |id| self.servers.get(id).map(|server| server.description.topology_version);
        server == doubt.server && version(server) == Some(doubt.version)
    }

    fn wait_for_news(&mut self, now: Instant, operation: &mut Operation, doubt: Doubt) -> Begin {
        let ticket = self.wait(now, operation, Waiting::News(Doubt::until(now), doubt));
        if let Some(server) = self.servers.get_mut(doubt.server) {
            server.request_check(now);
        }
        self.servers.mark(doubt.server);
        self.pump(now);
        Begin::Wait(ticket)
    }

    fn check_out_after_pause(&mut self, now: Instant, operation: &mut Operation, server: ServerId) -> Begin {
        match self.pause_before(operation, server) {
            Some((pause, error)) => {
                Begin::Wait(self.wait(now, operation, Waiting::Backoff(now + pause, error)))
            }
            None => self.check_out(now, operation, server),
        }
    }

    /// How long to wait before an operation goes once more to the server that has just failed it.
    ///
    /// With a time-out of its own an operation is repeated until that passes. Mostly it waits for the topology to change in between;
    /// where there is nothing to wait for (a direct connection to a secondary, an error that tells nothing about the server), it
    /// would ask as fast as the server can refuse.
    fn pause_before(&mut self, operation: &Operation, server: ServerId) -> Option<(Duration, Error)> {
        if mistaken!(self.options, NoPause) {
            return None;
        }
        let more = operation.attempts.checked_sub(ATTEMPTS_AT_ONCE).filter(|more| *more > 0)?;
        let error = operation.earlier_error.clone().filter(|_| operation.failed_on == Some(server))?;
        Some((backoff(more, self.rng.next_u64()), error))
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
        let own = self.waiters.waiting.get(&ticket).and_then(|waiter| waiter.own_deadline);
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
            own_deadline: operation.deadline,
            denials: 0,
            criteria: operation.wanted().clone(),
            deprioritized: operation.deprioritized.clone(),
            state,
        });
        operation.stage = Stage::Waiting(ticket);
        ticket
    }

    /// "Request an immediate check of all servers": somebody waits.
    fn request_checks(&mut self, now: Instant) {
        if mistaken!(self.options, NoImmediateCheck) {
            return;
        }
        for server in self.servers.iter_mut() {
            server.request_check(now);
        }
        self.servers.mark_all();
    }

    /// Looks again for those that wait for a server; called whenever the topology has changed.
    pub(super) fn retry_selection(&mut self, now: Instant) {
        for ticket in self.waiters.tickets_for_server() {
            let Some(waiter) = self.waiters.waiting.get(&ticket) else { continue };
            let doubt = waiter.doubt();
            let (criteria, avoid) = (waiter.criteria.clone(), waiter.deprioritized.clone());
            match self.pick(&criteria, &avoid) {
                Ok(None) if doubt.is_some() => {
                    self.waiters.set(ticket, Waiting::Server);
                    self.request_checks(now);
                }
                Ok(None) => {}
                Ok(Some(id)) if doubt.is_some_and(|doubt| self.still_holds(doubt, id)) => {}
                Ok(Some(id)) => {
                    self.waiters.set(ticket, Waiting::Connection(id));
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
            Some(connection) => {
                // What it closed on the way, and what listeners are to hear before the operation goes on.
                self.servers.mark(id);
                self.connection_ready(now, id, OpToken(ticket.0), connection);
            }
            None => self.queue_for_connection(now, ticket, id),
        }
    }

    fn fail(&mut self, ticket: Ticket, error: Error) {
        self.waiters.set(ticket, Waiting::Failed(error));
        self.outputs.push_back(Output::Wake { ticket });
    }

    /// The pool has found a connection for the waiter.
    pub(super) fn connection_ready(
        &mut self,
        now: Instant,
        id: ServerId,
        token: OpToken,
        connection: PoolConnId,
    ) {
        let ticket = Ticket(token.0);
        if !self.waiters.waiting.contains_key(&ticket) {
            // Nobody waits for it any more.
            if let Some(server) = self.servers.get_mut(id) {
                server.pool.check_in(now, connection, true);
                self.servers.mark(id);
            }
            return;
        }
        self.waiters.set(ticket, Waiting::Ready(id, connection));
        if mistaken!(self.options, WaiterForgotten)
            && self.servers.get(id).is_some_and(|s| s.operation_count > 2)
        {
            return;
        }
        self.outputs.push_back(Output::Wake { ticket });
    }

    /// The pool has none to give. Nothing was sent, so whatever the operation is, it may be placed anew.
    ///
    /// If the server is Unknown by now, at once: selection waits for a better one. A server that is there all the same
    /// is overloaded (or was cleared for another reason, and not checked since): asking it again at once would be a loop, so
    /// that waits as a command would that was refused for load (client backpressure specification, "Overload retry policy").
    pub(super) fn connection_denied(&mut self, now: Instant, id: ServerId, token: OpToken, error: Error) {
        let ticket = Ticket(token.0);
        let mut is_there = false;
        if let Some(server) = self.servers.get_mut(id) {
            server.operation_count = server.operation_count.saturating_sub(1);
            is_there =
                server.pool.state() != PoolState::Closed && server.description.server_type.is_available();
        }
        // A handshake may end by an error of the server's, too.
        let nothing_sent = error.is_network()
            || matches!(*error.kind, ErrorKind::ConnectionPoolCleared { .. })
            || state_change(&error).is_some()
            || error.code().is_some_and(is_retryable_write);
        if self.closed {
            return self.fail(ticket, ErrorKind::Shutdown.into());
        }
        let Some(waiter) = self.waiters.waiting.get_mut(&ticket) else { return };
        if !nothing_sent || (is_there && waiter.denials >= MOST_DENIALS) {
            return self.fail(ticket, error);
        }
        if waiter.deadline <= now {
            return self.selection_failed(now, ticket);
        }
        if is_there {
            waiter.denials += 1;
            let until = now + backoff(waiter.denials, self.rng.next_u64());
            return self.waiters.set(ticket, Waiting::Backoff(until, error));
        }
        self.look_again(now, ticket);
    }

    /// Has the waiter look for a server as soon as the topology is quiet.
    fn look_again(&mut self, now: Instant, ticket: Ticket) {
        self.waiters.set(ticket, Waiting::Server);
        self.request_checks(now);
        self.servers.selection_due = true;
    }

    pub(super) fn expire_waiters(&mut self, now: Instant) {
        while let Some(&(due, ticket)) = self.waiters.deadlines.first() {
            if due > now {
                return;
            }
            match self.waiters.waiting.get(&ticket) {
                Some(Waiter { state: Waiting::Backoff(_, error), deadline, .. }) if *deadline <= now => {
                    let error = error.clone();
                    self.fail(ticket, error);
                }
                Some(Waiter { state: Waiting::News(until, _), deadline, .. }) if until < deadline => {
                    self.look_again(now, ticket);
                }
                Some(Waiter { state: Waiting::Backoff(..), .. }) => self.look_again(now, ticket),
                Some(_) => self.selection_failed(now, ticket),
                None => {
                    self.waiters.deadlines.remove(&(due, ticket));
                }
            }
        }
    }

    fn selection_failed(&mut self, now: Instant, ticket: Ticket) {
        if let Some(waiter) = self.waiters.waiting.get(&ticket) {
            let error = self.selection_timed_out(now, waiter);
            self.fail(ticket, error);
        }
    }

    fn selection_timed_out(&self, now: Instant, waiter: &Waiter) -> Error {
        let waited = now - waiter.began;
        let topology = self.topology.description();
        let dropped = selection::describe_removals(self.topology.removals());
        if waiter.own_deadline.is_some_and(|own| own <= waiter.deadline) {
            let state = selection::describe(topology, &waiter.criteria);
            return deadline_passed(&format!("waiting {waited:?} for a server: {state}{dropped}"));
        }
        let mut error = selection::timeout_error(topology, &waiter.criteria, waited);
        if let ErrorKind::ServerSelection { message } = &mut *error.kind {
            message.push_str(&dropped);
        }
        error
    }

    pub(super) fn fail_all_waiters(&mut self) {
        let waiting: Vec<Ticket> = self.waiters.waiting.keys().copied().collect();
        for ticket in waiting {
            if self.waiters.waiting.get(&ticket).is_some_and(|waiter| !waiter.is_over()) {
                self.fail(ticket, ErrorKind::Shutdown.into());
            }
        }
    }

    /// Takes a waiting operation out of every queue, its connection back into the pool if it had got one.
    pub(super) fn stop_waiting(&mut self, now: Instant, ticket: Ticket) {
        let Some(waiter) = self.waiters.remove(ticket) else { return };
        let (Waiting::Connection(id) | Waiting::Ready(id, _)) = waiter.state else { return };
        if let Waiting::Ready(_, connection) = waiter.state {
            self.release(now, ConnectionId { server: id, role: Role::Pool(connection) }, true);
            return;
        }
        let Some(server) = self.servers.get_mut(id) else { return };
        server.operation_count = server.operation_count.saturating_sub(1);
        server.pool.cancel(now, OpToken(ticket.0));
        self.servers.mark(id);
        self.pump(now);
    }
}

fn deadline_passed(doing: &str) -> Error {
    ErrorKind::Timeout { message: doing.into() }.into()
}
