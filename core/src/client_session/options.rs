//! What a client session and its transactions are begun with.

use crate::error::{Error, Result};
use crate::raw::Timestamp;
use crate::selection::SelectionCriteria;
use crate::{Duration, ReadConcern, WriteConcern};

/// Options of a client session ("SessionOptions" of the sessions, causal consistency, snapshot and transactions specifications).
#[derive(Clone, Debug, Default)]
pub struct SessionOptions {
    /// What transactions in it use where they say nothing.
    pub default_transaction_options: TransactionOptions,
    /// Whether an operation sees what earlier ones of the session saw and wrote. `None`: true, unless `snapshot` is.
    pub causal_consistency: Option<bool>,
    /// Whether all reads are of one moment. Default false.
    pub snapshot: bool,
    /// That moment; `None` for the one of the first read.
    pub snapshot_time: Option<Timestamp>,
}

impl SessionOptions {
    /// Says what is contradictory.
    ///
    /// # Errors
    /// [`crate::ErrorKind::InvalidArgument`] for `snapshot` with `causal_consistency` (snapshot sessions, "snapshot"), or a
    /// `snapshot_time` without it ("snapshotTime").
    pub fn validate(&self) -> Result<()> {
        if self.snapshot && self.causal_consistency == Some(true) {
            return Err(Error::invalid_argument("snapshot and causal_consistency are mutually exclusive"));
        }
        if self.snapshot_time.is_some() && !self.snapshot {
            return Err(Error::invalid_argument("snapshot_time is for sessions with snapshot: true"));
        }
        Ok(())
    }

    /// Whether its operations are causally consistent.
    pub fn is_causally_consistent(&self) -> bool {
        self.causal_consistency.unwrap_or(!self.snapshot)
    }
}

/// Options of a transaction ("TransactionOptions").
#[derive(Clone, Debug, Default)]
pub struct TransactionOptions {
    /// The read concern, sent with its first command.
    pub read_concern: Option<ReadConcern>,
    /// The write concern of its commit or abort.
    pub write_concern: Option<WriteConcern>,
    /// Where its reads go. Anything but the primary is refused at the first read.
    pub criteria: Option<SelectionCriteria>,
    /// `maxTimeMS` of a `commitTransaction`.
    pub max_commit_time: Option<Duration>,
}

impl TransactionOptions {
    /// These, and of `others` what is not set here.
    #[must_use]
    pub fn or(self, others: &TransactionOptions) -> Self {
        TransactionOptions {
            read_concern: self.read_concern.or_else(|| others.read_concern.clone()),
            write_concern: self.write_concern.or_else(|| others.write_concern.clone()),
            criteria: self.criteria.or_else(|| others.criteria.clone()),
            max_commit_time: self.max_commit_time.or(others.max_commit_time),
        }
    }
}
