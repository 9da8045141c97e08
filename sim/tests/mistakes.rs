//! The search for bugs finds bugs: every planted mistake within 2,000 seeds.
//!
//! `cargo test --release -p quorate-sim --features mistakes --test mistakes -- --nocapture` prints the table of `sim/README.md`.
#![cfg(feature = "mistakes")]

use quorate_core::mistakes::Mistake;
use quorate_sim::explore::{RunOptions, Search, search};

const WITHIN: u64 = 2_000;

#[test]
fn every_planted_mistake_is_found() {
    let mut missed = Vec::new();
    println!("| mistake | found after | by the rule |\n|---|---:|---|");
    for mistake in Mistake::ALL {
        let options = RunOptions { mistake: Some(mistake), ..RunOptions::default() };
        let wanted = Search { first: 1, seeds: WITHIN, threads: 1, stop: true, options };
        match search(&wanted, |_, _| {}).failures.first() {
            Some((seed, violation)) => println!("| `{mistake:?}` | {seed} | {} |", violation.rule),
            None => missed.push(mistake),
        }
    }
    assert!(missed.is_empty(), "not found within {WITHIN} seeds: {missed:?}");
}
