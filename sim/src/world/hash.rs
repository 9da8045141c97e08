//! A hash that is the same everywhere and for ever: to compare runs by, not to keep anybody out.

/// Two odd constants from the fractional part of the golden ratio and of the square root of 3.
const A: u64 = 0x9e37_79b9_7f4a_7c15;
const B: u64 = 0xbb67_ae85_84ca_a73b;

/// Hashes a run of numbers and bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StableHash(u64);

impl StableHash {
    pub(crate) const fn new(seed: u64) -> Self {
        StableHash(seed ^ B)
    }

    pub(crate) fn number(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(A);
        self.0 = (mixed ^ (mixed >> 29)).wrapping_mul(B) ^ (mixed >> 32);
    }

    /// Bytes and their count.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let mut words = bytes.chunks_exact(8);
        for word in &mut words {
            self.number(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.number(u64::from_le_bytes(last));
        self.number(bytes.len() as u64);
    }

    pub(crate) const fn finish(self) -> u64 {
        self.0 ^ (self.0 >> 31)
    }
}

/// The hash of some bytes alone.
pub(crate) fn of_bytes(bytes: &[u8]) -> u64 {
    let mut hash = StableHash::new(0);
    hash.bytes(bytes);
    hash.finish()
}

/// A seed of its own for one purpose, so that what one part draws never shifts another's numbers.
pub(crate) fn child_seed(seed: u64, purpose: &str, number: u64) -> u64 {
    let mut hash = StableHash::new(seed);
    hash.bytes(purpose.as_bytes());
    hash.number(number);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_same_on_every_target() {
        assert_eq!(of_bytes(b""), 0x55db_ec74_9c5c_76a8);
        let hashes: Vec<u64> = [&b"a"[..], b"a\0", b"\0a", b"12345678", b"123456789"].map(of_bytes).to_vec();
        let mut distinct = hashes.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), hashes.len());
    }
}
