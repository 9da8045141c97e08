//! What is so, whatever clients and members believe.

use super::{Cluster, Part, Process};
use crate::oplog::{Namespace, SharedEntry};
use crate::repl::{Member, MemberState};
use crate::store::ReadAt;
use crate::world::ProcessState;
use bson::Document;
use quorate_core::concern::OpTime;
use std::sync::Arc;

/// Replica sets. Where there are several, `shard` is counted from 0.
impl Cluster {
    /// The primary: of those that take themselves for one and run, hung or not, the one of the latest term. The server alone,
    /// where there is no replica set; the first shard's, where there are several.
    pub fn primary(&self) -> Option<usize> {
        self.primary_of(0)
    }

    /// The primary of a shard.
    pub fn primary_of(&self, shard: usize) -> Option<usize> {
        self.primaries_of(shard).last().copied()
    }

    /// All that take themselves for primary, by their terms: more than one while an old one has not heard.
    pub fn primaries(&self) -> Vec<usize> {
        self.primaries_of(0)
    }

    /// The same of a shard.
    pub fn primaries_of(&self, shard: usize) -> Vec<usize> {
        let mut primaries: Vec<_> =
            self.members_of(shard).into_iter().filter_map(|at| Some((self.reign(at)?, at))).collect();
        primaries.sort_unstable();
        primaries.into_iter().map(|(_, at)| at).collect()
    }

    /// The term a member is primary in.
    fn reign(&self, member: usize) -> Option<i64> {
        if self.process(member) == ProcessState::Down {
            return None;
        }
        let is_alone = self.inspect(member, |process| process.as_mongod()?.replica().is_none().then_some(0));
        let reign = |replica: &Member| replica.is_writable_primary().then(|| replica.term());
        is_alone.or_else(|| self.replica(member, reign).flatten())
    }

    /// The secondaries that run.
    pub fn secondaries(&self) -> Vec<usize> {
        let mut members = self.members_of(0);
        members.retain(|at| self.state(*at) == Some(MemberState::Secondary));
        members
    }

    /// What a member is in its replica set; nothing for what is in none and for one that is down.
    pub fn state(&self, member: usize) -> Option<MemberState> {
        if self.process(member) == ProcessState::Down {
            return None;
        }
        self.replica(member, Member::state)
    }

    /// The log of a member, oldest first, as far as it is kept.
    pub fn member_oplog(&self, member: usize) -> Vec<SharedEntry> {
        self.replica(member, |replica| replica.log().cloned().collect()).unwrap_or_default()
    }

    /// The log of the primary, or of the member that knows most where there is none.
    pub fn oplog(&self) -> Vec<SharedEntry> {
        let member = self.primary().or_else(|| self.most_aware(0));
        member.map(|member| self.member_oplog(member)).unwrap_or_default()
    }

    /// Up to where a majority has the log, as far as any member knows: nothing before it is ever lost.
    pub fn commit_point(&self) -> Option<OpTime> {
        self.most_aware(0).and_then(|member| self.commit_point_of(member))
    }

    /// Up to where a member knows the log to be on a majority.
    pub fn commit_point_of(&self, member: usize) -> Option<OpTime> {
        self.replica(member, Member::commit_point)
    }

    /// The member with data whose commit point is the latest.
    fn most_aware(&self, shard: usize) -> Option<usize> {
        let known =
            self.members_of(shard).into_iter().filter(|at| self.state(*at) != Some(MemberState::Arbiter));
        known.filter_map(|at| Some((self.commit_point_of(at)?, at))).max().map(|(_, at)| at)
    }

    /// Looks at a member's part in its replica set.
    pub(super) fn replica<T>(&self, member: usize, look: impl FnOnce(&Member) -> T) -> Option<T> {
        self.inspect(member, |process| process.as_mongod()?.replica().map(look))
    }
}

/// Data.
impl Cluster {
    /// The documents of a collection as a member has them, whether they will last or not.
    pub fn documents(&self, member: usize, database: &str, collection: &str) -> Vec<Arc<Document>> {
        self.read(member, database, collection, ReadAt::Latest)
    }

    /// The documents of a collection that will last: what a majority has, as far as any member knows. Where there are shards, of
    /// all of them.
    pub fn committed(&self, database: &str, collection: &str) -> Vec<Arc<Document>> {
        (0..self.shard_count())
            .flat_map(|shard| match self.most_aware(shard) {
                Some(member) => self.read(member, database, collection, ReadAt::Committed),
                None => self.read(self.members_of(shard)[0], database, collection, ReadAt::Latest),
            })
            .collect()
    }

    fn read(&self, member: usize, database: &str, collection: &str, at: ReadAt) -> Vec<Arc<Document>> {
        let ns = Namespace { db: database.to_owned(), coll: collection.to_owned() };
        self.inspect(member, |process| {
            process.as_mongod().map(|mongod| mongod.store().documents(&ns, at)).unwrap_or_default()
        })
    }
}

/// Processes.
impl Cluster {
    /// How many processes there are: members first, then routers, then a load balancer.
    pub fn process_count(&self) -> usize {
        self.0.places.len()
    }

    /// What part a process has.
    pub fn part(&self, process: usize) -> Part {
        self.0.places[process].part
    }

    /// The name of a process's machine.
    pub fn name_of(&self, process: usize) -> String {
        self.part(process).host_name()
    }

    /// How many shards there are: one, where there is a replica set or a server alone.
    pub fn shard_count(&self) -> usize {
        let shards = self.0.places.iter().filter_map(|place| match place.part {
            Part::Member { shard, .. } => Some(shard + 1),
            _ => None,
        });
        shards.max().unwrap_or(0)
    }

    /// The members of a shard.
    pub fn members_of(&self, shard: usize) -> Vec<usize> {
        let is_in = |part: Part| matches!(part, Part::Member { shard: of, .. } if of == shard);
        (0..self.process_count()).filter(|at| is_in(self.part(*at))).collect()
    }

    /// The routers.
    pub fn routers(&self) -> Vec<usize> {
        (0..self.process_count()).filter(|at| matches!(self.part(*at), Part::Router(_))).collect()
    }

    /// What a process is doing.
    pub fn process(&self, process: usize) -> ProcessState {
        self.0.world.state(self.0.places[process].node)
    }

    /// How many connections a process has from clients.
    pub fn connections(&self, process: usize) -> usize {
        self.inspect(process, |process| match process {
            Process::Mongod(mongod) => mongod.connections(),
            Process::Mongos(mongos) => mongos.connections(),
            Process::Balancer(_) => 0,
        })
    }

    /// Looks at a process.
    pub fn inspect<T>(&self, process: usize, look: impl FnOnce(&Process) -> T) -> T {
        let node = self.0.places[process].node;
        self.0.world.inspect(node, look).expect("the world has all processes")
    }
}
