//! Which deployment there is, and what its network is like.

use super::super::draw::Draw;
use super::Class;
use crate::cluster::{Builder, Cluster};
use crate::world::Link;
use quorate_core::Duration;
use std::fmt;

/// A deployment.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// What it is.
    pub kind: Kind,
    /// The members of the replica set, or of each shard.
    pub members: Vec<MemberPlan>,
    /// `electionTimeoutMillis`.
    pub election_ms: u64,
    /// `heartbeatIntervalMillis`.
    pub heartbeat_ms: u64,
    /// The network.
    pub link: LinkPlan,
    /// Whether tasks that can run at the same moment do so in any order.
    pub shuffle: bool,
}

/// Kinds of deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server.
    Standalone,
    /// A replica set.
    ReplicaSet,
    /// Shards behind routers.
    Sharded {
        /// How many shards.
        shards: usize,
        /// How many routers.
        routers: usize,
        /// Whether a load balancer stands in front.
        balanced: bool,
    },
}

/// A member of a replica set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberPlan {
    /// Its part.
    pub kind: MemberKind,
    /// The value of its tag `dc`.
    pub dc: Option<&'static str>,
}

/// The parts a member can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// Data, a vote, that priority.
    Electable(u8),
    /// Priority 0.
    Passive,
    /// A vote and no data.
    Arbiter,
    /// Not shown to clients.
    Hidden,
    /// Hidden, and so many seconds behind.
    Delayed(u8),
    /// Data and no vote.
    NonVoting,
}

/// What the network is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkPlan {
    /// One way, in microseconds.
    pub latency_us: u64,
    /// On top of it.
    pub jitter_us: u64,
    /// Of a million segments, so many are lost at first.
    pub loss_ppm: u32,
    /// Bytes come in pieces of up to so many.
    pub fragment: Option<u32>,
}

impl LinkPlan {
    /// As the world wants it.
    pub fn link(&self) -> Link {
        Link {
            latency: Duration::from_micros(self.latency_us),
            jitter: Duration::from_micros(self.jitter_us),
            loss_ppm: self.loss_ppm,
            fragment: self.fragment,
            ..Link::default()
        }
    }

    /// The longest one way, without loss.
    pub fn one_way(&self) -> Duration {
        Duration::from_micros(self.latency_us + self.jitter_us)
    }
}

impl Shape {
    pub(super) fn draw(draw: &mut Draw, class: Class) -> Shape {
        let shards = 1 + draw.below(2) as usize;
        let routers = 1 + draw.below(2) as usize;
        let kind = match class {
            Class::Failover => Kind::ReplicaSet,
            _ => draw.weighted(&[
                (8, Kind::Standalone),
                (70, Kind::ReplicaSet),
                (15, Kind::Sharded { shards, routers, balanced: false }),
                (7, Kind::Sharded { shards: 1, routers, balanced: true }),
            ]),
        };
        let members = match (kind, class) {
            (Kind::Standalone, _) => Vec::new(),
            (Kind::Sharded { .. }, _) => vec![member(MemberKind::Electable(1)); draw.one_of(&[1, 3])],
            (Kind::ReplicaSet, Class::Failover) => sound_members(draw),
            (Kind::ReplicaSet, _) => any_members(draw),
        };
        let heartbeat_ms = draw.one_of(&[200, 500]);
        Shape {
            kind,
            members,
            election_ms: draw.one_of(&[1000, 1500, 2500]),
            heartbeat_ms,
            link: draw_link(draw, class),
            shuffle: draw.chance(60),
        }
    }

    /// The deployment, ready.
    pub fn build(&self, seed: u64, machines: usize, trace: bool) -> Cluster {
        let mut builder = match self.kind {
            Kind::Standalone => Cluster::standalone(),
            Kind::ReplicaSet => self.with_members(Cluster::replica_set()),
            Kind::Sharded { shards, routers, balanced } => {
                let builder = if balanced { Cluster::load_balanced() } else { Cluster::sharded() };
                self.with_members(builder.shards(shards).routers(routers))
            }
        };
        builder = builder.seed(seed).clients(machines).link(self.link.link());
        builder = if self.shuffle { builder.shuffle() } else { builder };
        (if trace { builder.keep_trace() } else { builder }).build()
    }

    fn with_members(&self, mut builder: Builder) -> Builder {
        for (number, plan) in self.members.iter().enumerate() {
            builder = match plan.kind {
                MemberKind::Electable(priority) => builder.members(1).priority(number, f64::from(priority)),
                MemberKind::Passive => builder.members(1).priority(number, 0.0),
                MemberKind::Arbiter => builder.arbiter(),
                MemberKind::Hidden => builder.hidden(),
                MemberKind::Delayed(by) => builder.delayed(Duration::from_secs(u64::from(by))),
                MemberKind::NonVoting => builder.non_voting(),
            };
            if let Some(dc) = plan.dc {
                builder = builder.tags(number, &[("dc", dc)]);
            }
        }
        builder
            .election_timeout(Duration::from_millis(self.election_ms))
            .heartbeat_interval(Duration::from_millis(self.heartbeat_ms))
    }

    /// How many of a replica set's members clients may read from beside the primary.
    pub fn secondaries(&self) -> usize {
        let shown = |member: &&MemberPlan| {
            matches!(member.kind, MemberKind::Electable(_) | MemberKind::Passive | MemberKind::NonVoting)
        };
        self.members.iter().filter(shown).count().saturating_sub(1)
    }

    /// Whether a majority that acknowledges a write is one whose members keep it, whatever happens to a minority.
    pub fn has_majorities(&self) -> bool {
        self.kind != Kind::Standalone
    }
}

fn member(kind: MemberKind) -> MemberPlan {
    MemberPlan { kind, dc: None }
}

/// A set that can lose any one member and goes on.
fn sound_members(draw: &mut Draw) -> Vec<MemberPlan> {
    let count = draw.weighted(&[(75, 3), (25, 5)]);
    let mut members = vec![member(MemberKind::Electable(1)); count];
    if draw.chance(15) {
        members.push(member(draw.one_of(&[MemberKind::NonVoting, MemberKind::Hidden])));
    }
    members
}

fn any_members(draw: &mut Draw) -> Vec<MemberPlan> {
    let count = draw.weighted(&[(6, 1), (8, 2), (50, 3), (14, 4), (14, 5), (4, 6), (4, 7)]);
    let mut members = vec![member(MemberKind::Electable(1))];
    while members.len() < count {
        let kind = draw.weighted(&[
            (70, MemberKind::Electable(1)),
            (4, MemberKind::Electable(2)),
            (6, MemberKind::Passive),
            (6, MemberKind::Arbiter),
            (5, MemberKind::Hidden),
            (4, MemberKind::Delayed(2)),
            (5, MemberKind::NonVoting),
        ]);
        let arbiters = members.iter().filter(|member| member.kind == MemberKind::Arbiter).count();
        if kind != MemberKind::Arbiter || arbiters == 0 {
            members.push(member(kind));
        }
    }
    if draw.chance(30) {
        for member in &mut members {
            member.dc = Some(draw.one_of(&["east", "west"]));
        }
    }
    members
}

fn draw_link(draw: &mut Draw, class: Class) -> LinkPlan {
    let latency_us = draw.weighted(&[(70, 200), (15, 50), (10, 2_000), (5, 8_000)]);
    LinkPlan {
        latency_us,
        jitter_us: latency_us * draw.one_of(&[0, 1, 2]) / 4,
        loss_ppm: if class == Class::Chaos {
            draw.maybe(8, |draw| draw.between(500, 10_000) as u32).unwrap_or(0)
        } else {
            0
        },
        fragment: draw.maybe(5, |draw| draw.one_of(&[3, 40, 300])),
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        for member in &self.members {
            write!(f, " {:?}", member.kind)?;
            if let Some(dc) = member.dc {
                write!(f, "@{dc}")?;
            }
        }
        write!(
            f,
            "; elections after {} ms, heartbeats every {} ms; {:?}{}",
            self.election_ms,
            self.heartbeat_ms,
            self.link,
            if self.shuffle { "; shuffled" } else { "" }
        )
    }
}
