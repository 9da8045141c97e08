//! A conversation in wire messages whose answers come from a closure.

use crate::wire::{self, Message, OP_QUERY};
use bson::Document;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

/// One message a driver sent.
#[derive(Clone, Debug)]
pub struct Request {
    /// The command, with its document sequences under their names.
    pub body: Document,
    /// The number an answer must name.
    pub request_id: i32,
    /// [`wire::OP_MSG`] or [`OP_QUERY`].
    pub op_code: i32,
    /// The flag bits of an OP_MSG.
    pub flags: u32,
    /// Which connection of this server it came on, from 1.
    pub connection: u64,
    /// How many messages came before it on that connection.
    pub index: u64,
}

impl Request {
    /// The name of the command: the body's first key.
    pub fn command(&self) -> &str {
        self.body.keys().next().map_or("", String::as_str)
    }

    /// Whether it is a hello of any spelling.
    pub fn is_hello(&self) -> bool {
        ["hello", "ismaster"].iter().any(|name| self.command().eq_ignore_ascii_case(name))
    }

    /// A well-formed answer, in the kind of message that fits the request.
    ///
    /// # Panics
    /// When the document cannot be encoded.
    pub fn reply(&self, document: &Document) -> Vec<u8> {
        self.reply_bytes(&document.to_vec().expect("a document that can be encoded"))
    }

    /// As [`Request::reply`] with a body of any bytes, from [`super::body`] or wherever.
    pub fn reply_bytes(&self, body: &[u8]) -> Vec<u8> {
        if self.op_code == OP_QUERY {
            wire::op_reply(1, self.request_id, body)
        } else {
            wire::op_msg(1, self.request_id, 0, body)
        }
    }
}

/// What to do about a request.
pub enum Answer {
    /// Send these bytes, which may be many messages or half of one.
    Bytes(Vec<u8>),
    /// Send these bytes one by one, a pause between them.
    Trickle(Vec<u8>, Duration),
    /// Send whatever the iterator gives until it or the connection ends: floods that need no memory here.
    Stream(Box<dyn Iterator<Item = Vec<u8>> + Send>),
    /// Say nothing and wait for the next request.
    Nothing,
    /// Send these bytes and close.
    Close(Vec<u8>),
    /// Send these bytes and reset the connection.
    Reset(Vec<u8>),
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, length) = match self {
            Answer::Bytes(b) => ("Bytes", b.len()),
            Answer::Trickle(b, _) => ("Trickle", b.len()),
            Answer::Stream(_) => ("Stream", 0),
            Answer::Nothing => ("Nothing", 0),
            Answer::Close(b) => ("Close", b.len()),
            Answer::Reset(b) => ("Reset", b.len()),
        };
        write!(f, "{name}({length} bytes)")
    }
}

impl From<Vec<u8>> for Answer {
    fn from(bytes: Vec<u8>) -> Self {
        Answer::Bytes(bytes)
    }
}

impl Answer {
    /// The same bytes again and again, for ever.
    pub fn flood(bytes: Vec<u8>) -> Self {
        Answer::Stream(Box::new(std::iter::repeat(bytes)))
    }
}

pub(super) fn converse(
    mut client: &TcpStream,
    connection: u64,
    script: &impl Fn(&Request) -> Answer,
) -> io::Result<()> {
    let mut index = 0;
    while let Some(message) = Message::read(&mut client)? {
        let request = Request {
            body: message.body()?,
            request_id: message.header.request_id,
            op_code: message.header.op_code,
            flags: message.flags(),
            connection,
            index,
        };
        index += 1;
        match script(&request) {
            Answer::Bytes(bytes) => client.write_all(&bytes)?,
            Answer::Trickle(bytes, pause) => {
                for byte in bytes {
                    client.write_all(&[byte])?;
                    std::thread::sleep(pause);
                }
            }
            Answer::Stream(blocks) => {
                for block in blocks {
                    client.write_all(&block)?;
                }
            }
            Answer::Nothing => {}
            Answer::Close(bytes) => {
                client.write_all(&bytes)?;
                return client.shutdown(Shutdown::Write);
            }
            Answer::Reset(bytes) => {
                client.write_all(&bytes)?;
                return Ok(rustix::net::sockopt::set_socket_linger(client, Some(Duration::ZERO))?);
            }
        }
    }
    Ok(())
}
