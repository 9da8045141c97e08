//! SDAM monitoring: the events that hello replies give rise to, in full and in order.

use super::json::{Fields, at, check, text};
use super::sdam::{Host, options_of};
use super::{Holds, Suite};
use quorate_core::ServerAddress;
use quorate_core::event::sdam::SdamEvent;
use quorate_core::sdam::{ServerDescription, TopologyDescription};
use serde_json::Value;

/// `server-discovery-and-monitoring/tests/monitoring`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "sdam-monitoring",
    prefix: "sdam_monitoring",
    specs: "server-discovery-and-monitoring/tests/monitoring",
    pymongo: "sdam_monitoring",
    holds: Holds::OneCase,
    expects: &["/phases/*/outcome"],
    check: run,
}];

fn run(case: &Value) -> Result<(), String> {
    let case = Fields::of(case, &["description", "uri", "phases"])?;
    let mut host = Host::new(options_of(text(case.get("uri")?)?)?);
    for (i, phase) in case.list("phases")?.iter().enumerate() {
        let phase = Fields::of(phase, &["description", "responses", "outcome"])?;
        for response in phase.list("responses")? {
            host.respond(response)?;
        }
        let outcome = Fields::of(phase.get("outcome")?, &["events"])?;
        let events = std::mem::take(&mut host.events);
        check_events(outcome.list("events")?, &events).map_err(at(&format!("phase {i}")))?;
    }
    Ok(())
}

fn check_events(expected: &[Value], events: &[SdamEvent]) -> Result<(), String> {
    check("number of events", expected.len(), events.len()).map_err(|e| format!("{e}: {events:?}"))?;
    for (i, (expected, event)) in expected.iter().zip(events).enumerate() {
        check_event(expected, event).map_err(at(&format!("event {i}")))?;
    }
    Ok(())
}

fn check_event(expected: &Value, event: &SdamEvent) -> Result<(), String> {
    let (name, value) = match expected.as_object().map(|o| o.iter().collect::<Vec<_>>()).as_deref() {
        Some([only]) => *only,
        _ => return Err(format!("an event is an object with one key: {expected}")),
    };
    match (name.as_str(), event) {
        ("topology_opening_event", SdamEvent::TopologyOpening(event)) => {
            Fields::of(value, &["topologyId"])?;
            check_id(value, event.topology_id)
        }
        ("topology_closed_event", SdamEvent::TopologyClosed(event)) => {
            Fields::of(value, &["topologyId"])?;
            check_id(value, event.topology_id)
        }
        ("server_opening_event", SdamEvent::ServerOpening(event)) => {
            let fields = Fields::of(value, &["topologyId", "address"])?;
            check_id(value, event.topology_id)?;
            check("address", text(fields.get("address")?)?, &event.address.to_string())
        }
        ("server_closed_event", SdamEvent::ServerClosed(event)) => {
            let fields = Fields::of(value, &["topologyId", "address"])?;
            check_id(value, event.topology_id)?;
            check("address", text(fields.get("address")?)?, &event.address.to_string())
        }
        ("server_description_changed_event", SdamEvent::ServerDescriptionChanged(event)) => {
            let fields =
                Fields::of(value, &["topologyId", "address", "previousDescription", "newDescription"])?;
            check_id(value, event.topology_id)?;
            check("address", text(fields.get("address")?)?, &event.address.to_string())?;
            check_server(fields.get("previousDescription")?, &event.previous_description)
                .map_err(at("previousDescription"))?;
            check_server(fields.get("newDescription")?, &event.new_description).map_err(at("newDescription"))
        }
        ("topology_description_changed_event", SdamEvent::TopologyDescriptionChanged(event)) => {
            let fields = Fields::of(value, &["topologyId", "previousDescription", "newDescription"])?;
            check_id(value, event.topology_id)?;
            check_topology(fields.get("previousDescription")?, &event.previous_description)
                .map_err(at("previousDescription"))?;
            check_topology(fields.get("newDescription")?, &event.new_description)
                .map_err(at("newDescription"))
        }
        _ => Err(format!("expected {name}, found {event:?}")),
    }
}

/// The files' id stands for whatever the driver calls the topology; it is always the same.
fn check_id(value: &Value, id: u64) -> Result<(), String> {
    let expected = text(value.get("topologyId").ok_or("topologyId is missing")?)?;
    check("topologyId", expected, &id.to_string())
}

fn check_topology(expected: &Value, topology: &TopologyDescription) -> Result<(), String> {
    let fields = Fields::of(expected, &["topologyType", "setName", "servers"])?;
    check("topologyType", text(fields.get("topologyType")?)?, topology.topology_type.as_str())?;
    check("setName", fields.text("setName")?, topology.set_name.as_deref())?;
    let servers = fields.list("servers")?;
    check("number of servers", servers.len(), topology.servers.len())?;
    for expected in servers {
        let name = text(expected.get("address").ok_or("address is missing")?)?;
        let address = ServerAddress::parse(name).ok_or("address")?;
        let server = topology.server(&address).ok_or_else(|| format!("no server {name}"))?;
        check_server(expected, server).map_err(at(name))?;
    }
    Ok(())
}

fn check_server(expected: &Value, server: &ServerDescription) -> Result<(), String> {
    let names = ["address", "type", "setName", "primary", "hosts", "passives", "arbiters"];
    let fields = Fields::of(expected, &names)?;
    check("address", text(fields.get("address")?)?, &server.address.to_string())?;
    let expected_type = match text(fields.get("type")?)? {
        "PossiblePrimary" => "Unknown",
        other => other,
    };
    check("type", expected_type, server.server_type.as_str())?;
    check("setName", fields.text("setName")?, server.set_name.as_deref())?;
    let primary = server.primary.as_ref().map(ToString::to_string);
    check("primary", fields.text("primary")?, primary.as_deref())?;
    check_members("hosts", &fields, &server.hosts)?;
    check_members("passives", &fields, &server.passives)?;
    check_members("arbiters", &fields, &server.arbiters)
}

fn check_members(name: &str, fields: &Fields<'_>, actual: &[ServerAddress]) -> Result<(), String> {
    fields.get(name)?;
    let expected = fields.list(name)?.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let actual: Vec<_> = actual.iter().map(ToString::to_string).collect();
    check(name, expected, actual.iter().map(String::as_str).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn case() -> Value {
        let unknown =
            json!({"address": "a:1", "type": "Unknown", "hosts": [], "passives": [], "arbiters": []});
        let known = json!({"address": "a:1", "type": "RSOther", "setName": "rs", "primary": "b:1",
            "hosts": ["a:1"], "passives": [], "arbiters": []});
        json!({
            "description": "a member is found",
            "uri": "mongodb://a:1/?replicaSet=rs&directConnection=true",
            "phases": [
                {"responses": [], "outcome": {"events": [
                    {"topology_opening_event": {"topologyId": "42"}},
                    {"topology_description_changed_event": {"topologyId": "42",
                        "previousDescription": {"topologyType": "Unknown", "servers": []},
                        "newDescription": {"topologyType": "Single", "setName": "rs", "servers": [unknown]}}},
                    {"server_opening_event": {"topologyId": "42", "address": "a:1"}}
                ]}},
                {"responses": [["a:1", {"ok": 1, "setName": "rs", "hosts": ["a:1"], "primary": "b:1"}]],
                "outcome": {"events": [
                    {"server_description_changed_event": {"topologyId": "42", "address": "a:1",
                        "previousDescription": unknown, "newDescription": known}},
                    {"topology_description_changed_event": {"topologyId": "42",
                        "previousDescription": {"topologyType": "Single", "setName": "rs", "servers": [unknown]},
                        "newDescription": {"topologyType": "Single", "setName": "rs", "servers": [known]}}}
                ]}}
            ]
        })
    }

    #[test]
    fn a_good_case_passes() {
        run(&case()).unwrap();
    }

    #[test]
    fn any_changed_expectation_fails() {
        let changed = "/phases/1/outcome/events/0/server_description_changed_event";
        let topology = "/phases/1/outcome/events/1/topology_description_changed_event";
        let changes = [
            ("/phases/0/outcome/events".to_string(), json!([])),
            (
                "/phases/0/outcome/events/0".to_string(),
                json!({"topology_closed_event": {"topologyId": "42"}}),
            ),
            ("/phases/0/outcome/events/2/server_opening_event/address".to_string(), json!("b:1")),
            (format!("{changed}/newDescription/type"), json!("Unknown")),
            (format!("{changed}/newDescription/primary"), json!("a:1")),
            (format!("{changed}/newDescription/hosts"), json!([])),
            (format!("{changed}/previousDescription/setName"), json!("rs")),
            (format!("{topology}/newDescription/topologyType"), json!("Unknown")),
            (format!("{topology}/newDescription/servers"), json!([])),
            (format!("{topology}/newDescription/servers/0/type"), json!("Unknown")),
        ];
        for (pointer, value) in changes {
            let mut case = case();
            match case.pointer_mut(&pointer) {
                Some(place) => *place = value,
                // The key is to be added to its parent.
                None => {
                    let (parent, key) = pointer.rsplit_once('/').unwrap();
                    case.pointer_mut(parent).unwrap()[key] = value;
                }
            }
            assert!(run(&case).is_err(), "{pointer}");
        }
    }
}
