//! Reading one field of a hello reply as the type it must have, within the bounds it must keep.

use super::{MAX_HOSTS, malformed};
use crate::raw::{RawDoc, Timestamp, Value};
use crate::sdam::TopologyVersion;
use crate::{Error, ServerAddress};
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;
use core::ops::RangeInclusive;

/// Longest set name, tag or mechanism, in bytes. No server lets anybody configure one near it.
const MAX_TEXT: usize = 1024;
/// Most tags, compressors or mechanisms.
const MAX_ITEMS: usize = 256;
/// How much of the server's error text is kept, in bytes.
const MAX_WORDS: usize = 4096;

/// One field: its name for the error, its value.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: Value<'a>,
}

impl<'a> Field<'a> {
    fn wrong(&self, what: impl Display) -> Error {
        let name = String::from_utf8_lossy(self.name);
        Error::invalid_response(alloc::format!("hello: field {name:?} {what}"))
    }

    fn expect<T>(&self, value: Option<T>, what: &str) -> Result<T, Error> {
        value.ok_or_else(|| self.wrong(format_args!("is no {what}")))
    }

    pub(super) fn bool(&self) -> Result<bool, Error> {
        self.expect(self.value.as_bool(), "boolean")
    }

    /// A whole number within `range`.
    pub(super) fn int<T>(&self, range: RangeInclusive<T>) -> Result<T, Error>
    where
        T: TryFrom<i64> + PartialOrd + Copy,
    {
        let value = self.expect(self.value.as_i64(), "whole number")?;
        match T::try_from(value) {
            Ok(value) if range.contains(&value) => Ok(value),
            _ => Err(self.wrong(format_args!("is out of range: {value}"))),
        }
    }

    /// A short text.
    pub(super) fn text(&self) -> Result<&'a str, Error> {
        let text = self.expect(self.value.as_str(), "string")?;
        if text.len() > MAX_TEXT {
            return Err(self.wrong(format_args!("is {} bytes long, more than {MAX_TEXT}", text.len())));
        }
        Ok(text)
    }

    /// Words for people: cut, never refused for their length.
    pub(super) fn words(&self) -> Result<String, Error> {
        let text = self.expect(self.value.as_str(), "string")?;
        let mut end = text.len().min(MAX_WORDS);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Ok(text.get(..end).unwrap_or_default().to_string())
    }

    pub(super) fn object_id(&self) -> Result<[u8; 12], Error> {
        self.expect(self.value.as_object_id(), "ObjectId")
    }

    fn nested(&self) -> Result<RawDoc<'a>, Error> {
        self.expect(self.value.as_document(), "document")
    }

    /// A document of at most `limit` bytes.
    pub(super) fn document(&self, limit: usize) -> Result<RawDoc<'a>, Error> {
        let document = self.nested()?;
        let length = document.as_bytes().len();
        if length > limit {
            return Err(self.wrong(format_args!("is {length} bytes long, more than {limit}")));
        }
        Ok(document)
    }

    /// A server's address, its host folded to lower case ("Hostnames are normalized to lower-case").
    pub(super) fn address(&self) -> Result<ServerAddress, Error> {
        self.expect(ServerAddress::parse(self.text()?), "server address")
    }

    /// A list, each item read by `read`; at most `limit` of them.
    fn list<T>(&self, limit: usize, read: impl Fn(Field<'a>) -> Result<T, Error>) -> Result<Vec<T>, Error> {
        let array = self.expect(self.value.as_array(), "array")?;
        // Room for all of them at once: an item takes eight bytes at the least.
        let mut items = Vec::with_capacity((array.as_bytes().len() / 16).min(limit));
        for element in array.fields() {
            let (_, value) = element.map_err(malformed)?;
            if items.len() == limit {
                return Err(self.wrong(format_args!("has more than {limit} items")));
            }
            items.push(read(Field { name: self.name, value })?);
        }
        Ok(items)
    }

    pub(super) fn addresses(&self) -> Result<Vec<ServerAddress>, Error> {
        self.list(MAX_HOSTS, |item| item.address())
    }

    pub(super) fn texts(&self) -> Result<Vec<String>, Error> {
        self.list(MAX_ITEMS, |item| item.text().map(ToString::to_string))
    }

    pub(super) fn tags(&self) -> Result<BTreeMap<String, String>, Error> {
        let mut tags = BTreeMap::new();
        for element in self.nested()?.iter() {
            let (name, value) = element.map_err(malformed)?;
            if tags.len() == MAX_ITEMS {
                return Err(self.wrong(format_args!("has more than {MAX_ITEMS} tags")));
            }
            let key = Field { name: self.name, value: Value::String(name) }.text()?;
            let value = Field { name: self.name, value }.text()?;
            tags.insert(key.to_string(), value.to_string());
        }
        Ok(tags)
    }

    pub(super) fn topology_version(&self) -> Result<TopologyVersion, Error> {
        self.expect(TopologyVersion::from_raw(self.nested()?), "topology version")
    }

    /// `{lastWriteDate: date, opTime: {ts: timestamp, t: term}}`; old servers write `opTime` as a bare timestamp.
    pub(super) fn last_write(&self) -> Result<(Option<i64>, Option<Timestamp>), Error> {
        let (mut date, mut op_time) = (None, None);
        for element in self.nested()?.iter() {
            match element.map_err(malformed)? {
                ("lastWriteDate", Value::DateTime(millis)) => date = Some(millis),
                ("lastWriteDate", Value::Null) => {}
                ("lastWriteDate", _) => return Err(self.wrong("has a lastWriteDate that is no date")),
                ("opTime", Value::Timestamp(ts)) => op_time = Some(ts),
                ("opTime", Value::Document(doc)) => {
                    op_time = doc.get("ts").map_err(malformed)?.and_then(Value::as_timestamp);
                }
                _ => {}
            }
        }
        Ok((date, op_time))
    }
}
