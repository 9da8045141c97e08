//! Servers whose compressed answers mean harm. Each lies as those of [`super::after`] do, to a client that offers
//! compression.

use super::after::{Harm, harm};
use super::child::Case;
use quorate_core::wire::compression::{Compressor, compress};
use quorate_harness::hostile::{Answer, Request, bend, body};
use quorate_harness::wire::{self, HEADER_LEN, OP_COMPRESSED, OP_MSG};

/// How a client offers everything.
const OFFER: &str = "&compressors=snappy,zlib,zstd";

pub(crate) fn cases() -> Vec<Case> {
    let all = [Compressor::Snappy, Compressor::Zlib { level: None }, Compressor::Zstd { level: None }];
    let streams = all.into_iter().zip(1..).flat_map(|(compressor, id)| streams(compressor, id));
    envelopes().into_iter().chain(streams).map(|harm| harm.with(OFFER)).flat_map(Harm::cases).collect()
}

/// An answer in an envelope that says what it likes.
fn envelope(request: &Request, original: i32, claimed: i32, id: u8, content: &[u8]) -> Vec<u8> {
    let payload = [&original.to_le_bytes()[..], &claimed.to_le_bytes(), &[id], content].concat();
    wire::message(1, request.request_id, OP_COMPRESSED, &payload)
}

/// What stands behind the header of an honest answer.
fn content(request: &Request) -> Vec<u8> {
    request.reply(&body::ok())[HEADER_LEN..].to_vec()
}

fn size(content: &[u8]) -> i32 {
    i32::try_from(content.len()).expect("not that long")
}

/// A message compressed as it should be.
fn compressed(compressor: Compressor, message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    compress(compressor, message, &mut out).expect("it can be compressed");
    out
}

/// Only the stream of one.
fn stream(compressor: Compressor, content: &[u8]) -> Vec<u8> {
    compressed(compressor, &wire::message(0, 0, OP_MSG, content))[HEADER_LEN + 9..].to_vec()
}

/// Lies that no compressor has a part in.
fn envelopes() -> Vec<Harm> {
    let claims = |name: &'static str, claimed: i32| {
        harm(name, "which is not between 0 and", move |request| {
            envelope(request, OP_MSG, claimed, 3, &[0; 100]).into()
        })
    };
    vec![
        claims("compressed_negative", -1),
        claims("compressed_least", i32::MIN),
        claims("compressed_greatest", i32::MAX),
        claims("compressed_49_mb", 49_000_000),
        harm("compressed_by_nobody_known", "unknown compressor 9", |request| {
            envelope(request, OP_MSG, 100, 9, &[0; 100]).into()
        }),
        harm("compressed_twice", "another compressed message", |request| {
            let inner = envelope(request, OP_MSG, 100, 0, &[0; 100])[HEADER_LEN..].to_vec();
            envelope(request, OP_COMPRESSED, size(&inner), 0, &inner).into()
        }),
        harm("compressed_query", "op code 2004", |request| {
            let content = content(request);
            envelope(request, 2004, size(&content), 0, &content).into()
        }),
        harm("compressed_without_an_envelope", "ends inside", |request| {
            wire::message(1, request.request_id, OP_COMPRESSED, &[0xdd, 7, 0, 0]).into()
        }),
        harm("not_compressed_and_longer", "does not have the", |request| {
            let content = content(request);
            envelope(request, OP_MSG, size(&content) - 1, 0, &content).into()
        }),
        harm("compressed_half_and_close", "closed", |request| {
            let content = content(request);
            Answer::Close(bend::truncated(envelope(request, OP_MSG, size(&content), 0, &content), 30))
        }),
        harm("zstd_window_of_terabytes", "no zstd", |request| {
            // Magic number, no flags, the widest window there is, and a block that repeats one byte.
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, 0xff, 0x03, 0x00, 0x10, 7];
            envelope(request, OP_MSG, 100, 3, &frame).into()
        }),
        harm("zstd_window_of_128_mb", "does not have the", |request| {
            // A window that may be, and nothing but blocks of the greatest size that repeat one byte.
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3];
            frame.extend([0x02, 0x00, 0x10, 7].repeat(5000));
            envelope(request, OP_MSG, 100, 3, &frame).into()
        }),
    ]
}

/// Lies in what a compressor has made.
fn streams(compressor: Compressor, id: u8) -> Vec<Harm> {
    let name = |what: &str| format!("{}_{what}", compressor.name());
    // Ten million bytes where a hundred are claimed.
    let zeros = stream(compressor, &vec![0; 10_000_000]);
    vec![
        harm(name("bomb"), "does not have the 100 bytes", move |request| {
            envelope(request, OP_MSG, 100, id, &zeros).into()
        }),
        harm(name("empty_claim"), "compressed message", move |request| {
            envelope(request, OP_MSG, 47_000_000, id, &stream(compressor, &content(request))).into()
        }),
        harm(name("cut"), "compressed message", move |request| {
            let content = content(request);
            let mut stream = stream(compressor, &content);
            stream.truncate(stream.len() / 2);
            envelope(request, OP_MSG, size(&content), id, &stream).into()
        }),
        harm(name("noise"), "compressed message", move |request| {
            let noise: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
            envelope(request, OP_MSG, 5000, id, &noise).into()
        }),
        harm(name("tail"), "compressed message", move |request| {
            let content = content(request);
            let stream = [&stream(compressor, &content)[..], b"and more"].concat();
            envelope(request, OP_MSG, size(&content), id, &stream).into()
        }),
        // Nothing is wrong with the compression, but with what comes out of it.
        harm(name("broken"), "", move |request| {
            compressed(compressor, &bend::document_length(request.reply(&body::ok()), i32::MAX)).into()
        }),
    ]
}
