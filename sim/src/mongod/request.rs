//! Bytes into commands: what one message asks for, or how the real server refuses it.

use super::compression::Compression;
use crate::store::Failure;
use bson::{Bson, Document};
use quorate_core::raw::RawDoc;
use quorate_core::wire::compression::Compressor;
use quorate_core::wire::{self, Flags, HEADER_LENGTH, Header, WireError, op_code};

/// Where the server sends those who still use queries.
const REMOVED: &str = "The client driver may require an upgrade. For more details see \
                       https://dochub.mongodb.org/core/legacy-opcode-removal";

/// How an answer has to go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReplyTo {
    /// The request's number.
    pub(crate) request_id: i32,
    /// As an `OP_REPLY`, because an `OP_QUERY` asked.
    pub(crate) legacy: bool,
    /// Nobody wants an answer (`moreToCome`).
    pub(crate) silent: bool,
    /// Several answers are welcome (`exhaustAllowed`).
    pub(crate) exhaust: bool,
    /// Compressed, because the request was.
    pub(crate) compressor: Option<Compressor>,
}

impl ReplyTo {
    /// As to any message that asks for nothing special.
    pub(crate) fn plain(request_id: i32) -> Self {
        ReplyTo { request_id, legacy: false, silent: false, exhaust: false, compressor: None }
    }
}

/// One message's command.
#[derive(Debug)]
pub(crate) struct Request {
    /// How to answer.
    pub(crate) reply_to: ReplyTo,
    /// The body, document sequences merged in.
    pub(crate) body: Document,
}

/// A message that is no command.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The server hangs up without a word.
    Close,
    /// It answers with an error.
    Answer(ReplyTo, Failure),
    /// It answers the way queries were answered: `$err`, flag `QueryFailure`.
    QueryFailure(i32, Document),
}

/// Reads one whole message, compressed or not.
pub(crate) fn open(frame: &[u8], compression: &mut Compression) -> Result<Request, Refusal> {
    let Some((message, compressor)) = compression.open(frame)? else { return read(frame) };
    let compressor = Some(compressor);
    match read(&message) {
        Ok(request) => Ok(Request { reply_to: ReplyTo { compressor, ..request.reply_to }, ..request }),
        Err(Refusal::Answer(to, failure)) => Err(Refusal::Answer(ReplyTo { compressor, ..to }, failure)),
        Err(refusal) => Err(refusal),
    }
}

/// Reads one whole message.
pub(crate) fn read(frame: &[u8]) -> Result<Request, Refusal> {
    let header = frame.first_chunk::<HEADER_LENGTH>().map(Header::from_bytes).ok_or(Refusal::Close)?;
    match header.op_code {
        op_code::OP_MSG => msg(header, frame),
        op_code::OP_QUERY => query(header, frame),
        _ => Err(Refusal::Close),
    }
}

fn msg(header: Header, frame: &[u8]) -> Result<Request, Refusal> {
    let mut reply_to = ReplyTo::plain(header.request_id);
    let incoming = wire::decode(frame).map_err(|error| malformed(reply_to, error))?;
    reply_to.silent = incoming.flags.contains(Flags::MORE_TO_COME);
    reply_to.exhaust = incoming.flags.contains(Flags::EXHAUST_ALLOWED);
    let mut body = document(incoming.body, reply_to)?;
    for sequence in incoming.sequences() {
        let documents: Result<Vec<Bson>, Refusal> =
            sequence.documents().map(|d| document(d, reply_to).map(Bson::Document)).collect();
        if body.contains_key(sequence.identifier) {
            let name = sequence.identifier;
            let text = format!("Duplicate field between body and document sequence {name}");
            return Err(Refusal::Answer(reply_to, Failure::new(40433, text)));
        }
        body.insert(sequence.identifier, documents?);
    }
    Ok(Request { reply_to, body })
}

fn document(raw: RawDoc<'_>, reply_to: ReplyTo) -> Result<Document, Refusal> {
    Document::from_reader(raw.as_bytes())
        .map_err(|error| Refusal::Answer(reply_to, Failure::new(22, error.to_string())))
}

/// What the server says about a damaged `OP_MSG`: what breaks the framing closes the connection, the rest is answered.
fn malformed(reply_to: ReplyTo, error: WireError) -> Refusal {
    let failure = match error {
        WireError::SectionKind(kind) => Failure::new(40432, format!("Unknown section kind {kind}")),
        WireError::Body("no body section") => Failure::new(40587, "OP_MSG messages must have a body"),
        WireError::Body(_) => Failure::new(40430, "Multiple body sections in message"),
        WireError::Sequence("the same name twice") => Failure::new(40431, "Duplicate document sequence"),
        WireError::Bson(error) => Failure::new(22, error.to_string()),
        _ => return Refusal::Close,
    };
    Refusal::Answer(reply_to, failure)
}

/// The first hello of a driver that does not know yet whom it talks to; since 5.1 nothing else.
fn query(header: Header, frame: &[u8]) -> Result<Request, Refusal> {
    let query = wire::decode_op_query(frame).map_err(|_| Refusal::Close)?;
    let reply_to = ReplyTo { legacy: true, ..ReplyTo::plain(header.request_id) };
    let Some(db) = query.namespace.strip_suffix(".$cmd") else { return Err(removed(header)) };
    let mut body = document(query.query, reply_to)?;
    // Old drivers wrap the command to send a read preference beside it.
    if let Ok(inner) = body.get_document("$query").or_else(|_| body.get_document("query")) {
        body = inner.clone();
    }
    let name = body.keys().next().map_or("", String::as_str);
    if !matches!(
        name,
        "hello" | "isMaster" | "ismaster" | "_isSelf" | "saslStart" | "saslContinue" | "authenticate"
    ) {
        let text = format!("Unsupported OP_QUERY command: {name}. {REMOVED}");
        return Err(Refusal::Answer(reply_to, Failure::new(352, text)));
    }
    body.insert("$db", db);
    Ok(Request { reply_to, body })
}

fn removed(header: Header) -> Refusal {
    let text = format!("OP_QUERY is no longer supported. {REMOVED}");
    Refusal::QueryFailure(header.request_id, bson::doc! { "$err": text, "code": 5_739_101, "ok": 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    /// An `OP_MSG` of these sections.
    fn frame(flags: u32, sections: &[u8]) -> Vec<u8> {
        let length = i32::try_from(20 + sections.len()).unwrap();
        let header = Header { length, request_id: 7, response_to: 0, op_code: op_code::OP_MSG };
        [&header.to_bytes()[..], &flags.to_le_bytes(), sections].concat()
    }

    fn body(document: &Document) -> Vec<u8> {
        [&[0], bson::serialize_to_vec(document).unwrap().as_slice()].concat()
    }

    fn sequence(name: &str, documents: &[Document]) -> Vec<u8> {
        let mut payload = [name.as_bytes(), &[0]].concat();
        documents.iter().for_each(|d| payload.extend(bson::serialize_to_vec(d).unwrap()));
        let size = i32::try_from(payload.len() + 4).unwrap();
        [&[1], &size.to_le_bytes()[..], &payload].concat()
    }

    /// The code an answered refusal has; 0 where the server hangs up.
    fn refused(frame: &[u8]) -> i32 {
        match read(frame).unwrap_err() {
            Refusal::Close => 0,
            Refusal::Answer(_, failure) => failure.code,
            Refusal::QueryFailure(_, document) => document.get_i32("code").unwrap(),
        }
    }

    #[test]
    fn sequences_become_arguments() {
        let bytes =
            [sequence("documents", &[doc! { "a": 1 }, doc! {}]), body(&doc! { "insert": "c" })].concat();
        let request = read(&frame(2 | 1 << 16, &bytes)).unwrap();
        assert_eq!(request.body, doc! { "insert": "c", "documents": [{ "a": 1 }, {}] });
        assert!(request.reply_to.silent && request.reply_to.exhaust && !request.reply_to.legacy);
    }

    #[test]
    fn damage_is_met_as_the_real_server_does() {
        let ping = body(&doc! { "ping": 1 });
        assert_eq!(refused(&frame(4, &ping)), 0);
        assert_eq!(refused(&frame(1, &[&ping[..], b"1234"].concat())), 0);
        assert_eq!(refused(&frame(0, &[&[7], &ping[1..]].concat())), 40432);
        assert_eq!(refused(&frame(0, &[])), 40587);
        assert_eq!(refused(&frame(0, &[&ping[..], &ping].concat())), 40430);
        let twice = [sequence("x", &[]), sequence("x", &[]), ping.clone()].concat();
        assert_eq!(refused(&frame(0, &twice)), 40431);
        let both = [body(&doc! { "insert": "c", "documents": [] }), sequence("documents", &[])].concat();
        assert_eq!(refused(&frame(0, &both)), 40433);
        assert_eq!(refused(&frame(0, &[&ping[..ping.len() - 1], &[1]].concat())), 22);
        assert!(read(&frame(1 << 20, &ping)).is_ok());
        let other = |code: i32| {
            let mut bytes = frame(0, &ping);
            bytes[12..16].copy_from_slice(&code.to_le_bytes());
            bytes
        };
        assert_eq!(refused(&other(op_code::OP_COMPRESSED)), 0);
        assert_eq!(refused(&other(2002)), 0);
    }

    #[test]
    fn only_hello_may_come_as_a_query() {
        let mut bytes = Vec::new();
        wire::encode_op_query(&mut bytes, 3, "admin", |d| d.i32("isMaster", 1).bool("helloOk", true))
            .unwrap();
        let request = read(&bytes).unwrap();
        assert_eq!(request.body, doc! { "isMaster": 1, "helloOk": true, "$db": "admin" });
        assert!(request.reply_to.legacy);
        let mut bytes = Vec::new();
        wire::encode_op_query(&mut bytes, 3, "admin", |d| d.i32("ping", 1)).unwrap();
        assert_eq!(refused(&bytes), 352);
    }
}
