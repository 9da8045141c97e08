//! Every fault of the proxy, seen from both ends of a connection through it.

use quorate_harness::{Accept, Direction, Flow, Proxy, Shape};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const SHORT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(5);

struct Pair {
    proxy: Proxy,
    listener: TcpListener,
}

impl Pair {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Proxy::start(&listener.local_addr().unwrap().to_string()).unwrap();
        Pair { proxy, listener }
    }

    fn dial(&self) -> TcpStream {
        let client = TcpStream::connect(self.proxy.address()).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client
    }

    /// A connection through the proxy, seen from its client and from its server.
    fn connect(&self) -> (TcpStream, TcpStream) {
        let client = self.dial();
        let (server, _) = self.listener.accept().unwrap();
        server.set_read_timeout(Some(LONG)).unwrap();
        (client, server)
    }
}

fn say(mut to: &TcpStream, text: &str) {
    to.write_all(text.as_bytes()).unwrap();
}

fn hear(mut from: &TcpStream, length: usize) -> String {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[track_caller]
fn silent(mut from: &TcpStream) {
    from.set_read_timeout(Some(SHORT)).unwrap();
    let error = from.read(&mut [0]).expect_err("nothing comes and nothing ends");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    from.set_read_timeout(Some(LONG)).unwrap();
}

#[track_caller]
fn ends(mut from: &TcpStream) {
    assert_eq!(from.read(&mut [0]).expect("an end in order"), 0);
}

#[track_caller]
fn is_reset(mut from: &TcpStream) {
    assert_eq!(from.read(&mut [0]).expect_err("a reset").kind(), ErrorKind::ConnectionReset);
}

#[test]
fn it_forwards_counts_and_passes_on_ends() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    say(&client, "hello");
    assert_eq!(hear(&server, 5), "hello");
    say(&server, "hi");
    assert_eq!(hear(&client, 2), "hi");
    let counts = pair.proxy.counts();
    assert_eq!((counts.connections, counts.open, counts.to_server, counts.to_client), (1, 1, 5, 2));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    ends(&server);
    say(&server, "bye");
    assert_eq!(hear(&client, 3), "bye");
    drop(server);
    ends(&client);
    let begin = Instant::now();
    while pair.proxy.counts().open > 0 {
        assert!(begin.elapsed() < LONG, "the connection is never forgotten");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_stall_holds_everything_back_and_loses_nothing() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.stall();
    say(&client, "question");
    say(&server, "answer");
    drop(server);
    silent(&client);
    // A connection made meanwhile is accepted and hears nothing.
    let late = pair.dial();
    say(&late, "late");
    silent(&late);
    pair.proxy.heal();
    assert_eq!(hear(&client, 6), "answer");
    // The server's end, or its reset for the question it never read.
    assert!(matches!((&client).read(&mut [0]), Ok(0) | Err(_)));
    let (server, _) = pair.listener.accept().unwrap();
    assert_eq!(hear(&server, 4), "late");
}

#[test]
fn a_stall_in_one_direction_leaves_the_other() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.set(Direction::ToClient, Shape { flow: Flow::Stall, ..Shape::default() });
    say(&client, "question");
    assert_eq!(hear(&server, 8), "question");
    say(&server, "answer");
    silent(&client);
    pair.proxy.heal();
    assert_eq!(hear(&client, 6), "answer");
}

#[test]
fn what_is_dropped_is_gone() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.drop_silently();
    say(&client, "lost");
    silent(&server);
    pair.proxy.heal();
    say(&client, "found");
    assert_eq!(hear(&server, 5), "found");
}

#[test]
fn a_delay_adds_latency_without_losing_throughput() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.delay(Duration::from_millis(100));
    let begin = Instant::now();
    // Twenty pieces, each read apart by the proxy: a delay that held the line would take two seconds.
    for _ in 0..20 {
        say(&client, "x");
        std::thread::sleep(Duration::from_millis(5));
    }
    hear(&server, 20);
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(195), "only {took:?}");
    assert!(took < Duration::from_millis(1500), "{took:?}");
    say(&server, "y");
    let begin = Instant::now();
    hear(&client, 1);
    assert!(begin.elapsed() >= Duration::from_millis(95), "{:?}", begin.elapsed());
}

#[test]
fn split_bytes_come_one_by_one() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.split(Duration::from_millis(20));
    say(&client, "abcdefgh");
    let mut reads = 0;
    let mut text = Vec::new();
    while text.len() < 8 {
        let mut some = [0; 8];
        let n = (&server).read(&mut some).unwrap();
        text.extend_from_slice(&some[..n]);
        reads += 1;
    }
    assert_eq!(text, b"abcdefgh");
    assert!(reads >= 4, "{reads} reads");
}

#[test]
fn cuts_end_and_resets_reset() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.cut();
    ends(&client);
    ends(&server);

    let (client, server) = pair.connect();
    pair.proxy.reset();
    is_reset(&client);
    is_reset(&server);

    let (client, server) = pair.connect();
    pair.proxy.reset_half(Direction::ToClient);
    is_reset(&client);
    ends(&server);

    let (client, server) = pair.connect();
    pair.proxy.cut_half(Direction::ToClient);
    ends(&client);
    say(&client, "still there");
    assert_eq!(hear(&server, 11), "still there");
}

#[test]
fn a_stalled_connection_can_be_cut_and_reset() {
    let pair = Pair::new();
    let (client, server) = pair.connect();
    pair.proxy.stall();
    // More than all buffers hold, so that the proxy's writer stands still too.
    client.set_nonblocking(true).unwrap();
    while (&client).write(&[7; 65536]).is_ok() {}
    client.set_nonblocking(false).unwrap();
    pair.proxy.reset();
    is_reset(&client);
    is_reset(&server);
}

#[test]
fn accepting_has_five_ways() {
    let pair = Pair::new();
    let address = pair.proxy.address().parse().unwrap();

    pair.proxy.set_accept(Accept::Refuse);
    let refused = TcpStream::connect_timeout(&address, LONG).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);

    pair.proxy.set_accept(Accept::Silent);
    let client = pair.dial();
    say(&client, "anybody?");
    silent(&client);

    pair.proxy.set_accept(Accept::Close);
    ends(&pair.dial());

    pair.proxy.set_accept(Accept::BlackHole);
    let gone = TcpStream::connect_timeout(&address, Duration::from_millis(300)).expect_err("no answer");
    assert_eq!(gone.kind(), ErrorKind::TimedOut);

    assert_eq!(pair.proxy.counts().connections, 0);
    pair.proxy.set_accept(Accept::Forward);
    let (client, server) = pair.connect();
    say(&client, "back");
    assert_eq!(hear(&server, 4), "back");
}

#[test]
fn a_server_that_cannot_be_reached_resets_the_client() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let proxy = Proxy::start(&nobody).unwrap();
    let client = TcpStream::connect(proxy.address()).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    is_reset(&client);
}

#[test]
fn a_dropped_proxy_is_gone() {
    let pair = Pair::new();
    let (client, _server) = pair.connect();
    let address = pair.proxy.address();
    drop(pair);
    ends(&client);
    let begin = Instant::now();
    while TcpStream::connect(&address).is_ok() {
        assert!(begin.elapsed() < LONG, "the port stays open");
    }
}
