//! What a member knows of another.

use super::config::ConfigVersion;
use super::log::NOTHING;
use super::message::HeartbeatReply;
use super::state::MemberState;
use crate::node::NodeId;
use quorate_core::Instant;
use quorate_core::concern::OpTime;
use std::time::Duration;

/// A heartbeat on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    pub(crate) rpc: u64,
    pub(crate) sent: Instant,
    pub(crate) deadline: Instant,
}

/// Another member of the configuration.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// Its `_id`.
    pub(crate) member: i32,
    /// Where messages go; `None` for a host nobody runs.
    pub(crate) node: Option<NodeId>,
    pub(crate) state: MemberState,
    pub(crate) up: bool,
    /// The furthest it is known to have come, by whatever way.
    pub(crate) applied: OpTime,
    pub(crate) durable: OpTime,
    /// What its last heartbeat said: never ahead of the truth after a rollback.
    pub(crate) told_applied: OpTime,
    pub(crate) config: ConfigVersion,
    pub(crate) term: i64,
    pub(crate) elected: Option<(u32, u32)>,
    pub(crate) sync_source: Option<i32>,
    pub(crate) electable: bool,
    /// When it was last heard of: a heartbeat's answer, or progress passed on by others.
    pub(crate) heard: Instant,
    pub(crate) last_heartbeat: Option<Instant>,
    pub(crate) last_received: Option<Instant>,
    pub(crate) up_since: Option<Instant>,
    /// Answered, or found down, since a new primary last asked everybody anew.
    pub(crate) fresh: bool,
    pub(crate) ping: Option<Duration>,
    pub(crate) trouble: &'static str,
    /// The next heartbeat; `None` while one is on its way.
    pub(crate) next: Option<Instant>,
    pub(crate) beat: Option<Beat>,
    /// When the first of a row of attempts was made, and how many have failed.
    pub(crate) row: Option<Instant>,
    pub(crate) failures: u32,
}

impl Peer {
    pub(crate) fn new(member: i32, node: Option<NodeId>, now: Instant) -> Self {
        Peer {
            member,
            node,
            state: MemberState::Startup,
            up: false,
            applied: NOTHING,
            durable: NOTHING,
            told_applied: NOTHING,
            config: ConfigVersion::NONE,
            term: 0,
            elected: None,
            sync_source: None,
            electable: false,
            heard: now,
            last_heartbeat: None,
            last_received: None,
            up_since: None,
            fresh: false,
            ping: None,
            trouble: "",
            next: Some(now),
            beat: None,
            row: None,
            failures: 0,
        }
    }

    /// Takes what an answer says. Optimes only rise: news by way of the sync source may be ahead of a heartbeat's.
    pub(crate) fn learn(&mut self, now: Instant, reply: &HeartbeatReply) {
        if let Some(beat) = self.beat.take() {
            let rtt = now - beat.sent;
            self.ping = Some(self.ping.map_or(rtt, |old| (old * 4 + rtt) / 5));
        }
        if !self.up {
            self.up_since = Some(now);
        }
        self.up = true;
        self.fresh = true;
        self.heard = now;
        self.last_heartbeat = Some(now);
        self.trouble = "";
        self.row = None;
        self.failures = 0;
        self.state = reply.state;
        self.config = reply.config;
        self.term = reply.term;
        self.elected = reply.elected;
        self.sync_source = reply.sync_source;
        self.electable = reply.electable;
        self.told_applied = reply.applied;
        self.applied = self.applied.max(reply.applied);
        self.durable = self.durable.max(reply.durable);
    }

    pub(crate) fn mark_down(&mut self, why: &'static str) {
        self.up = false;
        self.fresh = true;
        self.state = MemberState::Down;
        self.up_since = None;
        self.elected = None;
        self.trouble = why;
        self.row = None;
        self.failures = 0;
    }
}
