//! Where a topology starts from.
//!
//! Source: SDAM specification, "Configuration".

use super::{ServerDescription, TopologyDescription, TopologyType};
use crate::error::{Error, Result};
use crate::shared::Arc;
use crate::{Duration, ServerAddress};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// What the user says of the deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopologyOptions {
    /// The servers to start with: from the connection string, or from its SRV record.
    pub seeds: Vec<ServerAddress>,
    /// `directConnection`: talk to the one seed and look no further. Not given is the same as `false`.
    pub direct_connection: Option<bool>,
    /// `replicaSet`: the name the replica set must have.
    pub replica_set: Option<String>,
    /// `loadBalanced`: the one seed is a load balancer.
    pub load_balanced: bool,
    /// `heartbeatFrequencyMS`: between two checks of a server.
    pub heartbeat_frequency: Duration,
    /// What the host was told not to check when it connects; an event tells of it.
    pub unverified: Option<Unverified>,
    /// The planted mistake to make.
    #[cfg(feature = "mistakes")]
    pub mistake: Option<crate::mistakes::Mistake>,
}

/// What is left unchecked about who the servers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unverified {
    /// Any certificate will do.
    pub any_certificate: bool,
    /// One made out to another host will do.
    pub any_hostname: bool,
}

impl Default for TopologyOptions {
    /// `localhost:27017`, checked every 10 seconds.
    fn default() -> Self {
        TopologyOptions {
            seeds: alloc::vec![ServerAddress::default()],
            direct_connection: None,
            replica_set: None,
            load_balanced: false,
            heartbeat_frequency: Duration::from_secs(10),
            unverified: None,
            #[cfg(feature = "mistakes")]
            mistake: None,
        }
    }
}

impl TopologyOptions {
    /// The starting type ("Initial TopologyType"; load balancer specification, "Monitoring").
    pub const fn initial_type(&self) -> TopologyType {
        match (self.load_balanced, self.direct_connection, &self.replica_set) {
            (true, _, _) => TopologyType::LoadBalanced,
            (_, Some(true), _) => TopologyType::Single,
            (_, _, Some(_)) => TopologyType::ReplicaSetNoPrimary,
            (_, _, None) => TopologyType::Unknown,
        }
    }

    /// Says which options cannot go together ("Allowed configuration combinations"; load balancer specification, "URI
    /// Validation").
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidArgument`] naming them.
    pub fn validate(&self) -> Result<()> {
        let direct = self.direct_connection == Some(true);
        let wrong = match self.seeds.len() {
            0 => "at least one seed is needed",
            2.. if direct => "directConnection=true takes exactly one seed",
            2.. if self.load_balanced => "loadBalanced=true takes exactly one seed",
            _ if self.load_balanced && direct => {
                "loadBalanced=true and directConnection=true exclude each other"
            }
            _ if self.load_balanced && self.replica_set.is_some() => {
                "loadBalanced=true and replicaSet exclude each other"
            }
            _ => return Ok(()),
        };
        Err(Error::invalid_argument(wrong))
    }
}

impl TopologyDescription {
    /// The description a topology starts with ("Initial TopologyDescription"): every seed Unknown, a load balancer too.
    pub fn new(options: &TopologyOptions) -> Self {
        let servers = options
            .seeds
            .iter()
            .map(|seed| {
                let address = lower_case(seed);
                (address.clone(), Arc::new(ServerDescription::unknown(address)))
            })
            .collect();
        TopologyDescription {
            topology_type: options.initial_type(),
            set_name: options.replica_set.as_deref().map(Into::into),
            servers,
            ..Self::empty(options.heartbeat_frequency)
        }
    }

    /// Unknown and without servers: what was before the beginning, and what is after the end.
    pub(super) fn empty(heartbeat_frequency: Duration) -> Self {
        TopologyDescription {
            topology_type: TopologyType::Unknown,
            set_name: None,
            max_set_version: None,
            max_election_id: None,
            servers: BTreeMap::new(),
            compatibility_error: None,
            logical_session_timeout_minutes: None,
            heartbeat_frequency,
        }
    }
}

/// "The hostname portion of each address MUST be normalized to lower-case".
fn lower_case(seed: &ServerAddress) -> ServerAddress {
    match seed {
        ServerAddress::Tcp { host, port } => ServerAddress::Tcp { host: host.to_lowercase(), port: *port },
        ServerAddress::Unix { .. } => seed.clone(),
    }
}
