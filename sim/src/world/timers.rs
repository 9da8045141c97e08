//! Sleeps that tasks wait for.

use super::queue::{Due, Queue};
use std::task::Waker;

/// Which sleep. The slot is used again, the generation is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    slot: u32,
    generation: u32,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    waker: Option<Waker>,
}

/// All sleeps under way.
#[derive(Debug, Default)]
pub(super) struct Timers {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Entries of the queue whose sleep was dropped.
    void: usize,
}

/// So many void entries are not worth a look.
const FEW: usize = 256;

impl Timers {
    pub(super) fn start(&mut self, queue: &mut Queue, at: u64, waker: Waker) -> TimerKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let entry = &mut self.slots[slot as usize];
        entry.waker = Some(waker);
        let key = TimerKey { slot, generation: entry.generation };
        queue.push(at, Due::Timer { slot, generation: key.generation });
        key
    }

    /// The sleep ends; gives whom to wake, unless it is long gone.
    pub(super) fn ring(&mut self, slot: u32, generation: u32) -> Option<Waker> {
        let entry = self.slots.get_mut(slot as usize)?;
        if entry.generation != generation {
            self.void = self.void.saturating_sub(1);
            return None;
        }
        self.end(slot)
    }

    /// Puts another waker in place; gives the old one.
    pub(super) fn replace(&mut self, key: TimerKey, waker: &Waker) -> Option<Waker> {
        let entry =
            self.slots.get_mut(key.slot as usize).filter(|entry| entry.generation == key.generation)?;
        if entry.waker.as_ref().is_some_and(|old| old.will_wake(waker)) {
            return None;
        }
        entry.waker.replace(waker.clone())
    }

    /// Whether it has rung.
    pub(super) fn is_over(&self, key: TimerKey) -> bool {
        self.slots.get(key.slot as usize).is_none_or(|entry| entry.generation != key.generation)
    }

    /// The sleep was dropped; gives its waker.
    pub(super) fn cancel(&mut self, queue: &mut Queue, key: TimerKey) -> Option<Waker> {
        if self.is_over(key) {
            return None;
        }
        let waker = self.end(key.slot);
        self.void += 1;
        if self.void > FEW && self.void > queue.len() / 2 {
            self.void = 0;
            let slots = &self.slots;
            queue.retain(|due| match due {
                Due::Timer { slot, generation } => slots[slot as usize].generation == generation,
                _ => true,
            });
        }
        waker
    }

    fn end(&mut self, slot: u32) -> Option<Waker> {
        let entry = &mut self.slots[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        self.free.push(slot);
        entry.waker.take()
    }
}
