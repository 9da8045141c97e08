//! [`Client`]: the way in.

use crate::command::operation;
use crate::exec::Retry;
use crate::host::{EventSink, Host, Keychain, Settings};
use crate::object_ids::ObjectIds;
use crate::runtime::Runtime;
use crate::tls::TlsConfig;
use crate::{Database, action, options};
use bson::oid::ObjectId;
use quorate_core::client_session::ReadConcernField;
use quorate_core::connection::HandshakeOptions;
use quorate_core::driver::Driver;
use quorate_core::error::{Error, Result};
use quorate_core::handshake::{AppName, ClientMetadata};
use quorate_core::options::{AuthMechanism, ClientOptions};
use quorate_core::sdam::TopologyDescription;
use quorate_core::wire::Request;
use quorate_core::{ReadConcern, ReadPreference, ReadPreferenceMode, WriteConcern};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroize;

/// Driver sessions specification, "endSessions": "at most 10,000 a command".
const MOST_SESSIONS_ENDED_AT_ONCE: usize = 10_000;
/// A shutdown waits no longer than this for a server to hear of it.
const END_SESSIONS_TIMEOUT: Duration = Duration::from_secs(1);

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
    object_ids: ObjectIds,
}

impl<R: Runtime> Drop for Inner<R> {
    fn drop(&mut self) {
        self.host.shutdown();
        // The options stay readable for as long as the client lives; what is secret in them ends with it.
        if let Some(credential) = &mut self.options.credential {
            credential.password.zeroize();
            credential.mechanism_properties.iter_mut().flatten().for_each(|(_, value)| value.zeroize());
        }
        if let Some(options::Tls::Enabled(tls)) = &mut self.options.tls {
            tls.tls_certificate_key_file_password.zeroize();
        }
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

impl<R: Runtime> Client<R> {
    /// A client with those options on that runtime.
    ///
    /// # Errors
    /// As [`Client::with_options`].
    pub fn on(runtime: R, options: ClientOptions) -> Result<Self> {
        options.validate()?;
        refuse_what_is_missing(&options)?;
        let mut driver_options = options.driver_options();
        let info = runtime.host_info();
        driver_options.is_faas = info.env.is_faas();
        let settings = settings(&options, info, &runtime)?;
        let driver = Driver::new(runtime.now(), driver_options, runtime.seed());
        let object_ids = ObjectIds::new(runtime.seed());
        let criteria = options.read_preference.clone().map(options::SelectionCriteria::from);
        let host = Host::start(runtime, settings, EventSink::new(&options), driver);
        Ok(Client { inner: Arc::new(Inner { host, options, criteria, object_ids }) })
    }

    /// A database. Its options are the client's until [`Client::database_with_options`] says otherwise. Nothing is sent.
    pub fn database(&self, name: &str) -> Database<R> {
        Database::new(self.clone(), name, None)
    }

    /// A database with options of its own.
    pub fn database_with_options(&self, name: &str, options: options::DatabaseOptions) -> Database<R> {
        Database::new(self.clone(), name, Some(options))
    }

    /// The database named in the connection string, if there was one.
    pub fn default_database(&self) -> Option<Database<R>> {
        self.inner.options.default_database.as_deref().map(|name| self.database(name))
    }

    /// The default selection criteria.
    pub fn selection_criteria(&self) -> Option<&options::SelectionCriteria> {
        self.inner.criteria.as_ref()
    }

    /// The default read concern.
    pub fn read_concern(&self) -> Option<&ReadConcern> {
        self.inner.options.read_concern.as_ref()
    }

    /// The default write concern.
    pub fn write_concern(&self) -> Option<&WriteConcern> {
        self.inner.options.write_concern.as_ref()
    }

    /// What the client was made with.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The deployment as last seen: which servers, what they are, and why one is not known. A snapshot; it never changes.
    pub fn topology(&self) -> Arc<TopologyDescription> {
        self.inner.host.topology()
    }

    /// Starts a session, to run operations in that belong together: see [`ClientSession`](crate::ClientSession).
    pub fn start_session(&self) -> action::StartSession<'_, R> {
        action::StartSession::new(self)
    }

    /// Lists the deployment's databases.
    pub fn list_databases(&self) -> action::ListDatabases<'_, R> {
        action::ListDatabases::new(self)
    }

    /// Lists the names of the deployment's databases.
    pub fn list_database_names(&self) -> action::ListDatabases<'_, R, action::ListNames> {
        action::ListDatabases::new(self)
    }

    /// Ends the client for all its clones: tells a server that its sessions are done with, closes every connection, stops
    /// every monitor. Operations under way and later ones fail with [`quorate_core::ErrorKind::Shutdown`].
    ///
    /// Dropping the last clone does the same without telling the server (whose sessions then end by themselves).
    pub fn shutdown(self) -> action::Shutdown<R> {
        action::Shutdown::new(self)
    }

    /// Tells a server which sessions are done with. "endSessions ... best effort": what goes wrong goes unnoticed, and it
    /// must not keep anybody waiting.
    pub(crate) async fn end_all_sessions(&self) {
        let ids = self.inner.host.lock().driver.drain_sessions();
        for ids in ids.chunks(MOST_SESSIONS_ENDED_AT_ONCE) {
            if self.topology().logical_session_timeout_minutes.is_none()
                || self.end_sessions(ids).await.is_err()
            {
                break;
            }
        }
    }

    async fn end_sessions(&self, ids: &[[u8; 16]]) -> Result<()> {
        let mut request = Request::new();
        let body = request.body().array("endSessions", |mut array| {
            for (i, id) in ids.iter().enumerate() {
                array = array.doc(&i.to_string(), |doc| doc.binary("id", 4, id));
            }
            array
        });
        body.str("$db", "admin").suspend();
        let anywhere = ReadPreference::new(ReadPreferenceMode::PrimaryPreferred);
        let mut operation = operation("endSessions", &Arc::from("admin"), anywhere.into(), Retry::None);
        operation.read_concern = ReadConcernField::Never;
        operation.timeout = Some(END_SESSIONS_TIMEOUT);
        self.execute(operation, &mut request).await.map(drop)
    }

    /// Whether it is a clone of that one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    pub(crate) fn host(&self) -> &Arc<Host<R>> {
        &self.inner.host
    }

    /// An `_id` for a document that has none.
    pub(crate) fn new_object_id(&self) -> ObjectId {
        self.inner.object_ids.next(self.inner.host.runtime.unix_time())
    }

    /// `timeoutMS`.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.inner.options.effective_timeout()
    }
}

fn settings(
    options: &ClientOptions,
    info: quorate_core::handshake::HostInfo,
    runtime: &impl Runtime,
) -> Result<Settings> {
    let app_name = options.app_name.clone().map(AppName::new).transpose()?;
    let mut metadata = ClientMetadata::new(app_name, env!("CARGO_PKG_VERSION"), info);
    if let Some(info) = options.driver_info.clone() {
        metadata.append(info)?;
    }
    let mut handshake = HandshakeOptions::new(metadata.to_bson().into());
    handshake.load_balanced = options.load_balanced.unwrap_or(false);
    handshake.server_api = options.server_api;
    handshake.compressors = options.compressors.clone().unwrap_or_default().into();
    Ok(Settings {
        handshake,
        connect_timeout: options.effective_connect_timeout().unwrap_or_default(),
        socket_timeout: options.effective_socket_timeout(),
        tls: options.tls_options().map(TlsConfig::from_options).transpose()?,
        keychain: options.credential.as_ref().map(|credential| Keychain::new(credential, runtime)),
    })
}

/// Says clearly what this version does not do yet, rather than doing something else.
fn refuse_what_is_missing(options: &ClientOptions) -> Result<()> {
    let mechanism = options.credential.as_ref().and_then(|credential| credential.mechanism);
    let missing = if mechanism == Some(AuthMechanism::Gssapi) {
        "GSSAPI"
    } else if options.srv_host.is_some() && options.hosts.is_empty() {
        "mongodb+srv connection strings"
    } else if options.socks5_proxy.is_some() {
        "SOCKS5 proxies"
    } else {
        return Ok(());
    };
    Err(Error::invalid_argument(format!("{missing}: not supported by this version of Quorate")))
}
