//! Reply documents: honest ones to start from, and bytes that no honest encoder makes.

use bson::{DateTime, Document, doc};

const DOCUMENT: u8 = 3;
const ARRAY: u8 = 4;

/// `{ok: 1}`.
pub fn ok() -> Document {
    doc! { "ok": 1.0 }
}

/// A hello of a standalone server of wire version 17.
pub fn hello_standalone() -> Document {
    doc! {
        "helloOk": true,
        "isWritablePrimary": true,
        "maxBsonObjectSize": 16 << 20,
        "maxMessageSizeBytes": 48_000_000,
        "maxWriteBatchSize": 100_000,
        "localTime": DateTime::from_millis(0),
        "logicalSessionTimeoutMinutes": 30,
        "connectionId": 1,
        "minWireVersion": 0,
        "maxWireVersion": 17,
        "readOnly": false,
        "ok": 1.0,
    }
}

/// A hello of the primary `me` of a set with these members.
pub fn hello_primary(set: &str, me: &str, hosts: &[&str]) -> Document {
    let mut hello = hello_standalone();
    hello.extend(doc! {
        "setName": set,
        "setVersion": 1,
        "electionId": bson::oid::ObjectId::from_bytes([0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1]),
        "secondary": false,
        "primary": me,
        "me": me,
        "hosts": hosts.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    hello
}

/// That many host names nobody can resolve.
pub fn many_hosts(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("host{i}.invalid:27017")).collect()
}

/// `base` with one more field of any type and any bytes, right or wrong; the document's own length is true.
///
/// # Panics
/// When `base` cannot be encoded.
pub fn with_field(base: &Document, kind: u8, name: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = base.to_vec().expect("a document that can be encoded");
    bytes.pop();
    bytes.push(kind);
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(value);
    bytes.push(0);
    let length = u32::try_from(bytes.len()).expect("under 4 GiB").to_le_bytes();
    bytes[..4].copy_from_slice(&length);
    bytes
}

/// `base` with a field of documents nested `depth` deep.
pub fn with_nested_documents(base: &Document, name: &str, depth: usize) -> Vec<u8> {
    with_field(base, DOCUMENT, name, &nested(DOCUMENT, depth))
}

/// `base` with a field of arrays nested `depth` deep.
pub fn with_nested_arrays(base: &Document, name: &str, depth: usize) -> Vec<u8> {
    with_field(base, ARRAY, name, &nested(ARRAY, depth))
}

/// `{"0": {"0": ... {}}}` or `[[ ... []]]`, written from the outside in: no recursion, whatever the depth.
fn nested(kind: u8, depth: usize) -> Vec<u8> {
    const EMPTY: usize = 5;
    const LAYER: usize = 8;
    let total = EMPTY + LAYER * depth;
    let mut bytes = Vec::with_capacity(total);
    for layer in 0..depth {
        let length = u32::try_from(total - LAYER * layer).expect("under 4 GiB");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&[kind, b'0', 0]);
    }
    bytes.extend_from_slice(&[5, 0, 0, 0, 0]);
    bytes.resize(total, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_well_formed() {
        let bytes = with_nested_documents(&ok(), "a", 3);
        let expected = doc! { "ok": 1.0, "a": { "0": { "0": { "0": {} } } } };
        assert_eq!(Document::from_reader(&bytes[..]).unwrap(), expected);
        let bytes = with_nested_arrays(&ok(), "a", 2);
        assert_eq!(Document::from_reader(&bytes[..]).unwrap(), doc! { "ok": 1.0, "a": [[[]]] });
        let deep = with_nested_documents(&ok(), "a", 1_000_000);
        assert_eq!(deep.len(), 8 * 1_000_000 + 5 + ok().to_vec().unwrap().len() + 3);
    }
}
