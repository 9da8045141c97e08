//! The pool itself: its state, what may be asked, and what the topology tells it (ready, clear, close).
//!
//! What operations and sockets tell it lies in `flow`.

use super::services::Services;
use super::slots::{Slots, State};
use super::waiters::Waiters;
use super::{
    OpToken, PoolConnId, PoolCounts, PoolOptions, PoolOutput, PoolState, Purpose, ServiceId, errors,
};
use crate::event::cmap::{
    CmapEvent, ConnectionCheckoutFailedReason, ConnectionClosedEvent, ConnectionClosedReason,
    PoolClearedEvent, PoolClosedEvent, PoolCreatedEvent, PoolReadyEvent,
};
use crate::time::earliest;
use crate::{Duration, Error, Instant, ServerAddress};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

/// One server's connection pool. See the [module](super) for how to drive it.
///
/// ```
/// use quorate_core::pool::{OpToken, Pool, PoolOptions, PoolOutput};
/// use quorate_core::{Instant, ServerAddress};
///
/// let now = Instant::ZERO;
/// let mut pool = Pool::new(PoolOptions::new(ServerAddress::default()));
/// pool.ready(now);
/// assert_eq!(pool.try_check_out(now), None);
/// pool.check_out(now, OpToken(7), None);
/// let Some(PoolOutput::Connect { conn, .. }) = pool.poll_output() else { panic!() };
/// pool.handle_established(now, conn, None);
/// assert_eq!(pool.poll_output(), Some(PoolOutput::CheckedOut { token: OpToken(7), conn }));
/// pool.check_in(now, conn, true);
/// assert_eq!(pool.try_check_out(now), Some(conn));
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    pub(super) options: PoolOptions,
    pub(super) state: PoolState,
    pub(super) generation: u32,
    pub(super) slots: Slots,
    pub(super) waiters: Waiters,
    pub(super) services: Services,
    pub(super) fill: Fill,
    /// Why the pool is paused.
    paused_because: String,
    outputs: VecDeque<PoolOutput>,
}

/// When the pool may next open connections for `min_pool_size`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fill {
    not_before: Option<Instant>,
    pause: Duration,
}

impl Fill {
    const FIRST_PAUSE: Duration = Duration::from_millis(100);
    const LONGEST_PAUSE: Duration = Duration::from_secs(10);

    pub(super) fn failed(&mut self, now: Instant) {
        self.pause = self.pause.saturating_mul(2).clamp(Self::FIRST_PAUSE, Self::LONGEST_PAUSE);
        self.not_before = Some(now + self.pause);
    }

    /// An idle connection was lost: that alone is no reason to wait longer each time.
    pub(super) fn lost_one(&mut self, now: Instant) {
        let at = now + self.pause.max(Self::FIRST_PAUSE);
        self.not_before = Some(self.not_before.map_or(at, |already| already.max(at)));
    }

    pub(super) fn allowed(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|at| at <= now)
    }
}

impl Pool {
    /// A new pool: paused, generation 0, no connections.
    pub fn new(mut options: PoolOptions) -> Self {
        let told = options.told();
        // Zero means no limit for these two, and makes no sense for the third.
        options.max_idle_time = options.max_idle_time.filter(|limit| !limit.is_zero());
        options.wait_queue_timeout = options.wait_queue_timeout.filter(|limit| !limit.is_zero());
        options.max_connecting = options.max_connecting.max(1);
        let paused_because = errors::not_ready_message(&options.address);
        let mut pool = Pool {
            options,
            state: PoolState::Paused,
            generation: 0,
            slots: Slots::default(),
            waiters: Waiters::default(),
            services: Services::default(),
            fill: Fill::default(),
            paused_because,
            outputs: VecDeque::new(),
        };
        pool.event(|address| CmapEvent::PoolCreated(PoolCreatedEvent { address, options: Some(told) }));
        pool
    }

    /// The server it connects to.
    pub const fn address(&self) -> &ServerAddress {
        &self.options.address
    }

    /// Its options, as it applies them.
    pub const fn options(&self) -> &PoolOptions {
        &self.options
    }

    /// Paused, ready or closed.
    pub const fn state(&self) -> PoolState {
        self.state
    }

    /// The pool's generation: how often it was cleared. Behind a load balancer see [`Pool::service_generation`].
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The generation of one service behind the load balancer; 0 for one without connections.
    pub fn service_generation(&self, service_id: &ServiceId) -> u32 {
        self.services.generation(service_id)
    }

    /// The generation a connection was made in, as long as the pool knows it.
    pub fn generation_of(&self, conn: PoolConnId) -> Option<u32> {
        self.slots.get(conn).map(|c| c.generation)
    }

    /// The service a connection leads to, behind a load balancer and once its `hello` was answered.
    pub fn service_of(&self, conn: PoolConnId) -> Option<ServiceId> {
        self.slots.get(conn)?.service
    }

    /// Whether the pool was cleared since that connection was made, or does not know it (any more). An error on such a
    /// connection says nothing about the server as it is now (SDAM specification, "Application errors").
    pub fn is_stale(&self, conn: PoolConnId) -> bool {
        match self.slots.get(conn) {
            None => true,
            Some(c) => c.generation != self.generation_for(c.service),
        }
    }

    /// The generation a connection to that service must have to be fresh. (Behind a load balancer the pool's own stays 0,
    /// and that is also what a connection has before it knows its service.)
    pub(super) fn generation_for(&self, service: Option<ServiceId>) -> u32 {
        service.map_or(self.generation, |id| self.services.generation(&id))
    }

    /// Connections and waiters by state.
    pub fn counts(&self) -> PoolCounts {
        PoolCounts {
            idle: self.slots.idle,
            in_use: self.slots.in_use,
            pending: self.slots.pending,
            waiting: self.waiters.len(),
        }
    }

    /// Operations that have a connection or wait for one: the load that server selection compares.
    pub fn operation_count(&self) -> usize {
        self.waiters.len().saturating_add(self.slots.in_use as usize)
    }

    /// Switches [`PoolOutput::Event`]s on or off.
    pub fn set_events(&mut self, wanted: bool) {
        self.options.events = wanted;
    }

    /// What an operation fails with whose connection was interrupted.
    pub fn interrupted_error(&self) -> Error {
        errors::interrupted(&self.options.address)
    }

    /// Whether [`Pool::poll_output`] has something.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// The next thing to do, until `None`.
    pub fn poll_output(&mut self) -> Option<PoolOutput> {
        self.outputs.pop_front()
    }

    /// When [`Pool::handle_timeout`] should be called next: the first waiter to give up, the first connection idle for too
    /// long, or the end of the pause before filling up again. `None` when nothing will be due without another input.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let idle = match (self.options.max_idle_time, self.slots.oldest_idle()) {
            (Some(limit), Some((_, since))) => Some(since + limit),
            _ => None,
        };
        let fill = self.fill.not_before.filter(|_| self.wants_fill() && self.may_connect());
        let next = earliest(self.waiters.next_deadline(), earliest(idle, fill));
        next.filter(|at| *at != Instant::MAX)
    }

    /// Does what is due: waiters give up, connections idle for too long are closed, the pool is filled up to
    /// `min_pool_size`. Early, late and repeated calls are harmless.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((waiter, queue_time)) = self.waiters.pop_due(now) {
            let state = errors::state_in_words(&self.options, self.counts(), self.purposes());
            let error = if queue_time {
                errors::wait_queue_timeout(&self.options, now - waiter.started, state)
            } else {
                errors::deadline(&self.options, state)
            };
            self.fail_waiter(now, waiter, ConnectionCheckoutFailedReason::Timeout, error);
        }
        self.close_idle_too_long(now);
        self.grow(now);
    }

    /// The server was checked and can be used: a paused pool becomes ready ("Marking a Connection Pool as Ready").
    pub fn ready(&mut self, now: Instant) {
        if self.state != PoolState::Paused {
            return;
        }
        self.state = PoolState::Ready;
        // The server was just heard of: an earlier failure says nothing any more.
        self.fill = Fill::default();
        self.event(|address| CmapEvent::PoolReady(PoolReadyEvent { address }));
        self.grow(now);
    }

    /// Makes every connection stale because of `error` ("Clearing a Connection Pool").
    ///
    /// The pool is paused, waiters fail, idle and pending connections are closed; those in use are closed when they are
    /// checked in, or interrupted now with `interrupt_in_use`. Behind a load balancer, `service_id` must be given: only
    /// that service's connections become stale, the pool stays ready and waiters go on waiting. Without it a load balanced
    /// pool is left alone, and so is any other pool with it, as the specification forbids both.
    ///
    /// If the error is that establishing a connection failed, use [`Pool::handle_connect_failed_and_clear`].
    pub fn clear(
        &mut self,
        now: Instant,
        service_id: Option<ServiceId>,
        interrupt_in_use: bool,
        error: &Error,
    ) {
        self.clear_for(now, service_id, interrupt_in_use, error, None);
    }

    /// A pending connection failed in a way that also clears the pool: [`Pool::handle_connect_failed`] and [`Pool::clear`] in
    /// one, so that no other connection is tried in between and the failure is told to somebody as it is.
    pub fn handle_connect_failed_and_clear(&mut self, now: Instant, conn: PoolConnId, error: &Error) {
        if !self.is_pending(conn) {
            return;
        }
        let service = self.service_of(conn);
        if service.is_none() && self.options.load_balanced {
            // "Initial Handshake Errors": without a service there is nothing to clear.
            return self.handle_connect_failed(now, conn, error.clone());
        }
        self.clear_for(now, service, false, error, Some(conn));
    }

    fn clear_for(
        &mut self,
        now: Instant,
        service_id: Option<ServiceId>,
        interrupt_in_use: bool,
        error: &Error,
        failed: Option<PoolConnId>,
    ) {
        if self.state == PoolState::Closed || service_id.is_some() != self.options.load_balanced {
            return;
        }
        let was_ready = self.state == PoolState::Ready;
        match &service_id {
            Some(id) => self.services.bump(id),
            None => {
                self.generation = self.generation.wrapping_add(1);
                self.state = PoolState::Paused;
                self.paused_because = errors::cleared_message(&self.options.address, error);
            }
        }
        if was_ready {
            self.event(|address| {
                let interrupt_in_use_connections = interrupt_in_use;
                CmapEvent::PoolCleared(PoolClearedEvent { address, service_id, interrupt_in_use_connections })
            });
        }
        if let Some(conn) = failed {
            // Behind a load balancer, connections to other services may still come.
            self.fail_pending(now, conn, error.clone(), self.options.load_balanced);
        }
        self.interrupt_or_close_stale(interrupt_in_use);
        if self.state == PoolState::Paused {
            let because = self.paused_because.clone();
            while let Some(waiter) = self.waiters.pop_first() {
                let error = errors::cleared(&self.options.address, because.clone());
                self.fail_waiter(now, waiter, ConnectionCheckoutFailedReason::ConnectionError, error);
            }
        }
        self.grow(now);
    }

    /// Closes what is stale and nobody uses, interrupts (once) what is stale and in use if asked to.
    fn interrupt_or_close_stale(&mut self, interrupt_in_use: bool) {
        let stale = self.slots.select(|c| c.generation != self.generation_for(c.service));
        for conn in stale {
            match self.slots.get_mut(conn).map(|c| &mut c.state) {
                Some(State::InUse { interrupted, .. }) if interrupt_in_use && !*interrupted => {
                    *interrupted = true;
                    self.push(PoolOutput::Interrupt { conn });
                }
                Some(State::Idle { .. } | State::Pending) => {
                    self.close_conn(conn, ConnectionClosedReason::Stale)
                }
                _ => {}
            }
        }
    }

    /// Closes the pool for good ("Closing a Connection Pool"): connections nobody uses now, the others when they are
    /// checked in. Waiters fail.
    pub fn close(&mut self, now: Instant) {
        if self.state == PoolState::Closed {
            return;
        }
        self.state = PoolState::Closed;
        for conn in self.slots.select(|c| !matches!(c.state, State::InUse { .. })) {
            self.close_conn(conn, ConnectionClosedReason::PoolClosed);
        }
        self.event(|address| CmapEvent::PoolClosed(PoolClosedEvent { address }));
        while let Some(waiter) = self.waiters.pop_first() {
            let error = errors::closed(&self.options.address);
            self.fail_waiter(now, waiter, ConnectionCheckoutFailedReason::PoolClosed, error);
        }
    }

    /// Why nothing can be checked out now, if so.
    pub(super) fn turned_away(&self) -> Option<(ConnectionCheckoutFailedReason, Error)> {
        let address = &self.options.address;
        match self.state {
            PoolState::Ready => None,
            PoolState::Paused => Some((
                ConnectionCheckoutFailedReason::ConnectionError,
                errors::cleared(address, self.paused_because.clone()),
            )),
            PoolState::Closed => Some((ConnectionCheckoutFailedReason::PoolClosed, errors::closed(address))),
        }
    }

    /// Whether `min_pool_size` is not reached.
    pub(super) fn wants_fill(&self) -> bool {
        self.state == PoolState::Ready && self.slots.total() < self.options.min_pool_size
    }

    /// Whether there is room for one more connection.
    pub(super) fn may_connect(&self) -> bool {
        let max = self.options.max_pool_size;
        (max == 0 || self.slots.total() < max || mistaken!(self.options, PoolTooLarge))
            && self.slots.pending < self.options.max_connecting
    }

    pub(super) fn close_conn(&mut self, conn: PoolConnId, reason: ConnectionClosedReason) {
        let Some(removed) = self.slots.remove(conn) else { return };
        if let Some(id) = removed.service {
            self.services.leave(&id);
        }
        self.event(|address| {
            CmapEvent::ConnectionClosed(ConnectionClosedEvent { address, connection_id: conn.get(), reason })
        });
        self.push(PoolOutput::Close { conn, reason });
    }

    pub(super) fn push(&mut self, output: PoolOutput) {
        self.outputs.push_back(output);
    }

    pub(super) fn event(&mut self, event: impl FnOnce(ServerAddress) -> CmapEvent) {
        if self.options.events {
            let event = event(self.options.address.clone());
            self.outputs.push_back(PoolOutput::Event(event));
        }
    }

    /// Connections in use by cursors, transactions and other operations.
    fn purposes(&self) -> [usize; 3] {
        if !self.options.load_balanced {
            return [0; 3];
        }
        let in_use_for = |wanted| {
            let found: Vec<PoolConnId> =
                self.slots.select(|c| matches!(c.state, State::InUse { purpose, .. } if purpose == wanted));
            found.len()
        };
        [in_use_for(Purpose::Cursor), in_use_for(Purpose::Transaction), in_use_for(Purpose::Operation)]
    }

    /// Whether `token` waits.
    pub fn is_waiting(&self, token: OpToken) -> bool {
        self.waiters.contains(token)
    }
}
