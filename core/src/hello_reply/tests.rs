use super::*;
use crate::raw::DocWriter;
use alloc::string::ToString;
use alloc::vec;

fn parse(write: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Result<HelloReply, Error> {
    let mut bytes = Vec::new();
    write(DocWriter::new(&mut bytes)).finish();
    HelloReply::parse(RawDoc::new(&bytes).unwrap())
}

fn refused(write: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>, names: &str) {
    let error = parse(write).unwrap_err();
    let ErrorKind::InvalidResponse { message } = &*error.kind else { panic!("{error:?}") };
    assert!(message.contains(names), "{message}");
}

#[test]
fn the_type_table() {
    let cases: &[(&[&str], bool, ServerType)] = &[
        (&[], false, ServerType::Standalone),
        (&["isWritablePrimary"], false, ServerType::Standalone),
        (&["isreplicaset"], false, ServerType::RsGhost),
        (&["isreplicaset", "secondary"], true, ServerType::RsGhost),
        (&["isWritablePrimary"], true, ServerType::RsPrimary),
        (&["ismaster"], true, ServerType::RsPrimary),
        (&["secondary"], true, ServerType::RsSecondary),
        (&["secondary", "passive"], true, ServerType::RsSecondary),
        (&["secondary", "hidden"], true, ServerType::RsOther),
        (&["arbiterOnly"], true, ServerType::RsArbiter),
        (&[], true, ServerType::RsOther),
    ];
    for (flags, in_set, expected) in cases {
        let reply = parse(|mut w| {
            w = w.double("ok", 1.0);
            for flag in *flags {
                w = w.bool(flag, true);
            }
            if *in_set { w.str("setName", "rs") } else { w }
        });
        assert_eq!(reply.unwrap().server_type(), *expected, "{flags:?}");
    }
    let mongos = parse(|w| w.i32("ok", 1).str("msg", "isdbgrid").bool("ismaster", true)).unwrap();
    assert_eq!(mongos.server_type(), ServerType::Mongos);
    assert_eq!(parse(|w| w.bool("ismaster", true)).unwrap().server_type(), ServerType::Unknown);
}

#[test]
fn the_newer_name_wins_over_ismaster() {
    let reply = parse(|w| w.i32("ok", 1).bool("ismaster", true).bool("isWritablePrimary", false)).unwrap();
    assert!(!reply.is_writable_primary);
}

#[test]
fn everything_a_primary_says() {
    let reply = parse(|w| {
        w.bool("helloOk", true)
            .bool("isWritablePrimary", true)
            .strs("hosts", ["A:1", "b"])
            .strs("passives", ["c:3"])
            .strs("arbiters", ["[::1]:4"])
            .str("setName", "rs")
            .i64("setVersion", 5)
            .object_id("electionId", [7; 12])
            .str("primary", "a:1")
            .str("me", "A:1")
            .doc("tags", |t| t.str("dc", "ny"))
            .doc("lastWrite", |l| {
                l.doc("opTime", |o| o.timestamp("ts", Timestamp { time: 3, increment: 4 }).i64("t", 1))
                    .date_time("lastWriteDate", 99)
            })
            .i32("maxBsonObjectSize", 16_777_216)
            .i32("maxMessageSizeBytes", i32::MAX)
            .i32("maxWriteBatchSize", 100_000)
            .double("logicalSessionTimeoutMinutes", 30.0)
            .i32("connectionId", 12)
            .i32("minWireVersion", 0)
            .i32("maxWireVersion", 21)
            .strs("compression", ["zstd", "snappy"])
            .doc("topologyVersion", |t| t.object_id("processId", [1; 12]).i64("counter", 6))
            .doc("$clusterTime", |t| t.timestamp("clusterTime", Timestamp { time: 3, increment: 4 }))
            .double("ok", 1.0)
    })
    .unwrap();
    assert_eq!(reply.server_type(), ServerType::RsPrimary);
    let members: Vec<String> = reply.members().map(ToString::to_string).collect();
    assert_eq!(members, ["a:1", "b:27017", "c:3", "[::1]:4"]);
    assert_eq!(reply.me.as_deref(), ServerAddress::parse("a:1").as_ref());
    assert_eq!((reply.last_write_date, reply.op_time), (Some(99), Some(Timestamp { time: 3, increment: 4 })));
    assert_eq!(reply.logical_session_timeout_minutes, Some(30));
    assert_eq!(reply.max_message_size_bytes, Some(MAX_MESSAGE_SIZE_BYTES));
    assert_eq!(reply.topology_version, Some(TopologyVersion { process_id: [1; 12], counter: 6 }));
    assert_eq!(*reply.compression, ["zstd", "snappy"]);
    assert_eq!(reply.tags.get("dc").map(String::as_str), Some("ny"));
    assert!(reply.cluster_time.unwrap().timestamp().is_some());
}

#[test]
fn a_refusal_keeps_the_servers_words() {
    let reply =
        parse(|w| w.i32("ok", 0).i32("code", 91).str("codeName", "X").str("errmsg", "going down")).unwrap();
    let error = reply.error().unwrap();
    assert_eq!(error.code(), Some(91));
    assert!(error.to_string().contains("going down"));
}

#[test]
fn null_is_as_good_as_absent() {
    let reply =
        parse(|w| w.i32("ok", 1).null("setName").null("logicalSessionTimeoutMinutes").null("hosts")).unwrap();
    assert_eq!(reply, parse(|w| w.i32("ok", 1)).unwrap());
}

#[test]
fn harm_is_refused_by_name() {
    let many = vec!["h:1"; MAX_HOSTS + 1];
    refused(|w| w.strs("hosts", many.iter().copied()), "hosts");
    let third = vec!["h:1"; MAX_HOSTS / 2 + 1];
    refused(|w| w.strs("hosts", third.iter().copied()).strs("passives", third.iter().copied()), "members");
    let long = "x".repeat(5000);
    refused(|w| w.str("setName", &long), "setName");
    refused(|w| w.doc("tags", |t| t.str("dc", &long)), "tags");
    refused(|w| w.doc("tags", |t| t.i32("dc", 1)), "tags");
    refused(|w| w.str("hosts", "a:1"), "hosts");
    refused(|w| w.strs("hosts", ["a:99999"]), "hosts");
    refused(|w| w.i64("maxWireVersion", i64::MAX), "maxWireVersion");
    refused(|w| w.i32("minWireVersion", -1), "minWireVersion");
    refused(|w| w.i32("maxBsonObjectSize", 0), "maxBsonObjectSize");
    refused(|w| w.double("maxMessageSizeBytes", 1.5), "maxMessageSizeBytes");
    refused(|w| w.i32("logicalSessionTimeoutMinutes", -5), "logicalSessionTimeoutMinutes");
    refused(|w| w.str("electionId", "x"), "electionId");
    refused(|w| w.doc("topologyVersion", |t| t.i32("counter", 1)), "topologyVersion");
    refused(|w| w.doc("$clusterTime", |t| t.str("x", &long)), "$clusterTime");
    refused(|w| w.doc("lastWrite", |l| l.str("lastWriteDate", "today")), "lastWrite");
}
