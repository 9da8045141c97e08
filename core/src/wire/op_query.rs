//! `OP_QUERY` and `OP_REPLY`: the first handshake with servers that may not know `OP_MSG` yet.
//!
//! Everything after that first hello is `OP_MSG`.

use super::WireError;
use super::decode::Reader;
use super::header::{HEADER_LENGTH, Header, op_code};
use crate::raw::{DocWriter, RawDoc};
use alloc::vec::Vec;

/// The query may run on a secondary: a hello always may.
const SECONDARY_OK: i32 = 4;

/// Appends a command to `out`, as an `OP_QUERY` on `database`'s `$cmd` collection. `fields` writes the command.
///
/// # Errors
/// [`WireError::TooLarge`].
pub fn encode_op_query(
    out: &mut Vec<u8>,
    request_id: i32,
    database: &str,
    fields: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LENGTH]);
    out.extend_from_slice(&SECONDARY_OK.to_le_bytes());
    out.extend(database.bytes().take_while(|byte| *byte != 0));
    out.extend_from_slice(b".$cmd\0");
    // Nothing skipped, exactly one document wanted and no cursor left open.
    out.extend_from_slice(&0_i32.to_le_bytes());
    out.extend_from_slice(&(-1_i32).to_le_bytes());
    fields(DocWriter::new(out)).finish();
    seal(out, start, Header { length: 0, request_id, response_to: 0, op_code: op_code::OP_QUERY })
}

/// Appends an `OP_REPLY` with one document to `out`: what old servers send, so for simulated ones and tests.
///
/// # Errors
/// [`WireError::TooLarge`].
pub fn encode_op_reply(
    out: &mut Vec<u8>,
    request_id: i32,
    response_to: i32,
    body: RawDoc<'_>,
) -> Result<(), WireError> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LENGTH]);
    // responseFlags: AwaitCapable, as servers always say; cursorID and startingFrom: none.
    out.extend_from_slice(&8_i32.to_le_bytes());
    out.extend_from_slice(&[0; 12]);
    out.extend_from_slice(&1_i32.to_le_bytes());
    out.extend_from_slice(body.as_bytes());
    seal(out, start, Header { length: 0, request_id, response_to, op_code: op_code::OP_REPLY })
}

fn seal(out: &mut [u8], start: usize, mut header: Header) -> Result<(), WireError> {
    let length = out.len().saturating_sub(start);
    header.length = i32::try_from(length).map_err(|_| WireError::TooLarge(length))?;
    if let Some(at) = out.get_mut(start..).and_then(|bytes| bytes.first_chunk_mut()) {
        *at = header.to_bytes();
    }
    Ok(())
}

/// An `OP_QUERY` as a server reads it.
#[derive(Clone, Copy, Debug)]
pub struct OpQuery<'a> {
    /// Its header.
    pub header: Header,
    /// Database and collection: `admin.$cmd` for a command.
    pub namespace: &'a str,
    /// The command.
    pub query: RawDoc<'a>,
}

/// Takes an `OP_QUERY` apart: for simulated servers and proxies.
///
/// # Errors
/// When `message` is not exactly one well-formed `OP_QUERY`.
pub fn decode_op_query(message: &[u8]) -> Result<OpQuery<'_>, WireError> {
    let mut reader = Reader { bytes: message, at: 0 };
    let header = Header::from_bytes(reader.take::<HEADER_LENGTH>("the header")?);
    if header.op_code != op_code::OP_QUERY {
        return Err(WireError::OpCode(header.op_code));
    }
    if usize::try_from(header.length) != Ok(message.len()) {
        return Err(WireError::Length { length: header.length, limit: message.len() });
    }
    let _flags = reader.i32("the OP_QUERY flags")?;
    let namespace = core::str::from_utf8(reader.cstr("the namespace")?);
    let namespace = namespace.map_err(|_| WireError::Truncated("the namespace"))?;
    // numberToSkip and numberToReturn.
    reader.take::<8>("the OP_QUERY header")?;
    let query = reader.document()?;
    Ok(OpQuery { header, namespace, query })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::decode;
    use alloc::vec;

    #[test]
    fn query_round_trip() {
        let mut out = vec![0xaa; 3];
        encode_op_query(&mut out, 7, "admin", |doc| doc.i32("isMaster", 1).bool("helloOk", true)).unwrap();
        let query = decode_op_query(&out[3..]).unwrap();
        assert_eq!(query.namespace, "admin.$cmd");
        assert_eq!(query.header.request_id, 7);
        assert_eq!(query.query.get("isMaster").unwrap().unwrap().as_i64(), Some(1));
        // flags (secondaryOk), the name, skip 0, return -1.
        assert_eq!(out[19..23], [4, 0, 0, 0]);
        assert_eq!(out[34..42], [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        for end in 3..out.len() {
            assert!(decode_op_query(&out[3..end]).is_err());
        }
        // A client is never asked anything.
        assert_eq!(decode(&out[3..]).unwrap_err(), WireError::OpCode(2004));
    }

    #[test]
    fn reply_round_trip() {
        let mut body = Vec::new();
        DocWriter::new(&mut body).double("ok", 1.0).finish();
        let mut out = Vec::new();
        encode_op_reply(&mut out, 1, 7, RawDoc::new(&body).unwrap()).unwrap();
        let incoming = decode(&out).unwrap();
        assert_eq!(incoming.header.response_to, 7);
        assert_eq!(incoming.flags, crate::wire::Flags::NONE);
        assert_eq!(incoming.body.as_bytes(), body);
        assert_eq!(incoming.sequences().count(), 0);

        out[32] = 2;
        assert_eq!(decode(&out).unwrap_err(), WireError::ReplyDocuments(2));
        out[32] = 1;
        out.push(0);
        out[0] += 1;
        assert_eq!(decode(&out).unwrap_err(), WireError::ReplyDocuments(2));
    }
}
