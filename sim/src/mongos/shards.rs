//! Who is primary where: a hello that waits for changes at every member of every shard.

use super::{Call, Due, Mongos, ShardSettings};
use crate::mongod::{Message, Route};
use crate::node::{NodeId, NodeOutput};
use bson::oid::ObjectId;
use bson::{Document, doc};
use quorate_core::{Duration, Instant};

/// How long a hello waits at a member.
const AWAIT: Duration = Duration::from_secs(10);
/// How much longer its answer may take.
const GRACE: Duration = Duration::from_secs(10);
/// After how long a member that failed is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// A shard and what is known of its members.
#[derive(Debug)]
pub(super) struct Shard {
    pub(super) name: String,
    pub(super) members: Vec<MemberView>,
}

/// What is known of a member.
#[derive(Debug)]
pub(super) struct MemberView {
    pub(super) node: NodeId,
    state: View,
    /// The hello it has not answered yet.
    call: Option<u64>,
    timer: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum View {
    Unknown,
    /// With its election.
    Primary(Option<ObjectId>),
    Secondary,
}

impl Shard {
    pub(super) fn new(settings: ShardSettings) -> Self {
        let view = |node| MemberView { node, state: View::Unknown, call: None, timer: None };
        Shard { name: settings.name, members: settings.members.into_iter().map(view).collect() }
    }

    /// The member that was elected last.
    pub(super) fn primary(&self) -> Option<NodeId> {
        let primaries = self.members.iter().filter_map(|member| match member.state {
            View::Primary(election) => Some((election, member.node)),
            _ => None,
        });
        primaries.max().map(|(_, node)| node)
    }

    /// A member for a read that may go to secondaries; by `turn`, so that all get their share.
    pub(super) fn readable(&self, mode: &str, turn: u64) -> Option<NodeId> {
        let secondaries: Vec<NodeId> =
            self.members.iter().filter(|m| m.state == View::Secondary).map(|m| m.node).collect();
        let secondary = (!secondaries.is_empty())
            .then(|| secondaries.get((turn % secondaries.len() as u64) as usize).copied())
            .flatten();
        match mode {
            "primary" => self.primary(),
            "primaryPreferred" => self.primary().or(secondary),
            "secondary" => secondary,
            "nearest" if turn.is_multiple_of(2) => self.primary().or(secondary),
            _ => secondary.or(self.primary()),
        }
    }
}

impl Mongos {
    /// Asks every member for the first time.
    pub(super) fn check_all(&mut self, now: Instant) {
        for shard in 0..self.shards.len() {
            for member in 0..self.shards[shard].members.len() {
                self.check_member(now, shard, member, None);
            }
        }
    }

    /// Asks a member: at once, or (with the version it told) when something has changed there.
    fn check_member(&mut self, now: Instant, shard: usize, member: usize, version: Option<Document>) {
        let mut body = doc! { "hello": 1, "helloOk": true };
        let mut patience = GRACE;
        if let Some(version) = version {
            body.insert("topologyVersion", version);
            body.insert("maxAwaitTimeMS", i64::try_from(AWAIT.as_millis()).unwrap_or(0));
            patience = AWAIT + GRACE;
        }
        body.insert("$db", "admin");
        let Some(node) = self.shards.get(shard).and_then(|s| s.members.get(member)).map(|m| m.node) else {
            return;
        };
        let call = self.ask(node, body, Call::Check { shard, member });
        self.set_check(shard, member, Some(call), Some(now + patience));
    }

    /// Sends a command to a member, and notes what its answer is for.
    pub(super) fn ask(&mut self, node: NodeId, body: Document, what: Call) -> u64 {
        let call = self.next.call;
        self.next.call += 1;
        if what != Call::Forgotten {
            self.calls.insert(call, what);
        }
        let message = Message::Route(Route::Command { call, body });
        self.out.push_back(NodeOutput::Message { to: node, message });
        call
    }

    fn set_check(&mut self, shard: usize, member: usize, call: Option<u64>, timer: Option<Instant>) {
        let Some(view) = self.shards.get_mut(shard).and_then(|s| s.members.get_mut(member)) else { return };
        if let Some(old) = std::mem::replace(&mut view.call, call) {
            self.calls.remove(&old);
        }
        let due = Due::Check { shard, member };
        if let Some(old) = std::mem::replace(&mut view.timer, timer) {
            self.timers.remove(&(old, due));
        }
        if let Some(at) = timer {
            self.timers.insert((at, due));
        }
    }

    /// A member's timer: its answer is overdue, or it is time to ask again.
    pub(super) fn check_due(&mut self, now: Instant, shard: usize, member: usize) {
        self.see(shard, member, View::Unknown);
        self.check_member(now, shard, member, None);
    }

    /// A member has answered a hello.
    pub(super) fn checked(&mut self, now: Instant, shard: usize, member: usize, reply: &Document) {
        let view = if reply.get_bool("isWritablePrimary").unwrap_or(false) {
            View::Primary(reply.get_object_id("electionId").ok())
        } else if reply.get_bool("secondary").unwrap_or(false) {
            View::Secondary
        } else {
            View::Unknown
        };
        self.see(shard, member, view);
        match reply.get_document("topologyVersion").ok().filter(|_| reply.get_f64("ok").unwrap_or(0.0) == 1.0)
        {
            Some(version) => self.check_member(now, shard, member, Some(version.clone())),
            None => self.set_check(shard, member, None, Some(now + ASK_AGAIN)),
        }
    }

    /// Nobody runs there.
    pub(super) fn lost_member(&mut self, now: Instant, node: NodeId) {
        for (shard, member) in self.places_of(node) {
            self.see(shard, member, View::Unknown);
            self.set_check(shard, member, None, Some(now + ASK_AGAIN));
        }
    }

    /// A member has said that it is not the primary: it is believed until its hello says otherwise.
    pub(super) fn no_primary(&mut self, node: NodeId) {
        for (shard, member) in self.places_of(node) {
            self.see(shard, member, View::Unknown);
        }
    }

    fn places_of(&self, node: NodeId) -> Vec<(usize, usize)> {
        let of = |(s, shard): (usize, &Shard)| {
            shard.members.iter().position(|member| member.node == node).map(|m| (s, m))
        };
        self.shards.iter().enumerate().filter_map(of).collect()
    }

    /// Notes what a member is, and lets those look again who search in that shard.
    fn see(&mut self, shard: usize, member: usize, state: View) {
        let Some(view) = self.shards.get_mut(shard).and_then(|s| s.members.get_mut(member)) else { return };
        let news = view.state != state && state != View::Unknown;
        view.state = state;
        if news {
            let waiting = |(id, job): (&u64, &super::Job)| {
                matches!(job.stage, super::Stage::Searching { shard: s } if s == shard).then_some(*id)
            };
            let found: Vec<u64> = self.jobs.iter().filter_map(waiting).collect();
            self.again.extend(found);
        }
    }
}
