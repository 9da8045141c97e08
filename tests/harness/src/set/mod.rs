//! A replica set of real servers, and everything that can happen to it.

mod builder;
mod faults;
mod member;

use crate::access::Access;
use crate::admin::{Admin, AdminError};
use crate::certificates::Certificates;
use crate::features::SetUp;
use crate::login::Login;
use crate::proxy::{Pids, Proxy};
use crate::scratch::Scratch;
use crate::server::{ProcessState, Server};
use bson::{Document, doc, oid::ObjectId};
pub use builder::ReplicaSetBuilder;
pub use member::MemberSpec;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a command of [`ReplicaSet::command`] may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How long a member may take to say who it is.
const HELLO_LIMIT: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

/// A running set; its processes end, and its data goes, when this is dropped.
///
/// Members are numbered from 0 in the order of the builder. All methods take `&self`, so tests may break the set from one
/// thread while another uses it.
#[derive(Debug)]
pub struct ReplicaSet {
    name: String,
    members: Vec<Member>,
    pids: Pids,
    set_up: SetUp,
    // After the members: folders go when nobody writes there any more.
    _scratch: Scratch,
}

#[derive(Debug)]
pub(crate) struct Member {
    spec: MemberSpec,
    proxy: Option<Proxy>,
    address: String,
    direct: String,
    access: Access,
    server: Mutex<Server>,
    idle: Mutex<Option<Admin>>,
    isolated: Mutex<bool>,
}

impl Member {
    fn new(spec: MemberSpec, server: Server, proxy: Option<Proxy>, access: Access) -> Self {
        let direct = server.address();
        let address = proxy.as_ref().map_or_else(|| direct.clone(), Proxy::address);
        let (idle, isolated) = (Mutex::new(None), Mutex::new(false));
        Member { spec, proxy, address, direct, access, server: Mutex::new(server), idle, isolated }
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection, logged in where that is needed.
    pub(crate) fn connect(&self, timeout: Duration) -> Result<Admin, AdminError> {
        self.access.connect(&self.direct, timeout)
    }

    /// Runs a command over the kept connection, or a new one when there is none or the server has closed it.
    fn run(&self, db: &str, command: Document, timeout: Duration) -> Result<Document, AdminError> {
        let mut admin = match self.take_idle() {
            Some(mut admin) => {
                admin.set_timeout(timeout);
                admin
            }
            None => self.connect(timeout)?,
        };
        let result = admin.run(db, command);
        if !matches!(result, Err(AdminError::Io(_))) {
            *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(admin);
        }
        result
    }

    fn take_idle(&self) -> Option<Admin> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).take().filter(Admin::is_usable)
    }

    fn hello(&self) -> Option<Document> {
        if self.server().state() != ProcessState::Running {
            return None;
        }
        self.run("admin", doc! { "hello": 1 }, HELLO_LIMIT).ok()
    }
}

impl ReplicaSet {
    /// Describes a set.
    pub fn builder() -> ReplicaSetBuilder {
        ReplicaSetBuilder::default()
    }

    pub(crate) fn new(
        name: String,
        members: Vec<Member>,
        pids: Pids,
        set_up: SetUp,
        scratch: Scratch,
    ) -> Self {
        ReplicaSet { name, members, pids, set_up, _scratch: scratch }
    }

    /// The connection string: all members that are not hidden, the name of the set, and what its [features](crate::Features)
    /// need.
    pub fn uri(&self) -> String {
        let seeds: Vec<&str> =
            self.members.iter().filter(|m| !m.spec.hidden).map(|m| m.address.as_str()).collect();
        self.uri_of(&seeds.join(","), &format!("replicaSet={}", self.name))
    }

    /// A connection string with other hosts and options, and what the features need.
    pub fn uri_of(&self, hosts: &str, options: &str) -> String {
        format!("mongodb://{}{hosts}/?{options}{}", self.set_up.user_info(), self.set_up.options())
    }

    /// The certificates of its servers and clients.
    ///
    /// # Panics
    /// When it has no TLS.
    pub fn certificates(&self) -> &Certificates {
        self.set_up.certificates.as_ref().expect("the set was started with TLS")
    }

    /// Whoever the harness logs in as, where that is needed.
    pub fn login(&self) -> Option<&Login> {
        self.set_up.access.login()
    }

    /// The name of the set.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of every member as the configuration has it: its proxy's, where there is one.
    pub fn addresses(&self) -> Vec<String> {
        self.members.iter().map(|m| m.address.clone()).collect()
    }

    /// The address of a member as the configuration has it.
    ///
    /// # Panics
    /// When there is no member `i`, as everything here that takes one.
    pub fn address(&self, i: usize) -> &str {
        &self.member(i).address
    }

    /// Where a member itself listens, past its proxy: for probes that a partition must not blind.
    pub fn direct_address(&self, i: usize) -> String {
        self.member(i).direct.clone()
    }

    /// What a member was asked to be.
    pub fn spec(&self, i: usize) -> &MemberSpec {
        &self.member(i).spec
    }

    /// The proxy before a member.
    ///
    /// # Panics
    /// When the set was not started with [`ReplicaSetBuilder::proxied`].
    pub fn proxy(&self, i: usize) -> &Proxy {
        self.member(i).proxy.as_ref().expect("the set was started with proxied(true)")
    }

    /// Whether a member's process runs.
    pub fn state(&self, i: usize) -> ProcessState {
        self.member(i).server().state()
    }

    /// The index of the member with this address, proxy's or own.
    pub fn index_of(&self, address: &str) -> Option<usize> {
        self.members.iter().position(|m| m.address == address || m.direct == address)
    }

    pub(crate) fn member(&self, i: usize) -> &Member {
        &self.members[i]
    }

    /// Runs a command on a member, past its proxy, over a connection kept for that.
    ///
    /// # Errors
    /// As [`Admin::run`]; without an answer, after 30 s.
    pub fn command(&self, i: usize, db: &str, command: Document) -> Result<Document, AdminError> {
        self.member(i).run(db, command, COMMAND_LIMIT)
    }

    /// Runs a command on the primary.
    ///
    /// # Errors
    /// As [`Admin::run`], and when there is no primary.
    pub fn command_on_primary(&self, db: &str, command: Document) -> Result<Document, AdminError> {
        let none = || AdminError::Io(std::io::Error::other("there is no primary"));
        self.command(self.primary().ok_or_else(none)?, db, command)
    }

    /// Makes a user who may do everything, in the database `db`, for those mechanisms (`SCRAM-SHA-1`, `SCRAM-SHA-256`); returns
    /// when every member knows it.
    ///
    /// # Errors
    /// As [`ReplicaSet::command_on_primary`].
    pub fn create_user(
        &self,
        db: &str,
        user: &str,
        password: &str,
        mechanisms: &[&str],
    ) -> Result<(), AdminError> {
        let members = self.members.iter().filter(|member| member.spec.replicates_at_once()).count();
        let role = doc! { "role": "root", "db": "admin" };
        let command = doc! {
            "createUser": user, "pwd": password, "roles": [role], "mechanisms": mechanisms,
            // The harness's users have names and passwords as they are: SASLprep is what clients are tested for.
            "writeConcern": { "w": i32::try_from(members).unwrap_or(1), "wtimeout": 15_000 },
        };
        self.command_on_primary(db, command).map(drop)
    }

    /// The primary right now. Where two claim it, the later elected. Members that are paused, ended or partitioned do not
    /// count, whatever they still believe.
    pub fn primary(&self) -> Option<usize> {
        let mut best: Option<(Option<ObjectId>, usize)> = None;
        for (i, member) in self.members.iter().enumerate().filter(|(_, m)| !m.spec.arbiter) {
            if *member.isolated.lock().unwrap_or_else(PoisonError::into_inner) {
                continue;
            }
            let Some(hello) = member.hello() else { continue };
            if hello.get_bool("isWritablePrimary").unwrap_or(false) {
                best = best.max(Some((hello.get_object_id("electionId").ok(), i)));
            }
        }
        best.map(|(_, i)| i)
    }

    /// The members that say they are secondaries right now.
    pub fn secondaries(&self) -> Vec<usize> {
        let secondary = |m: &Member| m.hello().is_some_and(|h| h.get_bool("secondary").unwrap_or(false));
        (0..self.members.len()).filter(|&i| secondary(self.member(i))).collect()
    }

    /// Waits until there is a primary.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_for_primary(&self, timeout: Duration) -> Result<usize, String> {
        self.wait_for(timeout, "no primary", || self.primary())
    }

    /// Waits until another member than `old` is primary.
    ///
    /// # Errors
    /// When there is none in time.
    pub fn wait_for_other_primary(&self, old: usize, timeout: Duration) -> Result<usize, String> {
        self.wait_for(timeout, "no other primary", || self.primary().filter(|&i| i != old))
    }

    /// Waits until every member that runs is primary, secondary or arbiter, and one is primary.
    ///
    /// # Errors
    /// When they are not in time.
    pub fn wait_for_healthy(&self, timeout: Duration) -> Result<usize, String> {
        let serves = |m: &Member| {
            m.server().state() != ProcessState::Running
                || m.hello().is_some_and(|h| {
                    ["secondary", "arbiterOnly", "isWritablePrimary"]
                        .iter()
                        .any(|f| h.get_bool(f).unwrap_or(false))
                })
        };
        self.wait_for(timeout, "not everybody serves", || {
            self.primary().filter(|_| self.members.iter().all(serves))
        })
    }

    fn wait_for<T>(
        &self,
        timeout: Duration,
        what: &str,
        mut ask: impl FnMut() -> Option<T>,
    ) -> Result<T, String> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(found) = ask() {
                return Ok(found);
            }
            if Instant::now() > deadline {
                return Err(format!("{what} after {timeout:?}"));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The end of a member's log.
    pub fn log_tail(&self, i: usize) -> String {
        self.member(i).server().log_tail()
    }

    /// Writes a new process id where the proxies look for it.
    fn note_pid(&self, i: usize) {
        let pid = self.member(i).server().pid();
        if let Some(slot) = self.pids.lock().unwrap_or_else(PoisonError::into_inner).get_mut(i) {
            *slot = pid;
        }
    }
}
