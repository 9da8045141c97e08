//! Owned errors out of a reply. Their size is bounded whatever the server sends.

use super::{ReplySummary, field};
use crate::Error;
use crate::error::{CommandError, ErrorKind, IndexedWriteError, WriteConcernError, WriteError};
use crate::raw::{RawDoc, RawError, Value};
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The longest text an error keeps, in bytes. Servers' texts have a few hundred.
const LONGEST_TEXT: usize = 16 * 1024;
/// The largest document an error keeps, in bytes; a larger one is left out.
const LARGEST_DOCUMENT: usize = 1024 * 1024;
/// The most labels an error keeps. Servers know six.
const MOST_LABELS: usize = 32;
/// The longest label.
const LONGEST_LABEL: usize = 256;

/// The labels in an `errorLabels` array, at most 32. Whatever is not a short string is passed over.
pub fn error_labels(array: Option<RawDoc<'_>>) -> impl Iterator<Item = &str> {
    let elements = array.unwrap_or(RawDoc::EMPTY).iter().take(MOST_LABELS);
    elements
        .map_while(Result::ok)
        .filter_map(|(_, value)| value.as_str())
        .filter(|s| s.len() <= LONGEST_LABEL)
}

/// The code an error message stands for when the server gave no code: NotPrimaryOrSecondary (13436) or
/// LegacyNotPrimary (10058) (SDAM specification, "not writable primary and node is recovering").
pub fn inferred_code(message: &str) -> Option<i32> {
    if message.contains("node is recovering") || message.contains("not master or secondary") {
        Some(13436)
    } else if message.contains("not master") {
        Some(10058)
    } else {
        None
    }
}

/// The error of a reply with `ok: 0`, with its labels. `whole` is the reply, kept for details if it is not above 1 MiB.
///
/// Where an old server gave no code, the error has the one that its words stand for ([`inferred_code`]), so that whoever
/// decides by code need not know.
pub fn command_error(summary: &ReplySummary<'_>, whole: RawDoc<'_>) -> Error {
    let message = summary.message.unwrap_or_default();
    let code = summary.code.or_else(|| inferred_code(message)).unwrap_or(0);
    let reply = document(whole).unwrap_or_default();
    let code_name = text(summary.code_name.unwrap_or_default());
    let mut error = Error::new(ErrorKind::Command(CommandError::new(code, code_name, text(message), reply)));
    for label in error_labels(summary.error_labels) {
        error.add_label(label.to_string());
    }
    error
}

/// A `writeConcernError` document. That it is there is the error: malformed parts of it are left out.
pub fn write_concern_error(document: RawDoc<'_>) -> WriteConcernError {
    let mut error = WriteConcernError::default();
    let mut code = None;
    for (name, value) in document.iter().map_while(Result::ok) {
        match (name, value) {
            ("code", value) => code = value.as_i32(),
            ("codeName", Value::String(name)) => error.code_name = text(name),
            ("errmsg", Value::String(message)) => error.message = text(message),
            ("errInfo", Value::Document(info)) => {
                error.wtimeout =
                    matches!(info.get("wtimeout"), Ok(Some(value)) if value.as_bool() == Some(true));
                error.details = self::document(info);
            }
            ("errorLabels", value) => {
                error.labels = error_labels(value.as_array()).map(ToString::to_string).collect();
            }
            _ => {}
        }
    }
    error.code = code.or_else(|| inferred_code(&error.message)).unwrap_or(0);
    error
}

/// The entries of a `writeErrors` array, for a command that carried `batch` documents or operations: there are at most
/// that many, and their indexes are below it. The index is the position within that command.
///
/// # Errors
/// When the array is malformed, or an entry is no document, or its index cannot be: nobody knows then which writes took
/// place.
pub fn write_errors(array: RawDoc<'_>, batch: usize) -> Result<Vec<IndexedWriteError>, RawError> {
    let mut errors = Vec::new();
    for element in array.iter() {
        let entry = element?.1.as_document().ok_or(field("writeErrors"))?;
        if errors.len() >= batch {
            return Err(field("writeErrors"));
        }
        errors.push(write_error(entry, batch)?);
    }
    Ok(errors)
}

fn write_error(entry: RawDoc<'_>, batch: usize) -> Result<IndexedWriteError, RawError> {
    let mut index = None;
    let mut error = WriteError::default();
    for element in entry.iter() {
        match element? {
            ("index", value) => index = value.as_i64().and_then(|index| usize::try_from(index).ok()),
            ("code", value) => error.code = value.as_i32().unwrap_or(0),
            ("codeName", Value::String(name)) => error.code_name = Some(text(name)),
            ("errmsg", Value::String(message)) => error.message = text(message),
            ("errInfo", Value::Document(info)) => error.details = document(info),
            _ => {}
        }
    }
    let index = index.filter(|index| *index < batch).ok_or(field("writeErrors.index"))?;
    let mut indexed = IndexedWriteError::default();
    (indexed.index, indexed.error) = (index, error);
    Ok(indexed)
}

fn document(document: RawDoc<'_>) -> Option<Vec<u8>> {
    let bytes = document.as_bytes();
    (bytes.len() <= LARGEST_DOCUMENT).then(|| bytes.to_vec())
}

/// The text, cut at the last whole character within bounds.
fn text(text: &str) -> String {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_string()
}
