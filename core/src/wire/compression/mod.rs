//! Compressed messages: any message in an envelope, `OP_COMPRESSED`, and back.
//!
//! [`Compressor`] names the three; each is behind the feature of its name, in pure Rust, so that no C compiler is needed
//! and WebAssembly has them too. [`compress`] and [`inflate`] work on whole messages. Connections call them through
//! [`super::Request::compress`] and [`super::ReadBuffer::accept_compressed`]; what is not compressed passes by here without a
//! copy.
//!
//! A compressed message is a stranger's program for filling memory. What its header claims is held against the limit for
//! messages before anything is allocated, and room is made as output comes, never because it was claimed.
//!
//! Source: the compression specification ("Wire Compression in Drivers").

mod compressor;
#[cfg(any(feature = "zlib", feature = "zstd"))]
mod output;
#[cfg(feature = "snappy")]
mod snappy;
#[cfg(feature = "zlib")]
mod zlib;
#[cfg(feature = "zstd")]
mod zstd;

pub use compressor::Compressor;

use super::WireError;
use super::decode::Reader;
use super::header::{HEADER_LENGTH, Header, op_code};
use alloc::vec::Vec;
use compressor::Id;

/// Why a compressed message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// A compressor that the specification does not know.
    #[error("unknown compressor {0}")]
    UnknownCompressor(u8),
    /// One that was left out of this build.
    #[error("this build has no {0}")]
    LeftOut(&'static str),
    /// A compressed message within a compressed message.
    #[error("it holds another compressed message")]
    Nested,
    /// The size it claims is negative or above the limit for messages.
    #[error("it claims {claimed} bytes, which is not between 0 and {limit}")]
    Size {
        /// What the header says.
        claimed: i32,
        /// The most that is accepted.
        limit: usize,
    },
    /// It has another size than it claims.
    #[error("it does not have the {claimed} bytes it claims")]
    OtherSize {
        /// What the header says.
        claimed: usize,
    },
    /// The bytes are not what the compressor makes.
    #[error("it is no {0}")]
    Corrupt(&'static str),
}

/// Whether messages with this command may be compressed: none that carries or prepares credentials, and no hello
/// (compression specification, "Messages not allowed to be compressed").
pub(super) fn may_be_compressed(command: &str) -> bool {
    const NEVER: [&str; 11] = [
        "hello",
        "isMaster",
        "saslStart",
        "saslContinue",
        "getnonce",
        "authenticate",
        "createUser",
        "updateUser",
        "copydbSaslStart",
        "copydbgetnonce",
        "copydb",
    ];
    !NEVER.iter().any(|never| never.eq_ignore_ascii_case(command))
}

/// Appends `message`, which is one whole message, to `out` as an `OP_COMPRESSED`.
///
/// # Errors
/// [`WireError::Truncated`] when `message` is shorter than a header, [`WireError::Inflate`] with
/// [`InflateError::LeftOut`] for a compressor that was not compiled in, [`WireError::TooLarge`] above 2 GiB.
pub fn compress(compressor: Compressor, message: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
    let (header, content) =
        message.split_first_chunk::<HEADER_LENGTH>().ok_or(WireError::Truncated("the header"))?;
    let header = Header::from_bytes(header);
    let size = i32::try_from(content.len()).map_err(|_| WireError::TooLarge(message.len()))?;
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LENGTH]);
    out.extend_from_slice(&header.op_code.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    out.push(compressor.id().number());
    let compressed: Result<(), WireError> = match compressor {
        #[cfg(feature = "snappy")]
        Compressor::Snappy => snappy::compress(content, out),
        #[cfg(feature = "zlib")]
        Compressor::Zlib { level } => {
            zlib::compress(content, level, out);
            Ok(())
        }
        #[cfg(feature = "zstd")]
        Compressor::Zstd { .. } => {
            zstd::compress(content, out);
            Ok(())
        }
        #[allow(unreachable_patterns, reason = "reachable where a feature is off")]
        other => Err(InflateError::LeftOut(other.name()).into()),
    };
    compressed?;
    let length = out.len().saturating_sub(start);
    let length = i32::try_from(length).map_err(|_| WireError::TooLarge(length))?;
    let header = Header { length, op_code: op_code::OP_COMPRESSED, ..header };
    if let Some(at) = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut) {
        *at = header.to_bytes();
    }
    Ok(())
}

/// Appends the message inside of `message`, which is one whole `OP_COMPRESSED`, to `out`, as it would have come without
/// compression. No more than `limit` bytes with its header.
///
/// # Errors
/// [`WireError::Inflate`] for everything that is wrong with it, [`WireError::Truncated`] or [`WireError::OpCode`] when it is
/// no such message. `out` may hold part of the output then.
pub fn inflate(message: &[u8], limit: usize, out: &mut Vec<u8>) -> Result<(), WireError> {
    let mut reader = Reader { bytes: message, at: 0 };
    let header = Header::from_bytes(reader.take::<HEADER_LENGTH>("the header")?);
    if header.op_code != op_code::OP_COMPRESSED {
        return Err(WireError::OpCode(header.op_code));
    }
    let original_op_code = reader.i32("the compression header")?;
    let claimed = reader.i32("the compression header")?;
    let [id] = *reader.take("the compression header")?;
    if original_op_code == op_code::OP_COMPRESSED {
        return Err(InflateError::Nested.into());
    }
    let limit = limit.saturating_sub(HEADER_LENGTH);
    let size = usize::try_from(claimed).ok().filter(|size| *size <= limit);
    let size = size.ok_or(InflateError::Size { claimed, limit })?;
    let length = i32::try_from(size.saturating_add(HEADER_LENGTH))
        .map_err(|_| InflateError::Size { claimed, limit })?;
    out.extend_from_slice(&Header { length, op_code: original_op_code, ..header }.to_bytes());
    inflate_content(id, reader.rest(), size, out)?;
    Ok(())
}

/// Appends exactly `size` bytes to `out`, or it is an error.
fn inflate_content(id: u8, content: &[u8], size: usize, out: &mut Vec<u8>) -> Result<(), InflateError> {
    match Id::of(id).ok_or(InflateError::UnknownCompressor(id))? {
        Id::Noop if content.len() == size => {
            out.extend_from_slice(content);
            Ok(())
        }
        Id::Noop => Err(InflateError::OtherSize { claimed: size }),
        #[cfg(feature = "snappy")]
        Id::Snappy => snappy::inflate(content, size, out),
        #[cfg(feature = "zlib")]
        Id::Zlib => zlib::inflate(content, size, out),
        #[cfg(feature = "zstd")]
        Id::Zstd => zstd::inflate(content, size, out),
        #[allow(unreachable_patterns, reason = "reachable where a feature is off")]
        id => Err(InflateError::LeftOut(id.name())),
    }
}

#[cfg(test)]
mod tests;
