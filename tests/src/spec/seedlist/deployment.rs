//! The deployments behind the seeds ("Test Setup"): what answers at which port.

use crate::spec::sdam::Host;
use quorate_core::sdam::{TopologyOptions, TopologyType};
use quorate_core::selection::{CandidateCache, DEFAULT_LOCAL_THRESHOLD, SelectionCriteria, Snapshot};
use quorate_core::{ClientOptions, ReadPreference, ReadPreferenceMode, Rng, ServerAddress};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Names that lead to this machine.
const LOCAL: [&str; 3] = ["localhost", "localhost.test.build.10gen.cc", "localhost.sub.test.build.10gen.cc"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployment {
    /// `repl0` at ports 27017, 27018 and 27019, whose members call themselves `localhost`.
    ReplicaSet,
    /// Two `mongos` at ports 27017 and 27018.
    Sharded,
    /// Behind a load balancer at port 8000, which is never asked anything.
    LoadBalanced,
}

/// What a client knows in the end.
pub(super) struct Discovered {
    pub(super) hosts: BTreeSet<String>,
    pub(super) can_ping: bool,
}

impl Deployment {
    /// Lets a topology find out, starting from the seeds of `options`.
    pub(super) fn discover(self, options: &ClientOptions) -> Result<Discovered, String> {
        let topology = TopologyOptions {
            seeds: options.hosts.clone(),
            direct_connection: options.direct_connection,
            replica_set: options.repl_set_name.clone(),
            load_balanced: options.load_balanced == Some(true),
            heartbeat_frequency: options.effective_heartbeat_freq(),
            ..TopologyOptions::default()
        };
        topology.validate().map_err(|e| e.to_string())?;
        let mut host = Host::new(topology);
        let mut checked = BTreeSet::new();
        while let Some(address) = self.unchecked(&host, &checked) {
            host.respond(&json!([address.to_string(), self.hello(&address)]))?;
            checked.insert(address);
        }
        let description = host.topology.description();
        let mut cache = CandidateCache::new(DEFAULT_LOCAL_THRESHOLD, None);
        let primary = SelectionCriteria::from(ReadPreference::new(ReadPreferenceMode::Primary));
        let picked = cache.pick(&Snapshot::new(description), &primary, |_| 0, &mut Rng::new(1));
        Ok(Discovered {
            hosts: description.servers.keys().map(ToString::to_string).collect(),
            can_ping: picked.map_err(|e| e.to_string())?.is_some(),
        })
    }

    fn unchecked(self, host: &Host, checked: &BTreeSet<ServerAddress>) -> Option<ServerAddress> {
        let description = host.topology.description();
        if description.topology_type == TopologyType::LoadBalanced {
            return None;
        }
        description.servers.keys().find(|address| !checked.contains(*address)).cloned()
    }

    /// A reply to hello; empty where nobody listens.
    fn hello(self, address: &ServerAddress) -> Value {
        let local = LOCAL.contains(&address.host());
        match (self, address.port()) {
            (Deployment::ReplicaSet, Some(port @ 27017..=27019)) if local => json!({
                "ok": 1, "helloOk": true, "minWireVersion": 0, "maxWireVersion": 21,
                "isWritablePrimary": port == 27017, "secondary": port != 27017,
                "setName": "repl0", "setVersion": 1, "me": format!("localhost:{port}"),
                "primary": "localhost:27017",
                "hosts": ["localhost:27017", "localhost:27018", "localhost:27019"],
            }),
            (Deployment::Sharded, Some(27017 | 27018)) if local => json!({
                "ok": 1, "helloOk": true, "minWireVersion": 0, "maxWireVersion": 21,
                "isWritablePrimary": true, "msg": "isdbgrid",
            }),
            _ => json!({}),
        }
    }
}
