//! `replSetInitiate`: a set begins once every member it is to have has answered.

use super::config::{Config, ConfigVersion, MemberConfig};
use super::message::{HeartbeatReply, Message};
use super::output::{Answer, error};
use super::timers::Timer;
use super::validate::Fault;
use super::wall::wall_secs;
use super::{Member, Output};
use crate::node::NodeId;
use crate::oplog::{Change, OplogEntry};
use bson::{Bson, doc};
use quorate_core::concern::OpTime;
use quorate_core::{Instant, ServerAddress};
use std::sync::Arc;
use std::time::Duration;

/// How long the others may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A set about to begin.
#[derive(Debug)]
pub(crate) struct Initiate {
    call: u64,
    config: Config,
    /// Who has not answered yet.
    waiting: Vec<(u64, Option<NodeId>, ServerAddress)>,
}

impl Member {
    pub(super) fn initiate(&mut self, now: Instant, call: u64, argument: &Bson) -> Answer {
        if self.disk.config.is_some() {
            return Answer::Reply(error(23, "AlreadyInitialized", "already initialized"));
        }
        if self.pending.initiate.is_some() {
            return Answer::Reply(error(23, "AlreadyInitialized", "initiation is under way"));
        }
        let config = match self.first_config(argument) {
            Ok(config) => config,
            Err(fault) => return Answer::Reply(error(93, "InvalidReplicaSetConfig", fault.message)),
        };
        let others: Vec<ServerAddress> =
            config.members.iter().map(|of| of.host.clone()).filter(|host| *host != self.host).collect();
        let mut waiting = Vec::new();
        for host in others {
            let node = self.directory.get(&host).copied();
            let rpc = self.rpc();
            if let Some(node) = node {
                let beat = self.heartbeat(rpc);
                self.send(node, Message::Heartbeat(beat));
            }
            waiting.push((rpc, node, host));
        }
        let nobody = waiting.iter().find(|(_, node, _)| node.is_none()).map(|(_, _, host)| host.clone());
        self.pending.initiate = Some(Initiate { call, config, waiting });
        self.timers.set(Timer::Initiate, now + PATIENCE);
        match nobody {
            Some(host) => self.initiate_failed(&host, &refused(&host)),
            None => self.initiate_complete(now),
        }
        Answer::Pending
    }

    /// The configuration given, or one with this member alone.
    fn first_config(&self, argument: &Bson) -> Result<Config, Fault> {
        let mut config = match argument {
            Bson::Document(given) if !given.is_empty() => Config::parse(given)?,
            _ => Config::new(&self.set_name, [MemberConfig::new(0, self.host.clone())]),
        };
        config.term = 0;
        config.check()?;
        if config.name != self.set_name {
            return Err(Fault::new(format!(
                "Rejecting initiate with a set name that differs from command line set name, initiate set name: {}, \
                 command line set name: {}",
                config.name, self.set_name
            )));
        }
        if config.find(&self.host).is_none() {
            return Err(Fault::new(config.without(&self.host)));
        }
        Ok(config)
    }

    pub(super) fn initiate_answered(&mut self, now: Instant, from: NodeId, reply: &HeartbeatReply) {
        let Some(under_way) = &mut self.pending.initiate else { return };
        let at = under_way.waiting.iter().position(|(rpc, node, _)| *rpc == reply.rpc && *node == Some(from));
        let Some(at) = at else { return };
        let (_, _, host) = under_way.waiting.swap_remove(at);
        if reply.config != ConfigVersion::NONE {
            self.initiate_failed(&host, "the host is a member of a replica set already");
            return;
        }
        self.initiate_complete(now);
    }

    pub(super) fn initiate_unreachable(&mut self, _now: Instant, node: NodeId) {
        let Some(under_way) = &self.pending.initiate else { return };
        let host =
            under_way.waiting.iter().find(|(_, there, _)| *there == Some(node)).map(|(_, _, h)| h.clone());
        if let Some(host) = host {
            self.initiate_failed(&host, &refused(&host));
        }
    }

    pub(super) fn initiate_over(&mut self, _now: Instant) {
        let first = self.pending.initiate.as_ref().and_then(|under_way| under_way.waiting.first());
        if let Some(host) = first.map(|(_, _, host)| host.clone()) {
            self.initiate_failed(&host, "Couldn't get a connection within the time limit");
        }
    }

    fn initiate_failed(&mut self, host: &ServerAddress, why: &str) {
        self.timers.clear(Timer::Initiate);
        if let Some(Initiate { call, .. }) = self.pending.initiate.take() {
            let text = format!(
                "replSetInitiate quorum check failed because not all proposed set members responded affirmatively: {host} failed \
                 with {why}"
            );
            self.outputs.push_back(Output::Answered { call, reply: error(74, "NodeNotFound", text) });
        }
    }

    /// Everybody is there: the log gets its first entry, and the others hear of the set by heartbeats.
    fn initiate_complete(&mut self, now: Instant) {
        if self.pending.initiate.as_ref().is_none_or(|under_way| !under_way.waiting.is_empty()) {
            return;
        }
        let Some(Initiate { call, mut config, .. }) = self.pending.initiate.take() else { return };
        self.timers.clear(Timer::Initiate);
        let (high, low) = (self.rng.next_u64().to_be_bytes(), self.rng.next_u64().to_be_bytes());
        config.settings.replica_set_id[..8].copy_from_slice(&high);
        config.settings.replica_set_id[8..].copy_from_slice(&low[..4]);
        let optime = OpTime::new(-1, wall_secs(now), 1);
        let entry = Arc::new(OplogEntry { optime, changes: vec![Change::Noop], statement: None });
        self.disk.log.push(Arc::clone(&entry));
        self.outputs.push_back(Output::Apply(vec![entry]));
        self.disk.durable = optime;
        self.disk.has_data = true;
        self.last_optime = optime;
        self.disk.config = Some(Arc::new(config.clone()));
        self.outputs.push_back(Output::Answered { call, reply: doc! { "ok": 1.0 } });
        self.enter_config(now, &config);
        self.begin(now, true);
    }
}

fn refused(host: &ServerAddress) -> String {
    format!("Error connecting to {host} :: caused by :: Connection refused")
}
