//! What operations and sockets tell the pool: check out, cancel, check in; established, failed, closed.
//!
//! Source: connection monitoring and pooling specification, "Checking Out a Connection", "Checking In a Connection",
//! "Establishing a Connection", "Populating the Pool".

use super::machine::Fill;
use super::slots::State;
use super::waiters::Waiter;
use super::{OpToken, Pool, PoolConnId, PoolOutput, PoolState, Purpose, ServiceId};
use crate::error::IoErrorKind;
use crate::event::cmap::{
    CmapEvent, ConnectionCheckedInEvent, ConnectionCheckedOutEvent, ConnectionCheckoutFailedEvent,
    ConnectionCheckoutFailedReason, ConnectionCheckoutStartedEvent, ConnectionClosedReason,
    ConnectionCreatedEvent, ConnectionReadyEvent,
};
use crate::{Duration, Error, Instant};

impl Pool {
    /// Checks out the connection used last, if one is there to be had at once. The common path: no allocation (unless
    /// events are wanted), no output, constant time.
    ///
    /// `None` when the pool is not ready, somebody waits already, or no good connection is idle; nothing has changed then, and
    /// [`Pool::check_out`] is the way.
    pub fn try_check_out(&mut self, now: Instant) -> Option<PoolConnId> {
        if self.state != PoolState::Ready || !self.waiters.is_empty() {
            return None;
        }
        let (conn, since) = self.slots.newest_idle()?;
        if self.idle_too_long(since, now) {
            // The newest is: so are all. `check_out` closes them, after its started event.
            return None;
        }
        self.started_event();
        self.slots.set_in_use(conn);
        self.checked_out_event(conn, Duration::ZERO);
        Some(conn)
    }

    /// Checks out a connection, waiting in line if need be. The answer comes as [`PoolOutput::CheckedOut`] or
    /// [`PoolOutput::CheckOutFailed`] with this `token`.
    ///
    /// `deadline` is the operation's own; it always counts. `waitQueueTimeoutMS` counts beside it until a connection is being
    /// established for this waiter. A token that waits already is left as it is.
    pub fn check_out(&mut self, now: Instant, token: OpToken, deadline: Option<Instant>) {
        if self.waiters.contains(token) {
            return;
        }
        self.started_event();
        let waiter = Waiter {
            token,
            started: now,
            deadline,
            queue_deadline: self.options.wait_queue_timeout.map(|limit| now + limit),
        };
        if let Some((reason, error)) = self.turned_away() {
            return self.fail_waiter(now, waiter, reason, error);
        }
        self.close_idle_too_long(now);
        self.waiters.push(waiter);
        // Nothing is idle while somebody waits, so a newcomer finds one only with nobody before it.
        match self.slots.newest_idle() {
            Some((conn, _)) => self.hand_out(now, conn),
            None if deadline.is_some_and(|at| at <= now) => self.handle_timeout(now),
            None => {}
        }
        self.grow(now);
    }

    /// The operation was dropped. `true` if it was waiting: nothing more will be heard of it. `false` if it was not: its
    /// `CheckedOut` or `CheckOutFailed` was given already, or lies among the outputs not yet taken.
    ///
    /// Cancelling because the deadline given to [`Pool::check_out`] has passed is the same as letting
    /// [`Pool::handle_timeout`] find that out: the event's reason is the time-out.
    pub fn cancel(&mut self, now: Instant, token: OpToken) -> bool {
        let Some(waiter) = self.waiters.remove(token) else { return false };
        let reason = match waiter.deadline {
            Some(at) if at <= now => ConnectionCheckoutFailedReason::Timeout,
            _ => ConnectionCheckoutFailedReason::Dropped,
        };
        self.failed_event(now, &waiter, reason);
        // A connection being established for it now serves the next in line.
        self.grow(now);
        true
    }

    /// Notes what a connection in use is pinned to.
    pub fn set_purpose(&mut self, conn: PoolConnId, purpose: Purpose) {
        if let Some(State::InUse { purpose: current, .. }) = self.slots.get_mut(conn).map(|c| &mut c.state) {
            *current = purpose;
        }
    }

    /// A pending connection's `hello` was answered: behind a load balancer it now has a service and that service's
    /// generation ("Load Balancer Mode"). Elsewhere, and the second time, this does nothing.
    pub fn handle_hello(&mut self, conn: PoolConnId, service_id: Option<ServiceId>) {
        let Some(c) = self.slots.get_mut(conn) else { return };
        c.greeted = true;
        let Some(id) = service_id.filter(|_| self.options.load_balanced) else { return };
        if c.service.is_none() && matches!(c.state, State::Pending) {
            c.service = Some(id);
            c.generation = self.services.enter(id);
        }
    }

    /// Whether a connection's `hello` was answered.
    pub fn is_greeted(&self, conn: PoolConnId) -> bool {
        self.slots.get(conn).is_some_and(|c| c.greeted)
    }

    /// A pending connection is ready for use: it goes to the first in line, or becomes idle.
    pub fn handle_established(&mut self, now: Instant, conn: PoolConnId, service_id: Option<ServiceId>) {
        self.handle_hello(conn, service_id);
        let Some(c) = self.slots.get(conn) else { return };
        let State::Pending = c.state else { return };
        let duration = now - c.created;
        self.event(|address| {
            CmapEvent::ConnectionReady(ConnectionReadyEvent { address, connection_id: conn.get(), duration })
        });
        self.fill = Fill::default();
        self.hand_out(now, conn);
        self.grow(now);
    }

    /// A pending connection could not be established. The first in line fails with that error, unless enough other
    /// connections are on their way for all who wait.
    ///
    /// Whether the pool is to be cleared as well is the topology's decision; if it is, use
    /// [`Pool::handle_connect_failed_and_clear`].
    pub fn handle_connect_failed(&mut self, now: Instant, conn: PoolConnId, error: Error) {
        if self.is_pending(conn) {
            self.fail_pending(now, conn, error, true);
            self.grow(now);
        }
    }

    /// Whether that connection is being established.
    pub fn is_pending(&self, conn: PoolConnId) -> bool {
        matches!(self.slots.get(conn).map(|c| c.state), Some(State::Pending))
    }

    /// Closes a pending connection that failed. `others_count` says that the other pending ones are still worth waiting for.
    pub(super) fn fail_pending(&mut self, now: Instant, conn: PoolConnId, error: Error, others_count: bool) {
        self.close_conn(conn, ConnectionClosedReason::Error);
        self.fill.failed(now);
        let on_their_way = if others_count { self.slots.pending as usize } else { 0 };
        if self.waiters.len() > on_their_way
            && let Some(waiter) = self.waiters.pop_first()
        {
            self.fail_waiter(now, waiter, ConnectionCheckoutFailedReason::ConnectionError, error);
        }
    }

    /// Gives a connection back. `reusable` says that it is in a good state: nothing failed on it and no reply is owed. It is
    /// closed if not, or if it is stale or the pool is closed; else it goes to the first in line or becomes idle.
    ///
    /// `false` if that connection is not checked out of this pool; nothing happens then.
    pub fn check_in(&mut self, now: Instant, conn: PoolConnId, reusable: bool) -> bool {
        let Some(State::InUse { interrupted, .. }) = self.slots.get(conn).map(|c| c.state) else {
            return false;
        };
        self.event(|address| {
            CmapEvent::ConnectionCheckedIn(ConnectionCheckedInEvent { address, connection_id: conn.get() })
        });
        let kept = (mistaken!(self.options, InterruptedReused) && interrupted)
            || (mistaken!(self.options, GenerationIgnored) && reusable && self.state == PoolState::Ready);
        let reason = if kept {
            None
        } else if interrupted {
            Some(ConnectionClosedReason::Stale)
        } else if !reusable {
            Some(ConnectionClosedReason::Error)
        } else if self.is_stale(conn) {
            Some(ConnectionClosedReason::Stale)
        } else {
            (self.state == PoolState::Closed).then_some(ConnectionClosedReason::PoolClosed)
        };
        match reason {
            Some(reason) => self.close_conn(conn, reason),
            None => self.hand_out(now, conn),
        }
        self.grow(now);
        true
    }

    /// The peer closed a connection. An idle one leaves the pool; a pending one has failed. One in use is left to
    /// its operation, which meets the end itself and checks it in.
    pub fn handle_closed(&mut self, now: Instant, conn: PoolConnId) {
        match self.slots.get(conn).map(|c| c.state) {
            Some(State::Idle { .. }) => {
                self.close_conn(conn, ConnectionClosedReason::Error);
                // Whoever hangs up on idle connections may do so again: filling up waits a little.
                self.fill.lost_one(now);
            }
            Some(State::Pending) => {
                let error =
                    Error::io(IoErrorKind::Closed, "connection closed while it was being established");
                self.handle_connect_failed(now, conn, error.with_server(self.options.address.clone()));
            }
            _ => {}
        }
    }

    /// Gives a connection to the first in line, or makes it idle.
    fn hand_out(&mut self, now: Instant, conn: PoolConnId) {
        match self.waiters.pop_first() {
            Some(waiter) => {
                self.slots.set_in_use(conn);
                self.checked_out_event(conn, now - waiter.started);
                self.push(PoolOutput::CheckedOut { token: waiter.token, conn });
            }
            None => self.slots.set_idle(conn, now),
        }
    }

    /// Opens as many connections as are wanted and allowed: one for each waiter who has none on its way, and up to
    /// `min_pool_size`.
    pub(super) fn grow(&mut self, now: Instant) {
        while self.state == PoolState::Ready && self.may_connect() {
            let for_waiters = self.waiters.len() > self.slots.pending as usize;
            let for_filling = self.wants_fill() && self.fill.allowed(now);
            if !for_waiters && !for_filling {
                break;
            }
            let Some(conn) = self.slots.create(now, self.generation) else { break };
            self.event(|address| {
                CmapEvent::ConnectionCreated(ConnectionCreatedEvent { address, connection_id: conn.get() })
            });
            self.push(PoolOutput::Connect { conn, generation: self.generation });
        }
        self.waiters.serve(self.slots.pending as usize);
    }

    pub(super) fn close_idle_too_long(&mut self, now: Instant) {
        while let Some((conn, since)) = self.slots.oldest_idle() {
            if !self.idle_too_long(since, now) {
                break;
            }
            self.close_conn(conn, ConnectionClosedReason::Idle);
        }
    }

    fn idle_too_long(&self, since: Instant, now: Instant) -> bool {
        self.options.max_idle_time.is_some_and(|limit| since + limit <= now)
    }

    pub(super) fn fail_waiter(
        &mut self,
        now: Instant,
        waiter: Waiter,
        reason: ConnectionCheckoutFailedReason,
        error: Error,
    ) {
        self.failed_event(now, &waiter, reason);
        self.push(PoolOutput::CheckOutFailed { token: waiter.token, reason, error });
    }

    fn failed_event(&mut self, now: Instant, waiter: &Waiter, reason: ConnectionCheckoutFailedReason) {
        let duration = now - waiter.started;
        self.event(|address| {
            CmapEvent::ConnectionCheckoutFailed(ConnectionCheckoutFailedEvent { address, reason, duration })
        });
    }

    fn started_event(&mut self) {
        self.event(|address| {
            CmapEvent::ConnectionCheckoutStarted(ConnectionCheckoutStartedEvent { address })
        });
    }

    fn checked_out_event(&mut self, conn: PoolConnId, duration: Duration) {
        self.event(|address| {
            let connection_id = conn.get();
            CmapEvent::ConnectionCheckedOut(ConnectionCheckedOutEvent { address, connection_id, duration })
        });
    }
}
