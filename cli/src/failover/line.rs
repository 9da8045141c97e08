//! A connection straight to one member, for probes and for the director: no driver, no topology, no pool, no retry.
//!
//! It shares nothing with the driver under test but the sockets and the clock of the runtime, and the encryption of bytes; its
//! wire code and its log-in are the harness's.

use bson::{Bson, Document};
use futures::future::{Either, select};
use futures::io::{AsyncReadExt, AsyncWriteExt};
use quorate::tls::{TlsConfig, TlsStream, handshake};
use quorate::{Runtime, ServerAddress};
use quorate_harness::Login;
use quorate_harness::wire::{self, HEADER_LEN, Header, MAX_MESSAGE, Message};
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

/// Why a command did not succeed.
#[derive(Debug)]
pub(super) enum LineError {
    /// The member could not be reached, broke off, did not answer in time, or answered nonsense. The line is of no more use.
    Io(io::Error),
    /// The member answered with an error of whatever kind; this is its whole answer.
    Server(Box<Document>),
}

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LineError::Io(error) => write!(f, "{error}"),
            LineError::Server(reply) => match (reply.get_str("errmsg"), reply.get_i32("code")) {
                (Ok(text), Ok(code)) => write!(f, "{text} (code {code})"),
                _ => write!(f, "{reply}"),
            },
        }
    }
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> Self {
        LineError::Io(error)
    }
}

/// What a deployment asks of whoever connects.
#[derive(Clone, Debug, Default)]
pub(super) struct Door {
    pub(super) tls: Option<TlsConfig>,
    pub(super) login: Option<Login>,
}

impl Door {
    /// Nothing.
    pub(super) const OPEN: Door = Door { tls: None, login: None };
}

/// The connection.
pub(super) struct Line<R: Runtime> {
    runtime: R,
    stream: Either<R::Stream, Box<TlsStream<R::Stream>>>,
    /// How long a command may take.
    limit: Duration,
    last_request: i32,
}

impl<R: Runtime> Line<R> {
    /// Connects, and logs in where that is asked for. `limit` bounds connecting and, afterwards, each command.
    pub(super) async fn open(
        runtime: &R,
        door: &Door,
        address: &ServerAddress,
        limit: Duration,
    ) -> Result<Self, LineError> {
        let mut line = Self::dial(runtime, door, address, limit).await?;
        if let Some(login) = &door.login {
            let reply = line.run(login.db(), login.start()).await?;
            line.run(login.db(), login.go_on(&reply)?).await?;
        }
        Ok(line)
    }

    /// Connects.
    pub(super) async fn dial(
        runtime: &R,
        door: &Door,
        address: &ServerAddress,
        limit: Duration,
    ) -> io::Result<Self> {
        let connect = async {
            let stream = runtime.connect(address.clone()).await?;
            Ok(match &door.tls {
                None => Either::Left(stream),
                Some(config) => {
                    let secured = handshake(config, address.host(), stream).await;
                    Either::Right(Box::new(secured.map_err(io::Error::other)?))
                }
            })
        };
        let stream = within(runtime, limit, connect).await?;
        Ok(Line { runtime: runtime.clone(), stream, limit, last_request: 0 })
    }

    /// Runs a command on a database.
    pub(super) async fn run(&mut self, db: &str, mut command: Document) -> Result<Document, LineError> {
        command.insert("$db", db);
        self.last_request = self.last_request.wrapping_add(1);
        let body = command.to_vec().map_err(io::Error::other)?;
        let bytes = wire::op_msg(self.last_request, 0, 0, &body);
        let runtime = self.runtime.clone();
        let reply = within(&runtime, self.limit, exchange(&mut self.stream, &bytes)).await?;
        if reply.header.response_to != self.last_request {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to another request").into());
        }
        let reply = reply.body()?;
        if is_success(&reply) { Ok(reply) } else { Err(LineError::Server(Box::new(reply))) }
    }
}

fn is_success(reply: &Document) -> bool {
    let ok = match reply.get("ok") {
        Some(Bson::Double(n)) => *n == 1.0,
        Some(Bson::Int32(n)) => *n == 1,
        _ => false,
    };
    ok && !reply.contains_key("writeErrors") && !reply.contains_key("writeConcernError")
}

async fn exchange(
    stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin),
    request: &[u8],
) -> io::Result<Message> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut head = [0; HEADER_LEN];
    stream.read_exact(&mut head).await?;
    let header = Header::from_bytes(head);
    let length = usize::try_from(header.length).unwrap_or(0);
    if !(HEADER_LEN..=MAX_MESSAGE).contains(&length) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a message of {} bytes", header.length),
        ));
    }
    let mut payload = vec![0; length - HEADER_LEN];
    stream.read_exact(&mut payload).await?;
    Ok(Message { header, payload })
}

/// The work's result, unless it takes longer than `limit`.
async fn within<T>(
    runtime: &impl Runtime,
    limit: Duration,
    work: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let end = runtime.sleep_until(runtime.now() + limit);
    match select(pin!(work), pin!(end)).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
