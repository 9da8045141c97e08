//! Just enough of a standalone server for the real client: greets, and takes every insert.

use crate::node::{ConnId, Node, NodeId, NodeOutput};
use crate::world::wall;
use bson::{DateTime, Document, doc};
use quorate_core::Instant;
use std::collections::{BTreeMap, VecDeque};

#[derive(Debug, Default)]
pub(super) struct Greeter {
    buffers: BTreeMap<ConnId, Vec<u8>>,
    /// The `_id`s inserted, in order.
    pub(super) inserted: Vec<bson::Bson>,
    pub(super) commands: Vec<String>,
    out: VecDeque<NodeOutput<()>>,
}

impl Greeter {
    fn message(&mut self, now: Instant, conn: ConnId, message: &[u8]) {
        let number = |at: usize| i32::from_le_bytes(message[at..at + 4].try_into().unwrap());
        let (id, code) = (number(4), number(12));
        let start = match code {
            2004 => 20 + message[20..].iter().position(|byte| *byte == 0).unwrap() + 1 + 8,
            2013 => 21,
            _ => panic!("unknown opcode {code}"),
        };
        let (body, sequence) = if code == 2013 && message[20] == 1 {
            sections(&message[20..])
        } else {
            split(&message[start..])
        };
        let reply = self.command(now, &body, &sequence);
        let mut bytes = Vec::new();
        let head: &[u8] = if code == 2013 {
            &[0; 5]
        } else {
            &[8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]
        };
        let document = bson::serialize_to_vec(&reply).unwrap();
        let length = (16 + head.len() + document.len()) as i32;
        for number in [length, 0, id, if code == 2013 { 2013 } else { 1 }] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(&document);
        self.out.push_back(NodeOutput::Send { conn, bytes });
    }

    fn command(&mut self, now: Instant, body: &Document, documents: &[Document]) -> Document {
        let name = body.keys().next().unwrap().clone();
        self.commands.push(name.clone());
        match name.as_str() {
            "hello" | "isMaster" | "ismaster" => doc! {
                "ismaster": true, "isWritablePrimary": true, "helloOk": true, "ok": 1.0,
                "minWireVersion": 0, "maxWireVersion": 17, "maxBsonObjectSize": 16_777_216,
                "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000,
                "logicalSessionTimeoutMinutes": 30, "connectionId": 1,
                "localTime": DateTime::from_millis(wall(now).as_millis() as i64),
            },
            "insert" => {
                self.inserted.extend(documents.iter().map(|document| document.get("_id").unwrap().clone()));
                doc! { "n": documents.len() as i32, "ok": 1.0 }
            }
            _ => doc! { "ok": 1.0 },
        }
    }
}

/// The body and the documents of the sections behind the flags.
fn sections(mut bytes: &[u8]) -> (Document, Vec<Document>) {
    let (mut body, mut documents) = (Document::new(), Vec::new());
    while let Some((kind, rest)) = bytes.split_first() {
        let length = i32::from_le_bytes(rest[..4].try_into().unwrap()) as usize;
        if *kind == 0 {
            body = bson::deserialize_from_slice(&rest[..length]).unwrap();
        } else {
            let name = rest[4..].iter().position(|byte| *byte == 0).unwrap();
            let mut inside = &rest[4 + name + 1..length];
            while !inside.is_empty() {
                let size = i32::from_le_bytes(inside[..4].try_into().unwrap()) as usize;
                documents.push(bson::deserialize_from_slice(&inside[..size]).unwrap());
                inside = &inside[size..];
            }
        }
        bytes = &rest[length..];
    }
    (body, documents)
}

fn split(bytes: &[u8]) -> (Document, Vec<Document>) {
    let length = i32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let body = bson::deserialize_from_slice(&bytes[..length]).unwrap();
    (body, if bytes.len() > length { sections(&bytes[length..]).1 } else { Vec::new() })
}

impl Node for Greeter {
    type Message = ();

    fn handle_start(&mut self, _: Instant) {}

    fn handle_crash(&mut self, _: Instant) {
        self.buffers.clear();
        self.out.clear();
    }

    fn handle_terminate(&mut self, _: Instant) {
        self.out.push_back(NodeOutput::Exit);
    }

    fn handle_open(&mut self, _: Instant, conn: ConnId) {
        self.buffers.insert(conn, Vec::new());
    }

    fn handle_bytes(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        let mut buffer = self.buffers.remove(&conn).unwrap();
        buffer.extend_from_slice(bytes);
        while buffer.len() >= 4 {
            let length = i32::from_le_bytes(buffer[..4].try_into().unwrap()) as usize;
            if buffer.len() < length {
                break;
            }
            let rest = buffer.split_off(length);
            self.message(now, conn, &buffer);
            buffer = rest;
        }
        self.buffers.insert(conn, buffer);
    }

    fn handle_close(&mut self, _: Instant, conn: ConnId) {
        self.buffers.remove(&conn);
    }

    fn handle_message(&mut self, _: Instant, _: NodeId, (): ()) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_output(&mut self) -> Option<NodeOutput<()>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
