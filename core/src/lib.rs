//! The whole mind of a MongoDB driver, as pure state machines.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod address;
pub mod concern;
pub mod error;
pub mod event;
mod hello_reply;
mod preference;
pub mod raw;
mod rng;
pub mod sdam;
mod time;

pub use address::{DEFAULT_PORT, ServerAddress};
pub use concern::{Acknowledgment, ReadConcern, ReadConcernLevel, WriteConcern};
pub use error::{Error, ErrorKind, Result};
pub use hello_reply::{HelloReply, MAX_HOSTS, MAX_MESSAGE_SIZE_BYTES};
pub use preference::{ReadPreference, ReadPreferenceMode, SMALLEST_MAX_STALENESS, TagSet};
pub use rng::Rng;
pub use time::{Duration, Instant};
