//! What an application can watch: commands, servers and topologies, connection pools.
//!
//! Source: the command logging and monitoring, SDAM logging and monitoring, and CMAP specifications.

pub mod cmap;
pub mod command;
pub mod sdam;

/// Anything an application can watch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Servers, heartbeats, the topology.
    Sdam(sdam::SdamEvent),
    /// Connection pools.
    Cmap(cmap::CmapEvent),
}
