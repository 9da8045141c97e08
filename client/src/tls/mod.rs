//! TLS, the same on every runtime.
//!
//! rustls is used without sockets of its own: [`handshake`] takes the byte stream a runtime opened and gives back a
//! [`TlsStream`] that reads and writes like it. Nothing here knows a runtime, a clock of its own or a thread. Files
//! are read once, when a [`TlsConfig`] is made; a handshake reads none.
//!
//! | file | its one idea |
//! |---|---|
//! | `config` | options to a rustls configuration |
//! | `files` | certificates and keys out of PEM files |
//! | `verify` | the two ways to check less than everything |
//! | `stream` | bytes through the TLS machine, and the handshake |
//! | `explain` | what went wrong, whose fault it is, what to try |

mod config;
mod explain;
mod files;
mod stream;
#[cfg(test)]
mod tests;
mod verify;

pub use config::TlsConfig;
pub use rustls;
pub use stream::{TlsStream, handshake};
