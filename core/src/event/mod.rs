//! What an application can watch: commands, servers and topologies, connection pools.
//!
//! Source: the command logging and monitoring, SDAM logging and monitoring, and CMAP specifications.

pub mod cmap;
pub mod command;
pub mod sdam;
