//! Options of sessions and transactions.

use super::{ReadConcern, SelectionCriteria, WriteConcern};
use bson::Timestamp;
use quorate_core::{client_session as core, raw};
use std::time::Duration;
use typed_builder::TypedBuilder;

/// Options of `Client::start_session`.
#[derive(Clone, Debug, Default, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct SessionOptions {
    /// What its transactions use where they say nothing. What is not set here either comes from the client.
    pub default_transaction_options: Option<TransactionOptions>,
    /// Whether each operation sees what earlier ones of the session saw and wrote, on whichever member. The default is `true`,
    /// but in a snapshot session.
    pub causal_consistency: Option<bool>,
    /// Whether all reads are of one moment: that of the first, or of `snapshot_time`. The default is `false`. From MongoDB 5.0.
    pub snapshot: Option<bool>,
    /// That moment.
    pub snapshot_time: Option<Timestamp>,
}

impl SessionOptions {
    pub(crate) fn to_core(&self) -> core::SessionOptions {
        core::SessionOptions {
            default_transaction_options: self
                .default_transaction_options
                .as_ref()
                .map(TransactionOptions::to_core)
                .unwrap_or_default(),
            causal_consistency: self.causal_consistency,
            snapshot: self.snapshot.unwrap_or(false),
            snapshot_time: self
                .snapshot_time
                .map(|ts| raw::Timestamp { time: ts.time, increment: ts.increment }),
        }
    }
}

/// Options of `ClientSession::start_transaction`.
#[derive(Clone, Debug, Default, PartialEq, TypedBuilder)]
#[builder(field_defaults(default, setter(into)))]
#[non_exhaustive]
pub struct TransactionOptions {
    /// The read concern of the transaction.
    pub read_concern: Option<ReadConcern>,
    /// The write concern of its commit or abort. It must be acknowledged.
    pub write_concern: Option<WriteConcern>,
    /// Which servers its reads may go to: only the primary can be.
    pub selection_criteria: Option<SelectionCriteria>,
    /// How long the server may work on a commit; whole milliseconds.
    pub max_commit_time: Option<Duration>,
}

impl TransactionOptions {
    pub(crate) fn to_core(&self) -> core::TransactionOptions {
        core::TransactionOptions {
            read_concern: self.read_concern.clone(),
            write_concern: self.write_concern.clone(),
            criteria: self.selection_criteria.as_ref().map(SelectionCriteria::to_core),
            max_commit_time: self.max_commit_time,
        }
    }
}
