//! Rollback: undoing entries that the set does not have.

use super::log::common_point;
use super::role::Role;
use super::timers::Timer;
use super::{Member, Output};
use crate::node::NodeId;
use quorate_core::Instant;
use quorate_core::concern::OpTime;

impl Member {
    /// The source's log is another one from some entry on: find that, and go back to it.
    pub(super) fn begin_rollback(&mut self, now: Instant, from: NodeId, theirs: &[OpTime]) {
        self.sync.buffer.clear();
        self.timers.clear(Timer::Apply);
        if self.is_primary() {
            // A new primary does not roll back to what others have; they will.
            self.catch_up_over(now);
            return;
        }
        let mine = self.disk.log.terms(usize::MAX);
        let common = common_point(&mine, theirs).filter(|common| self.disk.log.contains(*common));
        let Some(common) = common else {
            self.want_snapshot(now, from);
            return;
        };
        if common == self.last_applied() {
            // Only what was fetched and not applied had diverged.
            self.lose_source(now);
            return;
        }
        if !self.disk.has_data {
            // A first copy begun from somebody whose end was rolled back.
            self.disk.log.truncate_after(common);
            self.journal_back_to(common);
            self.outputs.push_back(Output::RollBackTo(common));
            self.lose_source(now);
            return;
        }
        if common < self.commit {
            // Cannot be, and a real server would abort.
            self.note(format!("rolls back to {common:?}, before the commit point {:?}", self.commit));
        }
        self.note(format!("rolls back from {:?} to {common:?}", self.last_applied()));
        self.stop_syncing();
        self.refuse_followers();
        self.set_role(Role::Rollback(common));
        self.timers.clear(Timer::Election);
        self.timers.clear(Timer::Takeover);
        self.outputs.push_back(Output::KillOperations);
        self.outputs.push_back(Output::CloseConnections);
        let time = self.timing.rollback;
        self.timers.set(Timer::RolledBack, now + time);
    }

    pub(super) fn rolled_back(&mut self, now: Instant) {
        let Role::Rollback(common) = self.role else { return };
        let gone = self.disk.log.truncate_after(common);
        self.journal_back_to(common);
        self.disk.durable = common;
        self.note(format!("rolled back {gone} entries"));
        self.outputs.push_back(Output::RollBackTo(common));
        self.set_role(Role::Recovering);
        self.recover_later(now);
        self.choose_source(now);
    }
}
