//! Just enough of the wire protocol for a test tool: its own code, so that a mistake of the driver cannot hide in it.
//!
//! OP_MSG both ways for [`crate::Admin`] and [`crate::hostile`], OP_QUERY and OP_REPLY for the first hello of drivers
//! that greet the old way.

use bson::Document;
use std::io::{self, Read};

/// Length of a message header in bytes.
pub const HEADER_LEN: usize = 16;
/// OP_REPLY, the answer to OP_QUERY.
pub const OP_REPLY: i32 = 1;
/// OP_QUERY, today only for a driver's first hello.
pub const OP_QUERY: i32 = 2004;
/// OP_COMPRESSED.
pub const OP_COMPRESSED: i32 = 2012;
/// OP_MSG.
pub const OP_MSG: i32 = 2013;
/// The `moreToCome` flag of OP_MSG.
pub const MORE_TO_COME: u32 = 2;
/// The largest message a server of any version accepts or sends, in bytes.
pub const MAX_MESSAGE: usize = 48_000_000;

/// The four fields of a message header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Length of the whole message, header included.
    pub length: i32,
    /// The sender's number of this message.
    pub request_id: i32,
    /// The number of the message this one answers.
    pub response_to: i32,
    /// What follows.
    pub op_code: i32,
}

impl Header {
    /// The sixteen bytes.
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        for (slot, value) in
            out.chunks_exact_mut(4).zip([self.length, self.request_id, self.response_to, self.op_code])
        {
            slot.copy_from_slice(&value.to_le_bytes());
        }
        out
    }

    /// Reads sixteen bytes.
    pub fn from_bytes(bytes: [u8; HEADER_LEN]) -> Self {
        let at = |i: usize| i32::from_le_bytes([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        Header { length: at(0), request_id: at(4), response_to: at(8), op_code: at(12) }
    }
}

/// A message read whole: its header and the bytes behind it.
#[derive(Clone, Debug)]
pub struct Message {
    /// The header as it came.
    pub header: Header,
    /// Everything after the header.
    pub payload: Vec<u8>,
}

impl Message {
    /// Reads one message; `Ok(None)` when the stream ends before its first byte.
    ///
    /// # Errors
    /// Whatever the stream gives, and `InvalidData` for a length no message can have.
    pub fn read(stream: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; HEADER_LEN];
        let first = loop {
            match stream.read(&mut head) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if first == 0 {
            return Ok(None);
        }
        stream.read_exact(&mut head[first..])?;
        let header = Header::from_bytes(head);
        let length = usize::try_from(header.length).unwrap_or(0);
        if !(HEADER_LEN..=MAX_MESSAGE).contains(&length) {
            return Err(invalid(format!("a message of {} bytes", header.length)));
        }
        let mut payload = vec![0; length - HEADER_LEN];
        stream.read_exact(&mut payload)?;
        Ok(Some(Message { header, payload }))
    }

    /// The flag bits of an OP_MSG, 0 for other messages.
    pub fn flags(&self) -> u32 {
        match (self.header.op_code, self.payload.first_chunk::<4>()) {
            (OP_MSG, Some(bytes)) => u32::from_le_bytes(*bytes),
            _ => 0,
        }
    }

    /// The command or reply document. Document sequences of an OP_MSG are put into it under their names, as a server does.
    ///
    /// # Errors
    /// `InvalidData` when the payload is not one of the messages known here, or its document is broken.
    pub fn body(&self) -> io::Result<Document> {
        match self.header.op_code {
            OP_MSG => op_msg_body(&self.payload, self.flags() & 1 == 1),
            OP_QUERY => {
                let name_end = self.payload.iter().skip(4).position(|&b| b == 0);
                let start = 4 + name_end.ok_or_else(|| invalid("OP_QUERY without a name"))? + 1 + 8;
                document(self.payload.get(start..).unwrap_or_default())
            }
            OP_REPLY => document(self.payload.get(20..).unwrap_or_default()),
            other => Err(invalid(format!("op code {other}"))),
        }
    }
}

fn op_msg_body(payload: &[u8], checksum: bool) -> io::Result<Document> {
    let end = payload.len().saturating_sub(if checksum { 4 } else { 0 });
    let mut rest = payload.get(4..end).unwrap_or_default();
    let mut body = None;
    let mut sequences = Vec::new();
    while let Some((&kind, after)) = rest.split_first() {
        let size = length_at(after)?;
        let section = after.get(..size).ok_or_else(|| invalid("a section longer than its message"))?;
        match kind {
            0 => body = Some(document(section)?),
            1 => sequences.push(sequence(&section[4..])?),
            other => return Err(invalid(format!("section kind {other}"))),
        }
        rest = &after[size..];
    }
    let mut body = body.ok_or_else(|| invalid("OP_MSG without a body"))?;
    for (name, documents) in sequences {
        body.insert(name, documents);
    }
    Ok(body)
}

fn sequence(section: &[u8]) -> io::Result<(String, Vec<Document>)> {
    let end = section.iter().position(|&b| b == 0).ok_or_else(|| invalid("a sequence without a name"))?;
    let name = String::from_utf8_lossy(&section[..end]).into_owned();
    let mut rest = &section[end + 1..];
    let mut documents = Vec::new();
    while !rest.is_empty() {
        let size = length_at(rest)?;
        let bytes = rest.get(..size).ok_or_else(|| invalid("a sequence document longer than its section"))?;
        documents.push(document(bytes)?);
        rest = &rest[size..];
    }
    Ok((name, documents))
}

fn length_at(bytes: &[u8]) -> io::Result<usize> {
    let length = bytes.first_chunk::<4>().map_or(0, |b| i32::from_le_bytes(*b));
    usize::try_from(length).ok().filter(|&n| n >= 5).ok_or_else(|| invalid(format!("a length of {length}")))
}

fn document(bytes: &[u8]) -> io::Result<Document> {
    let size = length_at(bytes)?;
    let bytes = bytes.get(..size).ok_or_else(|| invalid("a document longer than its message"))?;
    Document::from_reader(bytes).map_err(|e| invalid(format!("a broken document: {e}")))
}

fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

/// A whole OP_MSG around a document given as BSON bytes.
pub fn op_msg(request_id: i32, response_to: i32, flags: u32, body: &[u8]) -> Vec<u8> {
    message(request_id, response_to, OP_MSG, &[&flags.to_le_bytes()[..], &[0], body].concat())
}

/// A whole OP_REPLY with one document given as BSON bytes.
pub fn op_reply(request_id: i32, response_to: i32, body: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(20 + body.len());
    payload.extend_from_slice(&8u32.to_le_bytes());
    payload.extend_from_slice(&[0; 12]);
    payload.extend_from_slice(&1i32.to_le_bytes());
    payload.extend_from_slice(body);
    message(request_id, response_to, OP_REPLY, &payload)
}

/// A header with the true length, and the payload behind it.
pub fn message(request_id: i32, response_to: i32, op_code: i32, payload: &[u8]) -> Vec<u8> {
    let length = i32::try_from(HEADER_LEN + payload.len()).unwrap_or(i32::MAX);
    let header = Header { length, request_id, response_to, op_code };
    [&header.to_bytes()[..], payload].concat()
}
