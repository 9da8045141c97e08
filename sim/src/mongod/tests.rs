//! The server through its bytes, in virtual time.

use super::{Mongod, MongodSettings, User};
use crate::node::{ConnId, Node, NodeOutput};
use bson::{Binary, Document, doc, spec::BinarySubtype};
use quorate_core::wire::{self, Flags, encode_op_msg};
use quorate_core::{Duration, Instant, ServerAddress, raw::RawDoc};
use std::collections::BTreeMap;

/// Flags, `responseTo`, `requestID`, body; `None` is a closed connection.
type Received = Option<(Flags, i32, i32, Document)>;

/// One server and its clients.
struct Bench {
    server: Mongod,
    now: Instant,
    /// What came back, by connection.
    received: BTreeMap<ConnId, Vec<Received>>,
    next: u64,
}

impl Bench {
    fn new(settings: MongodSettings) -> Bench {
        let mut server = Mongod::standalone(settings);
        server.handle_start(Instant::ZERO);
        Bench { server, now: Instant::ZERO, received: BTreeMap::new(), next: 1 }
    }

    fn alone() -> Bench {
        Bench::new(settings())
    }

    fn open(&mut self) -> ConnId {
        let conn = ConnId(self.next);
        self.next += 1;
        self.server.handle_open(self.now, conn);
        self.received.insert(conn, Vec::new());
        conn
    }

    fn drain(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                NodeOutput::Send { conn, bytes } => {
                    let message = wire::decode(&bytes).unwrap();
                    let body = Document::from_reader(message.body.as_bytes()).unwrap();
                    let header = message.header;
                    let got = (message.flags, header.response_to, header.request_id, body);
                    self.received.get_mut(&conn).unwrap().push(Some(got));
                }
                NodeOutput::Close(conn) => self.received.get_mut(&conn).unwrap().push(None),
                NodeOutput::Message { .. } | NodeOutput::Exit | NodeOutput::Note(_) => {}
            }
        }
    }

    /// Lets time pass, timer by timer.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.drain();
        while let Some(at) = self.server.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.server.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    fn send(&mut self, conn: ConnId, body: &Document, flags: Flags) {
        let bytes = bson::serialize_to_vec(body).unwrap();
        let mut message = Vec::new();
        encode_op_msg(&mut message, 7, 0, flags, RawDoc::new(&bytes).unwrap()).unwrap();
        // Cut, so that framing is tested with everything else.
        let (head, tail) = message.split_at(11);
        self.server.handle_bytes(self.now, conn, head);
        self.server.handle_bytes(self.now, conn, tail);
        self.drain();
    }

    fn take(&mut self, conn: ConnId) -> Vec<Received> {
        std::mem::take(self.received.get_mut(&conn).unwrap())
    }

    /// Sends a command to `db` and waits up to a minute for its one reply.
    fn run_in(&mut self, conn: ConnId, db: &str, mut body: Document) -> Document {
        body.insert("$db", db);
        self.send(conn, &body, Flags::NONE);
        for _ in 0..60_000 {
            if !self.received[&conn].is_empty() {
                break;
            }
            self.pass(Duration::from_millis(1));
        }
        let mut got = self.take(conn);
        assert_eq!(got.len(), 1, "{body}");
        let (flags, response_to, _, reply) = got.remove(0).expect("closed");
        assert_eq!((flags, response_to), (Flags::NONE, 7));
        reply
    }

    fn run(&mut self, conn: ConnId, body: Document) -> Document {
        self.run_in(conn, "admin", body)
    }

    fn fail_point(&mut self, conn: ConnId, mode: impl Into<bson::Bson>, data: Document) {
        let reply =
            self.run(conn, doc! { "configureFailPoint": "failCommand", "mode": mode.into(), "data": data });
        assert_eq!(reply.get_f64("ok").unwrap(), 1.0, "{reply}");
    }
}

fn settings() -> MongodSettings {
    MongodSettings::new(ServerAddress::tcp("a", 27017), 1)
}

#[test]
fn ping_takes_its_time() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    bench.send(conn, &doc! { "ping": 1, "$db": "admin" }, Flags::NONE);
    assert!(bench.take(conn).is_empty());
    bench.pass(Duration::from_micros(49));
    assert!(bench.take(conn).is_empty());
    bench.pass(Duration::from_micros(101));
    assert_eq!(bench.take(conn)[0].as_ref().unwrap().3, doc! { "ok": 1.0 });
}

#[test]
fn a_standalone_says_hello() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    let reply = bench.run(conn, doc! { "hello": 1, "helloOk": true });
    let names: Vec<_> = reply.keys().map(String::as_str).collect();
    let expected = [
        "helloOk",
        "isWritablePrimary",
        "topologyVersion",
        "maxBsonObjectSize",
        "maxMessageSizeBytes",
        "maxWriteBatchSize",
        "localTime",
        "logicalSessionTimeoutMinutes",
        "connectionId",
        "minWireVersion",
        "maxWireVersion",
        "readOnly",
        "ok",
    ];
    assert_eq!(names, expected);
    assert!(bench.run(conn, doc! { "isMaster": 1 }).contains_key("ismaster"));
    assert_eq!(bench.run(conn, doc! { "ismaster": 1 }).get_i32("maxWireVersion").unwrap(), 17);
}

#[test]
fn hello_waits_for_a_change_and_streams() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    let version = bench.run(conn, doc! { "hello": 1 }).get_document("topologyVersion").unwrap().clone();
    let mut await_hello =
        doc! { "hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 1000, "$db": "admin" };
    bench.send(conn, &await_hello, Flags::NONE);
    bench.pass(Duration::from_millis(999));
    assert!(bench.take(conn).is_empty());
    bench.pass(Duration::from_millis(2));
    assert_eq!(bench.take(conn).len(), 1);

    bench.send(conn, &await_hello, Flags::EXHAUST_ALLOWED);
    bench.pass(Duration::from_millis(3010));
    let got = bench.take(conn);
    assert_eq!(got.len(), 3);
    let mut answers = 7;
    for reply in got {
        let (flags, response_to, request_id, body) = reply.unwrap();
        assert!(flags.contains(Flags::MORE_TO_COME));
        assert_eq!((response_to, body.get_f64("ok").unwrap()), (answers, 1.0));
        answers = request_id;
    }
    // Without a wait in between it does not stream, as that would never end.
    let conn = bench.open();
    await_hello.insert("maxAwaitTimeMS", 0);
    bench.send(conn, &await_hello, Flags::EXHAUST_ALLOWED);
    bench.pass(Duration::from_millis(10));
    assert_eq!(bench.take(conn).len(), 1);
}

#[test]
fn shapes_are_refused_in_the_servers_words() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    let error = |reply: Document| {
        assert_eq!(reply.get_f64("ok").unwrap(), 0.0);
        (reply.get_i32("code").unwrap(), reply.get_str("codeName").unwrap().to_owned())
    };
    let expect = |code: i32, name: &str| (code, name.to_owned());
    assert_eq!(error(bench.run(conn, doc! { "nope": 1 })), expect(59, "CommandNotFound"));
    assert_eq!(error(bench.run(conn, doc! { "PING": 1 })), expect(59, "CommandNotFound"));
    assert_eq!(error(bench.run(conn, doc! { "ping": 1, "foo": 1 })), expect(40415, "Location40415"));
    assert_eq!(error(bench.run_in(conn, "a.b", doc! { "ping": 1 })), expect(73, "InvalidNamespace"));
    assert_eq!(error(bench.run_in(conn, "test", doc! { "killOp": 1 })), expect(13, "Unauthorized"));
    let status = doc! { "replSetGetStatus": 1 };
    assert_eq!(error(bench.run(conn, status)), expect(76, "NoReplicationEnabled"));
    let concern = doc! { "ping": 1, "writeConcern": { "w": 1 } };
    assert_eq!(error(bench.run(conn, concern)), expect(72, "InvalidOptions"));
    bench.send(conn, &doc! { "ping": 1 }, Flags::NONE);
    bench.pass(Duration::from_millis(1));
    assert_eq!(error(bench.take(conn).remove(0).unwrap().3), expect(40571, "Location40571"));
}

#[test]
fn silence_is_kept() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    bench.send(conn, &doc! { "ping": 1, "$db": "admin" }, Flags::MORE_TO_COME);
    bench.send(conn, &doc! { "nope": 1, "$db": "admin" }, Flags::MORE_TO_COME);
    bench.pass(Duration::from_secs(1));
    assert!(bench.take(conn).is_empty());
    assert_eq!(bench.run(conn, doc! { "ping": 1 }), doc! { "ok": 1.0 });
}

#[test]
fn garbage_closes_the_connection() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    bench.server.handle_bytes(bench.now, conn, b"GET / HTTP/1.1\r\n\r\n");
    bench.drain();
    assert_eq!(bench.take(conn), [None]);
    assert_eq!(bench.server.connections(), 0);
}

#[test]
fn requests_in_a_row_are_answered_in_order() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    for _ in 0..5 {
        bench.send(conn, &doc! { "ping": 1, "$db": "admin" }, Flags::NONE);
    }
    bench.pass(Duration::from_micros(160));
    assert!(bench.take(conn).len() < 4);
    bench.pass(Duration::from_millis(1));
    assert!(bench.server.conns[&conn].op.is_none());
}

#[test]
fn the_fail_point_blocks_fails_and_hangs_up() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    bench.fail_point(conn, doc! { "times": 1 }, doc! { "failCommands": ["ping"], "errorCode": 91 });
    let reply = bench.run(conn, doc! { "ping": 1 });
    let text = "Failing command via 'failCommand' failpoint";
    assert_eq!(reply, doc! { "ok": 0.0, "errmsg": text, "code": 91, "codeName": "ShutdownInProgress" });
    assert_eq!(bench.run(conn, doc! { "ping": 1 }), doc! { "ok": 1.0 });

    let data = doc! { "failCommands": ["ping"], "blockConnection": true, "blockTimeMS": 200 };
    bench.fail_point(conn, "alwaysOn", data);
    let before = bench.now;
    assert_eq!(bench.run(conn, doc! { "ping": 1 }), doc! { "ok": 1.0 });
    assert!(bench.now - before >= Duration::from_millis(200));
    let reply = bench.run(conn, doc! { "ping": 1, "maxTimeMS": 50 });
    assert_eq!(reply.get_i32("code").unwrap(), 50);

    bench.fail_point(conn, "alwaysOn", doc! { "failCommands": ["ping"], "closeConnection": true });
    bench.send(conn, &doc! { "ping": 1, "$db": "admin" }, Flags::NONE);
    bench.pass(Duration::from_millis(1));
    assert_eq!(bench.take(conn), [None]);
}

#[test]
fn clients_have_to_log_in() {
    let mut bench = Bench::new(settings().with_user(User::new("u", "p")));
    let conn = bench.open();
    let reply = bench.run(conn, doc! { "endSessions": [] });
    assert_eq!(reply.get_str("errmsg").unwrap(), "command endSessions requires authentication");
    assert_eq!(bench.run(conn, doc! { "ping": 1 }), doc! { "ok": 1.0 });
    let payload = Binary { subtype: BinarySubtype::Generic, bytes: b"n,,n=u,r=abc".to_vec() };
    let start = doc! { "mechanism": "SCRAM-SHA-256", "payload": payload, "db": "admin" };
    let reply = bench
        .run(conn, doc! { "hello": 1, "saslSupportedMechs": "admin.u", "speculativeAuthenticate": start });
    assert_eq!(reply.get_array("saslSupportedMechs").unwrap().len(), 2);
    let first = reply.get_document("speculativeAuthenticate").unwrap();
    assert_eq!(first.get_i32("conversationId").unwrap(), 1);
    let reply = bench.run(conn, doc! { "saslContinue": 1, "conversationId": 9, "payload": "" });
    assert_eq!(reply.get_i32("code").unwrap(), 17);
}

#[test]
fn a_restart_is_another_process() {
    let mut bench = Bench::alone();
    let conn = bench.open();
    let version = |reply: Document| reply.get_document("topologyVersion").unwrap().clone();
    let before = version(bench.run(conn, doc! { "hello": 1 }));
    bench.server.handle_crash(bench.now);
    assert!(!bench.server.is_running() && bench.server.poll_timeout().is_none());
    bench.server.handle_start(bench.now);
    let conn = bench.open();
    assert_ne!(version(bench.run(conn, doc! { "hello": 1 })), before);
}
