//! Accepting connections, one thread each, until dropped.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
struct Open {
    accepted: u64,
    stopped: bool,
    clients: Vec<(u64, TcpStream)>,
}

#[derive(Debug)]
pub(super) struct Running {
    address: SocketAddr,
    open: Arc<Mutex<Open>>,
}

impl Running {
    /// `each` gets a connection and its number, from 1, and has it closed when it returns.
    pub(super) fn start(
        each: impl Fn(&TcpStream, u64) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let open = Arc::new(Mutex::new(Open::default()));
        let shared = Arc::clone(&open);
        let each = Arc::new(each);
        std::thread::Builder::new().name("hostile".into()).spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                let Some(number) = admit(&shared, &client) else { return };
                let (each, shared) = (Arc::clone(&each), Arc::clone(&shared));
                std::thread::spawn(move || {
                    let _ = client.set_nodelay(true);
                    let _ = each(&client, number);
                    // Before the clone goes that keeps it open, so that no kept copy delays the end.
                    lock(&shared).clients.retain(|(n, _)| *n != number);
                });
            }
        })?;
        Ok(Running { address, open })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn accepted(&self) -> u64 {
        lock(&self.open).accepted
    }
}

fn lock(open: &Mutex<Open>) -> std::sync::MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a connection in; `None` when the server has stopped.
fn admit(open: &Mutex<Open>, client: &TcpStream) -> Option<u64> {
    let mut open = lock(open);
    if open.stopped {
        return None;
    }
    open.accepted += 1;
    let number = open.accepted;
    if let Ok(copy) = client.try_clone() {
        open.clients.push((number, copy));
    }
    Some(number)
}

impl Drop for Running {
    fn drop(&mut self) {
        {
            let mut open = lock(&self.open);
            open.stopped = true;
            for (_, client) in open.clients.drain(..) {
                let _ = client.shutdown(Shutdown::Both);
            }
        }
        // Wakes the accepting thread, which then ends and closes the port.
        let _ = TcpStream::connect(self.address);
    }
}
