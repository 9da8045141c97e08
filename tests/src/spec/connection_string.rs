//! Connection strings: what is read, warned of and refused.
//!
//! Format: connection string specification, tests/README. The URI options suite has the same one.

use super::{Holds, Suite};
use quorate_core::options::{ClientOptions, Compressor, Tls};
use quorate_core::uri::ConnectionString;
use quorate_core::{Acknowledgment, Duration, ServerAddress};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The expectations of this format.
pub(super) const EXPECTS: &[&str] = &["/valid", "/warning", "/hosts", "/auth", "/options"];

/// `connection-string/tests`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "connection-string",
    prefix: "connection_string",
    specs: "connection-string/tests",
    pymongo: "connection_string/test",
    holds: Holds::Tests,
    expects: EXPECTS,
    check: run,
}];

/// One test of either suite. A `null` asserts nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(rename = "description")]
    _description: String,
    uri: String,
    valid: bool,
    warning: Option<bool>,
    hosts: Option<Vec<Host>>,
    auth: Option<Auth>,
    options: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Host {
    #[serde(rename = "type")]
    kind: String,
    host: String,
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Auth {
    username: Option<String>,
    password: Option<String>,
    db: Option<String>,
}

pub(super) fn run(test: &Value) -> Result<(), String> {
    let test = Test::deserialize(test).map_err(|e| e.to_string())?;
    let read = match ConnectionString::parse(&test.uri) {
        Ok(read) if test.valid => read,
        Ok(read) => return Err(format!("should be refused: {} is {read:?}", test.uri)),
        // No file asks for a warning beside an error.
        Err(_) if !test.valid && test.warning != Some(true) => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", test.uri)),
    };
    same("warning", test.warning, Some(!read.warnings().is_empty()))
        .map_err(|why| format!("{why}: {:?}", read.warnings()))?;
    if let Some(hosts) = &test.hosts {
        let expected: Vec<_> = hosts.iter().map(|h| (h.kind.as_str(), h.host.as_str(), h.port)).collect();
        same("hosts", Some(expected), Some(read.hosts().iter().map(host).collect()))?;
    }
    if let Some(auth) = &test.auth {
        let credential = read.options().credential.as_ref();
        let found = (
            credential.and_then(|c| c.username.as_deref()),
            credential.and_then(|c| c.password.as_deref()),
            read.options().default_database.as_deref(),
        );
        same(
            "auth",
            Some((auth.username.as_deref(), auth.password.as_deref(), auth.db.as_deref())),
            Some(found),
        )?;
    }
    for (name, expected) in test.options.iter().flatten() {
        let found = option(read.options(), name)?;
        same(name, Some(expected), Some(&found))?;
    }
    // Beyond the files: the canonical form means the same, and what was read without a warning makes a client.
    let again = ConnectionString::parse(&read.to_string_with_secrets()).map_err(|e| e.to_string())?;
    same("canonical form", Some(&read), Some(&again))?;
    same("warnings of the canonical form", Some(0), Some(again.warnings().len()))?;
    if read.warnings().is_empty() {
        read.into_options().validate().map_err(|error| format!("{}: {error}", test.uri))?;
    }
    Ok(())
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    expected: Option<T>,
    found: Option<T>,
) -> Result<(), String> {
    match expected {
        Some(_) if expected != found => Err(format!("{what}: expected {expected:?}, found {found:?}")),
        _ => Ok(()),
    }
}

fn host(address: &ServerAddress) -> (&str, &str, Option<u16>) {
    match address {
        ServerAddress::Unix { path } => ("unix", path, None),
        ServerAddress::Tcp { host, port } => {
            let kind = if host.parse::<Ipv4Addr>().is_ok() {
                "ipv4"
            } else if host.parse::<Ipv6Addr>().is_ok() {
                "ip_literal"
            } else {
                "hostname"
            };
            (kind, host, *port)
        }
    }
}

/// An option's value in the form the files have it, read off the typed options; `null` when it is not set.
///
/// A name that is not known here is an error, so that a new option in the files cannot pass unseen.
pub(super) fn option(options: &ClientOptions, name: &str) -> Result<Value, String> {
    let o = options;
    let millis =
        |value: Option<Duration>| json!(value.map(|value| u64::try_from(value.as_millis()).unwrap()));
    let credential = o.credential.as_ref();
    let concern = o.write_concern.as_ref();
    let preference = o.read_preference.as_ref();
    let tls = o.tls_options();
    Ok(match name.to_ascii_lowercase().as_str() {
        "appname" => json!(o.app_name),
        "authmechanism" => json!(credential.and_then(|c| c.mechanism).map(|m| m.as_str())),
        "authmechanismproperties" => json!(credential.and_then(|c| c.mechanism_properties.as_ref())),
        "authsource" => json!(credential.and_then(|c| c.source.as_ref())),
        "compressors" => {
            json!(o.compressors.as_ref().map(|all| all.iter().map(|c| c.name()).collect::<Vec<_>>()))
        }
        "connecttimeoutms" => millis(o.connect_timeout),
        "directconnection" => json!(o.direct_connection),
        "enableoverloadretargeting" => json!(o.enable_overload_retargeting),
        "heartbeatfrequencyms" => millis(o.heartbeat_freq),
        "journal" => json!(concern.and_then(|c| c.journal)),
        "loadbalanced" => json!(o.load_balanced),
        "localthresholdms" => millis(o.local_threshold),
        "maxadaptiveretries" => json!(o.max_adaptive_retries),
        "maxconnecting" => json!(o.max_connecting),
        "maxidletimems" => millis(o.max_idle_time),
        "maxpoolsize" => json!(o.max_pool_size),
        "maxstalenessseconds" => json!(preference.and_then(|p| p.max_staleness).map(|s| s.as_secs())),
        "minpoolsize" => json!(o.min_pool_size),
        "readconcernlevel" => {
            json!(o.read_concern.as_ref().and_then(|c| c.level.as_ref()).map(|l| l.as_str()))
        }
        "readpreference" => json!(preference.map(|p| p.mode.as_str())),
        "readpreferencetags" => json!(preference.map(|p| p.tag_sets.to_vec())),
        "replicaset" => json!(o.repl_set_name),
        "retrywrites" => json!(o.retry_writes),
        "servermonitoringmode" => json!(o.server_monitoring_mode.map(|m| m.as_str())),
        "serverselectiontimeoutms" => millis(o.server_selection_timeout),
        "serverselectiontryonce" => json!(o.server_selection_try_once),
        "sockettimeoutms" => millis(o.socket_timeout),
        "srvmaxhosts" => json!(o.srv_max_hosts),
        "srvservicename" => json!(o.srv_service_name),
        "timeoutms" => millis(o.timeout),
        "tls" | "ssl" => json!(o.tls.as_ref().map(|tls| matches!(tls, Tls::Enabled(_)))),
        "tlsallowinvalidcertificates" => json!(tls.and_then(|t| t.allow_invalid_certificates)),
        "tlsallowinvalidhostnames" => json!(tls.and_then(|t| t.allow_invalid_hostnames)),
        "tlscafile" => json!(tls.and_then(|t| t.ca_file_path.as_ref())),
        "tlscertificatekeyfile" => json!(tls.and_then(|t| t.cert_key_file_path.as_ref())),
        "tlscertificatekeyfilepassword" => {
            let password = tls.and_then(|t| t.tls_certificate_key_file_password.clone());
            json!(password.map(|bytes| String::from_utf8(bytes).unwrap()))
        }
        "tlsdisablecertificaterevocationcheck" => {
            json!(tls.and_then(|t| t.disable_certificate_revocation_check))
        }
        "tlsdisableocspendpointcheck" => json!(tls.and_then(|t| t.disable_ocsp_endpoint_check)),
        "tlsinsecure" => json!(tls.and_then(|t| t.insecure)),
        "w" => concern.and_then(|c| c.w.as_ref()).map_or(Value::Null, acknowledgment),
        "wtimeoutms" => millis(concern.and_then(|c| c.w_timeout)),
        "zlibcompressionlevel" => json!(o.compressors.iter().flatten().find_map(|c| match c {
            Compressor::Zlib { level } => *level,
            _ => None,
        })),
        _ => return Err(format!("this runner does not know the option {name}")),
    })
}

pub(super) fn acknowledgment(w: &Acknowledgment) -> Value {
    match w {
        Acknowledgment::Nodes(n) => json!(n),
        other => json!(other.describe()),
    }
}
