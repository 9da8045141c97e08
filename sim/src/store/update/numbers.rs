//! `$inc`, `$mul`, `$bit`.

use super::operator::Place;
use super::{Failure, Result};
use crate::store::value::{Number, type_name};
use bson::Bson;

/// What `$bit` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bits {
    And,
    Or,
    Xor,
}

pub(super) fn increment(value: Option<&Bson>, by: Number, place: Place<'_>) -> Result<Bson> {
    let Some(value) = value else { return Ok(by.to_bson()) };
    number(value, "$inc", place)?.add(by).map(Number::to_bson).ok_or_else(|| overflow("$inc", value, place))
}

pub(super) fn multiply(value: Option<&Bson>, by: Number, place: Place<'_>) -> Result<Bson> {
    let Some(value) = value else {
        return Ok(by.multiply(Number::Int(0)).unwrap_or(Number::Int(0)).to_bson());
    };
    number(value, "$mul", place)?
        .multiply(by)
        .map(Number::to_bson)
        .ok_or_else(|| overflow("$mul", value, place))
}

fn number(value: &Bson, name: &str, place: Place<'_>) -> Result<Number> {
    Number::of(value).ok_or_else(|| {
        Failure::new(
            14,
            format!(
                "Cannot apply {name} to a value of non-numeric type. {{{}}} has the field '{}' of non-numeric type {}",
                place.id,
                place.name,
                type_name(value)
            ),
        )
    })
}

fn overflow(name: &str, value: &Bson, place: Place<'_>) -> Failure {
    let shown = match value {
        Bson::Int32(n) => format!("(NumberInt){n}"),
        Bson::Int64(n) => format!("(NumberLong){n}"),
        other => crate::store::value::show(other),
    };
    Failure::new(
        2,
        format!("Failed to apply {name} operations to current value ({shown}) for document {{{}}}", place.id),
    )
}

/// `$bit`. Each step: what, with which number, and whether that is a 64-bit one.
pub(super) fn bits(value: Option<&Bson>, steps: &[(Bits, i64, bool)], place: Place<'_>) -> Result<Bson> {
    let (mut bits, mut long) = match value {
        None => (0, false),
        Some(Bson::Int32(n)) => (i64::from(*n), false),
        Some(Bson::Int64(n)) => (*n, true),
        Some(other) => {
            return Err(Failure::new(
                2,
                format!(
                    "Cannot apply $bit to a value of non-integral type.{} has the field {} of non-integer type {}",
                    if place.id == "no id" { "INVALID-MUTABLE-ELEMENT" } else { place.id },
                    place.name,
                    type_name(other)
                ),
            ));
        }
    };
    for (what, operand, operand_long) in steps {
        long |= operand_long;
        bits = match what {
            Bits::And => bits & operand,
            Bits::Or => bits | operand,
            Bits::Xor => bits ^ operand,
        };
    }
    Ok(match i32::try_from(bits) {
        Ok(small) if !long => Bson::Int32(small),
        _ => Bson::Int64(bits),
    })
}
