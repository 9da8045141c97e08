//! A blocking client of one server, for the harness's own errands: no topology, no pool, no retry.

use crate::wire::{self, Message};
use bson::{Document, doc};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Why a command did not succeed.
#[derive(Debug)]
pub enum AdminError {
    /// The server could not be reached, broke off, did not answer in time, or answered nonsense.
    Io(io::Error),
    /// The server answered `ok: 0`, or with a write error or a write concern error; this is its whole answer.
    Server(Document),
}

impl AdminError {
    /// The server's error code, when it is the server's error.
    pub fn code(&self) -> Option<i32> {
        match self {
            AdminError::Io(_) => None,
            AdminError::Server(reply) => code_of(reply)
                .or_else(|| reply.get_document("writeConcernError").ok().and_then(code_of))
                .or_else(|| {
                    let first = reply.get_array("writeErrors").ok()?.first()?;
                    code_of(first.as_document()?)
                }),
        }
    }
}

fn code_of(document: &Document) -> Option<i32> {
    document.get_i32("code").ok()
}

impl std::fmt::Display for AdminError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AdminError::Io(e) => write!(f, "{e}"),
            AdminError::Server(reply) => match reply.get_str("errmsg") {
                Ok(text) => write!(f, "{text} (code {:?})", self.code()),
                Err(_) => write!(f, "{reply}"),
            },
        }
    }
}

impl std::error::Error for AdminError {}

impl From<io::Error> for AdminError {
    fn from(e: io::Error) -> Self {
        AdminError::Io(e)
    }
}

/// One connection to one server.
///
/// After an [`AdminError::Io`] the connection is of no more use (an answer may still be owed on it): connect again.
#[derive(Debug)]
pub struct Admin {
    stream: Stream,
    timeout: Duration,
    last_request: i32,
    broken: bool,
}

/// A socket, encrypted or not.
#[derive(Debug)]
enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    fn open(tcp: TcpStream, host: &str, tls: Option<&Arc<ClientConfig>>) -> io::Result<Self> {
        let Some(config) = tls else { return Ok(Stream::Plain(tcp)) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, tcp))))
    }

    fn tcp(&self) -> &TcpStream {
        match self {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => tls.get_ref(),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(tcp) => tcp.write_all(bytes),
            Stream::Tls(tls) => tls.write_all(bytes).and_then(|()| tls.flush()),
        }
    }

    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(tcp) => io::Read::read(tcp, buf),
            Stream::Tls(tls) => io::Read::read(&mut **tls, buf),
        }
    }
}

impl Admin {
    /// Connects to `address` (`host:port`). `timeout` bounds the connecting and, afterwards, each command.
    ///
    /// # Errors
    /// When the name cannot be resolved or nobody accepts in time.
    pub fn connect(address: &str, timeout: Duration) -> io::Result<Self> {
        Self::dial(address, timeout, None)
    }

    /// As [`Admin::connect`], over TLS where a configuration is given. The handshake takes place with the first command.
    pub(crate) fn dial(
        address: &str,
        timeout: Duration,
        tls: Option<&Arc<ClientConfig>>,
    ) -> io::Result<Self> {
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let mut last = io::Error::new(io::ErrorKind::NotFound, format!("{address} has no address"));
        for candidate in address.to_socket_addrs()? {
            match connect_addr(candidate, timeout) {
                Ok(tcp) => {
                    let stream = Stream::open(tcp, host, tls)?;
                    return Ok(Admin { stream, timeout, last_request: 0, broken: false });
                }
                Err(e) => last = e,
            }
        }
        Err(last)
    }

    /// Whether the connection was neither closed by the server nor spoilt, as far as can be told without asking.
    pub fn is_usable(&self) -> bool {
        let tcp = self.stream.tcp();
        if self.broken || tcp.set_nonblocking(true).is_err() {
            return false;
        }
        let quiet = matches!(tcp.peek(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock);
        quiet && tcp.set_nonblocking(false).is_ok()
    }

    /// Changes the time a command may take from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout.max(Duration::from_millis(1));
    }

    /// Runs a command on a database and returns the server's answer.
    ///
    /// # Errors
    /// [`AdminError::Server`] when the answer has `ok: 0`, `writeErrors` or a `writeConcernError`; [`AdminError::Io`]
    /// when there was no answer within the timeout.
    pub fn run(&mut self, db: &str, command: Document) -> Result<Document, AdminError> {
        let reply = self.exchange(db, command)?;
        let ok = match reply.get("ok") {
            Some(bson::Bson::Double(n)) => *n == 1.0,
            Some(bson::Bson::Int32(n)) => *n == 1,
            Some(bson::Bson::Int64(n)) => *n == 1,
            Some(bson::Bson::Boolean(b)) => *b,
            _ => false,
        };
        if ok && !reply.contains_key("writeErrors") && !reply.contains_key("writeConcernError") {
            Ok(reply)
        } else {
            Err(AdminError::Server(reply))
        }
    }

    /// `hello`.
    ///
    /// # Errors
    /// As [`Admin::run`].
    pub fn hello(&mut self) -> Result<Document, AdminError> {
        self.run("admin", doc! { "hello": 1 })
    }

    fn exchange(&mut self, db: &str, mut command: Document) -> io::Result<Document> {
        if self.broken {
            return Err(io::Error::new(
                io::ErrorKind::NotConnected,
                "an answer is still owed on this connection",
            ));
        }
        self.broken = true;
        command.insert("$db", db);
        let body =
            command.to_vec().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e.to_string()))?;
        self.last_request = self.last_request.wrapping_add(1);
        let deadline = Instant::now() + self.timeout;
        self.stream.tcp().set_write_timeout(Some(self.timeout))?;
        // The first write over TLS waits for the server's half of the handshake.
        self.stream.tcp().set_read_timeout(Some(self.timeout))?;
        self.stream.write_all(&wire::op_msg(self.last_request, 0, 0, &body))?;
        let answer = Message::read(&mut Until { stream: &mut self.stream, deadline })?
            .ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        if answer.header.response_to != self.last_request {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an answer to another request"));
        }
        let reply = answer.body()?;
        self.broken = false;
        Ok(reply)
    }
}

fn connect_addr(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout.max(Duration::from_millis(1)))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// A stream read with one deadline over all its reads.
struct Until<'a> {
    stream: &'a mut Stream,
    deadline: Instant,
}

impl io::Read for Until<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream.tcp().set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        self.stream.read(buf)
    }
}
