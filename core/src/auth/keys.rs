//! What SCRAM computes: a key out of a password, which takes milliseconds and may be done elsewhere, and a bounded memory of
//! keys, as servers hand out the same salt every time.
//!
//! Source: RFC 5802, "SCRAM Algorithm Overview"; authentication specification, "Caching credentials in SCRAM".

use crate::options::AuthMechanism;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Most keys kept. Members of a set and shards of a cluster share a user's salt; a client has one user.
const MOST_KEYS: usize = 16;

/// The hash functions of SCRAM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha1,
    Sha256,
}

impl Hash {
    pub(super) const fn mechanism(self) -> AuthMechanism {
        match self {
            Hash::Sha1 => AuthMechanism::ScramSha1,
            Hash::Sha256 => AuthMechanism::ScramSha256,
        }
    }

    pub(super) fn digest(self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Hash::Sha1 => Sha1::digest(data).to_vec(),
            Hash::Sha256 => Sha256::digest(data).to_vec(),
        })
    }

    pub(super) fn hmac(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        /// HMAC takes a key of any length, so there is always an answer.
        fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
            let mac = <M as KeyInit>::new_from_slice(key).map(|mac| mac.chain_update(data).finalize());
            mac.map(|mac| mac.into_bytes().to_vec()).unwrap_or_default()
        }
        Zeroizing::new(match self {
            Hash::Sha1 => mac::<Hmac<Sha1>>(key, data),
            Hash::Sha256 => mac::<Hmac<Sha256>>(key, data),
        })
    }

    fn salted(self, password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Hash::Sha1 => pbkdf2::pbkdf2_hmac_array::<Sha1, 20>(password, salt, iterations).to_vec(),
            Hash::Sha256 => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, iterations).to_vec(),
        })
    }
}

/// A key to be derived: milliseconds of work with nothing to wait for, so a host does it where it stalls nobody.
///
/// Look into a [`KeyCache`] first.
pub struct DeriveJob {
    pub(super) hash: Hash,
    pub(super) password: Zeroizing<Vec<u8>>,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
}

impl DeriveJob {
    /// Derives the key.
    pub fn run(&self) -> ScramKeys {
        let salted = self.hash.salted(&self.password, &self.salt, self.iterations);
        ScramKeys {
            id: self.id(),
            client: self.hash.hmac(&salted, b"Client Key"),
            server: self.hash.hmac(&salted, b"Server Key"),
        }
    }

    /// How often the password is hashed: what the work is proportional to.
    pub const fn iterations(&self) -> u32 {
        self.iterations
    }

    /// "identified by the password, salt, iteration count, and ... mechanism": as one digest, which keeps no password.
    fn id(&self) -> [u8; 32] {
        let mut id = Sha256::new();
        id.update([self.hash as u8]);
        id.update(self.iterations.to_le_bytes());
        // Lengths before what has no fixed one, so that two jobs never look the same.
        id.update((self.salt.len() as u64).to_le_bytes());
        id.update(&self.salt);
        id.update(self.password.as_slice());
        id.finalize().into()
    }
}

impl fmt::Debug for DeriveJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeriveJob")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// `ClientKey` and `ServerKey`: as good as the password, for one salt. Wiped from memory when dropped.
#[derive(Clone)]
pub struct ScramKeys {
    id: [u8; 32],
    pub(super) client: Zeroizing<Vec<u8>>,
    pub(super) server: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys")
    }
}

/// Keys derived before, the last used first out last. A host keeps one a client; it never holds more than sixteen.
///
/// ```
/// use quorate_core::auth::KeyCache;
/// let cache = KeyCache::default();
/// assert!(cache.is_empty());
/// ```
#[derive(Debug, Default)]
pub struct KeyCache {
    keys: VecDeque<ScramKeys>,
}

impl KeyCache {
    /// The key of that job, if it was derived before.
    pub fn get(&mut self, job: &DeriveJob) -> Option<ScramKeys> {
        let id = job.id();
        let at = self.keys.iter().position(|keys| keys.id == id)?;
        let keys = self.keys.remove(at)?;
        self.keys.push_back(keys.clone());
        Some(keys)
    }

    /// Keeps a key; the one unused for longest makes room.
    pub fn insert(&mut self, keys: ScramKeys) {
        self.keys.retain(|kept| kept.id != keys.id);
        if self.keys.len() >= MOST_KEYS {
            self.keys.pop_front();
        }
        self.keys.push_back(keys);
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(salt: u8, password: &str) -> DeriveJob {
        let password = Zeroizing::new(password.as_bytes().to_vec());
        DeriveJob { hash: Hash::Sha1, password, salt: alloc::vec![salt], iterations: 2 }
    }

    #[test]
    fn the_cache_is_bounded_and_forgets_what_was_unused_for_longest() {
        let mut cache = KeyCache::default();
        for salt in 0..16 {
            cache.insert(job(salt, "p").run());
        }
        assert!(cache.get(&job(0, "p")).is_some());
        cache.insert(job(16, "p").run());
        cache.insert(job(16, "p").run());
        assert_eq!(cache.len(), 16);
        assert!(cache.get(&job(0, "p")).is_some() && cache.get(&job(1, "p")).is_none());
        assert!(cache.get(&job(0, "q")).is_none(), "another password is another key");
    }

    #[test]
    fn jobs_differ_in_everything_that_makes_the_key() {
        let one = job(1, "p");
        assert_eq!(one.id(), job(1, "p").id());
        let more = DeriveJob { iterations: 3, ..job(1, "p") };
        let other = DeriveJob { hash: Hash::Sha256, ..job(1, "p") };
        let shifted = DeriveJob { salt: alloc::vec![1, b'p'], ..job(1, "") };
        for different in [more, other, shifted, job(2, "p")] {
            assert_ne!(one.id(), different.id());
        }
    }

    #[test]
    fn debug_output_shows_no_key() {
        let job = job(1, "canary");
        let keys = job.run();
        let shown = alloc::format!("{job:?} {keys:?}");
        assert!(!shown.contains("canary") && !shown.contains("[9"), "{shown}");
        assert!(shown.ends_with("ScramKeys"));
    }
}
