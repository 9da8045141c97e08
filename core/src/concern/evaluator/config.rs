//! The replica set as the evaluator sees it: configuration and progress.

use crate::concern::Acknowledgment;
use crate::raw::Timestamp;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// A custom write concern mode: for each tag, how many different values must have the write.
pub type WriteConcernMode = BTreeMap<String, u32>;

/// The part of a replica set's configuration that write concerns depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaSetConfig {
    /// Its members.
    pub members: Vec<ReplicaSetMember>,
    /// `settings.getLastErrorModes`: custom modes by name.
    pub modes: BTreeMap<String, WriteConcernMode>,
    /// Whether `w: "majority"` without `j` waits for the journal; true unless the set says otherwise.
    pub write_concern_majority_journal_default: bool,
}

/// One member of a replica set's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaSetMember {
    /// `_id`: unique within the set.
    pub id: i32,
    /// Where it listens, as configured; for people, nothing is decided by it.
    pub host: String,
    /// Whether it is an arbiter: votes, but holds no data.
    pub arbiter: bool,
    /// Whether applications are kept from seeing it. It acknowledges all the same.
    pub hidden: bool,
    /// Whether it has a vote.
    pub votes: bool,
    /// Whether it can become primary (its priority is above 0). It acknowledges either way.
    pub electable: bool,
    /// How many seconds it stays behind on purpose. It acknowledges, that much later.
    pub delay_secs: u64,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl ReplicaSetMember {
    /// An ordinary member: data, a vote, electable, no tags.
    pub fn new(id: i32) -> Self {
        ReplicaSetMember {
            id,
            host: String::new(),
            arbiter: false,
            hidden: false,
            votes: true,
            electable: true,
            delay_secs: 0,
            tags: BTreeMap::new(),
        }
    }

    /// An arbiter.
    pub fn arbiter(id: i32) -> Self {
        ReplicaSetMember { arbiter: true, electable: false, ..Self::new(id) }
    }

    /// The same with one more tag.
    #[must_use]
    pub fn with_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// The same without a vote (and so not electable).
    #[must_use]
    pub fn without_vote(mut self) -> Self {
        self.votes = false;
        self.electable = false;
        self
    }

    /// The same with priority 0, out of applications' sight.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self.electable = false;
        self
    }

    /// The same, staying `secs` seconds behind: hidden and not electable, as the server demands.
    #[must_use]
    pub fn delayed(self, secs: u64) -> Self {
        ReplicaSetMember { delay_secs: secs, ..self.hidden() }
    }
}

impl ReplicaSetConfig {
    /// A set of `members` with no custom modes.
    pub fn new(members: impl IntoIterator<Item = ReplicaSetMember>) -> Self {
        ReplicaSetConfig {
            members: members.into_iter().collect(),
            modes: BTreeMap::new(),
            write_concern_majority_journal_default: true,
        }
    }

    /// The same with a custom mode: for each of `tags`, how many different values.
    #[must_use]
    pub fn with_mode<'t>(
        mut self,
        name: impl Into<String>,
        tags: impl IntoIterator<Item = (&'t str, u32)>,
    ) -> Self {
        let mode = tags.into_iter().map(|(tag, needed)| (tag.into(), needed)).collect();
        self.modes.insert(name.into(), mode);
        self
    }

    fn count(&self, wanted: impl Fn(&ReplicaSetMember) -> bool) -> u32 {
        u32::try_from(self.members.iter().filter(|member| wanted(member)).count()).unwrap_or(u32::MAX)
    }

    /// More than half of the votes, arbiters' included: what an election takes.
    pub fn majority_vote_count(&self) -> u32 {
        self.count(|member| member.votes) / 2 + 1
    }

    /// Members with data and a vote (`writableVotingMembersCount`).
    pub fn writable_voting_members_count(&self) -> u32 {
        self.count(|member| member.votes && !member.arbiter)
    }

    /// How many members `w: "majority"` takes (`writeMajorityCount`): a majority of the votes, but no more than there are
    /// members with data and a vote.
    pub fn write_majority(&self) -> u32 {
        self.majority_vote_count().min(self.writable_voting_members_count())
    }

    /// What a write without `w` gets from MongoDB 5.0 on, where nobody has set a default: `majority`, unless arbiters leave
    /// no more members with data and a vote than a majority needs; then 1 ("Implicit Default Write Concern").
    pub fn implicit_default(&self) -> Acknowledgment {
        let arbiters = self.count(|member| member.arbiter);
        if arbiters > 0 && self.writable_voting_members_count() <= self.majority_vote_count() {
            Acknowledgment::Nodes(1)
        } else {
            Acknowledgment::Majority
        }
    }
}

/// A position in the oplog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct OpTime {
    /// The election the entry was written under (`t`).
    pub term: i64,
    /// The entry's timestamp (`ts`).
    pub ts: Timestamp,
}

impl OpTime {
    /// An optime by term, seconds and counter.
    pub const fn new(term: i64, time: u32, increment: u32) -> Self {
        OpTime { term, ts: Timestamp { time, increment } }
    }

    /// Whether a member that has come to `self` has the entry at `target` for certain: same term, not before it. In a later
    /// term it may have rolled it back.
    pub fn covers(self, target: OpTime) -> bool {
        self.term == target.term && self.ts >= target.ts
    }
}

/// How far one member has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberProgress {
    /// The member's `_id`.
    pub id: i32,
    /// Whether it is up and can be replicated to. What it had before it went away still counts.
    pub reachable: bool,
    /// The last entry it has applied.
    pub applied: Option<OpTime>,
    /// The last entry in its journal.
    pub durable: Option<OpTime>,
}

impl MemberProgress {
    /// A reachable member, with everything up to `optime` applied and journaled.
    pub const fn up(id: i32, optime: OpTime) -> Self {
        MemberProgress { id, reachable: true, applied: Some(optime), durable: Some(optime) }
    }

    /// A member that cannot be reached and of which nothing is known.
    pub const fn down(id: i32) -> Self {
        MemberProgress { id, reachable: false, applied: None, durable: None }
    }

    /// The same with only the entries up to `durable` in its journal.
    #[must_use]
    pub const fn journaled_to(mut self, durable: OpTime) -> Self {
        self.durable = Some(durable);
        self
    }

    /// The same, gone away with what it had.
    #[must_use]
    pub const fn gone(mut self) -> Self {
        self.reachable = false;
        self
    }
}
