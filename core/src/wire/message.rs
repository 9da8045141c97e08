//! A message as it came in: borrowed from the read buffer, or taken out of it.

use super::decode::{Layout, Reader};
use super::header::{Flags, HEADER_LENGTH, Header, op_code};
use super::{WireError, crc32c};
use crate::raw::RawDoc;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

/// A message that passed every check of the protocol. The fields of its documents are not looked at yet.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// Its header: whoever waits for it compares `response_to`.
    pub header: Header,
    /// Its flags; none for an `OP_REPLY`.
    pub flags: Flags,
    /// Its one body document.
    pub body: RawDoc<'a>,
    sections: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// The view of `message` that `layout` describes. The ranges come from the same bytes, so nothing is missing.
    pub(super) fn new(message: &'a [u8], layout: &Layout) -> Self {
        Incoming {
            header: layout.header,
            flags: layout.flags,
            body: document(message, &layout.body),
            sections: message.get(layout.sections.clone()).unwrap_or_default(),
        }
    }

    /// Whether another message follows without a request.
    pub const fn more_to_come(&self) -> bool {
        self.flags.contains(Flags::MORE_TO_COME)
    }

    /// The document sequences, in the order they came. Servers send none today.
    pub const fn sequences(&self) -> Sequences<'a> {
        Sequences { sections: self.sections }
    }
}

/// A document that was checked when its range was made.
fn document<'a>(bytes: &'a [u8], range: &Range<usize>) -> RawDoc<'a> {
    bytes.get(range.clone()).and_then(|bytes| RawDoc::new(bytes).ok()).unwrap_or(RawDoc::EMPTY)
}

/// Takes one whole message apart: for those who frame themselves. Connections use [`super::ReadBuffer`].
///
/// # Errors
/// When `message` is not exactly one well-formed `OP_MSG` or `OP_REPLY`.
pub fn decode(message: &[u8]) -> Result<Incoming<'_>, WireError> {
    Ok(Incoming::new(message, &Layout::of(message)?))
}

/// A walk over the document sequences among a message's sections.
#[derive(Clone, Copy)]
pub struct Sequences<'a> {
    sections: &'a [u8],
}

impl<'a> Sequences<'a> {
    pub(super) const fn over(sections: &'a [u8]) -> Self {
        Sequences { sections }
    }
}

/// A kind 1 section: a command argument that is a list of documents.
#[derive(Clone, Copy)]
pub struct Sequence<'a> {
    /// The argument's name, such as `documents`.
    pub identifier: &'a str,
    documents: &'a [u8],
}

impl<'a> Sequence<'a> {
    /// The documents in order.
    pub const fn documents(&self) -> Documents<'a> {
        Documents { rest: self.documents }
    }

    /// The documents one behind the other, as they are on the wire.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.documents
    }
}

impl<'a> Iterator for Sequences<'a> {
    type Item = Sequence<'a>;

    /// The sections were checked when they were decoded or written; the walk ends where one does not fit all the same.
    fn next(&mut self) -> Option<Sequence<'a>> {
        while let Some((kind, payload)) = self.sections.split_first() {
            let size = payload.first_chunk::<4>().map(|size| i32::from_le_bytes(*size))?;
            let (section, rest) = payload.split_at_checked(usize::try_from(size).ok()?)?;
            self.sections = rest;
            if *kind == 1 {
                let mut reader = Reader { bytes: section, at: 4 };
                let identifier = core::str::from_utf8(reader.cstr("").ok()?).ok()?;
                return Some(Sequence { identifier, documents: reader.rest() });
            }
        }
        None
    }
}

/// A walk over the documents of a [`Sequence`].
#[derive(Clone, Copy)]
pub struct Documents<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Documents<'a> {
    type Item = RawDoc<'a>;

    fn next(&mut self) -> Option<RawDoc<'a>> {
        let (document, rest) = RawDoc::split_from(self.rest).ok()?;
        self.rest = rest;
        Some(document)
    }
}

impl fmt::Debug for Sequences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

impl fmt::Debug for Sequence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: <{} bytes>", self.identifier, self.documents.len())
    }
}

impl fmt::Debug for Documents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.rest.len())
    }
}

/// A message taken out of the read buffer: a cursor keeps its batch in it.
#[derive(Clone)]
pub struct OwnedMessage {
    /// Its header.
    pub header: Header,
    /// Its flags.
    pub flags: Flags,
    bytes: Vec<u8>,
    body: Range<usize>,
}

impl OwnedMessage {
    /// `bytes` hold the body document at `body`, and nothing anybody needs after it.
    pub(super) fn new(header: Header, flags: Flags, mut bytes: Vec<u8>, body: Range<usize>) -> Self {
        bytes.truncate(body.end);
        OwnedMessage { header, flags, bytes, body }
    }

    /// The body document.
    pub fn body(&self) -> RawDoc<'_> {
        document(&self.bytes, &self.body)
    }

    /// How many bytes of memory it keeps: at most about twice the message.
    pub const fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// The body document's bytes alone. What stood before the body is cut off by moving the body to the front.
    pub fn into_body_bytes(mut self) -> Vec<u8> {
        self.bytes.drain(..self.body.start.min(self.bytes.len()));
        self.bytes
    }
}

impl fmt::Debug for OwnedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedMessage")
            .field("header", &self.header)
            .field("flags", &self.flags)
            .field("body", &self.body())
            .finish()
    }
}

/// Appends a whole `OP_MSG` that consists of `body` to `out`: what servers send, so for simulated ones and tests.
///
/// # Errors
/// [`WireError::TooLarge`].
pub fn encode_op_msg(
    out: &mut Vec<u8>,
    request_id: i32,
    response_to: i32,
    flags: Flags,
    body: RawDoc<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LENGTH + 4]);
    out.push(0);
    out.extend_from_slice(body.as_bytes());
    seal(out, start, Header { length: 0, request_id, response_to, op_code: op_code::OP_MSG }, flags)
}

/// Completes the `OP_MSG` that begins at `start` in `out`: header, flags and, if they say so, the checksum.
pub(super) fn seal(
    out: &mut Vec<u8>,
    start: usize,
    mut header: Header,
    flags: Flags,
) -> Result<(), WireError> {
    let checksum = if flags.contains(Flags::CHECKSUM_PRESENT) { 4 } else { 0 };
    let length = out.len().saturating_sub(start).saturating_add(checksum);
    header.length = i32::try_from(length).map_err(|_| WireError::TooLarge(length))?;
    if let Some(at) = out.get_mut(start..).and_then(|bytes| bytes.first_chunk_mut::<{ HEADER_LENGTH + 4 }>())
    {
        let (head, bits) = at.split_at_mut(HEADER_LENGTH);
        head.copy_from_slice(&header.to_bytes());
        bits.copy_from_slice(&flags.bits().to_le_bytes());
    }
    if checksum != 0 {
        let crc = crc32c(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
    }
    Ok(())
}
