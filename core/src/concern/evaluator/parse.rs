//! Configuration and progress from the server's own documents.
//!
//! Flat walks over raw BSON, bounded by what a replica set can be; anything else is an error that names the field.

use super::{MemberProgress, OpTime, ReplicaSetConfig, ReplicaSetMember, WriteConcernMode};
use crate::error::{Error, Result};
use crate::raw::{RawDoc, RawError, Value};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A replica set has at most 50 members.
const MAX_MEMBERS: usize = 50;
/// Tags of a member, modes of a set, tags of a mode: far beyond any real configuration.
const MAX_ENTRIES: usize = 256;

fn malformed(error: RawError) -> Error {
    Error::invalid_response(format!("replica set document: {error}"))
}

fn wrong(field: &str, wanted: &str) -> Error {
    Error::invalid_response(format!("replica set document: {field} must be {wanted}"))
}

fn get<'a>(doc: RawDoc<'a>, field: &str) -> Result<Option<Value<'a>>> {
    Ok(doc.get(field).map_err(malformed)?.filter(|value| *value != Value::Null))
}

fn bool_or(doc: RawDoc<'_>, field: &str, default: bool) -> Result<bool> {
    match get(doc, field)? {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| wrong(field, "a boolean")),
    }
}

fn integer_or(doc: RawDoc<'_>, field: &str, default: i64) -> Result<i64> {
    match get(doc, field)? {
        None => Ok(default),
        Some(value) => value.as_i64().ok_or_else(|| wrong(field, "an integer")),
    }
}

impl ReplicaSetConfig {
    /// Reads the reply to `replSetGetConfig`, or the configuration document by itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidResponse`](crate::ErrorKind::InvalidResponse) naming the field that is missing or of the wrong
    /// type; more than 50 members; two members with one `_id`; a mode that asks for less than one value.
    pub fn from_raw(doc: RawDoc<'_>) -> Result<Self> {
        let config = match get(doc, "config")? {
            Some(value) => value.as_document().ok_or_else(|| wrong("config", "a document"))?,
            None => doc,
        };
        let members = get(config, "members")?.and_then(Value::as_array);
        let members = read_members(members.ok_or_else(|| wrong("members", "an array"))?)?;
        let modes = match get(config, "settings")? {
            None => BTreeMap::new(),
            Some(value) => read_modes(value.as_document().ok_or_else(|| wrong("settings", "a document"))?)?,
        };
        let field = "writeConcernMajorityJournalDefault";
        Ok(ReplicaSetConfig {
            members,
            modes,
            write_concern_majority_journal_default: bool_or(config, field, true)?,
        })
    }
}

fn read_members(array: RawDoc<'_>) -> Result<Vec<ReplicaSetMember>> {
    let mut members: Vec<ReplicaSetMember> = Vec::new();
    for element in array.iter() {
        let (_, value) = element.map_err(malformed)?;
        let member =
            read_member(value.as_document().ok_or_else(|| wrong("members", "an array of documents"))?)?;
        if members.len() == MAX_MEMBERS {
            return Err(wrong("members", "no more than 50"));
        }
        if members.iter().any(|have| have.id == member.id) {
            return Err(wrong("members._id", "unique"));
        }
        members.push(member);
    }
    Ok(members)
}

fn read_member(doc: RawDoc<'_>) -> Result<ReplicaSetMember> {
    let id = get(doc, "_id")?.and_then(Value::as_i32).ok_or_else(|| wrong("members._id", "an integer"))?;
    let host = get(doc, "host")?.and_then(Value::as_str).ok_or_else(|| wrong("members.host", "a string"))?;
    // A member added by a running reconfiguration has no vote and no priority until it has caught up.
    let newly_added = bool_or(doc, "newlyAdded", false)?;
    let priority = match get(doc, "priority")? {
        None => 1.0,
        Some(Value::Double(priority)) => priority,
        Some(value) => value.as_i32().map(f64::from).ok_or_else(|| wrong("members.priority", "a number"))?,
    };
    let delay = match integer_or(doc, "secondaryDelaySecs", 0)? {
        // Its name before MongoDB 5.0.
        0 => integer_or(doc, "slaveDelay", 0)?,
        delay => delay,
    };
    Ok(ReplicaSetMember {
        id,
        host: host.into(),
        arbiter: bool_or(doc, "arbiterOnly", false)?,
        hidden: bool_or(doc, "hidden", false)?,
        votes: integer_or(doc, "votes", 1)? > 0 && !newly_added,
        electable: priority > 0.0 && !newly_added,
        delay_secs: u64::try_from(delay).map_err(|_| wrong("members.secondaryDelaySecs", "0 or more"))?,
        tags: match get(doc, "tags")? {
            None => BTreeMap::new(),
            Some(value) => {
                let tags = value.as_document().ok_or_else(|| wrong("members.tags", "a document"))?;
                read_entries(tags, "members.tags", |value| value.as_str().map(String::from))?
            }
        },
    })
}

fn read_modes(settings: RawDoc<'_>) -> Result<BTreeMap<String, WriteConcernMode>> {
    let field = "settings.getLastErrorModes";
    let Some(value) = get(settings, "getLastErrorModes")? else { return Ok(BTreeMap::new()) };
    let docs = value.as_document().ok_or_else(|| wrong(field, "a document"))?;
    let docs = read_entries(docs, field, Value::as_document)?;
    let needed = |value: Value<'_>| value.as_i64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    docs.into_iter().map(|(name, mode)| Ok((name, read_entries(mode, field, needed)?))).collect()
}

/// A document as a map, all its values read by `read`.
fn read_entries<'a, V>(
    doc: RawDoc<'a>,
    field: &str,
    read: impl Fn(Value<'a>) -> Option<V>,
) -> Result<BTreeMap<String, V>> {
    let mut entries = BTreeMap::new();
    for element in doc.iter() {
        let (name, value) = element.map_err(malformed)?;
        let value = read(value).ok_or_else(|| wrong(&format!("{field}.{name:.64}"), "of the right type"))?;
        if entries.len() == MAX_ENTRIES {
            return Err(wrong(field, "no more than 256 entries"));
        }
        entries.insert(name.into(), value);
    }
    Ok(entries)
}

impl MemberProgress {
    /// Reads the members of a reply to `replSetGetStatus`: `health`, `optime` and `optimeDurable` of each.
    ///
    /// # Errors
    /// As [`ReplicaSetConfig::from_raw`].
    pub fn from_status(reply: RawDoc<'_>) -> Result<Vec<Self>> {
        let array = get(reply, "members")?.and_then(Value::as_array);
        let mut members = Vec::new();
        for element in array.ok_or_else(|| wrong("members", "an array"))?.iter() {
            let (_, value) = element.map_err(malformed)?;
            let doc = value.as_document().ok_or_else(|| wrong("members", "an array of documents"))?;
            if members.len() == MAX_MEMBERS {
                return Err(wrong("members", "no more than 50"));
            }
            let id = get(doc, "_id")?.and_then(Value::as_i32);
            members.push(MemberProgress {
                id: id.ok_or_else(|| wrong("members._id", "an integer"))?,
                reachable: bool_or(doc, "health", false)?,
                applied: read_optime(doc, "optime")?,
                durable: read_optime(doc, "optimeDurable")?,
            });
        }
        Ok(members)
    }
}

/// `{ts, t}`; `None` where the member has not told (arbiters never do), or told the null optime of a member that is down.
fn read_optime(doc: RawDoc<'_>, field: &str) -> Result<Option<OpTime>> {
    let Some(value) = get(doc, field)? else { return Ok(None) };
    let doc = value.as_document().ok_or_else(|| wrong(field, "a document"))?;
    let ts = get(doc, "ts")?.and_then(Value::as_timestamp).ok_or_else(|| wrong(field, "{ts, t}"))?;
    let term = get(doc, "t")?.and_then(Value::as_i64).ok_or_else(|| wrong(field, "{ts, t}"))?;
    Ok((ts != Default::default()).then_some(OpTime { term, ts }))
}
