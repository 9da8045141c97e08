//! One client's connection, as its server sees it.

use super::compression::Compression;
use super::log_in::{Conversation, Identity};
use super::request::{self, Refusal, Request};
use quorate_core::wire::ReadBuffer;

/// `maxMessageSizeBytes`: a longer message closes the connection.
pub(crate) const MAX_MESSAGE_SIZE: i32 = 48_000_000;

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// `connectionId`.
    pub(crate) number: i32,
    /// What came and was not read yet.
    buffer: ReadBuffer,
    /// The operation in progress: one at a time, the next message is read when it has been answered.
    pub(crate) op: Option<u64>,
    /// The client said `helloOk`: errors speak of primaries and secondaries.
    pub(crate) hello_ok: bool,
    /// The client has introduced itself, which it may do once.
    pub(crate) introduced: bool,
    /// `client.application.name` of the introduction.
    pub(crate) app_name: Option<String>,
    /// Log-in under way.
    pub(crate) conversation: Option<Conversation>,
    /// Who has logged in.
    pub(crate) users: Vec<Identity>,
    /// The server has hung up; nothing more is read or sent.
    pub(crate) closed: bool,
}

impl Conn {
    /// A connection nobody said anything on yet.
    pub(crate) fn new(number: i32) -> Self {
        Conn {
            number,
            buffer: ReadBuffer::new(MAX_MESSAGE_SIZE as usize),
            op: None,
            hello_ok: false,
            introduced: false,
            app_name: None,
            conversation: None,
            users: Vec::new(),
            closed: false,
        }
    }

    /// Bytes came.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.buffer.push(bytes);
        }
    }

    /// The next message, once the last one has been answered.
    pub(crate) fn next(&mut self, compression: &mut Compression) -> Option<Result<Request, Refusal>> {
        if self.op.is_some() || self.closed {
            return None;
        }
        match self.buffer.next_frame() {
            Ok(frame) => frame.map(|frame| request::open(&frame, compression)),
            Err(_) => Some(Err(Refusal::Close)),
        }
    }
}
