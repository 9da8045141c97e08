//! A run that cannot go on.

use quorate_core::{Duration, Instant};
use std::fmt;

/// Why a run was given up, with the last that happened.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// What is the matter.
    pub reason: StuckReason,
    /// When.
    pub at: Instant,
    /// The last events, readable.
    pub tail: String,
}

/// What keeps a run from going on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StuckReason {
    /// No task can run, and nothing is on its way that would change that: whoever waits, waits for ever.
    NothingWillHappen,
    /// The run took longer than its limit, in virtual time.
    TimeLimit(Duration),
    /// Something keeps the world busy at one and the same moment.
    TimeStandsStill,
    /// What must not be, is: the watcher's words.
    Violated(String),
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stuck { reason, at, tail } = self;
        match reason {
            StuckReason::NothingWillHappen => {
                write!(f, "nothing will ever happen after {at:?}: every task waits, and no event is due")?;
            }
            StuckReason::TimeLimit(limit) => {
                write!(f, "not done after {limit:?} of virtual time, at {at:?} (World::set_time_limit)")?;
            }
            StuckReason::TimeStandsStill => {
                write!(
                    f,
                    "time stands still at {at:?}: a million things happened at that moment, and no end of them"
                )?;
            }
            StuckReason::Violated(what) => write!(f, "at {at:?}: {what}")?,
        }
        write!(f, "; the last that happened:\n{tail}")
    }
}

impl std::error::Error for Stuck {}
