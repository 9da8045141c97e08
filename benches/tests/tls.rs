//! Encryption costs what rustls costs: for the same bytes, the client's stream allocates exactly what rustls does when it is
//! fed by hand from the buffers that are there anyway, so nothing is copied on the way; and an operation over TLS takes those
//! allocations more than one without.
//!
//! One test, as the counting is the whole process's.

use futures::io::{AsyncRead, AsyncWrite};
use quorate_benches::load::Operation;
use quorate_benches::subject::Subject;
use quorate_harness::{Standalone, Tls};
use quorate_tokio::options::TlsOptions;
use quorate_tokio::tls::rustls::pki_types::pem::PemObject;
use quorate_tokio::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use quorate_tokio::tls::rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, crypto::ring,
};
use quorate_tokio::tls::{TlsConfig, TlsStream, handshake};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ROUNDS: usize = 50;

/// What a client allocated: how often, and how many bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Cost(usize, usize);

impl Cost {
    fn add(&mut self, region: &Region<'_, System>) {
        let change = region.change();
        self.0 += change.allocations + change.reallocations;
        self.1 += change.bytes_allocated;
    }
}

/// One end of a wire that holds whatever is put in, in room it has from the start.
#[derive(Clone)]
struct Wire {
    out: Rc<RefCell<VecDeque<u8>>>,
    back: Rc<RefCell<VecDeque<u8>>>,
}

impl Wire {
    fn pair() -> (Self, Self) {
        let [out, back] = [(); 2].map(|()| Rc::new(RefCell::new(VecDeque::with_capacity(4 << 20))));
        (Wire { out: out.clone(), back: back.clone() }, Wire { out: back, back: out })
    }
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.back.borrow_mut().read(buf) {
            Ok(0) if !buf.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        }
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.out.borrow_mut().extend(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        other => Poll::Ready(other),
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        or_pending(self.read(buf))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        or_pending(self.write(buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The other side, which answers every request of one size with a reply of one size.
struct Server {
    tls: ServerConnection,
    wire: Wire,
    scratch: Vec<u8>,
}

impl Server {
    fn pump(&mut self) {
        while self.tls.read_tls(&mut self.wire).is_ok() {
            self.tls.process_new_packets().unwrap();
            // What it holds unread is bounded.
            let mut sink = [0; 4096];
            while self.tls.reader().read(&mut sink).is_ok_and(|count| count > 0) {}
        }
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.wire).unwrap();
        }
    }

    fn reply(&mut self, size: usize) {
        self.pump();
        self.scratch.resize(size, 7);
        let mut sent = 0;
        while sent < size {
            sent += self.tls.writer().write(&self.scratch[sent..]).unwrap();
            self.pump();
        }
    }
}

/// rustls by hand.
struct Bare(ClientConnection, Wire);

impl Bare {
    fn send(&mut self, request: &[u8]) {
        let mut sent = 0;
        while sent < request.len() {
            sent += self.0.writer().write(&request[sent..]).unwrap();
            while self.0.wants_write() {
                self.0.write_tls(&mut self.1).unwrap();
            }
        }
    }

    fn receive(&mut self, reply: &mut [u8]) {
        let mut came = 0;
        while came < reply.len() {
            match self.0.reader().read(&mut reply[came..]) {
                Ok(count) => came += count,
                Err(_) => {
                    self.0.read_tls(&mut self.1).unwrap();
                    self.0.process_new_packets().unwrap();
                }
            }
        }
    }
}

fn ready<T>(poll: Poll<io::Result<T>>) -> T {
    match poll {
        Poll::Ready(result) => result.unwrap(),
        Poll::Pending => panic!("everything is there"),
    }
}

/// The client's stream.
struct Ours(TlsStream<Wire>);

impl Ours {
    fn send(&mut self, request: &[u8]) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut sent = 0;
        while sent < request.len() {
            sent += ready(Pin::new(&mut self.0).poll_write(cx, &request[sent..]));
        }
        ready(Pin::new(&mut self.0).poll_flush(cx));
    }

    fn receive(&mut self, reply: &mut [u8]) {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut came = 0;
        while came < reply.len() {
            came += ready(Pin::new(&mut self.0).poll_read(cx, &mut reply[came..]));
        }
    }
}

/// The cost of many exchanges of those sizes, once it is the same every time.
fn cost(
    server: &mut Server,
    sizes: (usize, usize),
    mut client: impl FnMut(Option<&[u8]>, &mut [u8]),
) -> Cost {
    let (request, mut reply) = (vec![1; sizes.0], vec![0; sizes.1]);
    let mut cost = Cost::default();
    for round in 0..2 * ROUNDS {
        let mut counted = Cost::default();
        let region = Region::new(GLOBAL);
        client(Some(&request), &mut []);
        counted.add(&region);
        server.reply(sizes.1);
        let region = Region::new(GLOBAL);
        client(None, &mut reply);
        counted.add(&region);
        if round >= ROUNDS {
            cost.0 += counted.0;
            cost.1 += counted.1;
        }
    }
    assert!(reply.iter().all(|byte| *byte == 7));
    cost
}

/// Certificates of the harness, and what both sides make of them.
fn configurations(server: &Standalone) -> (Arc<ClientConfig>, Arc<ServerConfig>, TlsConfig) {
    let files = server.certificates();
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(files.ca()).unwrap()).unwrap();
    let client = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let client = client.unwrap().with_root_certificates(roots).with_no_client_auth();
    let path = files.folder().join("server.pem");
    let chain = vec![CertificateDer::from_pem_file(&path).unwrap()];
    let key = PrivateKeyDer::from_pem_file(&path).unwrap();
    let server = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let server = server.unwrap().with_no_client_auth().with_single_cert(chain, key).unwrap();
    let options = TlsOptions::builder().ca_file_path(files.ca()).build();
    (Arc::new(client), Arc::new(server), TlsConfig::from_options(&options).unwrap())
}

/// What rustls by hand and the client's stream cost for the same exchanges.
fn beside_each_other(real: &Standalone, sizes: (usize, usize)) -> (Cost, Cost) {
    let (client, config, ours) = configurations(real);
    let server = |wire| {
        let tls = ServerConnection::new(config.clone()).unwrap();
        Server { tls, wire, scratch: Vec::with_capacity(4 << 20) }
    };
    let (near, far) = Wire::pair();
    let mut there = server(far);
    let name = ServerName::try_from("localhost").unwrap();
    let mut bare = Bare(ClientConnection::new(client, name).unwrap(), near);
    while bare.0.is_handshaking() {
        while bare.0.wants_write() {
            bare.0.write_tls(&mut bare.1).unwrap();
        }
        there.pump();
        if bare.0.read_tls(&mut bare.1).is_ok() {
            bare.0.process_new_packets().unwrap();
        }
    }
    let by_hand = cost(&mut there, sizes, |request, reply| match request {
        Some(request) => bare.send(request),
        None => bare.receive(reply),
    });
    let (near, far) = Wire::pair();
    let mut there = server(far);
    let mut shaking = Box::pin(handshake(&ours, "localhost", near));
    let mut ours = loop {
        match shaking.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(stream) => break Ours(stream.unwrap()),
            Poll::Pending => there.pump(),
        }
    };
    let by_us = cost(&mut there, sizes, |request, reply| match request {
        Some(request) => ours.send(request),
        None => ours.receive(reply),
    });
    (by_hand, by_us)
}

/// Allocations of a ping to a real server.
fn of_a_ping(server: &Standalone) -> f64 {
    const PINGS: usize = 1000;
    let region = RefCell::new(Region::new(GLOBAL));
    let start = || *region.borrow_mut() = Region::new(GLOBAL);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Subject::Tokio.sequence(&server.uri(), Operation::Ping, 2 * PINGS, start)).unwrap();
    let change = region.borrow().change();
    (change.allocations + change.reallocations) as f64 / PINGS as f64
}

#[test]
fn encryption_costs_what_rustls_costs() {
    let encrypted = Standalone::builder().tls(Tls::required()).start().unwrap();
    for sizes in [(100, 100), (400, 20_000), (20_000, 400), (300_000, 300_000)] {
        let (by_hand, by_us) = beside_each_other(&encrypted, sizes);
        println!("{sizes:?}: {by_hand:?} by hand, {by_us:?} by us, in {ROUNDS} round trips");
        assert!(by_us.0 <= by_hand.0 && by_us.1 <= by_hand.1, "{sizes:?}: {by_us:?} over {by_hand:?}");
    }
    let plain = Standalone::start().unwrap();
    let (with, without) = (of_a_ping(&encrypted), of_a_ping(&plain));
    let rustls = beside_each_other(&encrypted, (100, 100)).0.0 as f64 / ROUNDS as f64;
    println!("a ping: {with} allocations with TLS, {without} without; rustls takes {rustls}");
    // A heartbeat may fall into either.
    assert!(with <= without + rustls + 0.5, "{with} over {without} and {rustls}");
}
