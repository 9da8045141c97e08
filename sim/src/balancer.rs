//! A load balancer in front of several mongos: every new connection goes to the next of them, and stays there.
//!
//! It forwards bytes and understands none. That the same mongos is behind a connection for as long as that lasts, and perhaps
//! another one behind the next, is what drivers have to cope with (load balancer specification).

use crate::mongod::Message;
use crate::node::{ConnId, Node, NodeId, NodeOutput};
use quorate_core::{Instant, Rng};
use std::collections::{BTreeMap, VecDeque};

/// Between a load balancer and a mongos. A connection has the same id on both sides of the balancer.
#[derive(Clone, Debug)]
pub enum Relay {
    /// A client has connected.
    Open(ConnId),
    /// Bytes on that connection, one way or the other.
    Bytes(ConnId, Vec<u8>),
    /// It is closed.
    Close(ConnId),
}

/// A simulated load balancer.
#[derive(Debug)]
pub struct Balancer {
    behind: Vec<NodeId>,
    rng: Rng,
    /// To whom each open connection goes.
    routes: BTreeMap<ConnId, NodeId>,
    out: VecDeque<NodeOutput<Message>>,
}

impl Balancer {
    /// One in front of these mongos.
    pub fn new(behind: Vec<NodeId>, seed: u64) -> Self {
        Balancer { behind, rng: Rng::new(seed), routes: BTreeMap::new(), out: VecDeque::new() }
    }

    /// Where a connection goes.
    pub fn route(&self, conn: ConnId) -> Option<NodeId> {
        self.routes.get(&conn).copied()
    }

    fn relay(&mut self, to: NodeId, relay: Relay) {
        self.out.push_back(NodeOutput::Message { to, message: Message::Relay(relay) });
    }
}

impl Node for Balancer {
    type Message = Message;

    fn handle_start(&mut self, _now: Instant) {}

    fn handle_crash(&mut self, _now: Instant) {
        self.routes.clear();
        self.out.clear();
    }

    fn handle_terminate(&mut self, _now: Instant) {
        for (conn, to) in std::mem::take(&mut self.routes) {
            self.relay(to, Relay::Close(conn));
            self.out.push_back(NodeOutput::Close(conn));
        }
        self.out.push_back(NodeOutput::Exit);
    }

    fn handle_open(&mut self, _now: Instant, conn: ConnId) {
        let count = self.behind.len() as u64;
        let chosen = (u128::from(self.rng.next_u64()) * u128::from(count)) >> 64;
        match usize::try_from(chosen).ok().and_then(|at| self.behind.get(at)).copied() {
            Some(to) => {
                self.routes.insert(conn, to);
                self.relay(to, Relay::Open(conn));
            }
            None => self.out.push_back(NodeOutput::Close(conn)),
        }
    }

    fn handle_bytes(&mut self, _now: Instant, conn: ConnId, bytes: &[u8]) {
        if let Some(to) = self.route(conn) {
            self.relay(to, Relay::Bytes(conn, bytes.to_vec()));
        }
    }

    fn handle_close(&mut self, _now: Instant, conn: ConnId) {
        if let Some(to) = self.routes.remove(&conn) {
            self.relay(to, Relay::Close(conn));
        }
    }

    fn handle_message(&mut self, _now: Instant, from: NodeId, message: Message) {
        let Message::Relay(relay) = message else { return };
        match relay {
            Relay::Bytes(conn, bytes) if self.route(conn) == Some(from) => {
                self.out.push_back(NodeOutput::Send { conn, bytes });
            }
            Relay::Close(conn) if self.route(conn) == Some(from) => {
                self.routes.remove(&conn);
                self.out.push_back(NodeOutput::Close(conn));
            }
            _ => {}
        }
    }

    fn handle_unreachable(&mut self, _now: Instant, node: NodeId) {
        let lost: Vec<ConnId> =
            self.routes.iter().filter(|(_, to)| **to == node).map(|(conn, _)| *conn).collect();
        for conn in lost {
            self.routes.remove(&conn);
            // What is still on its way to a process that has just been started would open it there.
            self.relay(node, Relay::Close(conn));
            self.out.push_back(NodeOutput::Close(conn));
        }
    }

    fn handle_timeout(&mut self, _now: Instant) {}

    fn poll_output(&mut self) -> Option<NodeOutput<Message>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
