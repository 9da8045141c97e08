//! Two replies, field by field.

use bson::{Bson, Document, spec::BinarySubtype};

/// What every reply of a replica set's member carries, and no two servers have in common.
const ELSEWHERE: [&str; 4] = ["$clusterTime", "operationTime", "electionId", "opTime"];

/// Where two replies differ.
pub(crate) fn differences(real: &Document, simulated: &Document, ignore: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    // The fields of a reply may come in any order: no driver looks at it. Those of documents inside may not.
    for (name, value) in real.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        compare(name, Some(value), simulated.get(name), ignore, &mut found);
    }
    for (name, value) in simulated.iter().filter(|(name, _)| !ELSEWHERE.contains(&name.as_str())) {
        if !real.contains_key(name) {
            compare(name, None, Some(value), ignore, &mut found);
        }
    }
    found
}

fn compare(
    path: &str,
    real: Option<&Bson>,
    simulated: Option<&Bson>,
    ignore: &[String],
    found: &mut Vec<String>,
) {
    if ignore.iter().any(|p| p == path) {
        return;
    }
    match (real, simulated) {
        (Some(Bson::Document(real)), Some(Bson::Document(simulated))) => {
            let names = |d: &Document| d.keys().cloned().collect::<Vec<_>>();
            // Replies name the parts of a cursor in any order.
            let in_order = names(real) == names(simulated) || path == "cursor";
            if !in_order && !ignore.iter().any(|p| p.starts_with(&format!("{path}."))) {
                found.push(format!("{path}: fields {:?}, not {:?}", names(simulated), names(real)));
            }
            for name in real.keys().chain(simulated.keys().filter(|k| !real.contains_key(k))) {
                compare(&format!("{path}.{name}"), real.get(name), simulated.get(name), ignore, found);
            }
        }
        (Some(Bson::Array(real)), Some(Bson::Array(simulated))) => {
            for i in 0..real.len().max(simulated.len()) {
                compare(&format!("{path}.{i}"), real.get(i), simulated.get(i), ignore, found);
            }
        }
        (Some(a), Some(b)) if same(path, a, b) => {}
        (real, simulated) => found.push(format!("{path}: {}, not {}", shown(simulated), shown(real))),
    }
}

fn shown(value: Option<&Bson>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |v| format!("{v:?}"))
}

/// Whether two values are the same as far as they can be.
fn same(path: &str, real: &Bson, simulated: &Bson) -> bool {
    match (real, simulated) {
        // Made by each server for itself.
        (Bson::ObjectId(_), Bson::ObjectId(_)) => true,
        (Bson::Binary(a), Bson::Binary(b)) if a.subtype == BinarySubtype::Uuid => b.subtype == a.subtype,
        (Bson::DateTime(_), Bson::DateTime(_)) | (Bson::Timestamp(_), Bson::Timestamp(_)) => true,
        // Open, or not.
        (Bson::Int64(a), Bson::Int64(b)) if path == "cursor.id" => (*a == 0) == (*b == 0),
        (Bson::Int64(_), Bson::Int64(_)) if path.starts_with("cursors") => true,
        (Bson::Double(a), Bson::Double(b)) => a == b || (a.is_nan() && b.is_nan()),
        (Bson::String(a), Bson::String(b)) => masked(a) == masked(b),
        (a, b) => a == b,
    }
}

/// A text without UUIDs, ObjectIds and long numbers.
fn masked(text: &str) -> String {
    let word = |c: char| c.is_ascii_hexdigit() || c == '-';
    let mut masked = String::new();
    for part in text.split_inclusive(|c| !word(c)) {
        let body = part.trim_end_matches(|c| !word(c));
        let long_number = body.len() > 12 && body.bytes().all(|b| b.is_ascii_digit());
        let object_id = body.len() == 24 && body.bytes().all(|b| b.is_ascii_hexdigit());
        let uuid = body.len() == 36 && body.matches('-').count() == 4;
        if long_number || object_id || uuid {
            masked.push('#');
            masked.push_str(&part[body.len()..]);
        } else {
            masked.push_str(part);
        }
    }
    masked
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    #[test]
    fn differences_are_found() {
        let real = doc! { "n": 1, "d": { "a": 1, "b": 2 }, "operationTime": 1, "cursor": { "id": 5_i64 } };
        let none: [String; 0] = [];
        assert_eq!(differences(&real, &real, &none), none);
        for other in [
            doc! { "n": 2, "d": { "a": 1, "b": 2 }, "cursor": { "id": 5_i64 } },
            doc! { "n": 1_i64, "d": { "a": 1, "b": 2 }, "cursor": { "id": 5_i64 } },
            doc! { "n": 1, "d": { "b": 2, "a": 1 }, "cursor": { "id": 5_i64 } },
            doc! { "n": 1, "d": { "a": 1, "b": 2 }, "cursor": { "id": 0_i64 } },
            doc! { "n": 1, "d": { "a": 1, "b": 2 }, "cursor": { "id": 5_i64 }, "more": 1 },
            doc! { "n": 1, "d": { "a": 1, "b": 2 } },
        ] {
            assert_eq!(differences(&real, &other, &none).len(), 1, "{other}");
        }
        let other = doc! { "n": 2, "d": { "a": 1, "b": 2 }, "cursor": { "id": 9_i64 } };
        assert_eq!(differences(&real, &other, &["n".to_owned()]), none);
    }

    #[test]
    fn texts_without_ids() {
        assert_eq!(masked("cursor id 1234567890123456 not found"), "cursor id # not found");
        assert_eq!(masked("dup key: { _id: 1 }"), "dup key: { _id: 1 }");
    }
}
