//! The embedded deployment: made, used, harmed, and compared with the truth.

mod balanced;
mod data;
mod failover;
mod making;
#[cfg(not(target_family = "wasm"))]
mod serving;

use super::*;
use crate::repl::MemberState;
use crate::world::ProcessState;
use bson::doc;

/// A set of three whose elections take a second, not ten.
fn quick(seed: u64) -> Cluster {
    Cluster::replica_set()
        .members(3)
        .election_timeout(secs(1))
        .heartbeat_interval(Duration::from_millis(250))
        .seed(seed)
        .build()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}
