//! The time everything here is told by.

use quorate::{Instant, Runtime};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A runtime's clock: the machine's, or that of a simulated world.
#[derive(Clone)]
pub(super) struct Clock {
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
    start: Instant,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("start", &self.start).finish_non_exhaustive()
    }
}

impl Clock {
    /// Starts to count now.
    pub(super) fn of(runtime: &impl Runtime) -> Self {
        let (runtime, start) = (runtime.clone(), runtime.now());
        Clock { now: Arc::new(move || runtime.now()), start }
    }

    pub(super) fn now(&self) -> Instant {
        (self.now)()
    }

    /// Since it was started.
    pub(super) fn elapsed(&self) -> Duration {
        self.now().since(self.start)
    }
}
