//! Quorate on tokio: [`Client`] and its kin with the runtime filled in.
//!
//! ```no_run
//! use quorate_tokio::{Client, bson::doc};
//!
//! # async fn example() -> quorate_tokio::error::Result<()> {
//! let client = Client::with_uri_str("mongodb://localhost:27017/?replicaSet=rs0").await?;
//! let orders = client.database("shop").collection("orders");
//! orders.insert_one(doc! { "item": "pen", "qty": 3 }).await?;
//! # Ok(())
//! # }
//! ```

pub use quorate::*;

use futures::future::Either;
use std::future::Future;
use std::io;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

/// A client that runs on tokio. Clone it freely: clones share their connections.
pub type Client = quorate::Client<Tokio>;
/// A database of a [`Client`].
pub type Database = quorate::Database<Tokio>;
/// A collection of a [`Database`].
pub type Collection<T> = quorate::Collection<T, Tokio>;
/// The results of a query.
pub type Cursor<T> = quorate::Cursor<T, Tokio>;
/// A session of a [`Client`].
pub type ClientSession = quorate::ClientSession<Tokio>;
/// The results of a query that was run in a [`ClientSession`].
pub type SessionCursor<T> = quorate::SessionCursor<T, Tokio>;

/// A TCP connection or a Unix domain socket.
pub type Socket = Either<Compat<TcpStream>, Compat<UnixStream>>;

/// The tokio runtime. Every call must come from within one (tokio panics otherwise, as for its own types).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Runtime for Tokio {
    type Stream = Socket;
    type Sleep = tokio::time::Sleep;

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
                Ok(Either::Left(stream.compat()))
            }
            ServerAddress::Unix { path } => Ok(Either::Right(UnixStream::connect(path).await?.compat())),
        }
    }

    fn sleep_until(&self, deadline: Instant) -> tokio::time::Sleep {
        // Counted from now rather than from the epoch, so that a far deadline cannot overflow tokio's clock.
        tokio::time::sleep(deadline - self.now())
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(task));
    }

    fn name(&self) -> &'static str {
        "tokio"
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

/// The samples of the repository's README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
