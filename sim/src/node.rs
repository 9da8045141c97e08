//! The seam between the world and a simulated process: a sans-IO machine of the same shape as the core's.
//!
//! The world carries bytes between clients and nodes, and typed messages between nodes, with whatever delay and loss the
//! network has. A node never sees the network, only what arrives. The same nodes run in virtual time and behind real sockets.

use quorate_core::Instant;

/// A simulated process, for as long as its world lives; it keeps its id across restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// A client's connection to one node. Never used twice in a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// A simulated server process.
///
/// The world calls `handle_*` with what happened, then drains [`poll_output`](Node::poll_output) and asks for
/// [`poll_timeout`](Node::poll_timeout). Time never goes back. Early and repeated time-outs are harmless.
pub trait Node: Send {
    /// What nodes say to each other.
    type Message: Send + std::fmt::Debug;

    /// The process has started: for the first time, or again after a crash or a clean exit, with what its disk kept.
    fn handle_start(&mut self, now: Instant);

    /// The process is gone at once (SIGKILL, a power cut): everything not on disk is lost, every connection is closed. Nothing
    /// but [`handle_start`](Node::handle_start) is called until it runs again.
    fn handle_crash(&mut self, now: Instant);

    /// The process was asked to end cleanly (SIGTERM): it steps down, closes its connections and gives
    /// [`NodeOutput::Exit`].
    fn handle_terminate(&mut self, now: Instant);

    /// A client has connected.
    fn handle_open(&mut self, now: Instant, conn: ConnId);

    /// Bytes came on a connection, cut anywhere.
    fn handle_bytes(&mut self, now: Instant, conn: ConnId, bytes: &[u8]);

    /// The client has closed, or the connection broke.
    fn handle_close(&mut self, now: Instant, conn: ConnId);

    /// Another node's message arrived. Messages between two nodes arrive in order, or not at all.
    fn handle_message(&mut self, now: Instant, from: NodeId, message: Self::Message);

    /// Whether a message is part of a stream between two processes, which is sent again until it arrives or one of them is gone, as
    /// TCP does. Others are lost with the connection that a cut breaks; who sent them asks again by itself.
    fn is_stream(message: &Self::Message) -> bool {
        let _ = message;
        false
    }

    /// A message to that node was refused, or the connections to it broke: nobody runs there, or did not a moment ago. A node that
    /// cannot be reached at all gives no such sign. Harmless when untrue.
    fn handle_unreachable(&mut self, now: Instant, node: NodeId) {
        let _ = (now, node);
    }

    /// A deadline that [`poll_timeout`](Node::poll_timeout) gave has come.
    fn handle_timeout(&mut self, now: Instant);

    /// What to do next, until `None`.
    fn poll_output(&mut self) -> Option<NodeOutput<Self::Message>>;

    /// The next moment [`handle_timeout`](Node::handle_timeout) wants to be called.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// What a node wants done.
#[derive(Debug)]
pub enum NodeOutput<M> {
    /// Bytes for the client.
    Send {
        /// On which connection.
        conn: ConnId,
        /// Whole messages.
        bytes: Vec<u8>,
    },
    /// Close a connection once what was sent on it has left.
    Close(ConnId),
    /// A message for another node; lost if that is down or cannot be reached.
    Message {
        /// For whom.
        to: NodeId,
        /// What.
        message: M,
    },
    /// The process has ended cleanly.
    Exit,
    /// A line for the trace: what happened that a reader of a timeline wants to know (elections, rollbacks, state changes).
    Note(String),
}
