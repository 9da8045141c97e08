//! Writing: [`DocWriter`] appends to the caller's buffer.

use super::{RawDoc, Timestamp};
use alloc::vec::Vec;

/// Appends one document to a buffer, field by field.
///
/// The document is valid only after [`DocWriter::finish`], which writes the terminator and the length. Names must not
/// contain a zero byte; one that does is cut there (the protocol's own names never do, and names that users choose
/// are checked where they come in).
///
/// ```
/// use quorate_core::raw::DocWriter;
/// let mut out = Vec::new();
/// DocWriter::new(&mut out).i32("hello", 1).str("$db", "admin").finish();
/// assert_eq!(out.len(), i32::from_le_bytes(out[..4].try_into().unwrap()) as usize);
/// ```
#[derive(Debug)]
#[must_use = "a document is complete only after finish()"]
pub struct DocWriter<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> DocWriter<'a> {
    /// Starts a document at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        DocWriter { out, start }
    }

    /// Goes on with a document that starts at `start` in `out` and has no terminator yet.
    pub fn resume(out: &'a mut Vec<u8>, start: usize) -> Self {
        DocWriter { out, start }
    }

    /// Leaves the document open: no terminator, length not yet set. [`DocWriter::resume`] goes on.
    pub fn suspend(self) -> usize {
        self.start
    }

    fn head(&mut self, tag: u8, name: &str) {
        self.out.push(tag);
        let name = name.as_bytes();
        let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
        self.out.extend_from_slice(&name[..end]);
        self.out.push(0);
    }

    fn fixed(mut self, tag: u8, name: &str, bytes: &[u8]) -> Self {
        self.head(tag, name);
        self.out.extend_from_slice(bytes);
        self
    }

    /// A 64-bit floating point field.
    pub fn double(self, name: &str, value: f64) -> Self {
        self.fixed(0x01, name, &value.to_le_bytes())
    }

    /// A string field.
    pub fn str(mut self, name: &str, value: &str) -> Self {
        self.head(0x02, name);
        self.out.extend_from_slice(&length_of(value.len() + 1));
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(0);
        self
    }

    /// An embedded document, copied as it is.
    pub fn raw(self, name: &str, value: RawDoc<'_>) -> Self {
        self.fixed(0x03, name, value.as_bytes())
    }

    /// An array, copied as it is (the caller answers for its names being `0`, `1`, ...).
    pub fn raw_array(self, name: &str, value: RawDoc<'_>) -> Self {
        self.fixed(0x04, name, value.as_bytes())
    }

    /// An embedded document, written by `fields`.
    pub fn doc(self, name: &str, fields: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Self {
        self.nested(0x03, name, fields)
    }

    /// An array, written by `items`, which names its elements `0`, `1`, ... itself.
    pub fn array(self, name: &str, items: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Self {
        self.nested(0x04, name, items)
    }

    fn nested(mut self, tag: u8, name: &str, fields: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Self {
        self.head(tag, name);
        fields(DocWriter::new(self.out)).finish();
        self
    }

    /// An array of strings.
    pub fn strs<'s>(self, name: &str, values: impl IntoIterator<Item = &'s str>) -> Self {
        self.array(name, |mut array| {
            for (i, value) in values.into_iter().enumerate() {
                array = array.str(Digits::new(i).as_str(), value);
            }
            array
        })
    }

    /// Binary data.
    pub fn binary(mut self, name: &str, subtype: u8, value: &[u8]) -> Self {
        self.head(0x05, name);
        self.out.extend_from_slice(&length_of(value.len()));
        self.out.push(subtype);
        self.out.extend_from_slice(value);
        self
    }

    /// An ObjectId.
    pub fn object_id(self, name: &str, value: [u8; 12]) -> Self {
        self.fixed(0x07, name, &value)
    }

    /// A boolean.
    pub fn bool(self, name: &str, value: bool) -> Self {
        self.fixed(0x08, name, &[u8::from(value)])
    }

    /// A point in time, in milliseconds since 1970.
    pub fn date_time(self, name: &str, millis: i64) -> Self {
        self.fixed(0x09, name, &millis.to_le_bytes())
    }

    /// Null.
    pub fn null(self, name: &str) -> Self {
        self.fixed(0x0a, name, &[])
    }

    /// A 32-bit integer.
    pub fn i32(self, name: &str, value: i32) -> Self {
        self.fixed(0x10, name, &value.to_le_bytes())
    }

    /// A timestamp.
    pub fn timestamp(mut self, name: &str, value: Timestamp) -> Self {
        self.head(0x11, name);
        self.out.extend_from_slice(&value.increment.to_le_bytes());
        self.out.extend_from_slice(&value.time.to_le_bytes());
        self
    }

    /// A 64-bit integer.
    pub fn i64(self, name: &str, value: i64) -> Self {
        self.fixed(0x12, name, &value.to_le_bytes())
    }

    /// The elements of another document, copied behind those written so far.
    pub fn extend(self, other: RawDoc<'_>) -> Self {
        let bytes = other.as_bytes();
        self.out.extend_from_slice(&bytes[4..bytes.len() - 1]);
        self
    }

    /// Closes the document: terminator and length.
    pub fn finish(self) {
        self.out.push(0);
        let length = length_of(self.out.len() - self.start);
        self.out[self.start..self.start + 4].copy_from_slice(&length);
    }
}

/// A length as BSON writes it. Nothing above 2 GiB can be sent; the message encoder refuses it long before, so a
/// saturated value never reaches a socket.
fn length_of(count: usize) -> [u8; 4] {
    i32::try_from(count).unwrap_or(i32::MAX).to_le_bytes()
}

/// An array index as decimal digits, without allocating.
struct Digits {
    buffer: [u8; 20],
    start: usize,
}

impl Digits {
    fn new(mut value: usize) -> Self {
        let mut digits = Digits { buffer: [b'0'; 20], start: 20 };
        loop {
            digits.start -= 1;
            digits.buffer[digits.start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 || digits.start == 0 {
                return digits;
            }
        }
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(&self.buffer[self.start..]).unwrap_or("0")
    }
}
