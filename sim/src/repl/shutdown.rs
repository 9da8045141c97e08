//! An orderly end: hand over, then stay for a while so that clients notice before connections break.

use super::commands::StepDown;
use super::timers::Timer;
use super::{Member, Output};
use quorate_core::Instant;

/// How far the orderly end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shutdown {
    /// Not asked for.
    No,
    /// The primary waits to be able to step down.
    SteppingDown(Instant),
    /// Quiesce mode.
    Quiescing(Instant),
}

impl Shutdown {
    pub(crate) fn has_begun(self) -> bool {
        self != Shutdown::No
    }
}

impl Member {
    /// The process was asked to end (SIGTERM). A primary steps down first, waiting for a secondary to catch up; then the member
    /// stays in quiesce mode, in which `hello` fails with 91 `ShutdownInProgress` ("The server is in quiesce mode and will shut down")
    /// and everything else goes on; then [`Output::ShutDown`] comes. All of it takes [`Timing::quiesce`](super::Timing::quiesce).
    pub fn handle_shutdown(&mut self, now: Instant) {
        if !self.running || self.shutdown.has_begun() {
            return;
        }
        let end = now + self.timing.quiesce;
        self.shutdown = Shutdown::SteppingDown(end);
        self.timers.set(Timer::Shutdown, end);
        if self.is_primary() {
            let request = StepDown { call: None, catch_up_until: end, until: end, force: true };
            self.begin_step_down(now, request);
        }
        self.settle(now);
    }

    /// The process has ended cleanly: everything is on disk.
    pub fn handle_exit(&mut self, now: Instant) {
        self.disk.durable = self.disk.log.last();
        self.forget(now);
    }

    /// Whether it is in quiesce mode.
    pub fn is_quiescing(&self) -> bool {
        matches!(self.shutdown, Shutdown::Quiescing(_))
    }

    /// When quiesce mode ends: `remainingQuiesceTimeMillis` of the error.
    pub fn quiesce_until(&self) -> Option<Instant> {
        match self.shutdown {
            Shutdown::Quiescing(end) => Some(end),
            _ => None,
        }
    }

    /// From stepping down to quiesce mode, as soon as that is done.
    pub(super) fn check_shutdown(&mut self, _now: Instant) {
        if let Shutdown::SteppingDown(end) = self.shutdown
            && !self.is_primary()
        {
            self.shutdown = Shutdown::Quiescing(end);
            self.note("quiesce mode".into());
        }
    }

    pub(super) fn shutdown_due(&mut self, now: Instant) {
        if self.is_primary() {
            self.step_down(now);
        }
        self.outputs.push_back(Output::ShutDown);
    }
}
