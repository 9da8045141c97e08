//! A MongoDB client for any async runtime.
//!
//! This crate is the API that applications call. Names, builders and meanings are those of the official `mongodb` crate.
//! It is generic over a [`Runtime`]; most people use `quorate-tokio` or `quorate-smol`, where that parameter is filled in.
//!
//! | room | what is there |
//! |---|---|
//! | [`Client`], [`Database`], [`Collection`], [`Cursor`] | the handles |
//! | [`ClientSession`], [`SessionCursor`] | operations that belong together: causal consistency, transactions, snapshots |
//! | [`action`] | one builder a kind of call, awaited to run it; the commands they send, and which are retried |
//! | [`options`], [`results`] | what goes in and comes out |
//! | [`event`] | what an application can watch |
//! | [`Runtime`] | the seam to an async runtime |
//! | `tls` | TLS over any byte stream; without the default feature `tls`, an error that says so |
//! | [`error`] | what can go wrong |
#![forbid(unsafe_code)]

pub mod action;
mod client;
mod collection;
mod command;
mod cursor;
mod database;
mod decode;
pub mod event;
mod exec;
mod host;
mod host_info;
mod namespace;
mod object_ids;
pub mod options;
mod reply;
pub mod results;
mod runtime;
mod selection_criteria;
mod serde_helpers;
mod server_info;
mod session;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;

/// What can go wrong: the core's errors as they are.
pub mod error {
    pub use quorate_core::error::labels::{
        RETRYABLE_WRITE_ERROR, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT,
    };
    pub use quorate_core::error::*;
}

pub use bson;
pub use client::Client;
pub use collection::Collection;
pub use cursor::{Cursor, SessionCursor, SessionCursorStream};
pub use database::Database;
pub use namespace::Namespace;
pub use options::IndexModel;
pub use quorate_core::handshake::HostInfo;
pub use quorate_core::sdam::{ServerType, TopologyDescription, TopologyType};
pub use quorate_core::{ClusterTime, DEFAULT_PORT, Instant, ServerAddress};
pub use runtime::{KEEP_ALIVE, KEEP_ALIVE_AGAIN, LONGEST_SILENCE, Runtime};
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub use runtime::{monotonic_now, system_seed};
pub use server_info::ServerInfo;
pub use session::ClientSession;

/// A boxed future, as awaiting an action makes.
pub type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
