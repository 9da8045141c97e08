//! Sets of BSON types, as `$type` names them.

use crate::store::failure::{Failure, Result};
use crate::store::value::{type_name, whole};
use bson::Bson;

/// Types by their codes: bit `code`, `minKey` (-1) and `maxKey` (127) at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Types(u32);

const NAMES: [(&str, i64); 21] = [
    ("double", 1),
    ("string", 2),
    ("object", 3),
    ("array", 4),
    ("binData", 5),
    ("undefined", 6),
    ("objectId", 7),
    ("bool", 8),
    ("date", 9),
    ("null", 10),
    ("regex", 11),
    ("dbPointer", 12),
    ("javascript", 13),
    ("symbol", 14),
    ("javascriptWithScope", 15),
    ("int", 16),
    ("timestamp", 17),
    ("long", 18),
    ("decimal", 19),
    ("minKey", -1),
    ("maxKey", 127),
];

impl Types {
    /// The argument of `$type`: a name, a code, or an array of them.
    pub(crate) fn parse(path: &str, argument: &Bson) -> Result<Types> {
        match argument {
            Bson::Array(items) if items.is_empty() => {
                Err(Failure::new(9, format!("{path} must match at least one type")))
            }
            Bson::Array(items) => {
                let mut types = Types::default();
                for item in items {
                    types.0 |= Types::one(item)?.0;
                }
                Ok(types)
            }
            one => Types::one(one),
        }
    }

    fn one(argument: &Bson) -> Result<Types> {
        match argument {
            Bson::String(name) if name == "number" => Ok(Types(1 << 1 | 1 << 16 | 1 << 18 | 1 << 19)),
            Bson::String(name) => match NAMES.iter().find(|(n, _)| n == name) {
                Some((_, code)) => Ok(Types(bit(*code))),
                None => Err(Failure::new(2, format!("Unknown type name alias: {name}"))),
            },
            other => match whole(other) {
                Some(code) if NAMES.iter().any(|(_, c)| *c == code) => Ok(Types(bit(code))),
                Some(code) => Err(Failure::new(2, format!("Invalid numerical type code: {code}"))),
                None => Err(Failure::new(14, "type must be represented as a number or a string")),
            },
        }
    }

    /// Whether a value's type is one of them.
    pub(crate) fn contain(self, value: &Bson) -> bool {
        let name = type_name(value);
        NAMES.iter().find(|(n, _)| *n == name).is_some_and(|(_, code)| self.0 & bit(*code) != 0)
    }
}

fn bit(code: i64) -> u32 {
    match code {
        -1 => 1 << 30,
        127 => 1 << 31,
        code => 1 << (code & 0x1f),
    }
}
