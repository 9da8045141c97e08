//! Questions to DNS, and the records it answers with.

use crate::options::MAX_TXT_LENGTH;
use crate::{Duration, Error, ErrorKind, Result, ServerAddress};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The most records of one answer that are taken: more than a DNS message has room for.
pub const MAX_RECORDS: usize = 4096;

/// A question to DNS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The SRV records of a name such as `_mongodb._tcp.cluster0.example.com`.
    Srv(String),
    /// The TXT records of a name such as `cluster0.example.com`.
    Txt(String),
}

impl fmt::Display for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lookup::Srv(name) => write!(f, "SRV {name}"),
            Lookup::Txt(name) => write!(f, "TXT {name}"),
        }
    }
}

/// An SRV record, without priority and weight, which "MUST be ignored".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvRecord {
    /// The host, with or without the dot of the root at its end.
    pub target: String,
    /// The port.
    pub port: u16,
    /// For how long the record is good; `None` where the host's resolver does not tell.
    pub ttl: Option<Duration>,
}

impl SrvRecord {
    /// A record.
    pub fn new(target: impl Into<String>, port: u16, ttl: Option<Duration>) -> Self {
        SrvRecord { target: target.into(), port, ttl }
    }

    /// The address it leads to; `None` if no server can be there.
    pub(super) fn address(&self) -> Option<ServerAddress> {
        let host = self.target.strip_suffix('.').unwrap_or(&self.target).to_lowercase();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || !c.is_ascii();
        let is_name =
            host.len() <= 255 && host.split('.').all(|part| !part.is_empty() && part.chars().all(legal));
        (is_name && self.port != 0).then(|| ServerAddress::tcp(host, self.port))
    }
}

/// A TXT record: its strings in order, undecoded.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TxtRecord {
    /// At most 255 bytes each, as far as DNS is concerned.
    pub strings: Vec<Vec<u8>>,
}

impl TxtRecord {
    /// A record of those strings.
    pub fn new<S: Into<Vec<u8>>>(strings: impl IntoIterator<Item = S>) -> Self {
        TxtRecord { strings: strings.into_iter().map(Into::into).collect() }
    }

    /// "Concatenate them as if they were one single string."
    pub(super) fn text(&self) -> Result<String> {
        let length = self.strings.iter().fold(0usize, |sum, part| sum.saturating_add(part.len()));
        if length > MAX_TXT_LENGTH {
            return Err(Error::connection_string("TXT record", "is too long"));
        }
        String::from_utf8(self.strings.concat())
            .map_err(|_| Error::connection_string("TXT record", "is no UTF-8 text"))
    }
}

/// The time all of `records` are good for; `None` if that of one is not known.
pub(super) fn shortest_ttl(records: &[SrvRecord]) -> Option<Duration> {
    records.iter().map(|record| record.ttl).min().flatten()
}

/// `addresses` without repetitions, in their order.
pub(super) fn distinct(addresses: impl Iterator<Item = ServerAddress>) -> Vec<ServerAddress> {
    let mut seen = BTreeSet::new();
    addresses.filter(|address| seen.insert(address.clone())).collect()
}

/// That looking up `name` did not work, and why.
pub(super) fn failed(lookup: &Lookup, why: impl fmt::Display) -> Error {
    Error::new(ErrorKind::DnsResolve { message: format!("{lookup}: {why}") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn a_record_leads_to_a_host_and_port_or_nowhere() {
        let address = |target: &str, port| SrvRecord::new(target, port, None).address();
        assert_eq!(address("A.Example.com.", 1).unwrap().to_string(), "a.example.com:1");
        assert_eq!(address("my_host-1.x", 27018).unwrap().to_string(), "my_host-1.x:27018");
        let long = "a.".repeat(129);
        for bad in ["", ".", "a..b", ".a", "a b", "a:1", "[::1]", "/tmp/x.sock", "a..", &long] {
            assert_eq!(address(bad, 27017), None, "{bad}");
        }
        assert_eq!(address("a.b", 0), None);
    }

    #[test]
    fn the_shortest_ttl_counts_if_all_are_known() {
        let record = |ttl: Option<u64>| SrvRecord::new("a", 1, ttl.map(Duration::from_secs));
        assert_eq!(shortest_ttl(&[record(Some(90)), record(Some(70))]), Some(Duration::from_secs(70)));
        assert_eq!(shortest_ttl(&[record(Some(90)), record(None)]), None);
        assert_eq!(shortest_ttl(&[]), None);
    }

    #[test]
    fn the_strings_of_a_txt_record_are_one_text() {
        assert_eq!(TxtRecord::new(["replicaS", "et=rep", "l0"]).text().unwrap(), "replicaSet=repl0");
        assert!(TxtRecord::new([vec![0xff]]).text().is_err());
        assert!(TxtRecord::new(vec![vec![b'a'; 255]; 300]).text().is_err());
    }
}
