//! Hash tables keyed by the core's ids, which are numbers already.

use quorate_core::driver::{ConnectionId, Ticket};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Something with a number of its own.
pub(super) trait Numbered: Copy + Eq {
    fn number(self) -> u64;
}

impl Numbered for ConnectionId {
    fn number(self) -> u64 {
        self.hash_key()
    }
}

impl Numbered for Ticket {
    fn number(self) -> u64 {
        Ticket::number(self)
    }
}

/// A map by id. Ids come from this process, never from a peer, so nobody can choose colliding ones.
#[derive(Debug)]
pub(super) struct IdMap<K, V>(HashMap<Key<K>, V, BuildHasherDefault<Spread>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key<K>(K);

impl<K: Numbered> Hash for Key<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.number());
    }
}

impl<K: Numbered, V> IdMap<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.0.insert(Key(key), value)
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.0.get(&Key(*key))
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        self.0.remove(&Key(*key))
    }
}

impl<K, V> Default for IdMap<K, V> {
    fn default() -> Self {
        IdMap(HashMap::default())
    }
}

/// Spreads a number over all bits by one multiplication.
#[derive(Clone, Copy, Debug, Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
