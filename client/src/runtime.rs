//! The seam to an async runtime: all that a host must provide.
//!
//! A runtime opens byte streams, tells the time, sleeps and starts tasks. It decides nothing: which server, when to
//! reconnect, when to give up are the core's. Those for tokio, smol, JavaScript hosts and the simulation of `quorate-sim`, in which
//! time is virtual, come with Quorate; a new one is about a hundred lines.

use crate::host_info::host_info;
use futures::io::{AsyncRead, AsyncWrite};
use quorate_core::handshake::HostInfo;
use quorate_core::{Instant, ServerAddress};
use std::future::Future;
use std::io;
use std::time::Duration;

/// What Quorate needs of its host.
///
/// Implementations are cheap to clone; every client keeps one. All methods may be called from any task.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected byte stream. Dropping it closes the connection.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    /// A sleep; dropping it gives its timer back.
    type Sleep: Future<Output = ()> + Send + 'static;

    /// The time. Never goes back; zero is when this runtime value was first made, or any other fixed moment.
    fn now(&self) -> Instant;

    /// Bits to seed the client's own generator with: from the system's random source, or fixed in a simulation.
    fn seed(&self) -> u64;

    /// Opens a stream to `address`, looking its name up where it has one, with no delay on small writes.
    ///
    /// The client bounds it by `connectTimeoutMS` and drops the future when that passes.
    fn connect(&self, address: ServerAddress) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Ends at `deadline`, or at once if that has passed.
    fn sleep_until(&self, deadline: Instant) -> Self::Sleep;

    /// Starts a task that goes on by itself.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);

    /// Which async runtime this is, for the handshake's `platform` text: `tokio`, `smol` ...
    fn name(&self) -> &'static str;

    /// What a calendar shows, as the time since the Unix epoch: it goes into the `ObjectId`s made for documents without an
    /// `_id`, and no decision depends on it.
    ///
    /// By default the system's clock. Where the standard library has none (`wasm32-unknown-unknown`), the time since
    /// [`Runtime::now`]'s zero: a runtime there should say better.
    fn unix_time(&self) -> Duration {
        #[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
        return std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
        Duration::from_nanos(self.now().as_nanos())
    }

    /// What the handshake tells servers of this program and the machine it runs on: by default what the environment says.
    fn host_info(&self) -> HostInfo {
        host_info(self.name())
    }
}

/// How long a connection may be silent before the operating system probes it (the specifications' advice for drivers that
/// set TCP keep-alive: 120 seconds).
pub const KEEP_ALIVE: Duration = Duration::from_secs(120);

/// How often it probes again while nothing comes back. The usual 75 seconds would leave an operation without a time-out of its
/// own hanging for thirteen minutes when something on the way has forgotten its connection.
pub const KEEP_ALIVE_AGAIN: Duration = Duration::from_secs(10);

/// How long a connection lasts whose other end gives no sign, neither for probes nor for what was sent: nine probes, as is usual.
/// (`TCP_USER_TIMEOUT` where there is such a thing: nobody probes while data has not been acknowledged.)
pub const LONGEST_SILENCE: Duration = Duration::from_secs(120 + 9 * 10);

/// The time since this process first asked, from the system's monotonic clock: what most runtimes give as
/// [`Runtime::now`].
///
/// Absent on `wasm32-unknown-unknown`, where the standard library has no clock.
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub fn monotonic_now() -> Instant {
    static EPOCH: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let elapsed = EPOCH.get_or_init(std::time::Instant::now).elapsed();
    Instant::from_nanos(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
}

/// Bits from the system's random source: what most runtimes give as [`Runtime::seed`].
///
/// Absent on `wasm32-unknown-unknown`, where the standard library has no random source.
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub fn system_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    // The standard library keys its hash maps from the system's random source; this is that key, without a dependency.
    let mut hasher = std::collections::hash_map::RandomState::new().build_hasher();
    hasher.write_u64(monotonic_now().as_nanos());
    hasher.finish()
}
