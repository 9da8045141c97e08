//! The canonical form of a connection string: what reads back as the same value.

use super::percent::encode;
use crate::options::{ClientOptions, Compressor, Credential, Tls, TlsOptions};
use crate::{Duration, ServerAddress};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};

/// Stands for a secret. No character of it needs encoding in any part.
const HIDDEN: &str = "***";

/// The text of `options`, which were read from a connection string, so that all of it can be written as one.
pub(super) fn print(options: &ClientOptions, secrets: bool) -> String {
    let mut out = String::from(if options.srv_host.is_some() { "mongodb+srv://" } else { "mongodb://" });
    if let Some(Credential { username: Some(username), password, .. }) = &options.credential {
        encode(&mut out, username, "");
        if let Some(password) = password {
            out.push(':');
            encode(&mut out, if secrets { password } else { HIDDEN }, "*");
        }
        out.push('@');
    }
    match &options.srv_host {
        Some(name) => encode(&mut out, name, ""),
        None => hosts(&mut out, &options.hosts),
    }
    out.push('/');
    encode(&mut out, options.default_database.as_deref().unwrap_or_default(), "");
    let mut query = Query { out, secrets, any: false };
    query.behaviour(options);
    query.timing(options);
    query.credential(options);
    query.concerns(options);
    query.transport(options);
    query.tls(options);
    if !query.any && options.default_database.is_none() {
        query.out.pop();
    }
    query.out
}

fn hosts(out: &mut String, hosts: &[ServerAddress]) {
    for (i, address) in hosts.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        match address {
            ServerAddress::Unix { path } => encode(out, path, ""),
            ServerAddress::Tcp { host, port } => {
                if host.contains(':') {
                    out.push('[');
                    encode(out, host, ":");
                    out.push(']');
                } else {
                    encode(out, host, "");
                }
                if let Some(port) = port {
                    out.push_str(&format!(":{port}"));
                }
            }
        }
    }
}

/// The options, appended one by one.
struct Query {
    out: String,
    secrets: bool,
    any: bool,
}

impl Query {
    fn put(&mut self, name: &str, value: &str) {
        self.out.push(if self.any { '&' } else { '?' });
        self.any = true;
        self.out.push_str(name);
        self.out.push('=');
        encode(&mut self.out, value, ":,/$*");
    }

    fn secret(&mut self, name: &str, value: &str) {
        let shown = if self.secrets { value } else { HIDDEN };
        self.put(name, shown);
    }

    fn text(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    fn boolean(&mut self, name: &str, value: Option<bool>) {
        self.text(name, value.map(|value| if value { "true" } else { "false" }));
    }

    fn number(&mut self, name: &str, value: Option<u32>) {
        self.text(name, value.map(|value| value.to_string()).as_deref());
    }

    fn millis(&mut self, name: &str, value: Option<Duration>) {
        self.text(name, value.map(|value| value.as_millis().to_string()).as_deref());
    }

    fn behaviour(&mut self, o: &ClientOptions) {
        self.text("replicaSet", o.repl_set_name.as_deref());
        self.boolean("directConnection", o.direct_connection);
        self.boolean("loadBalanced", o.load_balanced);
        self.text("appName", o.app_name.as_deref());
        self.boolean("retryReads", o.retry_reads);
        self.boolean("retryWrites", o.retry_writes);
        self.boolean("interruptStalePrimary", o.interrupt_stale_primary);
        self.number("maxAdaptiveRetries", o.max_adaptive_retries);
        self.boolean("enableOverloadRetargeting", o.enable_overload_retargeting);
        self.text("serverMonitoringMode", o.server_monitoring_mode.map(|mode| mode.as_str()));
        self.boolean("serverSelectionTryOnce", o.server_selection_try_once);
        self.text("uuidRepresentation", o.uuid_representation.map(|kind| kind.as_str()));
        self.number("maxPoolSize", o.max_pool_size);
        self.number("minPoolSize", o.min_pool_size);
        self.number("maxConnecting", o.max_connecting);
        self.number("srvMaxHosts", o.srv_max_hosts);
        self.text("srvServiceName", o.srv_service_name.as_deref());
        self.text("srvAllowedHostsSuffix", o.srv_allowed_hosts_suffix.as_deref());
    }

    fn timing(&mut self, o: &ClientOptions) {
        self.millis("timeoutMS", o.timeout);
        self.millis("connectTimeoutMS", o.connect_timeout);
        self.millis("socketTimeoutMS", o.socket_timeout);
        self.millis("serverSelectionTimeoutMS", o.server_selection_timeout);
        self.millis("heartbeatFrequencyMS", o.heartbeat_freq);
        self.millis("localThresholdMS", o.local_threshold);
        self.millis("maxIdleTimeMS", o.max_idle_time);
        self.millis("waitQueueTimeoutMS", o.wait_queue_timeout);
    }

    fn credential(&mut self, o: &ClientOptions) {
        let Some(credential) = &o.credential else { return };
        self.text("authMechanism", credential.mechanism.map(|mechanism| mechanism.as_str()));
        self.text("authSource", credential.source.as_deref());
        if let Some(properties) = credential.mechanism_properties.as_ref().filter(|p| !p.is_empty()) {
            let hide = |name: &str| !self.secrets && name.ends_with("TOKEN");
            let shown = pairs(properties.iter().map(|(k, v)| (k.as_str(), if hide(k) { HIDDEN } else { v })));
            self.put("authMechanismProperties", &shown);
        }
    }

    fn concerns(&mut self, o: &ClientOptions) {
        if let Some(concern) = &o.write_concern {
            self.text("w", concern.w.as_ref().map(|w| w.describe()).as_deref());
            self.boolean("journal", concern.journal);
            self.millis("wTimeoutMS", concern.w_timeout);
        }
        self.text(
            "readConcernLevel",
            o.read_concern.as_ref().and_then(|c| c.level.as_ref()).map(|l| l.as_str()),
        );
        if let Some(preference) = &o.read_preference {
            self.put("readPreference", preference.mode.as_str());
            for tags in preference.tag_sets.iter() {
                self.put("readPreferenceTags", &tag_set(tags));
            }
            let seconds = preference.max_staleness.map(|max| max.as_secs().to_string());
            self.text("maxStalenessSeconds", seconds.as_deref());
        }
    }

    fn transport(&mut self, o: &ClientOptions) {
        if let Some(compressors) = &o.compressors {
            let mut names = String::new();
            let mut level = None;
            for compressor in compressors {
                if !names.is_empty() {
                    names.push(',');
                }
                names.push_str(compressor.name());
                if let Compressor::Zlib { level: given } = compressor {
                    level = *given;
                }
            }
            self.put("compressors", &names);
            self.number("zlibCompressionLevel", level);
        }
        if let Some(proxy) = &o.socks5_proxy {
            self.put("proxyHost", &proxy.host);
            self.number("proxyPort", proxy.port.map(u32::from));
            if let Some((user, password)) = &proxy.authentication {
                self.put("proxyUsername", user);
                self.secret("proxyPassword", password);
            }
        }
    }

    fn tls(&mut self, o: &ClientOptions) {
        let tls = match &o.tls {
            None => return,
            Some(Tls::Disabled) => return self.put("tls", "false"),
            Some(Tls::Enabled(tls)) => tls,
        };
        // Implied by the scheme.
        if o.srv_host.is_none() || *tls != TlsOptions::default() {
            self.put("tls", "true");
        }
        self.boolean("tlsInsecure", tls.insecure);
        self.boolean("tlsAllowInvalidCertificates", tls.allow_invalid_certificates);
        self.boolean("tlsAllowInvalidHostnames", tls.allow_invalid_hostnames);
        self.boolean("tlsDisableOCSPEndpointCheck", tls.disable_ocsp_endpoint_check);
        self.boolean("tlsDisableCertificateRevocationCheck", tls.disable_certificate_revocation_check);
        self.text("tlsCAFile", tls.ca_file_path.as_deref());
        self.text("tlsCertificateKeyFile", tls.cert_key_file_path.as_deref());
        if let Some(password) = &tls.tls_certificate_key_file_password {
            self.secret("tlsCertificateKeyFilePassword", &String::from_utf8_lossy(password));
        }
    }
}

fn tag_set(tags: &BTreeMap<String, String>) -> String {
    pairs(tags.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push(',');
        }
        out.push_str(name);
        out.push(':');
        out.push_str(value);
    }
    out
}
