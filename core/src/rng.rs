//! Randomness from one seed.
//!
//! The core needs chance for little: which of two equally good servers, session ids, jitter. All of it comes from
//! a seed the host gives once, so a run can be repeated exactly. The host takes the seed from its system's random
//! source; session ids need to be unique, not secret.

/// A small, fast, seedable generator (SplitMix64): fine for spreading load, not for secrets.
///
/// ```
/// use quorate_core::Rng;
/// let (mut a, mut b) = (Rng::new(7), Rng::new(7));
/// assert_eq!(a.next_u64(), b.next_u64());
/// ```
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator that will always give the same numbers for the same seed.
    pub const fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is below 2^-32 for any bound a list can have.
    pub fn below(&mut self, bound: usize) -> usize {
        let wide = u128::from(self.next_u64()) * bound as u128;
        (wide >> 64) as usize
    }

    /// A generator of its own for one part of the core, so that what one part draws never shifts another's numbers.
    pub fn child(&mut self) -> Rng {
        Rng::new(self.next_u64())
    }

    /// Sixteen random bytes marked as a version 4 UUID: the form of a session id.
    pub fn uuid_v4(&mut self) -> [u8; 16] {
        let mut bytes = [0u8; 16];
        bytes[..8].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&self.next_u64().to_le_bytes());
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        bytes
    }
}
