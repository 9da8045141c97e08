//! A replica set of our own: real or simulated, in real or in virtual time. Everything else here is the same for all of them.

mod extras;
mod mongods;
mod served;
mod simulated;

pub(super) use mongods::Mongods;
pub(super) use served::Served;
pub(super) use simulated::Simulated;

use super::host::{Host, Job};
use super::line::Door;
use quorate::{Runtime, ServerAddress};

/// How many members a set of our own has.
pub(super) const MEMBERS: usize = 3;
/// The tag `dc` of each.
const CENTRES: [&str; MEMBERS] = ["east", "west", "north"];
/// Of how many centres a tag mode of our own wants members.
const CENTRES_WANTED: u32 = 2;

/// A set, and what can be done to its members from outside. Members are counted from 0.
pub(super) trait Deployment {
    /// The time it lives in, and the sockets that lead to it past every fault.
    type Runtime: Runtime;

    /// That of the director and of probes.
    fn runtime(&self) -> &Self::Runtime;

    /// The connection string for the application.
    fn uri(&self) -> String;

    /// A member's address as the driver knows it.
    fn address(&self, member: usize) -> String;

    /// Where a member itself listens, for connections that faults of other members do not touch.
    fn direct_address(&self, member: usize) -> ServerAddress;

    /// What its members ask of whoever connects there.
    fn door(&self) -> &Door {
        static OPEN: Door = Door::OPEN;
        &OPEN
    }

    /// Starts the application.
    fn start_writer(&self, job: Job) -> Host;

    /// SIGKILL.
    async fn kill(&self, member: usize) -> Result<(), String>;

    /// SIGTERM; returns when the process has ended.
    async fn terminate(&self, member: usize) -> Result<(), String>;

    /// Starts a member that was killed or has ended.
    async fn start(&self, member: usize) -> Result<(), String>;

    /// SIGSTOP.
    async fn hang(&self, member: usize) -> Result<(), String>;

    /// SIGCONT.
    async fn resume(&self, member: usize) -> Result<(), String>;

    /// Cuts a member off from everybody, both ways, without a word.
    async fn isolate(&self, member: usize) -> Result<(), String>;

    /// Ends that.
    async fn rejoin(&self, member: usize) -> Result<(), String>;
}
