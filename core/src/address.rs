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
        let port = match port {
            None => None,
            Some(digits) => {
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                Some(digits.parse::<u16>().ok().filter(|p| *p != 0)?)
            }
        };
        if host.is_empty() || host.len() > 255 {
            return None;
        }
        Some(ServerAddress::Tcp { host: host.to_lowercase(), port })
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
        assert_eq!(ServerAddress::parse("::1").unwrap().host(), "::1");
        assert_eq!(ServerAddress::parse("/tmp/mongodb-27017.sock").unwrap().port(), None);
    }

    #[test]
    fn refuses_what_is_no_address() {
        for bad in ["", ":1", "a:", "a:0", "a:65536", "a:+1", "[::1", "[::1]x", "[]"] {
            assert_eq!(ServerAddress::parse(bad), None, "{bad}");
        }
    }
}
