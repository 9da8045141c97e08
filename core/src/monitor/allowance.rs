//! How many checks may follow each other without a pause.

use crate::{Duration, Instant};

/// Checks that may be saved up. A real server changes its state a few times in an election.
const BURST: u32 = 32;

/// A bucket of checks without a pause, filled again by one every `refill`.
///
/// The specification has two checks that start at once: the next one of a stream, and the retry after a network error
/// on a known server. A server that means harm (or a broken proxy) can make either of them a loop: a reply of a new
/// `processId` at once, every time; a handshake that succeeds on a connection that then closes. Healthy servers
/// never come near the allowance; past it a check waits for `minHeartbeatFrequencyMS` like any other.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    left: u32,
    refill: Duration,
    filled: Instant,
}

impl Allowance {
    pub(super) const fn new(refill: Duration) -> Self {
        Allowance { left: BURST, refill, filled: Instant::ZERO }
    }

    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let periods = (now - self.filled).as_nanos() / self.refill.as_nanos().max(1);
        if periods > 0 {
            self.left = u32::try_from(periods).unwrap_or(BURST).saturating_add(self.left).min(BURST);
            self.filled = now;
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_a_period() {
        let period = Duration::from_millis(500);
        let mut allowance = Allowance::new(period);
        let mut now = Instant::ZERO;
        assert_eq!((0..100).filter(|_| allowance.take(now)).count(), BURST as usize);
        now += period;
        assert!(allowance.take(now));
        assert!(!allowance.take(now));
        now += Duration::from_secs(3600);
        assert_eq!((0..100).filter(|_| allowance.take(now)).count(), BURST as usize);
    }
}
