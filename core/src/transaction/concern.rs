//! The write concern of a repeated commit.

use crate::{Acknowledgment, Duration, WriteConcern};

/// "writeConcern for commitTransaction attempts": a repeated commit waits for a majority, so that what it confirms cannot be rolled
/// back, and for ten seconds if nothing was said. Everything else is left as it is.
///
/// ```
/// use quorate_core::transaction::retried_commit_concern;
/// use quorate_core::{Duration, WriteConcern};
/// let given = WriteConcern { journal: Some(true), ..WriteConcern::nodes(1) };
/// let expected = WriteConcern { w_timeout: Some(Duration::from_secs(10)), journal: Some(true), ..WriteConcern::majority() };
/// assert_eq!(retried_commit_concern(&given), expected);
/// ```
pub fn retried_commit_concern(given: &WriteConcern) -> WriteConcern {
    WriteConcern {
        w: Some(Acknowledgment::Majority),
        w_timeout: given.w_timeout.or(Some(Duration::from_secs(10))),
        journal: given.journal,
    }
}
