//! The client against a real replica set, on every runtime.
//!
//! All tests of this binary share one set of three members: `dc` is `east` for the first two and `west` for the third, and
//! the third is never primary. A test that hurts the set, or counts what the server counts, takes it for itself
//! ([`set::alone`]); the others share it ([`set::shared`]).

#[path = "../support/mod.rs"]
mod support;

mod concerns;
mod crud;
mod cursors;
mod lifetimes;
mod listings;
mod pools;
mod preferences;
mod retries;
mod set;
