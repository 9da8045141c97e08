//! The first words on a connection: the hello command, and who is speaking.
//!
//! Everything here is a pure function of what it is given. The host reads its environment and its system's names and
//! hands them in ([`HostInfo`], [`ClientEnv::detect`]); [`ClientMetadata`] makes the `client` document of at most 512
//! bytes, once; [`write_hello`] writes the command itself, for the first time on a connection and for every check after.
//!
//! Source: MongoDB handshake specification.

mod env;
mod hello;
mod metadata;

#[cfg(test)]
mod metadata_tests;

pub use env::{ClientEnv, Faas, FaasName};
pub(crate) use hello::write_server_api;
pub use hello::{BACKPRESSURE_VERSION, HelloOptions, ServerApi, ServerApiVersion, write_hello};
pub use metadata::{
    AppName, ClientMetadata, DRIVER_NAME, DriverInfo, HostInfo, MAX_APP_NAME_BYTES, MAX_METADATA_BYTES,
};
