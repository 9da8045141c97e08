//! The search for bugs, as far as there is time for it whenever tests are run; and, for ever, seeds that once failed.
//!
//! `cargo run --release -p quorate-sim --bin explore -- --seeds 100000` is the same, and more of it.

use quorate_sim::explore::{Plan, RunOptions, Search, run, search};

/// Seeds that once failed, and why.
const ONCE_FAILED: &[(u64, &str)] = &[
    (1, "two commands in flight had the same request id: each connection counted for itself"),
    (
        16,
        "a waiting operation was given an idle connection, and its check-out was told to listeners later, or never",
    ),
    (42, "a mongos waited for ever for the answer to a command that a partition had swallowed"),
    (
        92,
        "nothing told a client that its server's machine had been switched off and on again: there was no keep-alive",
    ),
];

/// So many seeds take a few seconds where tests are built without optimization.
const SEEDS: u64 = 300;
/// Where this begins; `EXPLORE_FIRST` says otherwise.
const FIRST: u64 = 1_000_000;

#[test]
fn what_once_failed_does_not() {
    for (seed, why) in ONCE_FAILED {
        let report = run(&Plan::new(*seed), &RunOptions::default());
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
