//! The options of every operation, as structs with builders.
//!
//! Most calls do not need them: each action has a setter per option. The structs are for options kept apart from the
//! call:
//!
//! ```
//! use quorate::options::FindOptions;
//! let options = FindOptions::builder().limit(20).batch_size(5).build();
//! assert_eq!(options.limit, Some(20));
//! ```
//!
//! A field that is `None` is not sent, and the server's default holds.

mod collation;
mod collection;
mod database;
mod find_and_modify;
mod index;
mod read;
mod session;
mod write;

pub use crate::selection_criteria::{
    Predicate, ReadPreference, ReadPreferenceOptions, SelectionCriteria, TagSet,
};
pub use collation::*;
pub use collection::*;
pub use database::*;
pub use find_and_modify::*;
pub use index::*;
pub use read::*;
pub use session::*;
pub use write::*;

pub use quorate_core::options::oidc;
pub use quorate_core::options::{
    AuthMechanism, ClientOptions, Compressor, Credential, CustomTls, DriverInfo, MechanismProperties,
    ServerApi, ServerApiVersion, ServerMonitoringMode, Socks5Proxy, Tls, TlsOptions, UuidRepresentation,
};
pub use quorate_core::{Acknowledgment, ReadConcern, ReadConcernLevel, ServerAddress, WriteConcern};
