//! The seeds of a `mongodb+srv` connection string, before anything is connected to.
//!
//! Source: initial DNS seedlist discovery specification, "Querying DNS" and "Default Connection String Options".

use super::record::{Lookup, MAX_RECORDS, SrvRecord, TxtRecord, distinct, failed, shortest_ttl};
use crate::{ClientOptions, Duration, Error, Instant, Result, Rng};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// What [`SeedResolver`] wants done, or has found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SeedOutput {
    /// Look this up, and bring what comes of it.
    Lookup(Lookup),
    /// The last output: the options with everything DNS had to add.
    Resolved(Box<Resolved>),
    /// The last output: the seeds could not be found, and this is why.
    Failed(Error),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The options, with seeds, checked as a whole.
    pub options: ClientOptions,
    /// For how long the SRV records are good: what [`super::SrvPoller`] wants to know.
    pub ttl: Option<Duration>,
}

/// Finds the seeds. See [`super`] for how a host drives it.
///
/// ```
/// use quorate_core::resolver::{Lookup, SeedOutput, SeedResolver, SrvRecord};
/// use quorate_core::{Instant, Rng, uri::ConnectionString};
/// let options = ConnectionString::parse("mongodb+srv://db.example.com").unwrap().into_options();
/// let now = Instant::ZERO;
/// let mut resolver = SeedResolver::new(now, options, Rng::new(1));
/// let Some(SeedOutput::Lookup(Lookup::Srv(name))) = resolver.poll_output() else { panic!() };
/// assert_eq!(name, "_mongodb._tcp.db.example.com");
/// resolver.handle_srv(now, Ok(vec![SrvRecord::new("a.example.com.", 27017, None)]));
/// resolver.handle_txt(now, Ok(vec![]));
/// let Some(SeedOutput::Lookup(Lookup::Txt(_))) = resolver.poll_output() else { panic!() };
/// let Some(SeedOutput::Resolved(found)) = resolver.poll_output() else { panic!() };
/// assert_eq!(found.options.hosts[0].to_string(), "a.example.com:27017");
/// ```
#[derive(Clone, Debug)]
pub struct SeedResolver {
    options: ClientOptions,
    rng: Rng,
    /// When the answers must be there.
    deadline: Option<Instant>,
    srv_lookup: Lookup,
    srv: Option<Vec<SrvRecord>>,
    txt: Option<Vec<TxtRecord>>,
    outputs: VecDeque<SeedOutput>,
    done: bool,
}

impl SeedResolver {
    /// Begins. Options that name their hosts already are resolved at once. The answers have `connectTimeoutMS` to arrive.
    pub fn new(now: Instant, options: ClientOptions, rng: Rng) -> Self {
        let deadline = options.effective_connect_timeout().map(|limit| now + limit);
        let srv_lookup = Lookup::Srv(options.srv_query().unwrap_or_default());
        let mut resolver = SeedResolver {
            options,
            rng,
            deadline,
            srv_lookup,
            srv: None,
            txt: None,
            outputs: VecDeque::new(),
            done: false,
        };
        match resolver.options.srv_host.clone() {
            Some(name) => {
                let srv = resolver.srv_lookup.clone();
                resolver.outputs.push_back(SeedOutput::Lookup(srv));
                resolver.outputs.push_back(SeedOutput::Lookup(Lookup::Txt(name)));
            }
            None => {
                let options = resolver.options.clone();
                resolver.finish(options.validate().map(|()| Resolved { options, ttl: None }));
            }
        }
        resolver
    }

    /// The SRV look-up has ended. Finding nothing is an empty list; an error is that it could not be done.
    pub fn handle_srv(&mut self, _now: Instant, answer: Result<Vec<SrvRecord>>) {
        match answer {
            Ok(records) if records.len() <= MAX_RECORDS => {
                self.srv.get_or_insert(records);
                self.try_finish();
            }
            Ok(_) => self.finish(Err(failed(&self.srv_lookup, "too many records"))),
            Err(why) => self.finish(Err(failed(&self.srv_lookup, why))),
        }
    }

    /// The TXT look-up has ended. Finding nothing, the name not existing included, is an empty list; an error is that it
    /// could not be done.
    pub fn handle_txt(&mut self, _now: Instant, answer: Result<Vec<TxtRecord>>) {
        match answer {
            Ok(records) => {
                self.txt.get_or_insert(records);
                self.try_finish();
            }
            Err(why) => {
                let name = self.options.srv_host.clone().unwrap_or_default();
                self.finish(Err(failed(&Lookup::Txt(name), why)));
            }
        }
    }

    /// Gives up when the answers are not there in time.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|deadline| deadline <= now) {
            self.finish(Err(failed(&self.srv_lookup, "no answer within connectTimeoutMS")));
        }
    }

    /// What to do next.
    pub fn poll_output(&mut self) -> Option<SeedOutput> {
        self.outputs.pop_front()
    }

    /// When it gives up waiting; `None` once it is done.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline.filter(|_| !self.done)
    }

    fn try_finish(&mut self) {
        if let (Some(srv), Some(txt)) = (&self.srv, &self.txt) {
            let found = apply(self.options.clone(), &self.srv_lookup, srv, txt, &mut self.rng);
            self.finish(found);
        }
    }

    fn finish(&mut self, found: Result<Resolved>) {
        if !core::mem::replace(&mut self.done, true) {
            self.outputs.push_back(match found {
                Ok(resolved) => SeedOutput::Resolved(Box::new(resolved)),
                Err(error) => SeedOutput::Failed(error),
            });
        }
    }
}

fn apply(
    mut options: ClientOptions,
    lookup: &Lookup,
    srv: &[SrvRecord],
    txt: &[TxtRecord],
    rng: &mut Rng,
) -> Result<Resolved> {
    let mut addresses = Vec::with_capacity(srv.len());
    for record in srv {
        let address = record.address().ok_or_else(|| failed(lookup, "a record leads to no host"))?;
        addresses.push(address);
    }
    // More than one is an error that needs no reading of them.
    let texts: Vec<_> = txt.iter().take(2).map(TxtRecord::text).collect::<Result<_>>()?;
    options.apply_srv(&distinct(addresses.into_iter()), &texts, rng)?;
    Ok(Resolved { options, ttl: shortest_ttl(srv) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::uri::ConnectionString;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec;

    const T: Instant = Instant::ZERO;

    fn resolver(uri: &str) -> SeedResolver {
        let options = ConnectionString::parse(uri).unwrap().into_options();
        let mut resolver = SeedResolver::new(T, options, Rng::new(1));
        assert!(matches!(resolver.poll_output(), Some(SeedOutput::Lookup(Lookup::Srv(_)))));
        assert!(matches!(resolver.poll_output(), Some(SeedOutput::Lookup(Lookup::Txt(_)))));
        assert!(resolver.poll_output().is_none());
        resolver
    }

    fn result(resolver: &mut SeedResolver) -> Result<Vec<String>> {
        let result = match resolver.poll_output().unwrap() {
            SeedOutput::Resolved(found) => Ok(found.options.hosts.iter().map(ToString::to_string).collect()),
            SeedOutput::Failed(error) => Err(error),
            SeedOutput::Lookup(lookup) => panic!("{lookup}"),
        };
        assert!(resolver.poll_output().is_none());
        assert_eq!(resolver.poll_timeout(), None);
        result
    }

    fn resolve(uri: &str, target: &str) -> Result<Vec<String>> {
        let mut resolver = resolver(uri);
        resolver.handle_srv(T, Ok(vec![SrvRecord::new(target, 27017, None)]));
        resolver.handle_txt(T, Ok(vec![]));
        result(&mut resolver)
    }

    /// Initial DNS seedlist discovery, tests/README: "1. Allow SRVs with fewer than 3 `.` separated parts".
    #[test]
    fn prose_1_allows_srvs_with_fewer_than_3_parts() {
        for (name, target) in [("localhost", "test_1.localhost"), ("mongo.local", "test_1.mongo.local")] {
            let found = resolve(&format!("mongodb+srv://{name}"), target).unwrap();
            assert_eq!(found, [format!("{target}:27017")]);
        }
    }

    fn refused(cases: &[(&str, &str)]) {
        for (name, target) in cases {
            let error = resolve(&format!("mongodb+srv://{name}"), target).unwrap_err();
            assert!(matches!(*error.kind, ErrorKind::ConnectionString { .. }), "{name} -> {target}: {error}");
            assert!(error.to_string().contains(target), "{error}");
        }
    }

    /// "2. Throw when return address does not end with SRV domain".
    #[test]
    fn prose_2_throws_when_the_address_does_not_end_with_the_srv_domain() {
        refused(&[
            ("localhost", "localhost.mongodb"),
            ("mongo.local", "test_1.evil.local"),
            ("blogs.mongodb.com", "blogs.evil.com"),
        ]);
    }

    /// "3. Throw when return address is identical to SRV hostname".
    #[test]
    fn prose_3_throws_when_the_address_is_the_srv_hostname() {
        refused(&[("localhost", "localhost"), ("mongo.local", "mongo.local")]);
    }

    /// "4. Throw when return address does not contain `.` separating shared part of domain".
    #[test]
    fn prose_4_throws_when_no_dot_separates_the_shared_domain() {
        refused(&[
            ("localhost", "test_1.cluster_1localhost"),
            ("mongo.local", "test_1.my_hostmongo.local"),
            ("blogs.mongodb.com", "cluster.testmongodb.com"),
        ]);
    }

    #[test]
    fn what_cannot_be_looked_up_is_an_error_with_its_reason() {
        let mut r = resolver("mongodb+srv://db.example.com");
        r.handle_srv(T, Err(Error::invalid_response("SERVFAIL")));
        r.handle_txt(T, Ok(vec![]));
        let error = result(&mut r).unwrap_err().to_string();
        assert!(error.contains("SRV _mongodb._tcp.db.example.com") && error.contains("SERVFAIL"), "{error}");

        let mut r = resolver("mongodb+srv://db.example.com");
        r.handle_txt(T, Err(Error::invalid_response("SERVFAIL")));
        r.handle_srv(T, Ok(vec![SrvRecord::new("a.example.com", 1, None)]));
        assert!(result(&mut r).unwrap_err().to_string().contains("TXT db.example.com"));

        let mut r = resolver("mongodb+srv://db.example.com");
        r.handle_srv(T, Ok(vec![SrvRecord::new("a.example.com", 1, None); MAX_RECORDS + 1]));
        assert!(result(&mut r).unwrap_err().to_string().contains("too many"));
        assert!(resolve("mongodb+srv://db.example.com", ".").is_err());
    }

    #[test]
    fn it_gives_up_once_and_late_answers_change_nothing() {
        let mut r = resolver("mongodb+srv://db.example.com/?connectTimeoutMS=300");
        assert_eq!(r.poll_timeout(), Some(T + Duration::from_millis(300)));
        r.handle_timeout(T + Duration::from_millis(299));
        assert!(r.poll_output().is_none());
        r.handle_timeout(T + Duration::from_millis(300));
        assert!(result(&mut r).unwrap_err().to_string().contains("no answer"));
        r.handle_srv(T, Ok(vec![SrvRecord::new("a.example.com", 1, None)]));
        r.handle_txt(T, Ok(vec![]));
        r.handle_timeout(Instant::MAX);
        assert!(r.poll_output().is_none());
    }

    #[test]
    fn known_hosts_are_not_looked_up() {
        let options = ConnectionString::parse("mongodb://a,b").unwrap().into_options();
        let mut r = SeedResolver::new(T, options, Rng::new(1));
        assert_eq!(result(&mut r).unwrap(), ["a:27017", "b:27017"]);
    }

    #[test]
    fn a_host_named_twice_is_one_seed() {
        let mut r = resolver("mongodb+srv://db.example.com/?srvMaxHosts=2");
        let records = ["a.example.com.", "A.example.com", "b.example.com"];
        r.handle_srv(T, Ok(records.iter().map(|target| SrvRecord::new(*target, 1, None)).collect()));
        r.handle_txt(T, Ok(vec![]));
        assert_eq!(result(&mut r).unwrap(), ["a.example.com:1", "b.example.com:1"]);
    }
}
