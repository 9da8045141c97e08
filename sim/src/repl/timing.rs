//! How long things take inside a server, and what faults may stretch.

use std::time::Duration;

/// Durations and bounds that are no part of a set's configuration. The defaults are what a real 6.0 has, or was measured to take
/// on one machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Timing {
    /// From a restart to SECONDARY.
    pub start_up: Duration,
    /// `journalCommitInterval`: how long an entry may stay out of the journal when nobody asks.
    pub journal_interval: Duration,
    /// How long writing to the journal takes.
    pub journal_write: Duration,
    /// How much later than it could a secondary applies entries. A fault to play with; zero.
    pub replication_lag: Duration,
    /// How long after a vain search a secondary looks again for somebody to replicate from.
    pub sync_retry: Duration,
    /// How long beyond the usual silence (half an election timeout, at most 5 s) a sync source may be silent.
    pub source_patience: Duration,
    /// How long connecting anew to a silent sync source takes until it is given up.
    pub source_reconnect: Duration,
    /// How long ROLLBACK lasts.
    pub rollback: Duration,
    /// How long a server told to end stays for its clients to notice: `shutdownTimeoutMillisForSignaledShutdown`.
    pub quiesce: Duration,
    /// `periodicNoopIntervalSecs`.
    pub noop_interval: Duration,
    /// How many committed entries the oplog keeps.
    pub log_capacity: usize,
    /// How many bytes of memory they may take, about.
    pub log_bytes: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            start_up: Duration::from_millis(80),
            journal_interval: Duration::from_millis(100),
            journal_write: Duration::from_millis(1),
            replication_lag: Duration::ZERO,
            sync_retry: Duration::from_secs(1),
            source_patience: Duration::from_secs(5),
            source_reconnect: Duration::from_millis(7_170),
            rollback: Duration::from_secs(1),
            quiesce: Duration::from_secs(15),
            noop_interval: Duration::from_secs(10),
            log_capacity: 4_000,
            log_bytes: 1_000_000,
        }
    }
}
