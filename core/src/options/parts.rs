//! The small types options are made of.

use super::Secret;
use crate::handshake::ServerApiVersion;
use crate::monitor::ServerMonitoringMode;
use alloc::string::String;
use core::fmt;

impl fmt::Display for ServerApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ServerMonitoringMode {
    /// The name in connection strings.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerMonitoringMode::Stream => "stream",
            ServerMonitoringMode::Poll => "poll",
            ServerMonitoringMode::Auto => "auto",
        }
    }

    /// The mode of that name.
    pub fn parse(name: &str) -> Option<Self> {
        use ServerMonitoringMode::*;
        [Stream, Poll, Auto].into_iter().find(|mode| mode.as_str() == name)
    }
}

/// How UUIDs that older drivers stored are to be read (`uuidRepresentation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UuidRepresentation {
    /// BSON binary subtype 4.
    Standard,
    /// Subtype 3 in the byte order of the old C# driver.
    CSharpLegacy,
    /// Subtype 3 in the byte order of the old Java driver.
    JavaLegacy,
    /// Subtype 3 in the byte order of the old Python driver.
    PythonLegacy,
}

impl UuidRepresentation {
    /// The name in connection strings.
    pub const fn as_str(self) -> &'static str {
        match self {
            UuidRepresentation::Standard => "standard",
            UuidRepresentation::CSharpLegacy => "csharpLegacy",
            UuidRepresentation::JavaLegacy => "javaLegacy",
            UuidRepresentation::PythonLegacy => "pythonLegacy",
        }
    }

    /// The representation of that name, ignoring ASCII case.
    pub fn parse(name: &str) -> Option<Self> {
        use UuidRepresentation::*;
        [Standard, CSharpLegacy, JavaLegacy, PythonLegacy]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
    }
}

/// A SOCKS5 proxy through which every server is reached (SOCKS5 specification, "MongoClient Configuration").
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(feature = "builders", derive(typed_builder::TypedBuilder))]
#[cfg_attr(feature = "builders", builder(field_defaults(default, setter(into))))]
#[non_exhaustive]
pub struct Socks5Proxy {
    /// Name or address of the proxy.
    #[cfg_attr(feature = "builders", builder(!default))]
    pub host: String,
    /// Its port; `None` for [`super::DEFAULT_PROXY_PORT`].
    pub port: Option<u16>,
    /// User name and password, neither empty.
    pub authentication: Option<(String, String)>,
}

impl Socks5Proxy {
    /// A proxy there, on the default port and without authentication.
    pub fn new(host: impl Into<String>) -> Self {
        Socks5Proxy { host: host.into(), port: None, authentication: None }
    }
}

impl fmt::Debug for Socks5Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("authentication", &self.authentication.as_ref().map(|(user, _)| (user, Secret)))
            .finish()
    }
}
