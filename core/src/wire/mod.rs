//! The wire protocol: bytes in, messages out, and the other way round. No sockets here.
//!
//! Reading: one [`ReadBuffer`] a socket. The host reads into [`ReadBuffer::space`], says how much came, and takes whole
//! messages with [`ReadBuffer::next_message`]; an [`Incoming`] borrows from the buffer, so nothing is copied. Writing: one
//! [`Request`] an operation, encoded once and sent as often as it takes. The first handshake with an old server needs
//! [`encode_op_query`] and reads an `OP_REPLY`, which [`ReadBuffer`] gives as an [`Incoming`] too. Compressed messages are opened
//! and made here too ([`compression`]); nobody above sees a difference.
//!
//! What comes from a socket is hostile: every check gives a [`WireError`], after which the connection is of no more use.
//!
//! Source: the OP_MSG specification, and for `OP_QUERY` and `OP_REPLY` the handshake specification ("Legacy Hello").

pub mod compression;
mod crc32c;
mod decode;
mod header;
mod message;
mod op_query;
mod read_buffer;
mod request;

pub use compression::{Compressor, InflateError};
pub use crc32c::crc32c;
pub use header::{Flags, HEADER_LENGTH, Header, op_code};
pub use message::{Documents, Incoming, OwnedMessage, Sequence, Sequences, decode, encode_op_msg};
pub use op_query::{OpQuery, decode_op_query, encode_op_query, encode_op_reply};
pub use read_buffer::ReadBuffer;
pub use request::{Request, SequenceWriter};

use crate::raw::RawError;
use crate::{Error, error::ErrorKind};
use alloc::string::ToString;

/// A message that breaks the protocol, or (the last kind) one too large to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The header's length is smaller than a header, negative, or above the limit.
    #[error("message length {length} is not between 16 and {limit}")]
    Length {
        /// What the header says.
        length: i32,
        /// The most that is accepted.
        limit: usize,
    },
    /// The message ends before what it announces.
    #[error("message ends inside {0}")]
    Truncated(&'static str),
    /// An op code that has no place here.
    #[error("unexpected op code {0}")]
    OpCode(i32),
    /// A compressed message, and no compression was agreed on.
    #[error(
        "compressed message (original op code {original_op_code}, compressor {compressor}), not agreed on"
    )]
    Compressed {
        /// The op code of what is inside.
        original_op_code: i32,
        /// The compressor's id (compression specification, "Compressor IDs").
        compressor: u8,
    },
    /// A compressed message that cannot be read.
    #[error("compressed message: {0}")]
    Inflate(#[from] InflateError),
    /// A required flag bit (0 to 15) that nobody knows is set.
    #[error("unknown required flag bits 0x{0:04x}")]
    Flags(u32),
    /// The CRC-32C at the end is not the message's.
    #[error("checksum 0x{stated:08x} does not match the message's 0x{computed:08x}")]
    Checksum {
        /// What the message says.
        stated: u32,
        /// What its bytes give.
        computed: u32,
    },
    /// A section of a kind other than 0 and 1.
    #[error("unknown section kind {0}")]
    SectionKind(u8),
    /// Not exactly one body section.
    #[error("message with {0}")]
    Body(&'static str),
    /// A document sequence whose name is no text or appears twice, or more sequences than any command has.
    #[error("document sequence: {0}")]
    Sequence(&'static str),
    /// An `OP_REPLY` that does not hold exactly one document.
    #[error("OP_REPLY with {0} documents where one is due")]
    ReplyDocuments(i32),
    /// A document in the message is malformed; the offset counts from the start of that document.
    #[error(transparent)]
    Bson(#[from] RawError),
    /// A message to be sent has more bytes than the protocol can express.
    #[error("message of {0} bytes cannot be sent")]
    TooLarge(usize),
}

impl From<WireError> for Error {
    /// A message that cannot be sent is the caller's doing, everything else the server's.
    fn from(error: WireError) -> Self {
        let message = error.to_string();
        Error::new(match error {
            WireError::TooLarge(_) => ErrorKind::InvalidArgument { message },
            _ => ErrorKind::InvalidResponse { message },
        })
    }
}
