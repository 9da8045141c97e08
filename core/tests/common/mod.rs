//! A small world in virtual time: scripted servers that speak real wire bytes, and an [`Engine`] that talks to them.
//!
//! Every byte takes [`LATENCY`]; nothing else takes time. The same test always runs the same way.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

mod server;

pub use server::{Answer, Mode, Server};

use bson::Document;
use quorate_core::driver::{ConnectionId, DriverOptions, Operation, Role};
use quorate_core::engine::{Engine, EngineOptions, EngineOutput, OperationId};
use quorate_core::error::IoErrorKind;
use quorate_core::event::Event;
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::{OwnedMessage, Request};
use quorate_core::{Duration, Error, Instant, ServerAddress};
use std::collections::BTreeMap;

/// How long anything takes from the client to a server, or back.
pub const LATENCY: Duration = Duration::from_micros(500);

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

pub fn address(name: &str) -> ServerAddress {
    ServerAddress::tcp(name, 27017)
}

/// What is on its way.
#[derive(Debug)]
pub enum Arrival {
    Opened(ConnectionId),
    Failed(ConnectionId, IoErrorKind),
    Closed(ConnectionId),
    ToClient(ConnectionId, Vec<u8>),
    ToServer(ConnectionId, Vec<u8>),
    /// A server looks at its held hellos.
    Tick(ServerAddress),
}

/// A command as a server received it.
#[derive(Clone, Debug)]
pub struct Received {
    pub at: Instant,
    pub server: ServerAddress,
    pub connection: ConnectionId,
    pub command: Document,
}

impl Received {
    pub fn name(&self) -> &str {
        self.command.keys().next().map_or("", String::as_str)
    }
}

pub struct World {
    pub engine: Engine,
    pub now: Instant,
    pub servers: BTreeMap<ServerAddress, Server>,
    /// Open connections and where they lead.
    pub sockets: BTreeMap<ConnectionId, ServerAddress>,
    pub done: BTreeMap<OperationId, (Instant, Result<Option<OwnedMessage>, Error>)>,
    /// Commands of operations, in order.
    pub received: Vec<Received>,
    pub events: Vec<Event>,
    pub opened: usize,
    pub closed: usize,
    arrivals: BTreeMap<(Instant, u64), Arrival>,
    sequence: u64,
    idle_turns: u32,
}

impl World {
    /// A replica set of `names`, the first being its primary; the client knows the first of `seeds` only.
    pub fn replica_set(names: &[&str]) -> Self {
        Self::with_options(names, DriverOptions::new(vec![address(names[0])]))
    }

    pub fn with_options(names: &[&str], options: DriverOptions) -> Self {
        Self::with_engine(names, EngineOptions::new(options), 42)
    }

    pub fn with_engine(names: &[&str], options: EngineOptions, seed: u64) -> Self {
        let hosts: Vec<String> = names.iter().map(|name| address(name).to_string()).collect();
        let servers = names.iter().enumerate().map(|(i, name)| {
            let mut server = Server::new(&hosts[i], &hosts);
            if i == 0 {
                server.become_primary(1);
            }
            (address(name), server)
        });
        let servers = servers.collect();
        World {
            engine: Engine::new(Instant::ZERO, options, seed),
            now: Instant::ZERO,
            servers,
            sockets: BTreeMap::new(),
            done: BTreeMap::new(),
            received: Vec::new(),
            events: Vec::new(),
            opened: 0,
            closed: 0,
            arrivals: BTreeMap::new(),
            sequence: 0,
            idle_turns: 0,
        }
    }

    /// Changes a server; held hellos are answered if it says something else now.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Server)) {
        let address = address(name);
        change(self.servers.get_mut(&address).unwrap());
        self.later(Duration::ZERO, Arrival::Tick(address));
    }

    /// Closes all of a server's connections.
    pub fn reset(&mut self, name: &str) {
        let target = address(name);
        let all: Vec<_> = self.sockets.iter().filter(|(_, to)| **to == target).map(|(id, _)| *id).collect();
        self.servers.get_mut(&target).unwrap().forget_held();
        all.into_iter().for_each(|id| self.later(LATENCY, Arrival::Closed(id)));
    }

    pub fn start(&mut self, operation: Operation, command: Document) -> OperationId {
        let mut request = Request::new();
        let bytes = bson::serialize_to_vec(&command).unwrap();
        let fields = quorate_core::raw::RawDoc::new(&bytes).unwrap();
        request.body().extend(fields).suspend();
        self.engine.start(self.now, operation, request)
    }

    /// A retryable insert.
    pub fn insert(&mut self) -> OperationId {
        self.start(write(), bson::doc! {"insert": "c", "documents": [{"_id": 1}], "$db": "test"})
    }

    /// A retryable find on the primary.
    pub fn find(&mut self) -> OperationId {
        let find = Operation::new(SelectionCriteria::Writable, Retry::Read);
        self.start(find, bson::doc! {"find": "c", "$db": "test"})
    }

    /// Runs until `holds`, for at most `limit`.
    #[track_caller]
    pub fn run_until(&mut self, limit: Duration, mut holds: impl FnMut(&World) -> bool) {
        let end = self.now + limit;
        self.drain();
        while !holds(self) {
            assert!(self.turn(end), "not within {limit:?}; now {:?}, received {:?}", self.now, self.received);
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let end = self.now + time;
        self.drain();
        while self.turn(end) {}
        self.now = end;
    }

    /// Runs until the operation is over.
    #[track_caller]
    pub fn finish(&mut self, id: OperationId, limit: Duration) -> Result<Option<OwnedMessage>, Error> {
        self.run_until(limit, |world| world.done.contains_key(&id));
        self.done[&id].1.clone()
    }

    /// Commands of that name, as servers received them.
    pub fn commands(&self, name: &str) -> Vec<Received> {
        self.received.iter().filter(|received| received.name() == name).cloned().collect()
    }

    /// Connections of pools.
    pub fn pool_sockets(&self, name: &str) -> Vec<ConnectionId> {
        let target = address(name);
        let of_pool = |id: &ConnectionId| matches!(id.role, Role::Pool(_));
        self.sockets.iter().filter(|(id, to)| **to == target && of_pool(id)).map(|(id, _)| *id).collect()
    }

    /// Everything known, nobody busy: nothing happens for a second but hellos.
    pub fn settle(&mut self) {
        self.run_for(millis(1000));
    }

    pub fn later(&mut self, delay: Duration, arrival: Arrival) {
        self.sequence += 1;
        self.arrivals.insert((self.now + delay, self.sequence), arrival);
    }

    /// Lets the next thing happen, if one does by `end`.
    pub fn turn(&mut self, end: Instant) -> bool {
        let arrival = self.arrivals.keys().next().map(|(at, _)| *at);
        let deadline = self.engine.poll_timeout();
        let Some(next) = [arrival, deadline].into_iter().flatten().min().filter(|at| *at <= end) else {
            return false;
        };
        assert!(deadline.is_none_or(|at| at >= self.now) || next <= self.now);
        self.idle_turns = if next > self.now { 0 } else { self.idle_turns + 1 };
        assert!(self.idle_turns < 20_000, "time does not go on at {:?}", self.now);
        self.now = self.now.max(next);
        if let Some(entry) = self.arrivals.first_entry()
            && entry.key().0 <= self.now
        {
            let arrival = entry.remove();
            self.arrive(arrival);
        }
        if deadline.is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
            let again = self.engine.poll_timeout();
            assert!(again.is_none_or(|at| at > self.now), "{again:?} again at {:?}", self.now);
        }
        self.drain();
        true
    }

    fn arrive(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Opened(id) if self.sockets.contains_key(&id) => self.engine.handle_opened(self.now, id),
            Arrival::Failed(id, kind) if self.sockets.contains_key(&id) => {
                self.engine.handle_failed(self.now, id, Error::io(kind, "refused"));
            }
            Arrival::Closed(id) if self.sockets.contains_key(&id) => self.engine.handle_closed(self.now, id),
            Arrival::ToClient(id, bytes) => self.engine.handle_bytes(self.now, id, &bytes),
            Arrival::ToServer(id, bytes) => {
                let Some(to) = self.sockets.get(&id).cloned() else { return };
                let now = self.now;
                let heard = self.servers.get_mut(&to).unwrap().hear(now, id, &bytes);
                self.received.extend(heard.into_iter().map(|command| Received {
                    at: now,
                    server: to.clone(),
                    connection: id,
                    command,
                }));
                self.speak(&to);
            }
            Arrival::Tick(to) => {
                let now = self.now;
                self.servers.get_mut(&to).unwrap().tick(now);
                self.speak(&to);
            }
            Arrival::Opened(_) | Arrival::Failed(..) | Arrival::Closed(_) => {}
        }
    }

    fn speak(&mut self, from: &ServerAddress) {
        let server = self.servers.get_mut(from).unwrap();
        let said = core::mem::take(&mut server.said);
        let (wake, delay) = (server.next_tick(), LATENCY + server.lag);
        for (id, bytes) in said {
            match bytes {
                Some(bytes) => self.later(delay, Arrival::ToClient(id, bytes)),
                None => self.later(delay, Arrival::Closed(id)),
            }
        }
        if let Some(wake) = wake {
            self.later(wake - self.now, Arrival::Tick(from.clone()));
        }
    }

    pub fn drain(&mut self) {
        let mut todo = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                EngineOutput::Open { connection, address } => {
                    assert!(self.sockets.insert(connection, address.clone()).is_none());
                    self.opened += 1;
                    match self.servers.get(&address).map_or(Mode::Refuse, |server| server.mode) {
                        Mode::Up | Mode::Hang => todo.push((LATENCY * 2, Arrival::Opened(connection))),
                        Mode::Refuse => {
                            todo.push((LATENCY * 2, Arrival::Failed(connection, IoErrorKind::Connect)));
                        }
                        Mode::Reset => {
                            todo.push((LATENCY * 2, Arrival::Opened(connection)));
                            todo.push((LATENCY * 4, Arrival::Closed(connection)));
                        }
                        Mode::Vanish => {}
                    }
                }
                EngineOutput::Transmit { connection, bytes } => {
                    assert!(self.sockets.contains_key(&connection), "bytes for a closed {connection:?}");
                    todo.push((LATENCY, Arrival::ToServer(connection, bytes.into_owned())));
                }
                EngineOutput::Work { work, .. } => panic!("nobody logs in: {work:?}"),
                EngineOutput::Close { connection } => {
                    let server = self.sockets.remove(&connection).expect("closed once");
                    self.closed += 1;
                    if let Some(server) = self.servers.get_mut(&server) {
                        server.hang_up(connection);
                    }
                }
                EngineOutput::Done { operation, result, session, .. } => {
                    assert!(session.is_none());
                    assert!(self.done.insert(operation, (self.now, result)).is_none(), "done once");
                }
                EngineOutput::Event(event) => self.events.push(event),
            }
        }
        todo.into_iter().for_each(|(delay, arrival)| self.later(delay, arrival));
    }

    /// Operations and connections the driver counts on that server.
    pub fn load(&self, name: &str) -> (u32, quorate_core::pool::PoolCounts) {
        let driver = self.engine.driver();
        let address = address(name);
        (driver.operation_count(&address).unwrap(), driver.pool_counts(&address).unwrap())
    }
}

/// A retryable write.
pub fn write() -> Operation {
    Operation::new(SelectionCriteria::Writable, Retry::Write)
}
