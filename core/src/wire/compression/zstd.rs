//! Zstandard, by the `ruzstd` crate, in both directions.
//!
//! Its encoder has one level that compresses, about libzstd's 1. The `zstd` crate has them all and is faster, but it is C: it
//! needs a compiler for every target, and does not build for `wasm32-unknown-unknown` without one.

use super::InflateError;
use super::output::make_room;
use alloc::vec::Vec;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::encoding::CompressionLevel;

/// About how much is decoded before it is moved to the output: two blocks.
const STEP: usize = 256 * 1024;

pub(super) fn compress(content: &[u8], out: &mut Vec<u8>) {
    ruzstd::encoding::compress(content, out, CompressionLevel::Fastest);
}

/// The decoder keeps a window of what it has decoded, which grows with that and not as the frame's header wants it to.
pub(super) fn inflate(content: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    const CORRUPT: InflateError = InflateError::Corrupt("zstd");
    const OTHER_SIZE: fn(usize) -> InflateError = |claimed| InflateError::OtherSize { claimed };
    let start = out.len();
    let mut rest = content;
    let mut decoder = FrameDecoder::new();
    decoder.init(&mut rest).map_err(|_| CORRUPT)?;
    let mut decoded_at_least = 0_usize;
    loop {
        let step = BlockDecodingStrategy::UptoBytes(STEP);
        let finished = decoder.decode_blocks(&mut rest, step).map_err(|_| CORRUPT)?;
        let have = out.len().saturating_sub(start).saturating_add(decoder.can_collect());
        decoded_at_least = decoded_at_least.saturating_add(STEP);
        if have > size || (!finished && decoded_at_least > size) {
            return Err(OTHER_SIZE(size));
        }
        make_room(out, start, have, size);
        decoder.collect_to_writer(&mut *out).map_err(|_| CORRUPT)?;
        if finished {
            break;
        }
    }
    let stated = decoder.get_checksum_from_data();
    if !rest.is_empty() || stated.is_some_and(|sum| decoder.get_calculated_checksum() != Some(sum)) {
        return Err(CORRUPT);
    }
    if out.len().saturating_sub(start) == size { Ok(()) } else { Err(OTHER_SIZE(size)) }
}
