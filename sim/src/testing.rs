//! For tests of the rooms around a node: one that sends back what it gets, and talks to another one.

use crate::node::{ConnId, Node, NodeId, NodeOutput};
use quorate_core::{Duration, Instant};
use std::collections::VecDeque;

/// Echoes bytes; passes its ticks on to `friend`, and remembers everything.
#[derive(Debug, Default)]
pub(crate) struct Echo {
    friend: Option<NodeId>,
    /// Sends numbers to its friend that often.
    every: Option<Duration>,
    pub(crate) log: Vec<String>,
    pub(crate) heard: Vec<u64>,
    next_tick: Option<Instant>,
    ticks: u64,
    out: VecDeque<NodeOutput<u64>>,
}

impl Echo {
    pub(crate) fn ticking(friend: NodeId, every: Duration) -> Self {
        Echo { friend: Some(friend), every: Some(every), ..Echo::default() }
    }
}

impl Node for Echo {
    type Message = u64;

    fn handle_start(&mut self, now: Instant) {
        self.log.push("start".into());
        self.next_tick = self.every.map(|every| now + every);
    }

    fn handle_crash(&mut self, _: Instant) {
        self.log.push("crash".into());
        self.out.clear();
        self.next_tick = None;
    }

    fn handle_terminate(&mut self, _: Instant) {
        self.log.push("terminate".into());
        self.out.push_back(NodeOutput::Exit);
    }

    fn handle_open(&mut self, _: Instant, conn: ConnId) {
        self.log.push(format!("open {}", conn.0));
    }

    fn handle_bytes(&mut self, _: Instant, conn: ConnId, bytes: &[u8]) {
        self.log.push(format!("{} bytes", bytes.len()));
        self.out.push_back(NodeOutput::Send { conn, bytes: bytes.to_vec() });
        if bytes == b"bye" {
            self.out.push_back(NodeOutput::Close(conn));
        }
    }

    fn handle_close(&mut self, _: Instant, conn: ConnId) {
        self.log.push(format!("close {}", conn.0));
    }

    fn handle_message(&mut self, _: Instant, _: NodeId, message: u64) {
        self.heard.push(message);
    }

    fn handle_unreachable(&mut self, _: Instant, node: NodeId) {
        self.log.push(format!("unreachable {}", node.0));
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.next_tick.is_some_and(|tick| tick <= now) {
            self.next_tick = self.every.map(|every| now + every);
            self.ticks += 1;
            if let Some(to) = self.friend {
                self.out.push_back(NodeOutput::Message { to, message: self.ticks });
            }
        }
    }

    fn poll_output(&mut self) -> Option<NodeOutput<u64>> {
        self.out.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next_tick
    }
}
