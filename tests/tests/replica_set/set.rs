//! The set that the tests share.

use crate::support::TestRuntime;
use crate::support::events::Notebook;
use quorate::Client;
use quorate::bson::{Document, doc};
use quorate::options::ClientOptions;
use quorate_harness::{Features, MemberSpec, ReplicaSet};
use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static LOCK: RwLock<()> = RwLock::new(());

/// The set, as long as nobody else needs it alone.
pub(crate) struct Held<G> {
    set: &'static ReplicaSet,
    _guard: G,
}

impl<G> Deref for Held<G> {
    type Target = ReplicaSet;
    fn deref(&self) -> &ReplicaSet {
        self.set
    }
}

/// The set, shared with other tests.
pub(crate) fn shared() -> Held<RwLockReadGuard<'static, ()>> {
    Held { _guard: LOCK.read().unwrap_or_else(PoisonError::into_inner), set: set() }
}

/// The set for one test.
pub(crate) fn alone() -> Held<RwLockWriteGuard<'static, ()>> {
    Held { _guard: LOCK.write().unwrap_or_else(PoisonError::into_inner), set: set() }
}

fn set() -> &'static ReplicaSet {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    SET.get_or_init(|| {
        let member = |dc: &str, id: &str| MemberSpec::default().tag("dc", dc).tag("id", id);
        ReplicaSet::builder()
            .member(member("east", "0"))
            .member(member("east", "1"))
            .member(member("west", "2").priority(0.0))
            .features(Features::from_env())
            .settings(doc! { "getLastErrorModes": { "eachDC": { "dc": 2 }, "everybody": { "id": 3 } } })
            .start()
            .expect("a replica set")
    })
}

/// Options with a name of their own, which fail points and the server's lists of connections can be narrowed to.
pub(crate) async fn options(set: &ReplicaSet, more: &str) -> ClientOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut options = crate::support::options(&format!("{}{more}", set.uri())).await;
    options.app_name = Some(format!("suite{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    options
}

/// A client and all it tells.
pub(crate) async fn heard<R: TestRuntime>(set: &ReplicaSet, more: &str) -> (Client<R>, Notebook) {
    let mut options = options(set, more).await;
    let book = Notebook::listen(&mut options);
    (crate::support::client(options), book)
}

/// Has the primary fail the next `times` of those commands from that client, as `how` says.
pub(crate) fn fail<R: TestRuntime>(
    set: &ReplicaSet,
    client: &Client<R>,
    commands: &[&str],
    times: i32,
    how: Document,
) -> FailPoint<'static> {
    let primary = set.primary().expect("a primary");
    let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
    let mut data = doc! { "failCommands": commands, "appName": client.options().app_name.clone() };
    data.extend(how);
    let set = self::set();
    set.fail_point(primary, "failCommand", doc! { "times": times }, data).expect("a fail point");
    FailPoint { set, member: primary }
}

/// Turned off when dropped.
pub(crate) struct FailPoint<'a> {
    set: &'a ReplicaSet,
    member: usize,
}

impl Drop for FailPoint<'_> {
    fn drop(&mut self) {
        let _ = self.set.fail_point_off(self.member, "failCommand");
    }
}
