//! Reading replies one after the other gives what reading each by itself gives, whatever comes.

use proptest::prelude::*;
use quorate_core::raw::{DocWriter, RawDoc, Timestamp};
use quorate_core::{Arc, HelloReader, HelloReply};

/// A field of a reply, by what may differ in it.
#[derive(Clone, Debug)]
enum Part {
    Ok(bool),
    Hosts(u8),
    SetName(u8),
    LastWrite(i64),
    LastWriteIsNull,
    ConnectionId(i32),
    ConnectionIdIsLong(i64),
    TopologyVersion(i64),
    LocalTime(i64),
    ClusterTime(u32),
    Unknown(i32),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => Just(Part::Ok(true)),
        1 => Just(Part::Ok(false)),
        3 => (0..4u8).prop_map(Part::Hosts),
        3 => (0..2u8).prop_map(Part::SetName),
        5 => (0..3i64).prop_map(Part::LastWrite),
        1 => Just(Part::LastWriteIsNull),
        5 => (0..3i32).prop_map(Part::ConnectionId),
        1 => (-1..2i64).prop_map(Part::ConnectionIdIsLong),
        5 => (0..3i64).prop_map(Part::TopologyVersion),
        5 => (0..3i64).prop_map(Part::LocalTime),
        5 => (1..4u32).prop_map(Part::ClusterTime),
        3 => (0..2i32).prop_map(Part::Unknown),
    ]
}

fn encode(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = DocWriter::new(&mut bytes);
    for part in parts {
        writer =
            match *part {
                Part::Ok(ok) => writer.i32("ok", i32::from(ok)),
                Part::Hosts(n) => writer.strs("hosts", ["h0:1", "h1:1", "h2:1"].into_iter().take(n.into())),
                Part::SetName(n) => writer.str("setName", &format!("set{n}")),
                Part::LastWrite(at) => writer.doc("lastWrite", |w| w.date_time("lastWriteDate", at)),
                Part::LastWriteIsNull => writer.null("lastWrite"),
                Part::ConnectionId(id) => writer.i32("connectionId", id),
                Part::ConnectionIdIsLong(id) => writer.i64("connectionId", id),
                Part::TopologyVersion(counter) => writer
                    .doc("topologyVersion", |w| w.object_id("processId", [7; 12]).i64("counter", counter)),
                Part::LocalTime(at) => writer.date_time("localTime", at),
                Part::ClusterTime(time) => writer
                    .doc("$clusterTime", |w| w.timestamp("clusterTime", Timestamp { time, increment: 1 })),
                Part::Unknown(n) => writer.i32("unheardOf", n),
            };
    }
    writer.finish();
    bytes
}

proptest! {
    /// Each reply differs from the one before in a few parts: where the reader has the most to confuse.
    #[test]
    fn reads_what_a_full_reading_reads(
        first in proptest::collection::vec(part(), 0..9),
        changes in proptest::collection::vec((0..9usize, part(), any::<bool>()), 0..12),
    ) {
        let mut reader = HelloReader::default();
        let mut parts = first;
        let mut replies = vec![encode(&parts)];
        for (at, part, more) in changes {
            match parts.get_mut(at) {
                Some(old) => *old = part,
                None => parts.push(part),
            }
            if !more {
                replies.push(encode(&parts));
            }
        }
        for bytes in &replies {
            let doc = RawDoc::new(bytes).unwrap();
            let (whole, kept) = (HelloReply::parse(doc), reader.read(doc));
            match (whole, kept) {
                (Ok(whole), Ok(kept)) => prop_assert_eq!(&whole, kept),
                (whole, kept) => prop_assert_eq!(whole.is_err(), kept.is_err()),
            }
        }
    }
}

#[test]
fn keeps_the_lists_of_a_server_that_only_wrote() {
    let mut reader = HelloReader::default();
    let reply = |at| encode(&[Part::Ok(true), Part::Hosts(3), Part::SetName(0), Part::LastWrite(at)]);
    let first = reader.read(RawDoc::new(&reply(1)).unwrap()).unwrap().clone();
    let second = reader.read(RawDoc::new(&reply(2)).unwrap()).unwrap();
    assert_eq!(second.last_write_date, Some(2));
    assert!(Arc::ptr_eq(&first.hosts, &second.hosts));
}
