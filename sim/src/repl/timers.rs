//! The deadlines of a member, folded into one.

use quorate_core::Instant;

/// What a deadline is for. Heartbeats keep theirs with the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Timer {
    /// Start-up, or the way back from a rollback, takes its time.
    Recover,
    /// No primary has been heard of for too long.
    Election,
    /// The votes asked for did not come.
    Votes,
    /// A member better than the primary takes over.
    Takeover,
    /// A primary's catch-up has a limit.
    CatchUp,
    /// Somebody has not been heard of for an election timeout.
    Liveness,
    /// The journal's interval.
    Journal,
    /// The journal's write under way is done.
    Flushed,
    /// The next fetched entry may be applied.
    Apply,
    /// Look for somebody to replicate from.
    ChooseSource,
    /// Nothing came from the sync source for too long.
    SourceSilent,
    /// Somebody who replicates from here wants to hear something.
    KeepAlive,
    /// Tell the sync source how far this member is, changed or not.
    Feedback,
    /// A periodic entry, so that time goes on in an idle set.
    Noop,
    /// A step-down that waits gives up, or has to look again.
    StepDown,
    /// Elections are allowed again.
    Unfreeze,
    /// Rollback is done.
    RolledBack,
    /// The first wait for a write concern to end by time.
    Waits,
    /// `replSetInitiate` has waited long enough for the others.
    Initiate,
    /// The orderly end.
    Shutdown,
}

const COUNT: usize = Timer::Shutdown as usize + 1;

/// One optional deadline for each [`Timer`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers([Option<Instant>; COUNT]);

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize] = Some(at);
    }

    pub(crate) fn set_if_none(&mut self, timer: Timer, at: Instant) {
        self.0[timer as usize].get_or_insert(at);
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        self.0[timer as usize] = None;
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        self.0[timer as usize]
    }

    pub(crate) fn clear_all(&mut self) {
        self.0 = [None; COUNT];
    }

    pub(crate) fn next(&self) -> Option<Instant> {
        self.0.iter().flatten().min().copied()
    }

    /// Whether this one has come; it is then no longer set.
    pub(crate) fn take(&mut self, timer: Timer, now: Instant) -> bool {
        let slot = &mut self.0[timer as usize];
        let due = slot.is_some_and(|at| at <= now);
        if due {
            *slot = None;
        }
        due
    }
}
