//! The path of an operation allocates nothing in the core, and in the client what the documents take.
//!
//! One test, as the counting is the whole process's.

use quorate_benches::canned::Canned;
use quorate_benches::decisions;
use quorate_benches::load::Operation;
use quorate_benches::rig::Rig;
use quorate_benches::subject::Subject;
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::cell::RefCell;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn of_the_core(retry: Retry) -> usize {
    let mut rig = Rig::new(3);
    rig.operation(SelectionCriteria::Writable, retry);
    let region = Region::new(GLOBAL);
    for _ in 0..1000 {
        rig.operation(SelectionCriteria::Writable, retry);
    }
    let change = region.change();
    change.allocations + change.reallocations
}

fn of_the_client(server: &Canned, operation: Operation) -> f64 {
    let region = RefCell::new(Region::new(GLOBAL));
    let start = || *region.borrow_mut() = Region::new(GLOBAL);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Subject::Tokio.sequence(server.uri(), operation, 2000, start)).unwrap();
    let change = region.borrow().change();
    (change.allocations + change.reallocations) as f64 / 1000.0
}

/// Every decision for which a number of allocations was set keeps to it, in deployments of all sizes.
fn of_decisions() {
    for mut decision in decisions::all(&[3, 50]) {
        let Some(most) = decision.target.and_then(|target| target.allocations) else { continue };
        decision.run(3);
        let region = Region::new(GLOBAL);
        decision.run(20);
        let change = region.change();
        let allocations = (change.allocations + change.reallocations) as f64 / 20.0;
        assert!(allocations <= most, "{decision:?}: {allocations} allocations");
    }
}

#[test]
fn allocations_of_an_operation() {
    of_decisions();
    for retry in [Retry::Never, Retry::Read, Retry::Write] {
        assert_eq!(of_the_core(retry), 0, "{retry:?}");
    }
    let server = Canned::replica_set(3).unwrap();
    // A few to make the command, five for the client, the rest for the reply's document with its cluster time.
    let ping = of_the_client(&server, Operation::Ping);
    assert!(ping < 34.0, "{ping} allocations a ping");
    let insert = of_the_client(&server, Operation::Insert);
    assert!(insert < 18.0, "{insert} allocations an insert");
}
