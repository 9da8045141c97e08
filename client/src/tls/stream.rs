//! Bytes through the TLS machine, and the handshake that comes before them.
//!
//! rustls holds one buffer each way. Reading: what the network gave is decrypted and copied to the caller. Writing: the
//! caller's bytes are encrypted into records, which go to the network at once as far as it takes them. Nothing is kept here
//! beside rustls' own buffers, and those are bounded (64 KiB out, one record in).

use super::config::{TlsConfig, tls};
use super::explain::Peer;
use futures::io::{AsyncRead, AsyncWrite};
use quorate_core::Error;
use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// How often one call reads from a network that always has something and never anything for the caller, before it lets
/// other tasks run. More than the reads a full record takes.
const MAX_PASSES: usize = 64;

/// A verified, encrypted stream over `S`.
///
/// As with any buffered stream, call `flush` after the last write of a message; a read sends what is left as well.
/// `close` tells the server that nothing more comes. An end of the stream without the server's own such word is the error
/// [`io::ErrorKind::UnexpectedEof`]: somebody may have cut it, and servers that are killed end so too.
///
/// Errors of TLS itself are of kind [`io::ErrorKind::InvalidData`], with the driver's [`Error`] inside. A server that asks for
/// a client certificate may say so only after the handshake (TLS 1.3), in answer to the first read, or just hang up (mongod).
#[derive(Debug)]
pub struct TlsStream<S> {
    io: S,
    tls: ClientConnection,
    peer: Peer,
    /// Whether the server ever sent a byte.
    heard: bool,
    /// Whether any of them was for the reader.
    talked: bool,
}

/// What can end a stream.
enum Failure {
    /// The network failed.
    Network(io::Error),
    /// The server, or somebody in its place, broke the protocol or failed a check.
    Tls(Error),
}

/// Makes `stream` a TLS stream to `host`: a name, or an IP address as the server's certificate has it.
///
/// Bounded by nothing but the stream: the caller drops the future when `connectTimeoutMS` has passed.
///
/// # Errors
/// [`ErrorKind::Tls`](quorate_core::ErrorKind::Tls) when the server cannot prove who it is, refuses the client, or does not
/// speak TLS. [`ErrorKind::Io`](quorate_core::ErrorKind::Io) when the network failed or the server closed the connection.
pub async fn handshake<S>(config: &TlsConfig, host: &str, stream: S) -> Result<TlsStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tls = ClientConnection::new(config.rustls.clone(), server_name(host)?)
        .map_err(|error| tls(format!("no handshake with {host} is possible: {error}")))?;
    let peer = Peer { host: host.to_owned(), config: config.clone() };
    let mut stream = TlsStream { io: stream, tls, peer, heard: false, talked: false };
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

/// The name to ask for and to look for in the certificate.
fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    // `[::1]` as in URIs, and `fe80::1%eth0` with a zone that means something on this machine only.
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let bare = match bare.split_once('%') {
        Some((address, _zone)) if address.contains(':') => address,
        _ => bare,
    };
    ServerName::try_from(bare.to_owned()).map_err(|_| {
        tls(format!("{host} is neither a DNS name nor an IP address, so no certificate can be for it"))
    })
}

impl<S> TlsStream<S> {
    /// The stream below.
    pub fn get_ref(&self) -> &S {
        &self.io
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        for _ in 0..MAX_PASSES {
            if let Err(error) = ready!(self.poll_drain(cx)) {
                return Poll::Ready(Err(self.refused_writing(cx, &error)));
            }
            if !self.tls.is_handshaking() {
                return Poll::Ready(Ok(()));
            }
            match ready!(self.poll_receive(cx)) {
                Ok(0) => return Poll::Ready(Err(self.peer.closed_in_handshake(self.heard))),
                Ok(_) => {}
                Err(Failure::Tls(error)) => return Poll::Ready(Err(error)),
                Err(Failure::Network(error)) => {
                    return Poll::Ready(Err(self.peer.network(&error, self.heard)));
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Why the server took no more: it may have said so before it closed.
    fn refused_writing(&mut self, cx: &mut Context<'_>, error: &io::Error) -> Error {
        match self.poll_receive(cx) {
            Poll::Ready(Err(Failure::Tls(reason))) => reason,
            _ => self.peer.network(error, self.heard),
        }
    }

    /// One read from the network, and everything rustls makes of it. 0 at the end of the stream.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, Failure>> {
        let count = match self.tls.read_tls(&mut Bridge { io: &mut self.io, cx }) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            Err(error) => return Poll::Ready(Err(Failure::Network(error))),
        };
        self.heard |= count > 0;
        // The version is agreed upon by the server's first message: without it, all that came was no TLS.
        let result = self.tls.process_new_packets();
        let outcome = match result {
            Ok(_) => Ok(count),
            Err(error) => {
                let answered = self.tls.protocol_version().is_some();
                Err(Failure::Tls(self.peer.explain(&error, answered)))
            }
        };
        self.send_what_goes(cx);
        Poll::Ready(outcome)
    }

    /// Sends what rustls has to say for itself (alerts, key updates) or what was never flushed, as far as that goes now.
    ///
    /// A failure is left for the next write to find: what the server sent before it hung up is still to be read.
    fn send_what_goes(&mut self, cx: &mut Context<'_>) {
        if self.tls.wants_write() {
            let _ = self.poll_send(cx);
        }
    }

    /// Hands all records made so far to the network.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tls.wants_write() {
            match self.tls.write_tls(&mut Bridge { io: &mut self.io, cx }) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// [`Self::poll_send`], and through the stream below if that holds bytes back.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Takes what `put` gives rustls, making room first where there is none.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        empty: bool,
        mut put: impl FnMut(&mut ClientConnection) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let mut count = put(&mut self.tls)?;
        if count == 0 && !empty {
            ready!(self.poll_send(cx))?;
            count = put(&mut self.tls)?;
        }
        if count == 0 && !empty {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        // Taken is taken: what the network does not accept now goes with the next write, read or flush.
        match self.poll_send(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(count)),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.send_what_goes(cx);
        for _ in 0..MAX_PASSES {
            match this.tls.reader().read(buf) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    let words = this.peer.cut_off(this.talked);
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, words)));
                }
                done => {
                    this.talked |= matches!(done, Ok(1..));
                    return Poll::Ready(done);
                }
            }
            match ready!(this.poll_receive(cx)) {
                // The end of the stream too: the reader says which kind of end it is.
                Ok(_) => {}
                Err(failure) => return Poll::Ready(Err(failure.into())),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_take(cx, buf.is_empty(), |tls| tls.writer().write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let empty = bufs.iter().all(|buf| buf.is_empty());
        self.get_mut().poll_take(cx, empty, |tls| tls.writer().write_vectored(bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Said once however often this is polled: rustls keeps count.
        this.tls.send_close_notify();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.io).poll_close(cx)
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Network(error) => error,
            Failure::Tls(error) => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// A stream and the task that polls it, as the blocking reader and writer rustls knows: not ready is `WouldBlock`.
struct Bridge<'a, 'b, S> {
    io: &'a mut S,
    cx: &'a mut Context<'b>,
}

fn or_would_block<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

impl<S: AsyncRead + Unpin> Read for Bridge<'_, '_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.io).poll_read(self.cx, buf))
    }
}

impl<S: AsyncWrite + Unpin> Write for Bridge<'_, '_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.io).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        or_would_block(Pin::new(&mut *self.io).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        or_would_block(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}
