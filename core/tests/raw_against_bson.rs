//! The core's own BSON reader and writer against the `bson` crate, and everything that reads from a socket against bytes
//! nobody sane would send.
#![allow(missing_docs)]

use bson::raw::RawDocument;
use bson::spec::BinarySubtype;
use bson::{Bson, Document};
use proptest::prelude::*;
use quorate_core::raw::{DocWriter, RawDoc, Timestamp, Value};
use quorate_core::reply::{self, ReplySummary};
use quorate_core::wire::{self, Flags, ReadBuffer};

/// Names and strings: any text a name may have, and often those the driver looks for.
fn name() -> impl Strategy<Value = String> {
    const KNOWN: &[&str] = &[
        "ok",
        "code",
        "errmsg",
        "writeErrors",
        "writeConcernError",
        "$clusterTime",
        "clusterTime",
        "cursor",
        "index",
        "errorLabels",
        "errInfo",
        "wtimeout",
        "topologyVersion",
        "processId",
        "counter",
        "$err",
        "operationTime",
    ];
    prop_oneof![
        prop::sample::select(KNOWN).prop_map(String::from),
        any::<String>().prop_map(|name| name.replace('\0', "")),
    ]
}

fn scalar() -> impl Strategy<Value = Bson> {
    prop_oneof![
        any::<f64>().prop_map(Bson::Double),
        any::<String>().prop_map(Bson::String),
        any::<bool>().prop_map(Bson::Boolean),
        Just(Bson::Null),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<(u32, u32)>()
            .prop_map(|(time, increment)| Bson::Timestamp(bson::Timestamp { time, increment })),
        any::<i64>().prop_map(|millis| Bson::DateTime(bson::DateTime::from_millis(millis))),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(bson::oid::ObjectId::from_bytes(bytes))),
        (subtype(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(subtype, bytes)| Bson::Binary(bson::Binary { subtype, bytes })),
        // Those the protocol's own fields never use.
        Just(Bson::Undefined),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
        any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(bson::Decimal128::from_bytes(bytes))),
        any::<String>().prop_map(Bson::JavaScriptCode),
        any::<String>().prop_map(Bson::Symbol),
        "[a-z]{0,9}".prop_map(|pattern| Bson::RegularExpression(bson::Regex {
            pattern: pattern.try_into().unwrap(),
            options: String::new().try_into().unwrap(),
        })),
        any::<String>().prop_map(|code| Bson::JavaScriptCodeWithScope(bson::JavaScriptCodeWithScope {
            code,
            scope: bson::doc! { "x": 1 },
        })),
    ]
}

/// Every subtype but the old 0x02, which has a second length in its payload that the `bson` crate strips.
fn subtype() -> impl Strategy<Value = BinarySubtype> {
    any::<u8>().prop_map(|byte| BinarySubtype::from(if byte == 2 { 0 } else { byte }))
}

fn value() -> impl Strategy<Value = Bson> {
    scalar().prop_recursive(4, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Bson::Array),
            prop::collection::vec((name(), inner), 0..6).prop_map(|fields| Bson::Document(collect(fields))),
        ]
    })
}

fn collect(fields: Vec<(String, Bson)>) -> Document {
    fields.into_iter().collect()
}

fn document() -> impl Strategy<Value = Document> {
    prop::collection::vec((name(), value()), 0..8).prop_map(collect)
}

/// A document that is mostly a plausible reply.
fn reply_document() -> impl Strategy<Value = Document> {
    (document(), prop_oneof![Just(Bson::Double(1.0)), Just(Bson::Int32(0)), scalar()]).prop_map(
        |(mut reply, ok)| {
            reply.insert("ok", ok);
            reply
        },
    )
}

fn encode(document: &Document) -> Vec<u8> {
    bson::serialize_to_vec(document).unwrap()
}

/// Every value the core understands equals the crate's; the others are known by their type byte.
fn agree(ours: RawDoc<'_>, theirs: &Document) {
    let mut theirs = theirs.iter();
    for element in ours.iter() {
        let (name, value) = element.unwrap();
        let (their_name, their_value) = theirs.next().unwrap();
        assert_eq!(name, their_name);
        agree_value(value, their_value);
    }
    assert_eq!(theirs.next(), None);
}

fn agree_value(ours: Value<'_>, theirs: &Bson) {
    match (ours, theirs) {
        (Value::Double(a), Bson::Double(b)) => assert_eq!(a.to_bits(), b.to_bits()),
        (Value::String(a), Bson::String(b)) => assert_eq!(a, b),
        (Value::Document(a), Bson::Document(b)) => agree(a, b),
        (Value::Array(a), Bson::Array(b)) => {
            let ours: Vec<_> = a.iter().map(|element| element.unwrap()).collect();
            assert_eq!(ours.len(), b.len());
            for (i, ((name, ours), theirs)) in ours.into_iter().zip(b).enumerate() {
                assert_eq!(name, i.to_string());
                agree_value(ours, theirs);
            }
        }
        (Value::Binary(subtype, bytes), Bson::Binary(b)) => {
            assert_eq!((subtype, bytes), (u8::from(b.subtype), b.bytes.as_slice()));
        }
        (Value::ObjectId(a), Bson::ObjectId(b)) => assert_eq!(a, b.bytes()),
        (Value::Bool(a), Bson::Boolean(b)) => assert_eq!(a, *b),
        (Value::DateTime(a), Bson::DateTime(b)) => assert_eq!(a, b.timestamp_millis()),
        (Value::Null, Bson::Null) => {}
        (Value::Int32(a), Bson::Int32(b)) => assert_eq!(a, *b),
        (Value::Int64(a), Bson::Int64(b)) => assert_eq!(a, *b),
        (Value::Timestamp(a), Bson::Timestamp(b)) => {
            assert_eq!(a, Timestamp { time: b.time, increment: b.increment });
        }
        (Value::Other(tag), other) => assert_eq!(tag, other.element_type() as u8),
        (ours, theirs) => panic!("{ours:?} is not {theirs:?}"),
    }
}

/// Writes `document` with the core's writer; what that cannot write is taken over as raw bytes.
fn write<'a>(mut out: DocWriter<'a>, document: &Document) -> DocWriter<'a> {
    for (name, value) in document {
        out = write_value(out, name, value);
    }
    out
}

fn write_value<'a>(out: DocWriter<'a>, name: &str, value: &Bson) -> DocWriter<'a> {
    match value {
        Bson::Double(v) => out.double(name, *v),
        Bson::String(v) => out.str(name, v),
        Bson::Document(v) => out.doc(name, |inner| write(inner, v)),
        Bson::Array(v) => out.array(name, |mut inner| {
            for (i, value) in v.iter().enumerate() {
                inner = write_value(inner, &i.to_string(), value);
            }
            inner
        }),
        Bson::Binary(v) => out.binary(name, v.subtype.into(), &v.bytes),
        Bson::ObjectId(v) => out.object_id(name, v.bytes()),
        Bson::Boolean(v) => out.bool(name, *v),
        Bson::DateTime(v) => out.date_time(name, v.timestamp_millis()),
        Bson::Null => out.null(name),
        Bson::Int32(v) => out.i32(name, *v),
        Bson::Int64(v) => out.i64(name, *v),
        Bson::Timestamp(v) => out.timestamp(name, Timestamp { time: v.time, increment: v.increment }),
        other => out.extend(RawDoc::new(&encode(&collect(vec![(name.into(), other.clone())]))).unwrap()),
    }
}

/// Walks everything there is, with a stack of its own, and stops at the first error of each document.
fn walk(document: RawDoc<'_>) -> usize {
    let (mut open, mut elements) = (vec![document], 0);
    while let Some(document) = open.pop() {
        let _ = format!("{document:?}");
        for (_, value) in document.iter().map_while(Result::ok) {
            elements += 1;
            let _ = (value.as_i64(), value.as_i32(), value.as_bool(), value.as_timestamp());
            if let Value::Document(inner) | Value::Array(inner) = value {
                open.push(inner);
            }
        }
    }
    elements
}

/// Everything that is ever done with a reply.
fn use_reply(body: RawDoc<'_>) {
    walk(body);
    let Ok(summary) = ReplySummary::parse(body) else { return };
    let _ =
        (summary.topology_version(), summary.error_code(), summary.state_change_code(), summary.is_clean());
    let _ = reply::command_error(&summary, body).to_string();
    let _ = summary.write_concern_error.map(reply::write_concern_error);
    let _ = summary.write_errors.map(|errors| reply::write_errors(errors, 100));
}

/// Feeds `bytes` to a read buffer in pieces and uses whatever comes out.
fn receive(bytes: &[u8], step: usize) {
    let mut buffer = ReadBuffer::new(100_000);
    for piece in bytes.chunks(step) {
        buffer.push(piece);
        while let Ok(Some(incoming)) = buffer.next_message() {
            use_reply(incoming.body);
            for sequence in incoming.sequences() {
                for document in sequence.documents() {
                    walk(document);
                }
            }
            let taken = buffer.take_message().map(wire::OwnedMessage::into_body_bytes);
            assert!(taken.is_some_and(|bytes| RawDoc::new(&bytes).is_ok()));
        }
    }
    let _ = wire::decode_op_query(bytes);
}

fn mutate(bytes: &mut [u8], changes: Vec<(prop::sample::Index, u8)>) {
    for (index, byte) in changes {
        if !bytes.is_empty() {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
    }
}

fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    let byte = prop_oneof![any::<u8>(), Just(0), Just(1), Just(0x7f), Just(0xff), Just(4)];
    prop::collection::vec((any::<prop::sample::Index>(), byte), 1..6)
}

proptest! {
    #[test]
    fn reads_what_bson_writes(document in document()) {
        let bytes = encode(&document);
        let raw = RawDoc::new(&bytes).unwrap();
        agree(raw, &document);
        for (name, value) in &document {
            agree_value(raw.get(name).unwrap().unwrap(), value);
        }
    }

    #[test]
    fn writes_what_bson_writes(document in document()) {
        let mut bytes = Vec::new();
        write(DocWriter::new(&mut bytes), &document).finish();
        prop_assert_eq!(&bytes, &encode(&document));
    }

    /// What the crate accepts of a damaged document, the core reads alike; nothing panics.
    #[test]
    fn damaged_documents(document in document(), changes in changes()) {
        let mut bytes = encode(&document);
        mutate(&mut bytes, changes);
        if let Ok(raw) = RawDoc::new(&bytes) {
            walk(raw);
        }
        let theirs = RawDocument::from_bytes(&bytes).ok().map(|raw| raw.iter().collect::<Result<Vec<_>, _>>());
        if let (Some(Ok(theirs)), Ok(ours)) = (theirs, RawDoc::new(&bytes)) {
            let ours: Vec<_> = ours.iter().map_while(Result::ok).map(|(name, _)| name.to_string()).collect();
            let theirs: Vec<_> = theirs.iter().map(|(name, _)| name.to_string()).collect();
            prop_assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), step in 1..50_usize) {
        if let Ok((raw, _)) = RawDoc::split_from(&bytes) {
            use_reply(raw);
        }
        let mut framed = bytes.clone();
        framed.extend_from_slice(&[0; 5]);
        let length = i32::try_from(framed.len()).unwrap();
        framed[..4].copy_from_slice(&length.to_le_bytes());
        *framed.last_mut().unwrap() = 0;
        use_reply(RawDoc::new(&framed).unwrap());
        receive(&bytes, step);
    }

    #[test]
    fn damaged_messages(
        replies in prop::collection::vec(reply_document(), 1..4),
        checksum in any::<bool>(),
        changes in changes(),
        step in 1..500_usize,
    ) {
        let mut bytes = Vec::new();
        for (i, reply) in replies.iter().enumerate() {
            let body = encode(reply);
            let flags = if checksum { Flags::CHECKSUM_PRESENT } else { Flags::NONE };
            if i == 1 {
                wire::encode_op_reply(&mut bytes, 1, 2, RawDoc::new(&body).unwrap()).unwrap();
            } else {
                wire::encode_op_msg(&mut bytes, 1, 2, flags, RawDoc::new(&body).unwrap()).unwrap();
            }
        }
        receive(&bytes, step);
        mutate(&mut bytes, changes);
        receive(&bytes, step);
    }

    #[test]
    fn damaged_replies(reply in reply_document(), changes in changes()) {
        let mut bytes = encode(&reply);
        use_reply(RawDoc::new(&bytes).unwrap());
        mutate(&mut bytes, changes);
        if let Ok(raw) = RawDoc::new(&bytes) {
            use_reply(raw);
        }
    }
}

/// Nesting costs bytes and nothing else.
#[test]
fn a_hundred_thousand_levels() {
    const LEVELS: i32 = 100_000;
    // Each level: its length, the type of a document, an empty name, what is inside, a terminator.
    let mut bytes = Vec::new();
    for inside in (0..LEVELS).rev() {
        bytes.extend_from_slice(&(5 + 7 * (inside + 1)).to_le_bytes());
        bytes.extend_from_slice(&[3, 0]);
    }
    bytes.extend_from_slice(RawDoc::EMPTY.as_bytes());
    bytes.resize(bytes.len() + LEVELS as usize, 0);
    let document = RawDoc::new(&bytes).unwrap();
    assert_eq!(walk(document), LEVELS as usize);
    use_reply(document);
}
