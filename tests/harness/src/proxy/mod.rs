//! A TCP proxy on the loopback that breaks what passes through it, on demand.
//!
//! Everything can be switched while connections are open, from the test's thread. Nothing is lost that was not asked to
//! be lost: what a stall holds back (the end of a stream included) flows on afterwards, as after a real partition, where
//! TCP sends again what the network swallowed.

mod accept;
mod origin;
mod pump;
mod state;

use crate::scratch::Port;
pub(crate) use origin::{Pids, origin_by_pid};
pub use state::{Accept, Counts, Direction, Flow, Shape};
use state::{Ending, Shared};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Tells who opened a connection, by its peer address.
pub(crate) type Identify = Box<dyn Fn(SocketAddr, SocketAddr) -> Option<usize> + Send + Sync>;

/// A running proxy. Dropping it closes its port and all connections through it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _port: Port,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to `upstream` (`host:port`).
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start(upstream: &str) -> io::Result<Self> {
        Self::start_identifying(upstream, None, Box::new(|_, _| None))
    }

    /// As [`Proxy::start`] with a way to tell who connects; `own` is the one behind this proxy.
    pub(crate) fn start_identifying(
        upstream: &str,
        own: Option<usize>,
        identify: Identify,
    ) -> io::Result<Self> {
        let (port, listener) = Port::listen()?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::new(upstream.to_string(), own));
        accept::spawn(listener, Arc::clone(&shared), identify)?;
        Ok(Proxy { address, shared, _port: port })
    }

    /// `host:port` to connect to.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Changes how bytes flow in one direction, on open connections and on new ones.
    pub fn set(&self, direction: Direction, shape: Shape) {
        self.shared.change(|state| state.shapes[direction.index()] = shape);
    }

    /// Changes how bytes flow in both directions.
    pub fn set_both(&self, shape: Shape) {
        self.shared.change(|state| state.shapes = [shape; 2]);
    }

    /// Stops forwarding both ways, connections stay open.
    pub fn stall(&self) {
        self.set_both(Shape { flow: Flow::Stall, ..Shape::default() });
    }

    /// Swallows all bytes both ways. What was swallowed is gone for good.
    pub fn drop_silently(&self) {
        self.set_both(Shape { flow: Flow::Drop, ..Shape::default() });
    }

    /// Adds `latency` to each direction.
    pub fn delay(&self, latency: Duration) {
        self.set_both(Shape { delay: latency, ..Shape::default() });
    }

    /// Sends every byte on its own, both ways, `pause` apart.
    pub fn split(&self, pause: Duration) {
        self.set_both(Shape { chunk: Some((1, pause)), ..Shape::default() });
    }

    /// Forwards again, as at the start. What a stall held back flows on; connections that were cut stay cut.
    pub fn heal(&self) {
        self.set_both(Shape::default());
        self.set_accept(Accept::Forward);
    }

    /// Closes all open connections in order (FIN both ways).
    pub fn cut(&self) {
        self.shared.end_links(Ending::Close);
    }

    /// Ends the stream in one direction only (half-close); the other direction goes on.
    pub fn cut_half(&self, direction: Direction) {
        self.shared.end_links(Ending::Half(direction));
    }

    /// Resets all open connections (RST both ways).
    pub fn reset(&self) {
        self.shared.end_links(Ending::Reset([true, true]));
    }

    /// Resets the side that receives in `direction`, and closes the other in order.
    pub fn reset_half(&self, direction: Direction) {
        let mut sides = [false, false];
        sides[direction.index()] = true;
        self.shared.end_links(Ending::Reset(sides));
    }

    /// Changes what happens to new connections. In force when this returns.
    pub fn set_accept(&self, accept: Accept) {
        self.shared.set_accept(accept);
    }

    /// With `true`, shapes, cuts and resets spare the connections between the members of a set (the default for the
    /// proxies of a [`crate::ReplicaSet`]); accepting cannot make that difference.
    pub fn set_only_clients(&self, only: bool) {
        self.shared.change(|state| state.only_clients = only);
    }

    /// What has passed so far.
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Stalls every connection but the ones the server behind this proxy opens to itself.
    pub(crate) fn set_isolated(&self, isolated: bool) {
        self.shared.change(|state| state.isolated = isolated);
    }

    /// Stalls the connections that `origin` opened.
    pub(crate) fn set_blocked(&self, origin: usize, blocked: bool) {
        self.shared.change(|state| {
            if blocked {
                state.blocked.insert(origin)
            } else {
                state.blocked.remove(&origin)
            };
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.shut_down();
    }
}
