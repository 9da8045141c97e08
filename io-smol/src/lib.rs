//! Quorate on smol: [`Client`] and its kin with the runtime filled in.
//!
//! Tasks run on smol's global executor, as `smol::spawn` does.
//!
//! ```no_run
//! use quorate_smol::{Client, bson::doc};
//!
//! # fn main() -> quorate_smol::error::Result<()> {
//! smol::block_on(async {
//!     let client = Client::with_uri_str("mongodb://localhost:27017/?replicaSet=rs0").await?;
//!     let orders = client.database("shop").collection("orders");
//!     orders.insert_one(doc! { "item": "pen", "qty": 3 }).await?;
//!     Ok(())
//! })
//! # }
//! ```

pub use quorate::*;

use futures::future::Either;
use smol::Timer;
use smol::net::{TcpStream, unix::UnixStream};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A client that runs on smol. Clone it freely: clones share their connections.
pub type Client = quorate::Client<Smol>;
/// A database of a [`Client`].
pub type Database = quorate::Database<Smol>;
/// A collection of a [`Database`].
pub type Collection<T> = quorate::Collection<T, Smol>;
/// The results of a query.
pub type Cursor<T> = quorate::Cursor<T, Smol>;
/// A session of a [`Client`].
pub type ClientSession = quorate::ClientSession<Smol>;
/// The results of a query that was run in a [`ClientSession`].
pub type SessionCursor<T> = quorate::SessionCursor<T, Smol>;

/// A TCP connection or a Unix domain socket.
pub type Socket = Either<TcpStream, UnixStream>;

/// The smol runtime: its global executor and reactor.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol;

impl Runtime for Smol {
    type Stream = Socket;
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        quorate::monotonic_now()
    }

    fn seed(&self) -> u64 {
        quorate::system_seed()
    }

    async fn connect(&self, address: ServerAddress) -> io::Result<Socket> {
        match &address {
            ServerAddress::Tcp { .. } => {
                let port = address.port().unwrap_or(quorate::DEFAULT_PORT);
                let stream = TcpStream::connect((address.host(), port)).await?;
                stream.set_nodelay(true)?;
                keep_alive(&stream)?;
                Ok(Either::Left(stream))
            }
            ServerAddress::Unix { path } => Ok(Either::Right(UnixStream::connect(path).await?)),
        }
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep(Timer::after(deadline - self.now()))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(task).detach();
    }

    fn name(&self) -> &'static str {
        "smol"
    }
}

/// Has the system find out when the other end is gone without a word.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let socket = socket2::SockRef::from(stream);
    let keepalive = socket2::TcpKeepalive::new().with_time(quorate::KEEP_ALIVE);
    #[cfg(any(target_vendor = "apple", target_os = "android", target_os = "linux", windows))]
    let keepalive = keepalive.with_interval(quorate::KEEP_ALIVE_AGAIN);
    socket.set_tcp_keepalive(&keepalive)?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    socket.set_tcp_user_timeout(Some(quorate::LONGEST_SILENCE))?;
    Ok(())
}

/// A smol timer that gives nothing back.
#[derive(Debug)]
pub struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}
