//! One direction of the network between two machines: how long things take on it.

use super::clock::nanos;
use quorate_core::{Duration, Rng};

/// What a network between two machines is like, in one direction.
///
/// ```
/// use quorate_sim::world::Link;
/// use std::time::Duration;
/// let ocean = Link { latency: Duration::from_millis(40), jitter: Duration::from_millis(3), ..Link::default() };
/// assert_eq!(ocean.fragment, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// How long everything takes at least, one way. Never taken as less than a microsecond.
    pub latency: Duration,
    /// How much longer it may take, at random.
    pub jitter: Duration,
    /// Bytes a second; `None` for no limit.
    pub bandwidth: Option<u64>,
    /// Of a million segments, how many are lost and sent again. A connection never loses bytes: it stalls.
    pub loss_ppm: u32,
    /// How long the first stall for a lost segment is. It doubles as often as the segment is lost again.
    pub stall: Duration,
    /// Cuts whatever is written into pieces of random sizes up to this many bytes; `None` for pieces as they were written.
    pub fragment: Option<u32>,
}

impl Default for Link {
    /// A good data centre: 0.2 ms one way.
    fn default() -> Self {
        Link {
            latency: Duration::from_micros(200),
            jitter: Duration::from_micros(50),
            bandwidth: None,
            loss_ppm: 0,
            stall: Duration::from_millis(200),
            fragment: None,
        }
    }
}

/// No path is faster, so that time goes on whatever is said over it.
const LEAST_LATENCY: u64 = 1_000;
/// A piece is this much behind the piece before it.
const PIECE_GAP: u64 = 1_000;
/// A segment is lost so often in a row at most.
const MOST_LOSSES: u32 = 8;

/// A link at work.
#[derive(Debug)]
pub(super) struct LinkState {
    settings: Link,
    rng: Rng,
    /// When what was sent before has left.
    free_at: u64,
    /// Nothing gets through.
    pub(super) cut: bool,
    /// When the last message from node to node arrives: they come in order.
    pub(super) last_message_at: u64,
}

impl LinkState {
    pub(super) fn new(settings: Link, seed: u64) -> Self {
        LinkState { settings, rng: Rng::new(seed), free_at: 0, cut: false, last_message_at: 0 }
    }

    pub(super) fn set(&mut self, settings: Link) {
        self.settings = settings;
    }

    pub(super) fn settings(&self) -> &Link {
        &self.settings
    }

    /// When `bytes` that are sent now arrive.
    pub(super) fn arrival(&mut self, now: u64, bytes: usize) -> u64 {
        let settings = &self.settings;
        let mut at = now;
        if let Some(bandwidth) = settings.bandwidth {
            let takes = u128::from(bytes as u64) * 1_000_000_000 / u128::from(bandwidth.max(1));
            self.free_at = self.free_at.max(now).saturating_add(u64::try_from(takes).unwrap_or(u64::MAX / 4));
            at = self.free_at;
        }
        at = at.saturating_add(nanos(settings.latency).max(LEAST_LATENCY));
        let jitter = nanos(settings.jitter);
        if jitter > 0 {
            at = at.saturating_add(below(&mut self.rng, jitter));
        }
        if settings.loss_ppm > 0 {
            at = at.saturating_add(stalled(&mut self.rng, settings));
        }
        at
    }

    /// Cuts bytes into pieces as the settings say; each comes with how much later than the first it arrives.
    pub(super) fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(u64, &[u8])) {
        let Some(most) = self.settings.fragment else { return each(0, bytes) };
        let (mut rest, mut later) = (bytes, 0);
        while !rest.is_empty() {
            let length = 1 + below(&mut self.rng, u64::from(most.max(1))) as usize;
            let (piece, after) = rest.split_at(length.min(rest.len()));
            each(later, piece);
            later += PIECE_GAP;
            rest = after;
        }
    }
}

/// A number below `bound`. As [`Rng::below`], for numbers that do not fit a `usize` of 32 bits.
pub(super) fn below(rng: &mut Rng, bound: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(bound)) >> 64) as u64
}

fn stalled(rng: &mut Rng, settings: &Link) -> u64 {
    let mut stall = 0_u64;
    let mut next = nanos(settings.stall);
    for _ in 0..MOST_LOSSES {
        if below(rng, 1_000_000) >= u64::from(settings.loss_ppm) {
            break;
        }
        stall = stall.saturating_add(next);
        next = next.saturating_mul(2);
    }
    stall
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn link(settings: Link) -> LinkState {
        LinkState::new(settings, 1)
    }

    #[test]
    fn latency_and_jitter_bound_the_arrival() {
        let mut link = link(Link {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            ..Link::default()
        });
        let times: Vec<u64> = (0..200).map(|_| link.arrival(0, 10)).collect();
        assert!(times.iter().all(|at| (10 * MS..12 * MS).contains(at)));
        assert!(times.iter().max().unwrap() - times.iter().min().unwrap() > MS);
    }

    #[test]
    fn bandwidth_makes_what_comes_later_wait() {
        let latency = Duration::from_millis(1);
        let mut link =
            link(Link { latency, jitter: Duration::ZERO, bandwidth: Some(1_000_000), ..Link::default() });
        assert_eq!(link.arrival(0, 10_000), 11 * MS);
        assert_eq!(link.arrival(0, 10_000), 21 * MS);
        assert_eq!(link.arrival(100 * MS, 0), 101 * MS);
    }

    #[test]
    fn a_lost_segment_stalls() {
        let mut link = link(Link { loss_ppm: 500_000, jitter: Duration::ZERO, ..Link::default() });
        let late = (0..1000).filter(|_| link.arrival(0, 10) >= 200 * MS).count();
        assert!((400..600).contains(&late), "{late}");
    }

    #[test]
    fn pieces_are_the_bytes_in_order() {
        let mut link = link(Link { fragment: Some(3), ..Link::default() });
        let (mut all, mut last) = (Vec::new(), None);
        link.cut(b"some bytes in order", |later, piece| {
            assert!((1..=3).contains(&piece.len()) && Some(later) > last);
            last = Some(later);
            all.extend_from_slice(piece);
        });
        assert_eq!(all, b"some bytes in order");
    }
}
