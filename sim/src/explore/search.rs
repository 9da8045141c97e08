//! Seed after seed, on as many threads as there are to be: a world needs one, and shares nothing.

use super::plan::Plan;
use super::rule::{Rule, Violation};
use super::run::{Report, RunOptions, run};
use crate::world::START;
use quorate_core::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What to search.
#[derive(Clone, Debug)]
pub struct Search {
    /// The first seed.
    pub first: u64,
    /// How many.
    pub seeds: u64,
    /// On how many threads.
    pub threads: usize,
    /// Whether to end with the first failure.
    pub stop: bool,
    /// How plans are run.
    pub options: RunOptions,
}

/// What came of a search.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds run.
    pub seeds: u64,
    /// Seeds that failed, with what they broke first, by number.
    pub failures: Vec<(u64, Violation)>,
    /// Calls of the driver's API.
    pub operations: u64,
    /// Virtual time, of all worlds together.
    pub simulated: Duration,
}

/// Runs the seeds; `each` hears of every one that is done.
pub fn search(search: &Search, each: impl Fn(u64, &Report) + Sync) -> Summary {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let summary = Mutex::new(Summary::default());
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= search.seeds {
                break;
            }
            let seed = search.first + number;
            let report = run_seed(seed, &search.options);
            each(seed, &report);
            let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
            summary.seeds += 1;
            summary.operations += report.operations;
            summary.simulated += report.simulated;
            if let Some(first) = report.violations.into_iter().next() {
                summary.failures.push((seed, first));
                stop.fetch_or(search.stop, Ordering::Relaxed);
            }
        }
    };
    if search.threads <= 1 {
        work();
    } else {
        std::thread::scope(|scope| (0..search.threads).for_each(|_| drop(scope.spawn(work))));
    }
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    summary.failures.sort_by_key(|(seed, _)| *seed);
    summary
}

/// Runs one seed. A panic is a failure like others.
fn run_seed(seed: u64, options: &RunOptions) -> Report {
    let plan = Plan::new(seed);
    catch_unwind(AssertUnwindSafe(|| run(&plan, options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = format!("panicked: {}", text.unwrap_or_default());
        Report { violations: vec![Violation { at: START, rule: Rule::Run, text }], ..Report::default() }
    })
}
