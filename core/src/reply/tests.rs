use super::*;
use crate::error::{ErrorKind, WriteConcernError, labels};
use crate::raw::DocWriter;
use alloc::string::String;
use alloc::vec::Vec;

fn bytes(fields: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    fields(DocWriter::new(&mut out)).finish();
    out
}

fn doc(bytes: &[u8]) -> RawDoc<'_> {
    RawDoc::new(bytes).unwrap()
}

const NOW: Timestamp = Timestamp { time: 1_700_000_000, increment: 3 };

#[test]
fn all_fields_of_a_success() {
    let reply = bytes(|d| {
        d.doc("cursor", |c| c.i64("id", 0).str("ns", "a.b"))
            .i32("n", 2)
            .i64("nModified", 1)
            .array("upserted", |a| a.doc("0", |u| u.i32("index", 0)))
            .null("value")
            .double("ok", 1.0)
            .doc("$clusterTime", |c| c.timestamp("clusterTime", NOW).doc("signature", |s| s.i64("keyId", 0)))
            .timestamp("operationTime", NOW)
            .doc("recoveryToken", |t| t.str("recoveryShardId", "s"))
            .doc("topologyVersion", |t| t.object_id("processId", [7; 12]).i64("counter", 4))
            .array("writeErrors", |a| a)
            .str("unknown", "passed over")
    });
    let summary = ReplySummary::parse(doc(&reply)).unwrap();
    assert!(summary.ok && summary.is_clean());
    assert_eq!((summary.n, summary.n_modified), (Some(2), Some(1)));
    assert_eq!(summary.cursor.unwrap().get("id").unwrap().unwrap().as_i64(), Some(0));
    assert!(summary.upserted.is_some() && summary.recovery_token.is_some());
    assert_eq!(summary.value, Some(Value::Null));
    assert_eq!(summary.cluster_time.unwrap().time, NOW);
    assert!(summary.cluster_time.unwrap().document.get("signature").unwrap().is_some());
    assert_eq!(summary.operation_time, Some(NOW));
    assert_eq!(summary.topology_version(), Some(TopologyVersion { process_id: [7; 12], counter: 4 }));
    assert_eq!((summary.error_code(), summary.state_change_code()), (None, None));
}

#[test]
fn ok_must_be_a_number() {
    let missing = RawError { offset: 0, kind: RawErrorKind::Field("ok") };
    let parse = |reply: &[u8]| ReplySummary::parse(doc(reply)).map(|summary| summary.ok);
    assert_eq!(parse(&bytes(|d| d)), Err(missing));
    assert_eq!(parse(&bytes(|d| d.str("ok", "1"))), Err(missing));
    assert_eq!(parse(&bytes(|d| d.bool("ok", true))), Err(missing));
    assert_eq!(parse(&bytes(|d| d.double("ok", f64::NAN))), Err(missing));
    assert_eq!(parse(&bytes(|d| d.i64("ok", 1))), Ok(true));
    assert_eq!(parse(&bytes(|d| d.double("ok", 0.0))), Ok(false));
    assert_eq!(parse(&bytes(|d| d.i32("ok", 0))), Ok(false));
}

#[test]
fn a_failed_write_never_looks_like_a_success() {
    let parse = |reply: &[u8]| ReplySummary::parse(doc(reply)).map(|_| ()).map_err(|error| error.kind);
    let wrong = bytes(|d| d.i32("ok", 1).doc("writeErrors", |w| w));
    assert_eq!(parse(&wrong), Err(RawErrorKind::Field("writeErrors")));
    let wrong = bytes(|d| d.i32("ok", 1).str("writeConcernError", "late"));
    assert_eq!(parse(&wrong), Err(RawErrorKind::Field("writeConcernError")));
}

#[test]
fn fields_of_other_commands_do_no_harm() {
    let reply = bytes(|d| {
        d.i32("ok", 1)
            .str("code", "x")
            .i32("codeName", 1)
            .str("n", "many")
            .i32("cursor", 1)
            .str("$clusterTime", "noon")
            .str("operationTime", "noon")
            .i32("errorLabels", 1)
    });
    let summary = ReplySummary::parse(doc(&reply)).unwrap();
    assert_eq!(summary, ReplySummary { ok: true, ..ReplySummary::default() });
}

#[test]
fn what_is_no_cluster_time_is_not_passed_on() {
    let of = |cluster_time: &[u8]| {
        let reply = bytes(|d| d.i32("ok", 1).raw("$clusterTime", doc(cluster_time)));
        ReplySummary::parse(doc(&reply)).unwrap().cluster_time.is_some()
    };
    assert!(of(&bytes(|d| d.timestamp("clusterTime", NOW))));
    assert!(!of(&bytes(|d| d.i64("clusterTime", 5))));
    let large = String::from_utf8(alloc::vec![b'x'; 2000]).unwrap();
    assert!(!of(&bytes(|d| d.timestamp("clusterTime", NOW).str("more", &large))));
    let mut broken = bytes(|d| d.timestamp("clusterTime", NOW).bool("b", true));
    let at = broken.len() - 2;
    broken[at] = 9;
    assert!(!of(&broken));
}

#[test]
fn command_errors_keep_code_labels_and_reply() {
    let reply = bytes(|d| {
        d.i32("ok", 0)
            .str("errmsg", "stepping down")
            .double("code", 189.0)
            .str("codeName", "PrimarySteppedDown")
            .strs("errorLabels", [labels::RETRYABLE_WRITE_ERROR, labels::RETRYABLE_WRITE_ERROR, "Other"])
    });
    let summary = ReplySummary::parse(doc(&reply)).unwrap();
    assert!(!summary.is_clean());
    assert_eq!(summary.state_change_code(), Some(189));
    assert!(summary.contains_label("Other") && !summary.contains_label("Othe"));
    let error = command_error(&summary, doc(&reply));
    assert_eq!(error.labels().collect::<Vec<_>>(), [labels::RETRYABLE_WRITE_ERROR, "Other"]);
    let ErrorKind::Command(command) = &*error.kind else { panic!("{error}") };
    assert_eq!((command.code, command.code_name.as_str()), (189, "PrimarySteppedDown"));
    assert_eq!((command.message.as_str(), &command.reply), ("stepping down", &reply));
}

#[test]
fn words_count_only_without_a_code() {
    // SDAM specification, "not writable primary and node is recovering".
    let table = [
        (None, "not master", Some(10058)),
        (None, "not master or secondary; cannot currently read", Some(13436)),
        (None, "node is recovering", Some(13436)),
        (None, "no such thing", None),
        (Some(10107), "anything", Some(10107)),
        (Some(91), "not master", Some(91)),
        (Some(1), "not master", None),
    ];
    for (code, message, expected) in table {
        let error = bytes(|d| match code {
            Some(code) => d.str("errmsg", message).i32("code", code),
            None => d.str("errmsg", message),
        });
        let top = bytes(|d| d.extend(doc(&error)).i32("ok", 0));
        let summary = ReplySummary::parse(doc(&top)).unwrap();
        assert_eq!(summary.state_change_code(), expected, "{code:?} {message}");
        let as_error = command_error(&summary, doc(&top)).code();
        assert_eq!(as_error, Some(code.or(expected).unwrap_or(0)));

        let nested = bytes(|d| d.i32("ok", 1).raw("writeConcernError", doc(&error)));
        let summary = ReplySummary::parse(doc(&nested)).unwrap();
        assert_eq!(summary.state_change_code(), expected, "write concern error {code:?} {message}");
        assert_eq!(summary.error_code(), None);

        let write_errors = bytes(|d| d.i32("ok", 1).array("writeErrors", |a| a.raw("0", doc(&error))));
        let summary = ReplySummary::parse(doc(&write_errors)).unwrap();
        assert_eq!(summary.state_change_code(), None, "write errors must not be looked at");
    }
}

#[test]
fn an_old_servers_err() {
    let reply = bytes(|d| d.str("$err", "not master and slaveOk=false").i32("code", 13435));
    let summary = ReplySummary::parse(doc(&reply)).unwrap();
    assert!(!summary.ok);
    assert_eq!(summary.state_change_code(), Some(13435));
    assert_eq!(summary.message, Some("not master and slaveOk=false"));
}

#[test]
fn wtimeout_is_told_from_other_write_concern_errors() {
    let timeout = bytes(|d| {
        d.i32("code", 64)
            .str("codeName", "WriteConcernFailed")
            .str("errmsg", "waiting for replication timed out")
            .doc("errInfo", |i| i.bool("wtimeout", true).doc("writeConcern", |w| w.i32("w", 3)))
            .strs("errorLabels", ["RetryableWriteError"])
    });
    let error = write_concern_error(doc(&timeout));
    assert!(error.is_timeout());
    assert_eq!((error.code, error.code_name.as_str()), (64, "WriteConcernFailed"));
    assert_eq!(error.labels, ["RetryableWriteError"]);
    assert!(error.details.is_some());

    let other =
        bytes(|d| d.i32("code", 100).str("errmsg", "no").doc("errInfo", |i| i.bool("wtimeout", false)));
    assert!(!write_concern_error(doc(&other)).is_timeout());
    assert_eq!(write_concern_error(RawDoc::EMPTY), WriteConcernError::default());
}

#[test]
fn write_errors_are_indexed_and_bounded() {
    let one = bytes(|d| d.doc("0", |e| e.i32("index", 2).i32("code", 11000).str("errmsg", "duplicate key")));
    let errors = write_errors(doc(&one), 3).unwrap();
    assert_eq!((errors[0].index, errors[0].error.code), (2, 11000));
    assert_eq!(errors[0].error.message, "duplicate key");

    let kind = |array: &[u8], batch| write_errors(doc(array), batch).unwrap_err().kind;
    assert_eq!(kind(&one, 2), RawErrorKind::Field("writeErrors.index"));
    let negative = bytes(|d| d.doc("0", |e| e.i32("index", -1)));
    assert_eq!(kind(&negative, 3), RawErrorKind::Field("writeErrors.index"));
    let more = bytes(|d| d.doc("0", |e| e.i32("index", 0)).doc("1", |e| e.i32("index", 0)));
    assert_eq!(kind(&more, 1), RawErrorKind::Field("writeErrors"));
    assert_eq!(kind(&bytes(|d| d.i32("0", 1)), 1), RawErrorKind::Field("writeErrors"));
}

#[test]
fn errors_stay_small_whatever_the_server_sends() {
    let long = "é".repeat(1_000_000);
    let reply = bytes(|d| {
        let d = d.i32("ok", 0).str("errmsg", &long).str("codeName", &long);
        d.array("errorLabels", |mut a| {
            for i in 0..1000 {
                a = a.str("x", &alloc::format!("label {i}"));
            }
            a.str("x", &long)
        })
    });
    let summary = ReplySummary::parse(doc(&reply)).unwrap();
    let error = command_error(&summary, doc(&reply));
    assert_eq!(error.labels().count(), 32);
    let ErrorKind::Command(command) = &*error.kind else { panic!("{error}") };
    assert_eq!((command.message.len(), command.code_name.len()), (16 * 1024, 16 * 1024));
    assert!(command.reply.is_empty());
}
