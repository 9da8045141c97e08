//! Taking one whole message apart: every check the protocol asks for, in one pass over its sections.

use super::header::{Flags, HEADER_LENGTH, Header, op_code};
use super::{WireError, crc32c};
use crate::raw::RawDoc;
use core::ops::Range;

/// More document sequences than any command has (`bulkWrite` has two). Bounds the search for names used twice.
const MAX_SEQUENCES: usize = 16;

/// Where things are in a message that passed all checks; offsets count from its first byte.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) header: Header,
    pub(super) flags: Flags,
    /// All sections; empty for an `OP_REPLY`.
    pub(super) sections: Range<usize>,
    /// The body document.
    pub(super) body: Range<usize>,
}

impl Layout {
    /// Takes `message`, which is exactly one message, apart.
    pub(super) fn of(message: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader { bytes: message, at: 0 };
        let header = Header::from_bytes(reader.take::<HEADER_LENGTH>("the header")?);
        if usize::try_from(header.length) != Ok(message.len()) {
            return Err(WireError::Length { length: header.length, limit: message.len() });
        }
        match header.op_code {
            op_code::OP_MSG => msg(header, reader),
            op_code::OP_REPLY => reply(header, reader),
            // Where compression was offered, the read buffer inflates before a message comes here.
            op_code::OP_COMPRESSED => {
                let original_op_code = reader.i32("the compression header")?;
                let _uncompressed_size = reader.i32("the compression header")?;
                let [compressor] = *reader.take("the compression header")?;
                Err(WireError::Compressed { original_op_code, compressor })
            }
            other => Err(WireError::OpCode(other)),
        }
    }
}

/// OP_MSG specification, "OP_MSG".
fn msg(header: Header, mut reader: Reader<'_>) -> Result<Layout, WireError> {
    let flags = Flags::from_bits(u32::from_le_bytes(*reader.take("the flags")?)).map_err(WireError::Flags)?;
    if flags.contains(Flags::CHECKSUM_PRESENT) {
        reader.bytes = verify_checksum(reader.bytes)?;
    }
    let sections = reader.at..reader.bytes.len();
    let mut body = None;
    let mut identifiers = [""; MAX_SEQUENCES];
    let mut sequences = 0;
    while !reader.is_at_end() {
        match *reader.take("a section's kind")? {
            [0] => {
                let start = reader.at;
                reader.document()?;
                if body.replace(start..reader.at).is_some() {
                    return Err(WireError::Body("more than one body section"));
                }
            }
            [1] => {
                let identifier = reader.sequence()?;
                if identifiers.iter().take(sequences).any(|earlier| *earlier == identifier) {
                    return Err(WireError::Sequence("the same name twice"));
                }
                *identifiers.get_mut(sequences).ok_or(WireError::Sequence("too many"))? = identifier;
                sequences += 1;
            }
            [kind] => return Err(WireError::SectionKind(kind)),
        }
    }
    let body = body.ok_or(WireError::Body("no body section"))?;
    Ok(Layout { header, flags, sections, body })
}

/// Checks the four bytes at the end and gives what comes before them.
fn verify_checksum(message: &[u8]) -> Result<&[u8], WireError> {
    let (rest, stated) = message.split_last_chunk::<4>().ok_or(WireError::Truncated("the checksum"))?;
    if rest.len() < HEADER_LENGTH + 4 {
        return Err(WireError::Truncated("the checksum"));
    }
    let (stated, computed) = (u32::from_le_bytes(*stated), crc32c(rest));
    if stated == computed { Ok(rest) } else { Err(WireError::Checksum { stated, computed }) }
}

/// An answer to the first handshake. Its own flags say nothing the document does not: a failed query carries `$err`.
fn reply(header: Header, mut reader: Reader<'_>) -> Result<Layout, WireError> {
    // responseFlags, cursorID, startingFrom.
    reader.take::<16>("the OP_REPLY header")?;
    let documents = reader.i32("the OP_REPLY header")?;
    if documents != 1 {
        return Err(WireError::ReplyDocuments(documents));
    }
    let start = reader.at;
    reader.document()?;
    if !reader.is_at_end() {
        return Err(WireError::ReplyDocuments(documents.saturating_add(1)));
    }
    Ok(Layout { header, flags: Flags::NONE, sections: 0..0, body: start..reader.at })
}

/// A position in a message. Never past its end.
pub(super) struct Reader<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    pub(super) fn take<const N: usize>(&mut self, what: &'static str) -> Result<&'a [u8; N], WireError> {
        let taken = self.rest().first_chunk::<N>().ok_or(WireError::Truncated(what))?;
        self.at += N;
        Ok(taken)
    }

    pub(super) fn i32(&mut self, what: &'static str) -> Result<i32, WireError> {
        Ok(i32::from_le_bytes(*self.take(what)?))
    }

    pub(super) fn cstr(&mut self, what: &'static str) -> Result<&'a [u8], WireError> {
        let rest = self.rest();
        let length = rest.iter().position(|byte| *byte == 0).ok_or(WireError::Truncated(what))?;
        self.at += length + 1;
        Ok(rest.get(..length).unwrap_or_default())
    }

    pub(super) fn document(&mut self) -> Result<RawDoc<'a>, WireError> {
        let (document, _) = RawDoc::split_from(self.rest())?;
        self.at += document.as_bytes().len();
        Ok(document)
    }

    /// Passes over a document sequence, each of its documents checked, and gives its name.
    fn sequence(&mut self) -> Result<&'a str, WireError> {
        let rest = self.rest();
        let size = self.i32("a document sequence")?;
        let payload = usize::try_from(size).ok().and_then(|size| rest.get(..size));
        let payload = payload.ok_or(WireError::Truncated("a document sequence"))?;
        let mut inner = Reader { bytes: payload, at: 4 };
        let identifier = inner.cstr("a document sequence's name")?;
        while !inner.is_at_end() {
            inner.document()?;
        }
        self.at += payload.len().saturating_sub(4);
        core::str::from_utf8(identifier).map_err(|_| WireError::Sequence("a name that is no text"))
    }
}
