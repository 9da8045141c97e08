//! Commands: sent, answered, failed.
//!
//! Source: command logging and monitoring specification.

use crate::{Duration, Error, ServerAddress};
use alloc::string::String;

/// A command or reply in an event: the `bson` crate's document with the feature `bson`, else BSON bytes.
#[cfg(feature = "bson")]
pub type CommandDocument = bson::Document;
/// A command or reply in an event: the `bson` crate's document with the feature `bson`, else BSON bytes.
#[cfg(not(feature = "bson"))]
pub type CommandDocument = alloc::vec::Vec<u8>;

/// The connection a command went over.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// The driver's number for it, within its pool.
    pub id: u32,
    /// The server's number for it, where it told.
    pub server_id: Option<i64>,
    /// The server.
    pub address: ServerAddress,
}

impl ConnectionInfo {
    /// Names a connection.
    pub const fn new(id: u32, server_id: Option<i64>, address: ServerAddress) -> Self {
        ConnectionInfo { id, server_id, address }
    }
}

/// A command is about to be sent. `D` is the form documents have.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CommandStartedEvent<D = CommandDocument> {
    /// The command, document sequences put back into it as arrays; empty where it holds secrets ([`is_sensitive`]).
    pub command: D,
    /// The database it runs on.
    pub db: String,
    /// Its name.
    pub command_name: String,
    /// The id in the message's header: the same for the started event and for that of its end.
    pub request_id: i32,
    /// The connection.
    pub connection: ConnectionInfo,
    /// The service behind a load balancer.
    pub service_id: Option<[u8; 12]>,
}

/// A command was answered with `ok: 1` (write errors and write concern errors included).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CommandSucceededEvent<D = CommandDocument> {
    /// From before it was sent to the end of its reply.
    pub duration: Duration,
    /// The reply; empty where it holds secrets.
    pub reply: D,
    /// The command's name.
    pub command_name: String,
    /// As in the started event.
    pub request_id: i32,
    /// The connection.
    pub connection: ConnectionInfo,
    /// The service behind a load balancer.
    pub service_id: Option<[u8; 12]>,
}

/// A command was answered with `ok: 0`, or not at all.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CommandFailedEvent {
    /// From before it was sent.
    pub duration: Duration,
    /// The command's name.
    pub command_name: String,
    /// Why.
    pub failure: Error,
    /// As in the started event.
    pub request_id: i32,
    /// The connection.
    pub connection: ConnectionInfo,
    /// The service behind a load balancer.
    pub service_id: Option<[u8; 12]>,
}

/// Something happened to a command.
#[derive(Clone, Debug, PartialEq)]
pub enum CommandEvent<D = CommandDocument> {
    /// It is about to be sent.
    Started(CommandStartedEvent<D>),
    /// It succeeded.
    Succeeded(CommandSucceededEvent<D>),
    /// It failed.
    Failed(CommandFailedEvent),
}

/// Whether commands of that name carry secrets, so that neither they nor their replies are shown ("Security").
///
/// ```
/// use quorate_core::event::command::is_sensitive;
/// assert!(is_sensitive("saslStart") && !is_sensitive("insert"));
/// ```
pub fn is_sensitive(command_name: &str) -> bool {
    const SECRET: [&str; 9] = [
        "authenticate",
        "saslStart",
        "saslContinue",
        "getnonce",
        "createUser",
        "updateUser",
        "copydbgetnonce",
        "copydbsaslstart",
        "copydb",
    ];
    SECRET.iter().any(|name| name.eq_ignore_ascii_case(command_name))
}

macro_rules! constructors {
    ($name:ident<$d:ident> { $($field:ident: $type:ty),* $(,)? }) => {
        impl<$d> $name<$d> {
            /// An event of these fields.
            #[allow(clippy::too_many_arguments, reason = "an event is its fields")]
            pub const fn new($($field: $type),*) -> Self {
                $name { $($field),* }
            }
        }
    };
}

constructors!(CommandStartedEvent<D> {
    command: D,
    db: String,
    command_name: String,
    request_id: i32,
    connection: ConnectionInfo,
    service_id: Option<[u8; 12]>,
});
constructors!(CommandSucceededEvent<D> {
    duration: Duration,
    reply: D,
    command_name: String,
    request_id: i32,
    connection: ConnectionInfo,
    service_id: Option<[u8; 12]>,
});

impl CommandFailedEvent {
    /// An event of these fields.
    pub const fn new(
        duration: Duration,
        command_name: String,
        failure: Error,
        request_id: i32,
        connection: ConnectionInfo,
        service_id: Option<[u8; 12]>,
    ) -> Self {
        CommandFailedEvent { duration, command_name, failure, request_id, connection, service_id }
    }
}
