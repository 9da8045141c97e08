//! MongoDB deployments in virtual time: replica sets and sharded clusters simulated well enough that the unmodified client
//! cannot tell, with every failure a network and a server can have, reproducible from one seed.
//!
//! | room | what lives there |
//! |---|---|
//! | [`world`] | the seeded world: clock, event queue, executor, network, name look-up, and the client's [`Runtime`](quorate::Runtime) on them |
//! | [`node`] | the seam between the world and a simulated process |
//! | `mongod` | a simulated server: wire protocol, commands, sessions, fail points |
//! | [`repl`] | one member of a replica set: elections, the oplog, the commit point, rollback |
//! | `store` | the data of one server: documents and their versions, queries, updates |
//! | `serve` | nodes on real loopback sockets in real time |
//! | `cluster` | what people embed: deployments, faults, and the truth to compare with |
//! | `explore` | the search for bugs: plans from seeds, run and checked |
#![forbid(unsafe_code)]

pub mod balancer;
pub mod cluster;
pub mod explore;
pub mod mongod;
pub mod mongos;
pub mod node;
pub mod oplog;
pub mod repl;
mod runtime;
#[cfg(not(target_family = "wasm"))]
pub mod serve;
pub mod server;
pub mod store;
#[cfg(test)]
mod testing;
mod tls;
pub mod world;

pub use bson;
pub use cluster::Cluster;
pub use quorate;
pub use runtime::{SimRuntime, SimStream, Sleep};
#[cfg(feature = "tls")]
pub use rustls;
