//! Logging in at a real server that asks for it, on every runtime.
//!
//! All tests share one member with `--auth --keyFile` and its users (authentication specification, "Test Plan").

#[path = "../support/mod.rs"]
mod support;

mod canaries;
mod fake;
mod refused;
mod scram;
mod secrets;
mod set;
mod simulated;
mod tokens;
mod x509;
