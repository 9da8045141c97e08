//! The nodes of a world: how they are called, and what becomes of what they say.

use super::core::{Call, ProcessState, Shared};
use super::trace::{Change, Event};
use crate::node::{ConnId, Node, NodeId, NodeOutput};
use quorate_core::Instant;
use std::collections::{BTreeMap, VecDeque};

/// So many messages from other nodes wait for a hung one; what comes then is lost.
const INBOX: usize = 10_000;

/// A node, and what has arrived for it while it hangs.
#[derive(Debug)]
struct Place<N: Node> {
    node: N,
    /// How often it has been started.
    starts: u32,
    inbox: VecDeque<Inbound<N::Message>>,
}

/// Something that has arrived at a process.
#[derive(Debug)]
enum Inbound<M> {
    Open(ConnId),
    Bytes(ConnId, Vec<u8>),
    Close(ConnId),
    Message(NodeId, M),
    Unreachable(NodeId),
    Timeout,
    Terminate,
}

/// All nodes of a world. Locked before the core, never after.
#[derive(Debug)]
pub(super) struct Processes<N: Node> {
    places: Vec<Place<N>>,
    /// What nodes have sent one another and has not arrived, from whom and to whom, with how often the sender had been started.
    mail: BTreeMap<(NodeId, NodeId), Mail<N::Message>>,
}

type Mail<M> = VecDeque<(u32, M)>;

impl<N: Node> Default for Processes<N> {
    fn default() -> Self {
        Processes { places: Vec::new(), mail: BTreeMap::new() }
    }
}

impl<N: Node> Processes<N> {
    pub(super) fn add(&mut self, node: N) {
        self.places.push(Place { node, starts: 0, inbox: VecDeque::new() });
    }

    pub(super) fn get_mut(&mut self, node: NodeId) -> Option<&mut N> {
        self.places.get_mut(node.0 as usize).map(|place| &mut place.node)
    }

    /// Tells a node what an event came to, or keeps it for when it no longer hangs.
    pub(super) fn call(&mut self, shared: &Shared, id: NodeId, call: Call) {
        let inbound = match call {
            Call::Open(conn) => Inbound::Open(conn),
            Call::Bytes(conn, bytes) => Inbound::Bytes(conn, bytes),
            Call::Close(conn) => Inbound::Close(conn),
            Call::Timeout => Inbound::Timeout,
            Call::Unreachable(gone) => Inbound::Unreachable(gone),
            Call::Message(from) => {
                let Some(message) = self.take_mail(shared, from, id) else { return };
                if !shared.with(|core| core.message_arrives(from, id, &message)) {
                    return;
                }
                Inbound::Message(from, message)
            }
        };
        let state = shared.with(|core| core.process(id).state);
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        match state {
            ProcessState::Running => self.tell(shared, id, inbound),
            ProcessState::Hung if place.inbox.len() < INBOX => place.inbox.push_back(inbound),
            ProcessState::Hung | ProcessState::Down => {}
        }
    }

    /// The message that is to arrive now, unless it has to wait, or is of a stream that ended with its sender's process.
    fn take_mail(&mut self, shared: &Shared, from: NodeId, to: NodeId) -> Option<N::Message> {
        let mail = self.mail.get_mut(&(from, to))?;
        let (starts, message) = mail.front()?;
        let stream = N::is_stream(message);
        let ended = stream && self.places.get(from.0 as usize).is_none_or(|place| place.starts != *starts);
        if stream && !ended && shared.with(|core| core.message_waits(from, to)) {
            return None;
        }
        mail.pop_front().map(|(_, message)| message).filter(|_| !ended)
    }

    fn tell(&mut self, shared: &Shared, id: NodeId, inbound: Inbound<N::Message>) {
        let now = shared.now();
        let Some(Place { node, .. }) = self.places.get_mut(id.0 as usize) else { return };
        match inbound {
            Inbound::Open(conn) => node.handle_open(now, conn),
            Inbound::Bytes(conn, bytes) => {
                node.handle_bytes(now, conn, &bytes);
                shared.with(|core| core.node_took(conn, bytes.len()));
            }
            Inbound::Close(conn) => {
                node.handle_close(now, conn);
                shared.with(|core| core.node_closes(conn));
            }
            Inbound::Message(from, message) => node.handle_message(now, from, message),
            Inbound::Unreachable(gone) => node.handle_unreachable(now, gone),
            // Armed for an earlier deadline, perhaps.
            Inbound::Timeout if node.poll_timeout().is_some_and(|deadline| deadline <= now) => {
                node.handle_timeout(now);
            }
            Inbound::Timeout => {}
            Inbound::Terminate => node.handle_terminate(now),
        }
        self.drain(shared, id);
    }

    /// Does what the node says, and arms its deadline.
    fn drain(&mut self, shared: &Shared, id: NodeId) {
        let Processes { places, mail } = self;
        let Some(Place { node, starts, .. }) = places.get_mut(id.0 as usize) else { return };
        shared.with(|core| {
            while let Some(output) = node.poll_output() {
                match output {
                    NodeOutput::Send { conn, bytes } => core.node_sends(conn, bytes),
                    NodeOutput::Close(conn) => core.node_closes(conn),
                    NodeOutput::Message { to, message } => {
                        if core.send_message(id, to, N::is_stream(&message)) {
                            mail.entry((id, to)).or_default().push_back((*starts, message));
                        }
                    }
                    NodeOutput::Exit => core.process_exits(id),
                    NodeOutput::Note(text) => core.note(Event::Note { node: id, text: text.into() }),
                }
            }
            if core.process(id).state == ProcessState::Running {
                core.arm(id, node.poll_timeout());
            }
        });
    }
}

/// What can be done to processes.
impl<N: Node> Processes<N> {
    pub(super) fn start(&mut self, shared: &Shared, id: NodeId) {
        let started = shared.with(|core| core.process_starts(id));
        if let Some(now) = started
            && let Some(place) = self.places.get_mut(id.0 as usize)
        {
            place.inbox.clear();
            place.starts += 1;
            place.node.handle_start(now);
            self.drain(shared, id);
        }
    }

    pub(super) fn crash(&mut self, shared: &Shared, id: NodeId, power_off: bool) {
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        if shared.with(|core| core.process_crashes(id, power_off)) {
            place.inbox.clear();
            place.node.handle_crash(shared.now());
            // What it would have said died with it.
            while place.node.poll_output().is_some() {}
        }
    }

    pub(super) fn terminate(&mut self, shared: &Shared, id: NodeId) {
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        let state = shared.with(|core| {
            let state = core.process(id).state;
            if state != ProcessState::Down {
                core.note_process(id, Change::Terminate);
            }
            state
        });
        match state {
            ProcessState::Running => self.tell(shared, id, Inbound::Terminate),
            // A stopped process gets its signals when it goes on.
            ProcessState::Hung => place.inbox.push_back(Inbound::Terminate),
            ProcessState::Down => {}
        }
    }

    pub(super) fn resume(&mut self, shared: &Shared, id: NodeId) {
        if !shared.with(|core| core.process_goes_on(id)) {
            return;
        }
        let Some(place) = self.places.get_mut(id.0 as usize) else { return };
        let mut inbox = std::mem::take(&mut place.inbox);
        // Its deadlines have passed meanwhile; what a program looks at first when it goes on is not defined.
        inbox.push_front(Inbound::Timeout);
        for inbound in inbox {
            if shared.with(|core| core.process(id).state) == ProcessState::Running {
                self.tell(shared, id, inbound);
            }
        }
    }

    /// Lets a caller do something to a node as an operator would, and carries out what it says to it.
    pub(super) fn operate<T>(
        &mut self,
        shared: &Shared,
        id: NodeId,
        act: impl FnOnce(&mut N, Instant) -> T,
    ) -> Option<T> {
        let result = act(self.get_mut(id)?, shared.now());
        self.drain(shared, id);
        Some(result)
    }
}
