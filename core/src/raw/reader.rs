//! Reading: [`RawDoc`] is a checked slice, [`Value`] a borrowed value.

use core::fmt;

/// What was wrong with the bytes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed BSON at byte {offset}: {kind}")]
pub struct RawError {
    /// Bytes from the start of the document being read.
    pub offset: usize,
    /// What was found there.
    pub kind: RawErrorKind,
}

/// The kinds of malformed BSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RawErrorKind {
    /// A length that is negative, too small, or larger than the bytes there are.
    #[error("a length that does not fit the bytes")]
    Length,
    /// A document or string without its closing zero byte.
    #[error("missing terminator")]
    Terminator,
    /// A type byte that BSON does not define.
    #[error("unknown element type 0x{0:02x}")]
    Type(u8),
    /// A name or string that is not UTF-8.
    #[error("text that is not UTF-8")]
    Utf8,
    /// A boolean byte other than 0 and 1.
    #[error("a boolean that is neither 0 nor 1")]
    Bool,
    /// A field the protocol depends on is missing or has the wrong type. The offset is 0 then.
    #[error("field {0:?} missing or of the wrong type")]
    Field(&'static str),
}

const fn bad(offset: usize, kind: RawErrorKind) -> RawError {
    RawError { offset, kind }
}

/// A BSON timestamp: seconds since 1970 and a counter within the second. Ordered as the server orders them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since the Unix epoch.
    pub time: u32,
    /// Counter within the second.
    pub increment: u32,
}

/// A document as a slice of bytes: its length and its terminator are checked, its elements not yet.
///
/// ```
/// use quorate_core::raw::{DocWriter, RawDoc};
/// let mut bytes = Vec::new();
/// DocWriter::new(&mut bytes).i32("ok", 1).finish();
/// let doc = RawDoc::new(&bytes).unwrap();
/// assert_eq!(doc.get("ok").unwrap().unwrap().as_i64(), Some(1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RawDoc<'a>(&'a [u8]);

impl<'a> RawDoc<'a> {
    /// The document with no elements.
    pub const EMPTY: RawDoc<'static> = RawDoc(&[5, 0, 0, 0, 0]);

    /// Takes `bytes` as exactly one document.
    ///
    /// # Errors
    /// When the length prefix is not the length of `bytes`, or the last byte is not zero.
    pub fn new(bytes: &'a [u8]) -> Result<Self, RawError> {
        let (doc, rest) = Self::split_from(bytes)?;
        if rest.is_empty() { Ok(doc) } else { Err(bad(0, RawErrorKind::Length)) }
    }

    /// Takes the document at the start of `bytes` and gives back what follows it.
    ///
    /// # Errors
    /// As for [`RawDoc::new`], but more bytes may follow.
    pub fn split_from(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), RawError> {
        let length = read_length(bytes, 0)?;
        if length < 5 || length > bytes.len() {
            return Err(bad(0, RawErrorKind::Length));
        }
        let (doc, rest) = bytes.split_at(length);
        if doc[length - 1] != 0 {
            return Err(bad(length - 1, RawErrorKind::Terminator));
        }
        Ok((RawDoc(doc), rest))
    }

    /// The bytes, length prefix and terminator included.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether there are no elements.
    pub const fn is_empty(self) -> bool {
        self.0.len() == 5
    }

    /// A walk over the elements in order. Ends after the first error.
    pub fn iter(self) -> Elements<'a> {
        Elements { doc: self.0, at: 4 }
    }

    /// The same walk with the names as bytes: what is only compared need not be proven to be text first.
    pub(crate) fn fields(self) -> Fields<'a> {
        Fields(self.iter())
    }

    /// The first element called `name`.
    ///
    /// # Errors
    /// When the bytes before it (or it) are malformed.
    pub fn get(self, name: &str) -> Result<Option<Value<'a>>, RawError> {
        for element in self.fields() {
            let (key, value) = element?;
            if key == name.as_bytes() {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl fmt::Debug for RawDoc<'_> {
    /// One level of the document; nested ones print as their size, so that no depth can exhaust the stack.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for element in self.iter() {
            match element {
                Ok((k, Value::Document(d) | Value::Array(d))) => {
                    map.entry(&k, &format_args!("<{} bytes>", d.as_bytes().len()))
                }
                Ok((k, v)) => map.entry(&k, &v),
                Err(e) => map.entry(&"<malformed>", &e),
            };
        }
        map.finish()
    }
}

/// A walk over a document's elements, as `(name, value)`.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    doc: &'a [u8],
    at: usize,
}

impl<'a> Elements<'a> {
    /// Where the next element begins, in bytes from the start of the document.
    pub(crate) const fn offset(&self) -> usize {
        self.at
    }

    /// Goes on at `offset`, where an element must begin; nonsense is read as an element otherwise, or as an error.
    pub(crate) fn seek(&mut self, offset: usize) {
        self.at = offset;
    }
}

impl<'a> Elements<'a> {
    /// The next element, its name not checked for UTF-8.
    pub(crate) fn advance(&mut self) -> Option<Result<(&'a [u8], Value<'a>), RawError>> {
        // The last byte is the terminator, checked when the `RawDoc` was made.
        let end = self.doc.len() - 1;
        if self.at >= end {
            return None;
        }
        match read_element(&self.doc[..end], self.at) {
            Ok((name, value, next)) => {
                self.at = next;
                Some(Ok((name, value)))
            }
            Err(error) => {
                self.at = end;
                Some(Err(error))
            }
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<(&'a str, Value<'a>), RawError>;

    fn next(&mut self) -> Option<Self::Item> {
        let start = self.at;
        match self.advance()? {
            Err(error) => Some(Err(error)),
            Ok((name, value)) => match core::str::from_utf8(name) {
                Ok(name) => Some(Ok((name, value))),
                Err(_) => {
                    self.at = self.doc.len();
                    Some(Err(bad(start + 1, RawErrorKind::Utf8)))
                }
            },
        }
    }
}

/// A walk over a document's elements, as `(name, value)` with the name as bytes.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(Elements<'a>);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(&'a [u8], Value<'a>), RawError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.advance()
    }
}

/// One BSON value, borrowed from the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// 64-bit floating point.
    Double(f64),
    /// UTF-8 text.
    String(&'a str),
    /// An embedded document.
    Document(RawDoc<'a>),
    /// An array: a document whose names are ignored.
    Array(RawDoc<'a>),
    /// Binary data with its subtype.
    Binary(u8, &'a [u8]),
    /// An ObjectId.
    ObjectId([u8; 12]),
    /// A boolean.
    Bool(bool),
    /// Milliseconds since the Unix epoch.
    DateTime(i64),
    /// Null.
    Null,
    /// 32-bit integer.
    Int32(i32),
    /// 64-bit integer.
    Int64(i64),
    /// An internal timestamp.
    Timestamp(Timestamp),
    /// Any other type, by its type byte: the protocol's own fields never use them.
    Other(u8),
}

impl<'a> Value<'a> {
    /// Any number without a fractional part, as the server is free to answer `ok: 1`, `1.0` or `NumberLong(1)`.
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Value::Int32(v) => Some(i64::from(v)),
            Value::Int64(v) => Some(v),
            // The bounds are exact powers of two, so the cast is exact inside them.
            Value::Double(v)
                if v % 1.0 == 0.0
                    && (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v) =>
            {
                Some(v as i64)
            }
            _ => None,
        }
    }

    /// [`Value::as_i64`], within 32 bits.
    pub fn as_i32(self) -> Option<i32> {
        self.as_i64().and_then(|v| i32::try_from(v).ok())
    }

    /// Truth as the server reads it: booleans, and numbers other than zero.
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Value::Bool(v) => Some(v),
            Value::Int32(v) => Some(v != 0),
            Value::Int64(v) => Some(v != 0),
            Value::Double(v) => Some(v != 0.0),
            _ => None,
        }
    }

    /// The text of a string.
    pub const fn as_str(self) -> Option<&'a str> {
        if let Value::String(v) = self { Some(v) } else { None }
    }

    /// The document, if it is one (arrays are not).
    pub const fn as_document(self) -> Option<RawDoc<'a>> {
        if let Value::Document(v) = self { Some(v) } else { None }
    }

    /// The elements of an array.
    pub const fn as_array(self) -> Option<RawDoc<'a>> {
        if let Value::Array(v) = self { Some(v) } else { None }
    }

    /// The timestamp.
    pub const fn as_timestamp(self) -> Option<Timestamp> {
        if let Value::Timestamp(v) = self { Some(v) } else { None }
    }

    /// The ObjectId's bytes.
    pub const fn as_object_id(self) -> Option<[u8; 12]> {
        if let Value::ObjectId(v) = self { Some(v) } else { None }
    }
}

fn read_length(bytes: &[u8], at: usize) -> Result<usize, RawError> {
    let raw = take::<4>(bytes, at)?;
    usize::try_from(i32::from_le_bytes(raw)).map_err(|_| bad(at, RawErrorKind::Length))
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], RawError> {
    bytes.get(at..).and_then(|rest| rest.first_chunk::<N>()).copied().ok_or(bad(at, RawErrorKind::Length))
}

/// Bytes up to a zero, which text they are not being checked.
fn read_cstr(bytes: &[u8], at: usize) -> Result<(&[u8], usize), RawError> {
    let rest = bytes.get(at..).ok_or(bad(at, RawErrorKind::Length))?;
    let length = rest.iter().position(|b| *b == 0).ok_or(bad(at, RawErrorKind::Terminator))?;
    Ok((&rest[..length], at + length + 1))
}

fn read_str(bytes: &[u8], at: usize) -> Result<(&str, usize), RawError> {
    let length = read_length(bytes, at)?;
    let end = at.checked_add(4 + length).filter(|end| length >= 1 && *end <= bytes.len());
    let end = end.ok_or(bad(at, RawErrorKind::Length))?;
    if bytes[end - 1] != 0 {
        return Err(bad(end - 1, RawErrorKind::Terminator));
    }
    let text = core::str::from_utf8(&bytes[at + 4..end - 1]).map_err(|_| bad(at + 4, RawErrorKind::Utf8))?;
    Ok((text, end))
}

fn read_doc(bytes: &[u8], at: usize) -> Result<(RawDoc<'_>, usize), RawError> {
    let rest = bytes.get(at..).ok_or(bad(at, RawErrorKind::Length))?;
    let (doc, _) = RawDoc::split_from(rest).map_err(|e| bad(at + e.offset, e.kind))?;
    Ok((doc, at + doc.0.len()))
}

/// Skips `count` bytes that hold a value nobody here looks into.
fn skip(bytes: &[u8], at: usize, count: usize) -> Result<usize, RawError> {
    at.checked_add(count).filter(|end| *end <= bytes.len()).ok_or(bad(at, RawErrorKind::Length))
}

/// Reads the element at `at`: its name, its value, and where the next one starts.
fn read_element(bytes: &[u8], at: usize) -> Result<(&[u8], Value<'_>, usize), RawError> {
    let tag = bytes[at];
    let (name, at) = read_cstr(bytes, at + 1)?;
    let (value, next) = match tag {
        0x01 => (Value::Double(f64::from_le_bytes(take(bytes, at)?)), at + 8),
        0x02 => {
            let (text, next) = read_str(bytes, at)?;
            (Value::String(text), next)
        }
        0x03 => {
            let (doc, next) = read_doc(bytes, at)?;
            (Value::Document(doc), next)
        }
        0x04 => {
            let (doc, next) = read_doc(bytes, at)?;
            (Value::Array(doc), next)
        }
        0x05 => {
            let length = read_length(bytes, at)?;
            let [subtype] = take(bytes, at + 4)?;
            let next = skip(bytes, at + 5, length)?;
            (Value::Binary(subtype, &bytes[at + 5..next]), next)
        }
        0x07 => (Value::ObjectId(take(bytes, at)?), at + 12),
        0x08 => match take(bytes, at)? {
            [0] => (Value::Bool(false), at + 1),
            [1] => (Value::Bool(true), at + 1),
            [_] => return Err(bad(at, RawErrorKind::Bool)),
        },
        0x09 => (Value::DateTime(i64::from_le_bytes(take(bytes, at)?)), at + 8),
        0x0a => (Value::Null, at),
        0x10 => (Value::Int32(i32::from_le_bytes(take(bytes, at)?)), at + 4),
        0x11 => {
            let increment = u32::from_le_bytes(take(bytes, at)?);
            let time = u32::from_le_bytes(take(bytes, at + 4)?);
            (Value::Timestamp(Timestamp { time, increment }), at + 8)
        }
        0x12 => (Value::Int64(i64::from_le_bytes(take(bytes, at)?)), at + 8),
        // Undefined, min key and max key have no bytes of their own.
        0x06 | 0x7f | 0xff => (Value::Other(tag), at),
        // A regular expression: two C strings.
        0x0b => {
            let (_, middle) = read_cstr(bytes, at)?;
            let (_, next) = read_cstr(bytes, middle)?;
            (Value::Other(tag), next)
        }
        // A DBPointer: a string and an ObjectId.
        0x0c => {
            let (_, middle) = read_str(bytes, at)?;
            (Value::Other(tag), skip(bytes, middle, 12)?)
        }
        // JavaScript code and symbols are strings.
        0x0d | 0x0e => {
            let (_, next) = read_str(bytes, at)?;
            (Value::Other(tag), next)
        }
        // Code with scope: its length counts itself.
        0x0f => {
            let length = read_length(bytes, at)?;
            (Value::Other(tag), skip(bytes, at, length.max(4))?)
        }
        0x13 => (Value::Other(tag), skip(bytes, at, 16)?),
        other => return Err(bad(at, RawErrorKind::Type(other))),
    };
    Ok((name, value, next))
}
