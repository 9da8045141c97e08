//! How bytes travel on open connections.

use super::clock::nanos;
use super::conn::{
    ClientEnd, Conn, FIRST_RETRANSMIT, RETRANSMIT_GIVE_UP, Segment, ServerEnd, WINDOW, Way, next_attempt,
};
use super::core::{Call, Core, Host, Step};
use super::queue::{Due, Queue};
use super::trace::Event;
use crate::node::ConnId;
use quorate::LONGEST_SILENCE;
use std::io;
use std::task::{Poll, Waker};

/// Puts bytes on their way.
fn transmit(
    now: u64,
    hosts: &mut [Host],
    queue: &mut Queue,
    id: ConnId,
    conn: &mut Conn,
    way: Way,
    bytes: &[u8],
) {
    let (from, to) = conn.ends(way);
    let link = &mut hosts[from.0 as usize].links[to.0 as usize];
    let at = link.arrival(now, bytes.len()).max(conn.pipe(way).last_at);
    let pipe = conn.pipe(way);
    pipe.outstanding += bytes.len();
    link.cut(bytes, |later, piece| {
        pipe.last_at = at + later;
        pipe.flying.push_back((at + later, Segment::Bytes(piece.to_vec())));
        // Held back with everything before them; the event comes when the way is free.
        if pipe.stuck.is_none() {
            queue.push(at + later, Due::Segment { conn: id, way });
        }
    });
}

/// Sends a farewell behind everything else.
fn transmit_fin(now: u64, hosts: &mut [Host], queue: &mut Queue, id: ConnId, conn: &mut Conn, way: Way) {
    let (from, to) = conn.ends(way);
    let at = hosts[from.0 as usize].links[to.0 as usize].arrival(now, 0);
    let pipe = conn.pipe(way);
    pipe.last_at = pipe.last_at.max(at);
    pipe.flying.push_back((pipe.last_at, Segment::Fin));
    if pipe.stuck.is_none() {
        queue.push(pipe.last_at, Due::Segment { conn: id, way });
    }
}

/// Sends what the server has written as far as the window has room.
fn flush(now: u64, hosts: &mut [Host], queue: &mut Queue, id: ConnId, conn: &mut Conn) {
    while conn.down.outstanding < WINDOW
        && let Some(mut bytes) = conn.waiting.pop_front()
    {
        let room = WINDOW - conn.down.outstanding;
        if bytes.len() > room {
            conn.waiting.push_front(bytes.split_off(room));
        }
        transmit(now, hosts, queue, id, conn, Way::Down, &bytes);
    }
    // Sent once: nothing waits behind it, so nobody comes here again.
    if conn.down.fin && conn.waiting.is_empty() {
        transmit_fin(now, hosts, queue, id, conn, Way::Down);
    }
}

impl Core {
    /// Whether nothing that is sent on the connection that way arrives now.
    pub(super) fn is_blocked(&self, conn: &Conn, way: Way) -> bool {
        let (from, to) = conn.ends(way);
        conn.forgotten || self.is_cut(from, to)
    }

    pub(super) fn segment_arrives(&mut self, id: ConnId, way: Way) -> Step {
        let Some(conn) = self.conns.get(&id) else { return Step::Done };
        let blocked = self.is_blocked(conn, way);
        let Some(conn) = self.conns.get_mut(&id) else { return Step::Done };
        let now = self.now;
        let pipe = conn.pipe(way);
        if pipe.stuck.is_some() || pipe.flying.front().is_none_or(|(at, _)| *at > now) {
            return Step::Done;
        }
        if blocked {
            pipe.stuck = Some(now);
            let patience = match way {
                Way::Up => nanos(LONGEST_SILENCE),
                Way::Down => RETRANSMIT_GIVE_UP,
            };
            self.queue.push(now + patience, Due::GiveUp { conn: id, way, since: now });
            self.note(Event::Held { conn: id, to_server: way == Way::Up });
            return Step::Done;
        }
        match (way, pipe.flying.pop_front()) {
            (_, None) => Step::Done,
            (Way::Up, Some((_, segment))) => self.server_hears(id, segment),
            (Way::Down, Some((_, segment))) => {
                self.client_hears(id, segment);
                Step::Done
            }
        }
    }

    fn server_hears(&mut self, id: ConnId, segment: Segment) -> Step {
        let Some(conn) = self.conns.get(&id) else { return Step::Done };
        let (open, node) = (conn.server_end == ServerEnd::Open, conn.node);
        match (segment, node) {
            (Segment::Bytes(bytes), Some(node)) if open => {
                self.trace.add_bytes(self.now, id, true, &bytes);
                Step::Node(node, Call::Bytes(id, bytes))
            }
            (Segment::Fin, Some(node)) if open => {
                self.note(Event::Closed { conn: id, to_server: true });
                Step::Node(node, Call::Close(id))
            }
            (Segment::Bytes(_), _) => {
                self.send_reset(id);
                Step::Done
            }
            (Segment::Fin, _) => {
                self.forget_if_over(id);
                Step::Done
            }
        }
    }

    fn client_hears(&mut self, id: ConnId, segment: Segment) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let there = conn.client_end == ClientEnd::Open && conn.error.is_none();
        match segment {
            Segment::Bytes(bytes) if there => {
                self.trace.add_bytes(self.now, id, false, &bytes);
                conn.received.push_back(bytes);
                self.woken.extend(conn.reader.take());
            }
            Segment::Fin if there => {
                conn.ended = true;
                self.woken.extend(conn.reader.take());
                self.note(Event::Closed { conn: id, to_server: false });
            }
            Segment::Bytes(_) | Segment::Fin => {}
        }
    }

    /// Tells the client that the server knows nothing of the connection.
    pub(super) fn send_reset(&mut self, id: ConnId) {
        let now = self.now;
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.client_end == ClientEnd::Gone || conn.error.is_some() {
            return;
        }
        let (from, to) = conn.ends(Way::Down);
        let at = self.hosts[from.0 as usize].links[to.0 as usize].arrival(now, 0).max(conn.down.last_at);
        conn.down.last_at = at;
        self.queue.push(at, Due::Reset { conn: id });
    }

    pub(super) fn reset_arrives(&mut self, id: ConnId) -> Step {
        // One that is lost is not sent again: the client finds out when it sends.
        if let Some(conn) = self.conns.get(&id)
            && !self.is_blocked(conn, Way::Down)
        {
            self.break_client(id, io::ErrorKind::ConnectionReset);
        }
        Step::Done
    }

    /// The connection breaks for the client.
    pub(super) fn break_client(&mut self, id: ConnId, error: io::ErrorKind) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        if conn.client_end == ClientEnd::Gone || conn.error.is_some() {
            return;
        }
        conn.error = Some(error);
        self.woken.extend(conn.wakers());
        self.note(Event::Broken(id));
    }

    pub(super) fn give_up(&mut self, id: ConnId, way: Way, since: u64) -> Step {
        let Some(conn) = self.conns.get_mut(&id) else { return Step::Done };
        let connecting = conn.client_end == ClientEnd::Connecting && conn.began == since;
        if !connecting && conn.pipe(way).stuck != Some(since) {
            return Step::Done;
        }
        conn.pipe(way).flying.clear();
        let open = conn.server_end == ServerEnd::Open;
        let node = conn.node;
        if way == Way::Up {
            self.break_client(id, io::ErrorKind::TimedOut);
        }
        // The server's end would find out by its keep-alive at about this time.
        match node {
            Some(node) if open => Step::Node(node, Call::Close(id)),
            _ => {
                self.forget_if_over(id);
                Step::Done
            }
        }
    }

    /// After a change for the better: what was held goes on its way when its sender tries again.
    pub(super) fn release_held(&mut self) {
        let now = self.now;
        let mut conns = std::mem::take(&mut self.conns);
        for (id, conn) in &mut conns {
            for way in [Way::Up, Way::Down] {
                let Some(since) = conn.pipe(way).stuck else { continue };
                if self.is_blocked(conn, way) {
                    continue;
                }
                let (from, to) = conn.ends(way);
                let sent = next_attempt(since, FIRST_RETRANSMIT, now);
                let link = self.link(from, to);
                let at = link.arrival(sent, 0);
                let pipe = conn.pipe(way);
                pipe.stuck = None;
                for (arrives, _) in &mut pipe.flying {
                    *arrives = at;
                    self.queue.push(at, Due::Segment { conn: *id, way });
                }
                pipe.last_at = at;
            }
        }
        self.conns = conns;
    }

    /// Forgets a connection that nobody has an end of.
    pub(super) fn forget_if_over(&mut self, id: ConnId) {
        if self.conns.get(&id).is_some_and(|conn| conn.is_over())
            && let Some(mut conn) = self.conns.remove(&id)
        {
            self.trash.extend(conn.wakers());
        }
    }
}

/// The server's end.
impl Core {
    pub(super) fn node_sends(&mut self, id: ConnId, bytes: Vec<u8>) {
        let Core { now, hosts, queue, conns, .. } = self;
        let Some(conn) = conns.get_mut(&id) else { return };
        if conn.server_end == ServerEnd::Open && !conn.down.fin && conn.client_end != ClientEnd::Gone {
            conn.waiting.push_back(bytes);
            flush(*now, hosts, queue, id, conn);
        }
    }

    /// The node closes, or has heard that the client did: nothing more comes from it.
    pub(super) fn node_closes(&mut self, id: ConnId) {
        let Core { now, hosts, queue, conns, .. } = self;
        let Some(conn) = conns.get_mut(&id) else { return };
        if conn.server_end == ServerEnd::Open {
            conn.server_end = ServerEnd::Gone;
            conn.down.fin = true;
            flush(*now, hosts, queue, id, conn);
            self.forget_if_over(id);
        }
    }

    /// The node has taken bytes: the client may send as many more.
    pub(super) fn node_took(&mut self, id: ConnId, count: usize) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.up.outstanding = conn.up.outstanding.saturating_sub(count);
        self.woken.extend(conn.writer.take());
    }
}

/// The client's end.
impl Core {
    pub(super) fn client_reads(
        &mut self,
        id: ConnId,
        waker: &Waker,
        space: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Core { now, hosts, queue, conns, .. } = self;
        let Some(conn) = conns.get_mut(&id) else { return Poll::Ready(Err(reset())) };
        if !conn.received.is_empty() && !space.is_empty() {
            let count = conn.take_received(space);
            if !conn.waiting.is_empty() {
                flush(*now, hosts, queue, id, conn);
            }
            return Poll::Ready(Ok(count));
        }
        if let Some(kind) = conn.error {
            return Poll::Ready(Err(kind.into()));
        }
        if conn.ended || space.is_empty() {
            return Poll::Ready(Ok(0));
        }
        register(&mut self.trash, &mut conn.reader, waker);
        Poll::Pending
    }

    pub(super) fn client_writes(
        &mut self,
        id: ConnId,
        waker: &Waker,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Core { now, hosts, queue, conns, .. } = self;
        let Some(conn) = conns.get_mut(&id) else { return Poll::Ready(Err(reset())) };
        if let Some(kind) = conn.error {
            return Poll::Ready(Err(kind.into()));
        }
        if conn.up.fin {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = WINDOW.saturating_sub(conn.up.outstanding);
        if room == 0 {
            register(&mut self.trash, &mut conn.writer, waker);
            return Poll::Pending;
        }
        let count = bytes.len().min(room);
        if count > 0 {
            transmit(*now, hosts, queue, id, conn, Way::Up, &bytes[..count]);
        }
        Poll::Ready(Ok(count))
    }

    /// The client says no more, and may still read.
    pub(super) fn client_shuts_down(&mut self, id: ConnId) {
        let Core { now, hosts, queue, conns, .. } = self;
        let Some(conn) = conns.get_mut(&id) else { return };
        if !conn.up.fin && conn.error.is_none() {
            conn.up.fin = true;
            transmit_fin(*now, hosts, queue, id, conn, Way::Up);
        }
    }

    /// The client drops its end.
    pub(super) fn client_leaves(&mut self, id: ConnId) {
        if self.conns.get(&id).is_some_and(|conn| conn.server_end != ServerEnd::Nothing) {
            self.client_shuts_down(id);
        }
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.client_end = ClientEnd::Gone;
        conn.received.clear();
        conn.waiting.clear();
        self.trash.extend(conn.wakers());
        self.forget_if_over(id);
    }
}

fn reset() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// Notes whom to wake.
pub(super) fn register(trash: &mut Vec<Waker>, place: &mut Option<Waker>, waker: &Waker) {
    if !place.as_ref().is_some_and(|old| old.will_wake(waker)) {
        trash.extend(place.replace(waker.clone()));
    }
}
