//! The set that the tests share, and who may log in there.

use crate::support::TestRuntime;
use quorate::bson::doc;
use quorate::error::Result;
use quorate::{Client, options::ClientOptions};
use quorate_harness::ReplicaSet;
use std::fmt::Write;
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) const SHA1: &str = "SCRAM-SHA-1";
pub(crate) const SHA256: &str = "SCRAM-SHA-256";

static LOGINS: RwLock<()> = RwLock::new(());

/// Somebody logs in.
pub(crate) struct Held<G>(pub(crate) G);

/// For tests that log in.
pub(crate) fn shared() -> Held<RwLockReadGuard<'static, ()>> {
    Held(LOGINS.read().unwrap_or_else(PoisonError::into_inner))
}

/// For a test that counts how often somebody has.
pub(crate) fn alone() -> Held<RwLockWriteGuard<'static, ()>> {
    Held(LOGINS.write().unwrap_or_else(PoisonError::into_inner))
}

/// Source, name, password, mechanisms.
const USERS: [(&str, &str, &str, &[&str]); 8] = [
    ("admin", "sha1", "sha1", &[SHA1]),
    ("admin", "sha256", "sha256", &[SHA256]),
    ("admin", "both", "both", &[SHA1, SHA256]),
    ("elsewhere", "local,=hero", "p@ss:w/rd%?#[]", &[SHA1, SHA256]),
    // "Step 4": roman numerals nine and four, which SASLprep takes apart.
    ("admin", "IX", "IX", &[SHA256]),
    ("admin", "\u{2168}", "\u{2163}", &[SHA256]),
    ("admin", "gr\u{fc}n", "stra\u{df}e", &[SHA1]),
    ("admin", "bird", "canary-3f9d27", &[SHA1, SHA256]),
];

pub(crate) fn set() -> &'static ReplicaSet {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    SET.get_or_init(|| {
        let set = ReplicaSet::builder().members(1).auth(true).start().expect("a set that asks for log-in");
        for (db, user, password, mechanisms) in USERS {
            set.create_user(db, user, password, mechanisms).expect("a user");
        }
        set
    })
}

/// Everything but letters and digits as `%XX`.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(byte.into()),
            other => write!(out, "%{other:02X}").expect("strings take everything"),
        }
        out
    })
}

/// The connection string for a user; `more` goes behind its options, as `&name=value`.
pub(crate) fn uri(user: &str, password: &str, more: &str) -> String {
    let login = format!("mongodb://{}:{}@", encoded(user), encoded(password));
    format!("{}{more}", set().uri().replace("mongodb://", &login))
}

/// Options for a user; errors come soon.
pub(crate) async fn options(user: &str, password: &str, more: &str) -> ClientOptions {
    crate::support::options(&uri(user, password, &format!("&serverSelectionTimeoutMS=20000{more}"))).await
}

/// Runs a command that nobody may run without a log-in.
pub(crate) async fn use_it<R: TestRuntime>(options: ClientOptions) -> Result<()> {
    let client: Client<R> = Client::with_options(options)?;
    let outcome = client.database("suite").run_command(doc! { "dbStats": 1 }).await;
    client.shutdown().await;
    outcome.map(drop)
}
