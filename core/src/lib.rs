//! The whole mind of a MongoDB driver, as pure state machines.
//!
//! Everything a driver decides is here: what the bytes mean, which server is the primary, where an operation goes, which
//! connection it gets, whether it is sent again. Nothing that touches the world is: no socket, clock, thread or random source.
//! A host around it moves bytes and watches the clock. Take this crate to write a driver, a proxy or a test of your own;
//! applications take `quorate-tokio` or `quorate-smol`, which are such hosts.
//!
//! # The four rules
//!
//! 1. **Pure.** `no_std` with `alloc`, no unsafe code. Time comes in as [`Instant`], chance as a seed given at construction: the
//!    same inputs give the same outputs, byte for byte.
//! 2. **Every machine has one shape.** `handle_*` takes what happened and when, `poll_output` gives what to do next until `None`,
//!    `poll_timeout` gives the one next deadline. Calls that come early, late or twice are harmless.
//! 3. **Tables where the specification has tables**, with the specification's heading beside them.
//! 4. **The bytes are hostile.** Any input gives a typed [`Error`] or a valid state: never a panic, unbounded memory or unbounded
//!    work.
//!
//! # The loop
//!
//! Two kinds of machine make a driver. One [`driver::Driver`] a deployment decides and never sees a document; one
//! [`connection::Connection`] a socket speaks and decides nothing. [`engine::Engine`] is both behind one `&mut self`, and where to
//! begin:
//!
//! 1. drain `poll_output`: open a socket, write these bytes, close that one, an operation is done;
//! 2. wait until a socket can be read, but no longer than `poll_timeout`;
//! 3. tell what happened: opened, bytes, closed, failed;
//! 4. call `handle_timeout`, and go on with 1.
//!
//! The module [`engine`] has this loop as code that runs, and `examples/blocking.rs` is a working driver over `std::net`. A host
//! with many threads wires [`driver`] and [`connection`] itself, so that each task drives the socket it was given.
//!
//! # Using one part alone
//!
//! Every room works without the others:
//!
//! ```
//! use quorate_core::uri::ConnectionString;
//!
//! let uri = ConnectionString::parse("mongodb://a,b:27018/shop?replicaSet=rs0&w=majority")?;
//! assert_eq!(uri.hosts().len(), 2);
//! assert_eq!(uri.options().repl_set_name.as_deref(), Some("rs0"));
//! # Ok::<(), quorate_core::Error>(())
//! ```
//!
//! | to | take |
//! |---|---|
//! | run a driver from one thread | [`engine`] |
//! | run one from many | [`driver`], [`connection`] |
//! | read and write messages | [`wire`]: headers, `OP_MSG`, incremental decoding of any fragmentation |
//! | read and write the protocol's own BSON fields | [`raw`] |
//! | read a connection string | [`uri`], which gives [`options`]; `mongodb+srv` is resolved by [`resolver`] |
//! | greet a server, or answer like one | [`handshake`], [`HelloReply`] |
//! | know a deployment | [`sdam`]: the tables, pure, and the machine that applies them |
//! | watch one server | [`monitor`]: heartbeats, round trips, "is it alive right now?" |
//! | choose a server | [`selection`]: one function for each step of the specification |
//! | keep connections | [`pool`] |
//! | keep server sessions | [`session`], [`ClusterTime`] |
//! | run operations that belong together | [`client_session`], [`transaction`] |
//! | judge a reply or an error | [`reply`], [`error`], [`retry`], [`backoff`] |
//! | ask whether a write concern is, or can be, satisfied | [`concern`] |
//! | let somebody watch | [`event`] |
//!
//! # Features
//!
//! Without features the crate needs `alloc` only and builds for bare metal and WebAssembly. `std` (the default) forwards to
//! dependencies; `bson` joins the `bson` crate's errors and documents in; `builders` gives `ClientOptions::builder()`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

#[macro_use]
mod mistaken;

mod address;
pub mod auth;
pub mod backoff;
pub mod client_session;
mod cluster_time;
pub mod concern;
pub mod connection;
pub mod driver;
pub mod engine;
pub mod error;
pub mod event;
pub mod handshake;
mod hello_reply;
#[cfg(feature = "mistakes")]
pub mod mistakes;
pub mod monitor;
pub mod options;
pub mod pool;
mod preference;
pub mod raw;
pub mod reply;
pub mod resolver;
pub mod retry;
mod rng;
pub mod sdam;
pub mod selection;
pub mod session;
mod shared;
mod time;
pub mod transaction;
pub mod uri;
pub mod wire;

pub use address::{DEFAULT_PORT, ServerAddress};
pub use cluster_time::ClusterTime;
pub use concern::{Acknowledgment, ReadConcern, ReadConcernLevel, WriteConcern};
pub use error::{Error, ErrorKind, Result};
pub use hello_reply::{HelloReader, HelloReply, MAX_HOSTS, MAX_MESSAGE_SIZE_BYTES};
pub use options::{ClientOptions, Credential};
pub use preference::{ReadPreference, ReadPreferenceMode, SMALLEST_MAX_STALENESS, TagSet};
pub use rng::Rng;
pub use shared::Arc;
pub use time::{Duration, Instant};
