//! Compressed messages, the server's side: what is agreed on in the handshake, messages opened and replies packed, and the
//! counters of `serverStatus.network.compression`.
//!
//! A reply is compressed where its request was, by the same compressor, as in the real server.

use super::conn::MAX_MESSAGE_SIZE;
use super::request::Refusal;
use bson::{Bson, Document, doc};
use quorate_core::wire::compression::{self, Compressor};
use quorate_core::wire::{HEADER_LENGTH, Header, op_code};

/// Header, op code, size, compressor.
const ENVELOPE: usize = HEADER_LENGTH + 9;

/// The compressors of one process and what went through them.
#[derive(Debug, Default)]
pub(crate) struct Compression {
    known: Vec<(Compressor, Counts)>,
}

/// Bytes of messages, without their headers.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packed: Ways,
    opened: Ways,
}

#[derive(Clone, Copy, Debug, Default)]
struct Ways {
    before: u64,
    after: u64,
}

impl Ways {
    fn count(&mut self, before: usize, after: usize) {
        self.before += before as u64;
        self.after += after as u64;
    }

    fn shown(self) -> Document {
        let number = |bytes| i64::try_from(bytes).unwrap_or(i64::MAX);
        doc! { "bytesIn": number(self.before), "bytesOut": number(self.after) }
    }
}

impl Compression {
    /// With the compressors of the settings that this build has.
    pub(crate) fn new(compressors: &[Compressor]) -> Self {
        let available = compressors.iter().filter(|compressor| compressor.is_available());
        Compression { known: available.map(|compressor| (*compressor, Counts::default())).collect() }
    }

    /// The process starts again: it has counted nothing yet.
    pub(crate) fn reset(&mut self) {
        self.known.iter_mut().for_each(|(_, counts)| *counts = Counts::default());
    }

    /// `compression` of a hello's answer: what the client offers and this server has, in the client's order.
    pub(crate) fn negotiate(&self, hello: &Document) -> Option<Vec<Bson>> {
        let offered = hello.get_array("compression").ok()?;
        let has = |name: &&Bson| {
            name.as_str().is_some_and(|name| self.known.iter().any(|(own, _)| own.name() == name))
        };
        let common: Vec<Bson> = offered.iter().filter(has).cloned().collect();
        (!common.is_empty()).then_some(common)
    }

    /// The message in the envelope, and by what it was compressed; nothing for one without.
    pub(crate) fn open(&mut self, frame: &[u8]) -> Result<Option<(Vec<u8>, Compressor)>, Refusal> {
        let header = frame.first_chunk().map(Header::from_bytes).ok_or(Refusal::Close)?;
        if header.op_code != op_code::OP_COMPRESSED {
            return Ok(None);
        }
        let name = match frame.get(ENVELOPE - 1) {
            Some(1) => "snappy",
            Some(2) => "zlib",
            Some(3) => "zstd",
            _ => return Err(Refusal::Close),
        };
        let (compressor, counts) =
            self.known.iter_mut().find(|(own, _)| own.name() == name).ok_or(Refusal::Close)?;
        let mut message = Vec::new();
        compression::inflate(frame, MAX_MESSAGE_SIZE as usize, &mut message).map_err(|_| Refusal::Close)?;
        counts
            .opened
            .count(frame.len().saturating_sub(ENVELOPE), message.len().saturating_sub(HEADER_LENGTH));
        Ok(Some((message, *compressor)))
    }

    /// A reply in an envelope. One that cannot be compressed leaves as it is.
    pub(crate) fn pack(&mut self, compressor: Compressor, message: Vec<u8>) -> Vec<u8> {
        let mut packed = Vec::with_capacity(message.len() / 2 + ENVELOPE);
        if compression::compress(compressor, &message, &mut packed).is_err() {
            return message;
        }
        if let Some((_, counts)) = self.known.iter_mut().find(|(own, _)| own.name() == compressor.name()) {
            counts
                .packed
                .count(message.len().saturating_sub(HEADER_LENGTH), packed.len().saturating_sub(ENVELOPE));
        }
        packed
    }

    /// `network.compression` of `serverStatus`.
    pub(crate) fn shown(&self) -> Document {
        let shown = |counts: &Counts| {
            doc! { "compressor": counts.packed.shown(), "decompressor": counts.opened.shown() }
        };
        self.known
            .iter()
            .map(|(compressor, counts)| (compressor.name().to_owned(), shown(counts).into()))
            .collect()
    }
}
