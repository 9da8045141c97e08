use super::*;
use crate::raw::{DocWriter, RawDoc};
use crate::wire::{Flags, Request, decode, encode_op_msg, encode_op_reply};
use alloc::string::String;
use proptest::prelude::*;

const LIMIT: usize = 1_000_000;

fn body(padding: usize, number: i32) -> Vec<u8> {
    let mut out = Vec::new();
    let text = String::from_utf8(vec![b'x'; padding]).unwrap();
    DocWriter::new(&mut out).i32("n", number).str("text", &text).finish();
    out
}

fn message(padding: usize, number: i32, flags: Flags) -> Vec<u8> {
    let mut out = Vec::new();
    encode_op_msg(&mut out, number, 100 + number, flags, RawDoc::new(&body(padding, number)).unwrap())
        .unwrap();
    out
}

/// Everything `buffer` gives out, as (request id, body bytes).
fn drain(buffer: &mut ReadBuffer) -> Result<Vec<(i32, Vec<u8>)>, WireError> {
    let mut all = Vec::new();
    while let Some(incoming) = buffer.next_message()? {
        all.push((incoming.header.request_id, incoming.body.as_bytes().to_vec()));
    }
    Ok(all)
}

#[test]
fn any_fragmentation_gives_the_same_messages() {
    let mut stream = message(10, 1, Flags::NONE);
    stream.extend(message(20_000, 2, Flags::CHECKSUM_PRESENT | Flags::MORE_TO_COME));
    encode_op_reply(&mut stream, 3, 103, RawDoc::new(&body(3, 3)).unwrap()).unwrap();
    stream.extend(message(0, 4, Flags::EXHAUST_ALLOWED));
    for step in [1, 2, 3, 15, 16, 17, 100, 8191, 8192, 8193, usize::MAX] {
        let mut buffer = ReadBuffer::new(LIMIT);
        let mut seen = Vec::new();
        for piece in stream.chunks(step.min(stream.len())) {
            buffer.push(piece);
            seen.extend(drain(&mut buffer).unwrap());
        }
        assert_eq!(seen.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [1, 2, 3, 4], "step {step}");
        for (id, bytes) in &seen {
            let padding = [0, 10, 20_000, 3, 0][*id as usize];
            assert_eq!(bytes, &body(padding, *id));
        }
        assert!(buffer.is_empty());
    }
}

#[test]
fn flags_and_header_come_through() {
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.push(&message(1, 9, Flags::MORE_TO_COME | Flags::CHECKSUM_PRESENT));
    let incoming = buffer.next_message().unwrap().unwrap();
    assert!(incoming.more_to_come());
    assert_eq!((incoming.header.request_id, incoming.header.response_to), (9, 109));
    assert!(buffer.is_empty(), "what was given out is no rest");
    assert!(buffer.current().is_some());
    assert!(buffer.next_message().unwrap().is_none());
    assert!(buffer.current().is_none());
}

#[test]
fn impossible_lengths_fail_with_the_fourth_byte_and_stay() {
    for length in [-1, 0, 15, LIMIT as i32 + 1, i32::MAX, i32::MIN] {
        let mut buffer = ReadBuffer::new(LIMIT);
        let bytes = length.to_le_bytes();
        buffer.push(&bytes[..3]);
        assert!(buffer.next_message().unwrap().is_none());
        buffer.push(&bytes[3..]);
        let error = WireError::Length { length, limit: LIMIT };
        assert_eq!(buffer.next_message().unwrap_err(), error);
        buffer.push(&message(1, 1, Flags::NONE));
        buffer.space();
        buffer.filled(5);
        assert_eq!(buffer.next_message().unwrap_err(), error);
        assert!(buffer.take_message().is_none() && !buffer.is_empty());
    }
    // A web server where a mongod was expected: "HTTP" is a length of 1.3 GB.
    let mut buffer = ReadBuffer::new(48_000_000);
    buffer.push(b"HTTP/1.1 400 Bad Request\r\n");
    assert!(matches!(buffer.next_message(), Err(WireError::Length { .. })));
}

#[test]
fn an_unknown_op_code_fails_with_the_header() {
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.push(&Header { length: 900, request_id: 0, response_to: 0, op_code: 2010 }.to_bytes());
    assert_eq!(buffer.next_message().unwrap_err(), WireError::OpCode(2010));
}

#[test]
fn memory_follows_the_bytes_and_not_the_header() {
    let mut buffer = ReadBuffer::new(48_000_000);
    buffer.push(&47_999_999_i32.to_le_bytes());
    assert!(buffer.next_message().unwrap().is_none());
    assert_eq!(buffer.storage.len(), INITIAL);

    // And is given back when a large message has been consumed.
    let large = message(900_000, 1, Flags::NONE);
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.push(&large);
    assert!(buffer.storage.len() < large.len() + INITIAL);
    assert!(buffer.next_message().unwrap().is_some());
    assert!(buffer.next_message().unwrap().is_none());
    assert_eq!(buffer.storage.capacity(), 0);
    buffer.push(&large[..INITIAL]);
    assert_eq!(buffer.storage.len(), INITIAL);
    buffer.push(&large[INITIAL..]);
    assert_eq!(drain(&mut buffer).unwrap().len(), 1);
}

#[test]
fn a_long_message_is_not_held_one_and_a_half_times() {
    let message = message(4_000_000, 1, Flags::NONE);
    let mut buffer = ReadBuffer::new(48_000_000);
    let (mut most, mut before) = (0, 0);
    for piece in message.chunks(4096) {
        buffer.push(piece);
        // When the storage has grown, the one before was there as well until now.
        let now = buffer.storage.len();
        most = most.max(if now == before { now } else { now + before });
        before = now;
    }
    assert!(most < message.len() + message.len() / 4, "{most} bytes for a message of {}", message.len());
}

#[test]
fn storage_shrinks_though_the_peer_never_pauses() {
    let mut buffer = ReadBuffer::new(LIMIT);
    let small = message(100, 2, Flags::NONE);
    buffer.push(&message(900_000, 1, Flags::NONE));
    // Always a rest of the next message in the buffer, so that it is never empty.
    for _ in 0..20_000 {
        buffer.push(&small[..50]);
        drain(&mut buffer).unwrap();
        buffer.push(&small[50..]);
        buffer.push(&small[..50]);
        drain(&mut buffer).unwrap();
        buffer.push(&small[50..]);
    }
    drain(&mut buffer).unwrap();
    assert!(buffer.storage.len() <= KEEP, "{}", buffer.storage.len());
}

#[test]
fn messages_taken_out_outlive_the_buffer() {
    for (padding, rest) in [(10, 0), (10, 7), (3000, 0), (3000, 7), (500_000, 0), (500_000, 7)] {
        let mut buffer = ReadBuffer::new(LIMIT);
        assert!(buffer.take_message().is_none());
        buffer.push(&message(10, 1, Flags::NONE));
        buffer.push(&message(padding, 2, Flags::MORE_TO_COME));
        let next = message(5, 3, Flags::NONE);
        buffer.push(&next[..rest]);
        buffer.next_message().unwrap().unwrap();
        buffer.next_message().unwrap().unwrap();
        let taken = buffer.take_message().unwrap();
        assert!(buffer.take_message().is_none());
        assert_eq!(buffer.is_empty(), rest == 0);
        buffer.push(&next[rest..]);
        assert_eq!(drain(&mut buffer).unwrap(), [(3, body(5, 3))]);
        assert_eq!((taken.header.request_id, taken.flags), (2, Flags::MORE_TO_COME));
        assert_eq!(taken.body().as_bytes(), body(padding, 2));
        assert!(taken.capacity() <= 2 * (body(padding, 2).len() + INITIAL));
        assert_eq!(taken.into_body_bytes(), body(padding, 2));
    }
}

#[test]
fn a_large_message_is_taken_without_a_copy() {
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.push(&message(500_000, 1, Flags::NONE));
    let at = buffer.next_message().unwrap().unwrap().body.as_bytes().as_ptr();
    assert_eq!(buffer.take_message().unwrap().body().as_bytes().as_ptr(), at);
}

#[test]
fn frames_are_whole_messages_of_any_kind() {
    let mut stream = Vec::new();
    crate::wire::encode_op_query(&mut stream, 1, "admin", |d| d.i32("hello", 1)).unwrap();
    let query = stream.len();
    stream.extend(message(1, 2, Flags::NONE));
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.push(&stream);
    assert_eq!(buffer.next_frame().unwrap().unwrap(), stream[..query]);
    assert_eq!(buffer.next_frame().unwrap().unwrap(), stream[query..]);
    assert_eq!(buffer.next_frame().unwrap(), None);
}

/// A message of these sections, complete but for what the test wants wrong.
fn sections(flags: u32, sections: &[u8]) -> Vec<u8> {
    let header = Header { length: 20 + sections.len() as i32, request_id: 1, response_to: 2, op_code: 2013 };
    [&header.to_bytes()[..], &flags.to_le_bytes(), sections].concat()
}

#[test]
fn sections_may_come_in_any_order_but_must_be_right() {
    let empty = RawDoc::EMPTY.as_bytes();
    let body = [&[0], empty].concat();
    let list = |name: &[u8], documents: &[u8]| {
        let size = (4 + name.len() + 1 + documents.len()) as i32;
        [&[1], &size.to_le_bytes()[..], name, &[0], documents].concat()
    };
    let (a, b) = (list(b"a", &[empty, empty].concat()), list(b"b", &[]));
    for order in [[&body, &a, &b], [&a, &body, &b], [&a, &b, &body]] {
        let bytes = sections(0, &order.map(Vec::as_slice).concat());
        let incoming = decode(&bytes).unwrap();
        let names: Vec<_> = incoming.sequences().map(|s| (s.identifier, s.documents().count())).collect();
        assert_eq!(names, [("a", 2), ("b", 0)]);
        assert!(incoming.body.is_empty());
    }
    let error = |parts: &[&[u8]]| decode(&sections(0, &parts.concat())).unwrap_err();
    assert_eq!(error(&[]), WireError::Body("no body section"));
    assert_eq!(error(&[&a]), WireError::Body("no body section"));
    assert_eq!(error(&[&body, &a, &body]), WireError::Body("more than one body section"));
    assert_eq!(error(&[&body, &a, &a]), WireError::Sequence("the same name twice"));
    assert_eq!(error(&[&list(b"\xff", &[]), &body]), WireError::Sequence("a name that is no text"));
    assert_eq!(error(&[&body, &[2]]), WireError::SectionKind(2));
    assert!(matches!(error(&[&list(b"a", &empty[..4]), &body]), WireError::Bson(_)));
    assert_eq!(error(&[&body, &[1, 200, 0, 0, 0, 0]]), WireError::Truncated("a document sequence"));
    assert_eq!(error(&[&body, &[1, 0xff, 0xff, 0xff, 0xff, 0]]), WireError::Truncated("a document sequence"));
    assert!(matches!(error(&[&body, &[1, 4, 0, 0, 0]]), WireError::Truncated(_)));
    let many: Vec<u8> = (b'a'..=b'z').flat_map(|name| list(&[name], &[])).collect();
    assert_eq!(error(&[&body, &many]), WireError::Sequence("too many"));

    assert_eq!(decode(&sections(4, &body)).unwrap_err(), WireError::Flags(4));
    assert!(decode(&sections(0xfffe_0000, &body)).is_ok());
}

#[test]
fn a_checksum_is_verified() {
    let mut bytes = message(10, 1, Flags::CHECKSUM_PRESENT);
    assert!(decode(&bytes).is_ok());
    bytes[30] ^= 1;
    assert!(matches!(decode(&bytes), Err(WireError::Checksum { .. })));
    // No room for one.
    assert_eq!(decode(&sections(1, &[])).unwrap_err(), WireError::Truncated("the checksum"));
}

#[test]
fn a_compressed_message_is_named_as_such() {
    let header = Header { length: 27, request_id: 1, response_to: 2, op_code: 2012 };
    let bytes =
        [&header.to_bytes()[..], &2013_i32.to_le_bytes(), &99_i32.to_le_bytes(), &[2], b"xx"].concat();
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.push(&bytes);
    let error = WireError::Compressed { original_op_code: 2013, compressor: 2 };
    assert_eq!(buffer.next_message().unwrap_err(), error);
}

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Read(usize),
    Next,
    Take,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        (0..3000_usize).prop_map(Step::Push),
        (0..20_000_usize).prop_map(Step::Read),
        Just(Step::Next),
        Just(Step::Next),
        Just(Step::Take),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Whatever way bytes are handed in and messages taken out, in whatever order: the same messages.
    #[test]
    fn any_order_of_calls(paddings in prop::collection::vec(0..30_000_usize, 1..8), steps in steps()) {
        let all = paddings.iter().enumerate().map(|(i, p)| message(*p, i as i32, Flags::NONE));
        let stream = all.collect::<Vec<_>>().concat();
        let (mut at, mut seen) = (0_usize, 0_usize);
        let mut buffer = ReadBuffer::new(LIMIT);
        let ending = [Step::Push(usize::MAX)].into_iter().chain(core::iter::repeat_n(Step::Next, 8));
        for step in steps.into_iter().chain(ending) {
            match step {
                Step::Push(count) => {
                    let end = at.max(at.saturating_add(count).min(stream.len()));
                    buffer.push(&stream[at..end]);
                    at = end;
                }
                Step::Read(count) => {
                    let space = buffer.space();
                    prop_assert!(!space.is_empty());
                    let count = count.min(space.len()).min(stream.len() - at);
                    space[..count].copy_from_slice(&stream[at..at + count]);
                    buffer.filled(count);
                    at += count;
                }
                Step::Next => {
                    if let Some(incoming) = buffer.next_message().unwrap() {
                        prop_assert_eq!(incoming.header.request_id, seen as i32);
                        prop_assert_eq!(incoming.body.as_bytes(), body(paddings[seen], seen as i32));
                        seen += 1;
                    }
                }
                Step::Take => {
                    if let Some(taken) = buffer.take_message() {
                        prop_assert_eq!(taken.into_body_bytes(), body(paddings[seen - 1], seen as i32 - 1));
                    }
                }
            }
        }
        prop_assert_eq!(seen, paddings.len());
        prop_assert!(buffer.is_empty());
    }

    /// The outcome, errors included, does not depend on where a stream of damaged messages is cut.
    #[test]
    fn damage_is_found_the_same_way_however_it_is_cut(
        paddings in prop::collection::vec(0..200_usize, 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        step in 1..300_usize,
    ) {
        let all = paddings.iter().enumerate().map(|(i, p)| message(*p, i as i32, Flags::CHECKSUM_PRESENT));
        let mut stream = all.collect::<Vec<_>>().concat();
        for (index, byte) in damage {
            let at = index.index(stream.len());
            stream[at] = byte;
        }
        let outcome = |step: usize| {
            let mut buffer = ReadBuffer::new(LIMIT);
            let mut seen = Vec::new();
            for piece in stream.chunks(step) {
                buffer.push(piece);
                loop {
                    match buffer.next_message() {
                        Ok(Some(incoming)) => seen.push(Ok(incoming.body.as_bytes().to_vec())),
                        Ok(None) => break,
                        Err(error) => {
                            seen.push(Err(error));
                            return seen;
                        }
                    }
                }
            }
            seen
        };
        prop_assert_eq!(outcome(step), outcome(stream.len()));
    }

    /// What a request writes is what a receiver reads.
    #[test]
    fn requests_come_through(
        documents in prop::collection::vec(0..500_usize, 0..10),
        id in any::<i32>(),
        checksum in any::<bool>(),
    ) {
        let mut request = Request::new();
        let mut list = request.sequence("documents");
        for padding in &documents {
            list.push(RawDoc::new(&body(*padding, 1)).unwrap());
        }
        list.finish();
        request.body().str("insert", "c").suspend();
        let flags = if checksum { Flags::CHECKSUM_PRESENT } else { Flags::NONE };
        let sent = request.attempt(id, flags, |d| d.i64("txnNumber", 1)).unwrap();
        let mut buffer = ReadBuffer::new(LIMIT);
        buffer.push(sent);
        let incoming = buffer.next_message().unwrap().unwrap();
        prop_assert_eq!(incoming.header.request_id, id);
        let list = incoming.sequences().next().unwrap();
        prop_assert_eq!(list.documents().map(|d| d.as_bytes().len()).collect::<Vec<_>>(),
            documents.iter().map(|p| body(*p, 1).len()).collect::<Vec<_>>());
        let names: Vec<_> = incoming.body.iter().map(|e| e.unwrap().0).collect();
        prop_assert_eq!(names, ["insert", "txnNumber"]);
    }
}
