//! What makes a configuration invalid, in the server's words.

use super::config::{Config, MemberConfig};
use super::reconfig::shown;
use bson::Bson;
use quorate_core::ServerAddress;

/// The most members, and the most with a vote, a set may have.
const MEMBERS: usize = 50;
const VOTERS: usize = 7;

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    pub(crate) message: String,
    code: Option<i32>,
}

impl Fault {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Fault { message: message.into(), code: None }
    }

    pub(crate) fn with_code(code: i32, message: impl Into<String>) -> Self {
        Fault { message: message.into(), code: Some(code) }
    }

    pub(crate) fn code(&self) -> i32 {
        self.code.unwrap_or(93)
    }

    pub(crate) fn code_name(&self) -> &'static str {
        match self.code {
            Some(5_624_102) => "Location5624102",
            _ => "InvalidReplicaSetConfig",
        }
    }
}

impl Config {
    /// What concerns the members together.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.members.is_empty() || self.members.len() > MEMBERS {
            return Err(Fault::new(format!(
                "Replica set configuration contains {} members, but must have at least 1 and no more than {MEMBERS}",
                self.members.len()
            )));
        }
        for (j, second) in self.members.iter().enumerate() {
            for (i, first) in self.members.iter().take(j).enumerate() {
                if first.id == second.id {
                    return Err(Fault::new(format!(
                        "Found two member configurations with same _id field, members.{i}._id == members.{j}._id == MemberId({})",
                        first.id
                    )));
                }
                if first.host == second.host {
                    return Err(Fault::new(format!(
                        "Found two member configurations with same host field, members.{i}.host == members.{j}.host == {}",
                        first.host
                    )));
                }
            }
        }
        let voters = self.members.iter().filter(|of| of.votes).count();
        if voters > VOTERS || voters == 0 {
            return Err(Fault::new(format!(
                "Replica set configuration contains {voters} voting members, but must be at least 1 and no more than {VOTERS}"
            )));
        }
        if !self.members.iter().any(|of| of.priority > 0.0 && !of.arbiter_only) {
            return Err(Fault::new(
                "Replica set configuration must contain at least one non-arbiter member with priority > 0",
            ));
        }
        Ok(())
    }

    /// The tags that custom write concerns speak of must exist.
    pub(crate) fn check_modes(&self) -> Result<(), Fault> {
        for tag in self.settings.modes.values().flat_map(|mode| mode.keys()) {
            if !self.members.iter().any(|of| of.tags.contains_key(tag)) {
                return Err(Fault::new(format!("No replica set tag key {tag} in config")));
            }
        }
        Ok(())
    }

    /// The words for a configuration without the member it is given to.
    pub(crate) fn without(&self, _host: &ServerAddress) -> String {
        let number = shown(self.number());
        format!(
            "No host described in new configuration with {number} for replica set {} maps to this node",
            self.name
        )
    }
}

impl MemberConfig {
    /// What concerns one member.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let prioritized = self.priority > 0.0;
        let why = if self.arbiter_only && !self.tags.is_empty() {
            return Err(Fault::new("Cannot set tags on arbiters."));
        } else if !(0.0..=1000.0).contains(&self.priority) {
            format!("priority must be between 0 and 1000 but found: {}", self.priority)
        } else if self.arbiter_only && !self.votes {
            "Arbiter must vote (cannot have 0 votes)".into()
        } else if prioritized && !self.votes {
            "priority must be 0 when non-voting (votes:0)".into()
        } else if prioritized && !self.secondary_delay.is_zero() {
            "priority must be 0 when secondaryDelaySecs is used".into()
        } else if prioritized && self.hidden {
            "priority must be 0 when hidden=true".into()
        } else if prioritized && !self.build_indexes {
            "priority must be 0 when buildIndexes=false".into()
        } else {
            return Ok(());
        };
        Err(Fault::new(format!("member: {} :: caused by :: {why}", self.print())))
    }

    /// As the server prints documents: `{ _id: 2, host: "h:1", ... }`.
    fn print(&self) -> String {
        let fields = self.to_document();
        let fields: Vec<String> =
            fields.iter().map(|(key, value)| format!("{key}: {}", printed(value))).collect();
        format!("{{ {} }}", fields.join(", "))
    }
}

fn printed(value: &Bson) -> String {
    match value {
        Bson::String(text) => format!("{text:?}"),
        Bson::Double(number) => format!("{number:?}"),
        Bson::Document(inner) if inner.is_empty() => "{}".into(),
        Bson::Document(inner) => {
            let fields: Vec<String> =
                inner.iter().map(|(key, value)| format!("{key}: {}", printed(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        other => other.to_string(),
    }
}
