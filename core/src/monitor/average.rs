//! The moving average and the minimum of round trips.

use crate::Duration;
use alloc::collections::VecDeque;

/// How many samples the minimum is taken of.
const RECENT: usize = 10;

/// Average and minimum round trip time of one server.
///
/// Source: server selection specification, "Calculation of Average Round Trip Times"; server monitoring
/// specification, "Measuring RTT".
///
/// ```
/// use quorate_core::{Duration, monitor::RttAverage};
/// let mut rtt = RttAverage::new();
/// rtt.add_sample(Duration::from_millis(10));
/// rtt.add_sample(Duration::from_millis(20));
/// assert_eq!(rtt.average(), Some(Duration::from_millis(12)));
/// assert_eq!(rtt.min(), Some(Duration::from_millis(10)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct RttAverage {
    average: Option<Duration>,
    recent: VecDeque<Duration>,
}

impl RttAverage {
    /// Nothing measured yet.
    pub const fn new() -> Self {
        RttAverage { average: None, recent: VecDeque::new() }
    }

    /// Goes on from an average known from elsewhere; the minimum starts afresh.
    pub const fn from_average(average: Duration) -> Self {
        RttAverage { average: Some(average), recent: VecDeque::new() }
    }

    /// Takes in one round trip.
    pub fn add_sample(&mut self, sample: Duration) {
        self.average = Some(match self.average {
            None => sample,
            Some(old) => weighted(sample, old),
        });
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
    }

    /// The exponentially weighted moving average; `None` before the first sample.
    pub const fn average(&self) -> Option<Duration> {
        self.average
    }

    /// The shortest of the last ten; `None` (which the specification reports as 0) until there are two.
    pub fn min(&self) -> Option<Duration> {
        if self.recent.len() < 2 { None } else { self.recent.iter().min().copied() }
    }

    /// The shortest of the last ten, be it the only one: what the network takes when nothing is in the way. A moment in which the
    /// client or the server was held up lengthens the average for minutes, and this not at all.
    pub fn shortest(&self) -> Option<Duration> {
        self.recent.iter().min().copied()
    }

    /// Forgets everything: the server became unavailable.
    pub fn reset(&mut self) {
        *self = RttAverage::new();
    }
}

/// 0.2 times the sample and 0.8 times the old average, in whole nanoseconds, rounded to the nearest.
fn weighted(sample: Duration, old: Duration) -> Duration {
    // A Duration is below 2^94 ns, so five of them fit 128 bits easily.
    let nanos = (sample.as_nanos() + 4 * old.as_nanos() + 2) / 5;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_minimum_needs_two_samples_and_forgets_the_eleventh_last() {
        let mut rtt = RttAverage::new();
        assert_eq!((rtt.average(), rtt.min()), (None, None));
        rtt.add_sample(ms(1));
        assert_eq!((rtt.average(), rtt.min()), (Some(ms(1)), None));
        assert_eq!(rtt.shortest(), Some(ms(1)));
        for _ in 0..9 {
            rtt.add_sample(ms(5));
            assert_eq!(rtt.min(), Some(ms(1)));
        }
        rtt.add_sample(ms(5));
        assert_eq!(rtt.min(), Some(ms(5)));
    }

    #[test]
    fn a_reset_forgets_everything() {
        let mut rtt = RttAverage::from_average(ms(7));
        rtt.add_sample(ms(7));
        rtt.add_sample(ms(7));
        rtt.reset();
        assert_eq!((rtt.average(), rtt.min(), rtt.shortest()), (None, None, None));
        rtt.add_sample(ms(3));
        assert_eq!(rtt.average(), Some(ms(3)));
    }

    #[test]
    fn absurd_samples_saturate() {
        let mut rtt = RttAverage::from_average(Duration::MAX);
        rtt.add_sample(Duration::MAX);
        assert_eq!(rtt.average(), Some(Duration::from_nanos(u64::MAX)));
    }
}
