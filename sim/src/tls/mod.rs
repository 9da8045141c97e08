//! TLS in front of simulated processes: rustls without sockets, between the bytes of a connection and the messages in them.
//!
//! What comes in the clear all the same is told apart by its first byte. A process takes it from the operator alone, as a real
//! one does that requires TLS: everybody else's connection is closed.
//!
//! rustls draws its keys from the system, so that a deployment with TLS does the same things for the same seed, but not with the
//! same bytes: trace hashes differ from run to run.

#[cfg(not(feature = "tls"))]
mod clear;
#[cfg(feature = "tls")]
mod subject;
#[cfg(feature = "tls")]
mod terminator;

#[cfg(not(feature = "tls"))]
pub(crate) use clear::Tls;
#[cfg(feature = "tls")]
pub(crate) use terminator::Tls;

use std::borrow::Cow;

/// What came of bytes from a client.
pub(crate) struct Received<'b> {
    /// What they say.
    pub(crate) content: Cow<'b, [u8]>,
    /// What has to go back at once.
    pub(crate) answer: Vec<u8>,
    /// The connection is of no more use.
    pub(crate) broken: bool,
}

impl<'b> Received<'b> {
    fn clear(bytes: &'b [u8]) -> Self {
        Received { content: Cow::Borrowed(bytes), answer: Vec::new(), broken: false }
    }
}
