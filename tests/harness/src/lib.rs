//! quorate-harness
pub mod admin;
pub mod fixtures;
mod process;
mod proxy;
mod scratch;
mod server;
mod set;
mod standalone;
pub mod wire;

pub use admin::{Admin, AdminError};
pub use proxy::{Accept, Counts, Direction, Flow, Proxy, Shape};
pub use server::ProcessState;
pub use set::{MemberSpec, ReplicaSet, ReplicaSetBuilder};
pub use standalone::Standalone;
