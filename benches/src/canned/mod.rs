//! A MongoDB in name only: it knows a handful of commands and one answer to each, made beforehand.
//!
//! One thread serves every connection of a standalone server or of a whole replica set, over TCP on 127.0.0.1. An answer
//! costs it a read, the patching of a few bytes and a write, so that what a run measures is the client. It takes part in
//! what makes a replica set costlier to a client than a standalone: streamed hellos, sessions, and a cluster time that
//! goes on with every write.

mod peer;
mod replies;

use peer::{Closed, Peer};
use replies::{Deployment, Replies};
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::time::Timespec;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

/// Events taken at once: more than a run has connections.
const EVENTS: usize = 256;
/// The name the canned replica set goes by.
pub const SET_NAME: &str = "canned";

/// A running server, or replica set of servers. Ends when dropped.
#[derive(Debug)]
pub struct Canned {
    uri: String,
    thread_id: u32,
    thread: Option<JoinHandle<()>>,
    /// Closing it ends the thread.
    stop: Option<UnixStream>,
}

impl Canned {
    /// One server that belongs to no set: no sessions, no cluster time.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn standalone() -> io::Result<Self> {
        Self::start(1, false)
    }

    /// A replica set; its first member is the primary, for ever.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn replica_set(members: usize) -> io::Result<Self> {
        Self::start(members, true)
    }

    fn start(members: usize, is_set: bool) -> io::Result<Self> {
        let listeners = (0..members)
            .map(|_| {
                let listener = TcpListener::bind("127.0.0.1:0")?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            })
            .collect::<io::Result<Vec<_>>>()?;
        let hosts = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.to_string()))
            .collect::<io::Result<Vec<_>>>()?;
        let uri = match is_set {
            true => format!("mongodb://{}/?replicaSet={SET_NAME}", hosts.join(",")),
            false => format!("mongodb://{}/", hosts.join(",")),
        };
        let (stop, stopped) = UnixStream::pair()?;
        let server = Server::new(listeners, stopped, Deployment { hosts, is_set })?;
        let (tell, told) = mpsc::channel();
        let serve = move || {
            let _ = tell.send(own_thread_id());
            if let Err(error) = server.serve() {
                eprintln!("the canned server ended: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("canned server".into()).spawn(serve)?;
        let thread_id = told.recv().map_err(io::Error::other)??;
        Ok(Canned { uri, thread_id, thread: Some(thread), stop: Some(stop) })
    }

    /// The connection string.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The operating system's number for the server's thread, so that its cost can be told from the client's.
    pub const fn thread_id(&self) -> u32 {
        self.thread_id
    }
}

impl Drop for Canned {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The number of the calling thread: the last part of `PID/task/TID`.
fn own_thread_id() -> io::Result<u32> {
    let link = std::fs::read_link("/proc/thread-self")?;
    let name = link.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    name.ok_or_else(|| io::Error::other(format!("{link:?} names no thread")))
}

struct Server {
    poller: OwnedFd,
    listeners: Vec<TcpListener>,
    // Kept open; its end shows as an event.
    _stopped: UnixStream,
    /// In the slots of their event numbers, behind the listeners'.
    peers: Vec<Option<Peer>>,
    replies: Replies,
    /// When the first held hello is due.
    due: Option<Instant>,
}

/// The event number of the end.
const STOP: u64 = u64::MAX;

impl Server {
    fn new(listeners: Vec<TcpListener>, stopped: UnixStream, deployment: Deployment) -> io::Result<Self> {
        let poller = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        for (i, listener) in listeners.iter().enumerate() {
            epoll::add(&poller, listener, EventData::new_u64(i as u64), EventFlags::IN)?;
        }
        epoll::add(&poller, &stopped, EventData::new_u64(STOP), EventFlags::IN)?;
        let replies = Replies::new(deployment);
        Ok(Server { poller, listeners, _stopped: stopped, peers: Vec::new(), replies, due: None })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut scratch = vec![0; 64 * 1024];
        loop {
            let timeout = self.due.map(|due| {
                let left = due.saturating_duration_since(Instant::now());
                Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) }
            });
            match epoll::wait(&self.poller, spare_capacity(&mut events), timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    STOP => return Ok(()),
                    number if number < self.listeners.len() as u64 => self.accept(number as usize)?,
                    number => self.read(number as usize - self.listeners.len(), &mut scratch),
                }
            }
            if self.due.is_some_and(|due| due <= Instant::now()) {
                self.release_held();
            }
        }
    }

    fn accept(&mut self, member: usize) -> io::Result<()> {
        while let Ok((stream, _)) = self.listeners[member].accept() {
            self.add(member, stream)?;
        }
        Ok(())
    }

    fn add(&mut self, member: usize, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let free = self.peers.iter().position(Option::is_none);
        let slot = free.unwrap_or_else(|| {
            self.peers.push(None);
            self.peers.len() - 1
        });
        let number = (slot + self.listeners.len()) as u64;
        epoll::add(&self.poller, &stream, EventData::new_u64(number), EventFlags::IN)?;
        self.peers[slot] = Some(Peer::new(member, stream));
        Ok(())
    }

    fn read(&mut self, slot: usize, scratch: &mut [u8]) {
        let Some(peer) = self.peers.get_mut(slot).and_then(Option::as_mut) else { return };
        let due = peer.due();
        match peer.serve(&mut self.replies, scratch) {
            Ok(()) if peer.due() == due => return,
            Ok(()) => {}
            // Closing the stream takes it out of the poller, too.
            Err(Closed) => self.peers[slot] = None,
        }
        self.due = self.peers.iter().flatten().filter_map(Peer::due).min();
    }

    fn release_held(&mut self) {
        let now = Instant::now();
        for slot in &mut self.peers {
            if let Some(peer) = slot
                && peer.due().is_some_and(|due| due <= now)
                && peer.release(&mut self.replies, now).is_err()
            {
                *slot = None;
            }
        }
        self.due = self.peers.iter().flatten().filter_map(Peer::due).min();
    }
}

/// A member's hello, and the answer to a command without its message's header: for those who need no sockets.
pub(crate) fn hello_and_reply(hosts: &[String], member: usize) -> (bson::Document, Vec<u8>) {
    let mut replies = Replies::new(Deployment { hosts: hosts.to_vec(), is_set: true });
    let reply = replies.reply(replies::Kind::Ok, 1);
    // Behind the header, the flags and the kind of the section.
    let reply = reply[quorate_harness::wire::HEADER_LEN + 5..].to_vec();
    (replies.hello_body(member), reply)
}
