//! What a server says of itself: the reply to `hello` and to legacy hello.
//!
//! One flat walk over the bytes. Servers of all versions differ in which fields they send and in how they write
//! numbers, so an absent or null field is never an error and any whole number is taken as one. A field of a wrong
//! type, a number that cannot be, or more of anything than a deployment can have is an error that names the field.
//!
//! Source: SDAM specification, "Parsing a hello or legacy hello response"; handshake specification.

mod fields;
mod reader;

pub use reader::HelloReader;

use crate::error::{CommandError, ErrorKind};
use crate::raw::{RawDoc, RawError, Timestamp, Value};
use crate::sdam::{MAX_SERVERS, ServerType, TopologyVersion};
use crate::shared::Arc;
use crate::{ClusterTime, Error, ServerAddress};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use fields::Field;

/// Most members one reply may name in all, as a topology has no room for more. A replica set has 50 at the most; proxies and
/// simulations may go beyond. Each costs two monitoring connections, so a server that names thousands would use up this
/// process's sockets.
pub const MAX_HOSTS: usize = MAX_SERVERS;

/// The largest message any server takes, in bytes. A server that claims more is believed up to here only, so that it
/// cannot make this client set aside more memory.
pub const MAX_MESSAGE_SIZE_BYTES: i32 = 48_000_000;

/// A larger refusal is not kept beside its error, in bytes.
const MAX_KEPT_REPLY: usize = 64 * 1024;

/// A reply to `hello` or legacy hello, read and checked.
#[derive(Clone, Debug, PartialEq, Default)]
#[non_exhaustive]
pub struct HelloReply {
    /// `ok: 1`. When false, only the error fields and `topology_version` mean anything.
    pub ok: bool,
    /// `isWritablePrimary`, or `ismaster` where that is absent.
    pub is_writable_primary: bool,
    /// The server understands `hello`, so that legacy hello need not be used again.
    pub hello_ok: bool,
    /// It is a secondary.
    pub secondary: bool,
    /// It is an arbiter.
    pub arbiter_only: bool,
    /// It is hidden from clients.
    pub hidden: bool,
    /// It has priority 0.
    pub passive: bool,
    /// It was started as a member and has no configuration (or was removed from it).
    pub is_replica_set: bool,
    /// `msg: "isdbgrid"`: it is a mongos.
    pub is_mongos: bool,
    /// It is a mongocryptd.
    pub is_cryptd: bool,
    /// Members that are neither passive nor arbiters.
    pub hosts: Arc<[ServerAddress]>,
    /// Members of priority 0.
    pub passives: Arc<[ServerAddress]>,
    /// Arbiters.
    pub arbiters: Arc<[ServerAddress]>,
    /// Whom it takes for the primary.
    pub primary: Option<Arc<ServerAddress>>,
    /// Its own address in the replica set's configuration.
    pub me: Option<Arc<ServerAddress>>,
    /// Name of the replica set.
    pub set_name: Option<Arc<str>>,
    /// Version of the replica set's configuration.
    pub set_version: Option<i64>,
    /// The election that made it primary.
    pub election_id: Option<[u8; 12]>,
    /// Replica set tags.
    pub tags: Arc<BTreeMap<String, String>>,
    /// Lowest wire protocol version; 0 when absent.
    pub min_wire_version: i32,
    /// Highest wire protocol version; 0 when absent.
    pub max_wire_version: i32,
    /// `lastWrite.lastWriteDate`, in milliseconds since 1970.
    pub last_write_date: Option<i64>,
    /// `lastWrite.opTime.ts`.
    pub op_time: Option<Timestamp>,
    /// How long it keeps idle sessions, in minutes.
    pub logical_session_timeout_minutes: Option<i64>,
    /// Its topology version (4.4 and later).
    pub topology_version: Option<TopologyVersion>,
    /// Largest document, in bytes.
    pub max_bson_object_size: Option<i32>,
    /// Largest message, in bytes, never above [`MAX_MESSAGE_SIZE_BYTES`].
    pub max_message_size_bytes: Option<i32>,
    /// Most writes in one command.
    pub max_write_batch_size: Option<i32>,
    /// The server's number for this connection.
    pub connection_id: Option<i64>,
    /// Which service behind a load balancer answered.
    pub service_id: Option<[u8; 12]>,
    /// Compressors it shares with this client, in its order.
    pub compression: Arc<[String]>,
    /// Mechanisms the user may authenticate with, when asked for.
    pub sasl_supported_mechs: Option<Arc<[String]>>,
    /// The server's answer to speculative authentication, as BSON bytes.
    pub speculative_authenticate: Option<Arc<[u8]>>,
    /// `$clusterTime`.
    pub cluster_time: Option<ClusterTime>,
    /// Why `ok` is not 1.
    pub failure: Option<CommandError>,
}

impl HelloReply {
    /// Reads a reply.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidResponse`] naming the field, when the bytes are no BSON, a field has the wrong type, a
    /// number is out of its range, or a list or text is longer than any deployment's.
    pub fn parse(doc: RawDoc<'_>) -> Result<HelloReply, Error> {
        let mut reply = HelloReply::default();
        let mut parts = Parts::default();
        for element in doc.fields() {
            let (name, value) = element.map_err(malformed)?;
            reply.take(Field { name, value }, &mut parts)?;
        }
        let total = reply.hosts.len() + reply.passives.len() + reply.arbiters.len();
        if total > MAX_HOSTS {
            return Err(Error::invalid_response(alloc::format!(
                "hello: {total} members, more than {MAX_HOSTS}"
            )));
        }
        // "Drivers MUST first check for the isWritablePrimary field and fall back to checking for an ismaster field".
        reply.is_writable_primary = parts.is_writable_primary.or(parts.is_master).unwrap_or(false);
        if !reply.ok {
            let kept =
                if doc.as_bytes().len() <= MAX_KEPT_REPLY { doc.as_bytes().to_vec() } else { Vec::new() };
            reply.failure = Some(CommandError::new(parts.code, parts.code_name, parts.message, kept));
        }
        Ok(reply)
    }

    /// What the server is (SDAM specification, "type").
    pub const fn server_type(&self) -> ServerType {
        if !self.ok {
            return ServerType::Unknown;
        }
        if self.is_mongos {
            return ServerType::Mongos;
        }
        // "any server is an RSGhost that reports isreplicaset: true".
        if self.is_replica_set {
            return ServerType::RsGhost;
        }
        if self.set_name.is_none() {
            return ServerType::Standalone;
        }
        match (self.hidden, self.is_writable_primary, self.secondary, self.arbiter_only) {
            (true, ..) => ServerType::RsOther,
            (_, true, ..) => ServerType::RsPrimary,
            (_, _, true, _) => ServerType::RsSecondary,
            (_, _, _, true) => ServerType::RsArbiter,
            _ => ServerType::RsOther,
        }
    }

    /// The server's error, when it answered `ok: 0`.
    pub fn error(&self) -> Option<Error> {
        self.failure.as_ref().map(|failure| Error::new(ErrorKind::Command(failure.clone())))
    }

    /// Every member it names: hosts, passives and arbiters.
    pub fn members(&self) -> impl Iterator<Item = &ServerAddress> {
        self.hosts.iter().chain(&*self.passives).chain(&*self.arbiters)
    }

    /// Takes one field; unknown ones are passed over.
    fn take(&mut self, field: Field<'_>, parts: &mut Parts) -> Result<(), Error> {
        if matches!(field.value, Value::Null) {
            return Ok(());
        }
        match field.name {
            b"ok" => self.ok = field.int(i64::MIN..=i64::MAX)? == 1,
            b"isWritablePrimary" => parts.is_writable_primary = Some(field.bool()?),
            b"ismaster" => parts.is_master = Some(field.bool()?),
            b"helloOk" => self.hello_ok = field.bool()?,
            b"secondary" => self.secondary = field.bool()?,
            b"arbiterOnly" => self.arbiter_only = field.bool()?,
            b"hidden" => self.hidden = field.bool()?,
            b"passive" => self.passive = field.bool()?,
            b"isreplicaset" => self.is_replica_set = field.bool()?,
            b"msg" => self.is_mongos = field.text()? == "isdbgrid",
            b"iscryptd" => self.is_cryptd = field.bool()?,
            b"hosts" => self.hosts = field.addresses()?.into(),
            b"passives" => self.passives = field.addresses()?.into(),
            b"arbiters" => self.arbiters = field.addresses()?.into(),
            b"primary" => self.primary = Some(Arc::new(field.address()?)),
            b"me" => self.me = Some(Arc::new(field.address()?)),
            b"setName" => self.set_name = Some(field.text()?.into()),
            b"setVersion" => self.set_version = Some(field.int(i64::MIN..=i64::MAX)?),
            b"electionId" => self.election_id = Some(field.object_id()?),
            b"tags" => self.tags = Arc::new(field.tags()?),
            b"minWireVersion" => self.min_wire_version = field.int(0..=i32::MAX)?,
            b"maxWireVersion" => self.max_wire_version = field.int(0..=i32::MAX)?,
            b"lastWrite" => (self.last_write_date, self.op_time) = field.last_write()?,
            b"logicalSessionTimeoutMinutes" => {
                self.logical_session_timeout_minutes = Some(field.int(0..=i64::from(i32::MAX))?);
            }
            b"topologyVersion" => self.topology_version = Some(field.topology_version()?),
            b"maxBsonObjectSize" => self.max_bson_object_size = Some(field.int(1..=i32::MAX)?),
            b"maxMessageSizeBytes" => {
                self.max_message_size_bytes = Some(field.int(1..=i32::MAX)?.min(MAX_MESSAGE_SIZE_BYTES));
            }
            b"maxWriteBatchSize" => self.max_write_batch_size = Some(field.int(1..=i32::MAX)?),
            b"connectionId" => self.connection_id = Some(field.int(i64::MIN..=i64::MAX)?),
            b"serviceId" => self.service_id = Some(field.object_id()?),
            b"compression" => self.compression = field.texts()?.into(),
            b"saslSupportedMechs" => self.sasl_supported_mechs = Some(field.texts()?.into()),
            b"speculativeAuthenticate" => {
                self.speculative_authenticate = Some(field.document(64 * 1024)?.as_bytes().into())
            }
            b"$clusterTime" => self.cluster_time = ClusterTime::from_raw(field.document(4 * 1024)?),
            b"code" => parts.code = field.int(i32::MIN..=i32::MAX)?,
            b"codeName" => parts.code_name = field.words()?,
            b"errmsg" | b"$err" => parts.message = field.words()?,
            _ => {}
        }
        Ok(())
    }
}

/// What is put together only once all fields have been seen.
#[derive(Default)]
struct Parts {
    is_writable_primary: Option<bool>,
    is_master: Option<bool>,
    code: i32,
    code_name: String,
    message: String,
}

fn malformed(error: RawError) -> Error {
    Error::invalid_response(alloc::format!("hello: {error}"))
}

#[cfg(test)]
mod tests;
