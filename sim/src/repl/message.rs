//! What members say to each other. The content is that of the server's internal commands; requests that have an answer
//! carry a number the answer repeats.

use super::config::{Config, ConfigVersion};
use super::state::MemberState;
use crate::oplog::SharedEntry;
use quorate_core::ServerAddress;
use quorate_core::concern::OpTime;
use std::sync::Arc;

/// A message between two members.
#[derive(Clone, Debug)]
pub enum Message {
    /// `replSetHeartbeat`.
    Heartbeat(Heartbeat),
    /// Its answer.
    HeartbeatReply(Box<HeartbeatReply>),
    /// `replSetRequestVotes`.
    VoteRequest(VoteRequest),
    /// Its answer.
    VoteReply(VoteReply),
    /// Asks for the oplog after an entry, from now on and for as long as it lasts (an exhaust cursor on the oplog).
    Follow {
        /// The follower's number for this stream.
        stream: u64,
        /// The last entry the follower has.
        after: OpTime,
    },
    /// More of the oplog, or news of the source without entries.
    Batch(Box<Batch>),
    /// The stream cannot be had, or has ended.
    FollowRefused {
        /// Which.
        stream: u64,
        /// Why.
        why: Refusal,
    },
    /// `replSetUpdatePosition`: how far the sender, and those who replicate through it, have come.
    Progress(Progress),
    /// `replSetStepUp`: a primary that has stepped down asks its best secondary to stand at once.
    StepUp,
    /// Asks for the whole data: the sender has none, or is too far behind for the oplog.
    WantSnapshot {
        /// Repeated in the answer.
        stream: u64,
    },
    /// The whole data of a source.
    Snapshot {
        /// Which request it answers.
        stream: u64,
        /// The data.
        snapshot: Arc<Snapshot>,
    },
}

/// A heartbeat.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    /// Repeated in the answer.
    pub rpc: u64,
    /// The set's name.
    pub set_name: String,
    /// The sender's configuration.
    pub config: ConfigVersion,
    /// The sender's term.
    pub term: i64,
    /// The sender's address.
    pub host: ServerAddress,
    /// The member the sender takes for the primary, by `_id`.
    pub primary: Option<i32>,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug)]
pub struct HeartbeatReply {
    /// Of which heartbeat.
    pub rpc: u64,
    /// The set's name; `None` when it has no configuration.
    pub set_name: Option<String>,
    /// Its state.
    pub state: MemberState,
    /// Its term.
    pub term: i64,
    /// Its configuration.
    pub config: ConfigVersion,
    /// The configuration itself, where it is newer than the asker's.
    pub newer: Option<Arc<Config>>,
    /// Its last applied entry.
    pub applied: OpTime,
    /// Its last journaled entry.
    pub durable: OpTime,
    /// Its commit point.
    pub committed: OpTime,
    /// The member it takes for the primary.
    pub primary: Option<i32>,
    /// When it was elected, if it is primary: seconds since 1970 and a counter.
    pub elected: Option<(u32, u32)>,
    /// The member it replicates from.
    pub sync_source: Option<i32>,
    /// Whether it could stand for election.
    pub electable: bool,
}

/// A request for a vote.
#[derive(Clone, Debug)]
pub struct VoteRequest {
    /// Repeated in the answer.
    pub rpc: u64,
    /// Whether only asked how the vote would go.
    pub dry_run: bool,
    /// The set's name.
    pub set_name: String,
    /// The term to be elected in; in a dry run the present one.
    pub term: i64,
    /// The candidate, by `_id`.
    pub candidate: i32,
    /// Its configuration.
    pub config: ConfigVersion,
    /// Its last applied entry.
    pub applied: OpTime,
}

/// The answer to a request for a vote.
#[derive(Clone, Debug)]
pub struct VoteReply {
    /// Of which request.
    pub rpc: u64,
    /// The voter's term.
    pub term: i64,
    /// Whether it votes, or would vote, for the candidate.
    pub granted: bool,
    /// Why not.
    pub reason: String,
}

/// Entries of the oplog, with what the source knows.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which stream.
    pub stream: u64,
    /// Its place in the stream, from 1.
    pub number: u64,
    /// The last entry of the batch before, or the one followed after: a follower to which this is not the last it has missed
    /// something.
    pub after: OpTime,
    /// In order, all after `after`; may be empty.
    pub entries: Vec<SharedEntry>,
    /// The source's term.
    pub term: i64,
    /// The source's commit point.
    pub committed: OpTime,
    /// The source's last applied entry.
    pub applied: OpTime,
    /// The member the source takes for the primary, by `_id`.
    pub primary: Option<i32>,
    /// Whom the source replicates from.
    pub sync_source: Option<i32>,
}

/// Why a source does not give its oplog.
#[derive(Clone, Debug)]
pub enum Refusal {
    /// It is in no state to be replicated from, or no longer is.
    NotReady,
    /// It does not have the entry asked for: the logs have diverged. For each term in its log, newest first, the last
    /// entry.
    Diverged(Vec<OpTime>),
    /// The entries asked for are no longer in its log.
    TooStale,
}

/// How far members have come.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The sender's stream from the receiver.
    pub stream: u64,
    /// How many batches of that stream the sender has dealt with: the source holds back when it hears nothing.
    pub batches: u64,
    /// The sender's term.
    pub term: i64,
    /// The sender itself first, then who replicates through it.
    pub members: Vec<Position>,
}

/// How far one member has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its `_id`.
    pub member: i32,
    /// Its last applied entry.
    pub applied: OpTime,
    /// Its last journaled entry.
    pub durable: OpTime,
}

/// The whole data of a member as of an entry of its log.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// As of which entry.
    pub at: OpTime,
    /// What builds the data, applied in order to an empty store.
    pub entries: Vec<SharedEntry>,
}
