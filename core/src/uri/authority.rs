//! The front of a connection string: who, where, and which database.

use super::{MAX_SEEDS, percent};
use crate::{Error, Result, ServerAddress};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

fn wrong<T>(part: impl Into<String>, message: &str) -> Result<T> {
    Err(Error::connection_string(part, message))
}

/// "Userinfo": user name and, behind the first colon, password. RFC 3986's general delimiters have to be encoded; other
/// characters are taken as they are, as most drivers do.
pub(super) fn userinfo(text: &str) -> Result<(String, Option<String>)> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (text, None),
    };
    let read = |part: &'static str, text: &str| -> Result<String> {
        if text.contains([':', '/', '?', '#', '[', ']', '@']) || text.contains(char::is_control) {
            return wrong(part, "contains a character that must be percent-encoded (one of : / ? # [ ] @)");
        }
        percent::decode(text).map(|text| text.into_owned()).map_err(|m| Error::connection_string(part, m))
    };
    let password = password.map(|text| read("password", text)).transpose()?;
    let user = read("user name", user)?;
    if user.is_empty() {
        return wrong("user name", "must not be empty");
    }
    Ok((user, password))
}

/// "Host Information": one address or more.
pub(super) fn hosts(text: &str) -> Result<Vec<ServerAddress>> {
    if text.is_empty() {
        return wrong(
            "host list",
            "names no host (the path of a Unix domain socket must be percent-encoded, its slashes as %2F)",
        );
    }
    let mut hosts = Vec::new();
    for host in text.split(',') {
        if hosts.len() == MAX_SEEDS {
            return wrong("host list", "names more than 1000 hosts");
        }
        hosts.push(host_identifier(host)?);
    }
    Ok(hosts)
}

/// "Host Identifier". The kind is told by its form: in brackets an IPv6 address, with an encoded slash a Unix domain socket,
/// otherwise a name or an IPv4 address.
fn host_identifier(text: &str) -> Result<ServerAddress> {
    if text.is_empty() {
        return wrong("host list", "contains an empty host");
    }
    if let Some(rest) = text.strip_prefix('[') {
        let Some((literal, after)) = rest.split_once(']') else {
            return wrong(host_part(text), "lacks the closing bracket of an IPv6 address");
        };
        let host = ip_literal(literal)?;
        let port = match after.strip_prefix(':') {
            Some(digits) => Some(port(&host, digits)?),
            None if after.is_empty() => None,
            None => return wrong(host_part(literal), "only a port may follow the bracket"),
        };
        return Ok(ServerAddress::Tcp { host, port });
    }
    let (host, digits) = match text.split_once(':') {
        Some((host, digits)) => (host, Some(digits)),
        None => (text, None),
    };
    if digits.is_some_and(|digits| digits.contains(':')) {
        return wrong(host_part(host), "more than one colon; an IPv6 address goes in brackets: [::1]:27017");
    }
    let name = percent::decode(host).map_err(|message| Error::connection_string(host_part(host), message))?;
    if name.contains('/') {
        // "UNIX domain sockets MUST end in .sock"; they have no port.
        if digits.is_some() || !name.ends_with(".sock") {
            return wrong(host_part(host), "the path of a Unix domain socket must end in .sock");
        }
        if name.contains('\0') {
            return wrong(host_part(host), "a path cannot contain a NUL byte");
        }
        return Ok(ServerAddress::Unix { path: name.into_owned() });
    }
    let host = host_name(&name)?;
    let port = digits.map(|digits| port(&host, digits)).transpose()?;
    Ok(ServerAddress::Tcp { host, port })
}

/// An IPv6 address, with or without a zone.
fn ip_literal(text: &str) -> Result<String> {
    let address =
        percent::decode(text).map_err(|message| Error::connection_string(host_part(text), message))?;
    let (ip, zone) = match address.split_once('%') {
        Some((ip, zone)) => (ip, Some(zone)),
        None => (&*address, None),
    };
    let zone_is_wrong = |zone: &str| {
        zone.is_empty()
            || zone.len() > 64
            || !zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
    };
    if ip.parse::<Ipv6Addr>().is_err() || zone.is_some_and(zone_is_wrong) {
        return wrong(host_part(text), "is no IPv6 address");
    }
    Ok(address.to_lowercase())
}

/// A name or an IPv4 address, folded to lower case. Names are not held against the rules of DNS: resolvers know others.
fn host_name(name: &str) -> Result<String> {
    if name.is_empty() {
        return wrong("host list", "contains an empty host");
    }
    if name.len() > 255 {
        return wrong(host_part(name), "is longer than 255 bytes");
    }
    let bad = |c: char| c.is_control() || c.is_whitespace() || "\"#%<>?@[\\]^`{|}:,".contains(c);
    if name.contains(bad) {
        return wrong(host_part(name), "contains a character no host name has");
    }
    let folded = name.to_lowercase();
    // Some letters grow in lower case.
    if folded.len() > 255 {
        return wrong(host_part(name), "is longer than 255 bytes");
    }
    Ok(folded)
}

/// "Port". The digits are not repeated in the message: where a colon stands in the wrong place they may be a password.
fn port(host: &str, digits: &str) -> Result<u16> {
    let number = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u16>().ok()).flatten();
    match number {
        Some(port) if port != 0 => Ok(port),
        _ => wrong(format!("port of `{}`", shorten(host)), "must be a number between 1 and 65535"),
    }
}

/// The host of `mongodb+srv` (initial DNS seedlist discovery, "Validation Before Querying DNS").
pub(super) fn srv_host(text: &str) -> Result<String> {
    if text.contains(',') {
        return wrong("host list", "mongodb+srv takes exactly one host");
    }
    if text.is_empty() {
        return wrong("host list", "names no host");
    }
    match host_identifier(text)? {
        ServerAddress::Tcp { host, port: Some(_) } => {
            wrong(format!("port of `{}`", shorten(&host)), "mongodb+srv takes none, SRV records have it")
        }
        ServerAddress::Tcp { host, .. } if host.contains(':') || host.parse::<Ipv4Addr>().is_ok() => {
            wrong(host_part(&host), "mongodb+srv takes a name, not an address")
        }
        ServerAddress::Tcp { host, .. } => Ok(host),
        ServerAddress::Unix { path } => wrong(host_part(&path), "mongodb+srv takes a name, not a socket"),
    }
}

/// "Auth Database". Dots are allowed: the part may name a collection as well.
pub(super) fn database(text: &str) -> Result<Option<String>> {
    if text.is_empty() {
        return Ok(None);
    }
    let name = percent::decode(text).map_err(|message| Error::connection_string("database", message))?;
    if name.contains(['/', '\\', ' ', '"', '$', '\0']) {
        return wrong("database", "contains a character no database name has (one of / \\ \" $ or a space)");
    }
    Ok(Some(name.into_owned()))
}

fn host_part(host: &str) -> String {
    format!("host `{}`", shorten(host))
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_string(),
    }
}
