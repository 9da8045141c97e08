//! Server selection: which servers are suitable, which of them lie within the latency window.
//!
//! Format: server selection specification, tests/README, "Server Selection Logic Tests".

use super::{Holds, Suite};
use quorate_core::error::Result as CoreResult;
use quorate_core::sdam::{ServerDescription, ServerType, TopologyDescription, TopologyType};
use quorate_core::selection::{
    CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, Snapshot, check, in_window, suitable,
};
use quorate_core::{Duration, Instant, ReadPreference, ReadPreferenceMode, Rng, ServerAddress, TagSet};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// `server-selection/tests/server_selection`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "server-selection/selection",
    prefix: "server_selection",
    specs: "server-selection/tests/server_selection",
    pymongo: "server_selection/server_selection",
    holds: Holds::OneCase,
    expects: &["/suitable_servers", "/in_latency_window"],
    check: run,
}];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    topology_description: Topology,
    operation: Operation,
    read_preference: Preference,
    suitable_servers: Vec<Server>,
    in_latency_window: Vec<Server>,
    #[serde(default)]
    deprioritized_servers: Vec<Server>,
}

#[derive(Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Operation {
    Read,
    Write,
}

/// `topology_description`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topology {
    #[serde(rename = "type")]
    kind: String,
    servers: Vec<Server>,
}

/// One server of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Server {
    address: String,
    #[serde(rename = "type")]
    kind: String,
    avg_rtt_ms: Option<u64>,
    #[serde(default)]
    tags: TagSet,
    #[serde(rename = "lastUpdateTime")]
    last_update_time: Option<u64>,
    #[serde(rename = "lastWrite")]
    last_write: Option<LastWrite>,
    #[serde(rename = "maxWireVersion")]
    max_wire_version: Option<i32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LastWrite {
    #[serde(rename = "lastWriteDate")]
    last_write_date: Value,
}

/// `read_preference`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Preference {
    mode: Option<String>,
    #[serde(default)]
    tag_sets: Vec<TagSet>,
    #[serde(rename = "maxStalenessSeconds")]
    max_staleness_seconds: Option<i64>,
}

impl Preference {
    pub(super) fn read(self) -> Result<ReadPreference, String> {
        let mode = match self.mode {
            None => ReadPreferenceMode::Primary,
            Some(name) => ReadPreferenceMode::parse(&name).ok_or(format!("unknown mode {name}"))?,
        };
        let max_staleness = match self.max_staleness_seconds {
            None | Some(-1) => None,
            Some(seconds) => {
                Some(Duration::from_secs(u64::try_from(seconds).map_err(|_| "negative maxStalenessSeconds")?))
            }
        };
        Ok(ReadPreference { mode, tag_sets: Arc::from(self.tag_sets), max_staleness })
    }
}

impl Server {
    fn read(&self) -> Result<ServerDescription, String> {
        let address = ServerAddress::parse(&self.address).ok_or(format!("bad address {}", self.address))?;
        let mut server = ServerDescription::unknown(address);
        server.server_type = server_type(&self.kind)?;
        server.round_trip_time = self.avg_rtt_ms.map(Duration::from_millis);
        server.tags = self.tags.clone().into();
        server.last_update = match self.last_update_time {
            Some(millis) => Some(Instant::from_nanos(millis.checked_mul(1_000_000).ok_or("lastUpdateTime")?)),
            None => None,
        };
        server.last_write_date =
            self.last_write.as_ref().map(|last| number(&last.last_write_date)).transpose()?;
        server.max_wire_version = self.max_wire_version.unwrap_or(0);
        Ok(server)
    }
}

impl Topology {
    pub(super) fn read(&self, heartbeat_frequency: Duration) -> Result<TopologyDescription, String> {
        let mut servers = std::collections::BTreeMap::new();
        for server in &self.servers {
            let server = server.read()?;
            if servers.insert(server.address.clone(), Arc::new(server)).is_some() {
                return Err("two servers with the same address".into());
            }
        }
        Ok(TopologyDescription {
            topology_type: topology_type(&self.kind)?,
            set_name: None,
            max_set_version: None,
            max_election_id: None,
            servers,
            compatibility_error: None,
            logical_session_timeout_minutes: None,
            heartbeat_frequency,
        })
    }
}

/// A number in plain or extended JSON.
fn number(value: &Value) -> Result<i64, String> {
    let wrapped = value.get("$numberLong").and_then(|text| text.as_str()).and_then(|text| text.parse().ok());
    value.as_i64().or(wrapped).ok_or(format!("not a number: {value}"))
}

fn server_type(name: &str) -> Result<ServerType, String> {
    use ServerType::*;
    [
        Unknown,
        Standalone,
        Mongos,
        PossiblePrimary,
        RsPrimary,
        RsSecondary,
        RsArbiter,
        RsOther,
        RsGhost,
        LoadBalancer,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == name)
    .ok_or(format!("unknown server type {name}"))
}

fn topology_type(name: &str) -> Result<TopologyType, String> {
    use TopologyType::*;
    [Unknown, Single, ReplicaSetNoPrimary, ReplicaSetWithPrimary, Sharded, LoadBalanced]
        .into_iter()
        .find(|kind| kind.as_str() == name)
        .ok_or(format!("unknown topology type {name}"))
}

fn run(test: &Value) -> Result<(), String> {
    let test = Test::deserialize(test).map_err(|e| e.to_string())?;
    let topology = test.topology_description.read(Duration::from_secs(10))?;
    let criteria = match test.operation {
        Operation::Read => test.read_preference.read()?.into(),
        Operation::Write => {
            test.read_preference.read()?;
            SelectionCriteria::Writable
        }
    };
    // Deprioritized servers are known by address only: one file gives them in a state they are no longer in.
    let deprioritized: Vec<ServerAddress> =
        test.deprioritized_servers.iter().map(|s| s.read().map(|s| s.address)).collect::<Result<_, _>>()?;
    expect(&topology, &criteria, &deprioritized, &test.suitable_servers, &test.in_latency_window)
}

/// Holds what selection finds, at each of its stages, against what the file expects.
pub(super) fn expect(
    topology: &TopologyDescription,
    criteria: &SelectionCriteria,
    deprioritized: &[ServerAddress],
    suitable_servers: &[Server],
    in_latency_window: &[Server],
) -> Result<(), String> {
    let snapshot = Snapshot::new(topology);
    check(&snapshot, criteria).map_err(|e| format!("refused: {e}"))?;
    let mut found = Vec::new();
    suitable(&snapshot, criteria, deprioritized, &mut found);
    compare("suitable_servers", &snapshot, &found, suitable_servers)?;
    in_window(&snapshot, DEFAULT_LOCAL_THRESHOLD, &mut found);
    compare("in_latency_window", &snapshot, &found, in_latency_window)?;

    // The way an operation goes gives each of them, and none but them.
    let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
    let mut rng = Rng::new(1);
    let mut picked = BTreeSet::new();
    for _ in 0..200 {
        let pick = |cache: &mut CandidateCache, rng: &mut Rng| -> CoreResult<Option<u32>> {
            if deprioritized.is_empty() {
                cache.pick(&snapshot, criteria, |_| 0, rng)
            } else {
                cache.pick_avoiding(&snapshot, criteria, deprioritized, |_| 0, rng)
            }
        };
        picked.extend(pick(&mut cache, &mut rng).map_err(|e| format!("pick: {e}"))?);
    }
    compare("picked", &snapshot, &picked.into_iter().collect::<Vec<_>>(), in_latency_window)
}

/// The servers found are those expected, each in the very state the file gives.
fn compare(what: &str, snapshot: &Snapshot, found: &[u32], expected: &[Server]) -> Result<(), String> {
    let mut expected: Vec<ServerDescription> = expected.iter().map(Server::read).collect::<Result<_, _>>()?;
    expected.sort_by(|a, b| a.address.cmp(&b.address));
    let found: Vec<ServerDescription> =
        found.iter().filter_map(|at| snapshot.server(*at)).map(|server| (**server).clone()).collect();
    if found == expected {
        return Ok(());
    }
    let names = |servers: &[ServerDescription]| -> Vec<String> {
        servers.iter().map(|s| format!("{} {}", s.address, s.server_type)).collect()
    };
    Err(format!("{what}: expected {:?}, found {:?}", names(&expected), names(&found)))
}
