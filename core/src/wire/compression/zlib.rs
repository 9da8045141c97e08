//! zlib, by the `miniz_oxide` crate.

use super::InflateError;
use super::output::{first_room, grow};
use alloc::boxed::Box;
use alloc::vec::Vec;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress as deflate, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

/// What -1 and nothing stand for.
const DEFAULT_LEVEL: u32 = 6;

pub(super) fn compress(content: &[u8], level: Option<u32>, out: &mut Vec<u8>) {
    let level = i32::try_from(level.unwrap_or(DEFAULT_LEVEL).min(9)).unwrap_or(6);
    // A positive number of window bits asks for zlib's header and checksum.
    let flags = create_comp_flags_from_zip_params(level, 1, 0);
    let mut compressor = Box::new(CompressorOxide::new(flags));
    let mut rest = content;
    let mut done = out.len();
    out.resize(done.saturating_add(content.len() / 2).saturating_add(64), 0);
    loop {
        let space = out.get_mut(done..).unwrap_or_default();
        let (status, read, written) = deflate(&mut compressor, rest, space, TDEFLFlush::Finish);
        rest = rest.get(read..).unwrap_or_default();
        done = done.saturating_add(written);
        // Nothing else than "done" and "more room" comes of a compressor that is used as it should be.
        if status != TDEFLStatus::Okay {
            break;
        }
        out.resize(out.len().saturating_mul(2), 0);
    }
    out.truncate(done);
}

pub(super) fn inflate(content: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    const FLAGS: u32 = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let start = out.len();
    let mut state = Box::<DecompressorOxide>::default();
    let mut rest = content;
    let mut done = 0;
    out.resize(start.saturating_add(first_room(content.len(), size)), 0);
    loop {
        // All of the output so far, as later bytes may repeat earlier ones.
        let output = out.get_mut(start..).unwrap_or_default();
        let (status, read, written) = decompress(&mut state, rest, output, done, FLAGS);
        rest = rest.get(read..).unwrap_or_default();
        done = done.saturating_add(written);
        match status {
            TINFLStatus::Done if !rest.is_empty() => return Err(InflateError::Corrupt("zlib")),
            TINFLStatus::Done if done == size => return Ok(()),
            TINFLStatus::Done => return Err(InflateError::OtherSize { claimed: size }),
            TINFLStatus::HasMoreOutput if grow(out, start, size) => {}
            TINFLStatus::HasMoreOutput => return Err(InflateError::OtherSize { claimed: size }),
            _ => return Err(InflateError::Corrupt("zlib")),
        }
    }
}
