//! What a client is told before it starts.
//!
//! [`ClientOptions`] is plain data: every field is optional, `None` means "the default", and [`defaults`] says what that is.
//! It comes from code or from a [`crate::uri::ConnectionString`]; [`ClientOptions::validate`] holds it against the rules that
//! span several options, wherever it came from. The names are those of the official crate where the meaning is the same.

mod auth;
pub mod defaults;
mod driver;
pub mod oidc;
mod parts;
mod srv;
mod tls;
mod validate;

pub use crate::handshake::{DriverInfo, ServerApi, ServerApiVersion};
pub use crate::monitor::ServerMonitoringMode;
pub use crate::wire::Compressor;
pub use auth::{AuthMechanism, Credential, EXTERNAL, MechanismProperties};
pub use defaults::DEFAULT_PROXY_PORT;
pub use parts::{Socks5Proxy, UuidRepresentation};
pub use srv::{MAX_TXT_LENGTH, verify_srv_host};
pub use tls::{CustomTls, Tls, TlsOptions};

pub(crate) use srv::choose_srv_hosts;
pub(crate) use tls::CONFLICTS as TLS_CONFLICTS;
pub(crate) use validate::{Conflict, is_srv_service_name};

use crate::event::{EventHandler, cmap::CmapEvent, command::CommandEvent, sdam::SdamEvent};
use crate::selection::ServerSelector;
use crate::{Duration, ReadConcern, ReadPreference, ServerAddress, WriteConcern};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// All options of a client.
///
/// `None` stands for the default ([`defaults`]). Durations of zero mean "no limit" for `connect_timeout`, `socket_timeout`,
/// `max_idle_time`, `wait_queue_timeout` and `timeout`; a `max_pool_size` of 0 means "no maximum"; a
/// `server_selection_timeout` of zero means "take what is known, do not wait".
///
/// Where an option is given both in code and in a connection string, the later assignment wins: the connection string gives
/// a `ClientOptions`, and code may then change its fields.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "builders", derive(typed_builder::TypedBuilder))]
#[cfg_attr(feature = "builders", builder(field_defaults(default, setter(into))))]
#[non_exhaustive]
pub struct ClientOptions {
    /// The seeds. Empty while the names behind [`ClientOptions::srv_host`] are not resolved.
    #[cfg_attr(feature = "builders", builder(default = default_hosts()))]
    pub hosts: Vec<ServerAddress>,
    /// `appName`: shown in the server's logs and profiler; at most 128 bytes.
    pub app_name: Option<String>,
    /// `compressors` with `zlibCompressionLevel`: offered to the server in this order.
    pub compressors: Option<Vec<Compressor>>,
    /// `connectTimeoutMS`: for making a connection, TLS and handshake included, and for a monitor's reply.
    pub connect_timeout: Option<Duration>,
    /// `socketTimeoutMS`: the longest silence while a reply is owed, for application operations.
    pub socket_timeout: Option<Duration>,
    /// Who the client is; `None` for no authentication.
    pub credential: Option<Credential>,
    /// `directConnection`: talk to the one seed, whatever it is.
    pub direct_connection: Option<bool>,
    /// A library built on the driver.
    pub driver_info: Option<DriverInfo>,
    /// `heartbeatFrequencyMS`: between two checks of a server; at least 500 ms.
    pub heartbeat_freq: Option<Duration>,
    /// `loadBalanced`: the one seed is a load balancer.
    pub load_balanced: Option<bool>,
    /// `localThresholdMS`: the width of the latency window.
    pub local_threshold: Option<Duration>,
    /// `maxIdleTimeMS`: how long a pooled connection may stay unused.
    pub max_idle_time: Option<Duration>,
    /// `maxPoolSize`: connections per server, those in use included.
    pub max_pool_size: Option<u32>,
    /// `minPoolSize`: connections per server kept open.
    pub min_pool_size: Option<u32>,
    /// `maxConnecting`: connections per server being made at the same time; at least 1.
    pub max_connecting: Option<u32>,
    /// `waitQueueTimeoutMS`: for getting a connection from the pool.
    pub wait_queue_timeout: Option<Duration>,
    /// `readConcernLevel`.
    pub read_concern: Option<ReadConcern>,
    /// `replicaSet`: members of other sets are not taken.
    pub repl_set_name: Option<String>,
    /// `retryReads`.
    pub retry_reads: Option<bool>,
    /// `retryWrites`.
    pub retry_writes: Option<bool>,
    /// `readPreference`, `readPreferenceTags`, `maxStalenessSeconds`.
    pub read_preference: Option<ReadPreference>,
    /// The Stable API to declare.
    pub server_api: Option<ServerApi>,
    /// `serverMonitoringMode`.
    pub server_monitoring_mode: Option<ServerMonitoringMode>,
    /// `serverSelectionTimeoutMS`: how long an operation waits for a suitable server.
    pub server_selection_timeout: Option<Duration>,
    /// `serverSelectionTryOnce`: accepted for single-threaded hosts; others have no use for it.
    pub server_selection_try_once: Option<bool>,
    /// The database named in the connection string.
    pub default_database: Option<String>,
    /// `tls` and its further options. `None` is no TLS, except that reading a connection string enables it where the scheme is
    /// `mongodb+srv` or where any `tls...` option is given without `tls=false`.
    pub tls: Option<Tls>,
    /// `w`, `journal`, `wTimeoutMS`.
    pub write_concern: Option<WriteConcern>,
    /// `uuidRepresentation`.
    pub uuid_representation: Option<UuidRepresentation>,
    /// `timeoutMS`: for a whole operation with its retries.
    pub timeout: Option<Duration>,
    /// The name whose SRV records list the seeds: the host of a `mongodb+srv` connection string.
    pub srv_host: Option<String>,
    /// `srvMaxHosts`: how many of the resolved hosts to use at most; 0 for all.
    pub srv_max_hosts: Option<u32>,
    /// `srvServiceName`.
    pub srv_service_name: Option<String>,
    /// `srvAllowedHostsSuffix`: the domain that resolved hosts must lie in, instead of that of the connection string.
    pub srv_allowed_hosts_suffix: Option<String>,
    /// `proxyHost`, `proxyPort`, `proxyUsername`, `proxyPassword`.
    pub socks5_proxy: Option<Socks5Proxy>,
    /// `maxAdaptiveRetries`: retries of what an overloaded server refused (client backpressure).
    pub max_adaptive_retries: Option<u32>,
    /// `enableOverloadRetargeting`: whether such a retry prefers another server.
    pub enable_overload_retargeting: Option<bool>,
    /// `interruptStalePrimary`, this driver's own: whether operations hung on a primary that has been replaced are ended once
    /// the old primary has missed an immediate check. Default true. Those that are safe to retry go on elsewhere; the others
    /// fail with [`crate::ErrorKind::Interrupted`].
    pub interrupt_stale_primary: Option<bool>,
    /// The application's own say in server selection, between suitability and the latency window.
    pub server_selector: Option<ServerSelector>,
    /// Who is told of commands.
    pub command_event_handler: Option<EventHandler<CommandEvent>>,
    /// Who is told of connection pools.
    pub cmap_event_handler: Option<EventHandler<CmapEvent>>,
    /// Who is told of servers, heartbeats and the topology.
    pub sdam_event_handler: Option<EventHandler<SdamEvent>>,
    /// The planted mistake to make.
    #[cfg(feature = "mistakes")]
    pub mistake: Option<crate::mistakes::Mistake>,
}

fn default_hosts() -> Vec<ServerAddress> {
    vec![ServerAddress::default()]
}

impl Default for ClientOptions {
    /// The seed `localhost:27017` and nothing else set.
    fn default() -> Self {
        ClientOptions { hosts: default_hosts(), ..ClientOptions::unset() }
    }
}

impl ClientOptions {
    /// Options for those seeds.
    pub fn with_hosts(hosts: impl Into<Vec<ServerAddress>>) -> Self {
        ClientOptions { hosts: hosts.into(), ..ClientOptions::unset() }
    }

    /// Nothing set, not even a seed.
    pub(crate) const fn unset() -> Self {
        ClientOptions {
            hosts: Vec::new(),
            app_name: None,
            compressors: None,
            connect_timeout: None,
            socket_timeout: None,
            credential: None,
            direct_connection: None,
            driver_info: None,
            heartbeat_freq: None,
            load_balanced: None,
            local_threshold: None,
            max_idle_time: None,
            max_pool_size: None,
            min_pool_size: None,
            max_connecting: None,
            wait_queue_timeout: None,
            read_concern: None,
            repl_set_name: None,
            retry_reads: None,
            retry_writes: None,
            read_preference: None,
            server_api: None,
            server_monitoring_mode: None,
            server_selection_timeout: None,
            server_selection_try_once: None,
            default_database: None,
            tls: None,
            write_concern: None,
            uuid_representation: None,
            timeout: None,
            srv_host: None,
            srv_max_hosts: None,
            srv_service_name: None,
            srv_allowed_hosts_suffix: None,
            socks5_proxy: None,
            max_adaptive_retries: None,
            enable_overload_retargeting: None,
            interrupt_stale_primary: None,
            server_selector: None,
            command_event_handler: None,
            cmap_event_handler: None,
            sdam_event_handler: None,
            #[cfg(feature = "mistakes")]
            mistake: None,
        }
    }

    /// How to do TLS; `None` when connections are not encrypted.
    pub const fn tls_options(&self) -> Option<&TlsOptions> {
        match &self.tls {
            Some(Tls::Enabled(options)) => Some(options),
            _ => None,
        }
    }
}

/// Stands for a secret in debug output.
struct Secret;

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn debug_output_shows_no_secret() {
        let credential = Credential {
            username: Some("ann".into()),
            password: Some("hidden1".into()),
            mechanism_properties: Some([("AWS_SESSION_TOKEN".into(), "hidden2".into())].into()),
            ..Credential::default()
        };
        let tls = TlsOptions {
            tls_certificate_key_file_password: Some(b"hidden3".to_vec()),
            ..TlsOptions::default()
        };
        let proxy =
            Socks5Proxy { authentication: Some(("bob".into(), "hidden4".into())), ..Socks5Proxy::new("p") };
        let options = ClientOptions {
            credential: Some(credential),
            tls: Some(Tls::Enabled(tls)),
            socks5_proxy: Some(proxy),
            ..ClientOptions::default()
        };
        let shown = format!("{options:?}");
        assert!(!shown.contains("hidden") && !shown.contains("[104, 105"), "{shown}");
        assert!(shown.contains("ann") && shown.contains("bob"), "{shown}");
    }

    #[cfg(feature = "builders")]
    #[test]
    fn builders_read_as_in_the_official_crate() {
        let options = ClientOptions::builder()
            .hosts(vec![ServerAddress::tcp("a", 1)])
            .app_name("x".to_owned())
            .max_pool_size(3)
            .server_api(ServerApi::builder().version(ServerApiVersion::V1).strict(true).build())
            .tls(Tls::Enabled(TlsOptions::builder().ca_file_path("ca.pem".to_owned()).build()))
            .credential(Credential::builder().username("u".to_owned()).build())
            .driver_info(DriverInfo::builder().name("odm").build())
            .retry_writes(None)
            .build();
        assert_eq!(options.max_pool_size, Some(3));
        assert_eq!(options.hosts, [ServerAddress::tcp("a", 1)]);
        assert_eq!(ClientOptions::builder().build(), ClientOptions::default());
    }
    #[cfg(feature = "builders")]
    use alloc::borrow::ToOwned;
}
