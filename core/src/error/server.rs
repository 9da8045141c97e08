//! Errors as servers report them.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// A command that the server answered with `ok: 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandError {
    /// The error code; 0 when the server gave none (and its words stand for none: old servers said "not master" only).
    pub code: i32,
    /// The code's name; empty when the server gave none.
    pub code_name: String,
    /// The server's words.
    pub message: String,
    /// The server's whole reply, as BSON bytes, for details beyond the common fields. Empty if it had more than 1 MiB.
    pub reply: Vec<u8>,
}

/// One document's write that the server refused.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WriteError {
    /// The error code.
    pub code: i32,
    /// The code's name, where the server gave one.
    pub code_name: Option<String>,
    /// The server's words.
    pub message: String,
    /// `errInfo` as BSON bytes: what document validation found, for one.
    pub details: Option<Vec<u8>>,
}

/// A write took place on the primary and the write concern was not (or not yet) satisfied.
///
/// With [`WriteConcernError::is_timeout`] the write has not failed: `wtimeout` ran out while it was being replicated, and
/// it goes on. Nothing is rolled back, and sending it again may apply it twice (unless it is idempotent).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct WriteConcernError {
    /// The error code; 64 (`WriteConcernFailed`) for a `wtimeout`.
    pub code: i32,
    /// The code's name.
    pub code_name: String,
    /// The server's words.
    pub message: String,
    /// `errInfo` as BSON bytes: which write concern it was and where it came from.
    pub details: Option<Vec<u8>>,
    /// `errInfo.wtimeout`: time ran out, nothing else.
    pub wtimeout: bool,
    /// Labels inside the write concern error.
    pub labels: Vec<String>,
}

/// A [`WriteError`] and which document it was about.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct IndexedWriteError {
    /// Position of the document or operation in what the caller gave.
    pub index: usize,
    /// The error itself.
    pub error: WriteError,
}

/// Why a single write is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteFailure {
    /// The write took place; its write concern was not satisfied.
    WriteConcernError(WriteConcernError),
    /// The write was refused.
    WriteError(WriteError),
}

/// What failed in an `insert_many`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct InsertManyError {
    /// Documents refused, if any.
    pub write_errors: Option<Vec<IndexedWriteError>>,
    /// The write concern error, if any.
    pub write_concern_error: Option<WriteConcernError>,
    /// How many documents were inserted all the same.
    pub inserted_count: u64,
}

/// What failed in a bulk write.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct BulkWriteError {
    /// Write concern errors, one a batch at the most.
    pub write_concern_errors: Vec<WriteConcernError>,
    /// Refused operations by their position.
    pub write_errors: BTreeMap<usize, WriteError>,
}

impl CommandError {
    /// A command error; `reply` is the server's document.
    pub fn new(code: i32, code_name: impl Into<String>, message: impl Into<String>, reply: Vec<u8>) -> Self {
        CommandError { code, code_name: code_name.into(), message: message.into(), reply }
    }
}

impl WriteConcernError {
    /// Whether `wtimeout` ran out and nothing else is wrong.
    pub fn is_timeout(&self) -> bool {
        self.wtimeout
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command failed: error {} ({}): {}", self.code, self.code_name, self.message)
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write refused: error {}: {}", self.code, self.message)
    }
}

impl fmt::Display for WriteConcernError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.wtimeout {
            write!(f, "written on the primary, but not yet replicated as asked when wtimeout ran out ")?;
        } else {
            write!(f, "written on the primary, but the write concern was not satisfied ")?;
        }
        write!(f, "(error {} {}): {}", self.code, self.code_name, self.message)
    }
}

impl fmt::Display for WriteFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WriteFailure::WriteConcernError(error) => error.fmt(f),
            WriteFailure::WriteError(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for InsertManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "insert_many: {} inserted", self.inserted_count)?;
        if let Some(errors) = &self.write_errors {
            write!(f, ", {} refused", errors.len())?;
            if let Some(first) = errors.first() {
                write!(f, ", the first at index {}: {}", first.index, first.error)?;
            }
        }
        match &self.write_concern_error {
            Some(error) => write!(f, "; {error}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for BulkWriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulk write: {} operations refused", self.write_errors.len())?;
        if let Some((index, error)) = self.write_errors.iter().next() {
            write!(f, ", the first at index {index}: {error}")?;
        }
        match self.write_concern_errors.first() {
            Some(error) => write!(f, "; {error}"),
            None => Ok(()),
        }
    }
}
