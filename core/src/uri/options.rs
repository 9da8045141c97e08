//! Options that are more than one value, and those that become one only together.

use super::reader::{Reader, Reject, Taken, Value};
use crate::options::{
    AuthMechanism, Compressor, Conflict, MechanismProperties, Socks5Proxy, Tls, TlsOptions,
    UuidRepresentation, is_srv_service_name,
};
use crate::{Acknowledgment, Duration, ReadPreference, ReadPreferenceMode, TagSet, WriteConcern};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Values that wait for others.
#[derive(Default)]
pub(super) struct Loose {
    pub(super) mechanism: Option<AuthMechanism>,
    pub(super) mechanism_properties: Option<MechanismProperties>,
    pub(super) auth_source: Option<String>,
    pub(super) gssapi_service_name: Option<String>,
    pub(super) w: Option<Acknowledgment>,
    pub(super) journal: Option<bool>,
    pub(super) w_timeout: Option<Duration>,
    pub(super) deprecated_w_timeout: Option<Duration>,
    pub(super) mode: Option<ReadPreferenceMode>,
    pub(super) tag_sets: Vec<TagSet>,
    /// `Some(None)` is the explicit "any".
    pub(super) max_staleness: Option<Option<Duration>>,
    pub(super) zlib_level: Option<i64>,
    pub(super) proxy_host: Option<String>,
    pub(super) proxy_port: Option<u16>,
    pub(super) proxy_username: Option<String>,
    pub(super) proxy_password: Option<String>,
    pub(super) tls: Option<bool>,
    pub(super) tls_options: Option<TlsOptions>,
}

impl Loose {
    /// The TLS options, from now on given.
    pub(super) fn tls(&mut self) -> &mut TlsOptions {
        self.tls_options.get_or_insert_default()
    }
}

/// `tls` and `ssl`: every mention must agree (URI options specification, "Conflicting TLS options").
pub(super) fn tls(reader: &mut Reader, value: Value<'_>) -> Taken {
    let enabled = reader.boolean(value)?;
    match reader.loose.tls.replace(enabled) {
        Some(before) if before != enabled => {
            Err(Reject::Refuse("tls and ssl must have the same value".into()))
        }
        _ => Ok(()),
    }
}

/// "Key value pairs": `a:b,c:d`; the value is everything behind the first colon.
pub(super) fn pairs(value: Value<'_>) -> Result<BTreeMap<String, String>, Reject> {
    let mut pairs = BTreeMap::new();
    if value.text.is_empty() {
        return Ok(pairs);
    }
    for pair in value.text.split(',') {
        match pair.split_once(':') {
            Some((key, value)) if !key.is_empty() => pairs.insert(key.to_string(), value.to_string()),
            _ => {
                let message = "must be pairs as in key:value,key:value, without a comma in a value";
                return Err(Reject::Ignore(message.into()));
            }
        };
    }
    Ok(pairs)
}

/// A property that has an option of its own; as one of several it could have no comma.
pub(super) fn gssapi_service_name(value: Value<'_>) -> Result<String, Reject> {
    if value.text.contains(',') {
        return Err(Reject::Ignore("must be a name without a comma".into()));
    }
    Ok(value.owned())
}

pub(super) fn mechanism_properties(reader: &mut Reader, value: Value<'_>) -> Taken {
    let properties = pairs(value)?;
    // "Naming of mechanism properties MUST be case-insensitive."
    let folded = properties.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect();
    reader.loose.mechanism_properties = Some(folded);
    Ok(())
}

/// A negative or oversized number is refused, not ignored: a write concern weaker than the one asked for loses data.
pub(super) fn acknowledgment(value: Value<'_>) -> Result<Acknowledgment, Reject> {
    let digits = value.text.strip_prefix('-').unwrap_or(value.text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Acknowledgment::from(value.text));
    }
    match value.count(0) {
        Ok(nodes) => Ok(Acknowledgment::Nodes(nodes)),
        Err(_) => Err(Reject::Refuse("must be a non-negative 32-bit integer or a name".into())),
    }
}

/// The one 64-bit option.
pub(super) fn w_timeout(value: Value<'_>) -> Result<Duration, Reject> {
    let millis = value.integer(0..=i64::MAX)?;
    Ok(Duration::from_millis(millis.unsigned_abs()))
}

/// -1 for any, otherwise 90 or more.
pub(super) fn max_staleness(value: Value<'_>) -> Result<Option<Duration>, Reject> {
    match value.integer(-1..=i64::from(i32::MAX))? {
        -1 => Ok(None),
        seconds if seconds >= 90 => Ok(Some(Duration::from_secs(seconds.unsigned_abs()))),
        _ => Err(Reject::Ignore("must be -1 or at least 90".into())),
    }
}

pub(super) fn port(value: Value<'_>) -> Result<u16, Reject> {
    let number = value.integer(1..=65_535)?;
    u16::try_from(number).map_err(|_| Reject::Ignore("must be between 1 and 65535".into()))
}

pub(super) fn srv_service_name(value: Value<'_>) -> Result<String, Reject> {
    if is_srv_service_name(value.text) {
        Ok(value.owned())
    } else {
        Err(Reject::Ignore("is no service name as of RFC 6335".into()))
    }
}

pub(super) fn uuid_representation(reader: &mut Reader, kind: Option<UuidRepresentation>) -> Taken {
    reader.options.uuid_representation = kind;
    Ok(())
}

/// Compression specification, "compressors": unknown ones "MUST yield a warning".
pub(super) fn compressors(reader: &mut Reader, value: Value<'_>) -> Taken {
    let mut known: Vec<Compressor> = Vec::new();
    for name in value.text.split(',').map(str::trim) {
        match Compressor::parse(name) {
            Some(compressor) if known.contains(&compressor) => {}
            Some(compressor) => known.push(compressor),
            None => reader.warn(value.name, "contains an unknown compressor, which was ignored"),
        }
    }
    if known.iter().any(|compressor| !compressor.is_available()) {
        reader
            .warn(value.name, "contains a compressor that was left out of this build, and will not be used");
    }
    reader.options.compressors = (!known.is_empty()).then_some(known);
    Ok(())
}

impl Reader {
    /// Puts the loose values together.
    pub(super) fn assemble(&mut self) -> Result<(), Conflict> {
        self.assemble_credential();
        self.assemble_concerns();
        self.assemble_tls();
        if let (Some(level), Some(compressors)) = (self.loose.zlib_level, &mut self.options.compressors) {
            for compressor in compressors {
                if let Compressor::Zlib { level: to_set } = compressor {
                    // -1 is the default and cannot be converted.
                    *to_set = u32::try_from(level).ok();
                }
            }
        }
        self.assemble_proxy()
    }

    /// Authentication specification, "Credential delimiter in URI implies authentication", and so does a mechanism.
    fn assemble_credential(&mut self) {
        if self.loose.mechanism.is_some() {
            self.options.credential.get_or_insert_default();
        }
        let Some(credential) = &mut self.options.credential else {
            if self.loose.mechanism_properties.is_some() {
                self.warn("authMechanismProperties", "has no effect without authMechanism or a user name");
            }
            return;
        };
        credential.mechanism = self.loose.mechanism;
        credential.source = self.loose.auth_source.take();
        credential.mechanism_properties = self.loose.mechanism_properties.take();
        if let Some(name) = self.loose.gssapi_service_name.take() {
            let properties = credential.mechanism_properties.get_or_insert_default();
            properties.entry("SERVICE_NAME".to_string()).or_insert(name);
        }
        if credential.mechanism == Some(AuthMechanism::MongoDbAws) && credential.username.is_some() {
            self.warn("authMechanism", "credentials for MONGODB-AWS in a connection string are deprecated");
        }
    }

    fn assemble_concerns(&mut self) {
        let loose = &mut self.loose;
        let concern = WriteConcern {
            w: loose.w.take(),
            w_timeout: loose.w_timeout.or(loose.deprecated_w_timeout),
            journal: loose.journal,
        };
        self.options.write_concern = (!concern.is_server_default()).then_some(concern);
        let max_staleness = loose.max_staleness.flatten();
        if loose.mode.is_some() || !loose.tag_sets.is_empty() || max_staleness.is_some() {
            let mut preference = ReadPreference::new(loose.mode.unwrap_or_default())
                .with_tag_sets(core::mem::take(&mut loose.tag_sets));
            preference.max_staleness = max_staleness;
            self.options.read_preference = Some(preference);
        }
    }

    /// TLS is on when it is asked for, when the scheme is `mongodb+srv`, or when any TLS option is given; `tls=false` outdoes all.
    fn assemble_tls(&mut self) {
        let options = self.loose.tls_options.take();
        self.options.tls = match self.loose.tls {
            Some(false) => {
                if options.is_some() {
                    self.warn("tls", "is false, so the other TLS options have no effect");
                }
                Some(Tls::Disabled)
            }
            None if options.is_none() && self.options.srv_host.is_none() => None,
            _ => Some(Tls::Enabled(options.unwrap_or_default())),
        };
    }

    /// SOCKS5 specification, "MongoClient Configuration".
    fn assemble_proxy(&mut self) -> Result<(), Conflict> {
        let loose = &mut self.loose;
        let Some(host) = loose.proxy_host.take() else {
            for name in ["proxyPort", "proxyUsername", "proxyPassword"] {
                if self.given(name) {
                    return Err((name, "needs proxyHost".into()));
                }
            }
            return Ok(());
        };
        let authentication = match (loose.proxy_username.take(), loose.proxy_password.take()) {
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => return Err(("proxyUsername", "needs proxyPassword".into())),
            (None, Some(_)) => return Err(("proxyPassword", "needs proxyUsername".into())),
            (None, None) => None,
        };
        self.options.socks5_proxy =
            Some(Socks5Proxy { port: loose.proxy_port, authentication, ..Socks5Proxy::new(host) });
        Ok(())
    }
}
