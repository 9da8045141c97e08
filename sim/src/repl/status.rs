//! `replSetGetStatus`.

use super::config::{Config, MemberConfig};
use super::output::error;
use super::peer::Peer;
use super::role::{Leader, Participation, Role};
use super::state::MemberState;
use super::wall::{date, date_of, optime_doc, timestamp};
use super::{Member, log::NOTHING};
use bson::{Bson, DateTime, Document, Timestamp, doc};
use quorate_core::Instant;
use quorate_core::concern::OpTime;
use std::time::Duration;

impl Member {
    pub(super) fn status(&self, now: Instant) -> Document {
        let (Some(config), Some(me)) = (&self.disk.config, self.member_config()) else {
            let text = "Our replica set config is invalid or we are not a member of it";
            return error(93, "InvalidReplicaSetConfig", text);
        };
        let mut status = doc! {
            "set": &config.name,
            "date": date(now),
            "myState": self.state().number(),
            "term": self.term,
            "syncSourceHost": self.host_of(self.sync.source),
            "syncSourceId": self.sync.source.unwrap_or(-1),
            "heartbeatIntervalMillis": i64::from(millis(config.settings.heartbeat_interval)),
            "majorityVoteCount": count(self.concerns.majority_vote_count()),
            "writeMajorityCount": count(self.concerns.write_majority()),
            "votingMembersCount": i32::try_from(config.voters()).unwrap_or(i32::MAX),
            "writableVotingMembersCount": count(self.concerns.writable_voting_members_count()),
            "optimes": self.optimes(),
            "lastStableRecoveryTimestamp": timestamp(self.commit),
        };
        if let Role::Primary(leader) = &self.role {
            status.insert("electionCandidateMetrics", self.candidate_metrics(config, me, leader));
        } else if let Some(part) = &self.participation {
            status.insert("electionParticipantMetrics", self.participant_metrics(me, part));
        }
        let members: Vec<Bson> = config
            .members
            .iter()
            .map(|of| match self.peer(of.id) {
                Some(peer) => self.peer_status(now, of, peer).into(),
                None => self.own_status(now, of).into(),
            })
            .collect();
        status.insert("members", members);
        status.insert("ok", 1.0);
        status
    }

    fn host_of(&self, member: Option<i32>) -> String {
        let of = member.and_then(|id| self.disk.config.as_ref()?.member(id));
        of.map(|of| of.host.to_string()).unwrap_or_default()
    }

    /// An arbiter has no journal.
    fn shown_durable(&self) -> OpTime {
        if self.state() == MemberState::Arbiter { NOTHING } else { self.last_durable() }
    }

    fn optimes(&self) -> Document {
        let (applied, durable) = (self.last_applied(), self.shown_durable());
        doc! {
            "lastCommittedOpTime": optime_doc(self.commit),
            "lastCommittedWallTime": date_of(self.commit),
            "readConcernMajorityOpTime": optime_doc(self.commit),
            "appliedOpTime": optime_doc(applied),
            "durableOpTime": optime_doc(durable),
            "lastAppliedWallTime": date_of(applied),
            "lastDurableWallTime": date_of(durable),
        }
    }

    fn candidate_metrics(&self, config: &Config, me: &MemberConfig, leader: &Leader) -> Document {
        let mut metrics = doc! {
            "lastElectionReason": leader.reason.name(),
            "lastElectionDate": date(leader.elected_at),
            "electionTerm": self.term,
            "lastCommittedOpTimeAtElection": optime_doc(leader.committed_then),
            "lastSeenOpTimeAtElection": optime_doc(leader.applied_then),
            "numVotesNeeded": i32::try_from(config.majority()).unwrap_or(i32::MAX),
            "priorityAtElection": me.priority,
            "electionTimeoutMillis": i64::from(millis(config.settings.election_timeout)),
        };
        if let Some(prior) = leader.prior {
            metrics.insert("priorPrimaryMemberId", prior);
        }
        metrics.insert("numCatchUpOps", i64::try_from(leader.caught_up).unwrap_or(i64::MAX));
        if let Some(at) = leader.first_at {
            metrics.insert("newTermStartDate", date(at));
        }
        if let Some(at) = leader.available_at {
            metrics.insert("wMajorityWriteAvailabilityDate", date(at));
        }
        metrics
    }

    fn participant_metrics(&self, me: &MemberConfig, part: &Participation) -> Document {
        doc! {
            "votedForCandidate": part.voted,
            "electionTerm": part.term,
            "lastVoteDate": date(part.at),
            "electionCandidateMemberId": part.candidate,
            "voteReason": &part.reason,
            "lastAppliedOpTimeAtElection": optime_doc(part.applied),
            "maxAppliedOpTimeInSet": optime_doc(part.newest),
            "priorityAtElection": me.priority,
        }
    }

    fn own_status(&self, now: Instant, of: &MemberConfig) -> Document {
        let state = self.state();
        let applied = self.last_applied();
        let mut own = head(of, true, state, now - self.started);
        if !of.arbiter_only {
            own.insert("optime", optime_doc(applied));
            own.insert("optimeDate", date_of(applied));
            own.insert("lastAppliedWallTime", date_of(applied));
            own.insert("lastDurableWallTime", date_of(self.last_durable()));
        }
        own.insert("syncSourceHost", self.host_of(self.sync.source));
        own.insert("syncSourceId", self.sync.source.unwrap_or(-1));
        own.insert("infoMessage", "");
        if let Role::Primary(leader) = &self.role {
            elected(&mut own, leader.elected);
        }
        let number = self.config_number();
        own.insert("configVersion", i32::try_from(number.version).unwrap_or(i32::MAX));
        own.insert("configTerm", i32::try_from(number.term).unwrap_or(i32::MAX));
        own.insert("self", true);
        own.insert("lastHeartbeatMessage", "");
        own
    }

    fn peer_status(&self, now: Instant, of: &MemberConfig, peer: &Peer) -> Document {
        let uptime = peer.up_since.map_or(Duration::ZERO, |since| now - since);
        let mut one = head(of, peer.up, peer.state, uptime);
        if !of.arbiter_only {
            let (applied, durable) = if peer.up { (peer.applied, peer.durable) } else { (NOTHING, NOTHING) };
            one.insert("optime", optime_doc(applied));
            one.insert("optimeDurable", optime_doc(durable));
            one.insert("optimeDate", date_of(applied));
            one.insert("optimeDurableDate", date_of(durable));
            one.insert("lastAppliedWallTime", date_of(peer.applied));
            one.insert("lastDurableWallTime", date_of(peer.durable));
        }
        let never = DateTime::from_millis(0);
        one.insert("lastHeartbeat", peer.last_heartbeat.map_or(never, date));
        one.insert("lastHeartbeatRecv", peer.last_received.map_or(never, date));
        let ping = peer.ping.map_or(0, |ping| ping.as_millis());
        one.insert("pingMs", i64::try_from(ping).unwrap_or(i64::MAX));
        one.insert("lastHeartbeatMessage", peer.trouble);
        one.insert("syncSourceHost", self.host_of(peer.sync_source));
        one.insert("syncSourceId", peer.sync_source.unwrap_or(-1));
        one.insert("infoMessage", "");
        if let Some(when) = peer.elected {
            elected(&mut one, when);
        }
        let (version, term) = if peer.up { (peer.config.version, peer.config.term) } else { (-1, -1) };
        one.insert("configVersion", i32::try_from(version).unwrap_or(i32::MAX));
        one.insert("configTerm", i32::try_from(term).unwrap_or(i32::MAX));
        one
    }
}

fn head(of: &MemberConfig, up: bool, state: MemberState, uptime: Duration) -> Document {
    doc! {
        "_id": of.id,
        "name": of.host.to_string(),
        "health": if up { 1.0 } else { 0.0 },
        "state": state.number(),
        "stateStr": state.name(),
        "uptime": i32::try_from(uptime.as_secs()).unwrap_or(i32::MAX),
    }
}

fn elected(into: &mut Document, (time, increment): (u32, u32)) {
    into.insert("electionTime", Timestamp { time, increment });
    into.insert("electionDate", DateTime::from_millis(i64::from(time) * 1_000));
}

fn count(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
