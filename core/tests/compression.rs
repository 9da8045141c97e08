//! Compressed messages by property: whatever was sent comes back, and whatever comes in is a message or a typed error.

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_core::wire::compression::{compress, inflate};
use quorate_core::wire::{Compressor, Header, ReadBuffer, WireError};

const LIMIT: usize = 200_000;

fn compressors() -> impl Strategy<Value = Compressor> {
    prop_oneof![
        Just(Compressor::Snappy),
        proptest::option::of(0..12_u32).prop_map(|level| Compressor::Zlib { level }),
        Just(Compressor::Zstd { level: None }),
    ]
    .prop_filter("what this build has", |compressor| compressor.is_available())
}

/// Bytes from noise to nothing but repetition, across the sizes at which compressors change their ways.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        vec(any::<u8>(), 0..200),
        (any::<u8>(), 0..40_000_usize).prop_map(|(byte, count)| vec![byte; count]),
        (vec(any::<u8>(), 1..40), 1..500_usize).prop_map(|(unit, count)| unit.repeat(count)),
        vec(0..3_u8, 0..3000),
    ];
    vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

fn message(op_code: i32, content: &[u8]) -> Vec<u8> {
    let length = i32::try_from(16 + content.len()).unwrap();
    let mut message = Header { length, request_id: 3, response_to: -4, op_code }.to_bytes().to_vec();
    message.extend_from_slice(content);
    message
}

fn envelope(original: i32, claimed: i32, id: u8, content: &[u8]) -> Vec<u8> {
    let inside = [&original.to_le_bytes()[..], &claimed.to_le_bytes(), &[id], content].concat();
    message(2012, &inside)
}

/// What is in there; never more memory than the limit says.
fn open(message: &[u8]) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    let outcome = inflate(message, LIMIT, &mut out);
    assert!(out.capacity() <= LIMIT + 1024, "{} bytes of memory", out.capacity());
    outcome.map(|()| out)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(target_family = "wasm") { 64 } else { 256 }))]

    #[test]
    fn what_was_sent_comes_back(compressor in compressors(), op_code in any::<i32>(), content in content()) {
        prop_assume!(op_code != 2012 && content.len() < LIMIT - 16);
        let plain = message(op_code, &content);
        let mut sent = b"before".to_vec();
        compress(compressor, &plain, &mut sent).unwrap();
        prop_assert_eq!(&sent[..6], b"before");
        prop_assert_eq!(open(&sent[6..]).unwrap(), plain);
    }

    #[test]
    fn garbage_is_a_message_of_the_claimed_size_or_an_error(
        id in 0..6_u8,
        claimed in prop_oneof![any::<i32>(), 0..300_000, 0..100],
        content in content(),
    ) {
        if let Ok(plain) = open(&envelope(2013, claimed, id, &content)) {
            prop_assert_eq!(plain.len(), 16 + usize::try_from(claimed).unwrap());
        }
    }

    #[test]
    fn a_broken_stream_is_a_message_of_the_claimed_size_or_an_error(
        compressor in compressors(),
        content in content(),
        breaks in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<proptest::sample::Index>(),
    ) {
        let plain = message(2013, &content);
        let mut sent = Vec::new();
        compress(compressor, &plain, &mut sent).unwrap();
        // The header stays: what a read buffer gives on has the length it states.
        for (at, byte) in breaks {
            let at = 16 + at.index(sent.len() - 16);
            sent[at] = byte;
        }
        sent.truncate(25 + cut.index(2 * sent.len()).min(sent.len() - 25));
        if let Ok(plain) = open(&sent) {
            let claimed = i32::from_le_bytes(sent[20..24].try_into().unwrap());
            prop_assert_eq!(plain.len(), 16 + usize::try_from(claimed).unwrap());
        }
    }

    #[test]
    fn a_read_buffer_takes_anything(
        stream in vec((0..6_u8, -1..5000_i32, vec(any::<u8>(), 0..300)), 0..4),
        cut in 1..50_usize,
    ) {
        let mut buffer = ReadBuffer::new(LIMIT);
        buffer.accept_compressed();
        let bytes: Vec<u8> =
            stream.iter().flat_map(|(id, claimed, content)| envelope(2013, *claimed, *id, content)).collect();
        for piece in bytes.chunks(cut) {
            buffer.push(piece);
            while let Ok(Some(message)) = buffer.next_message() {
                prop_assert_eq!(message.header.op_code, 2013);
            }
        }
    }
}
