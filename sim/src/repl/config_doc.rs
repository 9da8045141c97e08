//! A configuration as a document: what `replSetGetConfig` shows, and what `replSetInitiate` and `replSetReconfig` are given.

use super::commands::{is_true, whole};
use super::config::{Config, MemberConfig, Settings};
use super::validate::Fault;
use bson::{Bson, Document, doc, oid::ObjectId};
use quorate_core::ServerAddress;
use std::time::Duration;

impl Config {
    /// As `replSetGetConfig` shows it.
    pub fn to_document(&self) -> Document {
        let members: Vec<Bson> = self.members.iter().map(|of| of.to_document().into()).collect();
        let mut config = doc! { "_id": &self.name, "version": int(self.version) };
        if self.term >= 0 {
            config.insert("term", int(self.term));
        }
        config.insert("members", members);
        config.insert("protocolVersion", 1_i64);
        config.insert("writeConcernMajorityJournalDefault", self.write_concern_majority_journal_default);
        config.insert("settings", self.settings.to_document());
        config
    }

    /// Reads one; everything that may be missing has its default.
    pub(crate) fn parse(given: &Document) -> Result<Config, Fault> {
        let mut config = Config::new("", []);
        let mut named = false;
        for (key, value) in given {
            match (key.as_str(), value) {
                ("_id", Bson::String(name)) => {
                    config.name.clone_from(name);
                    named = true;
                }
                ("version", _) => config.version = between(key, value, 1, i64::from(i32::MAX))?,
                ("term", _) => config.term = whole(Some(value)),
                ("members", Bson::Array(members)) => {
                    for member in members {
                        let Bson::Document(member) = member else {
                            return Err(wrong_type("members", member, "object"));
                        };
                        config.members.push(MemberConfig::parse(member)?);
                    }
                }
                ("protocolVersion", _) => drop(between(key, value, 1, 1)?),
                ("writeConcernMajorityJournalDefault", _) => {
                    config.write_concern_majority_journal_default = is_true(value);
                }
                ("settings", Bson::Document(settings)) => config.settings = Settings::parse(settings)?,
                ("configsvr", _) => {}
                ("_id" | "members" | "settings", _) => return Err(wrong_type(key, value, "object")),
                _ => return Err(unknown("ReplSetConfig", key)),
            }
        }
        if !named {
            return Err(Fault::new("BSON field 'ReplSetConfig._id' is missing but a required field"));
        }
        for member in &config.members {
            member.check()?;
        }
        config.check_modes()?;
        Ok(config)
    }
}

impl MemberConfig {
    pub(crate) fn to_document(&self) -> Document {
        let tags: Document = self.tags.iter().map(|(k, v)| (k.clone(), Bson::from(v.as_str()))).collect();
        doc! {
            "_id": self.id,
            "host": self.host.to_string(),
            "arbiterOnly": self.arbiter_only,
            "buildIndexes": self.build_indexes,
            "hidden": self.hidden,
            "priority": self.priority,
            "tags": tags,
            "secondaryDelaySecs": i64::try_from(self.secondary_delay.as_secs()).unwrap_or(i64::MAX),
            "votes": i32::from(self.votes),
        }
    }

    fn parse(given: &Document) -> Result<MemberConfig, Fault> {
        let host = match given.get("host") {
            Some(Bson::String(host)) => ServerAddress::parse(host)
                .ok_or_else(|| Fault::new(format!("Failed to parse host '{host}'")))?,
            _ => return Err(Fault::new("BSON field 'MemberConfig.host' is missing but a required field")),
        };
        if !given.contains_key("_id") {
            return Err(Fault::new("BSON field 'MemberConfig._id' is missing but a required field"));
        }
        let mut member = MemberConfig::new(0, host);
        let mut priority = None;
        for (key, value) in given {
            match (key.as_str(), value) {
                ("_id", _) => member.id = between(key, value, 0, 255)? as i32,
                ("host", _) => {}
                ("arbiterOnly", _) => member.arbiter_only = is_true(value),
                ("buildIndexes", _) => member.build_indexes = is_true(value),
                ("hidden", _) => member.hidden = is_true(value),
                ("priority", Bson::Double(given)) => priority = Some(*given),
                ("priority", _) => priority = Some(whole(Some(value)) as f64),
                ("tags", Bson::Document(tags)) => {
                    for (tag, value) in tags {
                        let Bson::String(value) = value else { return Err(wrong_type(tag, value, "string")) };
                        member.tags.insert(tag.clone(), value.clone());
                    }
                }
                ("secondaryDelaySecs", _) => {
                    let secs = between(key, value, 0, 3_600 * 24 * 366)?;
                    member.secondary_delay = Duration::from_secs(secs.unsigned_abs());
                }
                ("votes", _) => member.votes = between(key, value, 0, 1)? == 1,
                ("newlyAdded", _) => {}
                _ => return Err(unknown("MemberConfig", key)),
            }
        }
        // An arbiter's priority is 0, said or not.
        member.priority = match priority {
            Some(1.0) | None if member.arbiter_only => 0.0,
            Some(given) => given,
            None => 1.0,
        };
        Ok(member)
    }
}

impl Settings {
    fn to_document(&self) -> Document {
        let modes: Document = self
            .modes
            .iter()
            .map(|(name, mode)| {
                let tags: Document =
                    mode.iter().map(|(tag, n)| (tag.clone(), Bson::Int32(int(i64::from(*n))))).collect();
                (name.clone(), Bson::Document(tags))
            })
            .collect();
        doc! {
            "chainingAllowed": self.chaining_allowed,
            "heartbeatIntervalMillis": millis(Some(self.heartbeat_interval)),
            "heartbeatTimeoutSecs": int(i64::try_from(self.heartbeat_timeout.as_secs()).unwrap_or(i64::MAX)),
            "electionTimeoutMillis": millis(Some(self.election_timeout)),
            "catchUpTimeoutMillis": millis(self.catch_up_timeout),
            "catchUpTakeoverDelayMillis": millis(self.catch_up_takeover_delay),
            "getLastErrorModes": modes,
            "getLastErrorDefaults": { "w": 1, "wtimeout": 0 },
            "replicaSetId": ObjectId::from_bytes(self.replica_set_id),
        }
    }

    fn parse(given: &Document) -> Result<Settings, Fault> {
        let mut settings = Settings::default();
        let limit = i64::from(i32::MAX);
        for (key, value) in given {
            match (key.as_str(), value) {
                ("chainingAllowed", _) => settings.chaining_allowed = is_true(value),
                ("heartbeatIntervalMillis", _) => settings.heartbeat_interval = ms(above_zero(key, value)?),
                ("heartbeatTimeoutSecs", _) => {
                    settings.heartbeat_timeout = ms(above_zero(key, value)?.saturating_mul(1_000));
                }
                ("electionTimeoutMillis", _) => settings.election_timeout = ms(above_zero(key, value)?),
                ("catchUpTimeoutMillis", _) => {
                    settings.catch_up_timeout = optional(between(key, value, -1, limit)?);
                }
                ("catchUpTakeoverDelayMillis", _) => {
                    settings.catch_up_takeover_delay = optional(between(key, value, -1, limit)?);
                }
                ("getLastErrorModes", Bson::Document(modes)) => {
                    for (name, tags) in modes {
                        let Bson::Document(tags) = tags else { return Err(wrong_type(name, tags, "object")) };
                        let mode = settings.modes.entry(name.clone()).or_default();
                        for (tag, n) in tags {
                            mode.insert(tag.clone(), u32::try_from(above_zero(tag, n)?).unwrap_or(u32::MAX));
                        }
                    }
                }
                ("getLastErrorDefaults", Bson::Document(defaults)) => check_defaults(defaults)?,
                ("replicaSetId", Bson::ObjectId(id)) => settings.replica_set_id = id.bytes(),
                _ => return Err(unknown("ReplSetConfigSettings", key)),
            }
        }
        Ok(settings)
    }
}

/// Only the value everybody has is still taken.
fn check_defaults(defaults: &Document) -> Result<(), Fault> {
    let usual = defaults.iter().all(|(key, value)| match key.as_str() {
        "w" => whole(Some(value)) == 1,
        "wtimeout" => whole(Some(value)) == 0,
        _ => false,
    });
    if usual {
        return Ok(());
    }
    Err(Fault::with_code(
        5_624_102,
        "Failed to reconfig: Replica set config contains customized getLastErrorDefaults, which has been deprecated and is now \
         ignored. Use setDefaultRWConcern instead to set a cluster-wide default writeConcern.",
    ))
}

fn int(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn millis(duration: Option<Duration>) -> i32 {
    duration.map_or(-1, |duration| i32::try_from(duration.as_millis()).unwrap_or(i32::MAX))
}

fn ms(number: i64) -> Duration {
    Duration::from_millis(number.unsigned_abs())
}

fn optional(number: i64) -> Option<Duration> {
    (number >= 0).then(|| ms(number))
}

fn above_zero(key: &str, value: &Bson) -> Result<i64, Fault> {
    match whole(Some(value)) {
        number if number > 0 => Ok(number),
        number => Err(Fault::new(format!("BSON field '{key}' value must be > 0, actual value '{number}'"))),
    }
}

fn between(key: &str, value: &Bson, low: i64, high: i64) -> Result<i64, Fault> {
    let number = whole(Some(value));
    if number < low {
        return Err(Fault::new(format!(
            "BSON field '{key}' value must be >= {low}, actual value '{number}'"
        )));
    }
    if number > high {
        return Err(Fault::new(format!(
            "BSON field '{key}' value must be <= {high}, actual value '{number}'"
        )));
    }
    Ok(number)
}

fn unknown(of: &str, key: &str) -> Fault {
    Fault::new(format!("BSON field '{of}.{key}' is an unknown field."))
}

fn wrong_type(key: &str, value: &Bson, wanted: &str) -> Fault {
    Fault::new(format!(
        "BSON field '{key}' is the wrong type '{:?}', expected type '{wanted}'",
        value.element_type()
    ))
}
