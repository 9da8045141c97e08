//! [`Request`]: one command, encoded once, sent as often as needed.

use super::WireError;
use super::compression::{Compressor, compress, may_be_compressed};
use super::header::{Flags, HEADER_LENGTH, Header, op_code};
use super::message::{Sequences, seal};
use crate::raw::{DocWriter, RawDoc};
use alloc::vec::Vec;
use core::fmt;

/// Header and flags, written when an attempt is made.
const HEAD: usize = HEADER_LENGTH + 4;
/// The first buffer, in bytes: most commands fit with their session and cluster time, so that it never grows.
const INITIAL: usize = 512;

/// One command as an `OP_MSG`, with the caller's part encoded once and each attempt's own fields added behind it.
///
/// OP_MSG leaves the order of its sections free. Here the document sequences come first and the body last, so that the
/// fields which differ from attempt to attempt (`lsid`, `txnNumber`, `$clusterTime`, `$readPreference`) are appended at the
/// very end and cut off again for the next one: nothing the caller encoded is ever moved or encoded twice.
///
/// ```
/// use quorate_core::raw::RawDoc;
/// use quorate_core::wire::{Flags, Request, decode};
/// let mut request = Request::new();
/// request.sequence("documents").push(RawDoc::EMPTY);
/// request.body().str("insert", "people").str("$db", "test").suspend();
/// let first = request.attempt(1, Flags::NONE, |body| body.i64("txnNumber", 1)).unwrap().to_vec();
/// let second = request.attempt(2, Flags::NONE, |body| body.i64("txnNumber", 2)).unwrap();
/// assert_eq!(first.len(), second.len());
/// assert_eq!(decode(second).unwrap().body.get("txnNumber").unwrap().unwrap().as_i64(), Some(2));
/// ```
pub struct Request {
    buffer: Vec<u8>,
    /// The last attempt's message as it is to be sent, if that is compressed; else empty, and without memory.
    compressed: Vec<u8>,
    state: State,
}

/// How far the message has been written. `body` is where the body document starts.
#[derive(Clone, Copy, Debug)]
enum State {
    /// No body yet: everything in the buffer is head and sequences.
    Sequences,
    /// The caller is writing the body.
    Open { body: usize },
    /// The caller's part ends at `end`; an attempt's fields may stand behind it.
    Stable { body: usize, end: usize },
}

impl Request {
    /// An empty request with a buffer of its own.
    pub fn new() -> Self {
        Self::reusing(Vec::with_capacity(INITIAL))
    }

    /// An empty request in a buffer that was used before; its content is thrown away.
    pub fn reusing(mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.extend_from_slice(&[0; HEAD]);
        Request { buffer, compressed: Vec::new(), state: State::Sequences }
    }

    /// The buffer, for [`Request::reusing`].
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// Starts a document sequence: the command argument `identifier` as a list of documents. Each name once.
    ///
    /// Sequences are best written before the body; one written later is put in front of it, which moves the body.
    pub fn sequence(&mut self, identifier: &str) -> SequenceWriter<'_> {
        self.reopen();
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[1, 0, 0, 0, 0]);
        self.buffer.extend(identifier.bytes().take_while(|byte| *byte != 0));
        self.buffer.push(0);
        let first = self.buffer.len();
        SequenceWriter { request: self, start, first, last: first, count: 0 }
    }

    /// The body, to write (more of) the fields that stay the same on every attempt; the command's name is the first.
    ///
    /// It may be left with [`DocWriter::suspend`] or [`DocWriter::finish`]: both leave it open for more. The fields of an
    /// earlier attempt are gone.
    pub fn body(&mut self) -> DocWriter<'_> {
        self.reopen();
        let body = self.begin_body();
        DocWriter::resume(&mut self.buffer, body)
    }

    /// Completes the message for one attempt: `late` appends that attempt's fields to the body, then lengths, header,
    /// flags and, with [`Flags::CHECKSUM_PRESENT`], the checksum are set. What an earlier attempt appended is replaced.
    ///
    /// # Errors
    /// [`WireError::TooLarge`] above 2 GiB. (The server's own limits are lower; the caller knows them.)
    pub fn attempt(
        &mut self,
        request_id: i32,
        flags: Flags,
        late: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>,
    ) -> Result<&[u8], WireError> {
        self.reopen();
        let body = self.begin_body();
        self.state = State::Stable { body, end: self.buffer.len() };
        late(DocWriter::resume(&mut self.buffer, body)).finish();
        let header = Header { length: 0, request_id, response_to: 0, op_code: op_code::OP_MSG };
        seal(&mut self.buffer, 0, header, flags)?;
        Ok(&self.buffer)
    }

    /// Compresses what the last [`Request::attempt`] completed, for [`Request::message`] to give; the next attempt begins
    /// without. Everything else (length, documents for events) stays that of the message before.
    ///
    /// A command that must not be compressed stays as it is (compression specification, "Messages not allowed to be
    /// compressed"), and so does a message that would become longer than `longest`, the most that the server takes.
    pub fn compress(&mut self, compressor: Compressor, longest: usize) {
        self.compressed.clear();
        if !matches!(self.state, State::Stable { .. }) || !self.command_name().is_some_and(may_be_compressed)
        {
            return;
        }
        if compress(compressor, &self.buffer, &mut self.compressed).is_err()
            || self.compressed.len() > longest
        {
            self.compressed.clear();
        }
    }

    /// The message as the last [`Request::attempt`] completed it, compressed if [`Request::compress`] came after. Before an
    /// attempt, or after more was written: nothing.
    pub fn message(&self) -> &[u8] {
        match self.state {
            State::Stable { .. } if self.compressed.is_empty() => &self.buffer,
            State::Stable { .. } => &self.compressed,
            State::Sequences | State::Open { .. } => &[],
        }
    }

    /// [`Request::message`] without the request.
    pub fn into_message(self) -> Vec<u8> {
        match self.state {
            State::Stable { .. } if self.compressed.is_empty() => self.buffer,
            State::Stable { .. } => self.compressed,
            State::Sequences | State::Open { .. } => Vec::new(),
        }
    }

    /// Bytes written so far: those of the whole message, before compression, after an attempt.
    pub fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether neither a sequence nor a body has been written.
    pub fn is_empty(&self) -> bool {
        self.buffer.len() == HEAD
    }

    /// The command's name: the body's first field.
    pub fn command_name(&self) -> Option<&str> {
        let (State::Open { body } | State::Stable { body, .. }) = self.state else { return None };
        // Length prefix and type byte come before it. The body need not be complete for this.
        let name = self.buffer.get(body.checked_add(5)?..)?;
        let end = name.iter().position(|byte| *byte == 0)?;
        core::str::from_utf8(name.get(..end)?).ok().filter(|name| !name.is_empty())
    }

    /// What was sent last, for command events: the body with the attempt's fields, and the sequences that belong into it
    /// as arrays. `None` before the first attempt.
    pub fn body_and_sequences(&self) -> Option<(RawDoc<'_>, Sequences<'_>)> {
        let State::Stable { body, .. } = self.state else { return None };
        let (document, _checksum) = RawDoc::split_from(self.buffer.get(body..)?).ok()?;
        Some((document, Sequences::over(self.buffer.get(HEAD..body.checked_sub(1)?)?)))
    }

    /// Goes back to the end of the caller's part, body open: without an attempt's fields, without a terminator.
    fn reopen(&mut self) {
        self.compressed.clear();
        let body = match self.state {
            State::Sequences => return,
            State::Stable { body, end } => {
                self.buffer.truncate(end);
                self.state = State::Open { body };
                body
            }
            State::Open { body } => {
                // A body left by `finish` states its length, one left open says 0 there.
                let stated = self.buffer.get(body..).and_then(|bytes| bytes.first_chunk::<4>());
                if stated.is_some_and(|bytes| *bytes != [0; 4]) {
                    self.buffer.pop();
                }
                body
            }
        };
        if let Some(length) = self.buffer.get_mut(body..).and_then(|bytes| bytes.first_chunk_mut::<4>()) {
            *length = [0; 4];
        }
    }

    /// Starts the body unless that was done, and says where it starts.
    fn begin_body(&mut self) -> usize {
        match self.state {
            State::Open { body } | State::Stable { body, .. } => body,
            State::Sequences => {
                self.buffer.push(0);
                let body = DocWriter::new(&mut self.buffer).suspend();
                self.state = State::Open { body };
                body
            }
        }
    }
}

impl Default for Request {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Request {
    /// Size and command only: the bytes may be credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("command", &self.command_name())
            .field("len", &self.buffer.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Appends documents to a sequence. Complete when it is dropped or [`SequenceWriter::finish`]ed.
#[must_use = "a sequence with no documents is rarely meant"]
pub struct SequenceWriter<'a> {
    request: &'a mut Request,
    /// The section's kind byte.
    start: usize,
    /// The first document.
    first: usize,
    /// The document pushed last.
    last: usize,
    count: usize,
}

impl SequenceWriter<'_> {
    /// Appends a document.
    pub fn push(&mut self, document: RawDoc<'_>) {
        self.last = self.request.buffer.len();
        self.request.buffer.extend_from_slice(document.as_bytes());
        self.count += 1;
    }

    /// Appends a document written in place.
    pub fn push_with(&mut self, fields: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) {
        self.last = self.request.buffer.len();
        fields(DocWriter::new(&mut self.request.buffer)).finish();
        self.count += 1;
    }

    /// Appends a document that `encode` writes to the end of the message: a serializer need not make a copy first.
    ///
    /// # Errors
    /// Those of `encode`, and a [`crate::raw::RawError`] when it did not append exactly one document. Either way the
    /// sequence is as it was before.
    pub fn push_encoded<E: From<crate::raw::RawError>>(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.request.buffer.len();
        let outcome = encode(&mut self.request.buffer).and_then(|()| {
            let written = self.request.buffer.get(start..).unwrap_or_default();
            RawDoc::new(written).map(|_| ()).map_err(E::from)
        });
        if outcome.is_ok() {
            self.last = start;
            self.count += 1;
        } else {
            self.request.buffer.truncate(start);
        }
        outcome
    }

    /// Takes the document pushed last away again: it was one too many for this message. Once, not twice in a row.
    pub fn pop(&mut self) {
        if self.request.buffer.len() > self.last {
            self.request.buffer.truncate(self.last);
            self.count = self.count.saturating_sub(1);
        }
    }

    /// How many documents there are.
    pub const fn count(&self) -> usize {
        self.count
    }

    /// How many bytes the documents have.
    pub fn byte_len(&self) -> usize {
        self.request.buffer.len().saturating_sub(self.first)
    }

    /// Completes the sequence.
    pub fn finish(self) {}
}

impl Drop for SequenceWriter<'_> {
    fn drop(&mut self) {
        let Request { buffer, state, .. } = &mut *self.request;
        let section = buffer.len().saturating_sub(self.start);
        // What does not fit 31 bits is refused when the whole message is completed.
        let size = i32::try_from(section.saturating_sub(1)).unwrap_or(i32::MAX);
        if let Some(at) = buffer.get_mut(self.start + 1..).and_then(|bytes| bytes.first_chunk_mut()) {
            *at = size.to_le_bytes();
        }
        // The body, if it was begun before, goes behind the new section again.
        if let State::Open { body } = *state
            && let Some(bytes) = buffer.get_mut(body.saturating_sub(1)..)
            && section <= bytes.len()
        {
            bytes.rotate_right(section);
            *state = State::Open { body: body + section };
        }
    }
}

impl fmt::Debug for SequenceWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequenceWriter")
            .field("count", &self.count)
            .field("byte_len", &self.byte_len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
