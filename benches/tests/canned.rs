//! The canned server answers as a real one does, as far as it goes.

use bson::{Document, doc};
use quorate_benches::canned::Canned;
use quorate_benches::load::{Operation, Plan};
use quorate_benches::subject::Subject;
use quorate_harness::wire::{MORE_TO_COME, Message, op_msg};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

const EXHAUST_ALLOWED: u32 = 1 << 16;

fn connect(server: &Canned) -> TcpStream {
    let hosts = server.uri().trim_start_matches("mongodb://").split('/').next().unwrap();
    TcpStream::connect(hosts.split(',').next().unwrap()).unwrap()
}

fn send(stream: &mut TcpStream, id: i32, flags: u32, body: &Document) {
    let body = bson::serialize_to_vec(body).unwrap();
    stream.write_all(&op_msg(id, 0, flags, &body)).unwrap();
}

#[test]
fn clients_work_with_it() {
    for server in [Canned::standalone().unwrap(), Canned::replica_set(3).unwrap()] {
        for subject in Subject::all() {
            for operation in [Operation::Ping, Operation::Insert, Operation::Find] {
                let plan = Plan {
                    uri: server.uri().to_owned(),
                    server_thread: server.thread_id(),
                    connections: 4,
                    tasks: 8,
                    operation,
                    warm_up: Duration::from_millis(50),
                    measured: Duration::from_millis(50),
                };
                let sample = subject.run(&plan, 0).unwrap();
                assert!(sample.operations > 0, "{subject:?} {operation:?}");
            }
        }
    }
}

#[test]
fn hellos_are_streamed() {
    let server = Canned::replica_set(1).unwrap();
    let mut stream = connect(&server);
    send(&mut stream, 7, 0, &doc! { "hello": 1, "$db": "admin" });
    let first = Message::read(&mut stream).unwrap().unwrap();
    assert_eq!(first.header.response_to, 7);
    let version = first.body().unwrap().get_document("topologyVersion").unwrap().clone();
    let began = Instant::now();
    let hello = doc! { "hello": 1, "topologyVersion": version, "maxAwaitTimeMS": 40, "$db": "admin" };
    send(&mut stream, 8, EXHAUST_ALLOWED, &hello);
    let mut answered = 8;
    for i in 1..=3 {
        let reply = Message::read(&mut stream).unwrap().unwrap();
        assert_eq!((reply.header.response_to, reply.flags()), (answered, MORE_TO_COME));
        assert!(began.elapsed() >= Duration::from_millis(40) * i);
        answered = reply.header.request_id;
    }
}

#[test]
fn messages_may_come_in_pieces_or_together() {
    let server = Canned::standalone().unwrap();
    let mut stream = connect(&server);
    let body = bson::serialize_to_vec(&doc! { "ping": 1, "$db": "admin" }).unwrap();
    for byte in op_msg(1, 0, 0, &body) {
        stream.write_all(&[byte]).unwrap();
        stream.flush().unwrap();
    }
    let both = [op_msg(2, 0, 0, &body), op_msg(3, 0, 0, &body)].concat();
    stream.write_all(&both).unwrap();
    for id in 1..=3 {
        let reply = Message::read(&mut stream).unwrap().unwrap();
        assert_eq!(reply.header.response_to, id);
        assert_eq!(reply.body().unwrap().get_f64("ok").unwrap(), 1.0);
    }
}
