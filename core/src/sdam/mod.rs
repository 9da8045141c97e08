//! Server discovery and monitoring: what the deployment is, as far as anybody knows.
//!
//! [`ServerDescription`] and [`TopologyDescription`] are plain data. [`updated_topology`] is the table that makes the
//! next topology of one server's new description, [`decide`] the table of what an application's error says of a
//! server; both are pure. [`Topology`] is the machine that owns the current description, applies the tables, and gives the
//! consequences in order: events, servers to monitor, pools to clear.
//!
//! Source: server discovery and monitoring specification.

mod app_error;
mod compat;
mod description;
mod initial;
mod outcome;
mod topology;
mod transition;

pub use app_error::{AppError, AppErrorEffect, StateChange, decide, state_change};
pub use compat::{MAX_WIRE_VERSION, MIN_WIRE_VERSION};
pub use description::{ServerDescription, ServerType, TopologyDescription, TopologyType, TopologyVersion};
pub use initial::{TopologyOptions, Unverified};
pub use topology::{Topology, TopologyOutput};
pub use transition::{MAX_SERVERS, RemovalReason, Transition, updated_from_srv, updated_topology};
