//! `hello`, `isMaster` and `ismaster`: what a server says of itself.

use super::conn::MAX_MESSAGE_SIZE;
use super::generic::{expect_int, missing, truth, type_name, wrong};
use super::settings::MongodSettings;
use crate::store::Failure;
use bson::oid::ObjectId;
use bson::{Bson, DateTime, Document, doc};
use quorate_core::Duration;

/// `topologyVersion`: which run of which process, and how often what it says of the topology has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TopologyVersion {
    /// Drawn when the process starts.
    pub(crate) process_id: [u8; 12],
    /// Rises with every change.
    pub(crate) counter: i64,
}

impl TopologyVersion {
    /// `{processId, counter}`.
    pub(crate) fn shown(self) -> Document {
        doc! { "processId": ObjectId::from_bytes(self.process_id), "counter": self.counter }
    }
}

/// The arguments of a hello.
#[derive(Debug, Default)]
pub(crate) struct HelloArguments {
    /// `topologyVersion` and `maxAwaitTimeMS`: answer when it is different, or when the time is up.
    pub(crate) awaits: Option<(TopologyVersion, Duration)>,
    /// `helloOk`.
    pub(crate) hello_ok: bool,
    /// `saslSupportedMechs`: of which user.
    pub(crate) mechanisms_of: Option<String>,
    /// `speculativeAuthenticate`.
    pub(crate) speculative: Option<Document>,
    /// `loadBalanced`.
    pub(crate) load_balanced: bool,
}

impl HelloArguments {
    /// Reads them.
    pub(crate) fn read(body: &Document) -> Result<Self, Failure> {
        let name = body.keys().next().map_or("hello", String::as_str);
        let mut read = HelloArguments {
            hello_ok: body.get("helloOk").is_some_and(truth),
            load_balanced: body.get("loadBalanced").is_some_and(truth),
            speculative: body.get_document("speculativeAuthenticate").ok().cloned(),
            ..HelloArguments::default()
        };
        read.mechanisms_of = match body.get("saslSupportedMechs") {
            None => None,
            Some(Bson::String(user)) => Some(user.clone()),
            Some(Bson::Document(user)) => {
                Some(format!("{}.{}", user.get_str("db").unwrap_or(""), user.get_str("user").unwrap_or("")))
            }
            Some(other) => {
                let found = type_name(other);
                let text = format!(
                    "BSON field '{name}.saslSupportedMechs' is the wrong type '{found}', expected types '[string, object']"
                );
                return Err(Failure::new(14, text));
            }
        };
        let version = body.get("topologyVersion").map(|v| topology_version(name, v)).transpose()?;
        let wait = body.get("maxAwaitTimeMS").map(|v| max_await(name, v)).transpose()?;
        read.awaits = match (version, wait) {
            (Some(version), Some(wait)) => Some((version, wait)),
            (None, None) => None,
            (Some(_), None) => {
                let text = "A request with a 'topologyVersion' must include 'maxAwaitTimeMS'";
                return Err(Failure::new(31368, text));
            }
            (None, Some(_)) => {
                let text = "A request with 'maxAwaitTimeMS' must include a 'topologyVersion'";
                return Err(Failure::new(31368, text));
            }
        };
        Ok(read)
    }
}

fn topology_version(name: &str, value: &Bson) -> Result<TopologyVersion, Failure> {
    let field = format!("{name}.topologyVersion");
    let Bson::Document(version) = value else { return Err(wrong(&field, value, "object")) };
    let process_id = match version.get("processId") {
        None => return Err(missing(&format!("{field}.processId"))),
        Some(Bson::ObjectId(id)) => id.bytes(),
        Some(other) => return Err(wrong(&format!("{field}.processId"), other, "objectId")),
    };
    let counter = match version.get("counter") {
        None => return Err(missing(&format!("{field}.counter"))),
        Some(Bson::Int64(counter)) => *counter,
        Some(other) => return Err(wrong(&format!("{field}.counter"), other, "long")),
    };
    Ok(TopologyVersion { process_id, counter })
}

fn max_await(name: &str, value: &Bson) -> Result<Duration, Failure> {
    let Some(millis) = expect_int(value) else {
        let found = type_name(value);
        let text = format!(
            "BSON field '{name}.maxAwaitTimeMS' is the wrong type '{found}', expected types '[long, int, decimal, double']"
        );
        return Err(Failure::new(14, text));
    };
    u64::try_from(millis).map(Duration::from_millis).map_err(|_| {
        let text = format!("BSON field 'maxAwaitTimeMS' value must be >= 0, actual value '{millis}'");
        Failure::new(51024, text)
    })
}

/// Whether a hello that awaits a change since `known` has to wait: not if the server is another process, or further on.
pub(crate) fn has_to_wait(known: TopologyVersion, own: TopologyVersion) -> Result<bool, Failure> {
    if known.process_id != own.process_id {
        return Ok(false);
    }
    if known.counter > own.counter {
        let text = format!(
            "Received a topology version with counter: {} which is greater than the server topology version counter: {}",
            known.counter, own.counter
        );
        return Err(Failure::new(31382, text));
    }
    Ok(known.counter == own.counter)
}

/// The end of every hello: limits, time, versions. `legacy` is `isMaster`'s field names.
pub(crate) fn limits(reply: &mut Document, settings: &MongodSettings, wall_millis: i64, connection: i32) {
    reply.insert("maxBsonObjectSize", 16 * 1024 * 1024);
    reply.insert("maxMessageSizeBytes", MAX_MESSAGE_SIZE);
    reply.insert("maxWriteBatchSize", 100_000);
    reply.insert("localTime", DateTime::from_millis(wall_millis));
    reply.insert("logicalSessionTimeoutMinutes", 30);
    reply.insert("connectionId", connection);
    reply.insert("minWireVersion", 0);
    reply.insert("maxWireVersion", settings.max_wire_version);
    reply.insert("readOnly", false);
}

/// `isWritablePrimary` under the name the caller's command has for it.
pub(crate) fn rename_for(legacy: bool, fields: Document) -> Document {
    if !legacy {
        return fields;
    }
    fields
        .into_iter()
        .map(|(k, v)| if k == "isWritablePrimary" { ("ismaster".to_owned(), v) } else { (k, v) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(body: Document) -> i32 {
        HelloArguments::read(&body).unwrap_err().code
    }

    #[test]
    fn awaiting_needs_both_arguments() {
        let version = TopologyVersion { process_id: [1; 12], counter: 3 };
        let both = doc! { "hello": 1, "topologyVersion": version.shown(), "maxAwaitTimeMS": 10 };
        let read = HelloArguments::read(&both).unwrap();
        assert_eq!(read.awaits, Some((version, Duration::from_millis(10))));
        assert_eq!(code(doc! { "hello": 1, "topologyVersion": version.shown() }), 31368);
        assert_eq!(code(doc! { "hello": 1, "maxAwaitTimeMS": 1 }), 31368);
        assert_eq!(
            code(doc! { "hello": 1, "topologyVersion": version.shown(), "maxAwaitTimeMS": -1 }),
            51024
        );
        assert_eq!(code(doc! { "hello": 1, "topologyVersion": 1, "maxAwaitTimeMS": 1 }), 14);
        let half = doc! { "processId": ObjectId::from_bytes([1; 12]) };
        assert_eq!(code(doc! { "hello": 1, "topologyVersion": half, "maxAwaitTimeMS": 1 }), 40414);
        assert_eq!(code(doc! { "hello": 1, "saslSupportedMechs": 1 }), 14);
    }

    #[test]
    fn only_an_equal_version_waits() {
        let own = TopologyVersion { process_id: [1; 12], counter: 3 };
        assert_eq!(has_to_wait(own, own), Ok(true));
        assert_eq!(has_to_wait(TopologyVersion { counter: 2, ..own }, own), Ok(false));
        assert_eq!(has_to_wait(TopologyVersion { process_id: [2; 12], counter: 9 }, own), Ok(false));
        assert_eq!(has_to_wait(TopologyVersion { counter: 4, ..own }, own).unwrap_err().code, 31382);
    }
}
