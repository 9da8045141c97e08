//! Selection within the latency window by operation counts: a statistical test with a fixed seed.
//!
//! Format: server selection specification, tests/README, "Selection Within Latency Window YAML Tests".

use super::server_selection::Topology;
use super::{Holds, Suite};
use quorate_core::selection::{CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, Snapshot};
use quorate_core::{Duration, ReadPreference, ReadPreferenceMode, Rng, ServerAddress};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// `server-selection/tests/in_window`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "server-selection/in-window",
    prefix: "server_selection::in_window",
    specs: "server-selection/tests/in_window",
    pymongo: "server_selection/in_window",
    holds: Holds::OneCase,
    expects: &["/outcome/expected_frequencies"],
    check: run,
}];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    #[serde(rename = "description")]
    _description: String,
    topology_description: Topology,
    mocked_topology_state: Vec<Mocked>,
    iterations: u32,
    outcome: Outcome,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mocked {
    address: String,
    operation_count: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Outcome {
    tolerance: f64,
    expected_frequencies: BTreeMap<String, f64>,
}

fn run(test: &Value) -> Result<(), String> {
    let test = Test::deserialize(test).map_err(|e| e.to_string())?;
    let snapshot = Snapshot::new(&test.topology_description.read(Duration::from_secs(10))?);
    let index = |text: &str| {
        let address = ServerAddress::parse(text).ok_or(format!("bad address {text}"))?;
        snapshot.index_of(&address).ok_or(format!("{text} is not in the topology")).map(|at| at as usize)
    };
    let mut counts = vec![None; snapshot.len()];
    for mocked in &test.mocked_topology_state {
        counts[index(&mocked.address)?] = Some(mocked.operation_count);
    }
    let counts: Vec<u32> = counts.into_iter().collect::<Option<_>>().ok_or("a server without a count")?;

    let nearest = SelectionCriteria::from(ReadPreference::new(ReadPreferenceMode::Nearest));
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
    let mut rng = Rng::new(0x5eed);
    let mut picked = vec![0u32; snapshot.len()];
    for _ in 0..test.iterations {
        let at = cache
            .pick(&snapshot, &nearest, |at| counts[at as usize], &mut rng)
            .map_err(|e| e.to_string())?
            .ok_or("nothing selected")?;
        picked[at as usize] += 1;
    }

    if test.outcome.expected_frequencies.len() != snapshot.len() {
        return Err("expected_frequencies must name every server".into());
    }
    for (address, expected) in &test.outcome.expected_frequencies {
        let observed = f64::from(picked[index(address)?]) / f64::from(test.iterations);
        // "If the expected frequency for a given server is 1 or 0, then the observed frequency MUST be exactly equal".
        let exact = *expected == 0.0 || *expected == 1.0;
        let tolerance = if exact { 0.0 } else { test.outcome.tolerance };
        if (observed - expected).abs() > tolerance {
            return Err(format!("{address}: expected {expected} within {tolerance}, observed {observed}"));
        }
    }
    Ok(())
}
