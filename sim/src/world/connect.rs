//! How connections come to be: a request, its answer, and what is asked again.

use super::conn::{ClientEnd, Conn, FIRST_SYN_AGAIN, SYN_GIVE_UP, ServerEnd, Way, next_attempt};
use super::core::{Call, Core, ProcessState, Step};
use super::net::register;
use super::queue::Due;
use super::trace::{Event, HostId};
use crate::node::ConnId;
use std::io;
use std::task::{Poll, Waker};

impl Core {
    /// A client asks for a connection.
    pub(super) fn connect(&mut self, from: HostId, to: HostId, port: u16) -> ConnId {
        let id = self.next_conn();
        let node = self.hosts[to.0 as usize].ports.get(&port).copied();
        let now = self.now;
        self.conns.insert(id, Box::new(Conn::new(from, to, node, now)));
        self.note(Event::Connect { conn: id, from, to });
        let at = self.link(from, to).arrival(now, 0);
        self.queue.push(at, Due::Syn { conn: id });
        id
    }

    /// Whether the connection has come to be.
    pub(super) fn poll_connect(&mut self, id: ConnId, waker: &Waker) -> Poll<io::Result<()>> {
        let Some(conn) = self.conns.get_mut(&id) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        };
        match (conn.error, conn.client_end) {
            (Some(kind), _) => Poll::Ready(Err(kind.into())),
            (None, ClientEnd::Connecting) => {
                register(&mut self.trash, &mut conn.reader, waker);
                Poll::Pending
            }
            (None, ClientEnd::Open | ClientEnd::Gone) => Poll::Ready(Ok(())),
        }
    }

    pub(super) fn syn_arrives(&mut self, id: ConnId) -> Step {
        let Some(conn) = self.conns.get(&id) else { return Step::Done };
        if conn.client_end != ClientEnd::Connecting {
            return Step::Done;
        }
        if self.is_blocked(conn, Way::Up) {
            self.ask_again(id);
            return Step::Done;
        }
        let (from, to, node, end) = (conn.server, conn.client, conn.node, conn.server_end);
        let listening = node.filter(|node| self.processes[node.0 as usize].state != ProcessState::Down);
        let now = self.now;
        let at = self.link(from, to).arrival(now, 0);
        match (listening, end) {
            (None, _) => self.queue.push(at, Due::Refused { conn: id }),
            (Some(_), ServerEnd::Gone) => self.queue.push(at, Due::Reset { conn: id }),
            (Some(_), ServerEnd::Open) => self.queue.push(at, Due::SynAck { conn: id }),
            (Some(node), ServerEnd::Nothing) => {
                self.queue.push(at, Due::SynAck { conn: id });
                if let Some(conn) = self.conns.get_mut(&id) {
                    conn.server_end = ServerEnd::Open;
                }
                return Step::Node(node, Call::Open(id));
            }
        }
        Step::Done
    }

    pub(super) fn syn_ack_arrives(&mut self, id: ConnId) -> Step {
        if self.answer_gets_through(id)
            && let Some(conn) = self.conns.get_mut(&id)
        {
            conn.client_end = ClientEnd::Open;
            self.woken.extend(conn.reader.take());
            self.note(Event::Opened(id));
        }
        Step::Done
    }

    pub(super) fn refusal_arrives(&mut self, id: ConnId) -> Step {
        if self.answer_gets_through(id)
            && let Some(conn) = self.conns.get_mut(&id)
        {
            conn.error = Some(io::ErrorKind::ConnectionRefused);
            self.woken.extend(conn.reader.take());
            self.note(Event::Refused(id));
        }
        Step::Done
    }

    /// Whether an answer to a client that is still connecting reaches it. One that does not is asked for again.
    fn answer_gets_through(&mut self, id: ConnId) -> bool {
        let Some(conn) = self.conns.get(&id) else { return false };
        if conn.client_end != ClientEnd::Connecting || conn.error.is_some() {
            return false;
        }
        let blocked = self.is_blocked(conn, Way::Down);
        if blocked {
            self.ask_again(id);
        }
        !blocked
    }

    /// Asks for a connection again, as the client's kernel does, until it gives up.
    fn ask_again(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get(&id) else { return };
        let began = conn.began;
        let at = next_attempt(began, FIRST_SYN_AGAIN, self.now);
        if at < began + SYN_GIVE_UP {
            self.queue.push(at, Due::Syn { conn: id });
        } else {
            self.queue.push(began + SYN_GIVE_UP, Due::GiveUp { conn: id, way: Way::Up, since: began });
        }
    }
}
