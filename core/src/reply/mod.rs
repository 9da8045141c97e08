//! What a command's reply says to the driver, as opposed to the caller.
//!
//! [`ReplySummary::parse`] looks at every field of a reply once, in one flat walk over its bytes, and remembers those that
//! decide what happens next. It allocates nothing; on the path of every successful operation this is all there is. Only when
//! something went wrong are owned errors made out of it: [`command_error`], [`write_errors`], [`write_concern_error`].

mod errors;

pub use errors::{command_error, error_labels, inferred_code, write_concern_error, write_errors};

use crate::error::{is_node_recovering, is_not_writable_primary};
use crate::raw::{RawDoc, RawError, RawErrorKind, Timestamp, Value};
use crate::sdam::TopologyVersion;

/// A `$clusterTime` is passed on to every server of the deployment; one larger than this is not one (it has about 90 bytes).
const LARGEST_CLUSTER_TIME: usize = 1024;

/// A reply's fields that matter to the driver. Everything borrows from the reply.
///
/// ```
/// use quorate_core::raw::{DocWriter, RawDoc};
/// use quorate_core::reply::ReplySummary;
/// let mut bytes = Vec::new();
/// DocWriter::new(&mut bytes).i32("ok", 0).i32("code", 10107).str("errmsg", "not primary").finish();
/// let summary = ReplySummary::parse(RawDoc::new(&bytes).unwrap()).unwrap();
/// assert!(!summary.ok);
/// assert_eq!(summary.state_change_code(), Some(10107));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ReplySummary<'a> {
    /// Whether the command succeeded. Write errors and a write concern error may be there all the same.
    pub ok: bool,
    /// `code`, as the server gave it.
    pub code: Option<i32>,
    /// `codeName`.
    pub code_name: Option<&'a str>,
    /// `errmsg`, or `$err` of an old server.
    pub message: Option<&'a str>,
    /// `errorLabels`: an array of strings, see [`error_labels`].
    pub error_labels: Option<RawDoc<'a>>,
    /// `topologyVersion`, see [`ReplySummary::topology_version`].
    pub topology_version: Option<RawDoc<'a>>,
    /// `$clusterTime`, if it is one.
    pub cluster_time: Option<ClusterTimeRef<'a>>,
    /// `operationTime`.
    pub operation_time: Option<Timestamp>,
    /// `atClusterTime` of a `distinct`; for other reads see [`ReplySummary::at_cluster_time`].
    pub at_cluster_time: Option<Timestamp>,
    /// `recoveryToken` of a sharded transaction.
    pub recovery_token: Option<RawDoc<'a>>,
    /// `writeConcernError`, see [`write_concern_error`].
    pub write_concern_error: Option<RawDoc<'a>>,
    /// `writeErrors`: an array of documents, see [`write_errors`]. `None` when it is empty.
    pub write_errors: Option<RawDoc<'a>>,
    /// `n`: documents inserted, matched or deleted.
    pub n: Option<i64>,
    /// `nModified`.
    pub n_modified: Option<i64>,
    /// `upserted`: an array of `{index, _id}`.
    pub upserted: Option<RawDoc<'a>>,
    /// `cursor`: `{id, ns, firstBatch | nextBatch}`.
    pub cursor: Option<RawDoc<'a>>,
    /// `value` of a `findAndModify`, null included.
    pub value: Option<Value<'a>>,
}

/// A `$clusterTime` in a reply ([`crate::ClusterTime`] keeps the highest): the whole document, which is signed and
/// goes on unchanged, and the time in it, to compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClusterTimeRef<'a> {
    /// The document.
    pub document: RawDoc<'a>,
    /// Its field `clusterTime`.
    pub time: Timestamp,
}

impl<'a> ClusterTimeRef<'a> {
    /// Takes a `$clusterTime` document; `None` if it is not one.
    pub fn from_raw(document: RawDoc<'a>) -> Option<Self> {
        if document.as_bytes().len() > LARGEST_CLUSTER_TIME {
            return None;
        }
        let mut time = None;
        // To the end, as all of it will be sent on.
        for element in document.fields() {
            if let (b"clusterTime", Value::Timestamp(found)) = element.ok()? {
                time = Some(found);
            }
        }
        Some(ClusterTimeRef { document, time: time? })
    }
}

impl<'a> ReplySummary<'a> {
    /// Walks over `reply` once.
    ///
    /// # Errors
    /// When its bytes are malformed at the top level, `ok` is missing or not a number, or `writeErrors` or
    /// `writeConcernError` have a type under which a failed write would look like a successful one. Any other field of the
    /// wrong type counts as absent, as arbitrary commands may answer fields of the same name.
    pub fn parse(reply: RawDoc<'a>) -> Result<Self, RawError> {
        let mut summary = ReplySummary::default();
        let mut ok = None;
        let mut legacy_error = None;
        for element in reply.fields() {
            match element? {
                (b"ok", value) => ok = Some(truth(value).ok_or(field("ok"))?),
                (b"$err", value) => legacy_error = value.as_str(),
                (name, value) => summary.take(name, value)?,
            }
        }
        // A failed OP_QUERY answers `$err` and no `ok`.
        summary.ok = match (ok, legacy_error) {
            (Some(ok), _) => ok,
            (None, Some(_)) => false,
            (None, None) => return Err(field("ok")),
        };
        summary.message = summary.message.or(legacy_error);
        Ok(summary)
    }

    fn take(&mut self, name: &[u8], value: Value<'a>) -> Result<(), RawError> {
        match name {
            b"cursor" => self.cursor = value.as_document(),
            b"n" => self.n = value.as_i64(),
            b"nModified" => self.n_modified = value.as_i64(),
            b"upserted" => self.upserted = value.as_array(),
            b"value" => self.value = Some(value),
            b"$clusterTime" => self.cluster_time = value.as_document().and_then(ClusterTimeRef::from_raw),
            b"operationTime" => self.operation_time = value.as_timestamp(),
            b"atClusterTime" => self.at_cluster_time = value.as_timestamp(),
            b"topologyVersion" => self.topology_version = value.as_document(),
            b"recoveryToken" => self.recovery_token = value.as_document(),
            b"code" => self.code = value.as_i32(),
            b"codeName" => self.code_name = value.as_str(),
            b"errmsg" => self.message = value.as_str(),
            b"errorLabels" => self.error_labels = value.as_array(),
            b"writeErrors" => {
                let errors = value.as_array().ok_or(field("writeErrors"))?;
                self.write_errors = (!errors.is_empty()).then_some(errors);
            }
            b"writeConcernError" => {
                self.write_concern_error = Some(value.as_document().ok_or(field("writeConcernError"))?);
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether there is nothing to report: `ok`, and neither write errors nor a write concern error.
    pub const fn is_clean(&self) -> bool {
        self.ok && self.write_errors.is_none() && self.write_concern_error.is_none()
    }

    /// Whether the reply carries that error label.
    pub fn contains_label(&self, label: &str) -> bool {
        error_labels(self.error_labels).any(|have| have == label)
    }

    /// The moment that a read with read concern `snapshot` was of (snapshot sessions specification, "Server Command Responses").
    pub fn at_cluster_time(&self) -> Option<Timestamp> {
        let in_cursor = || self.cursor?.get("atClusterTime").ok()??.as_timestamp();
        self.at_cluster_time.or_else(in_cursor)
    }

    /// The reply's topology version.
    pub fn topology_version(&self) -> Option<TopologyVersion> {
        self.topology_version.and_then(TopologyVersion::from_raw)
    }

    /// The error code of a failed command; where an old server gave none, the one its words stand for. `None` if `ok`.
    pub fn error_code(&self) -> Option<i32> {
        if self.ok { None } else { self.code.or_else(|| inferred_code(self.message.unwrap_or_default())) }
    }

    /// The code by which the server says that it is not the one to ask: "not writable primary" or "node is recovering", in
    /// the command's error or in the write concern error; never in write errors (SDAM specification, "not writable
    /// primary and node is recovering").
    pub fn state_change_code(&self) -> Option<i32> {
        let is_state_change = |code: &i32| is_not_writable_primary(*code) || is_node_recovering(*code);
        let of_write_concern = || self.write_concern_error.map(|error| write_concern_error(error).code);
        self.error_code().filter(is_state_change).or_else(|| of_write_concern().filter(is_state_change))
    }
}

/// `ok` is a number in every reply, `1.0` mostly. A value that is not a number is no answer.
fn truth(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Double(ok) if ok.is_nan() => None,
        Value::Double(_) | Value::Int32(_) | Value::Int64(_) => value.as_bool(),
        _ => None,
    }
}

const fn field(name: &'static str) -> RawError {
    RawError { offset: 0, kind: RawErrorKind::Field(name) }
}

#[cfg(test)]
mod tests;
