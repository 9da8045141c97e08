//! The loop around the core: one [`Driver`] behind one short-held lock, and the sockets it decides about.
//!
//! Nothing is decided here. [`Host::act`] does what the driver's outputs say; a task a connection opens sockets and carries
//! monitors' messages ([`background`]); operations drive the socket they were given from the calling task ([`socket`]).
//!
//! Locking: the state's mutex is the only lock around the driver, is never held across an await, and nothing that belongs to
//! somebody else (wakers, event handlers, sockets' destructors) runs while it is held.

mod background;
mod control;
mod ids;
mod login;
mod sink;
mod socket;

pub(crate) use login::Keychain;
pub(crate) use sink::EventSink;
pub(crate) use socket::{Exchange, Socket};

use crate::runtime::Runtime;
use crate::tls::TlsConfig;
use control::Control;
use ids::IdMap;
use quorate_core::connection::HandshakeOptions;
use quorate_core::driver::{ConnectionId, Driver, Output, Role, Ticket};
use quorate_core::event::Event;
use quorate_core::sdam::TopologyDescription;
use quorate_core::{Duration, Instant, ServerAddress};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// What every task of one client shares.
pub(crate) struct Host<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) settings: Settings,
    pub(crate) events: EventSink,
    state: Mutex<State<R>>,
    timer: background::Timer,
    /// The last request's id. One count for all connections: command events are told apart by it (command logging and
    /// monitoring specification, "requestId").
    last_request: AtomicU32,
}

/// What connections need to know.
pub(crate) struct Settings {
    pub(crate) handshake: HandshakeOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) socket_timeout: Option<Duration>,
    pub(crate) tls: Option<TlsConfig>,
    /// Who logs in on the pools' connections.
    pub(crate) keychain: Option<Keychain>,
}

/// What is behind the lock.
pub(crate) struct State<R: Runtime> {
    pub(crate) driver: Driver,
    /// Sockets nobody uses: idle in their pools, or just given back.
    parked: IdMap<ConnectionId, Box<Socket<R>>>,
    /// A way to reach whoever drives a connection, for every connection there is.
    controls: IdMap<ConnectionId, Arc<Control>>,
    /// Who waits under which ticket.
    wakers: IdMap<Ticket, Waker>,
}

/// What is to be done once the lock is free.
struct After<R: Runtime> {
    closed: Vec<Box<Socket<R>>>,
    woken: Vec<Waker>,
    stopped: Vec<Arc<Control>>,
    opened: Vec<(ConnectionId, ServerAddress, Arc<Control>)>,
    events: Vec<Event>,
}

impl<R: Runtime> Host<R> {
    /// A host whose driver has just been made; starts its background task.
    pub(crate) fn start(runtime: R, settings: Settings, events: EventSink, driver: Driver) -> Arc<Self> {
        let state =
            State { driver, parked: IdMap::default(), controls: IdMap::default(), wakers: IdMap::default() };
        let host = Arc::new(Host {
            runtime,
            settings,
            events,
            state: Mutex::new(state),
            timer: Default::default(),
            last_request: AtomicU32::new(1),
        });
        host.runtime.spawn(background::keep_time(host.clone()));
        host.act(host.lock());
        host
    }

    pub(crate) fn now(&self) -> Instant {
        self.runtime.now()
    }

    /// The id of the next request: positive, and not used again for two thousand million requests.
    pub(crate) fn next_request_id(&self) -> i32 {
        let count = self.last_request.fetch_add(1, Ordering::Relaxed) & 0x7fff_ffff;
        i32::try_from(count).unwrap_or_default().max(1)
    }

    /// The state. A panic elsewhere cannot have left it half changed: the core does not panic, and nothing else runs
    /// under the lock.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State<R>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The deployment as last seen.
    pub(crate) fn topology(&self) -> Arc<TopologyDescription> {
        self.lock().driver.topology().clone()
    }

    /// Ends everything that goes on by itself.
    pub(crate) fn shutdown(self: &Arc<Self>) {
        let mut state = self.lock();
        state.driver.shutdown(self.now());
        self.act(state);
        self.timer.stop();
    }

    /// Does what the driver says, and lets go of the lock. To be called after everything the driver was told.
    pub(crate) fn act(self: &Arc<Self>, mut state: MutexGuard<'_, State<R>>) {
        if !state.driver.has_output() {
            let deadline = state.driver.poll_timeout();
            drop(state);
            return self.timer.arm(deadline);
        }
        let mut after = After {
            closed: Vec::new(),
            woken: Vec::new(),
            stopped: Vec::new(),
            opened: Vec::new(),
            events: Vec::new(),
        };
        while let Some(output) = state.driver.poll_output() {
            state.note(output, &mut after);
        }
        let deadline = state.driver.poll_timeout();
        // Queued under the lock, so that the order of events is the order in which the driver gave them.
        let deliver = self.events.queue(after.events);
        drop(state);
        self.timer.arm(deadline);
        drop(after.closed);
        after.stopped.iter().for_each(|control| control.stop());
        after.woken.into_iter().for_each(Waker::wake);
        for (connection, address, control) in after.opened {
            self.runtime.spawn(background::serve(self.clone(), connection, address, control));
        }
        if deliver {
            self.events.deliver();
        }
    }
}

impl<R: Runtime> State<R> {
    fn note(&mut self, output: Output, after: &mut After<R>) {
        match output {
            Output::Connect { connection, address } => {
                let control = Arc::new(Control::default());
                self.controls.insert(connection, control.clone());
                after.opened.push((connection, address, control));
            }
            Output::Send { connection, request } => {
                if let Some(control) = self.controls.get(&connection) {
                    after.woken.extend(control.send(request));
                }
            }
            Output::Close { connection } => {
                after.closed.extend(self.parked.remove(&connection));
                after.stopped.extend(self.controls.remove(&connection));
            }
            Output::Interrupt { connection } => {
                after.stopped.extend(self.controls.get(&connection).cloned());
            }
            Output::Wake { ticket } => after.woken.extend(self.wakers.remove(&ticket)),
            Output::Event(event) => after.events.push(event),
        }
    }

    /// Whether the driver still counts on a connection.
    fn is_wanted(&self, connection: ConnectionId) -> bool {
        self.controls.get(&connection).is_some()
    }

    /// The socket of a connection the driver has just handed out.
    pub(crate) fn unpark(&mut self, connection: ConnectionId) -> Option<Box<Socket<R>>> {
        self.parked.remove(&connection)
    }

    /// Puts a socket where the driver can hand it out, or close it.
    pub(crate) fn park(&mut self, connection: ConnectionId, socket: Box<Socket<R>>) {
        debug_assert!(matches!(connection.role, Role::Pool(_)), "monitors keep their sockets");
        self.parked.insert(connection, socket);
    }

    /// Says whom to wake when the ticket's wait is over.
    pub(crate) fn wait(&mut self, ticket: Ticket, waker: &Waker) {
        self.wakers.insert(ticket, waker.clone());
    }

    pub(crate) fn stop_waiting(&mut self, ticket: Ticket) {
        self.wakers.remove(&ticket);
    }
}
