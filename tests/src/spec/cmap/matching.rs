//! "Spec Test Match Function", and what it is applied to: events and the main thread's error.

use super::file::TestFile;
use super::simulation::Thrown;
use quorate_core::event::cmap::CmapEvent;
use quorate_core::{Duration, ErrorKind};
use serde_json::{Map, Value, json};

/// The suite's name for an event.
pub(super) fn event_name(event: &CmapEvent) -> &'static str {
    match event {
        CmapEvent::PoolCreated(_) => "ConnectionPoolCreated",
        CmapEvent::PoolReady(_) => "ConnectionPoolReady",
        CmapEvent::PoolCleared(_) => "ConnectionPoolCleared",
        CmapEvent::PoolClosed(_) => "ConnectionPoolClosed",
        CmapEvent::ConnectionCreated(_) => "ConnectionCreated",
        CmapEvent::ConnectionReady(_) => "ConnectionReady",
        CmapEvent::ConnectionClosed(_) => "ConnectionClosed",
        CmapEvent::ConnectionCheckoutStarted(_) => "ConnectionCheckOutStarted",
        CmapEvent::ConnectionCheckoutFailed(_) => "ConnectionCheckOutFailed",
        CmapEvent::ConnectionCheckedOut(_) => "ConnectionCheckedOut",
        CmapEvent::ConnectionCheckedIn(_) => "ConnectionCheckedIn",
        other => unreachable!("an event this suite does not know: {other:?}"),
    }
}

fn event_json(event: &CmapEvent) -> Value {
    let millis = |d: Duration| json!(d.as_secs_f64() * 1000.0);
    let (address, mut rest) = match event {
        CmapEvent::PoolCreated(e) => {
            let mut options = Map::new();
            let told = e.options.clone().unwrap_or_default();
            let numbers = [
                ("maxPoolSize", told.max_pool_size.map(u64::from)),
                ("minPoolSize", told.min_pool_size.map(u64::from)),
                ("maxConnecting", told.max_connecting.map(u64::from)),
                ("maxIdleTimeMS", told.max_idle_time.map(|d| d.as_millis() as u64)),
            ];
            for (key, value) in numbers {
                if let Some(value) = value {
                    options.insert(key.into(), json!(value));
                }
            }
            (&e.address, json!({ "options": e.options.as_ref().map(|_| options) }))
        }
        CmapEvent::PoolReady(e) => (&e.address, json!({})),
        CmapEvent::PoolCleared(e) => {
            (&e.address, json!({ "interruptInUseConnections": e.interrupt_in_use_connections }))
        }
        CmapEvent::PoolClosed(e) => (&e.address, json!({})),
        CmapEvent::ConnectionCreated(e) => (&e.address, json!({ "connectionId": e.connection_id })),
        CmapEvent::ConnectionReady(e) => {
            (&e.address, json!({ "connectionId": e.connection_id, "duration": millis(e.duration) }))
        }
        CmapEvent::ConnectionClosed(e) => {
            (&e.address, json!({ "connectionId": e.connection_id, "reason": e.reason.as_str() }))
        }
        CmapEvent::ConnectionCheckoutStarted(e) => (&e.address, json!({})),
        CmapEvent::ConnectionCheckoutFailed(e) => {
            (&e.address, json!({ "reason": e.reason.as_str(), "duration": millis(e.duration) }))
        }
        CmapEvent::ConnectionCheckedOut(e) => {
            (&e.address, json!({ "connectionId": e.connection_id, "duration": millis(e.duration) }))
        }
        CmapEvent::ConnectionCheckedIn(e) => (&e.address, json!({ "connectionId": e.connection_id })),
        other => unreachable!("an event this suite does not know: {other:?}"),
    };
    rest["type"] = json!(event_name(event));
    rest["address"] = json!(address.to_string());
    rest
}

/// "Assert `actual` MATCHES `expected`".
fn matches(expected: &Value, actual: Option<&Value>) -> Result<(), String> {
    let actual = actual.filter(|v| !v.is_null());
    if *expected == json!(42) || *expected == json!("42") {
        return actual.map(|_| ()).ok_or("is missing".into());
    }
    match (expected, actual) {
        (Value::Object(expected), Some(Value::Object(actual))) => expected
            .iter()
            .try_for_each(|(key, value)| matches(value, actual.get(key)).map_err(|e| format!("{key} {e}"))),
        (Value::Array(expected), Some(Value::Array(actual))) => expected
            .iter()
            .enumerate()
            .try_for_each(|(i, value)| matches(value, actual.get(i)).map_err(|e| format!("[{i}] {e}"))),
        (expected, Some(actual)) if expected == actual => Ok(()),
        (expected, actual) => Err(format!("should be {expected}, is {actual:?}")),
    }
}

/// "All connection monitoring events expected to occur", in order, are those not ignored. A file without `events` asks for none.
pub(super) fn check_events(file: &TestFile, events: &[CmapEvent]) -> Result<(), String> {
    let Some(expected) = &file.events else { return Ok(()) };
    let actual: Vec<Value> = events
        .iter()
        .filter(|e| !file.ignore.iter().any(|name| name == event_name(e)))
        .map(event_json)
        .collect();
    for (i, expected) in expected.iter().enumerate() {
        matches(expected, actual.get(i))
            .map_err(|e| format!("event {i}: {e}; all events:\n{}", lines(&actual)))?;
    }
    if actual.len() == expected.len() {
        return Ok(());
    }
    Err(format!("expected {} events, found {}:\n{}", expected.len(), actual.len(), lines(&actual)))
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|e| format!("  {e}\n")).collect()
}

/// The main thread failed as expected, or not at all.
///
/// The pool's messages go on after the specification's sentence with what may help, so a message matches if it begins with it.
pub(super) fn check_error(
    expected: Option<&Map<String, Value>>,
    thrown: Option<&Thrown>,
) -> Result<(), String> {
    let (expected, thrown) = match (expected, thrown) {
        (None, None) => return Ok(()),
        (None, Some(thrown)) => return Err(format!("no error expected, got {thrown:?}")),
        (Some(expected), None) => return Err(format!("expected {expected:?}, got no error")),
        (Some(expected), Some(thrown)) => (expected, thrown),
    };
    let (kind, message) = match &*thrown.error.kind {
        ErrorKind::WaitQueueTimeout { message, .. } => ("WaitQueueTimeoutError", message),
        ErrorKind::ConnectionPoolCleared { message } if thrown.reason == "poolClosed" => {
            ("PoolClosedError", message)
        }
        ErrorKind::ConnectionPoolCleared { message } => ("PoolClearedError", message),
        other => return Err(format!("expected {expected:?}, got {other:?}")),
    };
    for (key, value) in expected {
        match key.as_str() {
            "type" => matches(value, Some(&json!(kind)))?,
            "message" => {
                let begins = value.as_str().is_some_and(|wanted| message.starts_with(wanted));
                if !begins {
                    return Err(format!("error message should begin {value}, is {message:?}"));
                }
            }
            "address" => {
                matches(value, thrown.error.server_address().map(|a| json!(a.to_string())).as_ref())?
            }
            other => return Err(format!("error: unknown key {other}")),
        }
    }
    Ok(())
}
