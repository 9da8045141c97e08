//! What Quorate costs, measured from outside: throughput beside the official driver, idle cost, allocations.
//!
//! | for | take |
//! |---|---|
//! | operations a second and their latency | `cargo run --release -p quorate-benches --bin ping` |
//! | wake-ups and memory of a client that does nothing | `cargo run --release -p quorate-benches --bin idle` |
//! | allocations an operation | `cargo run --release -p quorate-benches --bin allocations` |
//! | what one decision of the core costs | `cargo run --release -p quorate-benches --bin decisions`, `cargo bench -p quorate-benches` |
//! | speed and memory of the simulation | `cargo run --release -p quorate-benches --bin simulation` |
//!
//! With `--features official` each has the official driver beside it. The servers are [`canned`], or real ones where that
//! matters.

pub mod canned;
pub mod decisions;
pub mod load;
pub mod process;
pub mod rig;
pub mod subject;
pub mod table;
