//! Whole sets in virtual time.

mod commands;
mod elections;
mod faults;
mod net;
mod reconfig;
mod replication;
