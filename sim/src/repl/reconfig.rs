//! `replSetReconfig`: one voting member at a time, each configuration on a majority before the next.

use super::commands::is_true;
use super::config::{Config, ConfigVersion, MemberConfig};
use super::output::{Answer, error};
use super::role::{Leader, Role};
use super::state::MemberState;
use super::{Member, Output};
use bson::{Bson, Document, doc};
use quorate_core::Instant;
use std::sync::Arc;

const INCOMPATIBLE: (i32, &str) = (103, "NewReplicaSetConfigurationIncompatible");

/// A forced configuration's version jumps by this much and by chance, so that it is newer than any made meanwhile elsewhere.
const FORCE_JUMP: i64 = 10_000;

impl Member {
    pub(super) fn reconfigure(&mut self, now: Instant, call: u64, body: &Document) -> Answer {
        let force = body.get("force").is_some_and(is_true);
        let Some(Bson::Document(given)) = body.get("replSetReconfig") else {
            return Answer::Reply(error(2, "BadValue", "no configuration specified"));
        };
        match self.new_config(given, force) {
            Err(reply) => Answer::Reply(reply),
            Ok(config) => {
                let number = config.number();
                self.install(now, Arc::new(config));
                if force || !self.is_primary() {
                    return Answer::Reply(doc! { "ok": 1.0 });
                }
                self.pending.reconfig = Some((call, number));
                Answer::Pending
            }
        }
    }

    /// The configuration to be installed, or the error.
    fn new_config(&mut self, given: &Document, force: bool) -> Result<Config, Document> {
        let Some(old) = self.disk.config.clone() else { return Err(doc! { "ok": 0.0 }) };
        if !force {
            self.may_reconfigure(&old)?;
        }
        let mut new =
            Config::parse(given).map_err(|fault| error(fault.code(), fault.code_name(), fault.message))?;
        if new.name != old.name {
            let text = format!(
                "Rejecting reconfig where new config set name differs from command line set name, new config set name: {}, old \
                 config set name: {}",
                new.name, old.name
            );
            return Err(error(93, "InvalidReplicaSetConfig", text));
        }
        if force {
            let chance = i64::try_from(self.rng.below(100_000)).unwrap_or(0);
            new.version = old.version.max(new.version) + FORCE_JUMP + chance;
            new.term = -1;
        } else {
            new.term = self.term;
        }
        if !new.number().is_newer_than(old.number()) {
            let (a, b) = (shown(new.number()), shown(old.number()));
            let text = format!(
                "New replica set configuration version and term must be greater than old, but {a} is not greater than {b} for \
                 replica set {}",
                old.name
            );
            return Err(incompatible(text));
        }
        new.check().map_err(|fault| incompatible(fault.message))?;
        mark_newly_added(&old, &mut new, force);
        compatible(&old, &new, force).map_err(incompatible)?;
        self.has_its_place(&new, force)?;
        Ok(new)
    }

    /// Only a writable primary may, and only on top of a configuration that a majority has.
    fn may_reconfigure(&self, old: &Config) -> Result<(), Document> {
        if !self.is_writable_primary() {
            let text = format!(
                "New config is rejected :: caused by :: replSetReconfig should only be run on a writable PRIMARY. Current state {};",
                self.state()
            );
            return Err(error(10107, "NotWritablePrimary", text));
        }
        if self.pending.reconfig.is_some() {
            let text = "Cannot run replSetReconfig because the node is currently updating its configuration";
            return Err(error(109, "ConfigurationInProgress", text));
        }
        let Role::Primary(Leader { first, .. }) = &self.role else { return Ok(()) };
        if !self.is_config_committed(old) {
            let text = format!(
                "Cannot run replSetReconfig because the current configuration: {} is not majority committed.",
                shown(old.number())
            );
            return Err(error(308, "CurrentConfigNotCommittedYet", text));
        }
        if first.is_none_or(|first| self.commit < first) {
            let text =
                "Cannot run replSetReconfig because the primary has not yet committed an entry in its term";
            return Err(error(308, "CurrentConfigNotCommittedYet", text));
        }
        Ok(())
    }

    /// This member is in the new configuration and, being primary, may stay so; enough others are there.
    fn has_its_place(&self, new: &Config, force: bool) -> Result<(), Document> {
        let Some(me) = new.find(&self.host) else {
            return Err(error(74, "NodeNotFound", new.without(&self.host)));
        };
        if force {
            return Ok(());
        }
        if !me.is_electable() {
            let text = format!(
                "This node, {}, with _id MemberId({}) is not electable under the new configuration with {} for replica set {}",
                self.host,
                me.id,
                shown(new.number()),
                new.name
            );
            return Err(error(104, "NodeNotElectable", text));
        }
        let there = |of: &&MemberConfig| of.id == me.id || self.peer(of.id).is_some_and(|peer| peer.up);
        let voters: Vec<&MemberConfig> = new.members.iter().filter(|of| of.is_voter()).collect();
        let responding: Vec<String> =
            voters.iter().copied().filter(there).map(|of| of.host.to_string()).collect();
        if responding.len() < new.majority() {
            let text = format!(
                "Quorum check failed because not enough voting nodes responded; required {} but only the following {} voting nodes \
                 responded: {}",
                new.majority(),
                responding.len(),
                responding.join(", ")
            );
            return Err(error(74, "NodeNotFound", text));
        }
        Ok(())
    }

    /// Whether a majority of its voters has this configuration.
    pub(super) fn is_config_committed(&self, config: &Config) -> bool {
        let has = |of: &&MemberConfig| {
            Some(of.id) == self.me || self.peer(of.id).is_some_and(|peer| peer.config == config.number())
        };
        config.members.iter().filter(|of| of.is_voter()).filter(has).count() >= config.majority()
    }

    /// The reconfiguration is answered once a majority has it.
    pub(super) fn check_reconfig(&mut self) {
        let (Some((call, number)), Some(config)) = (self.pending.reconfig, self.disk.config.as_ref()) else {
            return;
        };
        if config.number() == number && self.is_config_committed(config) {
            self.pending.reconfig = None;
            self.outputs.push_back(Output::Answered { call, reply: doc! { "ok": 1.0 } });
        }
    }

    /// A member added with a vote gets it once it is a secondary, by a reconfiguration of the primary's own.
    pub(super) fn promote_newly_added(&mut self, now: Instant, at: usize) {
        let (Some(config), Some(peer)) = (self.disk.config.clone(), self.peers.get(at)) else { return };
        let ready = peer.state == MemberState::Secondary
            && config.member(peer.member).is_some_and(|of| of.newly_added)
            && self.is_writable_primary()
            && self.pending.reconfig.is_none()
            && self.is_config_committed(&config);
        if !ready {
            return;
        }
        let member = peer.member;
        let mut new = (*config).clone();
        new.version += 1;
        new.term = self.term;
        for of in new.members.iter_mut().filter(|of| of.id == member) {
            of.newly_added = false;
        }
        self.install(now, Arc::new(new));
    }
}

fn incompatible(text: String) -> Document {
    error(INCOMPATIBLE.0, INCOMPATIBLE.1, text)
}

/// As the server prints it.
pub(super) fn shown(number: ConfigVersion) -> String {
    format!("{{version: {}, term: {}}}", number.version, number.term)
}

/// New members with a vote begin without, those that still are keep it so.
fn mark_newly_added(old: &Config, new: &mut Config, force: bool) {
    for of in &mut new.members {
        of.newly_added = match old.member(of.id) {
            Some(before) => before.newly_added,
            None => !force && of.votes && !of.arbiter_only,
        };
    }
}

/// What may not change from one configuration to the next.
fn compatible(old: &Config, new: &Config, force: bool) -> Result<(), String> {
    for of in &new.members {
        if let Some(before) = old.find(&of.host)
            && before.id != of.id
        {
            return Err(format!(
                "New and old configurations both have members with host of {} but in the new configuration the _id field is \
                 MemberId({}) and in the old configuration it is MemberId({}) for replica set {}",
                of.host, of.id, before.id, new.name
            ));
        }
        if let Some(before) = old.member(of.id)
            && before.host == of.host
            && before.arbiter_only != of.arbiter_only
        {
            return Err(format!(
                "New and old configurations differ in the setting of the arbiterOnly field for member {}; to make this change, \
                 remove then re-add the member",
                of.host
            ));
        }
    }
    let ids = |config: &Config| -> Vec<i32> {
        config.members.iter().filter(|of| of.is_voter()).map(|of| of.id).collect()
    };
    let (before, after) = (ids(old), ids(new));
    let changed = before.iter().filter(|id| !after.contains(id)).count()
        + after.iter().filter(|id| !before.contains(id)).count();
    if !force && changed > 1 {
        return Err("Non force replica set reconfig can only add or remove at most 1 voting member.".into());
    }
    Ok(())
}
