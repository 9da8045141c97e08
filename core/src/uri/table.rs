//! Every option there is (URI options specification, "List of specified options"), one line each.

use super::options as take;
use super::reader::{Reader, Reject, Taken, Value};
use crate::options::{AuthMechanism, ServerMonitoringMode, UuidRepresentation};
use crate::{ReadConcern, ReadPreferenceMode};

/// What a second mention of an option means ("Repeated Keys").
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// The last valid one counts, with a warning.
    Warn,
    /// Nothing special: lists, and options that compare their values themselves.
    Allow,
    /// An error.
    Refuse,
}

/// An option.
pub(super) struct Spec {
    /// Its name as documented; found ignoring case.
    pub(super) name: &'static str,
    pub(super) repeat: Repeat,
    /// Whether the empty value means something.
    pub(super) empty: bool,
    /// Takes a value.
    pub(super) take: fn(&mut Reader, Value<'_>) -> Taken,
}

const fn once(name: &'static str, take: fn(&mut Reader, Value<'_>) -> Taken) -> Spec {
    Spec { name, repeat: Repeat::Warn, empty: false, take }
}

const fn strict(name: &'static str, take: fn(&mut Reader, Value<'_>) -> Taken) -> Spec {
    Spec { name, repeat: Repeat::Refuse, empty: false, take }
}

const fn tls(name: &'static str, take: fn(&mut Reader, Value<'_>) -> Taken) -> Spec {
    Spec { name, repeat: Repeat::Allow, empty: false, take }
}

/// `Some(value)` put where it belongs.
macro_rules! set {
    ($place:expr, $value:expr) => {{
        let value = $value;
        $place = Some(value);
        Ok(())
    }};
}

pub(super) static OPTIONS: &[Spec] = &[
    // Who and how (authentication specification, "Auth Related Options").
    once("appName", |r, v| set!(r.options.app_name, v.owned())),
    Spec { empty: true, ..once("authMechanism", |r, v| set!(r.loose.mechanism, mechanism(v)?)) },
    once("authMechanismProperties", take::mechanism_properties),
    Spec { empty: true, ..once("authSource", |r, v| set!(r.loose.auth_source, auth_source(v)?)) },
    once("gssapiServiceName", |r, v| {
        r.warn(v.name, "is deprecated, write authMechanismProperties=SERVICE_NAME:...");
        set!(r.loose.gssapi_service_name, take::gssapi_service_name(v)?)
    }),
    // Which servers.
    once("directConnection", |r, v| set!(r.options.direct_connection, r.boolean(v)?)),
    once("loadBalanced", |r, v| set!(r.options.load_balanced, r.boolean(v)?)),
    once("replicaSet", |r, v| set!(r.options.repl_set_name, v.owned())),
    once("srvMaxHosts", |r, v| set!(r.options.srv_max_hosts, v.count(0)?)),
    once("srvServiceName", |r, v| set!(r.options.srv_service_name, take::srv_service_name(v)?)),
    once("srvAllowedHostsSuffix", |r, v| set!(r.options.srv_allowed_hosts_suffix, v.owned())),
    // Times.
    once("connectTimeoutMS", |r, v| set!(r.options.connect_timeout, v.millis(0)?)),
    once("heartbeatFrequencyMS", |r, v| set!(r.options.heartbeat_freq, v.millis(500)?)),
    once("localThresholdMS", |r, v| set!(r.options.local_threshold, v.millis(0)?)),
    once("maxIdleTimeMS", |r, v| set!(r.options.max_idle_time, v.millis(0)?)),
    once("serverSelectionTimeoutMS", |r, v| set!(r.options.server_selection_timeout, v.millis(0)?)),
    once("socketTimeoutMS", |r, v| set!(r.options.socket_timeout, v.millis(0)?)),
    once("timeoutMS", |r, v| set!(r.options.timeout, v.millis(0)?)),
    once("waitQueueTimeoutMS", |r, v| set!(r.options.wait_queue_timeout, v.millis(0)?)),
    // Pools.
    once("maxConnecting", |r, v| set!(r.options.max_connecting, v.count(1)?)),
    once("maxPoolSize", |r, v| set!(r.options.max_pool_size, v.count(0)?)),
    once("minPoolSize", |r, v| set!(r.options.min_pool_size, v.count(0)?)),
    // Concerns and preferences.
    once("journal", |r, v| set!(r.loose.journal, r.boolean(v)?)),
    once("w", |r, v| set!(r.loose.w, take::acknowledgment(v)?)),
    once("wTimeoutMS", |r, v| set!(r.loose.w_timeout, take::w_timeout(v)?)),
    once("wtimeout", |r, v| {
        r.warn(v.name, "is deprecated, write wTimeoutMS");
        set!(r.loose.deprecated_w_timeout, take::w_timeout(v)?)
    }),
    once("readConcernLevel", |r, v| set!(r.options.read_concern, ReadConcern::custom(v.text))),
    once("readPreference", |r, v| set!(r.loose.mode, named(v, ReadPreferenceMode::parse)?)),
    Spec {
        repeat: Repeat::Allow,
        empty: true,
        ..once("readPreferenceTags", |r, v| {
            let tags = take::pairs(v)?;
            r.loose.tag_sets.push(tags);
            Ok(())
        })
    },
    once("maxStalenessSeconds", |r, v| set!(r.loose.max_staleness, take::max_staleness(v)?)),
    // Messages and behaviour.
    once("compressors", take::compressors),
    once("zlibCompressionLevel", |r, v| set!(r.loose.zlib_level, v.integer(-1..=9)?)),
    once("enableOverloadRetargeting", |r, v| set!(r.options.enable_overload_retargeting, r.boolean(v)?)),
    once("interruptStalePrimary", |r, v| set!(r.options.interrupt_stale_primary, r.boolean(v)?)),
    once("maxAdaptiveRetries", |r, v| set!(r.options.max_adaptive_retries, v.count(0)?)),
    once("retryReads", |r, v| set!(r.options.retry_reads, r.boolean(v)?)),
    once("retryWrites", |r, v| set!(r.options.retry_writes, r.boolean(v)?)),
    once("serverMonitoringMode", |r, v| {
        set!(r.options.server_monitoring_mode, named(v, ServerMonitoringMode::parse)?)
    }),
    once("serverSelectionTryOnce", |r, v| set!(r.options.server_selection_try_once, r.boolean(v)?)),
    once("uuidRepresentation", |r, v| take::uuid_representation(r, named(v, uuid_representation)?)),
    // SOCKS5 specification, "MongoClient Configuration".
    strict("proxyHost", |r, v| set!(r.loose.proxy_host, v.owned())),
    strict("proxyPort", |r, v| set!(r.loose.proxy_port, take::port(v)?)),
    strict("proxyUsername", |r, v| set!(r.loose.proxy_username, v.owned())),
    strict("proxyPassword", |r, v| set!(r.loose.proxy_password, v.owned())),
    // TLS.
    tls("tls", take::tls),
    tls("ssl", take::tls),
    once("tlsAllowInvalidCertificates", |r, v| set!(r.loose.tls().allow_invalid_certificates, r.boolean(v)?)),
    once("tlsAllowInvalidHostnames", |r, v| set!(r.loose.tls().allow_invalid_hostnames, r.boolean(v)?)),
    once("tlsInsecure", |r, v| set!(r.loose.tls().insecure, r.boolean(v)?)),
    once("tlsDisableOCSPEndpointCheck", |r, v| {
        set!(r.loose.tls().disable_ocsp_endpoint_check, r.boolean(v)?)
    }),
    once("tlsDisableCertificateRevocationCheck", |r, v| {
        set!(r.loose.tls().disable_certificate_revocation_check, r.boolean(v)?)
    }),
    once("tlsCAFile", |r, v| set!(r.loose.tls().ca_file_path, v.owned())),
    once("tlsCertificateKeyFile", |r, v| set!(r.loose.tls().cert_key_file_path, v.owned())),
    once("tlsCertificateKeyFilePassword", |r, v| {
        set!(r.loose.tls().tls_certificate_key_file_password, v.text.as_bytes().to_vec())
    }),
];

/// A value that is one of several names.
fn named<T>(value: Value<'_>, parse: fn(&str) -> Option<T>) -> Result<T, Reject> {
    parse(value.text).ok_or_else(|| Reject::Ignore("is none of the known values".into()))
}

/// `unspecified` is the default and stands for nothing set.
fn uuid_representation(name: &str) -> Option<Option<UuidRepresentation>> {
    if name.eq_ignore_ascii_case("unspecified") {
        Some(None)
    } else {
        UuidRepresentation::parse(name).map(Some)
    }
}

/// Unlike other values, an unknown mechanism is an error: falling back to another would send credentials where they were not
/// meant to go.
fn mechanism(value: Value<'_>) -> Result<AuthMechanism, Reject> {
    AuthMechanism::parse(value.text).ok_or_else(|| Reject::Refuse("is no mechanism this driver knows".into()))
}

/// Authentication specification, "Connection String Options", "Errors".
fn auth_source(value: Value<'_>) -> Result<alloc::string::String, Reject> {
    if value.text.is_empty() { Err(Reject::Refuse("must not be empty".into())) } else { Ok(value.owned()) }
}
