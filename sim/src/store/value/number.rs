//! Numbers of all types: compared by value, added and multiplied with the server's rules of promotion.

use super::decimal::Decimal;
use bson::Bson;
use std::cmp::Ordering;

/// A number of any of the four types.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    /// 32 bits.
    Int(i32),
    /// 64 bits.
    Long(i64),
    /// Binary.
    Double(f64),
    /// Decimal.
    Decimal(Decimal),
}

impl Number {
    /// The number a value is.
    pub(crate) fn of(value: &Bson) -> Option<Number> {
        match value {
            Bson::Int32(n) => Some(Number::Int(*n)),
            Bson::Int64(n) => Some(Number::Long(*n)),
            Bson::Double(n) => Some(Number::Double(*n)),
            Bson::Decimal128(n) => Some(Number::Decimal(Decimal::unpack(*n))),
            _ => None,
        }
    }

    /// As a value.
    pub(crate) fn to_bson(self) -> Bson {
        match self {
            Number::Int(n) => Bson::Int32(n),
            Number::Long(n) => Bson::Int64(n),
            Number::Double(n) => Bson::Double(n),
            Number::Decimal(n) => Bson::Decimal128(n.pack()),
        }
    }

    /// The order by value. Not-a-number comes first and equals itself.
    pub(crate) fn cmp(&self, other: &Number) -> Ordering {
        match (self.integer(), other.integer()) {
            (Some(a), Some(b)) => return a.cmp(&b),
            (Some(a), None) => {
                if let Number::Double(b) = other {
                    return compare_long_double(a, *b);
                }
            }
            (None, Some(b)) => {
                if let Number::Double(a) = self {
                    return compare_long_double(b, *a).reverse();
                }
            }
            (None, None) => {
                if let (Number::Double(a), Number::Double(b)) = (self, other) {
                    return compare_doubles(*a, *b);
                }
            }
        }
        self.decimal(34).cmp(&other.decimal(34))
    }

    /// Whether it is zero.
    pub(crate) fn is_zero(&self) -> bool {
        match self {
            Number::Int(n) => *n == 0,
            Number::Long(n) => *n == 0,
            Number::Double(n) => *n == 0.0,
            Number::Decimal(n) => n.is_zero(),
        }
    }

    /// Whether it is not a number.
    pub(crate) fn is_nan(&self) -> bool {
        match self {
            Number::Double(n) => n.is_nan(),
            Number::Decimal(n) => matches!(n, Decimal::Nan),
            _ => false,
        }
    }

    /// As a binary number.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Number::Int(n) => f64::from(n),
            Number::Long(n) => n as f64,
            Number::Double(n) => n,
            Number::Decimal(n) => n.to_f64(),
        }
    }

    /// The sum; `None` where two 64-bit numbers overflow.
    pub(crate) fn add(self, other: Number) -> Option<Number> {
        self.combine(other, i64::checked_add, |a, b| a + b, Decimal::add)
    }

    /// The product; `None` where two 64-bit numbers overflow.
    pub(crate) fn multiply(self, other: Number) -> Option<Number> {
        self.combine(other, i64::checked_mul, |a, b| a * b, Decimal::multiply)
    }

    /// The widest type wins; two `int` that overflow make a `long`.
    fn combine(
        self,
        other: Number,
        whole: fn(i64, i64) -> Option<i64>,
        binary: fn(f64, f64) -> f64,
        decimal: fn(Decimal, Decimal) -> Decimal,
    ) -> Option<Number> {
        if matches!(self, Number::Decimal(_)) || matches!(other, Number::Decimal(_)) {
            return Some(Number::Decimal(decimal(self.decimal(15), other.decimal(15))));
        }
        match (self.integer(), other.integer()) {
            (Some(a), Some(b)) => {
                let n = whole(a, b)?;
                let both_small = matches!((self, other), (Number::Int(_), Number::Int(_)));
                Some(match i32::try_from(n) {
                    Ok(small) if both_small => Number::Int(small),
                    _ => Number::Long(n),
                })
            }
            _ => Some(Number::Double(binary(self.to_f64(), other.to_f64()))),
        }
    }

    /// As a decimal, to the last digit that has room.
    pub(crate) fn exactly(self) -> Decimal {
        self.decimal(34)
    }

    fn integer(&self) -> Option<i64> {
        match self {
            Number::Int(n) => Some(i64::from(*n)),
            Number::Long(n) => Some(*n),
            _ => None,
        }
    }

    fn decimal(self, digits: usize) -> Decimal {
        match self {
            Number::Int(n) => Decimal::from_i64(i64::from(n)),
            Number::Long(n) => Decimal::from_i64(n),
            Number::Double(n) => Decimal::from_f64(n, digits),
            Number::Decimal(n) => n,
        }
    }
}

fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

fn compare_long_double(a: i64, b: f64) -> Ordering {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() {
        return Ordering::Greater;
    }
    if b >= LIMIT {
        return Ordering::Less;
    }
    if b < -LIMIT {
        return Ordering::Greater;
    }
    let whole = b.trunc();
    a.cmp(&(whole as i64)).then_with(|| compare_doubles(0.0, b - whole))
}

/// A number of any type as a 64-bit one, cut off at the point and at the ends.
pub(crate) fn as_i64(value: &Bson) -> Option<i64> {
    Number::of(value).map(|n| n.integer().unwrap_or_else(|| n.to_f64() as i64))
}

/// A number of any type that is whole and fits.
pub(crate) fn whole(value: &Bson) -> Option<i64> {
    let n = Number::of(value)?;
    match n.integer() {
        Some(n) => Some(n),
        None => {
            let x = n.to_f64();
            (x.trunc() == x && x.abs() < 9.2e18).then_some(x as i64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::bson;

    fn add(a: impl Into<Bson>, b: impl Into<Bson>) -> Option<Bson> {
        Some(Number::of(&a.into())?.add(Number::of(&b.into())?)?.to_bson())
    }

    #[test]
    fn sums_promote() {
        assert_eq!(add(1, 2), Some(bson!(3)));
        assert_eq!(add(i32::MAX, 1), Some(bson!(2_147_483_648_i64)));
        assert_eq!(add(1, 2_i64), Some(bson!(3_i64)));
        assert_eq!(add(1, 2.5), Some(bson!(3.5)));
        assert_eq!(add(i64::MAX, 1), None);
    }

    #[test]
    fn whole_numbers_only() {
        assert_eq!(whole(&bson!(3.0)), Some(3));
        assert_eq!(whole(&bson!(3.5)), None);
        assert_eq!(whole(&bson!("3")), None);
        assert_eq!(as_i64(&bson!(3.9)), Some(3));
    }
}
