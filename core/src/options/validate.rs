//! The rules that span several options.

use super::{ClientOptions, Compressor, TLS_CONFLICTS, Tls, defaults};
use crate::handshake::MAX_APP_NAME_BYTES;
use crate::{Error, Result, ServerAddress};
use alloc::format;
use alloc::string::String;

/// A broken rule: the option it is about (by its name in connection strings) and what is wrong.
pub(crate) type Conflict = (&'static str, String);

fn conflict<T>(option: &'static str, message: &str) -> Result<T, Conflict> {
    Err((option, message.into()))
}

impl ClientOptions {
    /// Says what cannot be, alone or together.
    ///
    /// Options read from a connection string have most of this behind them; those put together in code do not, and hosts and
    /// options that DNS added do not either. A client calls it before it does anything else.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidArgument`], naming the option as connection strings do.
    pub fn validate(&self) -> Result<()> {
        let complete = || {
            self.check()?;
            if self.hosts.is_empty() && self.srv_host.is_none() {
                return conflict("hosts", "at least one is needed");
            }
            self.credential.as_ref().map_or(Ok(()), |credential| credential.check_complete())
        };
        complete().map_err(|(option, message)| Error::invalid_argument(format!("{option}: {message}")))
    }

    /// The rules a connection string is held against as well.
    pub(crate) fn check(&self) -> Result<(), Conflict> {
        self.check_topology()?;
        self.check_srv()?;
        self.check_tls()?;
        self.check_pool()?;
        self.check_proxy()?;
        if let Some(write_concern) = &self.write_concern {
            // Read and write concern specification, "Inconsistent WriteConcern".
            write_concern.validate().map_err(|message| ("w", message.into()))?;
        }
        if let Some(read_preference) = &self.read_preference {
            read_preference.validate().map_err(|message| ("readPreference", message.into()))?;
        }
        if let Some(credential) = &self.credential {
            credential.check()?;
        }
        if self.app_name.as_ref().is_some_and(|name| name.len() > MAX_APP_NAME_BYTES) {
            return conflict("appName", "must not be longer than 128 bytes");
        }
        let level_is_wrong = |c: &Compressor| matches!(c, Compressor::Zlib { level: Some(10..) });
        if self.compressors.iter().flatten().any(level_is_wrong) {
            return conflict("zlibCompressionLevel", "must be at most 9");
        }
        Ok(())
    }

    /// URI options specification, "directConnection URI option with multiple seeds or SRV URI"; load balancers
    /// specification, "URI Validation".
    fn check_topology(&self) -> Result<(), Conflict> {
        let direct = self.direct_connection == Some(true);
        if direct && self.srv_host.is_some() {
            return conflict("directConnection", "cannot be true with a mongodb+srv connection string");
        }
        if direct && self.hosts.len() > 1 {
            return conflict("directConnection", "cannot be true with more than one host");
        }
        if self.load_balanced == Some(true) {
            if self.hosts.len() > 1 {
                return conflict("loadBalanced", "cannot be true with more than one host");
            }
            if self.repl_set_name.is_some() {
                return conflict("loadBalanced", "cannot be true with replicaSet");
            }
            if direct {
                return conflict("loadBalanced", "cannot be true with directConnection=true");
            }
        }
        if self.repl_set_name.as_deref() == Some("") {
            return conflict("replicaSet", "must not be empty");
        }
        if self.heartbeat_freq.is_some_and(|freq| freq < defaults::MIN_HEARTBEAT_FREQUENCY) {
            return conflict("heartbeatFrequencyMS", "must be at least 500 ms");
        }
        Ok(())
    }

    /// Initial DNS seedlist discovery specification, "URI Validation".
    fn check_srv(&self) -> Result<(), Conflict> {
        if self.srv_host.is_none() {
            const MESSAGE: &str = "goes with a mongodb+srv connection string only";
            if self.srv_max_hosts.is_some() {
                return conflict("srvMaxHosts", MESSAGE);
            }
            if self.srv_service_name.is_some() {
                return conflict("srvServiceName", MESSAGE);
            }
            if self.srv_allowed_hosts_suffix.is_some() {
                return conflict("srvAllowedHostsSuffix", MESSAGE);
            }
        }
        if let Some(fault) = self.srv_allowed_hosts_suffix.as_deref().and_then(super::srv::suffix_fault) {
            return conflict("srvAllowedHostsSuffix", fault);
        }
        if self.srv_max_hosts.is_some_and(|max| max > 0) {
            if self.repl_set_name.is_some() {
                return conflict("srvMaxHosts", "cannot be positive with replicaSet");
            }
            if self.load_balanced == Some(true) {
                return conflict("srvMaxHosts", "cannot be positive with loadBalanced=true");
            }
        }
        if self.srv_service_name.as_deref().is_some_and(|name| !is_srv_service_name(name)) {
            return conflict("srvServiceName", "is no service name as of RFC 6335");
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), Conflict> {
        let Some(Tls::Enabled(tls)) = &self.tls else { return Ok(()) };
        match TLS_CONFLICTS.into_iter().find(|(one, other)| tls.has(one) && tls.has(other)) {
            Some((one, other)) => Err((one, format!("cannot be given together with {other}"))),
            None => Ok(()),
        }
    }

    /// CMAP specification, "Connection Pool Options".
    fn check_pool(&self) -> Result<(), Conflict> {
        if self.max_connecting == Some(0) {
            return conflict("maxConnecting", "must be at least 1");
        }
        if self.effective_min_pool_size() > self.effective_max_pool_size() {
            return conflict("minPoolSize", "must not be greater than maxPoolSize");
        }
        Ok(())
    }

    /// SOCKS5 specification, "MongoClient Configuration".
    fn check_proxy(&self) -> Result<(), Conflict> {
        let Some(proxy) = &self.socks5_proxy else { return Ok(()) };
        if proxy.host.is_empty() {
            return conflict("proxyHost", "must not be empty");
        }
        if proxy.port == Some(0) {
            return conflict("proxyPort", "must be between 1 and 65535");
        }
        match &proxy.authentication {
            Some((user, _)) if user.is_empty() => return conflict("proxyUsername", "must not be empty"),
            Some((_, password)) if password.is_empty() => {
                return conflict("proxyPassword", "must not be empty");
            }
            _ => {}
        }
        if self.hosts.iter().any(|host| matches!(host, ServerAddress::Unix { .. })) {
            return conflict("proxyHost", "cannot be combined with a Unix domain socket");
        }
        Ok(())
    }
}

/// RFC 6335, section 5.1, but for the length: with the underscore in front it may fill a DNS label of 63 bytes.
pub(crate) fn is_srv_service_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    (1..=62).contains(&name.len())
        && name.bytes().all(allowed)
        && name.bytes().any(|b| b.is_ascii_alphabetic())
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{AuthMechanism, Credential, Socks5Proxy, TlsOptions};
    use crate::{Duration, WriteConcern};
    use alloc::string::ToString;

    fn refused(set: impl FnOnce(&mut ClientOptions)) -> String {
        let mut options = ClientOptions::default();
        set(&mut options);
        options.validate().unwrap_err().to_string()
    }

    #[test]
    fn options_built_in_code_are_held_against_the_rules() {
        ClientOptions::default().validate().unwrap();
        let two = [ServerAddress::tcp("a", 1), ServerAddress::tcp("b", 1)];
        assert!(refused(|o| o.hosts.clear()).starts_with("hosts"));
        assert!(refused(|o| o.max_connecting = Some(0)).starts_with("maxConnecting"));
        assert!(refused(|o| o.min_pool_size = Some(101)).starts_with("minPoolSize"));
        assert!(refused(|o| o.heartbeat_freq = Some(Duration::from_millis(499))).starts_with("heartbeat"));
        assert!(refused(|o| o.srv_max_hosts = Some(0)).starts_with("srvMaxHosts"));
        assert!(refused(|o| o.app_name = Some("x".repeat(129))).starts_with("appName"));
        assert!(
            refused(|o| o.compressors = Some([Compressor::Zlib { level: Some(10) }].into()))
                .starts_with("zlib")
        );
        assert!(refused(|o| o.socks5_proxy = Some(Socks5Proxy::new(""))).starts_with("proxyHost"));
        assert!(
            refused(|o| {
                o.hosts = two.to_vec();
                o.direct_connection = Some(true);
            })
            .starts_with("directConnection")
        );
        assert!(
            refused(
                |o| o.write_concern = Some(WriteConcern { journal: Some(true), ..WriteConcern::nodes(0) })
            )
            .starts_with("w:")
        );
        assert!(
            refused(|o| {
                o.credential =
                    Some(Credential { mechanism: Some(AuthMechanism::MongoDbOidc), ..Credential::default() })
            })
            .starts_with("authMechanismProperties")
        );
        assert!(
            refused(|o| {
                o.tls = Some(Tls::Enabled(TlsOptions {
                    insecure: Some(false),
                    disable_ocsp_endpoint_check: Some(false),
                    ..TlsOptions::default()
                }))
            })
            .starts_with("tlsInsecure")
        );
    }

    #[test]
    fn no_maximum_leaves_room_for_any_minimum() {
        let options =
            ClientOptions { max_pool_size: Some(0), min_pool_size: Some(5000), ..ClientOptions::default() };
        options.validate().unwrap();
    }

    #[test]
    fn srv_service_names() {
        for good in ["mongodb", "a", "customname", "my-db2", &"a".repeat(62)] {
            assert!(is_srv_service_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a--b", "12", "a.b", "_a", &"a".repeat(63)] {
            assert!(!is_srv_service_name(bad), "{bad}");
        }
    }
}
