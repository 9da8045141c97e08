//! One connection of the canned server.

use super::replies::{Kind, Replies};
use quorate_harness::wire::{HEADER_LEN, Header, MORE_TO_COME, Message, OP_MSG};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The flag of a request that allows several replies.
const EXHAUST_ALLOWED: u32 = 1 << 16;

/// The other side is gone, or sends what this server does not understand.
#[derive(Debug)]
pub(super) struct Closed;

pub(super) struct Peer {
    member: usize,
    stream: TcpStream,
    /// What came of a message that is not whole yet.
    pending: Vec<u8>,
    held: Option<Held>,
}

/// A hello that waits for news that never come.
struct Held {
    due: Instant,
    every: Duration,
    answers: i32,
    exhaust: bool,
}

impl Peer {
    pub(super) const fn new(member: usize, stream: TcpStream) -> Self {
        Peer { member, stream, pending: Vec::new(), held: None }
    }

    /// When to call [`Peer::release`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.as_ref().map(|held| held.due)
    }

    /// Reads what is there, and answers it. `scratch` is the room to read into.
    pub(super) fn serve(&mut self, replies: &mut Replies, scratch: &mut [u8]) -> Result<(), Closed> {
        let count = match self.stream.read(scratch) {
            Ok(0) => return Err(Closed),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(());
            }
            Err(_) => return Err(Closed),
        };
        let came = &scratch[..count];
        // Nearly always a read is one whole message, which needs no copy.
        if self.pending.is_empty() {
            let used = self.answer_all(replies, came)?;
            self.pending.extend_from_slice(&came[used..]);
        } else {
            let mut bytes = std::mem::take(&mut self.pending);
            bytes.extend_from_slice(came);
            let used = self.answer_all(replies, &bytes)?;
            bytes.drain(..used);
            self.pending = bytes;
        }
        Ok(())
    }

    /// Answers a hello whose time is over.
    pub(super) fn release(&mut self, replies: &mut Replies, now: Instant) -> Result<(), Closed> {
        let Some(held) = self.held.take() else { return Ok(()) };
        let flags = if held.exhaust { MORE_TO_COME } else { 0 };
        let (reply, id) = replies.hello(self.member, OP_MSG, held.answers, flags);
        self.write(&reply)?;
        if held.exhaust {
            self.held = Some(Held { due: now + held.every, answers: id, ..held });
        }
        Ok(())
    }

    /// Answers the whole messages at the front of `bytes`; gives their length.
    fn answer_all(&mut self, replies: &mut Replies, bytes: &[u8]) -> Result<usize, Closed> {
        let mut used = 0;
        while let Some(head) = bytes[used..].first_chunk::<HEADER_LEN>() {
            let header = Header::from_bytes(*head);
            let length =
                usize::try_from(header.length).ok().filter(|&length| length >= HEADER_LEN).ok_or(Closed)?;
            let Some(message) = bytes.get(used..used + length) else { break };
            self.answer(replies, header, &message[HEADER_LEN..])?;
            used += length;
        }
        Ok(used)
    }

    fn answer(&mut self, replies: &mut Replies, header: Header, payload: &[u8]) -> Result<(), Closed> {
        if header.op_code == OP_MSG {
            let flags = payload.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
            if flags & MORE_TO_COME != 0 {
                return Ok(());
            }
            let kind = Kind::of(command_name(payload).ok_or(Closed)?);
            if kind != Kind::Hello {
                let reply = replies.reply(kind, header.request_id);
                return write(&mut self.stream, reply);
            }
        }
        self.answer_hello(replies, header, payload)
    }

    /// Answers a hello, or holds it if it asks for that.
    fn answer_hello(&mut self, replies: &mut Replies, header: Header, payload: &[u8]) -> Result<(), Closed> {
        let message = Message { header, payload: payload.to_vec() };
        let body = message.body().map_err(|_| Closed)?;
        let wait = body.get_i64("maxAwaitTimeMS").or_else(|_| body.get_i32("maxAwaitTimeMS").map(i64::from));
        if let (Ok(_), Ok(wait)) = (body.get_document("topologyVersion"), wait) {
            let every = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
            let exhaust = message.flags() & EXHAUST_ALLOWED != 0;
            self.held =
                Some(Held { due: Instant::now() + every, every, answers: header.request_id, exhaust });
            return Ok(());
        }
        let (reply, _) = replies.hello(self.member, header.op_code, header.request_id, 0);
        self.write(&reply)
    }

    fn write(&mut self, reply: &[u8]) -> Result<(), Closed> {
        write(&mut self.stream, reply)
    }
}

/// A reply is far smaller than a socket's buffer, and a client has one request under way: what does not fit at once is
/// for somebody who does not read.
fn write(stream: &mut TcpStream, reply: &[u8]) -> Result<(), Closed> {
    match stream.write(reply) {
        Ok(count) if count == reply.len() => Ok(()),
        _ => Err(Closed),
    }
}

/// The name of the first element of an OP_MSG's body.
fn command_name(payload: &[u8]) -> Option<&[u8]> {
    let mut sections = payload.get(4..)?;
    loop {
        let (&kind, rest) = sections.split_first()?;
        if kind == 0 {
            let name = rest.get(5..)?;
            let end = name.iter().position(|&byte| byte == 0)?;
            return name.get(..end);
        }
        let length = i32::from_le_bytes(*rest.first_chunk()?);
        sections = rest.get(usize::try_from(length).ok()?..)?;
    }
}
