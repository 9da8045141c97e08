//! What a proxy's threads share: the faults in force and the open connections.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the server.
    ToServer,
    /// From the server back.
    ToClient,
}

impl Direction {
    pub(super) fn index(self) -> usize {
        match self {
            Direction::ToServer => 0,
            Direction::ToClient => 1,
        }
    }
}

/// Whether bytes pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    #[default]
    Forward,
    /// They wait; the connection stays open.
    Stall,
    /// They are read and thrown away.
    Drop,
}

/// How bytes pass in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Whether they do.
    pub flow: Flow,
    /// How much later they come out than they went in. The throughput is not touched.
    pub delay: Duration,
    /// In pieces of at most so many bytes, with a pause after each.
    pub chunk: Option<(usize, Duration)>,
}

/// What happens to new connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accept {
    /// Accepted and forwarded.
    #[default]
    Forward,
    /// Accepted and left alone, neither read nor answered; no connection to the server is made.
    Silent,
    /// Accepted and closed at once.
    Close,
    /// Refused: nobody listens on the port.
    Refuse,
    /// The connection attempt itself gets no answer, as with a host that is gone: the port's queue is kept full.
    BlackHole,
}

/// What has passed through a proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted so far.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Bytes handed to the server's side.
    pub to_server: u64,
    /// Bytes handed to clients.
    pub to_client: u64,
}

/// How a connection ends on demand.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Close,
    Half(Direction),
    /// Reset the server's side, the client's side.
    Reset([bool; 2]),
}

/// One connection through the proxy.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: u64,
    pub(super) origin: Option<usize>,
    pub(super) client: TcpStream,
    pub(super) server: OnceLock<TcpStream>,
    dead: AtomicBool,
    /// How it was ended on demand, for the socket to the server that may come only afterwards.
    endings: Mutex<Vec<Ending>>,
}

impl Link {
    pub(super) fn new(id: u64, origin: Option<usize>, client: TcpStream) -> Self {
        let (dead, endings) = (AtomicBool::new(false), Mutex::default());
        Link { id, origin, client, server: OnceLock::new(), dead, endings }
    }

    pub(super) fn dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Takes the socket to the server, and does to it what was done to the link while it was being opened.
    pub(super) fn attach(&self, server: TcpStream) -> &TcpStream {
        let endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        let server = self.server.get_or_init(|| server);
        for &ending in endings.iter() {
            self.apply(ending);
        }
        server
    }

    /// Ends it. The sockets are gone when the pumps have let go.
    pub(super) fn end(&self, ending: Ending) {
        let mut endings = self.endings.lock().unwrap_or_else(PoisonError::into_inner);
        if self.server.get().is_none() {
            endings.push(ending);
        }
        self.apply(ending);
    }

    fn apply(&self, ending: Ending) {
        let reset = match ending {
            Ending::Close => [false, false],
            Ending::Reset(sides) => sides,
            Ending::Half(direction) => return self.end_half(direction),
        };
        self.dead.store(true, Ordering::Release);
        for (socket, reset) in [(self.server.get(), reset[0]), (Some(&self.client), reset[1])] {
            let Some(socket) = socket else { continue };
            if reset {
                // Closing with a linger of zero sends RST. Shutting down the reading half wakes the pump and sends nothing.
                let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
                let _ = socket.shutdown(Shutdown::Read);
            } else {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
    }

    fn end_half(&self, direction: Direction) {
        let receiver = match direction {
            Direction::ToServer => self.server.get(),
            Direction::ToClient => Some(&self.client),
        };
        if let Some(receiver) = receiver {
            let _ = receiver.shutdown(Shutdown::Write);
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) shapes: [Shape; 2],
    pub(super) accept: Accept,
    /// The mode the accepting thread has put in force.
    pub(super) accepting: Accept,
    pub(super) only_clients: bool,
    pub(super) isolated: bool,
    pub(super) blocked: BTreeSet<usize>,
    pub(super) closed: bool,
    links: BTreeMap<u64, Arc<Link>>,
    connections: u64,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) upstream: String,
    own: Option<usize>,
    state: Mutex<State>,
    changed: Condvar,
    bytes: [AtomicU64; 2],
    /// A byte written here wakes the accepting thread.
    waker: OnceLock<UnixStream>,
}

impl Shared {
    pub(super) fn new(upstream: String, own: Option<usize>) -> Self {
        Shared {
            upstream,
            own,
            state: Mutex::default(),
            changed: Condvar::new(),
            bytes: Default::default(),
            waker: OnceLock::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn change(&self, edit: impl FnOnce(&mut State)) {
        edit(&mut self.lock());
        self.changed.notify_all();
    }

    pub(super) fn set_waker(&self, waker: UnixStream) {
        let _ = self.waker.set(waker);
    }

    fn wake_accepting(&self) {
        if let Some(mut waker) = self.waker.get() {
            let _ = waker.write_all(&[0]);
        }
    }

    pub(super) fn set_accept(&self, accept: Accept) {
        self.change(|state| state.accept = accept);
        self.wake_accepting();
        let mut state = self.lock();
        while state.accepting != accept && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn add_link(&self, client: TcpStream, origin: Option<usize>) -> Option<Arc<Link>> {
        let mut state = self.lock();
        if state.closed {
            return None;
        }
        state.connections += 1;
        let link = Arc::new(Link::new(state.connections, origin, client));
        state.links.insert(link.id, Arc::clone(&link));
        Some(link)
    }

    pub(super) fn remove_link(&self, id: u64) {
        self.lock().links.remove(&id);
    }

    /// Ends the open links that faults are for; a half-closed one stays.
    pub(super) fn end_links(&self, ending: Ending) {
        self.change(|state| {
            let only_clients = state.only_clients;
            state.links.retain(|_, link| {
                if only_clients && link.origin.is_some() {
                    return true;
                }
                link.end(ending);
                matches!(ending, Ending::Half(_))
            });
        });
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        Counts {
            connections: state.connections,
            open: state.links.len() as u64,
            to_server: self.bytes[0].load(Ordering::Relaxed),
            to_client: self.bytes[1].load(Ordering::Relaxed),
        }
    }

    pub(super) fn count(&self, direction: Direction, bytes: usize) {
        self.bytes[direction.index()].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn uncount(&self, direction: Direction, bytes: usize) {
        self.bytes[direction.index()].fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn shut_down(&self) {
        self.change(|state| {
            state.closed = true;
            state.only_clients = false;
        });
        self.end_links(Ending::Close);
        self.wake_accepting();
    }

    /// The shape in force for a link now.
    pub(super) fn shape(&self, link: &Link, direction: Direction) -> Shape {
        self.shape_in(&self.lock(), link, direction)
    }

    fn shape_in(&self, state: &State, link: &Link, direction: Direction) -> Shape {
        let to_itself = self.own.is_some() && link.origin == self.own;
        let cut_off =
            (state.isolated && !to_itself) || link.origin.is_some_and(|o| state.blocked.contains(&o));
        if cut_off {
            return Shape { flow: Flow::Stall, ..Shape::default() };
        }
        if state.only_clients && link.origin.is_some() {
            return Shape::default();
        }
        state.shapes[direction.index()]
    }

    /// Waits while the direction is stalled; `None` when the link is dead.
    pub(super) fn wait_until_flowing(&self, link: &Link, direction: Direction) -> Option<Shape> {
        let mut state = self.lock();
        loop {
            if link.dead() || state.closed {
                return None;
            }
            let shape = self.shape_in(&state, link, direction);
            if shape.flow != Flow::Stall {
                return Some(shape);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for any change, at most until the accept mode differs from `current` or the proxy is closed.
    pub(super) fn wait_for_other_accept(&self, current: Accept) {
        let mut state = self.lock();
        while state.accept == current && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
