//! The source's side of replication: streams of the oplog to those who follow.

use super::log::NOTHING;
use super::message::{Batch, Message, Refusal};
use super::progress::WINDOW;
use super::role::Follower;
use super::timers::Timer;
use super::{Member, Output};
use crate::node::NodeId;
use quorate_core::Instant;
use quorate_core::concern::OpTime;

/// Entries in one batch at most.
const BATCH: usize = 256;
/// How many terms a follower that has diverged is told of.
const TERMS: usize = 64;

impl Member {
    /// Somebody wants the oplog after an entry, and what comes.
    pub(super) fn on_follow(&mut self, now: Instant, from: NodeId, stream: u64, after: OpTime) {
        self.followers.retain(|follower| follower.node != from);
        if let Some(why) = self.why_not_follow(after) {
            self.send(from, Message::FollowRefused { stream, why });
            return;
        }
        self.followers.push(Follower {
            node: from,
            stream,
            sent: after,
            committed: NOTHING,
            batches: 0,
            acknowledged: 0,
            last_sent: now,
        });
        let at = self.followers.len() - 1;
        self.send_batch(now, at);
        let next = now + self.await_time();
        self.timers.set_if_none(Timer::KeepAlive, next);
    }

    fn why_not_follow(&self, after: OpTime) -> Option<Refusal> {
        let log = &self.disk.log;
        if !self.is_readable() || log.is_empty() {
            Some(Refusal::NotReady)
        } else if log.contains(after) {
            None
        } else if after > log.last() {
            Some(Refusal::NotReady)
        } else if after < log.floor() {
            Some(Refusal::TooStale)
        } else {
            Some(Refusal::Diverged(log.terms(TERMS)))
        }
    }

    /// Sends what is new to everybody who is not too far behind in taking it.
    pub(super) fn pump_followers(&mut self, now: Instant) {
        for at in 0..self.followers.len() {
            loop {
                let follower = &self.followers[at];
                let news = self.disk.log.last() > follower.sent || self.commit > follower.committed;
                if !news || follower.batches - follower.acknowledged >= WINDOW {
                    break;
                }
                self.send_batch(now, at);
            }
        }
    }

    /// Those for whom the log no longer goes back far enough.
    pub(super) fn drop_stragglers(&mut self) {
        let floor = self.disk.log.floor();
        while let Some(at) = self.followers.iter().position(|follower| follower.sent < floor) {
            let Follower { node, stream, .. } = self.followers.swap_remove(at);
            self.send(node, Message::FollowRefused { stream, why: Refusal::TooStale });
        }
    }

    fn send_batch(&mut self, now: Instant, at: usize) {
        let (applied, committed, term) = (self.last_applied(), self.commit, self.term);
        let (primary, sync_source) = (self.primary, self.sync.source);
        let follower = &mut self.followers[at];
        let after = follower.sent;
        let entries = self.disk.log.after(after, BATCH);
        if let Some(last) = entries.last() {
            follower.sent = last.optime;
        }
        follower.committed = committed;
        follower.batches += 1;
        follower.last_sent = now;
        let (node, stream, number) = (follower.node, follower.stream, follower.batches);
        let batch = Batch { stream, number, after, entries, term, committed, applied, primary, sync_source };
        self.send(node, Message::Batch(Box::new(batch)));
    }

    /// Those who have not heard anything for long hear that there is nothing.
    pub(super) fn keep_followers(&mut self, now: Instant) {
        let silence = self.await_time();
        for at in 0..self.followers.len() {
            if self.followers[at].last_sent + silence > now {
                continue;
            }
            if self.followers[at].batches - self.followers[at].acknowledged < WINDOW {
                self.send_batch(now, at);
            }
            self.followers[at].last_sent = now;
        }
        if let Some(first) = self.followers.iter().map(|follower| follower.last_sent).min() {
            self.timers.set(Timer::KeepAlive, first + silence);
        }
    }

    /// Nobody can be served from here any more.
    pub(super) fn refuse_followers(&mut self) {
        for follower in std::mem::take(&mut self.followers) {
            let why = Refusal::NotReady;
            self.send(follower.node, Message::FollowRefused { stream: follower.stream, why });
        }
        self.timers.clear(Timer::KeepAlive);
    }

    /// Somebody needs the whole data.
    pub(super) fn on_want_snapshot(&mut self, _now: Instant, from: NodeId, stream: u64) {
        if self.is_readable() && !self.disk.log.is_empty() {
            self.outputs.push_back(Output::TakeSnapshot { to: from, stream });
        } else {
            self.send(from, Message::FollowRefused { stream, why: Refusal::NotReady });
        }
    }
}
