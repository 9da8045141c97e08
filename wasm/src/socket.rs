//! Byte streams the host opens.
//!
//! Reading is pulled, one chunk ahead: a host never buffers more for a connection than it would for itself, and a server
//! that closes an idle connection is noticed before that is used again. Writing waits for the host to take the bytes.

use crate::value::text_of;
use futures::channel::oneshot;
use futures::io::{AsyncRead, AsyncWrite};
use js_sys::{Promise, Uint8Array};
use quorate::{DEFAULT_PORT, ServerAddress};
use send_wrapper::SendWrapper;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** How the host opens connections. */
export interface Sockets {
  /** Opens a TCP connection, with no delay on small writes. Rejects when that fails. */
  connect(host: string, port: number): Promise<Socket>;
}

/** An open connection. */
export interface Socket {
  /** The next bytes, `undefined` at the end of the stream. Not called again before its promise has settled. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when more can be written. Not called again before that. */
  write(bytes: Uint8Array): Promise<void>;
  /** Closes it at once; a `read` under way must settle. */
  close(): void;
}
"#;

#[wasm_bindgen]
extern "C" {
    /// How the host opens connections.
    #[wasm_bindgen(typescript_type = "Sockets")]
    #[derive(Debug)]
    pub type Sockets;

    #[wasm_bindgen(method, structural, catch)]
    fn connect(this: &Sockets, host: &str, port: u16) -> Result<Promise, JsValue>;

    type Socket;

    #[wasm_bindgen(method, structural, catch)]
    fn read(this: &Socket) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    fn write(this: &Socket, bytes: Uint8Array) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, structural, catch)]
    fn close(this: &Socket) -> Result<(), JsValue>;
}

/// An open connection. Dropping it closes it.
pub struct Stream(SendWrapper<Inner>);

struct Inner {
    socket: Socket,
    /// The read under way; `None` after the end.
    reading: Option<JsFuture>,
    chunk: Uint8Array,
    /// How much of the chunk has been given away.
    taken: u32,
    writing: Option<JsFuture>,
}

impl Stream {
    /// Opens a connection. If nobody waits for it any more when it is there, it is closed.
    pub(crate) async fn open(sockets: &Sockets, address: &ServerAddress) -> io::Result<Self> {
        if matches!(address, ServerAddress::Unix { .. }) {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "no Unix domain sockets under WebAssembly",
            ));
        }
        let port = address.port().unwrap_or(DEFAULT_PORT);
        let opening = future_of(sockets.connect(address.host(), port));
        let (tell, told) = oneshot::channel();
        wasm_bindgen_futures::spawn_local(async move {
            let stream = opening.await.map(|socket| Stream::new(socket.unchecked_into()));
            // A stream that comes back ends here.
            let _ = tell.send(stream);
        });
        match told.await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(io::Error::new(io::ErrorKind::ConnectionRefused, text_of(&error))),
            Err(oneshot::Canceled) => Err(io::ErrorKind::Interrupted.into()),
        }
    }

    fn new(socket: Socket) -> Self {
        let reading = Some(future_of(socket.read()));
        let inner = Inner { socket, reading, chunk: Uint8Array::default(), taken: 0, writing: None };
        Stream(SendWrapper::new(inner))
    }
}

/// What a host's method promises; one that throws has promised to fail.
fn future_of(promise: Result<Promise, JsValue>) -> JsFuture {
    promise.unwrap_or_else(|error| Promise::reject(&error)).into()
}

impl Inner {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.taken >= self.chunk.length() {
            let Some(reading) = &mut self.reading else { return Poll::Ready(Ok(0)) };
            let read = ready!(Pin::new(reading).poll(cx));
            self.reading = None;
            match read {
                Ok(end) if end.is_undefined() || end.is_null() => {}
                Ok(chunk) => {
                    self.chunk = chunk.dyn_into().map_err(|_| {
                        io::Error::new(io::ErrorKind::InvalidData, "the host's read() gave no Uint8Array")
                    })?;
                    self.taken = 0;
                    self.reading = Some(future_of(self.socket.read()));
                }
                Err(error) => return Poll::Ready(Err(reset(&error))),
            }
        }
        let room = u32::try_from(buffer.len()).unwrap_or(u32::MAX);
        let end = self.chunk.length().min(self.taken.saturating_add(room));
        let part = self.chunk.subarray(self.taken, end);
        let count = part.length() as usize;
        part.copy_to(&mut buffer[..count]);
        self.taken = end;
        Poll::Ready(Ok(count))
    }

    /// Ready when the host has taken what it was given.
    fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(writing) = &mut self.writing {
            let written = ready!(Pin::new(writing).poll(cx));
            self.writing = None;
            written.map_err(|error| reset(&error))?;
        }
        Poll::Ready(Ok(()))
    }
}

fn reset(error: &JsValue) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, text_of(error))
}

impl Drop for Inner {
    fn drop(&mut self) {
        // A host that cannot even close has nobody to tell.
        let _ = self.socket.close();
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.0.poll_written(cx))?;
        // A copy: the host may hold on to it, and this module's memory moves when it grows.
        let writing = future_of(self.0.socket.write(Uint8Array::from(bytes)));
        self.0.writing = Some(writing);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_written(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_written(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("ended", &self.0.reading.is_none()).finish_non_exhaustive()
    }
}
