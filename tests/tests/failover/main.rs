//! Writers that go on for ever while the primary goes away, in every way it can, on every runtime: no error, nothing lost,
//! nothing twice. A short version of `quorate failover`, on a set with an election time-out of two seconds.

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod stale;
