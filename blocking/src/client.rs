//! [`Client`]: made without waiting.

use quorate_smol::error::Result;
use quorate_smol::options::ClientOptions;
use quorate_smol::{Smol, action};
use std::ops::Deref;

/// A client. Clone it freely, and use it from any thread: clones share their connections.
///
/// Everything but its making is that of [`quorate_smol::Client`], which it dereferences to.
#[derive(Clone, Debug)]
pub struct Client(quorate_smol::Client);

impl Client {
    /// A client for a connection string.
    ///
    /// # Errors
    /// [`quorate_smol::error::ErrorKind::ConnectionString`] naming the part that is wrong. Servers that cannot be reached
    /// are no error yet: the first operation tells.
    pub fn with_uri_str(uri: impl AsRef<str>) -> Result<Self> {
        smol::block_on(quorate_smol::Client::with_uri_str(uri)).map(Client)
    }

    /// A client with those options.
    ///
    /// # Errors
    /// When the options contradict one another, or the files they name cannot be used.
    pub fn with_options(options: ClientOptions) -> Result<Self> {
        quorate_smol::Client::with_options(options).map(Client)
    }

    /// Ends the client for all its clones; see [`quorate_smol::Client::shutdown`].
    pub fn shutdown(self) -> action::Shutdown<Smol> {
        self.0.shutdown()
    }
}

impl Deref for Client {
    type Target = quorate_smol::Client;

    fn deref(&self) -> &quorate_smol::Client {
        &self.0
    }
}

/// The same client, for calls that are awaited.
impl From<Client> for quorate_smol::Client {
    fn from(client: Client) -> Self {
        client.0
    }
}

/// The same client, for calls that are run.
impl From<quorate_smol::Client> for Client {
    fn from(client: quorate_smol::Client) -> Self {
        Client(client)
    }
}
