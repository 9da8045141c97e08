//! The search for bugs, as far as there is time for it whenever tests are run; and, for ever, seeds that once failed.
//!
//! `cargo run --release -p quorate-sim --bin explore -- --seeds 100000` is the same, and more of it.

use quorate_sim::explore::{Plan, RunOptions, Search, run, search};

/// Seeds that once failed, and why: a line each.
const ONCE_FAILED: &str = include_str!("seeds.txt");

/// So many seeds take a few seconds where tests are built without optimization.
const SEEDS: u64 = 100;
/// Where this begins; `EXPLORE_FIRST` says otherwise.
const FIRST: u64 = 1_000_000;

#[test]
fn what_once_failed_does_not() {
    for line in ONCE_FAILED.lines().filter(|line| !line.starts_with('#')) {
        let (seed, why) = line.split_once(' ').expect("a seed, a space, why");
        let report = run(&Plan::new(seed.parse().expect("a seed")), &RunOptions::default());
        assert!(report.violations.is_empty(), "seed {seed} ({why}): {}", report.violations[0]);
    }
}

#[test]
fn nothing_fails() {
    let number = |name: &str, usual| {
        std::env::var(name)
            .map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let wanted = Search {
        first: number("EXPLORE_FIRST", FIRST),
        seeds: number("EXPLORE_SEEDS", SEEDS),
        threads,
        stop: false,
        options: RunOptions::default(),
    };
    let summary = search(&wanted, |_, _| {});
    let failures: Vec<String> =
        summary.failures.iter().map(|(seed, violation)| format!("seed {seed} {violation}")).collect();
    assert!(failures.is_empty(), "{}\nreplay with: explore --seed N --trace", failures.join("\n"));
    assert_eq!(summary.seeds, wanted.seeds);
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [3, 4, 8, 10] {
        let hash = || run(&Plan::new(seed), &RunOptions::default()).trace_hash;
        assert_eq!(hash(), hash(), "seed {seed}");
    }
}
