//! Reading what servers answer into users' types.
//!
//! `serde` recurses into nested documents, so a server could exhaust the stack with a document nested a million deep. No
//! server in its right mind stores more than [`DEEPEST`] levels; whatever has more is refused before `serde` sees it.

use bson::spec::ElementType;
use bson::{Bson, RawBsonRef, RawDocument};
use quorate_core::raw::RawError;
use quorate_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// How deep documents may be nested: as deep as servers pass on (`maxBSONDepth`, 200 by default; what they store is less).
///
/// `serde` and `bson` take 2 to 3 KiB of stack a level when optimized, so this fits the 2 MiB stack of a thread four times
/// over. Built without optimization they take ten times as much, and documents of more than 80 levels a larger stack.
pub(crate) const DEEPEST: usize = 200;

/// The fewest bytes one level takes: type, empty name, length and terminator.
const LEVEL: usize = 7;

/// Reads `bytes`, one document, as a `T`.
pub(crate) fn decode<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T> {
    check_depth(bytes)?;
    bson::deserialize_from_slice(bytes)
        .map_err(|error| Error::new(ErrorKind::BsonDeserialization { message: error.to_string() }))
}

/// Reads `bytes` as a document whose fields can be looked at one by one, and converted without fear of their depth.
pub(crate) fn raw_document(bytes: &[u8]) -> Result<&RawDocument> {
    check_depth(bytes)?;
    RawDocument::from_bytes(bytes).map_err(|error| Error::invalid_response(error.to_string()))
}

/// One field as a value of its own; `None` if there is none of that name.
pub(crate) fn field(bytes: &[u8], name: &str) -> Result<Option<Bson>> {
    let value = raw_document(bytes)?.get(name).map_err(|error| Error::invalid_response(error.to_string()))?;
    value
        .map(|value| Bson::try_from(value).map_err(|error| Error::invalid_response(error.to_string())))
        .transpose()
}

/// An error for bytes that are no BSON.
pub(crate) fn malformed(error: RawError) -> Error {
    Error::invalid_response(error.to_string())
}

/// Refuses documents nested deeper than [`DEEPEST`]. Walks without recursion, and not at all where the document is too
/// short to be that deep.
fn check_depth(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= DEEPEST * LEVEL {
        return Ok(());
    }
    let invalid = |error: bson::error::Error| Error::invalid_response(error.to_string());
    let mut open = vec![RawDocument::from_bytes(bytes).map_err(invalid)?.iter_elements()];
    while let Some(level) = open.last_mut() {
        let Some(element) = level.next() else {
            open.pop();
            continue;
        };
        let element = element.map_err(invalid)?;
        let nests = [ElementType::EmbeddedDocument, ElementType::Array, ElementType::JavaScriptCodeWithScope];
        if !nests.contains(&element.element_type()) {
            continue;
        }
        let inner = match element.value().map_err(invalid)? {
            RawBsonRef::Document(inner) => inner.iter_elements(),
            RawBsonRef::Array(inner) => {
                RawDocument::from_bytes(inner.as_bytes()).map_err(invalid)?.iter_elements()
            }
            RawBsonRef::JavaScriptCodeWithScope(code) => code.scope.iter_elements(),
            _ => continue,
        };
        if open.len() >= DEEPEST {
            return Err(Error::invalid_response(format!("a document nested deeper than {DEEPEST} levels")));
        }
        open.push(inner);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{Document, doc};

    fn nested(depth: usize) -> Vec<u8> {
        let mut bytes = vec![5, 0, 0, 0, 0];
        for _ in 1..depth {
            let mut outer = i32::try_from(bytes.len() + LEVEL).unwrap().to_le_bytes().to_vec();
            outer.extend([3, 0]);
            outer.append(&mut bytes);
            outer.push(0);
            bytes = outer;
        }
        bytes
    }

    #[test]
    fn deep_documents_are_refused_and_the_deepest_allowed_are_read() {
        let read = || {
            assert!(decode::<Document>(&nested(DEEPEST)).is_ok());
            assert!(decode::<Document>(&nested(DEEPEST + 1)).is_err());
            assert!(field(&nested(5000), "").is_err());
        };
        // Tests are not optimized.
        std::thread::Builder::new().stack_size(16 * 1024 * 1024).spawn(read).unwrap().join().unwrap();
    }

    #[test]
    fn wide_documents_are_not_deep() {
        let wide = doc! { "a": vec![doc! { "b": { "c": 1 } }; 1000] };
        let bytes = bson::serialize_to_vec(&wide).unwrap();
        assert_eq!(decode::<Document>(&bytes).unwrap(), wide);
    }
}
