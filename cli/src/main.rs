//! `quorate`: the operator's tool.
//!
//! `quorate failover` shows what an application on this driver sees when the primary of its replica set goes away. Each
//! module here is one part of that: [`args`] what was asked for, [`failover`] the doing.

mod args;
mod failover;

use args::{Args, Command};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Command::Failover(args) = Args::parse().command;
    match failover::run(&args) {
        Ok(verdict) => verdict,
        Err(why) => {
            eprintln!("quorate: {why}");
            ExitCode::from(2)
        }
    }
}
