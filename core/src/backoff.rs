//! How long to wait before something is tried again.
//!
//! A wait grows with every attempt up to a limit, and chance takes a part of it away, so that many clients that failed
//! together do not come back together. Nothing here sleeps: the caller turns a delay into a deadline.
//!
//! Sources: client backpressure specification, "Overload retry policy"; convenient API for transactions specification,
//! "Sequence of Actions".

use crate::{Duration, Rng};

/// A rule for growing waits: `jitter * min(max, base * growth ^ attempt)`.
///
/// ```
/// use quorate_core::backoff::Backoff;
/// use quorate_core::{Duration, Rng};
/// assert_eq!(Backoff::OVERLOAD.longest(1), Duration::from_millis(200));
/// assert!(Backoff::OVERLOAD.delay(1, &mut Rng::new(7)) < Duration::from_millis(200));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// What grows.
    pub base: Duration,
    /// By what it is multiplied for each attempt, in tenths (20 doubles it).
    pub growth_tenths: u32,
    /// What it never exceeds.
    pub max: Duration,
}

impl Backoff {
    /// Before a retry of what an overloaded server refused: 100 ms doubled for each attempt, at most 10 s.
    pub const OVERLOAD: Backoff =
        Backoff { base: Duration::from_millis(100), growth_tenths: 20, max: Duration::from_secs(10) };

    /// Before a transaction is run anew: 5 ms, half as much again for each attempt, at most 500 ms.
    pub const TRANSACTION: Backoff =
        Backoff { base: Duration::from_millis(5), growth_tenths: 15, max: Duration::from_millis(500) };

    /// The same rule with the base that the server asked for (`baseBackoffMS` of its error), if that is positive.
    #[must_use]
    pub fn with_base_millis(self, base_backoff_ms: Option<i64>) -> Self {
        match base_backoff_ms.and_then(|ms| u64::try_from(ms).ok()) {
            None | Some(0) => self,
            Some(ms) => Backoff { base: Duration::from_millis(ms), ..self },
        }
    }

    /// The longest wait before retry number `attempt`; the first retry is 1.
    pub fn longest(&self, attempt: u32) -> Duration {
        let mut wait = self.base;
        // Growth stops at `max`, after at most a few dozen rounds unless the rule does not grow.
        for _ in 0..attempt.min(128) {
            if wait >= self.max {
                return self.max;
            }
            wait = wait.saturating_mul(self.growth_tenths) / 10;
        }
        wait.min(self.max)
    }

    /// The wait before retry number `attempt`: anything from zero to [`Backoff::longest`], which itself is never reached.
    pub fn delay(&self, attempt: u32, rng: &mut Rng) -> Duration {
        self.jittered(attempt, rng.next_u64())
    }

    /// `draw` is a fraction of 2^64.
    fn jittered(&self, attempt: u32, draw: u64) -> Duration {
        let nanos = u64::try_from(self.longest(attempt).as_nanos()).unwrap_or(u64::MAX);
        let share = (u128::from(nanos) * u128::from(draw)) >> 64;
        Duration::from_nanos(u64::try_from(share).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEARLY_ONE: u64 = u64::MAX;

    /// The waits before the two retries that an operation has.
    fn sum(rule: Backoff, draw: u64) -> Duration {
        rule.jittered(1, draw) + rule.jittered(2, draw)
    }

    fn about(millis: u64) -> core::ops::RangeInclusive<Duration> {
        let exact = Duration::from_millis(millis);
        exact - Duration::from_micros(1)..=exact
    }

    /// Client backpressure, tests/README, "Test 1: Operation Retry Uses Exponential Backoff": the part that needs no server.
    #[test]
    fn prose_1_operation_retry_uses_exponential_backoff() {
        assert_eq!(sum(Backoff::OVERLOAD, 0), Duration::ZERO);
        assert!(about(600).contains(&sum(Backoff::OVERLOAD, NEARLY_ONE)));
    }

    /// "Test 5: Overload Errors with baseBackoffMS override base backoff": the part that needs no server.
    #[test]
    fn prose_5_base_backoff_ms_overrides_the_base() {
        let told = |ms| Backoff::OVERLOAD.with_base_millis(Some(ms));
        assert!(about(300).contains(&sum(told(50), NEARLY_ONE)));
        for none in [0, -1, i64::MIN] {
            assert_eq!(told(none), Backoff::OVERLOAD);
        }
        assert_eq!(Backoff::OVERLOAD.with_base_millis(None), Backoff::OVERLOAD);
    }

    #[test]
    fn waits_grow_to_the_limit_and_stay_there() {
        let longest = |attempt| Backoff::OVERLOAD.longest(attempt).as_millis();
        let table = [(0, 100), (1, 200), (2, 400), (3, 800), (4, 1600), (5, 3200), (6, 6400), (7, 10_000)];
        for (attempt, millis) in table {
            assert_eq!(longest(attempt), millis, "attempt {attempt}");
        }
        assert_eq!(longest(u32::MAX), 10_000);
        assert_eq!(Backoff::TRANSACTION.longest(1), Duration::from_micros(7_500));
        assert_eq!(Backoff::TRANSACTION.longest(2), Duration::from_micros(11_250));
        assert_eq!(Backoff::TRANSACTION.longest(12), Duration::from_millis(500));
    }

    #[test]
    fn no_base_overflows() {
        let rule = Backoff::OVERLOAD.with_base_millis(Some(i64::MAX));
        assert_eq!(rule.longest(u32::MAX), Duration::from_secs(10));
        let endless = Backoff { max: Duration::MAX, ..rule };
        assert!(endless.delay(u32::MAX, &mut Rng::new(1)) <= Duration::MAX);
    }

    #[test]
    fn jitter_is_even() {
        let mut rng = Rng::new(3);
        let draws = 10_000u32;
        let total: Duration = (0..draws).map(|_| Backoff::OVERLOAD.delay(1, &mut rng)).sum();
        let average = total / draws;
        assert!((98..=102).contains(&average.as_millis()), "{average:?}");
    }
}
