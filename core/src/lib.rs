//! The whole mind of a MongoDB driver, as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod address;
pub mod backoff;
mod cluster_time;
pub mod concern;
pub mod connection;
pub mod driver;
pub mod engine;
pub mod error;
pub mod event;
pub mod handshake;
mod hello_reply;
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
pub mod uri;
pub mod wire;

pub use address::{DEFAULT_PORT, ServerAddress};
pub use cluster_time::ClusterTime;
pub use concern::{Acknowledgment, ReadConcern, ReadConcernLevel, WriteConcern};
pub use error::{Error, ErrorKind, Result};
pub use hello_reply::{HelloReply, MAX_HOSTS, MAX_MESSAGE_SIZE_BYTES};
pub use options::{ClientOptions, Credential};
pub use preference::{ReadPreference, ReadPreferenceMode, SMALLEST_MAX_STALENESS, TagSet};
pub use rng::Rng;
pub use shared::Arc;
pub use time::{Duration, Instant};
