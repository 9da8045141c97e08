//! The bytes of the handshake and of a monitor's checks.

use crate::HelloReply;
use crate::auth::{AuthStart, HelloArguments};
use crate::error::{Error, ErrorKind};
use crate::handshake::{HelloOptions, ServerApi, write_hello, write_server_api};
use crate::monitor::HelloRequest;
use crate::raw::{DocWriter, RawDoc};
use crate::shared::Arc;
use crate::wire::{Compressor, Flags, encode_op_msg, encode_op_query};
use alloc::format;
use alloc::vec::Vec;

/// What a connection says of its client when it says hello. Cheap to clone.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HandshakeOptions {
    /// The `client` document, as BSON bytes ([`crate::handshake::ClientMetadata::to_bson`]).
    pub metadata: Arc<[u8]>,
    /// Whether a load balancer stands in front: then the server must tell its service.
    pub load_balanced: bool,
    /// The server API version asked for.
    pub server_api: Option<ServerApi>,
    /// Whether this is a monitor's connection: it is not authenticated, and its replies are short.
    pub is_monitor: bool,
    /// The log-in, one's own for each connection; `None` for no authentication.
    pub auth: Option<AuthStart>,
    /// The compressors to offer to the server, the preferred first. Those that this build does not have are left out; a
    /// monitor offers none.
    pub compressors: Arc<[Compressor]>,
}

impl HandshakeOptions {
    /// For a client that describes itself by `metadata`.
    pub fn new(metadata: Arc<[u8]>) -> Self {
        HandshakeOptions {
            metadata,
            load_balanced: false,
            server_api: None,
            is_monitor: false,
            auth: None,
            compressors: Arc::from([]),
        }
    }

    /// The compressors that are offered.
    pub(super) fn offered(&self) -> impl Iterator<Item = Compressor> {
        let wanted = if self.is_monitor { &[][..] } else { &self.compressors };
        wanted.iter().copied().filter(|compressor| compressor.is_available())
    }

    /// The compressor to use with a server that said this: "the first compressor in the client's configured compressors
    /// list that is also in the servers list".
    pub(super) fn agreed(&self, hello: &HelloReply) -> Option<Compressor> {
        self.offered().find(|compressor| hello.compression.iter().any(|name| name == compressor.name()))
    }

    /// Encodes the first hello: `OP_QUERY` with the legacy command unless a server API or a load balancer makes certain that
    /// the other side knows `hello` (handshake specification, "Hello Command").
    pub(super) fn encode_greeting(
        &self,
        out: &mut Vec<u8>,
        request_id: i32,
        auth: &HelloArguments,
    ) -> Result<(), Error> {
        let speculative_auth = auth.speculative.as_ref().and_then(|bytes| RawDoc::new(bytes).ok());
        let compressors: Vec<&str> = self.offered().map(Compressor::name).collect();
        let hello = HelloOptions {
            compressors: &compressors,
            sasl_supported_mechs: auth.sasl_supported_mechs.as_deref(),
            speculative_auth,
            ..HelloOptions::handshake(&self.metadata, self.load_balanced, self.server_api)
        };
        encode(out, request_id, Flags::NONE, &hello)
    }

    /// Encodes a check on a connection whose handshake is done.
    pub(super) fn encode_hello(
        &self,
        out: &mut Vec<u8>,
        request_id: i32,
        request: &HelloRequest,
    ) -> Result<(), Error> {
        let hello = HelloOptions::check(request, self.server_api);
        let flags = if request.exhaust { Flags::EXHAUST_ALLOWED } else { Flags::NONE };
        encode(out, request_id, flags, &hello)
    }

    /// The server API, as every command has to name it.
    pub(super) fn write_server_api<'d>(&self, doc: DocWriter<'d>) -> DocWriter<'d> {
        write_server_api(doc, self.server_api)
    }

    /// Reads the reply to the first hello; one that an established connection cannot live with is an error.
    pub(super) fn read_greeting(&self, body: RawDoc<'_>) -> Result<HelloReply, Error> {
        let hello = HelloReply::parse(body)?;
        if let Some(error) = hello.error() {
            return Err(error);
        }
        // Load balancers specification, "Connection Pooling": "the driver MUST error if the service id is missing".
        if self.load_balanced && hello.service_id.is_none() {
            let message = "Driver attempted to initialize in load balancing mode, but the server does not support this mode";
            return Err(ErrorKind::Incompatible { message: message.into() }.into());
        }
        Ok(hello)
    }
}

/// A hello as a message: `OP_QUERY` for servers that may not know better, else `OP_MSG`.
fn encode(out: &mut Vec<u8>, request_id: i32, flags: Flags, hello: &HelloOptions<'_>) -> Result<(), Error> {
    let sent = if hello.op_query {
        encode_op_query(out, request_id, "admin", |doc| write_hello(doc, hello))
    } else {
        let mut body = Vec::new();
        write_hello(DocWriter::new(&mut body), hello).finish();
        let body = RawDoc::new(&body).map_err(|error| Error::invalid_argument(format!("hello: {error}")))?;
        encode_op_msg(out, request_id, 0, flags, body)
    };
    sent.map_err(|error| Error::invalid_argument(format!("hello: {error}")))
}
