//! Server discovery and monitoring: hello replies and application errors into [`Topology`], its description out.
//!
//! The format is that of `server-discovery-and-monitoring/tests/README.md`. Two of its notes matter here: a client with a
//! monitor a server may take PossiblePrimary for Unknown, and a network error before the handshake completes carries the
//! backpressure label, as the pool would have put it on.

mod host;

use super::json::{Fields, at, check, object, text};
use super::{Holds, Suite};
pub(super) use host::Host;
use host::bson_of;
use quorate_core::error::{CommandError, IoErrorKind, WriteConcernError, WriteError, WriteFailure, labels};
use quorate_core::sdam::{AppError, ServerDescription, TopologyVersion};
use quorate_core::{Error, ErrorKind, ServerAddress};
use serde_json::Value;

pub(super) use host::options_of;

const fn suite(
    name: &'static str,
    prefix: &'static str,
    specs: &'static str,
    pymongo: &'static str,
) -> Suite {
    Suite { name, prefix, specs, pymongo, holds: Holds::OneCase, expects: &["/phases/*/outcome"], check: run }
}

macro_rules! suite {
    ($folder:literal, $module:literal) => {
        suite(
            concat!("sdam/", $folder),
            concat!("sdam::", $module),
            concat!("server-discovery-and-monitoring/tests/", $folder),
            concat!("discovery_and_monitoring/", $folder),
        )
    };
}

/// The folders of `server-discovery-and-monitoring/tests` that have this format.
pub(super) const SUITES: [Suite; 5] = [
    suite!("rs", "rs"),
    suite!("single", "single"),
    suite!("sharded", "sharded"),
    suite!("load-balanced", "load_balanced"),
    suite!("errors", "errors"),
];

fn run(case: &Value) -> Result<(), String> {
    let case = Fields::of(case, &["description", "uri", "phases"])?;
    let mut host = Host::new(options_of(text(case.get("uri")?)?)?);
    for (i, phase) in case.list("phases")?.iter().enumerate() {
        run_phase(&mut host, phase).map_err(at(&format!("phase {i}")))?;
    }
    Ok(())
}

fn run_phase(host: &mut Host, phase: &Value) -> Result<(), String> {
    let phase = Fields::of(phase, &["description", "responses", "applicationErrors", "outcome"])?;
    for response in phase.list("responses")? {
        host.respond(response)?;
    }
    for error in phase.list("applicationErrors")? {
        app_error(host, error)?;
    }
    check_outcome(host, phase.get("outcome")?)
}

fn app_error(host: &mut Host, error: &Value) -> Result<(), String> {
    let fields = Fields::of(error, &["address", "generation", "maxWireVersion", "when", "type", "response"])?;
    let address = address(text(fields.get("address")?)?)?;
    // Every server this driver talks to is new enough for the version to make no difference.
    fields.get("maxWireVersion")?.as_i64().ok_or("maxWireVersion is no number")?;
    let kind = text(fields.get("type")?)?;
    let mut failure = match kind {
        "network" => Error::io(IoErrorKind::Reset, "mock network error"),
        "timeout" => Error::io(IoErrorKind::TimedOut, "mock network timeout"),
        "command" => command_error(fields.get("response")?)?,
        other => return Err(format!("unknown error type {other:?}")),
    };
    let before_handshake = match text(fields.get("when")?)? {
        "beforeHandshakeCompletes" => true,
        "afterHandshakeCompletes" => false,
        other => return Err(format!("unknown when {other:?}")),
    };
    if before_handshake && kind != "command" {
        failure.add_label(labels::SYSTEM_OVERLOADED_ERROR);
    }
    let generation = match fields.find("generation") {
        Some(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or("generation")?,
        None => host.topology.generation(&address, None),
    };
    let mut failure = AppError::new(failure, generation);
    failure.before_handshake = before_handshake;
    if let Some(version) = fields.find("response").and_then(|response| response.get("topologyVersion")) {
        failure.topology_version = topology_version(version)?;
    }
    host.app_error(&address, &failure);
    Ok(())
}

/// What an operation makes of a reply that reports an error in one way or another.
fn command_error(response: &Value) -> Result<Error, String> {
    let names = ["ok", "errmsg", "code", "topologyVersion", "writeErrors", "writeConcernError"];
    let fields = Fields::of(response, &names)?;
    let code_and_words = |value: &Value| -> (i32, String) {
        let code = value.get("code").and_then(Value::as_i64).and_then(|c| i32::try_from(c).ok());
        let words = value.get("errmsg").and_then(Value::as_str);
        (code.unwrap_or(0), words.unwrap_or_default().to_string())
    };
    if fields.get("ok")?.as_i64() != Some(1) {
        let (code, words) = code_and_words(response);
        return Ok(ErrorKind::Command(CommandError::new(code, "", words, bson_of(response)?)).into());
    }
    if let Some(first) = fields.list("writeErrors")?.first() {
        let mut refused = WriteError::default();
        (refused.code, refused.message) = code_and_words(first);
        return Ok(ErrorKind::Write(WriteFailure::WriteError(refused)).into());
    }
    let mut unconfirmed = WriteConcernError::default();
    (unconfirmed.code, unconfirmed.message) = code_and_words(fields.get("writeConcernError")?);
    Ok(ErrorKind::Write(WriteFailure::WriteConcernError(unconfirmed)).into())
}

fn check_outcome(host: &Host, outcome: &Value) -> Result<(), String> {
    let fields = Fields::of(
        outcome,
        &[
            "topologyType",
            "setName",
            "servers",
            "logicalSessionTimeoutMinutes",
            "maxSetVersion",
            "maxElectionId",
            "compatible",
        ],
    )?;
    let topology = host.topology.description();
    check("topologyType", text(fields.get("topologyType")?)?, topology.topology_type.as_str())?;
    check("setName", fields.text("setName")?, topology.set_name.as_deref())?;
    check(
        "logicalSessionTimeoutMinutes",
        fields.integer("logicalSessionTimeoutMinutes")?,
        topology.logical_session_timeout_minutes,
    )?;
    check("maxSetVersion", fields.integer("maxSetVersion")?, topology.max_set_version)?;
    check("maxElectionId", object_id(fields.find("maxElectionId"))?, topology.max_election_id)?;
    if let Some(compatible) = fields.boolean("compatible")? {
        check("compatible", Some(compatible), Some(topology.compatibility_error.is_none()))?;
    }
    let servers = object(fields.get("servers")?)?;
    let known: Vec<_> = topology.servers.keys().map(ToString::to_string).collect();
    check("number of servers", servers.len(), known.len()).map_err(|e| format!("{e}: {known:?}"))?;
    for (name, expected) in servers {
        let address = address(name)?;
        let server = topology.server(&address).ok_or_else(|| format!("no server {name} in {known:?}"))?;
        check_server(host, expected, server).map_err(at(name))?;
    }
    Ok(())
}

fn check_server(host: &Host, expected: &Value, server: &ServerDescription) -> Result<(), String> {
    let fields = Fields::of(
        expected,
        &[
            "type",
            "error",
            "setName",
            "setVersion",
            "electionId",
            "logicalSessionTimeoutMinutes",
            "minWireVersion",
            "maxWireVersion",
            "topologyVersion",
            "pool",
        ],
    )?;
    let expected_type = match text(fields.get("type")?)? {
        "PossiblePrimary" => "Unknown",
        other => other,
    };
    check("type", expected_type, server.server_type.as_str())?;
    if let Some(part) = fields.find("error") {
        let error = server.error.as_ref().map(ToString::to_string).unwrap_or_default();
        if !error.contains(text(part)?) {
            return Err(format!("error: expected {part} to be part of {error:?}"));
        }
    }
    check("setName", fields.text("setName")?, server.set_name.as_deref())?;
    check("setVersion", fields.integer("setVersion")?, server.set_version)?;
    check("electionId", object_id(fields.find("electionId"))?, server.election_id)?;
    if fields.find("logicalSessionTimeoutMinutes").is_some() {
        let minutes = fields.integer("logicalSessionTimeoutMinutes")?;
        check("logicalSessionTimeoutMinutes", minutes, server.logical_session_timeout_minutes)?;
    }
    // Unset versions are 0 in a description.
    if fields.find("minWireVersion").is_some() {
        check(
            "minWireVersion",
            fields.integer("minWireVersion")?.unwrap_or(0),
            server.min_wire_version.into(),
        )?;
    }
    if fields.find("maxWireVersion").is_some() {
        check(
            "maxWireVersion",
            fields.integer("maxWireVersion")?.unwrap_or(0),
            server.max_wire_version.into(),
        )?;
    }
    let version = fields.find("topologyVersion").map(topology_version).transpose()?.flatten();
    check("topologyVersion", version, server.topology_version)?;
    if let Some(pool) = fields.find("pool") {
        let pool = Fields::of(pool, &["generation"])?;
        let expected = pool.get("generation")?.as_u64().ok_or("generation is no number")?;
        check(
            "generation, as the machine says",
            expected,
            host.topology.generation(&server.address, None).into(),
        )?;
        check("generation, as its outputs say", expected, host.generation(&server.address).into())?;
    }
    Ok(())
}

fn address(text: &str) -> Result<ServerAddress, String> {
    ServerAddress::parse(text).ok_or_else(|| format!("no address: {text:?}"))
}

fn object_id(value: Option<&Value>) -> Result<Option<[u8; 12]>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match bson::Bson::try_from(value.clone()) {
            Ok(bson::Bson::ObjectId(id)) => Ok(Some(id.bytes())),
            other => Err(format!("no ObjectId: {other:?}")),
        },
    }
}

fn topology_version(value: &Value) -> Result<Option<TopologyVersion>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let fields = Fields::of(value, &["processId", "counter"])?;
    let process_id = object_id(Some(fields.get("processId")?))?.ok_or("processId is null")?;
    let counter = match bson::Bson::try_from(fields.get("counter")?.clone()) {
        Ok(bson::Bson::Int64(counter)) => counter,
        other => return Err(format!("no counter: {other:?}")),
    };
    Ok(Some(TopologyVersion { process_id, counter }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case() -> Value {
        json!({
            "description": "a primary steps down",
            "uri": "mongodb://a/?replicaSet=rs",
            "phases": [
                {
                    "responses": [["a:27017", {"ok": 1, "isWritablePrimary": true, "setName": "rs", "setVersion": 2,
                        "hosts": ["a:27017", "b:27017"], "minWireVersion": 0, "maxWireVersion": 21}]],
                    "outcome": {"topologyType": "ReplicaSetWithPrimary", "setName": "rs", "maxSetVersion": 2,
                        "logicalSessionTimeoutMinutes": null, "compatible": true, "servers": {
                            "a:27017": {"type": "RSPrimary", "setName": "rs", "setVersion": 2, "pool": {"generation": 0}},
                            "b:27017": {"type": "Unknown"}}}
                },
                {
                    "applicationErrors": [{"address": "a:27017", "maxWireVersion": 21, "type": "command",
                        "when": "afterHandshakeCompletes", "response": {"ok": 0, "code": 91, "errmsg": "going"}}],
                    "outcome": {"topologyType": "ReplicaSetNoPrimary", "setName": "rs", "maxSetVersion": 2,
                        "logicalSessionTimeoutMinutes": null, "servers": {
                            "a:27017": {"type": "Unknown", "error": "going", "pool": {"generation": 1}},
                            "b:27017": {"type": "Unknown"}}}
                }
            ]
        })
    }

    #[test]
    fn a_good_case_passes() {
        run(&case()).unwrap();
    }

    /// Every expectation of the case, changed one at a time, makes it fail.
    #[test]
    fn any_changed_expectation_fails() {
        let changes = [
            ("/phases/0/outcome/topologyType", json!("Sharded")),
            ("/phases/0/outcome/setName", json!("other")),
            ("/phases/0/outcome/maxSetVersion", json!(3)),
            ("/phases/0/outcome/logicalSessionTimeoutMinutes", json!(30)),
            ("/phases/0/outcome/compatible", json!(false)),
            ("/phases/0/outcome/servers", json!({"a:27017": {"type": "RSPrimary"}})),
            ("/phases/0/outcome/servers/a:27017/type", json!("RSSecondary")),
            ("/phases/0/outcome/servers/a:27017/setName", json!(null)),
            ("/phases/0/outcome/servers/a:27017/setVersion", json!(1)),
            ("/phases/0/outcome/servers/a:27017/pool/generation", json!(1)),
            ("/phases/1/outcome/servers/a:27017/error", json!("coming")),
            ("/phases/1/outcome/servers/a:27017/pool", json!({"generation": 1, "size": 0})),
            ("/phases/1/applicationErrors/0/when", json!("some day")),
        ];
        for (pointer, value) in changes {
            let mut case = case();
            *case.pointer_mut(pointer).unwrap() = value;
            assert!(run(&case).is_err(), "{pointer}");
        }
    }
}
