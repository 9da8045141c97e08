//! Connection monitoring and pooling: `cmap-format`, run against [`Pool`] in virtual time.
//!
//! The format speaks of threads, sleeps and fail points on a real server. Here a thread is a list of operations, a sleep
//! moves a clock that only this module advances, and a fail point decides when and how the establishment of a
//! connection ends. Operations of other threads run as soon as the main thread has handed them over, as the format's own
//! waits try to bring about.

mod file;
mod matching;
mod simulation;

use super::{Holds, Suite};
use file::TestFile;
use simulation::{ErrorOrder, Simulation};

/// `connection-monitoring-and-pooling/tests/cmap-format`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "cmap",
    prefix: "cmap",
    specs: "connection-monitoring-and-pooling/tests/cmap-format",
    pymongo: "connection_monitoring",
    holds: Holds::OneCase,
    expects: &["/error", "/events"],
    check: |test| run(&TestFile::read(test)?),
}];

/// Runs one file.
///
/// Whether the pool-cleared event comes before or after the closed event of the connection whose failure caused it is up to
/// whoever calls the pool, and the two corpora differ in the one case that looks at it
/// (`pool-create-min-size-error`). The pool can do both; a case in which an establishment fails passes with either, and
/// each order is held to the whole file.
fn run(file: &TestFile) -> Result<(), String> {
    let first = run_with(file, ErrorOrder::ClearFirst);
    if first.is_ok() || !file.establishment_may_fail() {
        return first;
    }
    run_with(file, ErrorOrder::CloseFirst)
        .map_err(|second| format!("clearing first: {}\nclosing first: {second}", first.unwrap_err()))
}

fn run_with(file: &TestFile, order: ErrorOrder) -> Result<(), String> {
    let mut simulation = Simulation::new(file, order);
    let thrown = simulation.run()?;
    matching::check_error(file.error.as_ref(), thrown.as_ref())?;
    matching::check_events(file, &simulation.events)
}
