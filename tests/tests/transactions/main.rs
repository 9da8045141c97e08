//! Explicit sessions and transactions against a real replica set, on every runtime.
//!
//! The set is like that of the suite `replica_set`: three members, of which the third is never primary.

#[path = "../support/mod.rs"]
mod support;

#[path = "../replica_set/set.rs"]
mod set;

mod basics;
mod commits;
mod sessions;
