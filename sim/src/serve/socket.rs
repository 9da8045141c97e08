//! Real sockets and their threads: a listener's, and two for each connection.

use super::engine::Input;
use crate::node::{ConnId, Node, NodeId};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{JoinHandle, spawn};
use std::time::Duration;

/// So many bytes are read ahead of a node that does not take them.
const READ_AHEAD: usize = 1024 * 1024;
/// How often a thread that waits for its peer looks whether it still should.
const LOOK: Duration = Duration::from_millis(100);

/// A listener's thread. Dropping it closes the port.
#[derive(Debug)]
pub(super) struct Port {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Port {
    pub(super) fn open<N: Node + 'static>(
        node: NodeId,
        listener: TcpListener,
        inputs: Sender<Input<N>>,
    ) -> io::Result<Self>
    where
        N::Message: 'static,
    {
        let address = listener.local_addr()?;
        let stopped = Arc::new(AtomicBool::new(false));
        let flag = stopped.clone();
        let thread = spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if flag.load(Ordering::Acquire) || inputs.send(Input::Accepted(node, stream)).is_err() {
                    break;
                }
            }
        });
        Ok(Port { address, stopped, thread: Some(thread) })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // There is no other way to wake a thread that waits for connections.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The engine's hand on a connection.
#[derive(Debug)]
pub(super) struct Link {
    shared: Arc<Shared>,
    /// Dropped to close behind what was sent.
    writer: Sender<Vec<u8>>,
}

#[derive(Debug)]
struct Shared {
    stream: TcpStream,
    abandoned: AtomicBool,
    /// Read and not yet taken by the node.
    ahead: AtomicUsize,
    lock: Mutex<()>,
    taken: Condvar,
}

impl Link {
    pub(super) fn open<N: Node + 'static>(conn: ConnId, stream: TcpStream, inputs: Sender<Input<N>>) -> Self
    where
        N::Message: 'static,
    {
        // What cannot be set only makes it slower.
        let _ = stream.set_nodelay(true);
        let _ = stream.set_write_timeout(Some(LOOK));
        let shared = Arc::new(Shared {
            stream,
            abandoned: AtomicBool::new(false),
            ahead: AtomicUsize::new(0),
            lock: Mutex::new(()),
            taken: Condvar::new(),
        });
        let (writer, written) = mpsc::channel();
        let (reading, writing) = (shared.clone(), shared.clone());
        spawn(move || {
            reading.read(conn, &inputs);
            let _ = inputs.send(Input::Ended(conn));
        });
        spawn(move || writing.write(&written));
        Link { shared, writer }
    }

    pub(super) fn send(&self, bytes: Vec<u8>) {
        // The peer may be gone; the reader tells.
        let _ = self.writer.send(bytes);
    }

    /// The node has taken bytes.
    pub(super) fn took(&self, count: usize) {
        let before = self.shared.ahead.fetch_sub(count, Ordering::AcqRel);
        if before > READ_AHEAD {
            let _guard = self.shared.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.shared.taken.notify_all();
        }
    }

    /// Ends the connection with a reset: nothing that was not sent is.
    pub(super) fn reset(self) {
        self.shared.abandoned.store(true, Ordering::Release);
        let _ = socket2::SockRef::from(&self.shared.stream).set_linger(Some(Duration::ZERO));
        // Wakes the reader; the last thread to let go closes the socket, and that resets.
        let _ = self.shared.stream.shutdown(Shutdown::Read);
    }
}

impl Shared {
    fn read<N: Node>(&self, conn: ConnId, inputs: &Sender<Input<N>>) {
        let mut space = vec![0; 64 * 1024];
        loop {
            let count = match (&self.stream).read(&mut space) {
                Ok(0) => return,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return,
            };
            self.ahead.fetch_add(count, Ordering::AcqRel);
            if inputs.send(Input::Bytes(conn, space[..count].to_vec())).is_err() {
                return;
            }
            self.wait_for_room();
        }
    }

    fn wait_for_room(&self) {
        let full =
            || self.ahead.load(Ordering::Acquire) > READ_AHEAD && !self.abandoned.load(Ordering::Acquire);
        if full() {
            let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            while full() {
                guard = self.taken.wait_timeout(guard, LOOK).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    fn write(&self, written: &Receiver<Vec<u8>>) {
        for bytes in written {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                if self.abandoned.load(Ordering::Acquire) {
                    return;
                }
                match (&self.stream).write(rest) {
                    Ok(count) => rest = &rest[count..],
                    Err(error) if is_patience(error.kind()) => {}
                    Err(_) => return,
                }
            }
        }
        if !self.abandoned.load(Ordering::Acquire) {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}

/// Nothing is wrong; the peer does not read.
fn is_patience(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
