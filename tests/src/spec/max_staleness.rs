//! Max staleness: server selection with `maxStalenessSeconds`, and the values it must refuse.
//!
//! Format: max staleness specification, tests/README.

use super::server_selection::{Preference, Server, Topology, expect};
use super::{Holds, Suite};
use quorate_core::Duration;
use quorate_core::error::ErrorKind;
use quorate_core::selection::{CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, Snapshot, check};
use serde::Deserialize;
use serde_json::Value;

/// `max-staleness/tests`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "max-staleness",
    prefix: "max_staleness",
    specs: "max-staleness/tests",
    pymongo: "max_staleness",
    holds: Holds::OneCase,
    expects: &["/suitable_servers", "/in_latency_window", "/error"],
    check: run,
}];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(rename = "heartbeatFrequencyMS")]
    heartbeat_frequency_ms: Option<u64>,
    topology_description: Topology,
    read_preference: Preference,
    suitable_servers: Option<Vec<Server>>,
    in_latency_window: Option<Vec<Server>>,
    error: Option<bool>,
}

fn run(test: &Value) -> Result<(), String> {
    let test = Test::deserialize(test).map_err(|e| e.to_string())?;
    // Ten seconds is the multi-threaded driver's default.
    let heartbeat = Duration::from_millis(test.heartbeat_frequency_ms.unwrap_or(10_000));
    let topology = test.topology_description.read(heartbeat)?;
    let criteria = SelectionCriteria::ReadPreference(test.read_preference.read()?);
    match (test.error, test.suitable_servers, test.in_latency_window) {
        (Some(true), None, None) => {
            let snapshot = Snapshot::new(&topology);
            let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
            let picked = cache.pick(&snapshot, &criteria, |_| 0, &mut quorate_core::Rng::new(1));
            for outcome in [check(&snapshot, &criteria), picked.map(|_| ())] {
                match outcome {
                    Err(error) if matches!(*error.kind, ErrorKind::InvalidArgument { .. }) => {}
                    other => return Err(format!("expected an invalid read preference, got {other:?}")),
                }
            }
            Ok(())
        }
        (None | Some(false), Some(suitable), Some(in_window)) => {
            expect(&topology, &criteria, &[], &suitable, &in_window)
        }
        _ => Err("neither `error: true` alone nor both sets of servers".into()),
    }
}
