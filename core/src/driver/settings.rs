//! The options of a driver, each with a value.

use crate::monitor::{MonitorOptions, ServerMonitoringMode};
use crate::pool::PoolOptions;
use crate::sdam::{TopologyOptions, Unverified};
use crate::selection::{DEFAULT_LOCAL_THRESHOLD, ServerSelector};
use crate::{Duration, ServerAddress};
use alloc::string::String;
use alloc::vec::Vec;

/// Which events are wanted. Those that are not are never made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct EventMask {
    /// Commands.
    pub command: bool,
    /// Servers, heartbeats and the topology.
    pub sdam: bool,
    /// Connection pools.
    pub cmap: bool,
}

/// What a [`super::Driver`] needs to know of a client's options: every field has its value, defaults filled in.
#[derive(Clone)]
#[non_exhaustive]
pub struct DriverOptions {
    /// Where to begin.
    pub seeds: Vec<ServerAddress>,
    /// Whether to talk to the one seed only, whatever it is.
    pub direct_connection: bool,
    /// Whether a load balancer stands in front.
    pub load_balanced: bool,
    /// The name the replica set must have.
    pub replica_set: Option<String>,
    /// Between two checks of a server.
    pub heartbeat_frequency: Duration,
    /// At the least between two checks of a server.
    pub min_heartbeat_frequency: Duration,
    /// For opening a connection up to the end of its handshake, and for a monitor's reply; zero for no limit.
    pub connect_timeout: Duration,
    /// How long an operation waits for a suitable server.
    pub server_selection_timeout: Duration,
    /// Width of the latency window.
    pub local_threshold: Duration,
    /// How monitors watch.
    pub server_monitoring_mode: ServerMonitoringMode,
    /// Whether this runs as a function-as-a-service, where monitors poll.
    pub is_faas: bool,
    /// Most connections a server; 0 for no limit.
    pub max_pool_size: u32,
    /// Fewest connections a server.
    pub min_pool_size: u32,
    /// Most connections of a server being opened at once.
    pub max_connecting: u32,
    /// How long an idle connection is kept.
    pub max_idle_time: Option<Duration>,
    /// How long an operation waits for a connection.
    pub wait_queue_timeout: Option<Duration>,
    /// Whether retryable reads are sent again.
    pub retry_reads: bool,
    /// Whether retryable writes carry transaction numbers and are sent again.
    pub retry_writes: bool,
    /// Whether operations that hang on a primary which has been replaced are interrupted.
    pub interrupt_stale_primary: bool,
    /// The application's own say in server selection.
    pub server_selector: Option<ServerSelector>,
    /// What the host was told not to check when it connects; an event tells of it.
    pub unverified: Option<Unverified>,
    /// Which events are wanted.
    pub events: EventMask,
    /// The planted mistake to make.
    #[cfg(feature = "mistakes")]
    pub mistake: Option<crate::mistakes::Mistake>,
}

impl core::fmt::Debug for DriverOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("DriverOptions").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}

impl DriverOptions {
    /// The specifications' defaults, beginning with these servers.
    pub fn new(seeds: Vec<ServerAddress>) -> Self {
        let monitor = MonitorOptions::default();
        let pool = PoolOptions::new(ServerAddress::default());
        DriverOptions {
            seeds,
            direct_connection: false,
            load_balanced: false,
            replica_set: None,
            heartbeat_frequency: monitor.heartbeat_frequency,
            min_heartbeat_frequency: monitor.min_heartbeat_frequency,
            connect_timeout: monitor.connect_timeout,
            server_selection_timeout: Duration::from_secs(30),
            local_threshold: DEFAULT_LOCAL_THRESHOLD,
            server_monitoring_mode: monitor.mode,
            is_faas: false,
            max_pool_size: pool.max_pool_size,
            min_pool_size: pool.min_pool_size,
            max_connecting: pool.max_connecting,
            max_idle_time: pool.max_idle_time,
            wait_queue_timeout: pool.wait_queue_timeout,
            retry_reads: true,
            retry_writes: true,
            interrupt_stale_primary: true,
            server_selector: None,
            unverified: None,
            events: EventMask::default(),
            #[cfg(feature = "mistakes")]
            mistake: None,
        }
    }

    pub(super) fn topology(&self) -> TopologyOptions {
        TopologyOptions {
            seeds: self.seeds.clone(),
            direct_connection: Some(self.direct_connection),
            load_balanced: self.load_balanced,
            replica_set: self.replica_set.clone(),
            heartbeat_frequency: self.heartbeat_frequency,
            unverified: self.unverified,
            #[cfg(feature = "mistakes")]
            mistake: self.mistake,
        }
    }

    pub(super) fn monitor(&self) -> MonitorOptions {
        MonitorOptions {
            heartbeat_frequency: self.heartbeat_frequency,
            min_heartbeat_frequency: self.min_heartbeat_frequency,
            connect_timeout: self.connect_timeout,
            mode: self.server_monitoring_mode,
            is_faas: self.is_faas,
            hello_always: self.load_balanced,
        }
    }

    pub(super) fn pool(&self, address: ServerAddress) -> PoolOptions {
        PoolOptions {
            max_pool_size: self.max_pool_size,
            min_pool_size: self.min_pool_size,
            max_idle_time: self.max_idle_time,
            max_connecting: self.max_connecting,
            wait_queue_timeout: self.wait_queue_timeout,
            load_balanced: self.load_balanced,
            events: self.events.cmap,
            #[cfg(feature = "mistakes")]
            mistake: self.mistake,
            ..PoolOptions::new(address)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Duration;

    /// CMAP tests/README, "Prose Tests", 1 and 2: pool options are the client's, and the same for all of its pools.
    #[test]
    fn prose_1_and_2_all_pools_of_a_client_have_its_options() {
        let mut options = DriverOptions::new(Vec::new());
        options.max_pool_size = 7;
        options.min_pool_size = 3;
        options.max_connecting = 5;
        options.max_idle_time = Some(Duration::from_secs(11));
        options.wait_queue_timeout = Some(Duration::from_secs(13));
        let pool = |host: &str| options.pool(ServerAddress::tcp(host, 1));
        let (one, other) = (pool("a"), pool("b"));
        assert_eq!((one.max_pool_size, one.min_pool_size, one.max_connecting), (7, 3, 5));
        assert_eq!(
            (one.max_idle_time, one.wait_queue_timeout),
            (options.max_idle_time, options.wait_queue_timeout)
        );
        assert_eq!(PoolOptions { address: other.address.clone(), ..one }, other);
    }
}
