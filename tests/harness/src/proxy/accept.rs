//! The thread that accepts, or does not.

use super::Identify;
use super::pump::run_link;
use super::state::{Accept, Shared};
use rustix::event::{PollFd, PollFlags, poll};
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

/// The queue of connections not accepted yet, while they are accepted.
const BACKLOG: i32 = 1024;
/// A connection attempt over the loopback that takes longer than this gets no answer at all.
const NO_ANSWER: Duration = Duration::from_millis(100);

pub(super) fn spawn(listener: TcpListener, shared: Arc<Shared>, identify: Identify) -> io::Result<()> {
    let (waker, woken) = UnixStream::pair()?;
    woken.set_nonblocking(true)?;
    shared.set_waker(waker);
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    rustix::net::listen(&listener, BACKLOG)?;
    let acceptor = Acceptor {
        address,
        shared,
        identify: Arc::from(identify),
        woken,
        unanswered: Vec::new(),
        silent: Vec::new(),
    };
    std::thread::Builder::new().name("harness-proxy".into()).spawn(move || acceptor.run(listener))?;
    Ok(())
}

struct Acceptor {
    address: SocketAddr,
    shared: Arc<Shared>,
    identify: Arc<dyn Fn(SocketAddr, SocketAddr) -> Option<usize> + Send + Sync>,
    woken: UnixStream,
    /// Connections of our own that keep the queue full.
    unanswered: Vec<TcpStream>,
    /// Connections accepted and left without an answer.
    silent: Vec<TcpStream>,
}

impl Acceptor {
    fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut mode = Accept::Forward;
        loop {
            let (wanted, closed) = {
                let state = self.shared.lock();
                (state.accept, state.closed)
            };
            if closed {
                return;
            }
            if wanted != mode {
                self.leave(mode, &mut listener, wanted);
                if wanted != Accept::Refuse && listener.is_none() {
                    // The port was taken meanwhile, which the range it is from makes unlikely: try until it is free.
                    std::thread::sleep(Duration::from_millis(10));
                    continue;
                }
                mode = wanted;
                self.enter(mode, &mut listener);
                self.shared.change(|state| state.accepting = mode);
            }
            match (&listener, mode) {
                (Some(listener), Accept::Forward | Accept::Silent | Accept::Close) => {
                    self.wait(listener);
                    while let Ok((client, peer)) = listener.accept() {
                        self.take(client, peer, mode);
                    }
                }
                _ => self.shared.wait_for_other_accept(mode),
            }
        }
    }

    /// Undoes what a mode did to the listening socket.
    fn leave(&mut self, mode: Accept, listener: &mut Option<TcpListener>, next: Accept) {
        match mode {
            Accept::Refuse => {
                if let Ok(again) = TcpListener::bind(self.address)
                    && again.set_nonblocking(true).is_ok()
                    && rustix::net::listen(&again, BACKLOG).is_ok()
                {
                    *listener = Some(again);
                }
            }
            Accept::BlackHole => {
                let Some(listener) = listener else { return };
                let _ = rustix::net::listen(&*listener, BACKLOG);
                let ours: Vec<_> = self.unanswered.drain(..).filter_map(|s| s.local_addr().ok()).collect();
                while let Ok((client, peer)) = listener.accept() {
                    if !ours.contains(&peer) {
                        self.take(client, peer, next);
                    }
                }
            }
            _ => self.silent.clear(),
        }
    }

    fn enter(&mut self, mode: Accept, listener: &mut Option<TcpListener>) {
        match (mode, &listener) {
            (Accept::Refuse, _) => *listener = None,
            (Accept::BlackHole, Some(listener)) => {
                let _ = rustix::net::listen(listener, 0);
                while let Ok(filler) = TcpStream::connect_timeout(&self.address, NO_ANSWER) {
                    self.unanswered.push(filler);
                }
            }
            _ => {}
        }
    }

    /// Waits for a connection or a change of mind.
    fn wait(&mut self, listener: &TcpListener) {
        let mut fds =
            [PollFd::new(listener, PollFlags::IN), PollFd::from_borrowed_fd(self.fd_woken(), PollFlags::IN)];
        let _ = poll(&mut fds, None);
        let mut sink = [0; 16];
        while matches!((&self.woken).read(&mut sink), Ok(n) if n > 0) {}
    }

    fn fd_woken(&self) -> std::os::fd::BorrowedFd<'_> {
        std::os::fd::AsFd::as_fd(&self.woken)
    }

    fn take(&mut self, client: TcpStream, peer: SocketAddr, mode: Accept) {
        match mode {
            Accept::Forward => {
                let _ = client.set_nonblocking(false);
                let (shared, identify, local) =
                    (Arc::clone(&self.shared), Arc::clone(&self.identify), self.address);
                std::thread::spawn(move || {
                    let origin = identify(peer, local);
                    if let Some(link) = shared.add_link(client, origin) {
                        run_link(&shared, &link);
                    }
                });
            }
            Accept::Silent => self.silent.push(client),
            Accept::Close | Accept::Refuse | Accept::BlackHole => {}
        }
    }
}
