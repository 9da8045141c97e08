//! From what was asked for to what the [`crate::driver::Driver`] works with.

use super::{ClientOptions, TlsOptions, defaults};
use crate::driver::{DriverOptions, EventMask};

impl ClientOptions {
    /// The driver's part of the options, defaults filled in. What only the host knows (whether this is a
    /// function-as-a-service) is left at nothing for the host to set.
    pub fn driver_options(&self) -> DriverOptions {
        DriverOptions {
            seeds: self.hosts.clone(),
            direct_connection: self.direct_connection.unwrap_or(false),
            load_balanced: self.load_balanced.unwrap_or(false),
            replica_set: self.repl_set_name.clone(),
            heartbeat_frequency: self.effective_heartbeat_freq(),
            min_heartbeat_frequency: defaults::MIN_HEARTBEAT_FREQUENCY,
            connect_timeout: self.effective_connect_timeout().unwrap_or_default(),
            server_selection_timeout: self.effective_server_selection_timeout(),
            local_threshold: self.effective_local_threshold(),
            server_monitoring_mode: self.effective_server_monitoring_mode(),
            is_faas: false,
            max_pool_size: self.max_pool_size.unwrap_or(defaults::DEFAULT_MAX_POOL_SIZE),
            min_pool_size: self.effective_min_pool_size(),
            max_connecting: self.effective_max_connecting(),
            max_idle_time: self.effective_max_idle_time(),
            wait_queue_timeout: self.effective_wait_queue_timeout(),
            retry_reads: self.effective_retry_reads(),
            retry_writes: self.effective_retry_writes(),
            interrupt_stale_primary: self.effective_interrupt_stale_primary(),
            server_selector: self.server_selector.clone(),
            unverified: self.tls_options().and_then(TlsOptions::unverified),
            events: EventMask {
                command: self.command_event_handler.is_some(),
                sdam: self.sdam_event_handler.is_some(),
                cmap: self.cmap_event_handler.is_some(),
            },
            #[cfg(feature = "mistakes")]
            mistake: self.mistake,
        }
    }
}
