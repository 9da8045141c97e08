//! [`ReadBuffer`]: from the bytes of a socket to whole messages.

use super::WireError;
use super::compression::inflate;
use super::decode::Layout;
use super::header::{HEADER_LENGTH, Header, op_code};
use super::message::{Incoming, OwnedMessage};
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// The first storage, in bytes: many replies fit, and a thousand idle connections cost 8 MB.
const INITIAL: usize = 8 * 1024;
/// Storage above this is given back as soon as it holds nothing.
const KEEP: usize = 64 * 1024;
/// Less free space than this is not worth a read, unless the message needs no more.
const WORTH_READING: usize = 1024;
/// As soon as this part of a long message has come there is room for all of it. Growing in steps to the end would hold the
/// last two steps at a time, more than one and a half times the message.
const PART_BELIEVED: usize = 8;
/// A message shorter than this is copied out rather than taken with its storage.
const COPY_BELOW: usize = 1024;

/// Collects what one socket receives and gives it out as messages.
///
/// 1. The host reads into [`ReadBuffer::space`] and reports with [`ReadBuffer::filled`] (or hands bytes it already has to
///    [`ReadBuffer::push`]).
/// 2. [`ReadBuffer::next_message`] until it gives `None`. Each message borrows from the buffer and is consumed by the next
///    call that changes the buffer; [`ReadBuffer::take_message`] keeps the current one beyond that.
///
/// How the bytes were cut on their way makes no difference. Storage grows only when it is full of bytes that really
/// came, by doubling until an eighth of a message is there, and then to all of it, never because a header says so; what a
/// drained buffer holds is bounded by twice the limit.
///
/// The first error is final: every later call gives it again, and further bytes are thrown away.
///
/// ```
/// use quorate_core::raw::{DocWriter, RawDoc};
/// use quorate_core::wire::{Flags, ReadBuffer, encode_op_msg};
/// let (mut body, mut message) = (Vec::new(), Vec::new());
/// DocWriter::new(&mut body).i32("ok", 1).finish();
/// encode_op_msg(&mut message, 1, 42, Flags::NONE, RawDoc::new(&body).unwrap()).unwrap();
///
/// let mut buffer = ReadBuffer::new(48_000_000);
/// buffer.push(&message[..10]);
/// assert!(buffer.next_message().unwrap().is_none());
/// buffer.push(&message[10..]);
/// assert_eq!(buffer.next_message().unwrap().unwrap().header.response_to, 42);
/// ```
pub struct ReadBuffer {
    /// Zeroed when made; the bytes between `start` and `end` are those received and not consumed.
    storage: Vec<u8>,
    start: usize,
    end: usize,
    /// The message that was given out last, if it was not consumed yet: the one at `start`, or the one in `inflated`.
    current: Option<Layout>,
    /// The current message if it came compressed, else empty. What it came in has been passed over already.
    inflated: Vec<u8>,
    accepts_compressed: bool,
    limit: usize,
    /// How long the last message was: the next long one may grow to that at once.
    last_length: usize,
    failed: Option<WireError>,
}

impl ReadBuffer {
    /// An empty buffer that accepts messages of up to `limit` bytes. Allocates nothing yet.
    pub const fn new(limit: usize) -> Self {
        ReadBuffer {
            storage: Vec::new(),
            start: 0,
            end: 0,
            current: None,
            inflated: Vec::new(),
            accepts_compressed: false,
            limit,
            last_length: 0,
            failed: None,
        }
    }

    /// Sets the longest message accepted from now on, in bytes: `maxMessageSizeBytes`, once the handshake tells.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// From now on compressed messages are opened: the peer was offered to send such. Until then they are an error.
    ///
    /// Any compressor of this build will do, whatever was offered (compression specification, "MongoDB Handshake
    /// Amendment": "clients MUST NOT assume which compressor each message uses").
    pub const fn accept_compressed(&mut self) {
        self.accepts_compressed = true;
    }

    /// Where to read into: never empty, and its content means nothing. Consumes the current message.
    pub fn space(&mut self) -> &mut [u8] {
        self.consume();
        let free = self.storage.len().saturating_sub(self.end);
        if free == 0 || (free < WORTH_READING && free < self.missing()) {
            self.make_room();
        }
        self.storage.get_mut(self.end..).unwrap_or_default()
    }

    /// The first `count` bytes of [`ReadBuffer::space`] have been read. More than the space there was count as all of it.
    pub fn filled(&mut self, count: usize) {
        if self.failed.is_none() {
            self.end = self.end.saturating_add(count).min(self.storage.len());
        }
    }

    /// Takes bytes that were received elsewhere.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.failed.is_none() {
            let space = self.space();
            let count = space.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            if let Some(space) = space.get_mut(..count) {
                space.copy_from_slice(now);
            }
            self.filled(count);
            bytes = later;
        }
    }

    /// The next whole message, or `None` until more bytes have come. Consumes the current message.
    ///
    /// # Errors
    /// When the peer does not keep the protocol. Absorbing: from then on always the same error.
    pub fn next_message(&mut self) -> Result<Option<Incoming<'_>>, WireError> {
        let Some(length) = self.whole()? else { return Ok(None) };
        let message = self.received().get(..length).unwrap_or_default();
        let layout = if self.accepts_compressed && is_compressed(message) {
            self.inflate(length).and_then(|()| Layout::of(&self.inflated))
        } else {
            Layout::of(message)
        };
        match layout {
            Ok(layout) => self.current = Some(layout),
            Err(error) => return Err(self.fail(error)),
        }
        Ok(self.current())
    }

    /// Opens the compressed message at the front, and passes over it.
    fn inflate(&mut self, length: usize) -> Result<(), WireError> {
        let mut inflated = core::mem::take(&mut self.inflated);
        inflated.clear();
        let message = self.received().get(..length).unwrap_or_default();
        inflate(message, self.limit, &mut inflated)?;
        self.inflated = inflated;
        self.advance(length);
        Ok(())
    }

    /// The next whole message as bytes, whatever its op code, and consumed at once: for proxies and simulated servers.
    ///
    /// # Errors
    /// When the length is impossible or the op code unknown.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let Some(length) = self.whole()? else { return Ok(None) };
        let frame = self.received().get(..length).map(<[u8]>::to_vec);
        self.advance(length);
        Ok(frame)
    }

    /// The message [`ReadBuffer::next_message`] gave last, until it is consumed.
    pub fn current(&self) -> Option<Incoming<'_>> {
        let bytes = if self.inflated.is_empty() { self.received() } else { &self.inflated };
        self.current.as_ref().map(|layout| Incoming::new(bytes, layout))
    }

    /// Takes the current message out, so that it outlives the buffer; `None` if there is none.
    ///
    /// A long message leaves with the storage it came in, without being copied. One that is short, or fills less than
    /// half of the storage, is copied, so that nobody keeps much more memory than a message has bytes.
    pub fn take_message(&mut self) -> Option<OwnedMessage> {
        let layout = self.current.take()?;
        if !self.inflated.is_empty() {
            return Some(self.take_inflated(layout));
        }
        let length = usize::try_from(layout.header.length).unwrap_or(0);
        if length < COPY_BELOW || length < self.storage.len() / 2 {
            let body = self.received().get(layout.body).unwrap_or_default().to_vec();
            self.advance(length);
            let range = 0..body.len();
            return Some(OwnedMessage::new(layout.header, layout.flags, body, range));
        }
        let rest = self.received().get(length..).unwrap_or_default().to_vec();
        self.last_length = length;
        let body = self.start + layout.body.start..self.start + layout.body.end;
        (self.start, self.end) = (0, rest.len());
        let bytes = core::mem::replace(&mut self.storage, rest);
        Some(OwnedMessage::new(layout.header, layout.flags, bytes, body))
    }

    /// As [`ReadBuffer::take_message`], of one that came compressed.
    fn take_inflated(&mut self, layout: Layout) -> OwnedMessage {
        if self.inflated.len() >= COPY_BELOW && self.inflated.len() >= self.inflated.capacity() / 2 {
            let bytes = core::mem::take(&mut self.inflated);
            return OwnedMessage::new(layout.header, layout.flags, bytes, layout.body);
        }
        let body = self.inflated.get(layout.body).unwrap_or_default().to_vec();
        self.forget_inflated();
        let range = 0..body.len();
        OwnedMessage::new(layout.header, layout.flags, body, range)
    }

    /// Keeps the memory for the next one, unless it is a lot.
    fn forget_inflated(&mut self) {
        self.inflated.clear();
        if self.inflated.capacity() > KEEP {
            self.inflated = Vec::new();
        }
    }

    /// Whether nothing has been received that was not given out and consumed: the peer is between two messages.
    pub fn is_empty(&self) -> bool {
        let length = |layout: &Layout| usize::try_from(layout.header.length).unwrap_or(0);
        // One that came compressed is no longer among what was received.
        let current = self.current.as_ref().filter(|_| self.inflated.is_empty()).map_or(0, length);
        self.failed.is_none() && self.received().len() == current
    }

    fn received(&self) -> &[u8] {
        self.storage.get(self.start..self.end).unwrap_or_default()
    }

    /// The length of the message at the front, as soon as all of it is there. What its first bytes already show to be
    /// wrong is an error before the rest has come.
    fn whole(&mut self) -> Result<Option<usize>, WireError> {
        self.consume();
        if let Some(error) = self.failed {
            return Err(error);
        }
        let Some(stated) = self.received().first_chunk::<4>().map(|bytes| i32::from_le_bytes(*bytes)) else {
            return Ok(None);
        };
        let length = usize::try_from(stated).unwrap_or(0);
        if length < HEADER_LENGTH || length > self.limit {
            return Err(self.fail(WireError::Length { length: stated, limit: self.limit }));
        }
        if let Some(header) = self.received().first_chunk().map(Header::from_bytes)
            && !matches!(
                header.op_code,
                op_code::OP_MSG | op_code::OP_REPLY | op_code::OP_COMPRESSED | op_code::OP_QUERY
            )
        {
            return Err(self.fail(WireError::OpCode(header.op_code)));
        }
        Ok((self.received().len() >= length).then_some(length))
    }

    fn fail(&mut self, error: WireError) -> WireError {
        self.failed = Some(error);
        self.current = None;
        self.storage = Vec::new();
        self.inflated = Vec::new();
        (self.start, self.end) = (0, 0);
        error
    }

    fn consume(&mut self) {
        let Some(layout) = self.current.take() else { return };
        if self.inflated.is_empty() {
            self.advance(usize::try_from(layout.header.length).unwrap_or(0));
        } else {
            self.forget_inflated();
        }
    }

    /// Passes over a message. A storage that becomes empty starts anew at its front, or is given back if it is large.
    fn advance(&mut self, length: usize) {
        self.last_length = length;
        self.start = self.start.saturating_add(length).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.storage.len() > KEEP {
                self.storage = Vec::new();
            }
        }
    }

    /// The length the message at the front says it has; 0 if unknown or absurd.
    fn stated(&self) -> usize {
        let stated = self.received().first_chunk::<4>().map_or(0, |bytes| i32::from_le_bytes(*bytes));
        usize::try_from(stated).unwrap_or(0).min(self.limit)
    }

    /// Bytes still to come for the message at the front; the header's, if its length is not known yet.
    fn missing(&self) -> usize {
        self.stated().max(HEADER_LENGTH).saturating_sub(self.received().len())
    }

    /// Moves what was received to the front of the same storage if that frees half of it, otherwise of a larger one.
    fn make_room(&mut self) {
        let live = self.received().len();
        let have = self.storage.len();
        let size = if have == 0 || live > have / 2 {
            // Doubling, and once there is more than the first storage holds as far as the previous message came; but
            // no further than this message needs
            // (unless more than this message is there already: then its length is no measure).
            let needed = self.stated();
            let most = if needed > live { needed.max(have.saturating_add(INITIAL)) } else { usize::MAX };
            let usual = if have < INITIAL { 0 } else { self.last_length };
            let believed = if live >= needed / PART_BELIEVED { needed } else { 0 };
            have.saturating_mul(2).max(usual).max(believed).min(most).max(INITIAL)
        } else if have > KEEP && live <= KEEP / 2 {
            KEEP
        } else {
            self.storage.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, live);
            return;
        };
        // Zeroed pages come from the allocator untouched, so that room nobody has written to yet costs no memory.
        let mut storage = vec![0; size.max(live.saturating_add(WORTH_READING))];
        if let Some(front) = storage.get_mut(..live) {
            front.copy_from_slice(self.received());
        }
        self.storage = storage;
        (self.start, self.end) = (0, live);
    }
}

/// Whether this is an `OP_COMPRESSED`.
fn is_compressed(message: &[u8]) -> bool {
    message.first_chunk().is_some_and(|header| Header::from_bytes(header).op_code == op_code::OP_COMPRESSED)
}

impl fmt::Debug for ReadBuffer {
    /// Sizes only: the bytes may be anybody's data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuffer")
            .field("received", &self.received().len())
            .field("storage", &self.storage.len())
            .field("limit", &self.limit)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "read_buffer_tests.rs"]
mod tests;
