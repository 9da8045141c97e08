//! A secondary that takes over from a primary: one of higher priority, or one that is ahead of a primary that cannot catch up.

use super::Member;
use super::role::{Reason, Role};
use super::timers::Timer;
use quorate_core::Instant;

/// How far behind the newest member one may be that takes over by its priority, in seconds of the oplog.
const FRESH_SECS: u32 = 2;

impl Member {
    /// The primary's heartbeat has been answered: is it one to take over from?
    pub(super) fn consider_takeover(&mut self, now: Instant, at: usize) {
        if self.timers.get(Timer::Takeover).is_some() || !matches!(self.role, Role::Secondary) {
            return;
        }
        let Some(reason) = self.takeover_reason(at) else { return };
        let Some(config) = &self.disk.config else { return };
        let delay = match reason {
            Reason::CatchUp => match config.settings.catch_up_takeover_delay {
                Some(delay) => delay,
                None => return,
            },
            _ => {
                let mine = self.member_config().map_or(0.0, |me| me.priority);
                let above = config.members.iter().filter(|member| member.priority > mine).count();
                self.election_timeout() * (u32::try_from(above).unwrap_or(u32::MAX - 1) + 1)
            }
        };
        let offset = self.election_offset();
        self.timers.set(Timer::Takeover, now + delay + offset);
    }

    /// Why this member should be primary instead of that one.
    fn takeover_reason(&self, at: usize) -> Option<Reason> {
        let (config, me) = (self.disk.config.as_ref()?, self.member_config()?);
        let peer = self.peers.get(at)?;
        if !me.is_electable() {
            return None;
        }
        // It has not written in its term yet, and is behind this member: its catch-up does not come on.
        if peer.told_applied.term < peer.term && peer.told_applied < self.last_applied() {
            return Some(Reason::CatchUp);
        }
        (config.member(peer.member)?.priority < me.priority).then_some(Reason::Priority)
    }

    /// The delay is over: the reason may be, too. When it is not but this member cannot win yet, the primary's next heartbeat
    /// begins a new delay.
    pub(super) fn take_over(&mut self, now: Instant) {
        let Some(at) = self.primary.and_then(|id| self.peers.iter().position(|peer| peer.member == id))
        else {
            return;
        };
        match self.takeover_reason(at) {
            Some(Reason::Priority) if !self.is_fresh_enough() => {}
            Some(reason) => {
                let _ = self.start_election(now, reason);
            }
            None => {}
        }
    }

    fn is_fresh_enough(&self) -> bool {
        let newest = self.peers.iter().filter(|peer| peer.up).map(|peer| peer.applied).max();
        newest.is_none_or(|newest| newest.ts.time <= self.last_applied().ts.time.saturating_add(FRESH_SECS))
    }
}
