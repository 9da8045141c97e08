//! Server discovery and monitoring: what the deployment is, as far as anybody knows.
//!
//! Source: server discovery and monitoring specification.

mod description;

pub use description::{ServerDescription, ServerType, TopologyDescription, TopologyType, TopologyVersion};
