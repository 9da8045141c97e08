//! Chance for plans: numbers of 64 bits, the same on every machine.

use crate::world::child_seed;
use quorate_core::Rng;

/// Draws for one part of a plan, so that another part's draws never shift them.
#[derive(Debug)]
pub(super) struct Draw(Rng);

impl Draw {
    pub(super) fn new(seed: u64, part: &str) -> Self {
        Draw(Rng::new(child_seed(seed, part, 0)))
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number between two, both included.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most.saturating_sub(least) + 1)
    }

    /// True in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize].clone()
    }

    /// One of the list, each as often as its weight says.
    pub(super) fn weighted<T: Clone>(&mut self, list: &[(u64, T)]) -> T {
        let mut at = self.below(list.iter().map(|(weight, _)| weight).sum());
        for (weight, value) in list {
            if at < *weight {
                return value.clone();
            }
            at -= weight;
        }
        list[0].1.clone()
    }

    pub(super) fn maybe<T>(&mut self, percent: u64, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.chance(percent).then(|| draw(self))
    }
}
