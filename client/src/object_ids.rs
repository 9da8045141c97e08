//! `_id`s for documents that have none.

use bson::oid::ObjectId;
use quorate_core::Rng;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Makes `ObjectId`s as the BSON ObjectID specification says: seconds, five random bytes that are the maker's own, and a
/// counter of three bytes that starts anywhere.
///
/// One a client, from the seed of its runtime: in a simulation the same run makes the same ids.
#[derive(Debug)]
pub(crate) struct ObjectIds {
    own: [u8; 5],
    counter: AtomicU32,
}

impl ObjectIds {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let [a, b, c, d, e, ..] = rng.next_u64().to_be_bytes();
        let counter = AtomicU32::new((rng.next_u64() >> 40) as u32);
        ObjectIds { own: [a, b, c, d, e], counter }
    }

    /// One that was never made before, with the time since the Unix epoch in it.
    pub(crate) fn next(&self, unix_time: Duration) -> ObjectId {
        // "a 4-byte timestamp": it wraps around in 2106.
        let [s0, s1, s2, s3] = (unix_time.as_secs() as u32).to_be_bytes();
        let [a, b, c, d, e] = self.own;
        // "When the counter overflows, it MUST be reset to 0": the byte above is left out.
        let [_, c0, c1, c2] = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        ObjectId::from_bytes([s0, s1, s2, s3, a, b, c, d, e, c0, c1, c2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_the_time_and_differ() {
        let ids = ObjectIds::new(7);
        let time = Duration::from_millis(0x6543_2100_u64 * 1000 + 999);
        let (first, second) = (ids.next(time), ids.next(time));
        assert_eq!(first.bytes()[..4], [0x65, 0x43, 0x21, 0x00]);
        assert_eq!(first.bytes()[4..9], second.bytes()[4..9]);
        assert_ne!(first, second);
        assert_eq!(ObjectIds::new(7).next(time), first);
        assert_ne!(ObjectIds::new(8).next(time).bytes()[4..9], first.bytes()[4..9]);
    }

    #[test]
    fn the_counter_starts_again_at_zero() {
        let ids = ObjectIds { own: [9; 5], counter: AtomicU32::new(0x00ff_ffff) };
        assert_eq!(ids.next(Duration::ZERO).bytes()[8..], [9, 0xff, 0xff, 0xff]);
        assert_eq!(ids.next(Duration::ZERO).bytes()[8..], [9, 0, 0, 0]);
    }
}
