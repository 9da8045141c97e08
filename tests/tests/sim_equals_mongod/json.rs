//! Extended JSON whose fields stay in order: a command's name must come first.

use bson::{Bson, Document};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value in order.
struct Ordered(Bson);

/// Reads a document.
pub(crate) fn document(text: &str) -> Result<Document, String> {
    match serde_json::from_str(text).map_err(|e| e.to_string())? {
        Ordered(Bson::Document(document)) => Ok(document),
        Ordered(other) => Err(format!("no document: {other}")),
    }
}

/// The types that extended JSON writes as documents with one of these names first.
const TYPES: [&str; 14] = [
    "$binary",
    "$date",
    "$dbPointer",
    "$maxKey",
    "$minKey",
    "$numberDecimal",
    "$numberDouble",
    "$numberInt",
    "$numberLong",
    "$oid",
    "$regularExpression",
    "$symbol",
    "$timestamp",
    "$undefined",
];

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ordered, D::Error> {
        deserializer.deserialize_any(Values).map(Ordered)
    }
}

struct Values;

impl<'de> Visitor<'de> for Values {
    type Value = Bson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("extended JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Bson, E> {
        Ok(Bson::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Bson, E> {
        Ok(i32::try_from(value).map_or(Bson::Int64(value), Bson::Int32))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Bson, E> {
        self.visit_i64(i64::try_from(value).map_err(E::custom)?)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Bson, E> {
        Ok(Bson::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Bson, E> {
        Ok(Bson::String(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Bson, E> {
        Ok(Bson::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Bson, A::Error> {
        let mut array = Vec::new();
        while let Some(Ordered(item)) = items.next_element()? {
            array.push(item);
        }
        Ok(Bson::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Bson, A::Error> {
        let mut document = Document::new();
        while let Some((name, Ordered(value))) = fields.next_entry::<String, Ordered>()? {
            document.insert(name, value);
        }
        if document.keys().next().is_some_and(|name| TYPES.contains(&name.as_str())) {
            // No commands inside of these: their order does not matter.
            let json = Bson::Document(document).into_relaxed_extjson();
            return Bson::try_from(json).map_err(serde::de::Error::custom);
        }
        Ok(Bson::Document(document))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn order_and_types() {
        let parsed = document(
            r#"{"z":1,"a":{"$numberLong":"5"},"m":{"$gt":2.5},"b":[null,true,{"$oid":"0123456789abcdef01234567"}]}"#,
        );
        let id = bson::oid::ObjectId::parse_str("0123456789abcdef01234567").unwrap();
        let expected = doc! { "z": 1, "a": 5_i64, "m": { "$gt": 2.5 }, "b": [null, true, id] };
        assert_eq!(parsed.unwrap().to_string(), expected.to_string());
    }
}
