//! Moving bytes from one socket to the other, the way the faults in force want it.

use super::state::{Direction, Ending, Flow, Link, Shape, Shared};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a blocked write may keep a pump from noticing that its link is dead.
const NOTICE: Duration = Duration::from_millis(50);
/// Bytes a delay may hold; beyond that the sender is held back.
const DELAY_BUFFER: usize = 16 << 20;

/// Runs a link from its first byte to its end: both directions, each on its own thread.
pub(super) fn run_link(shared: &Arc<Shared>, link: &Arc<Link>) {
    if let Some(server) = connect(shared, link) {
        let back = {
            let (shared, link) = (Arc::clone(shared), Arc::clone(link));
            std::thread::spawn(move || {
                if let Some(server) = link.server.get() {
                    Pump::new(&shared, &link, Direction::ToClient).run(server, &link.client);
                }
            })
        };
        Pump::new(shared, link, Direction::ToServer).run(&link.client, server);
        let _ = back.join();
    }
    shared.remove_link(link.id);
}

/// Connects to the server as soon as bytes may flow there; whoever cannot be reached resets the client.
fn connect<'a>(shared: &Shared, link: &'a Link) -> Option<&'a TcpStream> {
    shared.wait_until_flowing(link, Direction::ToServer)?;
    let connected = TcpStream::connect(&shared.upstream).and_then(|server| {
        for socket in [&server, &link.client] {
            socket.set_nodelay(true)?;
            socket.set_write_timeout(Some(NOTICE))?;
        }
        Ok(server)
    });
    match connected {
        Ok(server) => Some(link.attach(server)),
        Err(_) => {
            link.end(Ending::Reset([false, true]));
            None
        }
    }
}

/// What waits for its time to leave.
enum Item {
    Bytes(Vec<u8>),
    End,
    Reset,
}

struct Pump<'a> {
    shared: &'a Shared,
    link: &'a Link,
    direction: Direction,
    waiting: VecDeque<(Instant, Item)>,
    held: usize,
    ended: bool,
    timed: bool,
}

impl<'a> Pump<'a> {
    fn new(shared: &'a Shared, link: &'a Link, direction: Direction) -> Self {
        Pump { shared, link, direction, waiting: VecDeque::new(), held: 0, ended: false, timed: false }
    }

    fn run(mut self, from: &TcpStream, to: &TcpStream) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            if !self.ended
                && self.held < DELAY_BUFFER
                && let Some(item) = self.read(from, &mut buffer)
            {
                self.ended = !matches!(item, Item::Bytes(_));
                self.held += match &item {
                    Item::Bytes(bytes) => bytes.len(),
                    _ => 0,
                };
                let delay = self.shared.shape(self.link, self.direction).delay;
                self.waiting.push_back((Instant::now() + delay, item));
            }
            if !self.deliver_due(to) {
                return;
            }
        }
    }

    /// Reads until bytes come, or the next waiting item is due.
    fn read(&mut self, mut from: &TcpStream, buffer: &mut [u8]) -> Option<Item> {
        let limit = self.waiting.front().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        match limit {
            Some(Duration::ZERO) => return None,
            None if !self.timed => {}
            limit => {
                let _ = from.set_read_timeout(limit.map(|l| l.max(Duration::from_millis(1))));
                self.timed = limit.is_some();
            }
        }
        match from.read(buffer) {
            Ok(0) => Some(Item::End),
            Ok(n) => Some(Item::Bytes(buffer[..n].to_vec())),
            Err(e) if retryable(&e) => None,
            Err(_) => Some(Item::Reset),
        }
    }

    /// Hands over what is due; `false` when this direction is finished.
    fn deliver_due(&mut self, to: &TcpStream) -> bool {
        loop {
            if self.link.dead() {
                return false;
            }
            let Some((due, _)) = self.waiting.front() else { return true };
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                if self.ended || self.held >= DELAY_BUFFER {
                    std::thread::sleep(left.min(NOTICE));
                    continue;
                }
                return true;
            }
            let Some(shape) = self.shared.wait_until_flowing(self.link, self.direction) else { return false };
            match self.waiting.pop_front() {
                Some((_, Item::Bytes(bytes))) => {
                    self.held -= bytes.len();
                    if shape.flow == Flow::Forward && !self.write(to, &bytes, shape) {
                        return false;
                    }
                }
                Some((_, Item::End)) => {
                    let _ = to.shutdown(Shutdown::Write);
                    return false;
                }
                _ => {
                    self.link.end(Ending::Reset([true, true]));
                    return false;
                }
            }
        }
    }

    fn write(&self, mut to: &TcpStream, bytes: &[u8], shape: Shape) -> bool {
        let (size, pause) = shape.chunk.unwrap_or((usize::MAX, Duration::ZERO));
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = &rest[..size.clamp(1, rest.len())];
            // Counted first: whoever has received a byte finds it counted.
            self.shared.count(self.direction, piece.len());
            let written = to.write(piece);
            self.shared.uncount(self.direction, piece.len() - written.as_ref().map_or(0, |n| *n));
            match written {
                Ok(n) => {
                    rest = &rest[n..];
                    if !pause.is_zero() {
                        std::thread::sleep(pause);
                    }
                }
                Err(e) if retryable(&e) => {}
                Err(e) => {
                    // After a half-close on demand the rest has nowhere to go; anything else is the receiver's reset.
                    if e.kind() != io::ErrorKind::BrokenPipe {
                        self.link.end(Ending::Reset([true, true]));
                    }
                    return false;
                }
            }
            if self.link.dead() {
                return false;
            }
        }
        true
    }
}

fn retryable(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}
