//! In place of `tls` where the feature `tls` is off: no configuration can be made, and asking for one says why.
//!
//! The types have no values, so what would use TLS needs no second version of itself.

use futures::io::{AsyncRead, AsyncWrite};
use quorate_core::options::TlsOptions;
use quorate_core::{Error, ErrorKind};
use std::convert::Infallible;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A TLS configuration; there is none.
#[derive(Clone, Debug)]
pub(crate) struct TlsConfig(Infallible);

impl TlsConfig {
    /// Always [`ErrorKind::Tls`].
    pub(crate) fn from_options(_: &TlsOptions) -> Result<Self, Error> {
        let message =
            "the options ask for TLS, and this program was built without the feature `tls` of `quorate`";
        Err(Error::new(ErrorKind::Tls { message: message.to_owned() }))
    }
}

/// Without a configuration nobody gets here.
pub(crate) async fn handshake<S>(config: &TlsConfig, _: &str, _: S) -> Result<TlsStream<S>, Error> {
    match config.0 {}
}

/// An encrypted stream; there is none.
#[derive(Debug)]
pub(crate) struct TlsStream<S>(Infallible, PhantomData<S>);

impl<S: Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }
}

impl<S: Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_tls_says_what_is_missing() {
        let error = TlsConfig::from_options(&TlsOptions::default()).unwrap_err();
        assert!(matches!(*error.kind, ErrorKind::Tls { .. }));
        assert!(error.to_string().contains("feature `tls`"), "{error}");
    }
}
