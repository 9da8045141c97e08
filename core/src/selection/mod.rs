//! Server selection: which server an operation goes to.
//!
//! Everything here is pure: a [`Snapshot`] of the topology and a [`SelectionCriteria`] go in, indices of servers come
//! out. Nothing waits; waiting for a suitable server is the `Driver`'s part.
//!
//! The steps are those of "Server Selection Algorithm", one function each:
//!
//! 1. [`check`]: the topology's wire versions and the read preference itself must be usable (step 2).
//! 2. [`suitable`]: by topology type, mode, staleness and tags, without the deprioritized servers first (step 3).
//! 3. [`apply_selector`]: the application's own filter, where there is one (step 4).
//! 4. [`in_window`]: those close enough to the fastest (step 5).
//! 5. [`power_of_two`]: of two picked at random, the less busy one (steps 6 and 7).
//!
//! [`CandidateCache`] remembers the outcome of steps 1 to 4 for the criteria in use, so that an operation pays for step 5
//! only. [`describe`] says in words why nothing was found.
//!
//! Source: server selection specification, max staleness specification.

mod cache;
mod criteria;
mod describe;
mod snapshot;
mod suitable;
#[cfg(test)]
mod tests;
mod window;

pub use cache::CandidateCache;
pub use criteria::{SelectionCriteria, ServerPredicate, ServerSelector, check};
pub use describe::{describe, describe_removals, timeout_error};
pub use snapshot::Snapshot;
pub use suitable::{apply_selector, suitable};
pub use window::{in_window, power_of_two};

use core::time::Duration;

/// How often an idle primary writes to the oplog (max staleness specification, "idleWritePeriodMS").
pub const IDLE_WRITE_PERIOD: Duration = Duration::from_secs(10);

/// The default width of the latency window (server selection specification, "localThresholdMS").
pub const DEFAULT_LOCAL_THRESHOLD: Duration = Duration::from_millis(15);
