//! What can be done to machines, processes and the network, as far as the core is concerned.

use super::clock::nanos;
use super::conn::{ClientEnd, PROBES, ServerEnd, Way};
use super::core::{Core, ProcessState, Step};
use super::queue::Due;
use super::trace::{Change, HostId};
use crate::node::{ConnId, NodeId};
use quorate::{KEEP_ALIVE, KEEP_ALIVE_AGAIN};
use quorate_core::Instant;
use std::io;

impl Core {
    /// When a process that was down starts.
    pub(super) fn process_starts(&mut self, node: NodeId) -> Option<Instant> {
        if self.process(node).state != ProcessState::Down {
            return None;
        }
        self.process(node).state = ProcessState::Running;
        self.note_process(node, Change::Start);
        let host = self.host_of(node);
        if std::mem::take(&mut self.hosts[host.0 as usize].off) {
            self.release_held();
            // Nobody has told its peers that it was gone. Now its machine does, as soon as one of them asks or tries again.
            self.tell_peers(node);
        }
        Some(Instant::from_nanos(self.now))
    }

    /// Whether there was a process to end.
    pub(super) fn process_crashes(&mut self, node: NodeId, power_off: bool) -> bool {
        let host = self.host_of(node);
        let was_there = self.process(node).state != ProcessState::Down;
        if was_there || power_off {
            self.note_process(node, if power_off { Change::PowerOff } else { Change::Kill });
        }
        if power_off {
            self.hosts[host.0 as usize].off = true;
        }
        if was_there {
            self.process_ends(node, !power_off);
        }
        was_there
    }

    /// The process has ended by itself: its kernel closes what it has left open.
    pub(super) fn process_exits(&mut self, node: NodeId) {
        self.note_process(node, Change::Exit);
        for conn in self.conns_where(|conn, end| conn == node && end == ServerEnd::Open) {
            self.node_closes(conn);
        }
        self.process_ends(node, true);
    }

    fn process_ends(&mut self, node: NodeId, tell: bool) {
        let process = self.process(node);
        process.state = ProcessState::Down;
        process.armed = None;
        if tell {
            self.tell_peers(node);
        }
        for id in self.conns_where(|conn, end| conn == node && end == ServerEnd::Open) {
            let Some(conn) = self.conns.get_mut(&id) else { continue };
            conn.server_end = ServerEnd::Gone;
            conn.waiting.clear();
            if conn.down.stuck.take().is_some() {
                // Nobody is left to send it again.
                conn.down.flying.clear();
            }
            if tell {
                self.send_reset(id);
            }
            self.probe_later(id);
            self.forget_if_over(id);
        }
    }

    fn conns_where(&self, mut wanted: impl FnMut(NodeId, ServerEnd) -> bool) -> Vec<ConnId> {
        self.conns
            .iter()
            .filter(|(_, conn)| conn.node.is_some_and(|node| wanted(node, conn.server_end)))
            .map(|(id, _)| *id)
            .collect()
    }

    pub(super) fn process_hangs(&mut self, node: NodeId) {
        if self.process(node).state == ProcessState::Running {
            self.process(node).state = ProcessState::Hung;
            self.note_process(node, Change::Hang);
        }
    }

    pub(super) fn process_goes_on(&mut self, node: NodeId) -> bool {
        let hung = self.process(node).state == ProcessState::Hung;
        if hung {
            self.process(node).state = ProcessState::Running;
            self.note_process(node, Change::Resume);
        }
        hung
    }

    /// Connections between two machines, whichever is the client's.
    pub(super) fn conns_between(&self, a: HostId, b: HostId) -> Vec<ConnId> {
        let between = |client, server| (client, server) == (a, b) || (client, server) == (b, a);
        self.conns.iter().filter(|(_, conn)| between(conn.client, conn.server)).map(|(id, _)| *id).collect()
    }

    /// Something on the way resets a connection for both ends; gives the server's, if that has to be told.
    pub(super) fn reset_both(&mut self, id: ConnId) -> Option<NodeId> {
        self.break_client(id, io::ErrorKind::ConnectionReset);
        let conn = self.conns.get_mut(&id)?;
        for way in [Way::Up, Way::Down] {
            conn.pipe(way).flying.clear();
        }
        conn.node.filter(|_| conn.server_end == ServerEnd::Open)
    }

    /// Something on the way forgets a connection: both ends keep it, nothing gets through.
    pub(super) fn forget(&mut self, id: ConnId) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.forgotten = true;
            self.probe_later(id);
        }
    }

    /// TCP's keep-alive finds out in the end what nobody told. Only of connections that have lost their other end: those that
    /// have not would be asked for nothing.
    fn probe_later(&mut self, id: ConnId) {
        self.queue.push(self.now + nanos(KEEP_ALIVE), Due::Probe { conn: id, left: PROBES });
    }

    pub(super) fn probe(&mut self, id: ConnId, left: u8) -> Step {
        let Some(conn) = self.conns.get(&id).filter(|conn| conn.client_end == ClientEnd::Open) else {
            return Step::Done;
        };
        if !self.is_blocked(conn, Way::Up) && !self.is_blocked(conn, Way::Down) {
            if conn.server_end != ServerEnd::Open {
                self.break_client(id, io::ErrorKind::ConnectionReset);
            }
        } else if left > 0 {
            self.queue.push(self.now + nanos(KEEP_ALIVE_AGAIN), Due::Probe { conn: id, left: left - 1 });
        } else {
            self.break_client(id, io::ErrorKind::TimedOut);
        }
        Step::Done
    }
}
