//! From a wish to a running set.

use super::{Member, MemberSpec, ReplicaSet};
use crate::admin::{Admin, AdminError};
use crate::features::{Features, PASSWORD, SetUp, Tls, USER};
use crate::fixtures::{self, default_version};
use crate::proxy::{Pids, Proxy, origin_by_pid};
use crate::scratch::Scratch;
use crate::server::Server;
use bson::{Document, doc};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// How long the set may take from its initiation until everybody serves.
const READY_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);

/// Describes a set that [`ReplicaSetBuilder::start`] brings up.
#[derive(Clone, Debug)]
pub struct ReplicaSetBuilder {
    name: String,
    members: Vec<MemberSpec>,
    version: String,
    settings: Document,
    extra_args: Vec<String>,
    proxied: bool,
    features: Features,
}

impl Default for ReplicaSetBuilder {
    fn default() -> Self {
        ReplicaSetBuilder {
            name: "rs".into(),
            members: Vec::new(),
            version: default_version(),
            settings: Document::new(),
            extra_args: Vec::new(),
            proxied: false,
            features: Features::default(),
        }
    }
}

impl ReplicaSetBuilder {
    /// Adds `count` ordinary members.
    #[must_use]
    pub fn members(mut self, count: usize) -> Self {
        self.members.extend(std::iter::repeat_n(MemberSpec::default(), count));
        self
    }

    /// Adds one member.
    #[must_use]
    pub fn member(mut self, spec: MemberSpec) -> Self {
        self.members.push(spec);
        self
    }

    /// The name of the set, `rs` when not said.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// How long the others miss their primary before they elect another; the server's default is 10 s.
    #[must_use]
    pub fn election_timeout(self, timeout: Duration) -> Self {
        let millis = i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
        self.settings(doc! { "electionTimeoutMillis": millis })
    }

    /// The server's version, one of [`fixtures::VERSIONS`].
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    /// More `settings` of the configuration, such as `getLastErrorModes`.
    #[must_use]
    pub fn settings(mut self, settings: Document) -> Self {
        self.settings.extend(settings);
        self
    }

    /// More arguments for every `mongod`.
    #[must_use]
    pub fn extra_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.extra_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With a proxy before each member, through which clients and the other members go. Partitions need it.
    #[must_use]
    pub fn proxied(mut self, proxied: bool) -> Self {
        self.proxied = proxied;
        self
    }

    /// With `--auth` and `--keyFile`: nobody does anything without logging in. The harness does, as the servers themselves;
    /// [`ReplicaSet::create_user`] makes users for others.
    #[must_use]
    pub fn auth(mut self, auth: bool) -> Self {
        self.features.auth = auth;
        self
    }

    /// With TLS, and [`ReplicaSet::certificates`].
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.features = self.features.tls(tls);
        self
    }

    /// With all of that, and a connection string that has everything a client needs: the user, the authority, the
    /// compressors.
    #[must_use]
    pub fn features(mut self, features: Features) -> Self {
        self.features = features;
        self
    }

    /// Starts everything and waits until there is a primary, every secondary serves, and all have the same data.
    /// Without members said, three.
    ///
    /// # Errors
    /// What did not come up and why, with the end of a server's log where that helps.
    pub fn start(mut self) -> Result<ReplicaSet, String> {
        if self.members.is_empty() {
            self = self.members(3);
        }
        let first = self.members.iter().position(MemberSpec::electable);
        let first = first.ok_or("a set needs a member that can be primary")?;
        let scratch = Scratch::new().map_err(|e| format!("no temporary folder: {e}"))?;
        let pids: Pids = Arc::new(Mutex::new(vec![None; self.members.len()]));
        let set_up = self.features.set_up(&scratch)?;
        let members = self.start_members(&scratch, &pids, &set_up)?;
        let set = ReplicaSet::new(self.name.clone(), members, pids, set_up, scratch);
        self.initiate(&set, first).map_err(|why| format!("{why}\n{}", set.log_tail(first)))?;
        if set.set_up.wants_user() {
            let mechanisms = ["SCRAM-SHA-1", "SCRAM-SHA-256"];
            set.create_user("admin", USER, PASSWORD, &mechanisms).map_err(|e| format!("no user: {e}"))?;
        }
        Ok(set)
    }

    fn start_members(&self, scratch: &Scratch, pids: &Pids, set_up: &SetUp) -> Result<Vec<Member>, String> {
        let binary = fixtures::mongod(&self.version)?;
        let mut args: Vec<String> = vec!["--replSet".into(), self.name.clone()];
        args.extend(["--oplogSize".into(), "64".into()]);
        args.extend(set_up.args.iter().cloned());
        if self.version.starts_with("4.4") && set_up.certificates.is_some() {
            // Over TLS, its oplog fetcher now and then misses what a streaming cursor sends, until a time-out of a minute.
            args.extend(["--setParameter".into(), "oplogFetcherUsesExhaust=false".into()]);
        }
        args.extend(self.extra_args.iter().cloned());
        let mut servers = Vec::new();
        for i in 0..self.members.len() {
            let dir = scratch.path().join(format!("member{i}"));
            let server = Server::new(binary.clone(), dir, args.clone(), set_up.access.clone());
            let mut server = server.map_err(|e| e.to_string())?;
            server.spawn()?;
            servers.push(server);
        }
        let mut members = Vec::new();
        for (i, (mut server, spec)) in servers.into_iter().zip(&self.members).enumerate() {
            server.wait_until_up(false)?;
            if let Some(slot) = pids.lock().map_err(|_| "a proxy thread died")?.get_mut(i) {
                *slot = server.pid();
            }
            let proxy = if self.proxied { Some(proxy_before(&server, i, pids)?) } else { None };
            members.push(Member::new(spec.clone(), server, proxy, set_up.access.clone()));
        }
        Ok(members)
    }

    fn initiate(&self, set: &ReplicaSet, first: usize) -> Result<(), String> {
        let deadline = Instant::now() + READY_LIMIT;
        let old_names = self.version.starts_with("4.");
        let members: Vec<Document> = self
            .members
            .iter()
            .zip(set.addresses())
            .enumerate()
            .map(|(i, (spec, host))| spec.config(i, &host, old_names))
            .collect();
        let config = doc! { "_id": &self.name, "members": members, "settings": self.settings.clone() };
        let mut admin = connect(set, first)?;
        admin
            .run("admin", doc! { "replSetInitiate": config })
            .map_err(|e| format!("replSetInitiate: {e}"))?;
        elect(&mut admin, deadline)?;
        for (i, _) in self.members.iter().enumerate().filter(|(i, _)| *i != first) {
            wait_until_serving(&mut connect(set, i)?, deadline).map_err(|e| format!("member {i}: {e}"))?;
        }
        let together = self.members.iter().filter(|m| m.replicates_at_once()).count();
        replicate_everywhere(&mut admin, together)
    }
}

fn proxy_before(server: &Server, index: usize, pids: &Pids) -> Result<Proxy, String> {
    let pids = Arc::clone(pids);
    let identify = Box::new(move |peer, local| origin_by_pid(&pids, peer, local));
    let proxy = Proxy::start_identifying(&server.address(), Some(index), identify)
        .map_err(|e| format!("no proxy: {e}"))?;
    proxy.set_only_clients(true);
    Ok(proxy)
}

fn connect(set: &ReplicaSet, i: usize) -> Result<Admin, String> {
    set.member(i).connect(Duration::from_secs(20)).map_err(|e| format!("member {i}: {e}"))
}

/// Makes this member primary now, instead of after the election timeout.
fn elect(admin: &mut Admin, deadline: Instant) -> Result<(), String> {
    loop {
        let hello = admin.hello().map_err(|e| format!("hello: {e}"))?;
        if hello.get_bool("isWritablePrimary").unwrap_or(false) {
            return Ok(());
        }
        let refused = if hello.get_bool("secondary").unwrap_or(false) {
            // Fails while the others have not yet heard of the set.
            match admin.run("admin", doc! { "replSetStepUp": 1 }) {
                Err(e @ AdminError::Io(_)) => return Err(format!("replSetStepUp: {e}")),
                other => other.err(),
            }
        } else {
            None
        };
        if Instant::now() > deadline {
            return Err(format!("no primary after {READY_LIMIT:?}: {refused:?}, {hello}"));
        }
        std::thread::sleep(POLL);
    }
}

fn wait_until_serving(admin: &mut Admin, deadline: Instant) -> Result<(), String> {
    loop {
        let hello = admin.hello().map_err(|e| format!("hello: {e}"))?;
        let is = |field: &str| hello.get_bool(field).unwrap_or(false);
        if is("secondary") || is("arbiterOnly") || is("isWritablePrimary") {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("not ready after {READY_LIMIT:?}: {hello}"));
        }
        std::thread::sleep(POLL);
    }
}

/// One entry of the oplog that every member must have: afterwards any of them may be lost without a rollback.
fn replicate_everywhere(admin: &mut Admin, members: usize) -> Result<(), String> {
    let concern = doc! { "w": i32::try_from(members).unwrap_or(1), "wtimeout": 15_000 };
    let note = doc! { "appendOplogNote": 1, "data": { "msg": "ready" }, "writeConcern": concern };
    admin.run("admin", note).map(drop).map_err(|e| format!("the members do not replicate: {e}"))
}
