//! One `mongod` that is member of no set.

use crate::admin::AdminError;
use crate::certificates::Certificates;
use crate::features::{Features, PASSWORD, SetUp, Tls, USER};
use crate::fixtures::{self, default_version};
use crate::scratch::Scratch;
use crate::server::Server;
use bson::{Document, doc};
use std::time::Duration;

/// A running standalone server; it ends, and its data goes, when this is dropped.
#[derive(Debug)]
pub struct Standalone {
    server: Server,
    set_up: SetUp,
    _scratch: Scratch,
}

/// Describes a server that [`StandaloneBuilder::start`] brings up.
#[derive(Clone, Debug)]
pub struct StandaloneBuilder {
    version: String,
    extra_args: Vec<String>,
    features: Features,
}

impl StandaloneBuilder {
    /// The server's version, one of [`fixtures::VERSIONS`].
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    /// More arguments for `mongod`.
    #[must_use]
    pub fn extra_args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.extra_args.extend(args.into_iter().map(Into::into));
        self
    }

    /// With TLS, and [`Standalone::certificates`].
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.features = self.features.tls(tls);
        self
    }

    /// With `--auth --keyFile`; the harness logs in as the server itself.
    #[must_use]
    pub fn auth(mut self, auth: bool) -> Self {
        self.features.auth = auth;
        self
    }

    /// With all of that, and a connection string that has everything a client needs.
    #[must_use]
    pub fn features(mut self, features: Features) -> Self {
        self.features = features;
        self
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When no server can be had or it does not start; the text says why.
    pub fn start(self) -> Result<Standalone, String> {
        let binary = fixtures::mongod(&self.version)?;
        let scratch = Scratch::new().map_err(|e| format!("no temporary folder: {e}"))?;
        let set_up = self.features.set_up(&scratch)?;
        let args = set_up.args.iter().cloned().chain(self.extra_args).collect();
        let server = Server::new(binary, scratch.path().join("data"), args, set_up.access.clone());
        let mut server = server.map_err(|e| e.to_string())?;
        server.spawn()?;
        server.wait_until_up(false)?;
        let standalone = Standalone { server, set_up, _scratch: scratch };
        if standalone.set_up.wants_user() {
            let role = doc! { "role": "root", "db": "admin" };
            let user = doc! { "createUser": USER, "pwd": PASSWORD, "roles": [role] };
            standalone.command("admin", user).map_err(|e| format!("no user: {e}"))?;
        }
        Ok(standalone)
    }
}

impl Standalone {
    /// Describes a server.
    pub fn builder() -> StandaloneBuilder {
        let (version, features) = (default_version(), Features::default());
        StandaloneBuilder { version, extra_args: Vec::new(), features }
    }

    /// Starts one of the default version.
    ///
    /// # Errors
    /// When no server can be had or it does not start; the text says why.
    pub fn start() -> Result<Self, String> {
        Self::builder().start()
    }

    /// Starts one of a version of [`fixtures::VERSIONS`], with more arguments for `mongod`.
    ///
    /// # Errors
    /// When no server can be had or it does not start; the text says why.
    pub fn start_with(version: &str, extra_args: &[&str]) -> Result<Self, String> {
        Self::builder().version(version).extra_args(extra_args.iter().copied()).start()
    }

    /// Its connection string, with what its [features](crate::Features) need.
    pub fn uri(&self) -> String {
        let options = self.set_up.options();
        let options = options.strip_prefix('&').map(|options| format!("?{options}")).unwrap_or_default();
        format!("mongodb://{}{}/{options}", self.set_up.user_info(), self.address())
    }

    /// The certificates of server and clients.
    ///
    /// # Panics
    /// When it has no TLS.
    pub fn certificates(&self) -> &Certificates {
        self.set_up.certificates.as_ref().expect("the server was started with TLS")
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Runs a command over a new connection.
    ///
    /// # Errors
    /// As [`Admin::run`](crate::Admin::run).
    pub fn command(&self, db: &str, command: Document) -> Result<Document, AdminError> {
        self.set_up.access.connect(&self.address(), Duration::from_secs(10))?.run(db, command)
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self) -> Result<(), String> {
        self.server.pause().map_err(|e| e.to_string())
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self) -> Result<(), String> {
        self.server.resume().map_err(|e| e.to_string())
    }

    /// Starts it again on its data and port.
    ///
    /// # Errors
    /// When it does not start; the text says why.
    pub fn restart(&mut self) -> Result<(), String> {
        self.server.restart()
    }

    /// The end of the server's log.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}
