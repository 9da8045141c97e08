//! What an application can watch.
//!
//! The events of servers, topologies and pools come from the core as they are; those of commands are made here, where the
//! documents are, and only while somebody listens.

mod monitor;

pub use quorate_core::event::{EventHandler, cmap, command, sdam};

pub(crate) use monitor::CommandMonitor;
