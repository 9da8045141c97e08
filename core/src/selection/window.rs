//! The latency window, and the choice among those within.

use super::Snapshot;
use crate::{Duration, Rng};
use alloc::vec::Vec;

/// Keeps of `candidates` those within `local_threshold` of the fastest ("Filtering suitable servers based on the latency
/// window").
///
/// A server whose round trip has not been measured is kept only where none has been: behind a load balancer, that is.
pub fn in_window(snapshot: &Snapshot, local_threshold: Duration, candidates: &mut Vec<u32>) {
    let round_trip = |at: &u32| snapshot.row(*at).and_then(|row| row.round_trip);
    let Some(fastest) = candidates.iter().filter_map(round_trip).min() else { return };
    let threshold = u64::try_from(local_threshold.as_nanos()).unwrap_or(u64::MAX);
    let slowest = fastest.saturating_add(threshold);
    candidates.retain(|at| round_trip(at).is_some_and(|rtt| rtt <= slowest));
}

/// Of two of `candidates` picked at random, the one with fewer operations in flight; the only one, where there is one
/// ("Server Selection Algorithm", steps 6 and 7). `operation_count` gives a server's count by its index.
///
/// ```
/// use quorate_core::{Rng, selection::power_of_two};
/// let busy = [9, 0];
/// let picked = power_of_two(&[0, 1], |at| busy[at as usize], &mut Rng::new(1));
/// assert_eq!(picked, Some(1));
/// ```
#[inline]
pub fn power_of_two(candidates: &[u32], operation_count: impl Fn(u32) -> u32, rng: &mut Rng) -> Option<u32> {
    let (first, second) = match candidates {
        [] => return None,
        [only] => return Some(*only),
        _ => two_of(candidates.len(), rng),
    };
    let (first, second) = (*candidates.get(first)?, *candidates.get(second)?);
    // On a tie the first, which is as random as the second.
    Some(if operation_count(second) < operation_count(first) { second } else { first })
}

/// Two different positions below `length` (at least 2), every ordered pair as likely as any other, from one draw.
#[inline]
fn two_of(length: usize, rng: &mut Rng) -> (usize, usize) {
    let draw = rng.next_u64();
    let scale = |half: u64, bound: usize| ((u128::from(half) * bound as u128) >> 32) as usize;
    let first = scale(draw >> 32, length);
    let second = scale(draw & 0xffff_ffff, length - 1);
    (first, if second >= first { second + 1 } else { second })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_and_the_only_one() {
        let mut rng = Rng::new(0);
        assert_eq!(power_of_two(&[], |_| 0, &mut rng), None);
        assert_eq!(power_of_two(&[7], |_| u32::MAX, &mut rng), Some(7));
    }

    #[test]
    fn pairs_are_different_and_all_occur_evenly() {
        let mut rng = Rng::new(11);
        let mut seen = [[0u32; 4]; 4];
        for _ in 0..12_000 {
            let (a, b) = two_of(4, &mut rng);
            seen[a][b] += 1;
        }
        for (a, row) in seen.iter().enumerate() {
            for (b, count) in row.iter().enumerate() {
                if a == b {
                    assert_eq!(*count, 0);
                } else {
                    assert!((850..1150).contains(count), "{a},{b}: {count}");
                }
            }
        }
    }

    #[test]
    fn the_busiest_is_never_chosen_and_ties_are_shared() {
        let counts = [3, 0, 0];
        let mut rng = Rng::new(5);
        let mut chosen = [0u32; 3];
        for _ in 0..3000 {
            chosen[power_of_two(&[0, 1, 2], |at| counts[at as usize], &mut rng).unwrap() as usize] += 1;
        }
        assert_eq!(chosen[0], 0);
        assert!(chosen[1] > 1300 && chosen[2] > 1300, "{chosen:?}");
    }
}
