//! Where a pool keeps its connections: a slab, with the idle ones threaded on a list from oldest to newest.
//!
//! Every step of the hot path (newest idle out, in use back in) is a few array accesses and no allocation. A connection
//! is found by slot and number together, so that an id that outlived its connection finds nothing.

use super::{PoolConnId, Purpose, ServiceId};
use crate::Instant;
use alloc::vec::Vec;

/// What a connection is doing ("Connection", states "pending", "available", "in use"; "closed" is a free slot).
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Pending,
    Idle { since: Instant, older: Option<u32>, newer: Option<u32> },
    InUse { purpose: Purpose, interrupted: bool },
}

/// One connection, as far as the pool knows it.
#[derive(Clone, Debug)]
pub(super) struct Conn {
    id: u32,
    pub(super) state: State,
    pub(super) generation: u32,
    pub(super) service: Option<ServiceId>,
    /// Its hello was answered.
    pub(super) greeted: bool,
    pub(super) created: Instant,
}

/// The slab. `idle + in_use + pending` is the number of slots taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Slots {
    slots: Vec<Option<Conn>>,
    free: Vec<u32>,
    last_id: u32,
    oldest: Option<u32>,
    newest: Option<u32>,
    pub(super) idle: u32,
    pub(super) in_use: u32,
    pub(super) pending: u32,
}

impl Slots {
    pub(super) const fn total(&self) -> u32 {
        self.idle.saturating_add(self.in_use).saturating_add(self.pending)
    }

    /// A new pending connection with the next number. `None` only with 2^32 connections open.
    pub(super) fn create(&mut self, now: Instant, generation: u32) -> Option<PoolConnId> {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(None);
                slot
            }
        };
        // Numbers start at 1; after 2^32 connections they start again.
        self.last_id = self.last_id.checked_add(1).unwrap_or(1);
        let conn = Conn {
            id: self.last_id,
            state: State::Pending,
            generation,
            service: None,
            greeted: false,
            created: now,
        };
        *self.slots.get_mut(slot as usize)? = Some(conn);
        self.pending += 1;
        Some(PoolConnId { id: self.last_id, slot })
    }

    pub(super) fn get(&self, conn: PoolConnId) -> Option<&Conn> {
        self.slots.get(conn.slot as usize)?.as_ref().filter(|c| c.id == conn.id)
    }

    pub(super) fn get_mut(&mut self, conn: PoolConnId) -> Option<&mut Conn> {
        self.slots.get_mut(conn.slot as usize)?.as_mut().filter(|c| c.id == conn.id)
    }

    /// The idle connection used last, and since when it is idle.
    pub(super) fn newest_idle(&self) -> Option<(PoolConnId, Instant)> {
        self.idle_at(self.newest?)
    }

    /// The idle connection that has waited longest, and since when it is idle.
    pub(super) fn oldest_idle(&self) -> Option<(PoolConnId, Instant)> {
        self.idle_at(self.oldest?)
    }

    fn idle_at(&self, slot: u32) -> Option<(PoolConnId, Instant)> {
        let conn = self.slots.get(slot as usize)?.as_ref()?;
        match conn.state {
            State::Idle { since, .. } => Some((PoolConnId { id: conn.id, slot }, since)),
            _ => None,
        }
    }

    /// Every connection for which `keep` holds, by number.
    pub(super) fn select(&self, keep: impl Fn(&Conn) -> bool) -> Vec<PoolConnId> {
        let mut found: Vec<PoolConnId> = (0u32..)
            .zip(&self.slots)
            .filter_map(|(slot, conn)| {
                conn.as_ref().filter(|c| keep(c)).map(|c| PoolConnId { id: c.id, slot })
            })
            .collect();
        found.sort_unstable();
        found
    }

    /// Marks a connection as available, the newest of the idle.
    pub(super) fn set_idle(&mut self, conn: PoolConnId, now: Instant) {
        if self.get(conn).is_none() {
            return;
        }
        self.leave_state(conn);
        let older = self.newest;
        if let Some(c) = self.get_mut(conn) {
            c.state = State::Idle { since: now, older, newer: None };
        }
        match older {
            Some(slot) => self.link(slot, |_, newer| *newer = Some(conn.slot)),
            None => self.oldest = Some(conn.slot),
        }
        self.newest = Some(conn.slot);
        self.idle += 1;
    }

    /// Marks a connection as in use.
    pub(super) fn set_in_use(&mut self, conn: PoolConnId) {
        if self.get(conn).is_none() {
            return;
        }
        self.leave_state(conn);
        if let Some(c) = self.get_mut(conn) {
            c.state = State::InUse { purpose: Purpose::Operation, interrupted: false };
        }
        self.in_use += 1;
    }

    /// Frees the slot.
    pub(super) fn remove(&mut self, conn: PoolConnId) -> Option<Conn> {
        self.get(conn)?;
        self.leave_state(conn);
        let removed = self.slots.get_mut(conn.slot as usize)?.take();
        self.free.push(conn.slot);
        removed
    }

    /// Takes a connection out of its state's count, and off the idle list.
    fn leave_state(&mut self, conn: PoolConnId) {
        match self.get(conn).map(|c| c.state) {
            None => {}
            Some(State::Pending) => self.pending = self.pending.saturating_sub(1),
            Some(State::InUse { .. }) => self.in_use = self.in_use.saturating_sub(1),
            Some(State::Idle { older, newer, .. }) => {
                match newer {
                    Some(slot) => self.link(slot, |theirs, _| *theirs = older),
                    None => self.newest = older,
                }
                match older {
                    Some(slot) => self.link(slot, |_, theirs| *theirs = newer),
                    None => self.oldest = newer,
                }
                self.idle = self.idle.saturating_sub(1);
            }
        }
    }

    /// Changes the list links (older, newer) of the idle connection in `slot`.
    fn link(&mut self, slot: u32, change: impl FnOnce(&mut Option<u32>, &mut Option<u32>)) {
        if let Some(Some(conn)) = self.slots.get_mut(slot as usize)
            && let State::Idle { older, newer, .. } = &mut conn.state
        {
            change(older, newer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u64) -> Instant {
        Instant::from_nanos(n)
    }

    #[test]
    fn idle_connections_leave_newest_first_and_from_anywhere() {
        let mut slots = Slots::default();
        let ids: Vec<_> = (0..4).map(|n| slots.create(at(n), 0).unwrap()).collect();
        for (n, id) in ids.iter().enumerate() {
            slots.set_idle(*id, at(n as u64));
        }
        assert_eq!((slots.idle, slots.pending, slots.total()), (4, 0, 4));
        slots.remove(ids[1]);
        assert_eq!(slots.newest_idle(), Some((ids[3], at(3))));
        slots.set_in_use(ids[3]);
        assert_eq!(slots.newest_idle(), Some((ids[2], at(2))));
        slots.set_in_use(ids[2]);
        assert_eq!(slots.newest_idle(), Some((ids[0], at(0))));
        assert_eq!(slots.oldest_idle(), Some((ids[0], at(0))));
        slots.set_in_use(ids[0]);
        assert_eq!(slots.newest_idle(), None);
        assert_eq!(slots.oldest_idle(), None);
        slots.set_idle(ids[0], at(9));
        assert_eq!((slots.idle, slots.in_use, slots.total()), (1, 2, 3));
    }

    #[test]
    fn an_id_that_outlived_its_connection_finds_nothing() {
        let mut slots = Slots::default();
        let first = slots.create(at(0), 0).unwrap();
        assert!(slots.remove(first).is_some());
        assert!(slots.remove(first).is_none());
        let second = slots.create(at(0), 0).unwrap();
        assert_eq!((first.slot, first.id, second.slot, second.id), (0, 1, 0, 2));
        assert!(slots.get(first).is_none());
        slots.set_idle(first, at(1));
        assert_eq!((slots.idle, slots.pending), (0, 1));
    }
}
