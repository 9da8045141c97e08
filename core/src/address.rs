//! Where a server listens.

use alloc::string::{String, ToString};
use core::cmp::Ordering;
use core::fmt;
use core::hash::{Hash, Hasher};

/// The port a server listens on when none is named.
pub const DEFAULT_PORT: u16 = 27017;

/// The address of one server: host and port, or the path of a Unix domain socket.
///
/// Two addresses are equal when they lead to the same place: a missing port is [`DEFAULT_PORT`]. Hosts are kept as
/// given except that parsing folds them to lower case, as the SDAM specification asks ("Hostnames are normalized
/// to lower case").
#[derive(Clone)]
pub enum ServerAddress {
    /// A TCP host, by name or IP address (IPv6 without brackets), and port.
    Tcp {
        /// Host name, IPv4 or IPv6 address.
        host: String,
        /// Port; `None` stands for [`DEFAULT_PORT`].
        port: Option<u16>,
    },
    /// A Unix domain socket.
    Unix {
        /// Absolute path of the socket, ending in `.sock`.
        path: String,
    },
}

impl ServerAddress {
    /// A TCP address.
    pub fn tcp(host: impl Into<String>, port: u16) -> Self {
        ServerAddress::Tcp { host: host.into(), port: Some(port) }
    }

    /// Reads `host`, `host:port`, `[v6]`, `[v6]:port` or a socket path ending in `.sock`, as servers print them in
    /// `hosts`, `me` and `primary`.
    ///
    /// Returns `None` for an empty host, port 0, a port that is no number, or unbalanced brackets.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((host, port)) = split_plain(text) {
            return Self::checked(host, Some(port));
        }
        if text.ends_with(".sock") && text.contains('/') {
            return Some(ServerAddress::Unix { path: text.to_string() });
        }
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, after) = rest.split_once(']')?;
            match after {
                "" => (host, None),
                _ => (host, Some(after.strip_prefix(':')?)),
            }
        } else {
            match text.split_once(':') {
                // More than one colon and no brackets: a bare IPv6 address.
                Some((_, rest)) if rest.contains(':') => (text, None),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        match port {
            None => Self::checked(host, None),
            Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => {
                Self::checked(host, Some(digits.parse().ok()?))
            }
            Some(_) => None,
        }
    }

    fn checked(host: &str, port: Option<u16>) -> Option<Self> {
        if host.is_empty() || host.len() > 255 || port == Some(0) {
            return None;
        }
        Some(ServerAddress::Tcp { host: lower_case(host), port })
    }

    /// Host name or socket path.
    pub fn host(&self) -> &str {
        match self {
            ServerAddress::Tcp { host, .. } => host,
            ServerAddress::Unix { path } => path,
        }
    }

    /// The port; `None` for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match self {
            ServerAddress::Tcp { port, .. } => Some(port.unwrap_or(DEFAULT_PORT)),
            ServerAddress::Unix { .. } => None,
        }
    }

    fn key(&self) -> (&str, u16) {
        (self.host(), self.port().unwrap_or(0))
    }
}

/// `host:port` of a name or an IPv4 address, as nearly every address is, in one pass from its end; `None` of anything else,
/// which may be an address all the same.
fn split_plain(text: &str) -> Option<(&str, u16)> {
    let (mut port, mut unit) = (0u32, 1u32);
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            b'0'..=b'9' if unit <= 10_000 => {
                port += u32::from(byte - b'0') * unit;
                unit *= 10;
            }
            b':' if unit > 1 => {
                let host = text.get(..at)?;
                let plain = host.bytes().all(|byte| !matches!(byte, b':' | b'[' | b']' | b'/'));
                return plain.then_some((host, u16::try_from(port).ok()?));
            }
            _ => return None,
        }
    }
    None
}

/// "Hostnames are normalized to lower-case": nearly all of them are, and have to be copied only.
fn lower_case(host: &str) -> String {
    let lower = |byte: u8| byte.is_ascii() & !byte.is_ascii_uppercase();
    if host.bytes().fold(true, |all, byte| all & lower(byte)) {
        host.to_string()
    } else {
        host.to_lowercase()
    }
}

impl Default for ServerAddress {
    /// `localhost:27017`.
    fn default() -> Self {
        ServerAddress::Tcp { host: "localhost".to_string(), port: None }
    }
}

impl PartialEq for ServerAddress {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl Eq for ServerAddress {}
impl PartialOrd for ServerAddress {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for ServerAddress {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
impl Hash for ServerAddress {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Unix { path } => f.write_str(path),
            ServerAddress::Tcp { host, .. } if host.contains(':') => {
                write!(f, "[{host}]:{}", self.port().unwrap_or(DEFAULT_PORT))
            }
            ServerAddress::Tcp { host, .. } => write!(f, "{host}:{}", self.port().unwrap_or(DEFAULT_PORT)),
        }
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_servers_print() {
        assert_eq!(ServerAddress::parse("A.example:1").unwrap().to_string(), "a.example:1");
        assert_eq!(ServerAddress::parse("a"), ServerAddress::parse("a:27017"));
        assert_eq!(ServerAddress::parse("[::1]:5").unwrap().to_string(), "[::1]:5");
        assert_eq!(ServerAddress::parse("a:000001").unwrap().to_string(), "a:1");
        assert_eq!(ServerAddress::parse("ÄB:1").unwrap().host(), "äb");
        assert_eq!(ServerAddress::parse("1::2:3").unwrap().port(), Some(DEFAULT_PORT));
        assert_eq!(ServerAddress::parse("::1").unwrap().host(), "::1");
        assert_eq!(ServerAddress::parse("/tmp/mongodb-27017.sock").unwrap().port(), None);
    }

    #[test]
    fn refuses_what_is_no_address() {
        for bad in
            ["", ":1", "a:", "a:0", "a:65536", "a:99999", "a:123456", "a:+1", "[::1", "[::1]x", "[]", "[]:1"]
        {
            assert_eq!(ServerAddress::parse(bad), None, "{bad}");
        }
    }
}
