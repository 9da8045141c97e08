use super::*;
use crate::raw::{DocWriter, RawDoc};
use crate::wire::{Flags, ReadBuffer, Request, decode, encode_op_msg};
use alloc::string::String;
use alloc::vec;

const LIMIT: usize = 48_000_000;

/// What this build has.
fn all() -> Vec<Compressor> {
    let all = [Compressor::Snappy, Compressor::Zlib { level: None }, Compressor::Zstd { level: None }];
    all.into_iter().filter(|compressor| compressor.is_available()).collect()
}

fn message(text: &str) -> Vec<u8> {
    let (mut body, mut message) = (Vec::new(), Vec::new());
    DocWriter::new(&mut body).str("text", text).i32("ok", 1).finish();
    encode_op_msg(&mut message, 7, 42, Flags::NONE, RawDoc::new(&body).unwrap()).unwrap();
    message
}

fn compressed(compressor: Compressor, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(compressor, message, &mut out).unwrap();
    out
}

/// An envelope around these bytes.
fn envelope(original: i32, claimed: i32, id: u8, content: &[u8]) -> Vec<u8> {
    let length = i32::try_from(25 + content.len()).unwrap();
    let header = Header { length, request_id: 7, response_to: 42, op_code: op_code::OP_COMPRESSED };
    let mut bytes = header.to_bytes().to_vec();
    bytes.extend(original.to_le_bytes());
    bytes.extend(claimed.to_le_bytes());
    bytes.push(id);
    bytes.extend_from_slice(content);
    bytes
}

fn inflated(message: &[u8], limit: usize) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    let outcome = inflate(message, limit, &mut out);
    assert!(out.capacity() <= 2 * limit.max(1024), "{} bytes of memory", out.capacity());
    outcome.map(|()| out)
}

#[track_caller]
fn assert_refused(message: &[u8], expected: InflateError) {
    assert_eq!(inflated(message, LIMIT), Err(WireError::Inflate(expected)));
}

#[test]
fn a_message_comes_back_as_it_was() {
    let texts = ["", "a", &"quorate ".repeat(100), &"quorate ".repeat(200_000)];
    for plain in texts.map(message) {
        for compressor in all() {
            let sent = compressed(compressor, &plain);
            let header = Header::from_bytes(sent.first_chunk().unwrap());
            assert_eq!(header.length as usize, sent.len());
            assert_eq!((header.request_id, header.response_to, header.op_code), (7, 42, 2012));
            assert_eq!(sent[16..20], 2013_i32.to_le_bytes());
            assert_eq!(sent[20..24], i32::try_from(plain.len() - 16).unwrap().to_le_bytes());
            assert!(plain.len() < 500 || sent.len() < plain.len() / 5, "{compressor:?}: {}", sent.len());
            assert_eq!(inflated(&sent, LIMIT).unwrap(), plain, "{compressor:?}");
        }
    }
}

#[test]
fn zlib_keeps_to_its_level() {
    if !(Compressor::Zlib { level: None }).is_available() {
        return;
    }
    let words = ["primary", "secondary", "arbiter", "elections", "oplog"];
    let text: String = (0..3000).map(|i: usize| words[i.wrapping_mul(i) / 7 % 5]).collect();
    let plain = message(&text);
    let size = |level| {
        let sent = compressed(Compressor::Zlib { level }, &plain);
        assert_eq!(inflated(&sent, LIMIT).unwrap(), plain, "{level:?}");
        sent.len()
    };
    assert!(size(Some(0)) > plain.len());
    assert!(size(Some(1)) < size(Some(0)) && size(Some(9)) < size(Some(1)));
    assert_eq!(size(None), size(Some(6)));
    assert_eq!(size(Some(1000)), size(Some(9)));
}

#[test]
fn a_message_that_is_not_compressed_at_all_is_known_too() {
    let plain = message("noop");
    let claimed = i32::try_from(plain.len() - 16).unwrap();
    assert_eq!(inflated(&envelope(2013, claimed, 0, &plain[16..]), LIMIT).unwrap(), plain);
    let other = InflateError::OtherSize { claimed: plain.len() - 15 };
    assert_refused(&envelope(2013, claimed + 1, 0, &plain[16..]), other);
}

#[test]
fn what_is_wrong_with_the_envelope_is_said() {
    for id in 4..=255 {
        assert_refused(&envelope(2013, 10, id, &[0; 10]), InflateError::UnknownCompressor(id));
    }
    assert_refused(&envelope(2012, 10, 0, &[0; 10]), InflateError::Nested);
    for claimed in [-1, i32::MIN, i32::MAX, 48_000_000] {
        let refused = InflateError::Size { claimed, limit: LIMIT - 16 };
        for id in 0..4 {
            assert_refused(&envelope(2013, claimed, id, &[0; 10]), refused);
        }
    }
    let whole = envelope(2013, 10, 0, &[0; 10]);
    assert_eq!(inflated(&whole[..24], LIMIT), Err(WireError::Truncated("the compression header")));
    assert_eq!(inflated(&whole[..3], LIMIT), Err(WireError::Truncated("the header")));
    assert_eq!(inflated(&message(""), LIMIT), Err(WireError::OpCode(2013)));
}

#[test]
fn another_size_than_claimed_is_refused() {
    let plain = message(&"a hundred nodes ".repeat(50_000));
    let size = plain.len() - 16;
    for compressor in all() {
        let sent = compressed(compressor, &plain);
        for claimed in [0, 1, size / 2, size - 1, size + 1, 2 * size, LIMIT - 16] {
            let wrong = envelope(2013, i32::try_from(claimed).unwrap(), sent[24], &sent[25..]);
            let mut out = Vec::new();
            let error = inflate(&wrong, LIMIT, &mut out).unwrap_err();
            assert_eq!(error, WireError::Inflate(InflateError::OtherSize { claimed }), "{compressor:?}");
            let most = claimed.min(2 * size) + 1024;
            assert!(out.capacity() <= most, "{compressor:?}, {claimed}: {} bytes", out.capacity());
        }
    }
}

/// The densest bytes that the formats know, a thousand times what they seem.
#[test]
fn a_bomb_fills_no_more_than_it_claims() {
    let plain = message(&"\0".repeat(4_000_000));
    for compressor in all() {
        let bomb = compressed(compressor, &plain);
        for claimed in [100, 1_000_000] {
            let wrong = envelope(2013, claimed, bomb[24], &bomb[25..]);
            let claimed = usize::try_from(claimed).unwrap();
            let mut out = Vec::new();
            let error = inflate(&wrong, LIMIT, &mut out).unwrap_err();
            assert_eq!(error, WireError::Inflate(InflateError::OtherSize { claimed }), "{compressor:?}");
            assert!(out.capacity() <= claimed + 1024, "{compressor:?}: {} bytes", out.capacity());
        }
        assert_eq!(inflated(&bomb, LIMIT).unwrap().len(), plain.len());
        let claimed = i32::try_from(plain.len() - 16).unwrap();
        let refused = InflateError::Size { claimed, limit: 1_000_000 - 16 };
        assert_eq!(inflated(&bomb, 1_000_000), Err(WireError::Inflate(refused)));
    }
}

/// Few bytes that claim many get no room for them.
#[test]
fn a_claim_is_not_believed() {
    let few = message("few");
    for compressor in all() {
        let sent = compressed(compressor, &few);
        let mut content = sent[25..].to_vec();
        if compressor == Compressor::Snappy {
            // Its own header claims it as well: 40,000,000 as a varint, then the elements.
            content.splice(0..1, [0x80, 0xb4, 0x89, 0x13]);
        }
        let wrong = envelope(2013, 40_000_000, sent[24], &content);
        let mut out = Vec::new();
        assert!(matches!(inflate(&wrong, LIMIT, &mut out), Err(WireError::Inflate(_))), "{compressor:?}");
        assert!(out.capacity() <= 4096, "{compressor:?}: {} bytes", out.capacity());
    }
}

#[test]
fn every_truncation_and_every_tail_is_refused() {
    let plain = message(&"step down, step up. ".repeat(20));
    let claimed = i32::try_from(plain.len() - 16).unwrap();
    for compressor in all() {
        let sent = compressed(compressor, &plain);
        for end in 25..sent.len() {
            let outcome = inflated(&envelope(2013, claimed, sent[24], &sent[25..end]), LIMIT);
            assert!(matches!(outcome, Err(WireError::Inflate(_))), "{compressor:?}, {end}: {outcome:?}");
        }
        let mut longer = sent[25..].to_vec();
        longer.push(0);
        let outcome = inflated(&envelope(2013, claimed, sent[24], &longer), LIMIT);
        assert!(matches!(outcome, Err(WireError::Inflate(_))), "{compressor:?} and a tail: {outcome:?}");
    }
}

#[test]
fn what_was_left_out_is_named() {
    let all = [Compressor::Snappy, Compressor::Zlib { level: None }, Compressor::Zstd { level: None }];
    for compressor in all.into_iter().filter(|compressor| !compressor.is_available()) {
        let left_out = InflateError::LeftOut(compressor.name());
        assert_refused(&envelope(2013, 10, compressor.id().number(), &[0; 10]), left_out);
        let outcome = compress(compressor, &message(""), &mut Vec::new());
        assert_eq!(outcome, Err(WireError::Inflate(left_out)));
    }
}

#[test]
fn credentials_and_hellos_are_never_compressed() {
    // Compression specification, "Messages not allowed to be compressed".
    let never = "hello isMaster ismaster saslStart saslContinue getnonce authenticate createUser updateUser copydbSaslStart \
        copydbgetnonce copydb";
    for name in never.split_whitespace() {
        assert!(!may_be_compressed(name), "{name}");
    }
    for name in ["insert", "find", "ping", "endSessions", "usersInfo", "helloo", "copydbx"] {
        assert!(may_be_compressed(name), "{name}");
    }
}

fn request(command: &str) -> Request {
    let mut request = Request::new();
    request.body().str(command, &"x".repeat(300)).str("$db", "test").suspend();
    request
}

#[test]
fn a_request_is_compressed_attempt_by_attempt() {
    for compressor in all() {
        let mut request = request("insert");
        request.compress(compressor, LIMIT);
        assert!(request.message().is_empty(), "nothing to send yet");
        let plain = request.attempt(1, Flags::NONE, |body| body.i64("txnNumber", 1)).unwrap().to_vec();
        request.compress(compressor, LIMIT);
        assert_eq!(request.message()[12..16], op_code::OP_COMPRESSED.to_le_bytes());
        assert_eq!(inflated(request.message(), LIMIT).unwrap(), plain);
        assert_eq!(request.body_and_sequences().unwrap().0, decode(&plain).unwrap().body);
        assert_eq!(request.len(), plain.len());
        // Another attempt goes elsewhere, where nothing was agreed on.
        let plain = request.attempt(2, Flags::NONE, |body| body.i64("txnNumber", 1)).unwrap().to_vec();
        assert_eq!(request.message(), plain);
        request.compress(compressor, LIMIT);
        assert_eq!(inflated(&request.into_message(), LIMIT).unwrap(), plain);
    }
}

#[test]
fn a_request_that_must_not_be_compressed_is_sent_as_it_is() {
    for compressor in all() {
        for (command, longest) in [("saslStart", LIMIT), ("hello", LIMIT), ("insert", 20)] {
            let mut request = request(command);
            let plain = request.attempt(1, Flags::NONE, |body| body).unwrap().to_vec();
            request.compress(compressor, longest);
            assert_eq!(request.message(), plain, "{command}");
        }
    }
}

#[test]
fn the_read_buffer_opens_what_was_offered() {
    let (short, long) = (message("short"), message(&"long ".repeat(10_000)));
    for compressor in all() {
        let mut buffer = ReadBuffer::new(LIMIT);
        buffer.push(&compressed(compressor, &short));
        let id = compressor.id().number();
        let unasked = WireError::Compressed { original_op_code: 2013, compressor: id };
        assert_eq!(buffer.next_message().unwrap_err(), unasked);

        let mut buffer = ReadBuffer::new(LIMIT);
        buffer.accept_compressed();
        // Compressed and not, borrowed and taken, in one stream of odd pieces.
        let stream =
            [&compressed(compressor, &short)[..], &short, &compressed(compressor, &long), &long].concat();
        let mut pieces = vec![&stream[..3], &stream[3..40]];
        pieces.extend(stream[40..].chunks(1000));
        let mut came = Vec::new();
        for piece in pieces {
            buffer.push(piece);
            while let Some(message) = buffer.next_message().unwrap() {
                let header = message.header;
                let body = message.body.as_bytes().to_vec();
                assert!(came.len() == 3 || !buffer.is_empty() || piece.len() < 1000);
                if came.len() % 2 == 0 {
                    let taken = buffer.take_message().unwrap();
                    assert_eq!(taken.body().as_bytes(), body);
                    assert!(buffer.current().is_none());
                }
                came.push((header, body));
            }
        }
        assert!(buffer.is_empty());
        for ((header, body), plain) in came.iter().zip([&short, &short, &long, &long]) {
            assert_eq!(*header, Header::from_bytes(plain.first_chunk().unwrap()), "{compressor:?}");
            assert_eq!(body, decode(plain).unwrap().body.as_bytes());
        }
        assert_eq!(came.len(), 4);
    }
}

#[test]
fn the_read_buffer_fails_for_good_on_what_it_cannot_open() {
    let mut buffer = ReadBuffer::new(LIMIT);
    buffer.accept_compressed();
    buffer.push(&envelope(2013, 10, 9, &[0; 10]));
    let error = WireError::Inflate(InflateError::UnknownCompressor(9));
    assert_eq!(buffer.next_message().unwrap_err(), error);
    buffer.push(&message("fine"));
    assert_eq!(buffer.next_message().unwrap_err(), error);
    assert!(!buffer.is_empty() && buffer.current().is_none());
    assert_eq!(alloc::format!("{error}"), "compressed message: unknown compressor 9");
}
