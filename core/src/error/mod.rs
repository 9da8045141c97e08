//! What can go wrong, by culprit.
//!
//! One error type for the whole driver. [`ErrorKind`] says what happened and to whom it is due: the caller
//! (`InvalidArgument`, `ConnectionString`), the network (`Io`), the server's answer (`Command`, `Write`), a server that does
//! not keep the protocol (`InvalidResponse`), a deployment that cannot serve the call (`ServerSelection`,
//! `Incompatible`), or the driver stepping in (`Interrupted`, `ConnectionPoolCleared`, `Timeout`). Labels say what may be done
//! about it ([`labels`]).

mod codes;
mod server;

pub use codes::{
    is_node_recovering, is_node_shutting_down, is_not_writable_primary, is_retryable_read, is_retryable_write,
};
pub use server::{
    BulkWriteError, CommandError, IndexedWriteError, InsertManyError, WriteConcernError, WriteError,
    WriteFailure,
};

use crate::ServerAddress;
use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The result of nearly everything here.
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// Error labels that servers and drivers put on errors.
pub mod labels {
    /// The write may be sent again with the same transaction number (retryable writes specification).
    pub const RETRYABLE_WRITE_ERROR: &str = "RetryableWriteError";
    /// The first attempt certainly wrote nothing (retryable writes specification).
    pub const NO_WRITES_PERFORMED: &str = "NoWritesPerformed";
    /// The whole transaction may be run again.
    pub const TRANSIENT_TRANSACTION_ERROR: &str = "TransientTransactionError";
    /// Whether the commit took place is not known; it may be sent again.
    pub const UNKNOWN_TRANSACTION_COMMIT_RESULT: &str = "UnknownTransactionCommitResult";
    /// A change stream may be resumed.
    pub const RESUMABLE_CHANGE_STREAM_ERROR: &str = "ResumableChangeStreamError";
    /// The server refused for load; the same command may be sent again after a pause (client backpressure).
    pub const SYSTEM_OVERLOADED_ERROR: &str = "SystemOverloadedError";
    /// The failed command can be sent again whatever it was (client backpressure).
    pub const RETRYABLE_ERROR: &str = "RetryableError";
}

/// An error: its kind, its labels, and the server it came from or was about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Error {
    /// What happened.
    pub kind: Box<ErrorKind>,
    labels: Vec<Cow<'static, str>>,
    server: Option<ServerAddress>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An option or argument that cannot be: nothing was sent.
    #[error("{message}")]
    InvalidArgument {
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// A connection string that cannot be read.
    #[error("invalid connection string: {part}: {message}")]
    ConnectionString {
        /// Which part: `scheme`, `host list`, `user name`, an option's name ...
        part: String,
        /// What is wrong with it.
        message: String,
    },
    /// No suitable server within `serverSelectionTimeoutMS`; the message shows the topology and each server's state.
    #[error("{message}")]
    ServerSelection {
        /// What was wanted, how long it waited, and what each server is.
        message: String,
    },
    /// The network failed: refused, reset, closed, timed out.
    #[error("{0}")]
    Io(IoError),
    /// The connection pool was cleared, so that this call never got (or lost) its connection.
    #[error("connection pool cleared: {message}")]
    ConnectionPoolCleared {
        /// Why.
        message: String,
    },
    /// No connection became free within `waitQueueTimeoutMS`.
    #[error("timed out after {waited_ms} ms waiting for a free connection: {message}")]
    WaitQueueTimeout {
        /// How long it waited, in milliseconds.
        waited_ms: u64,
        /// The state of the pool.
        message: String,
    },
    /// The call's own deadline passed.
    #[error("operation exceeded its deadline: {message}")]
    Timeout {
        /// What it was doing.
        message: String,
    },
    /// The driver ended the call because its server hung while a newer primary took over.
    #[error("operation interrupted: {message}")]
    Interrupted {
        /// Why, and what is known of the outcome.
        message: String,
    },
    /// Credentials were refused, or the mechanism cannot be used.
    #[error("authentication failed: {message}")]
    Authentication {
        /// Mechanism and reason; never the password.
        message: String,
    },
    /// TLS could not be set up.
    #[error("TLS: {message}")]
    Tls {
        /// What failed.
        message: String,
    },
    /// The server answered `ok: 0`.
    #[error("{0}")]
    Command(CommandError),
    /// A single write failed, or was not confirmed as its write concern asks.
    #[error("{0}")]
    Write(WriteFailure),
    /// Some of the documents of an `insert_many` were not inserted.
    #[error("{0}")]
    InsertMany(InsertManyError),
    /// Some of the operations of a bulk write failed.
    #[error("{0}")]
    BulkWrite(BulkWriteError),
    /// A server sent something the protocol does not allow.
    #[error("invalid response from server: {message}")]
    InvalidResponse {
        /// What was wrong.
        message: String,
    },
    /// A server that calls itself primary, or was taken for it, while a newer one is known (SDAM specification, "error").
    #[error("{message}")]
    StalePrimary {
        /// By what it was found out.
        message: String,
    },
    /// A server too old or too new for this driver.
    #[error("{message}")]
    Incompatible {
        /// Wire versions and what would help.
        message: String,
    },
    /// A name could not be looked up.
    #[error("name look-up failed: {message}")]
    DnsResolve {
        /// Name and reason.
        message: String,
    },
    /// Sessions were asked for and the deployment has none.
    #[error("sessions are not supported by this deployment")]
    SessionsNotSupported,
    /// A transaction was used in a way that cannot be.
    #[error("transaction: {message}")]
    Transaction {
        /// What was wrong.
        message: String,
    },
    /// A value could not be written as BSON.
    #[error("cannot encode as BSON: {message}")]
    BsonSerialization {
        /// The serializer's words.
        message: String,
    },
    /// A server's document could not be read as the asked-for type.
    #[error("cannot decode BSON: {message}")]
    BsonDeserialization {
        /// The deserializer's words.
        message: String,
    },
    /// The client has been shut down.
    #[error("the client has been shut down")]
    Shutdown,
}

/// A network failure, as far as the driver distinguishes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IoError {
    /// Which kind.
    pub kind: IoErrorKind,
    /// The host's words.
    pub message: String,
}

/// The kinds of network failure the specifications tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IoErrorKind {
    /// The connection could not be made: refused, unreachable, name unknown.
    Connect,
    /// The peer closed the connection.
    Closed,
    /// The connection was reset, or failed in another way.
    Reset,
    /// Nothing came in time.
    TimedOut,
}

impl fmt::Display for IoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error {
    /// An error of that kind, with no labels and no server yet.
    pub fn new(kind: ErrorKind) -> Self {
        Error { kind: Box::new(kind), labels: Vec::new(), server: None }
    }

    /// [`ErrorKind::InvalidArgument`].
    pub fn invalid_argument(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidArgument { message: message.into() })
    }

    /// [`ErrorKind::InvalidResponse`].
    pub fn invalid_response(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidResponse { message: message.into() })
    }

    /// [`ErrorKind::ConnectionString`].
    pub fn connection_string(part: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::ConnectionString { part: part.into(), message: message.into() })
    }

    /// [`ErrorKind::Io`].
    pub fn io(kind: IoErrorKind, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Io(IoError { kind, message: message.into() }))
    }

    /// The same error, said to be about `server`.
    #[must_use]
    pub fn with_server(mut self, server: ServerAddress) -> Self {
        self.server = Some(server);
        self
    }

    /// The same error with one more label.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<Cow<'static, str>>) -> Self {
        self.add_label(label);
        self
    }

    /// Adds a label, once.
    pub fn add_label(&mut self, label: impl Into<Cow<'static, str>>) {
        let label = label.into();
        if !self.labels.contains(&label) {
            self.labels.push(label);
        }
    }

    /// Takes a label away.
    pub fn remove_label(&mut self, label: &str) {
        self.labels.retain(|have| have != label);
    }

    /// Whether the error carries that label.
    pub fn contains_label(&self, label: impl AsRef<str>) -> bool {
        self.labels.iter().any(|have| have == label.as_ref())
    }

    /// The labels.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.labels.iter().map(|label| &**label)
    }

    /// The server it came from or was about.
    pub const fn server_address(&self) -> Option<&ServerAddress> {
        self.server.as_ref()
    }

    /// The server's error code: of the failed command, or of the write concern error or write error, in that order.
    pub fn code(&self) -> Option<i32> {
        match &*self.kind {
            ErrorKind::Command(error) => Some(error.code),
            ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some(error.code),
            ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
            ErrorKind::InsertMany(InsertManyError { write_concern_error: Some(error), .. }) => {
                Some(error.code)
            }
            ErrorKind::BulkWrite(error) => error.write_concern_errors.first().map(|e| e.code),
            _ => None,
        }
    }

    /// Whether the network failed (SDAM specification, "Network error": a timeout counts).
    pub fn is_network(&self) -> bool {
        matches!(*self.kind, ErrorKind::Io(_))
    }

    /// Whether the network failed because nothing came in time.
    pub fn is_network_timeout(&self) -> bool {
        matches!(&*self.kind, ErrorKind::Io(io) if io.kind == IoErrorKind::TimedOut)
    }

    /// Whether the only thing wrong is that a write concern was not satisfied within `wtimeout`: the write itself took
    /// place on the primary and may yet become replicated.
    pub fn is_write_concern_timeout(&self) -> bool {
        matches!(&*self.kind, ErrorKind::Write(WriteFailure::WriteConcernError(e)) if e.is_timeout())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{} (server {server})", self.kind),
            None => fmt::Display::fmt(&self.kind, f),
        }
    }
}

impl core::error::Error for Error {}

impl PartialEq for Error {
    /// Equal in kind, labels and server. (Two topologies are compared with this.)
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.labels == other.labels && self.server == other.server
    }
}

#[cfg(feature = "bson")]
impl From<bson::error::Error> for Error {
    /// Which of the two it was is not always known; an error that names no direction counts as one of writing.
    fn from(error: bson::error::Error) -> Self {
        let message = alloc::string::ToString::to_string(&error);
        Error::new(match error.kind {
            bson::error::ErrorKind::Deserialization { .. }
            | bson::error::ErrorKind::EndOfStream { .. }
            | bson::error::ErrorKind::MalformedBytes { .. } => ErrorKind::BsonDeserialization { message },
            _ => ErrorKind::BsonSerialization { message },
        })
    }
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Error::new(kind)
    }
}
