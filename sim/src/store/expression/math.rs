//! Arithmetic in expressions.

use super::Operator;
use super::eval::nullish;
use crate::store::failure::{Failure, Result};
use crate::store::value::decimal::Decimal;
use crate::store::value::{Number, compare, type_name};
use bson::Bson;

fn kind(value: Option<&Bson>) -> &'static str {
    value.map_or("missing", type_name)
}

/// `$add` and `$multiply`: null as soon as one value is. A date plus numbers is a date.
pub(super) fn fold(operator: Operator, values: &[Option<Bson>]) -> Result<Bson> {
    let add = operator == Operator::Add;
    let mut total = Number::Int(if add { 0 } else { 1 });
    let mut date = None;
    for value in values {
        if nullish(value.as_ref()) {
            return Ok(Bson::Null);
        } else if let Some(n) = value.as_ref().and_then(Number::of) {
            let next = if add { total.add(n) } else { total.multiply(n) };
            total = next.unwrap_or_else(|| {
                let (a, b) = (total.to_f64(), n.to_f64());
                Number::Double(if add { a + b } else { a * b })
            });
        } else if let (true, None, Some(Bson::DateTime(d))) = (add, date, value) {
            date = Some(d.timestamp_millis());
        } else {
            let kind = kind(value.as_ref());
            return Err(if add {
                Failure::new(16554, format!("$add only supports numeric or date types, not {kind}"))
            } else {
                Failure::new(14, format!("$multiply only supports numeric types, not {kind}"))
            });
        }
    }
    Ok(match date {
        Some(ms) => Bson::DateTime(bson::DateTime::from_millis(ms.saturating_add(total.to_f64() as i64))),
        None => total.to_bson(),
    })
}

/// `$subtract`, `$divide`, `$mod`.
pub(super) fn pair(operator: Operator, a: Option<&Bson>, b: Option<&Bson>) -> Result<Bson> {
    if nullish(a) || nullish(b) {
        return Ok(Bson::Null);
    }
    if let (Operator::Subtract, Some(Bson::DateTime(a)), Some(b)) = (operator, a, b) {
        let a = a.timestamp_millis();
        return Ok(match (b, Number::of(b)) {
            (Bson::DateTime(b), _) => Bson::Int64(a.saturating_sub(b.timestamp_millis())),
            (_, Some(n)) => Bson::DateTime(bson::DateTime::from_millis(a.saturating_sub(n.to_f64() as i64))),
            _ => return Err(Failure::new(16556, format!("can't $subtract {} from date", type_name(b)))),
        });
    }
    let (Some(x), Some(y)) = (a.and_then(Number::of), b.and_then(Number::of)) else {
        return Err(match operator {
            Operator::Subtract => Failure::new(14, format!("can't $subtract {} from {}", kind(b), kind(a))),
            Operator::Divide => Failure::new(
                16609,
                format!("$divide only supports numeric types, not {} and {}", kind(a), kind(b)),
            ),
            _ => Failure::new(
                16611,
                format!("$mod only supports numeric types, not {} and {}", kind(a), kind(b)),
            ),
        });
    };
    match operator {
        Operator::Subtract => {
            let negative = y.multiply(Number::Int(-1)).unwrap_or(Number::Double(-y.to_f64()));
            Ok(x.add(negative).unwrap_or(Number::Double(x.to_f64() - y.to_f64())).to_bson())
        }
        Operator::Divide if y.is_zero() => Err(Failure::new(2, "can't $divide by zero")),
        Operator::Divide => Ok(Bson::Double(x.to_f64() / y.to_f64())),
        _ if y.is_zero() => Err(Failure::new(16610, "can't $mod by zero")),
        _ => Ok(remainder(x, y)),
    }
}

fn remainder(x: Number, y: Number) -> Bson {
    match (x, y) {
        (Number::Int(x), Number::Int(y)) => Bson::Int32(x.checked_rem(y).unwrap_or(0)),
        (Number::Int(_) | Number::Long(_), Number::Int(_) | Number::Long(_)) => {
            let long = |n: Number| if let Number::Long(n) = n { n } else { n.to_f64() as i64 };
            Bson::Int64(long(x).checked_rem(long(y)).unwrap_or(0))
        }
        _ => Bson::Double(x.to_f64() % y.to_f64()),
    }
}

/// `$abs`.
pub(super) fn abs(value: Option<&Bson>) -> Result<Bson> {
    if nullish(value) {
        return Ok(Bson::Null);
    }
    let Some(n) = value.and_then(Number::of) else {
        return Err(Failure::new(28765, format!("$abs only supports numeric types, not {}", kind(value))));
    };
    let positive = n.cmp(&Number::Int(0)).is_ge();
    let n = if positive { n } else { n.multiply(Number::Int(-1)).unwrap_or(Number::Double(-n.to_f64())) };
    Ok(n.to_bson())
}

/// `$sum`, `$avg`, `$min`, `$max` over their arguments, or over the elements of the one array they have.
pub(super) fn summary(operator: Operator, values: &[Option<Bson>]) -> Result<Option<Bson>> {
    let items: Vec<&Bson> = match values {
        [Some(Bson::Array(items))] => items.iter().collect(),
        values => values.iter().flatten().collect(),
    };
    Ok(Some(match operator {
        Operator::Sum => sum(items.iter().filter_map(|v| Number::of(v))).to_bson(),
        Operator::Average => {
            let numbers: Vec<Number> = items.iter().filter_map(|v| Number::of(v)).collect();
            average(&numbers)
        }
        _ => {
            let present = items.into_iter().filter(|v| !nullish(Some(v)));
            let best = if operator == Operator::Min { least(present) } else { greatest(present) };
            best.cloned().unwrap_or(Bson::Null)
        }
    }))
}

/// The least value; of equal ones the first.
pub(crate) fn least<'v>(values: impl Iterator<Item = &'v Bson>) -> Option<&'v Bson> {
    values.reduce(|best, v| if compare(v, best).is_lt() { v } else { best })
}

/// The greatest value; of equal ones the first.
pub(crate) fn greatest<'v>(values: impl Iterator<Item = &'v Bson>) -> Option<&'v Bson> {
    values.reduce(|best, v| if compare(v, best).is_gt() { v } else { best })
}

/// A sum that goes over to binary numbers rather than overflow. Decimals are added to the exact sum of all others.
pub(crate) fn sum(numbers: impl Iterator<Item = Number>) -> Number {
    let (mut others, mut decimals) = (Number::Int(0), None);
    for n in numbers {
        match n {
            Number::Decimal(d) => decimals = Some(decimals.map_or(d, |total: Decimal| total.add(d))),
            n => {
                others = others.add(n).unwrap_or_else(|| Number::Double(others.to_f64() + n.to_f64()));
            }
        }
    }
    match decimals {
        None => others,
        Some(total) => Number::Decimal(total.add(others.exactly())),
    }
}

/// The mean, or null of nothing.
pub(crate) fn average(numbers: &[Number]) -> Bson {
    if numbers.is_empty() {
        return Bson::Null;
    }
    Bson::Double(sum(numbers.iter().copied()).to_f64() / numbers.len() as f64)
}
