//! What DNS adds to a `mongodb+srv` connection string.
//!
//! The core asks no name server. The host looks up `_{service}._tcp.{name}` (SRV) and `{name}` (TXT) and hands over what it
//! found. Source: initial DNS seedlist discovery specification.

use super::{ClientOptions, defaults};
use crate::{Error, Result, Rng, ServerAddress};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The longest TXT record taken: 256 strings of 255 bytes, far beyond any real one.
pub const MAX_TXT_LENGTH: usize = 65_280;

impl ClientOptions {
    /// The name to look up SRV records of; `None` when the seeds are known already.
    pub fn srv_query(&self) -> Option<String> {
        let host = self.srv_host.as_deref()?;
        let service = self.srv_service_name.as_deref().unwrap_or(defaults::DEFAULT_SRV_SERVICE_NAME);
        Some(format!("_{service}._tcp.{host}"))
    }

    /// Takes over what DNS says: `records` are the SRV records' hosts, `txt` the TXT records found (each one's strings joined).
    /// Fills in the credential's defaults, for which `authSource` had to be known, and checks everything again.
    ///
    /// # Errors
    /// When there are no records, one leads out of the domain, there is more than one TXT record, or it sets another option
    /// than `authSource`, `replicaSet` and `loadBalanced` ("Default Connection String Options").
    pub fn apply_srv(&mut self, records: &[ServerAddress], txt: &[String], rng: &mut Rng) -> Result<()> {
        let Some(name) = self.srv_host.clone() else {
            return Err(Error::invalid_argument("not a mongodb+srv connection string"));
        };
        if records.is_empty() {
            return Err(Error::connection_string(format!("host `{name}`"), "has no SRV records"));
        }
        for record in records {
            if !verify_srv_host(&name, self.srv_allowed_hosts_suffix.as_deref(), record.host()) {
                return Err(Error::connection_string(
                    format!("host `{name}`"),
                    format!("its SRV record names {record}, which lies outside of its domain"),
                ));
            }
        }
        match txt {
            [] => {}
            [record] => crate::uri::apply_txt(self, record)?,
            _ => {
                return Err(Error::connection_string(
                    format!("host `{name}`"),
                    "has more than one TXT record",
                ));
            }
        }
        let max = usize::try_from(self.srv_max_hosts.unwrap_or(0)).unwrap_or(usize::MAX);
        self.hosts = choose_srv_hosts(records, max, rng);
        self.fill_credential_defaults();
        self.validate()
    }

    /// Fills in the credential's source and properties by mechanism and database.
    pub(crate) fn fill_credential_defaults(&mut self) {
        if let Some(credential) = &mut self.credential {
            credential.fill_defaults(self.default_database.as_deref());
        }
    }
}

/// "Querying DNS": all records, or `max` of them by the front part of a Fisher-Yates shuffle. A `max` of 0 means all.
pub(crate) fn choose_srv_hosts(records: &[ServerAddress], max: usize, rng: &mut Rng) -> Vec<ServerAddress> {
    let mut hosts = records.to_vec();
    if max > 0 && max < hosts.len() {
        for i in 0..max {
            let left = hosts.len().saturating_sub(i);
            hosts.swap(i, i.saturating_add(rng.below(left)));
        }
        hosts.truncate(max);
    }
    hosts
}

/// Names of one part that no registry gives away, so that a domain of such a name is somebody's own (RFC 6761 and 6762, ICANN's
/// reservation of `internal`, and those that are in private use everywhere).
const PRIVATE_DOMAINS: [&str; 9] =
    ["test", "localhost", "invalid", "example", "local", "internal", "corp", "home", "mail"];

/// Says what is wrong with a `srvAllowedHostsSuffix`: it must not be a domain in which anybody can have a name. Of those this knows
/// the top-level ones. A host that carries the Public Suffix List should hold the option against it as well.
pub(super) fn suffix_fault(suffix: &str) -> Option<&'static str> {
    let suffix = suffix.trim_matches('.').to_lowercase();
    if suffix.is_empty() {
        Some("must not be empty")
    } else if suffix.contains('.') || PRIVATE_DOMAINS.contains(&suffix.as_str()) {
        None
    } else {
        Some("must have at least two parts: anybody can have a name in a top-level domain")
    }
}

/// Whether an SRV record for `name` may lead to `host` ("Querying DNS"): both lie in the same domain, and a name of fewer than
/// three parts leads to names with more parts than itself. `suffix` (`srvAllowedHostsSuffix`) takes the place of the domain.
pub fn verify_srv_host(name: &str, suffix: Option<&str>, host: &str) -> bool {
    let name = name.trim_end_matches('.').to_lowercase();
    let host = host.trim_end_matches('.').to_lowercase();
    if let Some(suffix) = suffix {
        let suffix = suffix.trim_matches('.').to_lowercase();
        return !suffix.is_empty() && in_domain(&host, &suffix);
    }
    let domain = match name.split_once('.') {
        Some((_, domain)) if domain.contains('.') => domain,
        _ => {
            if host.split('.').count() <= name.split('.').count() {
                return false;
            }
            &name
        }
    };
    in_domain(&host, domain)
}

fn in_domain(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|front| front.len() > 1 && front.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::ConnectionString;
    use alloc::string::ToString;

    #[test]
    fn records_stay_in_the_domain() {
        let cases = [
            ("blogs.mongodb.com", "a.mongodb.com", true),
            ("blogs.mongodb.com", "blogs.mongodb.com", true),
            ("blogs.mongodb.com", "a.b.mongodb.com.", true),
            ("blogs.mongodb.com", "mongodb.com", false),
            ("blogs.mongodb.com", "a.evilmongodb.com", false),
            ("blogs.mongodb.com", "a.mongodb.com.evil.com", false),
            ("localhost", "localhost", false),
            ("localhost", "a.localhost", true),
            ("mongo.local", "mongo.local", false),
            ("mongo.local", "x.mongo.local", true),
            ("mongo.local", "x.other.local", false),
        ];
        for (name, host, expected) in cases {
            assert_eq!(verify_srv_host(name, None, host), expected, "{name} -> {host}");
        }
        assert!(verify_srv_host("a.b.c", Some(".mongodb.net"), "x.mongodb.net"));
        assert!(!verify_srv_host("a.b.c", Some(".mongodb.net"), "x.b.c"));
    }

    #[test]
    fn a_suffix_is_somebodys_own_domain() {
        for good in ["example.com", ".a.b.", "local", ".Internal"] {
            assert_eq!(suffix_fault(good), None, "{good}");
        }
        for bad in ["", ".", "com", ".CC", "cc."] {
            assert!(suffix_fault(bad).is_some(), "{bad}");
        }
    }

    fn options(uri: &str) -> ClientOptions {
        ConnectionString::parse(uri).unwrap().into_options()
    }

    #[test]
    fn txt_gives_defaults_and_nothing_more() {
        let records = [ServerAddress::tcp("a.x.org", 1), ServerAddress::tcp("b.x.org", 2)];
        let mut rng = Rng::new(1);
        let mut o = options("mongodb+srv://u:p@seed.x.org/db");
        assert_eq!(o.srv_query().as_deref(), Some("_mongodb._tcp.seed.x.org"));
        o.apply_srv(&records, &["replicaSet=rs&authSource=users".to_string()], &mut rng).unwrap();
        assert_eq!(o.hosts, records);
        assert_eq!(o.repl_set_name.as_deref(), Some("rs"));
        assert_eq!(o.credential.unwrap().source.as_deref(), Some("users"));

        let mut o = options("mongodb+srv://u:p@seed.x.org/db?authSource=mine&replicaSet=other");
        o.apply_srv(&records, &["replicaSet=rs&authSource=users".to_string()], &mut rng).unwrap();
        assert_eq!(o.repl_set_name.as_deref(), Some("other"));
        assert_eq!(o.credential.unwrap().source.as_deref(), Some("mine"));

        let mut o = options("mongodb+srv://u:p@seed.x.org/db");
        o.apply_srv(&records, &[], &mut rng).unwrap();
        assert_eq!(o.credential.unwrap().source.as_deref(), Some("db"));

        for bad in ["ssl=false", "replicaSet", "x=1", "loadBalanced=true", "authSource=%zz"] {
            let mut o = options("mongodb+srv://seed.x.org");
            assert!(o.apply_srv(&records, &[bad.to_string()], &mut rng).is_err(), "{bad}");
        }
        let mut o = options("mongodb+srv://seed.x.org");
        assert!(o.clone().apply_srv(&records, &["".into(), "".into()], &mut rng).is_err());
        assert!(o.clone().apply_srv(&[], &[], &mut rng).is_err());
        assert!(o.apply_srv(&[ServerAddress::tcp("a.y.org", 1)], &[], &mut rng).is_err());
    }

    #[test]
    fn srv_max_hosts_takes_some() {
        let records: Vec<_> = (1..9u16).map(|i| ServerAddress::tcp("a.x.org", i)).collect();
        let mut seen = alloc::collections::BTreeSet::new();
        for seed in 0..50 {
            let mut o = options("mongodb+srv://seed.x.org/?srvMaxHosts=2");
            o.apply_srv(&records, &[], &mut Rng::new(seed)).unwrap();
            assert_eq!(o.hosts.len(), 2);
            assert_ne!(o.hosts[0], o.hosts[1]);
            seen.extend(o.hosts);
        }
        assert_eq!(seen.len(), 8);
    }
}
