//! Nodes on real loopback sockets, in real time: for programs in any language, and for tools that show something live.
//!
//! [`Listeners::bind`] takes ports, so that nodes can be made that know where they listen; [`Listeners::serve`] puts them there. One
//! thread drives all nodes (`engine`); a socket has a thread that reads and one that writes (`socket`). Nodes reach each
//! other without any network, so at once. Faults are those of a [`World`](crate::world::World) as far as a process can play them on
//! its own sockets.

mod engine;
mod socket;

#[cfg(test)]
mod tests;

use crate::node::{Node, NodeId};
use crate::world::ProcessState;
use engine::{Engine, Input};
use quorate_core::{Instant, ServerAddress};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;

/// Ports of the loopback interface, listened on and not yet served.
#[derive(Debug)]
pub struct Listeners {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
}

impl Listeners {
    /// Takes as many free ports.
    ///
    /// # Errors
    /// Those of the system.
    pub fn bind(count: usize) -> io::Result<Self> {
        Self::bind_ports(&vec![0; count])
    }

    /// Takes those ports; 0 stands for a free one.
    ///
    /// # Errors
    /// Those of the system: a port may be taken.
    pub fn bind_ports(ports: &[u16]) -> io::Result<Self> {
        let bind = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port));
        let listeners = ports.iter().map(bind).collect::<io::Result<Vec<_>>>()?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        Ok(Listeners { listeners, addresses })
    }

    /// Where the nodes will listen, in their order.
    pub fn addresses(&self) -> Vec<ServerAddress> {
        self.addresses
            .iter()
            .map(|address| ServerAddress::tcp(address.ip().to_string(), address.port()))
            .collect()
    }

    /// Starts the nodes, each on its port. Their ids count from 0.
    ///
    /// # Panics
    /// When there are not as many nodes as ports, or the system gives no thread.
    pub fn serve<N: Node + 'static>(self, nodes: Vec<N>) -> Served<N>
    where
        N::Message: 'static,
    {
        assert_eq!(nodes.len(), self.listeners.len(), "one node for each port");
        let (inputs, received) = mpsc::channel();
        let engine = Engine::new(nodes, &self.addresses, inputs.clone());
        let listeners = self.listeners;
        let thread = std::thread::Builder::new()
            .name("simulated servers".into())
            .spawn(move || engine.run(listeners, &received));
        Served { inputs, thread: Some(thread.expect("a thread for the servers")) }
    }
}

/// Nodes at work on real sockets. All of it ends when it is dropped.
#[derive(Debug)]
pub struct Served<N: Node> {
    inputs: Sender<Input<N>>,
    thread: Option<JoinHandle<()>>,
}

impl<N: Node + 'static> Served<N>
where
    N::Message: 'static,
{
    /// Does something in the engine's thread.
    fn ask<T: Send + 'static>(&self, act: impl FnOnce(&mut Engine<N>) -> T + Send + 'static) -> Option<T> {
        let (answer, answered) = mpsc::channel();
        let act = Box::new(move |engine: &mut Engine<N>| {
            let _ = answer.send(act(engine));
        });
        self.inputs.send(Input::Do(act)).ok()?;
        answered.recv().ok()
    }

    /// Starts a process that is down, on the same port as before.
    ///
    /// # Errors
    /// When somebody else has taken the port meanwhile.
    pub fn start(&self, node: NodeId) -> io::Result<()> {
        self.ask(move |engine| engine.start(node)).unwrap_or(Ok(()))
    }

    /// Ends a process at once: its connections are reset, nobody listens on its port.
    pub fn kill(&self, node: NodeId) {
        self.ask(move |engine| engine.kill(node));
    }

    /// Asks a process to end.
    pub fn terminate(&self, node: NodeId) {
        self.ask(move |engine| engine.terminate(node));
    }

    /// Stops a process as it is: connections and bytes are taken, nobody answers.
    pub fn hang(&self, node: NodeId) {
        self.ask(move |engine| engine.hang(node));
    }

    /// Lets a hung process go on.
    pub fn resume(&self, node: NodeId) {
        self.ask(move |engine| engine.resume(node));
    }

    /// Cuts two groups of nodes off from one another. Clients reach both; see [`Served::cut_clients`].
    pub fn partition(&self, one: &[NodeId], other: &[NodeId]) {
        let (one, other) = (one.to_vec(), other.to_vec());
        self.ask(move |engine| engine.partition(&one, &other));
    }

    /// Lets nothing through between a node and every client, in either direction, until [`Served::heal`]. New connections
    /// are taken by the system, which cannot be helped, and never answered.
    pub fn cut_clients(&self, node: NodeId) {
        self.ask(move |engine| engine.cut_clients(node));
    }

    /// Ends every partition: what was held between nodes and clients goes on its way.
    pub fn heal(&self) {
        self.ask(Engine::heal);
    }

    /// Resets every connection of a node to its clients; it goes on.
    pub fn reset_connections(&self, node: NodeId) {
        self.ask(move |engine| engine.reset_connections(node));
    }

    /// What a process is doing.
    pub fn state(&self, node: NodeId) -> ProcessState {
        self.ask(move |engine| engine.state(node)).unwrap_or(ProcessState::Down)
    }

    /// Does something to a node as its operator would, and carries out what it says to it. The time is the nodes' own.
    pub fn operate<T: Send + 'static>(
        &self,
        node: NodeId,
        act: impl FnOnce(&mut N, Instant) -> T + Send + 'static,
    ) -> Option<T> {
        self.ask(move |engine| engine.operate(node, act)).flatten()
    }

    /// Takes the nodes' notes since the last call: when, who, what.
    pub fn take_notes(&self) -> Vec<(Instant, NodeId, String)> {
        self.ask(Engine::take_notes).unwrap_or_default()
    }
}

impl<N: Node> Drop for Served<N> {
    fn drop(&mut self) {
        let _ = self.inputs.send(Input::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
