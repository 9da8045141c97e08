//! The journal: what is applied becomes durable a little later, all of it at once.

use super::Member;
use super::role::Role;
use super::timers::Timer;
use quorate_core::Instant;
use quorate_core::concern::OpTime;

/// A write to the journal under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    /// Up to where it goes.
    writing: Option<OpTime>,
    /// Somebody wants what came since.
    again: bool,
}

impl Member {
    /// Within the journal's interval.
    pub(super) fn journal_later(&mut self, now: Instant) {
        let interval = self.timing.journal_interval;
        self.timers.set_if_none(Timer::Journal, now + interval);
    }

    /// Now, or as soon as the write under way is done.
    pub(super) fn journal_soon(&mut self, now: Instant) {
        let last = self.last_applied();
        if self.last_durable() >= last {
            return;
        }
        if self.journal.writing.is_some() {
            self.journal.again = true;
            return;
        }
        self.timers.clear(Timer::Journal);
        self.journal.writing = Some(last);
        let write = self.timing.journal_write;
        self.timers.set(Timer::Flushed, now + write);
    }

    /// What a secondary has applied it journals at once where majorities wait for that.
    pub(super) fn journal_applied(&mut self, now: Instant) {
        if self.concerns.write_concern_majority_journal_default {
            self.journal_soon(now);
        } else {
            self.journal_later(now);
        }
    }

    pub(super) fn journal_now(&mut self, now: Instant) {
        self.journal_soon(now);
    }

    pub(super) fn flushed(&mut self, now: Instant) {
        let Some(written) = self.journal.writing.take() else { return };
        let (old, new) = (self.disk.durable, written.min(self.last_applied()));
        if new > old {
            self.disk.durable = new;
            self.changes.push((old, new));
            self.sync.news |= !matches!(self.role, Role::Primary(_));
        }
        if std::mem::take(&mut self.journal.again) {
            self.journal_soon(now);
        }
    }

    /// The log now ends here: what was to be written after that is not.
    pub(super) fn journal_back_to(&mut self, optime: OpTime) {
        self.disk.durable = self.disk.durable.min(optime);
        self.journal = Journal::default();
        self.timers.clear(Timer::Flushed);
        self.timers.clear(Timer::Journal);
    }
}
