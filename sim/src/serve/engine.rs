//! The thread that drives all nodes.

use super::socket::{Link, Port};
use crate::node::{ConnId, Node, NodeId, NodeOutput};
use crate::world::{ProcessState, START};
use quorate_core::{Duration, Instant};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};

/// Something to be done by the engine.
pub(super) type Act<N> = Box<dyn FnOnce(&mut Engine<N>) + Send>;

/// What the engine is told.
pub(super) enum Input<N: Node> {
    Accepted(NodeId, TcpStream),
    Bytes(ConnId, Vec<u8>),
    Ended(ConnId),
    Do(Act<N>),
    Stop,
}

/// Something for a node that has not been told yet.
#[derive(Debug)]
enum Inbound<M> {
    Open(ConnId),
    Bytes(ConnId, Vec<u8>),
    Close(ConnId),
    Message(NodeId, M),
    Unreachable(NodeId),
    Terminate,
}

struct Place<N: Node> {
    node: N,
    address: SocketAddr,
    port: Option<Port>,
    state: ProcessState,
    /// Nothing gets through between it and clients.
    cut: bool,
    /// What has arrived and it has not been told: it hangs, or is cut off.
    inbox: VecDeque<Inbound<N::Message>>,
}

struct Conn {
    node: NodeId,
    link: Link,
    /// What the node has said while it was cut off.
    held: VecDeque<Vec<u8>>,
    /// The node has closed meanwhile.
    closed: bool,
}

/// So many things wait for a node that is not told.
const INBOX: usize = 100_000;
/// So many notes are kept.
const NOTES: usize = 10_000;
/// Without a deadline the engine looks around that often.
const LONG: Duration = Duration::from_secs(60);

pub(super) struct Engine<N: Node> {
    places: Vec<Place<N>>,
    conns: BTreeMap<ConnId, Conn>,
    /// Pairs of nodes that do not reach one another.
    cuts: BTreeSet<(NodeId, NodeId)>,
    messages: VecDeque<(NodeId, NodeId, N::Message)>,
    inputs: Sender<Input<N>>,
    epoch: std::time::Instant,
    next_conn: u64,
    notes: VecDeque<(Instant, NodeId, String)>,
}

impl<N: Node + 'static> Engine<N>
where
    N::Message: 'static,
{
    pub(super) fn new(nodes: Vec<N>, addresses: &[SocketAddr], inputs: Sender<Input<N>>) -> Self {
        let place = |(node, address): (N, &SocketAddr)| Place {
            node,
            address: *address,
            port: None,
            state: ProcessState::Down,
            cut: false,
            inbox: VecDeque::new(),
        };
        Engine {
            places: nodes.into_iter().zip(addresses).map(place).collect(),
            conns: BTreeMap::new(),
            cuts: BTreeSet::new(),
            messages: VecDeque::new(),
            inputs,
            epoch: std::time::Instant::now(),
            next_conn: 1,
            notes: VecDeque::new(),
        }
    }

    /// The loop: what arrives, what is due.
    pub(super) fn run(mut self, listeners: Vec<TcpListener>, inputs: &Receiver<Input<N>>) {
        for (id, listener) in (0..).map(NodeId).zip(listeners) {
            let _ = self.start_on(id, listener);
        }
        loop {
            let wait = self.next_deadline().map_or(LONG, |deadline| deadline - self.now());
            match inputs.recv_timeout(wait) {
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(input) => self.handle(input),
                Err(RecvTimeoutError::Timeout) => {}
            }
            self.fire();
        }
        for id in (0..self.places.len() as u32).map(NodeId) {
            self.close_all(id);
        }
    }

    fn now(&self) -> Instant {
        START + self.epoch.elapsed()
    }

    fn handle(&mut self, input: Input<N>) {
        match input {
            // Accepted while the process ended: nobody will ever answer, and the socket closes here.
            Input::Accepted(node, _) if self.state(node) == ProcessState::Down => {}
            Input::Accepted(node, stream) => {
                let conn = ConnId(self.next_conn);
                self.next_conn += 1;
                let link = Link::open(conn, stream, self.inputs.clone());
                self.conns.insert(conn, Conn { node, link, held: VecDeque::new(), closed: false });
                self.arrive(node, Inbound::Open(conn));
            }
            Input::Bytes(conn, bytes) => {
                if let Some(Conn { node, .. }) = self.conns.get(&conn) {
                    self.arrive(*node, Inbound::Bytes(conn, bytes));
                }
            }
            Input::Ended(conn) => {
                if let Some(Conn { node, .. }) = self.conns.get(&conn) {
                    self.arrive(*node, Inbound::Close(conn));
                }
            }
            Input::Do(act) => act(self),
            Input::Stop => {}
        }
        self.deliver();
    }

    /// Something arrives at a process.
    fn arrive(&mut self, id: NodeId, inbound: Inbound<N::Message>) {
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        let from_client = matches!(inbound, Inbound::Open(_) | Inbound::Bytes(..) | Inbound::Close(_));
        let waits = place.state == ProcessState::Hung || (place.cut && from_client);
        if waits && place.inbox.len() < INBOX {
            place.inbox.push_back(inbound);
        } else if place.state == ProcessState::Running {
            self.tell(id, inbound);
        }
    }

    fn tell(&mut self, id: NodeId, inbound: Inbound<N::Message>) {
        let now = self.now();
        let Some(Place { node, .. }) = self.places.get_mut(id.0 as usize) else { return };
        match inbound {
            Inbound::Open(conn) => node.handle_open(now, conn),
            Inbound::Bytes(conn, bytes) => {
                node.handle_bytes(now, conn, &bytes);
                if let Some(conn) = self.conns.get(&conn) {
                    conn.link.took(bytes.len());
                }
            }
            Inbound::Close(conn) => {
                node.handle_close(now, conn);
                self.conns.remove(&conn);
            }
            Inbound::Message(from, message) => node.handle_message(now, from, message),
            Inbound::Unreachable(gone) => node.handle_unreachable(now, gone),
            Inbound::Terminate => node.handle_terminate(now),
        }
        self.drain(id);
    }

    /// Does what a node says.
    fn drain(&mut self, id: NodeId) {
        while let Some(output) = self.places.get_mut(id.0 as usize).and_then(|place| place.node.poll_output())
        {
            match output {
                NodeOutput::Send { conn, bytes } => self.send(id, conn, bytes),
                NodeOutput::Close(conn) => self.close(id, conn),
                NodeOutput::Message { to, message } => self.messages.push_back((id, to, message)),
                NodeOutput::Exit => self.exit(id),
                NodeOutput::Note(text) => {
                    let now = self.now();
                    if self.notes.len() >= NOTES {
                        self.notes.pop_front();
                    }
                    self.notes.push_back((now, id, text));
                }
            }
        }
    }

    fn is_cut(&self, id: NodeId) -> bool {
        self.places.get(id.0 as usize).is_some_and(|place| place.cut)
    }

    fn send(&mut self, id: NodeId, conn: ConnId, bytes: Vec<u8>) {
        let cut = self.is_cut(id);
        match self.conns.get_mut(&conn) {
            Some(conn) if cut => conn.held.push_back(bytes),
            Some(conn) => conn.link.send(bytes),
            None => {}
        }
    }

    fn close(&mut self, id: NodeId, conn: ConnId) {
        if self.is_cut(id) {
            self.conns.entry(conn).and_modify(|conn| conn.closed = true);
        } else {
            self.conns.remove(&conn);
        }
    }

    /// Carries messages between nodes until there are none.
    fn deliver(&mut self) {
        while let Some((from, to, message)) = self.messages.pop_front() {
            let there = self.state(to) != ProcessState::Down;
            if self.cuts.contains(&(from, to)) {
                continue;
            }
            if there {
                self.arrive(to, Inbound::Message(from, message));
            } else {
                self.arrive(from, Inbound::Unreachable(to));
            }
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        let running = self.places.iter().filter(|place| place.state == ProcessState::Running);
        running.filter_map(|place| place.node.poll_timeout()).min()
    }

    /// Calls the nodes whose deadlines have come.
    fn fire(&mut self) {
        for id in (0..self.places.len() as u32).map(NodeId) {
            let now = self.now();
            let place = &mut self.places[id.0 as usize];
            let due = place.node.poll_timeout().is_some_and(|deadline| deadline <= now);
            if due && place.state == ProcessState::Running {
                place.node.handle_timeout(now);
                self.drain(id);
            }
        }
        self.deliver();
    }
}

/// Faults.
impl<N: Node + 'static> Engine<N>
where
    N::Message: 'static,
{
    pub(super) fn state(&self, id: NodeId) -> ProcessState {
        self.places.get(id.0 as usize).map_or(ProcessState::Down, |place| place.state)
    }

    pub(super) fn start(&mut self, id: NodeId) -> io::Result<()> {
        match self.places.get(id.0 as usize) {
            Some(place) if place.state == ProcessState::Down => {
                let listener = TcpListener::bind(place.address)?;
                self.start_on(id, listener)
            }
            _ => Ok(()),
        }
    }

    fn start_on(&mut self, id: NodeId, listener: TcpListener) -> io::Result<()> {
        let (now, inputs) = (self.now(), self.inputs.clone());
        let Some(place) = self.places.get_mut(id.0 as usize) else { return Ok(()) };
        place.port = Some(Port::open(id, listener, inputs)?);
        place.state = ProcessState::Running;
        place.inbox.clear();
        place.node.handle_start(now);
        self.drain(id);
        Ok(())
    }

    pub(super) fn kill(&mut self, id: NodeId) {
        if self.state(id) == ProcessState::Down {
            return;
        }
        let now = self.now();
        self.reset_all(id);
        let place = &mut self.places[id.0 as usize];
        place.node.handle_crash(now);
        while place.node.poll_output().is_some() {}
        self.gone(id);
    }

    /// The process is no longer there: nobody listens, and the other nodes hear.
    fn gone(&mut self, id: NodeId) {
        let place = &mut self.places[id.0 as usize];
        place.state = ProcessState::Down;
        place.port = None;
        place.inbox.clear();
        for other in (0..self.places.len() as u32).map(NodeId).filter(|other| *other != id) {
            if !self.cuts.contains(&(id, other)) {
                self.arrive(other, Inbound::Unreachable(id));
            }
        }
    }

    fn exit(&mut self, id: NodeId) {
        self.close_all(id);
        if self.state(id) != ProcessState::Down {
            self.gone(id);
        }
    }

    pub(super) fn terminate(&mut self, id: NodeId) {
        self.arrive(id, Inbound::Terminate);
    }

    pub(super) fn hang(&mut self, id: NodeId) {
        if self.state(id) == ProcessState::Running {
            self.places[id.0 as usize].state = ProcessState::Hung;
        }
    }

    pub(super) fn resume(&mut self, id: NodeId) {
        if self.state(id) == ProcessState::Hung {
            self.places[id.0 as usize].state = ProcessState::Running;
            self.catch_up(id);
        }
    }

    /// Tells a node what it has not been told.
    fn catch_up(&mut self, id: NodeId) {
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        for inbound in std::mem::take(&mut place.inbox) {
            self.arrive(id, inbound);
        }
    }

    pub(super) fn partition(&mut self, one: &[NodeId], other: &[NodeId]) {
        let pairs = one.iter().flat_map(|a| other.iter().flat_map(|b| [(*a, *b), (*b, *a)]));
        self.cuts.extend(pairs.filter(|(a, b)| a != b));
    }

    pub(super) fn cut_clients(&mut self, id: NodeId) {
        if let Some(place) = self.places.get_mut(id.0 as usize) {
            place.cut = true;
        }
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        for place in &mut self.places {
            place.cut = false;
        }
        for conn in self.conns.values_mut() {
            conn.held.drain(..).for_each(|bytes| conn.link.send(bytes));
        }
        self.conns.retain(|_, conn| !conn.closed);
        for id in (0..self.places.len() as u32).map(NodeId) {
            self.catch_up(id);
        }
    }

    pub(super) fn reset_connections(&mut self, id: NodeId) {
        for conn in self.reset_all(id) {
            self.arrive(id, Inbound::Close(conn));
        }
    }

    fn reset_all(&mut self, id: NodeId) -> Vec<ConnId> {
        let all = self.conns_of(id);
        for conn in all.iter().filter_map(|conn| self.conns.remove(conn)) {
            conn.link.reset();
        }
        all
    }

    fn close_all(&mut self, id: NodeId) {
        for conn in self.conns_of(id) {
            self.conns.remove(&conn);
        }
    }

    fn conns_of(&self, id: NodeId) -> Vec<ConnId> {
        self.conns.iter().filter(|(_, conn)| conn.node == id).map(|(conn, _)| *conn).collect()
    }

    pub(super) fn operate<T>(&mut self, id: NodeId, act: impl FnOnce(&mut N, Instant) -> T) -> Option<T> {
        let now = self.now();
        let result = act(&mut self.places.get_mut(id.0 as usize)?.node, now);
        self.drain(id);
        Some(result)
    }

    pub(super) fn take_notes(&mut self) -> Vec<(Instant, NodeId, String)> {
        self.notes.drain(..).collect()
    }
}
