//! What does not depend on the deployment's size: messages, cluster time, retries, pools, connection strings.

use super::deployment::raw;
use super::{Decision, Target};
use crate::rig::Rig;
use quorate_core::error::{Error, IoErrorKind};
use quorate_core::pool::{OpToken, Pool, PoolOptions, PoolOutput};
use quorate_core::raw::{DocWriter, Timestamp};
use quorate_core::reply::ReplySummary;
use quorate_core::retry::{Attempt, Retry, decide};
use quorate_core::selection::SelectionCriteria;
use quorate_core::uri::ConnectionString;
use quorate_core::wire::{Flags, ReadBuffer, Request, encode_op_msg};
use quorate_core::{ClusterTime, Instant, MAX_MESSAGE_SIZE_BYTES, ServerAddress};
use std::hint::black_box;

pub(super) fn decisions() -> Vec<Decision> {
    vec![
        cluster_time(),
        retry(),
        check_out(),
        operation("operation.read", SelectionCriteria::default(), Retry::Read),
        operation("operation.write", SelectionCriteria::Writable, Retry::Write),
        encode(),
        decode(),
        summary(),
        uri(),
    ]
}

/// A reply's cluster time, a tick later each time.
fn cluster_time() -> Decision {
    let mut known = ClusterTime::default();
    let mut document = Vec::new();
    DocWriter::new(&mut document)
        .timestamp("clusterTime", Timestamp { time: 1, increment: 1 })
        .doc("signature", |w| w.binary("hash", 0, &[0; 20]).i64("keyId", 7))
        .finish();
    let mut tick = 0u32;
    Decision::new("cluster_time", 0, move || {
        tick = tick.wrapping_add(1);
        let at = Timestamp { time: 1 + (tick >> 16), increment: tick };
        black_box(known.advance_to(at, raw(black_box(&document))));
    })
    .within(Some(Target { ns: 20.0, allocations: Some(0.0) }))
}

fn retry() -> Decision {
    let error = Error::io(IoErrorKind::Reset, "connection reset");
    let attempt = Attempt { retry: Retry::Read, number: 1, has_txn_number: false, most_attempts: 2 };
    Decision::new("retry.decide", 0, move || {
        black_box(decide(black_box(attempt), black_box(&error)));
    })
}

/// A connection out of a pool and back.
fn check_out() -> Decision {
    let mut pool = Pool::new(PoolOptions::new(ServerAddress::default()));
    let now = Instant::from_nanos(1);
    pool.ready(now);
    pool.check_out(now, OpToken(1), None);
    let mut found = None;
    while let Some(output) = pool.poll_output() {
        match output {
            PoolOutput::Connect { conn, .. } => pool.handle_established(now, conn, None),
            PoolOutput::CheckedOut { conn, .. } => found = Some(conn),
            _ => {}
        }
    }
    pool.check_in(now, found.expect("the connection was made"), true);
    Decision::new("pool.check_out_and_in", 0, move || {
        let conn = pool.try_check_out(black_box(now)).expect("there is an idle one");
        black_box(pool.check_in(now, conn, true));
    })
}

/// All that the core does of an operation: selection, check-out, the fields of the command, the reply's summary, check-in.
fn operation(name: &str, criteria: SelectionCriteria, retry: Retry) -> Decision {
    let mut rig = Rig::new(3);
    Decision::new(name, 3, move || rig.operation(criteria.clone(), retry))
        .within(Some(Target { ns: f64::INFINITY, allocations: Some(0.0) }))
}

/// An insert of one document, its fields of the attempt included, into a buffer that was used before.
fn encode() -> Decision {
    let mut document = Vec::new();
    DocWriter::new(&mut document).object_id("_id", [7; 12]).str("name", "pen").i32("qty", 3).finish();
    let mut buffer = Vec::with_capacity(1024);
    let mut id = 0i32;
    Decision::new("wire.encode", 0, move || {
        id = id.wrapping_add(1);
        let mut request = Request::reusing(std::mem::take(&mut buffer));
        request.sequence("documents").push(raw(black_box(&document)));
        request.body().str("insert", "items").str("$db", "shop").bool("ordered", true).suspend();
        let attempt = request.attempt(id, Flags::NONE, |body| {
            body.doc("lsid", |w| w.binary("id", 4, &[1; 16])).i64("txnNumber", i64::from(id))
        });
        assert!(black_box(attempt).is_ok());
        buffer = request.into_buffer();
    })
    .within(Some(Target { ns: f64::INFINITY, allocations: Some(0.0) }))
}

/// The reply to it, out of a read buffer.
fn decode() -> Decision {
    let mut message = Vec::new();
    encode_op_msg(&mut message, 1, 1, Flags::NONE, raw(&insert_reply())).expect("a small message");
    let mut buffer = ReadBuffer::new(MAX_MESSAGE_SIZE_BYTES as usize);
    Decision::new("wire.decode", 0, move || {
        buffer.push(black_box(&message));
        let decoded = buffer.next_message();
        assert!(matches!(black_box(decoded), Ok(Some(_))));
    })
    .within(Some(Target { ns: f64::INFINITY, allocations: Some(0.0) }))
}

/// What its fields mean to the driver.
fn summary() -> Decision {
    let reply = insert_reply();
    Decision::new("reply.summary", 0, move || {
        assert!(black_box(ReplySummary::parse(raw(black_box(&reply)))).is_ok());
    })
    .within(Some(Target { ns: f64::INFINITY, allocations: Some(0.0) }))
}

fn insert_reply() -> Vec<u8> {
    let mut bytes = Vec::new();
    let at = Timestamp { time: 1_700_000_000, increment: 1 };
    DocWriter::new(&mut bytes)
        .i32("n", 1)
        .object_id("electionId", [1; 12])
        .doc("opTime", |w| w.timestamp("ts", at).i64("t", 1))
        .double("ok", 1.0)
        .doc("$clusterTime", |w| {
            w.timestamp("clusterTime", at).doc("signature", |w| w.binary("hash", 0, &[0; 20]).i64("keyId", 7))
        })
        .timestamp("operationTime", at)
        .finish();
    bytes
}

fn uri() -> Decision {
    let text = "mongodb://user:p%40ss@a.example.com:27017,b.example.com:27017,c.example.com/shop\
                ?replicaSet=rs0&w=majority&readPreference=secondaryPreferred&readPreferenceTags=dc:ny\
                &maxStalenessSeconds=120&retryWrites=true&connectTimeoutMS=5000";
    Decision::new("uri.parse", 0, move || {
        assert!(black_box(ConnectionString::parse(black_box(text))).is_ok());
    })
}
