//! [`Client`]: the way in.

use crate::event::EventHandler;
use crate::exec::Operation;
use crate::host::{EventSink, Host, Settings};
use crate::host_info;
use crate::runtime::Runtime;
use crate::tls::TlsConfig;
use crate::{Database, action, options};
use quorate_core::connection::HandshakeOptions;
use quorate_core::driver::{Driver, DriverOptions};
use quorate_core::error::{Error, Result};
use quorate_core::handshake::{AppName, ClientMetadata};
use quorate_core::options::{ClientOptions, defaults};
use quorate_core::sdam::TopologyDescription;
use quorate_core::uri::ConnectionString;
use quorate_core::{ReadConcern, WriteConcern};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A client of one deployment: standalone, replica set, sharded cluster or load balancer, whichever it finds.
///
/// Cheap to clone; clones share connections, monitors and sessions, all of which end when the last clone is dropped (or by
/// [`Client::shutdown`]). Nothing here is tied to a task: use it from as many as you like.
///
/// Making a client opens nothing by itself and does not wait: discovery goes on in the background, and the first operation
/// waits for a suitable server for up to `serverSelectionTimeoutMS`.
pub struct Client<R: Runtime> {
    inner: Arc<Inner<R>>,
}

struct Inner<R: Runtime> {
    host: Arc<Host<R>>,
    options: ClientOptions,
    criteria: Option<options::SelectionCriteria>,
}

impl<R: Runtime> Drop for Inner<R> {
    fn drop(&mut self) {
        self.host.shutdown();
    }
}

impl<R: Runtime> Clone for Client<R> {
    fn clone(&self) -> Self {
        Client { inner: self.inner.clone() }
    }
}

impl<R: Runtime> fmt::Debug for Client<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("hosts", &self.inner.options.hosts).finish_non_exhaustive()
    }
}

impl<R: Runtime + Default> Client<R> {
    /// A client for a connection string.
    ///
    /// # Errors
    /// [`quorate_core::ErrorKind::ConnectionString`] naming the part that is wrong. Servers that cannot be reached are no
    /// error yet: the first operation tells.
    pub async fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        Self::with_options(ClientOptions::parse(uri.as_ref()).await?)
    }

    /// A client with those options.
    ///
    /// # Errors
    /// When the options contradict one another, or the files they name cannot be used.
    pub fn with_options(options: ClientOptions) -> Result<Self> {
        Self::on(R::default(), options)
    }
}
