//! TLS against real servers that require it, on every runtime: who is let in, who is not, and what an application is told
//! then (URI options specification, "TLS Options").
//!
//! Users who are their certificate are in the suite `auth`, primaries that go away in `failover`.

#[path = "../support/mod.rs"]
mod support;

mod clients;
mod events;
mod hosts;
mod interrupted;
mod loose;
mod own_config;
mod servers;
