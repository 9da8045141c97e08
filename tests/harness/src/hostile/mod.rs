//! Servers that mean harm, or are no MongoDB at all, for the tests of what a driver does about them.
//!
//! [`HostileServer`] has the canned ones and [`HostileServer::scripted`], a MongoDB whose every answer a closure makes.
//! [`body`] and [`bend`] build answers that are wrong in one way each:
//!
//! ```
//! use quorate_harness::hostile::{HostileServer, bend, body};
//!
//! // Greets properly, then claims every other answer to be 16 MiB long.
//! let server = HostileServer::scripted(|request| match request.is_hello() {
//!     true => request.reply(&body::hello_standalone()).into(),
//!     false => bend::message_length(request.reply(&body::ok()), 16 << 20).into(),
//! })?;
//! println!("mongodb://{}/", server.address());
//! # Ok::<(), std::io::Error>(())
//! ```

pub mod bend;
pub mod body;
mod canned;
mod script;
mod serve;

pub use script::{Answer, Request};
use serve::Running;
use std::io;

/// A server on the loopback; it ends, and closes its connections, when dropped.
#[derive(Debug)]
pub struct HostileServer {
    running: Running,
}

impl HostileServer {
    /// Answers the first bytes as a web server does that was spoken to in another language, and closes.
    ///
    /// # Errors
    /// When no port is to be had, as everywhere here.
    pub fn http() -> io::Result<Self> {
        Self::serve(canned::http)
    }

    /// Sends bytes without meaning and without end; the same for the same seed.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn random_bytes(seed: u64) -> io::Result<Self> {
        Self::serve(move |client| canned::random_bytes(client, seed))
    }

    /// Answers with a header that claims `length` bytes and zeros behind it, slowly enough never to get there.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn claiming_length(length: i32) -> io::Result<Self> {
        Self::serve(move |client| canned::claiming_length(client, length))
    }

    /// Answers with a header of 2 GiB (less one byte).
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn giant_header() -> io::Result<Self> {
        Self::claiming_length(i32::MAX)
    }

    /// Accepts, reads, never answers.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn silent() -> io::Result<Self> {
        Self::serve(canned::silent)
    }

    /// Accepts and closes at once.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn closing() -> io::Result<Self> {
        Self::serve(|_| Ok(()))
    }

    /// Reads messages and answers each as `script` says. The closure is called from one thread a connection.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn scripted(script: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> io::Result<Self> {
        Self::greeting_then(Vec::new(), script)
    }

    /// As [`HostileServer::scripted`], but sends `greeting` on every connection before anything was asked.
    ///
    /// # Errors
    /// When no port is to be had.
    pub fn greeting_then(
        greeting: Vec<u8>,
        script: impl Fn(&Request) -> Answer + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let running = Running::start(move |client, connection| {
            io::Write::write_all(&mut &*client, &greeting)?;
            script::converse(client, connection, &script)
        })?;
        Ok(HostileServer { running })
    }

    fn serve(
        each: impl Fn(&std::net::TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Ok(HostileServer { running: Running::start(move |client, _| each(client))? })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.running.address().to_string()
    }

    /// How many connections it accepted so far.
    pub fn connections(&self) -> u64 {
        self.running.accepted()
    }
}
