//! [`Server`]: any simulated process, so that one world can hold all kinds.

use crate::balancer::Balancer;
use crate::mongod::{Message, Mongod};
use crate::mongos::Mongos;
use crate::node::{ConnId, Node, NodeId, NodeOutput};
use quorate_core::Instant;

/// A simulated process of any kind.
#[derive(Debug)]
pub enum Server {
    /// A server with data.
    Mongod(Box<Mongod>),
    /// A router of a sharded cluster.
    Mongos(Box<Mongos>),
    /// A load balancer.
    Balancer(Box<Balancer>),
}

impl Server {
    /// The server with data that this is.
    pub fn as_mongod(&self) -> Option<&Mongod> {
        match self {
            Server::Mongod(mongod) => Some(mongod),
            _ => None,
        }
    }

    /// The same, to change it.
    pub fn as_mongod_mut(&mut self) -> Option<&mut Mongod> {
        match self {
            Server::Mongod(mongod) => Some(mongod),
            _ => None,
        }
    }

    /// The router that this is.
    pub fn as_mongos(&self) -> Option<&Mongos> {
        match self {
            Server::Mongos(mongos) => Some(mongos),
            _ => None,
        }
    }
}

impl From<Mongod> for Server {
    fn from(mongod: Mongod) -> Self {
        Server::Mongod(Box::new(mongod))
    }
}

impl From<Mongos> for Server {
    fn from(mongos: Mongos) -> Self {
        Server::Mongos(Box::new(mongos))
    }
}

impl From<Balancer> for Server {
    fn from(balancer: Balancer) -> Self {
        Server::Balancer(Box::new(balancer))
    }
}

macro_rules! each {
    ($self:ident, $node:ident => $call:expr) => {
        match $self {
            Server::Mongod($node) => $call,
            Server::Mongos($node) => $call,
            Server::Balancer($node) => $call,
        }
    };
}

impl Node for Server {
    type Message = Message;

    fn handle_start(&mut self, now: Instant) {
        each!(self, node => node.handle_start(now));
    }

    fn handle_crash(&mut self, now: Instant) {
        each!(self, node => node.handle_crash(now));
    }

    fn handle_terminate(&mut self, now: Instant) {
        each!(self, node => node.handle_terminate(now));
    }

    fn handle_open(&mut self, now: Instant, conn: ConnId) {
        each!(self, node => node.handle_open(now, conn));
    }

    fn handle_bytes(&mut self, now: Instant, conn: ConnId, bytes: &[u8]) {
        each!(self, node => node.handle_bytes(now, conn, bytes));
    }

    fn handle_close(&mut self, now: Instant, conn: ConnId) {
        each!(self, node => node.handle_close(now, conn));
    }

    fn handle_message(&mut self, now: Instant, from: NodeId, message: Message) {
        each!(self, node => node.handle_message(now, from, message));
    }

    fn is_stream(message: &Message) -> bool {
        matches!(message, Message::Relay(_))
    }

    fn handle_unreachable(&mut self, now: Instant, other: NodeId) {
        each!(self, node => node.handle_unreachable(now, other));
    }

    fn handle_timeout(&mut self, now: Instant) {
        each!(self, node => node.handle_timeout(now));
    }

    fn poll_output(&mut self) -> Option<NodeOutput<Message>> {
        each!(self, node => node.poll_output())
    }

    fn poll_timeout(&self) -> Option<Instant> {
        each!(self, node => node.poll_timeout())
    }
}
