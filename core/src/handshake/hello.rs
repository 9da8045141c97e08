//! The hello command, for handshakes and checks.

use crate::monitor::HelloRequest;
use crate::raw::{DocWriter, RawDoc};
use crate::sdam::TopologyVersion;

/// The version of the client backpressure specification this driver follows, as handshakes name it.
pub const BACKPRESSURE_VERSION: &str = "2";

/// The versions of the Stable API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerApiVersion {
    /// Version 1.
    V1,
}

impl ServerApiVersion {
    /// The version as commands carry it.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerApiVersion::V1 => "1",
        }
    }
}

/// The Stable API an application asked for (versioned API specification, "Class Definition").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "builders", derive(typed_builder::TypedBuilder))]
#[cfg_attr(feature = "builders", builder(field_defaults(default, setter(into))))]
pub struct ServerApi {
    /// Which version.
    #[cfg_attr(feature = "builders", builder(!default))]
    pub version: ServerApiVersion,
    /// Whether the server refuses what is not part of it; the server's own default when `None`.
    pub strict: Option<bool>,
    /// Whether the server refuses what is deprecated in it; the server's own default when `None`.
    pub deprecation_errors: Option<bool>,
}

/// What goes into a hello command. [`HelloOptions::handshake`] and [`HelloOptions::check`] are the two usual starts.
#[derive(Clone, Copy, Debug, Default)]
pub struct HelloOptions<'a> {
    /// Use the legacy command. Ignored with a server API or behind a load balancer, where `hello` is always spoken.
    pub legacy: bool,
    /// It goes out as `OP_QUERY`, which names its database outside of the document (and servers refuse `$db` inside).
    pub op_query: bool,
    /// Ask the server to say whether it understands `hello`.
    pub hello_ok: bool,
    /// The topology version to wait for a change of; only together with `max_await_ms`.
    pub topology_version: Option<TopologyVersion>,
    /// `maxAwaitTimeMS`: how long the server may wait, in milliseconds.
    pub max_await_ms: Option<i64>,
    /// Name the version of client backpressure spoken.
    pub backpressure: bool,
    /// The `client` document ([`ClientMetadata::to_bson`](super::ClientMetadata::to_bson)).
    pub metadata: Option<&'a [u8]>,
    /// Compressors this client has, the preferred first. They go with the metadata.
    pub compressors: &'a [&'a str],
    /// Whether a load balancer stands in front.
    pub load_balanced: bool,
    /// `saslSupportedMechs`: ask for the mechanisms of this user, as `database.user`.
    pub sasl_supported_mechs: Option<&'a str>,
    /// `speculativeAuthenticate`: the first step of authentication.
    pub speculative_auth: Option<RawDoc<'a>>,
    /// The Stable API asked for.
    pub server_api: Option<ServerApi>,
}

impl<'a> HelloOptions<'a> {
    /// The first command on a connection ("Connection handshake"). `metadata` is the `client` document.
    pub fn handshake(metadata: &'a [u8], load_balanced: bool, server_api: Option<ServerApi>) -> Self {
        HelloOptions {
            legacy: true,
            op_query: !load_balanced && server_api.is_none(),
            hello_ok: true,
            backpressure: true,
            metadata: Some(metadata),
            load_balanced,
            server_api,
            ..HelloOptions::default()
        }
    }

    /// A check on a connection whose handshake is done: no handshake arguments.
    pub fn check(request: &HelloRequest, server_api: Option<ServerApi>) -> Self {
        HelloOptions {
            legacy: request.use_legacy,
            hello_ok: true,
            topology_version: request.awaitable.map(|(version, _)| version),
            max_await_ms: request.awaitable.map(|(_, millis)| millis),
            server_api,
            ..HelloOptions::default()
        }
    }

    const fn speaks_legacy(&self) -> bool {
        self.legacy && self.server_api.is_none() && !self.load_balanced
    }
}

/// Writes the fields of a hello command for the database `admin`, `$db` included. The caller finishes the document and
/// sends it by OP_MSG, with `exhaustAllowed` where a stream is wanted.
///
/// Source: "Connection handshake"; server monitoring specification, "Awaitable hello or legacy hello Protocol".
///
/// ```
/// use quorate_core::handshake::{HelloOptions, write_hello};
/// use quorate_core::raw::{DocWriter, RawDoc};
/// let mut bytes = Vec::new();
/// write_hello(DocWriter::new(&mut bytes), &HelloOptions::default()).finish();
/// let names: Vec<_> = RawDoc::new(&bytes).unwrap().iter().map(|e| e.unwrap().0).collect();
/// assert_eq!(names, ["hello", "$db"]);
/// ```
pub fn write_hello<'d>(doc: DocWriter<'d>, options: &HelloOptions<'_>) -> DocWriter<'d> {
    // The name of a command is its first field.
    let mut doc = doc.i32(if options.speaks_legacy() { "isMaster" } else { "hello" }, 1);
    if options.hello_ok {
        doc = doc.bool("helloOk", true);
    }
    // "If the request includes topologyVersion without maxAwaitTimeMS or vice versa, return an error."
    if let (Some(version), Some(millis)) = (options.topology_version, options.max_await_ms) {
        doc = doc.doc("topologyVersion", |doc| {
            doc.object_id("processId", version.process_id).i64("counter", version.counter)
        });
        doc = doc.i64("maxAwaitTimeMS", millis);
    }
    doc = write_handshake(doc, options);
    doc = write_server_api(doc, options.server_api);
    if options.op_query { doc } else { doc.str("$db", "admin") }
}

/// The Stable API's fields, which go into every command.
pub(crate) fn write_server_api(mut doc: DocWriter<'_>, api: Option<ServerApi>) -> DocWriter<'_> {
    if let Some(api) = api {
        doc = doc.str("apiVersion", api.version.as_str());
        doc = api.strict.into_iter().fold(doc, |doc, strict| doc.bool("apiStrict", strict));
        let errors = api.deprecation_errors.into_iter();
        doc = errors.fold(doc, |doc, errors| doc.bool("apiDeprecationErrors", errors));
    }
    doc
}

/// The arguments only the first hello on a connection has.
fn write_handshake<'d>(mut doc: DocWriter<'d>, options: &HelloOptions<'_>) -> DocWriter<'d> {
    if options.backpressure {
        doc = doc.str("backpressure", BACKPRESSURE_VERSION);
    }
    if let Some(Ok(metadata)) = options.metadata.map(RawDoc::new) {
        doc = doc.raw("client", metadata);
    }
    // "When no compression is enabled on the client, drivers SHOULD send an empty compression argument."
    if options.metadata.is_some() {
        doc = doc.strs("compression", options.compressors.iter().copied());
    }
    if options.load_balanced {
        doc = doc.bool("loadBalanced", true);
    }
    if let Some(user) = options.sasl_supported_mechs {
        doc = doc.str("saslSupportedMechs", user);
    }
    if let Some(step) = options.speculative_auth {
        doc = doc.raw("speculativeAuthenticate", step);
    }
    doc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::{ClientMetadata, HostInfo};
    use alloc::vec;
    use alloc::vec::Vec;
    use bson::{Document, doc};

    const API: ServerApi =
        ServerApi { version: ServerApiVersion::V1, strict: Some(true), deprecation_errors: None };

    fn written(options: &HelloOptions<'_>) -> Document {
        let mut bytes = Vec::new();
        write_hello(DocWriter::new(&mut bytes), options).finish();
        bson::deserialize_from_slice(&bytes).unwrap()
    }

    /// Documents of the bson crate compare without regard to order; commands do not.
    #[track_caller]
    fn assert_written(options: &HelloOptions<'_>, expected: Document) {
        let found = written(options);
        assert!(found.iter().eq(expected.iter()), "{found} instead of {expected}");
    }

    #[test]
    fn the_first_hello_is_legacy_and_says_who_speaks() {
        let client = ClientMetadata::new(None, "1", HostInfo::default()).to_bson();
        let client_doc: Document = bson::deserialize_from_slice(&client).unwrap();
        let mut step = Vec::new();
        DocWriter::new(&mut step).i32("saslStart", 1).finish();
        let options = HelloOptions {
            compressors: &["zstd", "zlib"],
            sasl_supported_mechs: Some("admin.me"),
            speculative_auth: Some(RawDoc::new(&step).unwrap()),
            ..HelloOptions::handshake(&client, false, None)
        };
        assert_written(
            &options,
            doc! {
                "isMaster": 1, "helloOk": true, "backpressure": "2", "client": client_doc,
                "compression": ["zstd", "zlib"], "saslSupportedMechs": "admin.me",
                "speculativeAuthenticate": {"saslStart": 1},
            },
        );
    }

    #[test]
    fn a_server_api_or_a_load_balancer_makes_it_hello_from_the_start() {
        let client = RawDoc::EMPTY.as_bytes();
        assert_written(
            &HelloOptions::handshake(client, false, Some(API)),
            doc! {
                "hello": 1, "helloOk": true, "backpressure": "2", "client": {},
                "compression": [], "apiVersion": "1", "apiStrict": true, "$db": "admin",
            },
        );
        assert_written(
            &HelloOptions::handshake(client, true, None),
            doc! {
                "hello": 1, "helloOk": true, "backpressure": "2", "client": {}, "compression": [],
                "loadBalanced": true, "$db": "admin",
            },
        );
    }

    #[test]
    fn checks_have_no_handshake_arguments() {
        let legacy = HelloRequest { use_legacy: true, ..HelloRequest::default() };
        assert_written(
            &HelloOptions::check(&legacy, None),
            doc! {"isMaster": 1, "helloOk": true, "$db": "admin"},
        );
        let version = TopologyVersion { process_id: [9; 12], counter: 4 };
        let stream =
            HelloRequest { awaitable: Some((version, 10_000)), exhaust: true, ..HelloRequest::default() };
        assert_written(
            &HelloOptions::check(&stream, Some(ServerApi { deprecation_errors: Some(false), ..API })),
            doc! {
                "hello": 1, "helloOk": true,
                "topologyVersion": {"processId": bson::oid::ObjectId::from_bytes([9; 12]), "counter": 4i64},
                "maxAwaitTimeMS": 10_000i64,
                "apiVersion": "1", "apiStrict": true, "apiDeprecationErrors": false, "$db": "admin",
            },
        );
    }

    #[test]
    fn a_topology_version_is_never_sent_alone() {
        let topology_version = Some(TopologyVersion { process_id: [9; 12], counter: 4 });
        let options = HelloOptions { topology_version, ..HelloOptions::default() };
        assert_written(&options, doc! {"hello": 1, "$db": "admin"});
    }
}
