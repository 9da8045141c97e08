//! Values as the server's error messages show them.

use bson::{Bson, Document, spec::BinarySubtype};
use std::fmt::Write;

/// `{ a: 1, b: "x" }`.
pub(crate) fn show_document(document: &Document) -> String {
    let mut out = String::new();
    write_document(&mut out, document);
    out
}

/// `"x"`, `1`, `[ 1, 2 ]`.
pub(crate) fn show(value: &Bson) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

/// `a: 1`.
pub(crate) fn show_field(name: &str, value: &Bson) -> String {
    format!("{name}: {}", show(value))
}

fn write_document(out: &mut String, document: &Document) {
    if document.is_empty() {
        out.push_str("{}");
        return;
    }
    out.push_str("{ ");
    for (i, (name, value)) in document.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        out.push_str(name);
        out.push_str(": ");
        write_value(out, value);
    }
    out.push_str(" }");
}

fn write_value(out: &mut String, value: &Bson) {
    // Writing into a String does not fail.
    let _ = match value {
        Bson::Double(x) => write!(out, "{}", show_double(*x)),
        Bson::String(s) | Bson::Symbol(s) => write!(out, "\"{s}\""),
        Bson::Array(items) => {
            write_array(out, items);
            Ok(())
        }
        Bson::Document(d) => {
            write_document(out, d);
            Ok(())
        }
        Bson::Boolean(b) => write!(out, "{b}"),
        Bson::Null => write!(out, "null"),
        Bson::RegularExpression(r) => write!(out, "/{}/{}", r.pattern.as_str(), r.options.as_str()),
        Bson::JavaScriptCode(code) => write!(out, "{code}"),
        Bson::JavaScriptCodeWithScope(code) => {
            write!(out, "CodeWScope( {}, {})", code.code, show_document(&code.scope))
        }
        Bson::Int32(n) => write!(out, "{n}"),
        Bson::Int64(n) => write!(out, "{n}"),
        Bson::Timestamp(t) => write!(out, "Timestamp({}, {})", t.time, t.increment),
        Bson::Binary(b) if b.subtype == BinarySubtype::Uuid && b.bytes.len() == 16 => {
            write!(out, "UUID(\"{}\")", uuid_text(&b.bytes))
        }
        Bson::Binary(b) => write!(out, "BinData({}, {})", u8::from(b.subtype), hex(&b.bytes).to_uppercase()),
        Bson::ObjectId(id) => write!(out, "ObjectId('{id}')"),
        Bson::DateTime(d) => write!(out, "new Date({})", d.timestamp_millis()),
        Bson::Decimal128(d) => write!(out, "{d}"),
        Bson::Undefined => write!(out, "undefined"),
        Bson::MaxKey => write!(out, "MaxKey"),
        Bson::MinKey => write!(out, "MinKey"),
        Bson::DbPointer(_) => write!(out, "DBRef"),
    };
}

fn write_array(out: &mut String, items: &[Bson]) {
    if items.is_empty() {
        out.push_str("[]");
        return;
    }
    out.push_str("[ ");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(", ");
        }
        write_value(out, item);
    }
    out.push_str(" ]");
}

/// A binary number: always with a point or an exponent.
fn show_double(x: f64) -> String {
    if x.is_nan() {
        return "nan.0".to_owned();
    }
    if x.is_infinite() {
        return if x < 0.0 { "-inf.0" } else { "inf.0" }.to_owned();
    }
    if x == 0.0 || (1e-5..1e16).contains(&x.abs()) {
        return format!("{x:?}");
    }
    let text = format!("{x:e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.abs())
}

/// Two hexadecimal digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    })
}

/// A UUID with its dashes.
pub(crate) fn uuid_text(bytes: &[u8]) -> String {
    let hex = hex(bytes);
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|r| hex.get(r).unwrap_or_default()).join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn as_the_server_shows_them() {
        let d = doc! { "a": 1, "b": "x", "c": [1, 2.0], "d": { "e": null }, "f": [], "g": {} };
        assert_eq!(show_document(&d), "{ a: 1, b: \"x\", c: [ 1, 2.0 ], d: { e: null }, f: [], g: {} }");
        assert_eq!(show(&Bson::Double(1e20)), "1e+20");
        assert_eq!(show_field("a", &Bson::Boolean(true)), "a: true");
    }
}
