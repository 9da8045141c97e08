//! One `mongod` that is member of no set.

use crate::admin::{Admin, AdminError};
use crate::fixtures::{self, default_version};
use crate::scratch::Scratch;
use crate::server::Server;
use bson::Document;
use std::time::Duration;

/// A running standalone server; it ends, and its data goes, when this is dropped.
#[derive(Debug)]
pub struct Standalone {
    server: Server,
    _scratch: Scratch,
}

impl Standalone {
    /// Starts one of the default version.
    ///
    /// # Errors
    /// When no server can be had or it does not start; the text says why.
    pub fn start() -> Result<Self, String> {
        Self::start_with(&default_version(), &[])
    }

    /// Starts one of a version of [`fixtures::VERSIONS`], with more arguments for `mongod`.
    ///
    /// # Errors
    /// When no server can be had or it does not start; the text says why.
    pub fn start_with(version: &str, extra_args: &[&str]) -> Result<Self, String> {
        let binary = fixtures::mongod(version)?;
        let scratch = Scratch::new().map_err(|e| format!("no temporary folder: {e}"))?;
        let args = extra_args.iter().map(ToString::to_string).collect();
        let mut server = Server::new(binary, scratch.path().join("data"), args).map_err(|e| e.to_string())?;
        server.spawn()?;
        server.wait_until_up(false)?;
        Ok(Standalone { server, _scratch: scratch })
    }

    /// Its connection string.
    pub fn uri(&self) -> String {
        format!("mongodb://{}/", self.address())
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.server.address()
    }

    /// Runs a command over a new connection.
    ///
    /// # Errors
    /// As [`Admin::run`].
    pub fn command(&self, db: &str, command: Document) -> Result<Document, AdminError> {
        Admin::connect(&self.address(), Duration::from_secs(10))?.run(db, command)
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
        self.server.restart().map(drop)
    }

    /// The end of the server's log.
    pub fn log_tail(&self) -> String {
        self.server.log_tail()
    }
}
