//! Two ends of a byte stream in memory, as narrow and as slow as a test wants.

use futures::io::{AsyncRead, AsyncWrite};
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

/// One direction.
#[derive(Debug)]
struct Way {
    bytes: VecDeque<u8>,
    /// How many bytes may be under way.
    capacity: usize,
    /// How many one read or write moves.
    chunk: usize,
    /// Set by the writer: end of the stream, or this error.
    ended: Option<Result<(), io::ErrorKind>>,
    /// Set by a reader that is gone.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end; dropping it closes the stream.
#[derive(Debug)]
pub(super) struct End {
    incoming: Arc<Mutex<Way>>,
    outgoing: Arc<Mutex<Way>>,
}

/// A stream with `capacity` bytes of room each way that moves at most `chunk` bytes a call.
pub(super) fn pipe(capacity: usize, chunk: usize) -> (End, End) {
    let way = || {
        Arc::new(Mutex::new(Way {
            bytes: VecDeque::new(),
            capacity,
            chunk,
            ended: None,
            unread: false,
            reader: None,
            writer: None,
        }))
    };
    let (up, down) = (way(), way());
    (End { incoming: down.clone(), outgoing: up.clone() }, End { incoming: up, outgoing: down })
}

impl End {
    /// Ends the stream as if the network had failed.
    pub(super) fn fail(self, kind: io::ErrorKind) {
        self.outgoing.lock().unwrap().ended = Some(Err(kind));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let mut outgoing = self.outgoing.lock().unwrap();
        outgoing.ended.get_or_insert(Ok(()));
        wake(&mut outgoing.reader);
        drop(outgoing);
        let mut incoming = self.incoming.lock().unwrap();
        incoming.unread = true;
        wake(&mut incoming.writer);
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut way = self.incoming.lock().unwrap();
        let count = buf.len().min(way.chunk).min(way.bytes.len());
        if count > 0 {
            for (to, from) in buf.iter_mut().zip(way.bytes.drain(..count)) {
                *to = from;
            }
            wake(&mut way.writer);
            return Poll::Ready(Ok(count));
        }
        match way.ended {
            Some(Ok(())) => Poll::Ready(Ok(0)),
            Some(Err(kind)) => Poll::Ready(Err(kind.into())),
            None => {
                way.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut way = self.outgoing.lock().unwrap();
        if way.unread {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = way.capacity - way.bytes.len();
        let count = buf.len().min(way.chunk).min(room);
        if count == 0 && !buf.is_empty() {
            way.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        way.bytes.extend(&buf[..count]);
        wake(&mut way.reader);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut way = self.outgoing.lock().unwrap();
        way.ended.get_or_insert(Ok(()));
        wake(&mut way.reader);
        Poll::Ready(Ok(()))
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}
