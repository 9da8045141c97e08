//! Turning replies into results and errors: what an `ok: 1` reply can still hide.

use crate::decode::malformed;
use crate::exec::Reply;
use quorate_core::error::{ErrorKind, WriteConcernError, WriteFailure};
use quorate_core::reply::{ReplySummary, error_labels, write_concern_error, write_errors};
use quorate_core::{Error, Result, ServerAddress};

/// The fields of a reply that matter.
pub(crate) fn summary(reply: &Reply) -> Result<ReplySummary<'_>> {
    ReplySummary::parse(reply.doc())
        .map_err(|error| malformed(error).with_server(reply.server.address.clone()))
}

/// An error with the labels of the reply and of its write concern error, and the server.
pub(crate) fn labelled(
    kind: ErrorKind,
    summary: &ReplySummary<'_>,
    concern: Option<&WriteConcernError>,
    server: &ServerAddress,
) -> Error {
    let mut error = Error::new(kind).with_server(server.clone());
    for label in error_labels(summary.error_labels) {
        error.add_label(label.to_owned());
    }
    for label in concern.into_iter().flat_map(|concern| &concern.labels) {
        error.add_label(label.clone());
    }
    error
}

/// Refuses what a reply to a command with one write (or none) says went wrong: the write error first, as it means that
/// nothing was written; then the write concern error.
pub(crate) fn check_write(reply: &Reply) -> Result<ReplySummary<'_>> {
    let summary = summary(reply)?;
    if summary.is_clean() {
        return Ok(summary);
    }
    let invalid = |error| malformed(error).with_server(reply.server.address.clone());
    if let Some(errors) = summary.write_errors
        && let Some(first) = write_errors(errors, 1).map_err(invalid)?.into_iter().next()
    {
        let kind = ErrorKind::Write(WriteFailure::WriteError(first.error));
        return Err(labelled(kind, &summary, None, &reply.server.address));
    }
    check_write_concern(&summary, &reply.server.address)?;
    Ok(summary)
}

/// Refuses a write concern error.
pub(crate) fn check_write_concern(summary: &ReplySummary<'_>, server: &ServerAddress) -> Result<()> {
    let Some(document) = summary.write_concern_error else { return Ok(()) };
    let concern = write_concern_error(document);
    let kind = ErrorKind::Write(WriteFailure::WriteConcernError(concern.clone()));
    Err(labelled(kind, summary, Some(&concern), server))
}

/// A count that cannot be negative.
pub(crate) fn count(value: Option<i64>, name: &str, server: &ServerAddress) -> Result<u64> {
    value.and_then(|value| u64::try_from(value).ok()).ok_or_else(|| {
        Error::invalid_response(format!("no {name}, or one that is no count")).with_server(server.clone())
    })
}

/// A reply as a server of version 4.4 sends it.
#[cfg(test)]
pub(crate) fn reply(document: bson::Document) -> Reply {
    use quorate_core::raw::RawDoc;
    use quorate_core::sdam::ServerDescription;
    use quorate_core::wire::{Flags, ReadBuffer, Request};
    let bytes = bson::serialize_to_vec(&document).unwrap();
    let mut message = Request::new();
    message.body().extend(RawDoc::new(&bytes).unwrap()).suspend();
    let mut buffer = ReadBuffer::new(48_000_000);
    buffer.push(message.attempt(1, Flags::NONE, |body| body).unwrap());
    buffer.next_message().unwrap().unwrap();
    let mut server = ServerDescription::unknown(ServerAddress::default());
    server.max_wire_version = 9;
    Reply { message: buffer.take_message(), server: server.into(), session: None, pin: None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;
    use quorate_core::error::labels::RETRYABLE_WRITE_ERROR;

    #[test]
    fn a_write_error_counts_before_a_write_concern_error() {
        let reply = reply(doc! {
            "ok": 1, "n": 0,
            "writeErrors": [{ "index": 0, "code": 11000, "errmsg": "duplicate" }],
            "writeConcernError": { "code": 64, "errmsg": "waiting", "errInfo": { "wtimeout": true } },
        });
        let error = check_write(&reply).unwrap_err();
        assert!(matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(e)) if e.code == 11000));
    }

    #[test]
    fn a_write_concern_error_carries_labels_and_says_whether_it_was_wtimeout() {
        let reply = reply(doc! {
            "ok": 1, "n": 1, "errorLabels": ["RetryableWriteError"],
            "writeConcernError": {
                "code": 64, "errmsg": "waiting", "errInfo": { "wtimeout": true }, "errorLabels": ["Inner"],
            },
        });
        let error = check_write(&reply).unwrap_err();
        assert!(error.is_write_concern_timeout());
        assert!(error.contains_label(RETRYABLE_WRITE_ERROR) && error.contains_label("Inner"));
        assert!(error.server_address().is_some());
    }

    #[test]
    fn replies_that_lie_are_refused() {
        let out_of_range =
            reply(doc! { "ok": 1, "n": 0, "writeErrors": [{ "index": 7, "code": 1, "errmsg": "" }] });
        assert!(matches!(&*check_write(&out_of_range).unwrap_err().kind, ErrorKind::InvalidResponse { .. }));
        assert!(count(Some(-1), "n", &ServerAddress::default()).is_err());
    }
}
