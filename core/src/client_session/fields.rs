//! What a command in a client session carries.

use crate::raw::{DocWriter, RawDoc, Timestamp};
use crate::{Duration, ReadConcern, WriteConcern};
use alloc::vec::Vec;

/// Whether a command takes a read concern.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ReadConcernField {
    /// Never: `getMore`, `killCursors`, `endSessions`, and the ends of transactions.
    Never,
    /// Only where it begins a transaction, or in a snapshot session: listings, and the caller's own commands (causal consistency
    /// specification: "commands that are run using `runCommand` MUST NOT have an `afterClusterTime` field").
    #[default]
    Plain,
    /// A read or a write, with this one; in a causally consistent session with `afterClusterTime` ("Causally consistent read and
    /// write commands").
    Causal(Option<ReadConcern>),
}

impl ReadConcernField {
    /// What is sent outside of explicit sessions.
    pub(crate) fn alone(&self) -> Option<&ReadConcern> {
        match self {
            ReadConcernField::Causal(concern) => concern.as_ref().filter(|given| !given.is_server_default()),
            _ => None,
        }
    }
}

/// A `readConcern` document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SentReadConcern {
    pub(crate) concern: ReadConcern,
    pub(crate) after_cluster_time: Option<Timestamp>,
    pub(crate) at_cluster_time: Option<Timestamp>,
}

impl SentReadConcern {
    fn write<'w>(&self, writer: DocWriter<'w>) -> DocWriter<'w> {
        if self.concern.is_server_default() && self.after_cluster_time.is_none() {
            return writer;
        }
        writer.doc("readConcern", |mut doc| {
            doc = self.concern.write_fields(doc);
            if let Some(time) = self.after_cluster_time {
                doc = doc.timestamp("afterClusterTime", time);
            }
            if let Some(time) = self.at_cluster_time {
                doc = doc.timestamp("atClusterTime", time);
            }
            doc
        })
    }
}

/// What a command in a client session carries besides `lsid`, `txnNumber` and `$clusterTime`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SessionFields {
    pub(crate) start_transaction: bool,
    pub(crate) in_transaction: bool,
    pub(crate) read_concern: SentReadConcern,
    pub(crate) write_concern: WriteConcern,
    pub(crate) max_time: Option<Duration>,
    pub(crate) recovery_token: Option<Vec<u8>>,
}

impl SessionFields {
    pub(crate) fn write<'w>(&self, mut writer: DocWriter<'w>) -> DocWriter<'w> {
        if self.start_transaction {
            writer = writer.bool("startTransaction", true);
        }
        if self.in_transaction {
            writer = writer.bool("autocommit", false);
        }
        writer = self.read_concern.write(writer);
        if !self.write_concern.is_server_default() {
            writer = writer.doc("writeConcern", |doc| self.write_concern.write_fields(doc));
        }
        if let Some(time) = self.max_time {
            // 0 would mean no limit to the server.
            let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1);
            writer = writer.i64("maxTimeMS", millis);
        }
        match self.recovery_token.as_deref().map(RawDoc::new) {
            Some(Ok(token)) => writer.raw("recoveryToken", token),
            _ => writer,
        }
    }
}
