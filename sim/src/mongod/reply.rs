//! Replies into bytes, with what the server itself adds to them.

use super::codes::code_name;
use super::compression::Compression;
use super::request::ReplyTo;
use bson::{Bson, Document};
use quorate_core::raw::{DocWriter, RawDoc, Timestamp};
use quorate_core::wire::{Flags, HEADER_LENGTH, Header, encode_op_msg, encode_op_reply, op_code};

/// What an answer says of the time, on a member of a replica set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times {
    /// `$clusterTime`.
    pub(crate) cluster: Timestamp,
    /// `operationTime`.
    pub(crate) operation: Timestamp,
}

/// The bytes of an answer. `more` says that another will follow unasked. Nothing where the reply is too large to be sent.
pub(crate) fn encode(
    body: &Document,
    times: Option<Times>,
    to: ReplyTo,
    request_id: i32,
    more: bool,
    compression: &mut Compression,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    if body.to_writer(&mut bytes).is_err() {
        return Vec::new();
    }
    if let Some(times) = times {
        append_times(&mut bytes, times);
    }
    let Ok(body) = RawDoc::new(&bytes) else { return Vec::new() };
    let mut message = Vec::with_capacity(bytes.len() + 36);
    let written = if to.legacy {
        encode_op_reply(&mut message, request_id, to.request_id, body)
    } else {
        let flags = if more { Flags::MORE_TO_COME } else { Flags::NONE };
        encode_op_msg(&mut message, request_id, to.request_id, flags, body)
    };
    match (written, to.compressor) {
        (Err(_), _) => Vec::new(),
        (Ok(_), None) => message,
        (Ok(_), Some(compressor)) => compression.pack(compressor, message),
    }
}

/// The answer to a message of the time before `OP_MSG` that is not served any more.
pub(crate) fn query_failure(body: &Document, request_id: i32, response_to: i32) -> Vec<u8> {
    let Ok(bytes) = bson::serialize_to_vec(body) else { return Vec::new() };
    let length = i32::try_from(HEADER_LENGTH + 20 + bytes.len()).unwrap_or(i32::MAX);
    let header = Header { length, request_id, response_to, op_code: op_code::OP_REPLY };
    // responseFlags: QueryFailure; no cursor, starting from 0, one document.
    [&header.to_bytes()[..], &2_i32.to_le_bytes(), &[0; 12], &1_i32.to_le_bytes(), &bytes].concat()
}

/// Opens the finished document at the start of `bytes` again and adds the times.
fn append_times(bytes: &mut Vec<u8>, times: Times) {
    bytes.pop();
    let mut writer = DocWriter::resume(bytes, 0);
    if times.cluster != Timestamp::default() {
        writer = writer.doc("$clusterTime", |d| {
            // Without authentication between members nothing is signed.
            d.timestamp("clusterTime", times.cluster)
                .doc("signature", |d| d.binary("hash", 0, &[0; 20]).i64("keyId", 0))
        });
    }
    writer.timestamp("operationTime", times.operation).finish();
}

/// What the kind of an operation means for the labels of its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Labelling {
    /// No retryable write, no transaction.
    Plain,
    /// A retryable write, or the end of a transaction, which is retryable too.
    Retryable,
    /// A statement inside a transaction.
    Transaction,
}

/// The errors after which a retryable write may be sent again, as the server itself labels them.
pub(crate) const fn is_retryable(code: i32) -> bool {
    matches!(code, 6 | 7 | 89 | 91 | 189 | 262 | 9001 | 10058 | 10107 | 11600 | 11602 | 13435 | 13436)
}

/// The errors after which a whole transaction may be tried again. 24 lock time-out, 112 write conflict, 246 snapshot unavailable,
/// 251 no such transaction, 267 prepared transaction in progress; the others are stale routing.
const fn is_transient(code: i32) -> bool {
    is_retryable(code) || matches!(code, 24 | 63 | 112 | 239 | 246 | 249 | 251 | 267 | 13388)
}

/// Whether an error says that this server is not the primary (any more): it then carries the topology version.
pub(crate) const fn is_state_change(code: i32) -> bool {
    matches!(code, 189 | 10058 | 10107 | 11602 | 13435 | 13436)
}

/// The label the server puts on an error of this code.
pub(crate) const fn label(labelling: Labelling, code: i32) -> Option<&'static str> {
    match labelling {
        Labelling::Retryable if is_retryable(code) => Some("RetryableWriteError"),
        Labelling::Transaction if is_transient(code) => Some("TransientTransactionError"),
        _ => None,
    }
}

/// Finishes the reply of a command that failed: labels, topology version and the code's name in the places the server
/// puts them. `labels` replaces what the server would choose.
pub(crate) fn finish_error(
    reply: Document,
    labelling: Labelling,
    labels: Option<&[String]>,
    topology_version: Option<Document>,
) -> Document {
    let code = reply.get_i32("code").unwrap_or(0);
    let mut names: Vec<String> = match (labels, reply.get_array("errorLabels")) {
        (Some(labels), _) => labels.to_vec(),
        (None, Ok(own)) => own.iter().filter_map(|l| l.as_str().map(str::to_owned)).collect(),
        (None, Err(_)) => Vec::new(),
    };
    let concern_error = reply.get_document("writeConcernError").ok();
    let concern_code = concern_error.and_then(|error| error.get_i32("code").ok());
    if labels.is_none() {
        for code in [Some(code), concern_code].into_iter().flatten() {
            add_label(&mut names, label(labelling, code));
        }
    }
    let mut out = Document::new();
    if let Some(error) = concern_error {
        out.insert("writeConcernError", error.clone());
    }
    if !names.is_empty() {
        out.insert("errorLabels", names);
    }
    if let Some(version) = topology_version.filter(|_| is_state_change(code)) {
        out.insert("topologyVersion", version);
    }
    for (name, value) in reply {
        match name.as_str() {
            "errorLabels" | "writeConcernError" => {}
            "codeName" => {
                out.insert(name, code_name(code).into_owned());
            }
            _ => {
                out.insert(name, value);
            }
        }
    }
    out
}

/// Finishes the reply of a command that worked: `ok`, and what a write concern error brings with it.
pub(crate) fn finish_ok(
    mut reply: Document,
    labelling: Labelling,
    labels: Option<&[String]>,
    topology_version: Option<Document>,
) -> Document {
    let concern_code = reply.get_document("writeConcernError").ok().and_then(|e| e.get_i32("code").ok());
    reply.insert("ok", 1.0);
    let Some(code) = concern_code else { return reply };
    let mut names = labels.map(<[String]>::to_vec).unwrap_or_default();
    if labels.is_none() {
        add_label(&mut names, label(labelling, code));
    }
    if !names.is_empty() {
        reply.insert("errorLabels", names.into_iter().map(Bson::from).collect::<Vec<_>>());
    }
    if let Some(version) = topology_version.filter(|_| is_state_change(code)) {
        reply.insert("topologyVersion", version);
    }
    reply
}

fn add_label(names: &mut Vec<String>, label: Option<&'static str>) {
    if let Some(label) = label.filter(|label| !names.iter().any(|name| name == label)) {
        names.push(label.to_owned());
    }
}
