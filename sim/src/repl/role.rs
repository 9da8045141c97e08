//! What a member is busy with.

use super::config::Config;
use super::log::{Log, NOTHING};
use super::message::Position;
use super::state::MemberState;
use crate::node::NodeId;
use crate::oplog::SharedEntry;
use quorate_core::Instant;
use quorate_core::concern::OpTime;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What outlives the process.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) log: Log,
    /// The last entry in the journal; what is after it dies with the process.
    pub(crate) durable: OpTime,
    /// The last term this member voted in, and for whom.
    pub(crate) vote: (i64, Option<i32>),
    /// Whether the data is a whole copy, and may be served.
    pub(crate) has_data: bool,
}

impl Disk {
    pub(crate) fn empty() -> Self {
        Disk { config: None, log: Log::new(), durable: NOTHING, vote: (0, None), has_data: false }
    }
}

/// The part a member plays.
#[derive(Clone, Debug)]
pub(crate) enum Role {
    Startup,
    Startup2,
    Recovering,
    Secondary,
    Arbiter,
    Removed,
    /// Going back to this entry.
    Rollback(OpTime),
    Primary(Leader),
}

impl Role {
    pub(crate) fn state(&self) -> MemberState {
        match self {
            Role::Startup => MemberState::Startup,
            Role::Startup2 => MemberState::Startup2,
            Role::Recovering => MemberState::Recovering,
            Role::Secondary => MemberState::Secondary,
            Role::Arbiter => MemberState::Arbiter,
            Role::Removed => MemberState::Removed,
            Role::Rollback(_) => MemberState::Rollback,
            Role::Primary(_) => MemberState::Primary,
        }
    }
}

/// A primary.
#[derive(Clone, Debug)]
pub(crate) struct Leader {
    pub(crate) stage: Stage,
    /// When it was elected: seconds since 1970 and a counter.
    pub(crate) elected: (u32, u32),
    pub(crate) elected_at: Instant,
    pub(crate) reason: Reason,
    /// The primary before, as far as known.
    pub(crate) prior: Option<i32>,
    /// Commit point and last entry at the election, for `replSetGetStatus`.
    pub(crate) committed_then: OpTime,
    pub(crate) applied_then: OpTime,
    pub(crate) caught_up: u64,
    /// The first entry of its term: only from there on does it move the commit point.
    pub(crate) first: Option<OpTime>,
    pub(crate) first_at: Option<Instant>,
    pub(crate) available_at: Option<Instant>,
}

/// How far a primary is in being one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Getting what others have of earlier terms.
    CatchUp,
    /// Taking writes.
    Writable,
    /// About to step down: takes no writes while it waits for a secondary to have all of its own.
    SteppingDown,
}

/// Why an election is held, in the words of `electionCandidateMetrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Timeout,
    Priority,
    CatchUp,
    StepUp,
    Handoff,
    Single,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Reason::Timeout => "electionTimeout",
            Reason::Priority => "priorityTakeover",
            Reason::CatchUp => "catchupTakeover",
            Reason::StepUp => "stepUpRequest",
            Reason::Handoff => "stepUpRequestSkipDryRun",
            Reason::Single => "singleNodePromptElection",
        }
    }
}

/// An election this member stands in.
#[derive(Clone, Debug)]
pub(crate) struct Election {
    pub(crate) rpc: u64,
    pub(crate) dry_run: bool,
    pub(crate) reason: Reason,
    /// Members that voted for it, itself included.
    pub(crate) yes: Vec<i32>,
    pub(crate) answered: Vec<i32>,
}

/// A vote given, for `electionParticipantMetrics`.
#[derive(Clone, Debug)]
pub(crate) struct Participation {
    pub(crate) voted: bool,
    pub(crate) term: i64,
    pub(crate) at: Instant,
    pub(crate) candidate: i32,
    pub(crate) reason: String,
    pub(crate) applied: OpTime,
    pub(crate) newest: OpTime,
}

/// A secondary's replication.
#[derive(Clone, Debug)]
pub(crate) struct Sync {
    /// Whom it replicates from, by `_id`.
    pub(crate) source: Option<i32>,
    /// The number of the stream from there.
    pub(crate) stream: u64,
    /// The source has been silent and is asked anew.
    pub(crate) reconnecting: bool,
    /// Batches of the stream dealt with, and how many of them the source has been told of.
    pub(crate) batches: u64,
    pub(crate) acknowledged: u64,
    /// The furthest commit point heard on this stream.
    pub(crate) committed: OpTime,
    /// Fetched and not yet applied, with the moment each may be.
    pub(crate) buffer: VecDeque<(Instant, SharedEntry)>,
    /// Members not to be asked for a while.
    pub(crate) shunned: BTreeMap<i32, Instant>,
    /// Whether those who fetch from here, or this member, have come further than the source was told.
    pub(crate) news: bool,
    /// How far those who replicate through this member have come, and when they last said so.
    pub(crate) below: BTreeMap<i32, (Position, Instant)>,
    /// Whether heartbeats were hastened for the present search.
    pub(crate) searching: bool,
    /// Heartbeats to be answered before the first search.
    pub(crate) pings_wanted: usize,
}

impl Sync {
    pub(crate) fn new() -> Self {
        Sync {
            source: None,
            stream: 0,
            reconnecting: false,
            batches: 0,
            acknowledged: 0,
            committed: NOTHING,
            buffer: VecDeque::new(),
            shunned: BTreeMap::new(),
            news: false,
            below: BTreeMap::new(),
            searching: false,
            pings_wanted: 0,
        }
    }
}

/// Somebody who replicates from here.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) node: NodeId,
    pub(crate) stream: u64,
    /// The last entry sent.
    pub(crate) sent: OpTime,
    pub(crate) committed: OpTime,
    pub(crate) batches: u64,
    pub(crate) acknowledged: u64,
    pub(crate) last_sent: Instant,
}
