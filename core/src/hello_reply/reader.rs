//! Reading one server's replies one after the other, each at the price of what is new in it.

use super::HelloReply;
use super::fields::Field;
use crate::error::Error;
use crate::raw::{RawDoc, Value};
use alloc::vec::Vec;
use core::mem::discriminant;
use core::ops::Range;

/// The fields that change while a server stays what it is. Everything else is compared and kept. `localTime` and
/// `operationTime` mean nothing to [`HelloReply`].
const RESTLESS: [&str; 6] =
    ["lastWrite", "topologyVersion", "connectionId", "$clusterTime", "localTime", "operationTime"];

/// A larger reply is read anew every time, in bytes: some 5,000 members.
const MAX_KEPT: usize = 256 * 1024;

/// Reads the replies of one server.
///
/// It keeps the last one's bytes. A reply that differs from them in restless fields alone (the last write, the time, the topology
/// version) costs a comparison of bytes and a look at those; nothing is allocated, and the lists of members are the very ones
/// of the last reply, so that [`Topology::handle_hello`](crate::sdam::Topology::handle_hello) finds them unchanged by their
/// address. Any other reply is read as [`HelloReply::parse`] reads it: the results are always the same.
///
/// ```
/// use quorate_core::{HelloReader, raw::{DocWriter, RawDoc}};
/// let mut reader = HelloReader::default();
/// let hello = |time| {
///     let mut bytes = Vec::new();
///     DocWriter::new(&mut bytes).i32("ok", 1).str("setName", "rs0").i32("connectionId", time).finish();
///     bytes
/// };
/// let first = reader.read(RawDoc::new(&hello(1)).unwrap())?.clone();
/// let second = reader.read(RawDoc::new(&hello(2)).unwrap())?;
/// assert_eq!(second.connection_id, Some(2));
/// assert_eq!(second.set_name, first.set_name);
/// # Ok::<(), quorate_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct HelloReader {
    /// The last reply; empty when there is none to compare with.
    bytes: Vec<u8>,
    /// Where in `bytes` the restless fields are.
    restless: Vec<Range<usize>>,
    reply: HelloReply,
}

impl HelloReader {
    /// Reads the next reply.
    ///
    /// # Errors
    /// As [`HelloReply::parse`].
    pub fn read(&mut self, doc: RawDoc<'_>) -> Result<&HelloReply, Error> {
        if self.follow(doc).is_none() {
            self.bytes.clear();
            self.reply = HelloReply::parse(doc)?;
            self.remember(doc);
        }
        Ok(&self.reply)
    }

    /// Takes over what is new; `None` when more than that is, and what is kept means nothing any more.
    fn follow(&mut self, doc: RawDoc<'_>) -> Option<()> {
        let (old, new) = (RawDoc::new(&self.bytes).ok()?, doc.as_bytes());
        if self.bytes.len() != new.len() {
            return None;
        }
        let (mut before, mut after) = (old.iter(), doc.iter());
        let mut compared = 0;
        for span in &self.restless {
            if self.bytes.get(compared..span.start)? != new.get(compared..span.start)? {
                return None;
            }
            compared = span.end;
            before.seek(span.start);
            after.seek(span.start);
            let ((was, old), (name, value)) = (before.advance()?.ok()?, after.advance()?.ok()?);
            let alike =
                name == was && discriminant(&value) == discriminant(&old) && after.offset() == span.end;
            if !alike || value == Value::Null {
                return None;
            }
            if value != old {
                self.reply.take(Field { name, value }, &mut super::Parts::default()).ok()?;
            }
        }
        if self.bytes.get(compared..)? != new.get(compared..)? {
            return None;
        }
        self.bytes.copy_from_slice(new);
        Some(())
    }

    fn remember(&mut self, doc: RawDoc<'_>) {
        self.restless.clear();
        // A refusal is rare, and its words are kept apart.
        if doc.as_bytes().len() > MAX_KEPT || !self.reply.ok {
            return;
        }
        let mut elements = doc.iter();
        let mut start = elements.offset();
        let mut seen = [false; RESTLESS.len()];
        while let Some(Ok((name, _))) = elements.advance() {
            let restless = RESTLESS.iter().zip(&mut seen).find(|(restless, _)| restless.as_bytes() == name);
            if let Some((_, seen)) = restless {
                // No server sends a field twice, and which of the two counts is for a full reading to say.
                if core::mem::replace(seen, true) {
                    return;
                }
                self.restless.push(start..elements.offset());
            }
            start = elements.offset();
        }
        self.bytes.extend_from_slice(doc.as_bytes());
    }
}
