//! Snappy, by the `snap` crate. It works on whole buffers, which is safe here: what a compressed text can become is bounded
//! by its own length.

use super::{InflateError, WireError};
use alloc::vec::Vec;
use snap::raw::{Decoder, Encoder, decompress_len, max_compress_len};

/// The most that one byte becomes. The densest element of the format is a copy with a two-byte offset: three bytes for up to
/// 64 (format description, "Copy with 2-byte offset").
const MOST_PER_BYTE: usize = 22;

pub(super) fn compress(content: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let start = out.len();
    out.resize(start.saturating_add(max_compress_len(content.len())), 0);
    let space = out.get_mut(start..).unwrap_or_default();
    let length = Encoder::new().compress(content, space).map_err(|_| WireError::TooLarge(content.len()))?;
    out.truncate(start.saturating_add(length));
    Ok(())
}

pub(super) fn inflate(content: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    const CORRUPT: InflateError = InflateError::Corrupt("snappy");
    if decompress_len(content).map_err(|_| CORRUPT)? != size {
        return Err(InflateError::OtherSize { claimed: size });
    }
    // No more room than the bytes that really came can fill.
    if size > content.len().saturating_mul(MOST_PER_BYTE) {
        return Err(CORRUPT);
    }
    let start = out.len();
    out.resize(start.saturating_add(size), 0);
    let space = out.get_mut(start..).unwrap_or_default();
    match Decoder::new().decompress(content, space) {
        Ok(length) if length == size => Ok(()),
        Ok(_) => Err(InflateError::OtherSize { claimed: size }),
        Err(_) => Err(CORRUPT),
    }
}
