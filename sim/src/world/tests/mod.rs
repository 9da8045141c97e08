//! The world with two small nodes: one that echoes, and one that is just enough of a server for the real client.

mod client;
mod connecting;
mod faults;
mod greeter;
mod run;
mod streams;
mod trace;

use super::*;
use crate::testing::Echo;

/// A world with an application's machine and one echoing node.
fn echo_world(seed: u64) -> (World<Echo>, HostId, NodeId) {
    let world = World::new(WorldOptions::new(seed));
    let app = world.add_host("app");
    let node = world.serve_on("server", |_| Echo::default());
    (world, app, node)
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn address() -> quorate::ServerAddress {
    quorate::ServerAddress::tcp("server", DEFAULT_PORT)
}
