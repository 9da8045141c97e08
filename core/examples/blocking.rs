//! A whole driver on one thread and `std::net` alone: connects to a deployment, inserts a document, finds it again.
//!
//! ```text
//! cargo run -p quorate-core --example blocking -- 127.0.0.1:27017,127.0.0.1:27018 rs0
//! ```
//!
//! The numbers are those of the loop in `quorate_core::engine`.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a host has the clock and the sockets"
)]

use quorate_core::driver::{ConnectionId, DriverOptions, Operation};
use quorate_core::engine::{Engine, EngineOptions, EngineOutput, OperationId};
use quorate_core::error::IoErrorKind;
use quorate_core::handshake::{ClientMetadata, HostInfo};
use quorate_core::raw::RawDoc;
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use quorate_core::wire::{OwnedMessage, Request};
use quorate_core::{Error, Instant, ServerAddress};
use std::collections::{BTreeMap, hash_map::RandomState};
use std::hash::{BuildHasher, Hasher};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The sockets and the clock: all that the engine does not have.
struct Host {
    engine: Engine,
    started: std::time::Instant,
    /// Each with what is still to be written.
    sockets: BTreeMap<ConnectionId, (TcpStream, Vec<u8>)>,
}

impl Host {
    fn now(&self) -> Instant {
        Instant::ZERO + self.started.elapsed()
    }

    /// Begins an operation and runs the loop until it is over.
    fn run(&mut self, retry: Retry, command: impl FnOnce(&mut Request)) -> Result<OwnedMessage, Error> {
        let mut request = Request::new();
        command(&mut request);
        // 5. Begin what is new.
        let operation = Operation::new(SelectionCriteria::Writable, retry);
        let id = self.engine.start(self.now(), operation, request);
        loop {
            // 1. Do what it says.
            if let Some(reply) = self.obey(id) {
                return reply;
            }
            // 2. Wait: this host simply looks at all of its few sockets, a thousand times a second.
            let now = self.now();
            let due = self.engine.poll_timeout().map_or(Duration::MAX, |deadline| deadline - now);
            // 3. Tell what happened.
            if !self.read_all() {
                std::thread::sleep(due.min(Duration::from_millis(1)));
            }
            // 4. Do what is due.
            self.engine.handle_timeout(self.now());
        }
    }

    fn obey(&mut self, id: OperationId) -> Option<Result<OwnedMessage, Error>> {
        let mut opened = Vec::new();
        while let Some(output) = self.engine.poll_output() {
            match output {
                EngineOutput::Open { connection, address } => opened.push((connection, open(&address))),
                EngineOutput::Transmit { connection, bytes } => {
                    if let Some((_, unsent)) = self.sockets.get_mut(&connection) {
                        unsent.extend_from_slice(&bytes);
                    }
                }
                EngineOutput::Close { connection } => drop(self.sockets.remove(&connection)),
                EngineOutput::Done { operation, result, .. } if operation == id => {
                    return Some(result.map(|reply| reply.expect("acknowledged")));
                }
                _ => {}
            }
        }
        for (connection, stream) in opened {
            match stream {
                Ok(stream) => {
                    self.sockets.insert(connection, (stream, Vec::new()));
                    self.engine.handle_opened(self.now(), connection);
                }
                Err(error) => self.fail(connection, IoErrorKind::Connect, &error),
            }
        }
        None
    }

    /// Writes and reads what can be; true if anything came.
    fn read_all(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        let mut came = false;
        let connections: Vec<ConnectionId> = self.sockets.keys().copied().collect();
        for connection in connections {
            let Some((stream, unsent)) = self.sockets.get_mut(&connection) else { continue };
            match write_and_read(stream, unsent, &mut buffer) {
                Ok(0) => self.engine.handle_closed(self.now(), connection),
                Ok(count) => self.engine.handle_bytes(self.now(), connection, &buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => self.fail(connection, IoErrorKind::Reset, &error),
            }
            came = true;
        }
        came
    }

    fn fail(&mut self, connection: ConnectionId, kind: IoErrorKind, error: &std::io::Error) {
        // Whatever else was on its way there is of no use.
        self.sockets.remove(&connection);
        self.engine.handle_failed(self.now(), connection, Error::io(kind, error.to_string()));
    }
}

/// Connecting blocks here: it is the one thing `std::net` cannot do otherwise.
fn open(address: &ServerAddress) -> std::io::Result<TcpStream> {
    let mut last = ErrorKind::NotFound.into();
    for address in (address.host(), address.port().unwrap_or(27017)).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn write_and_read(stream: &mut TcpStream, unsent: &mut Vec<u8>, buffer: &mut [u8]) -> std::io::Result<usize> {
    while !unsent.is_empty() {
        match stream.write(unsent) {
            Ok(count) => drop(unsent.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    stream.read(buffer)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let seeds = arguments.next().unwrap_or_else(|| "127.0.0.1:27017".into());
    let seeds: Option<Vec<_>> = seeds.split(',').map(ServerAddress::parse).collect();
    let mut driver =
        DriverOptions::new(seeds.ok_or("usage: blocking HOST:PORT[,HOST:PORT...] [REPLICA SET]")?);
    driver.replica_set = arguments.next();
    let mut options = EngineOptions::new(driver);
    let metadata = ClientMetadata::new(None, env!("CARGO_PKG_VERSION"), HostInfo::default());
    options.handshake.metadata = metadata.to_bson().into();
    let chance = RandomState::new().build_hasher().finish();
    let engine = Engine::new(Instant::ZERO, options, chance);
    let mut host = Host { engine, started: std::time::Instant::now(), sockets: BTreeMap::new() };

    let id = chance as i64;
    host.run(Retry::Write, |request| {
        request.sequence("documents").push_with(|doc| doc.i64("_id", id).str("said", "hello"));
        request.body().str("insert", "blocking").str("$db", "quorate").suspend();
    })?;
    println!(
        "{}: inserted after {:?}",
        host.engine.topology().topology_type.as_str(),
        host.started.elapsed()
    );
    let found = host.run(Retry::Read, |request| {
        let body = request.body().str("find", "blocking").str("$db", "quorate").bool("singleBatch", true);
        body.doc("filter", |filter| filter.i64("_id", id)).suspend();
    })?;
    println!("found {:?}", first_document(&found).ok_or("nothing")?);
    host.engine.shutdown(host.now());
    Ok(())
}

/// The first document of a cursor's first batch.
fn first_document(reply: &OwnedMessage) -> Option<RawDoc<'_>> {
    let cursor = reply.body().get("cursor").ok()??.as_document()?;
    cursor.get("firstBatch").ok()??.as_array()?.get("0").ok()??.as_document()
}
