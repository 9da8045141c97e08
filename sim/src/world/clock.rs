//! Time in a world: where it starts, and what the calendar says.

use quorate_core::{Duration, Instant};

/// The moment every world starts at: not zero, so that nothing mistakes "never" for "at the start".
pub const START: Instant = Instant::from_nanos(1_000_000_000);

/// What a calendar shows at [`Instant::ZERO`], since the Unix epoch: 2026-01-01T00:00:00Z.
pub const WALL_EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// What a calendar shows at `now`, since the Unix epoch.
pub fn wall(now: Instant) -> Duration {
    WALL_EPOCH + Duration::from_nanos(now.as_nanos())
}

/// Nanoseconds of a span; the longest where it does not fit.
pub(crate) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
