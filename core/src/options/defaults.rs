//! What an option means when it is left out, and when it is zero.
//!
//! The `effective_` methods of [`ClientOptions`] put both together, so that no machine has to know either.

use super::ClientOptions;
use super::ServerMonitoringMode;
use crate::Duration;

pub use crate::selection::DEFAULT_LOCAL_THRESHOLD;

/// A pool size without a maximum.
pub const UNLIMITED: u32 = u32::MAX;

/// `connectTimeoutMS`. The URI options specification asks for 10 s "unless a driver already has a different default"; this is
/// PyMongo's, which leaves room for a name look-up and a TLS handshake over a bad line.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// `heartbeatFrequencyMS` (SDAM specification, "heartbeatFrequencyMS").
pub const DEFAULT_HEARTBEAT_FREQUENCY: Duration = Duration::from_secs(10);
/// The least time between two checks of a server, and the least `heartbeatFrequencyMS` (SDAM specification,
/// "minHeartbeatFrequencyMS").
pub const MIN_HEARTBEAT_FREQUENCY: Duration = Duration::from_millis(500);
/// `serverSelectionTimeoutMS` (server selection specification, "serverSelectionTimeoutMS").
pub const DEFAULT_SERVER_SELECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// `maxPoolSize` (CMAP specification, "Connection Pool Options"). The official crate takes 10.
pub const DEFAULT_MAX_POOL_SIZE: u32 = 100;
/// `minPoolSize` (CMAP specification, "Connection Pool Options").
pub const DEFAULT_MIN_POOL_SIZE: u32 = 0;
/// `maxConnecting` (CMAP specification, "Connection Pool Options").
pub const DEFAULT_MAX_CONNECTING: u32 = 2;
/// `retryReads` (retryable reads specification, "retryReads").
pub const DEFAULT_RETRY_READS: bool = true;
/// `retryWrites` (retryable writes specification, "retryWrites").
pub const DEFAULT_RETRY_WRITES: bool = true;
/// `srvServiceName` (initial DNS seedlist discovery specification, "srvServiceName").
pub const DEFAULT_SRV_SERVICE_NAME: &str = "mongodb";
/// `proxyPort` (SOCKS5 specification, "proxyPort").
pub const DEFAULT_PROXY_PORT: u16 = 1080;
/// `maxAdaptiveRetries` (client backpressure specification, "Overload retry policy").
pub const DEFAULT_MAX_ADAPTIVE_RETRIES: u32 = 2;
/// `enableOverloadRetargeting` (client backpressure specification, "Overload retry policy").
pub const DEFAULT_ENABLE_OVERLOAD_RETARGETING: bool = false;
/// `interruptStalePrimary`, this driver's own.
pub const DEFAULT_INTERRUPT_STALE_PRIMARY: bool = true;

/// Zero means no limit.
fn limit(given: Option<Duration>) -> Option<Duration> {
    given.filter(|limit| !limit.is_zero())
}

impl ClientOptions {
    /// How long making a connection may take; `None` for ever.
    pub fn effective_connect_timeout(&self) -> Option<Duration> {
        limit(Some(self.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT)))
    }

    /// The longest silence while a reply is owed; `None` for any.
    pub fn effective_socket_timeout(&self) -> Option<Duration> {
        limit(self.socket_timeout)
    }

    /// How long an idle connection is kept; `None` for ever.
    pub fn effective_max_idle_time(&self) -> Option<Duration> {
        limit(self.max_idle_time)
    }

    /// How long an operation waits for a connection; `None` for ever.
    pub fn effective_wait_queue_timeout(&self) -> Option<Duration> {
        limit(self.wait_queue_timeout)
    }

    /// The deadline of a whole operation; `None` for none.
    pub fn effective_timeout(&self) -> Option<Duration> {
        limit(self.timeout)
    }

    /// The most connections to a server; [`UNLIMITED`] when there is no maximum.
    pub const fn effective_max_pool_size(&self) -> u32 {
        match self.max_pool_size {
            None => DEFAULT_MAX_POOL_SIZE,
            Some(0) => UNLIMITED,
            Some(size) => size,
        }
    }

    /// The connections to a server kept open.
    pub fn effective_min_pool_size(&self) -> u32 {
        self.min_pool_size.unwrap_or(DEFAULT_MIN_POOL_SIZE)
    }

    /// The connections to a server made at the same time.
    pub fn effective_max_connecting(&self) -> u32 {
        self.max_connecting.unwrap_or(DEFAULT_MAX_CONNECTING)
    }

    /// The time between two checks of a server.
    pub fn effective_heartbeat_freq(&self) -> Duration {
        self.heartbeat_freq.unwrap_or(DEFAULT_HEARTBEAT_FREQUENCY)
    }

    /// The width of the latency window.
    pub fn effective_local_threshold(&self) -> Duration {
        self.local_threshold.unwrap_or(DEFAULT_LOCAL_THRESHOLD)
    }

    /// How long an operation waits for a suitable server; zero means not at all.
    pub fn effective_server_selection_timeout(&self) -> Duration {
        self.server_selection_timeout.unwrap_or(DEFAULT_SERVER_SELECTION_TIMEOUT)
    }

    /// The monitors' protocol.
    pub fn effective_server_monitoring_mode(&self) -> ServerMonitoringMode {
        self.server_monitoring_mode.unwrap_or_default()
    }

    /// Whether reads are retried.
    pub fn effective_retry_reads(&self) -> bool {
        self.retry_reads.unwrap_or(DEFAULT_RETRY_READS)
    }

    /// Whether writes are retried.
    pub fn effective_retry_writes(&self) -> bool {
        self.retry_writes.unwrap_or(DEFAULT_RETRY_WRITES)
    }

    /// Retries of what an overloaded server refused.
    pub fn effective_max_adaptive_retries(&self) -> u32 {
        self.max_adaptive_retries.unwrap_or(DEFAULT_MAX_ADAPTIVE_RETRIES)
    }

    /// Whether such a retry prefers another server.
    pub fn effective_enable_overload_retargeting(&self) -> bool {
        self.enable_overload_retargeting.unwrap_or(DEFAULT_ENABLE_OVERLOAD_RETARGETING)
    }

    /// Whether operations hung on a replaced primary are ended.
    pub fn effective_interrupt_stale_primary(&self) -> bool {
        self.interrupt_stale_primary.unwrap_or(DEFAULT_INTERRUPT_STALE_PRIMARY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_means_no_limit_where_it_does() {
        let mut options = ClientOptions::default();
        assert_eq!(options.effective_connect_timeout(), Some(DEFAULT_CONNECT_TIMEOUT));
        assert_eq!(options.effective_max_pool_size(), 100);
        assert_eq!(options.effective_wait_queue_timeout(), None);
        options.connect_timeout = Some(Duration::ZERO);
        options.max_idle_time = Some(Duration::ZERO);
        options.max_pool_size = Some(0);
        options.server_selection_timeout = Some(Duration::ZERO);
        assert_eq!(options.effective_connect_timeout(), None);
        assert_eq!(options.effective_max_idle_time(), None);
        assert_eq!(options.effective_max_pool_size(), UNLIMITED);
        assert_eq!(options.effective_server_selection_timeout(), Duration::ZERO);
    }
}
