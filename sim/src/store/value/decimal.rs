//! Decimal128: unpacked, compared, added, multiplied. Slow and short: few documents of a test have one.

use bson::Decimal128;
use std::cmp::Ordering;

/// The most digits a coefficient has.
const DIGITS: usize = 34;
const EXPONENT_MIN: i32 = -6176;
const EXPONENT_MAX: i32 = 6111;

/// A decimal number, unpacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decimal {
    /// No number. Before all numbers.
    Nan,
    /// Infinity, with whether it is negative.
    Infinite(bool),
    /// `coefficient * 10^exponent`.
    Finite {
        /// Below zero (or minus zero).
        negative: bool,
        /// Below 10^34.
        coefficient: u128,
        /// Power of ten.
        exponent: i32,
    },
}

impl Decimal {
    /// From its 16 bytes (IEEE 754-2008, binary integer decimal).
    pub(crate) fn unpack(packed: Decimal128) -> Decimal {
        let bits = u128::from_le_bytes(packed.bytes());
        let negative = bits >> 127 == 1;
        match bits >> 122 & 0x1f {
            0x1f => Decimal::Nan,
            0x1e => Decimal::Infinite(negative),
            // The other form's coefficients are all above the largest: they stand for zero.
            top if top >> 3 == 3 => {
                Decimal::Finite { negative, coefficient: 0, exponent: ((bits >> 111 & 0x3fff) as i32) - 6176 }
            }
            _ => {
                let coefficient = bits & ((1 << 113) - 1);
                let coefficient = if coefficient >= 10u128.pow(34) { 0 } else { coefficient };
                Decimal::Finite { negative, coefficient, exponent: ((bits >> 113 & 0x3fff) as i32) - 6176 }
            }
        }
    }

    /// Into its 16 bytes.
    pub(crate) fn pack(self) -> Decimal128 {
        let bits = match self {
            Decimal::Nan => 0x1f << 122,
            Decimal::Infinite(negative) => u128::from(negative) << 127 | 0x1e << 122,
            Decimal::Finite { negative, coefficient, exponent } => {
                let biased = (exponent.clamp(EXPONENT_MIN, EXPONENT_MAX) + 6176) as u128;
                u128::from(negative) << 127 | biased << 113 | coefficient
            }
        };
        Decimal128::from_bytes(bits.to_le_bytes())
    }

    /// A whole number.
    pub(crate) fn from_i64(n: i64) -> Decimal {
        Decimal::Finite { negative: n < 0, coefficient: u128::from(n.unsigned_abs()), exponent: 0 }
    }

    /// A binary number, to so many significant digits (15 where the server converts, 34 where it compares).
    pub(crate) fn from_f64(x: f64, digits: usize) -> Decimal {
        if x.is_nan() {
            return Decimal::Nan;
        }
        if x.is_infinite() {
            return Decimal::Infinite(x < 0.0);
        }
        if x == 0.0 {
            return Decimal::Finite { negative: x.is_sign_negative(), coefficient: 0, exponent: 0 };
        }
        // "d.ddde-x": exact digits, correctly rounded.
        let text = format!("{:.*e}", digits - 1, x.abs());
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let mut coefficient =
            mantissa.bytes().filter(u8::is_ascii_digit).fold(0, |n, b| n * 10 + u128::from(b - b'0'));
        let mut exponent = power.parse::<i32>().unwrap_or(0) - (digits as i32 - 1);
        // Fifteen digits are kept, zeros and all; exact numbers are as short as they can be.
        while digits == DIGITS && coefficient != 0 && coefficient % 10 == 0 {
            coefficient /= 10;
            exponent += 1;
        }
        Decimal::rounded(x.is_sign_negative(), digits_of(coefficient), exponent)
    }

    /// The nearest binary number.
    pub(crate) fn to_f64(self) -> f64 {
        match self {
            Decimal::Nan => f64::NAN,
            Decimal::Infinite(negative) => {
                if negative {
                    f64::NEG_INFINITY
                } else {
                    f64::INFINITY
                }
            }
            Decimal::Finite { negative, coefficient, exponent } => {
                let x: f64 = format!("{coefficient}e{exponent}").parse().unwrap_or(0.0);
                if negative { -x } else { x }
            }
        }
    }

    /// Whether it is zero.
    pub(crate) fn is_zero(self) -> bool {
        matches!(self, Decimal::Finite { coefficient: 0, .. })
    }

    /// The sum.
    pub(crate) fn add(self, other: Decimal) -> Decimal {
        match (self, other) {
            (Decimal::Nan, _) | (_, Decimal::Nan) => Decimal::Nan,
            (Decimal::Infinite(a), Decimal::Infinite(b)) if a != b => Decimal::Nan,
            (Decimal::Infinite(n), _) | (_, Decimal::Infinite(n)) => Decimal::Infinite(n),
            (
                Decimal::Finite { negative: na, coefficient: ca, exponent: ea },
                Decimal::Finite { negative: nb, coefficient: cb, exponent: eb },
            ) => {
                // Far below the last digit of the other: it changes nothing (and aligning would take thousands of digits).
                let far = DIGITS as i32 * 2 + 2;
                let (high, low) =
                    if ea >= eb { ((na, ca, ea), (nb, cb, eb)) } else { ((nb, cb, eb), (na, ca, ea)) };
                let (high_exponent, low_exponent) =
                    if high.1 == 0 { (high.2.min(low.2), low.2) } else { (high.2, low.2.max(high.2 - far)) };
                let mut a = digits_of(high.1);
                if high.1 != 0 {
                    a.extend(std::iter::repeat_n(0, (high_exponent - low_exponent) as usize));
                }
                let mut b = digits_of(low.1);
                let cut = (low_exponent - low.2).max(0) as usize;
                b.truncate(b.len().saturating_sub(cut).max(1));
                if cut > 0 {
                    b = vec![0];
                }
                let (negative, sum) = add_signed(high.0, &a, low.0, &b);
                Decimal::rounded(negative, sum, low_exponent)
            }
        }
    }

    /// The product.
    pub(crate) fn multiply(self, other: Decimal) -> Decimal {
        match (self, other) {
            (Decimal::Nan, _) | (_, Decimal::Nan) => Decimal::Nan,
            (Decimal::Infinite(n), x) | (x, Decimal::Infinite(n)) => {
                if x.is_zero() {
                    Decimal::Nan
                } else {
                    Decimal::Infinite(n != x.is_negative())
                }
            }
            (
                Decimal::Finite { negative: na, coefficient: ca, exponent: ea },
                Decimal::Finite { negative: nb, coefficient: cb, exponent: eb },
            ) => Decimal::rounded(na != nb, multiply_digits(&digits_of(ca), &digits_of(cb)), ea + eb),
        }
    }

    fn is_negative(self) -> bool {
        matches!(self, Decimal::Infinite(true) | Decimal::Finite { negative: true, .. })
    }

    /// Digits (most significant first) times a power of ten, rounded to 34 digits, half to even.
    fn rounded(negative: bool, mut digits: Vec<u8>, mut exponent: i32) -> Decimal {
        let leading = digits.iter().take_while(|d| **d == 0).count().min(digits.len() - 1);
        digits.drain(..leading);
        if digits.len() > DIGITS {
            let dropped = digits.split_off(DIGITS);
            exponent += dropped.len() as i32;
            let half = dropped.first().map_or(0, |d| *d).cmp(&5).then_with(|| {
                if dropped.iter().skip(1).any(|d| *d != 0) { Ordering::Greater } else { Ordering::Equal }
            });
            let odd = digits.last().is_some_and(|d| d % 2 == 1);
            if half.is_gt() || (half.is_eq() && odd) {
                let number = digits.iter().fold(0u128, |n, d| n * 10 + u128::from(*d)) + 1;
                digits = digits_of(number);
                if digits.len() > DIGITS {
                    digits.pop();
                    exponent += 1;
                }
            }
        }
        let coefficient = digits.iter().fold(0u128, |n, d| n * 10 + u128::from(*d));
        if exponent > EXPONENT_MAX && coefficient != 0 {
            return Decimal::Infinite(negative);
        }
        Decimal::Finite { negative, coefficient, exponent: exponent.clamp(EXPONENT_MIN, EXPONENT_MAX) }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Decimal) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Decimal) -> Ordering {
        let rank = |d: &Decimal| match d {
            Decimal::Nan => 0,
            Decimal::Infinite(true) => 1,
            Decimal::Finite { .. } => 2,
            Decimal::Infinite(false) => 3,
        };
        match (self, other) {
            (
                Decimal::Finite { negative: na, coefficient: ca, exponent: ea },
                Decimal::Finite { negative: nb, coefficient: cb, exponent: eb },
            ) => {
                let sign = |negative: bool, c: u128| {
                    if c == 0 {
                        0
                    } else if negative {
                        -1
                    } else {
                        1
                    }
                };
                let (sa, sb) = (sign(*na, *ca), sign(*nb, *cb));
                if sa != sb || sa == 0 {
                    return sa.cmp(&sb);
                }
                let size = compare_sizes(*ca, *ea, *cb, *eb);
                if sa < 0 { size.reverse() } else { size }
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// The order of two numbers above zero.
fn compare_sizes(ca: u128, ea: i32, cb: u128, eb: i32) -> Ordering {
    let (da, db) = (ca.ilog10() as i32, cb.ilog10() as i32);
    (da + ea).cmp(&(db + eb)).then_with(|| {
        // As many digits before the point: the difference of the exponents is that of the digits, at most 33.
        let a = ca * 10u128.pow((db - da).clamp(0, 38) as u32);
        let b = cb * 10u128.pow((da - db).clamp(0, 38) as u32);
        a.cmp(&b)
    })
}

fn digits_of(n: u128) -> Vec<u8> {
    n.to_string().bytes().map(|b| b - b'0').collect()
}

fn multiply_digits(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut cells = vec![0u32; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        for (j, y) in b.iter().rev().enumerate() {
            if let Some(cell) = cells.get_mut(i + j) {
                *cell += u32::from(*x) * u32::from(*y);
            }
        }
    }
    let mut carry = 0;
    let mut digits: Vec<u8> = cells
        .iter()
        .map(|cell| {
            let n = cell + carry;
            carry = n / 10;
            (n % 10) as u8
        })
        .collect();
    digits.reverse();
    digits
}

/// The sum of two numbers with signs; its sign first.
fn add_signed(na: bool, a: &[u8], nb: bool, b: &[u8]) -> (bool, Vec<u8>) {
    let width = a.len().max(b.len()) + 1;
    let pad =
        |d: &[u8]| -> Vec<u8> { std::iter::repeat_n(0, width - d.len()).chain(d.iter().copied()).collect() };
    let (a, b) = (pad(a), pad(b));
    if na == nb {
        return (na, combine(&a, &b, |x, y, carry| x + y + carry));
    }
    match a.cmp(&b) {
        Ordering::Equal => (false, vec![0]),
        Ordering::Greater => (na, combine(&a, &b, |x, y, carry| x - y + carry)),
        Ordering::Less => (nb, combine(&b, &a, |x, y, carry| x - y + carry)),
    }
}

fn combine(a: &[u8], b: &[u8], step: impl Fn(i8, i8, i8) -> i8) -> Vec<u8> {
    let mut carry = 0;
    let mut digits: Vec<u8> = a
        .iter()
        .rev()
        .zip(b.iter().rev())
        .map(|(x, y)| {
            let n = step(*x as i8, *y as i8, carry);
            carry = n.div_euclid(10);
            n.rem_euclid(10) as u8
        })
        .collect();
    digits.reverse();
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::unpack(text.parse().unwrap())
    }

    #[test]
    fn packing_is_the_inverse_of_unpacking() {
        for text in [
            "0",
            "-0",
            "1",
            "-1.50",
            "1E+3",
            "9999999999999999999999999999999999",
            "Infinity",
            "-Infinity",
            "NaN",
        ] {
            let packed: Decimal128 = text.parse().unwrap();
            assert_eq!(Decimal::unpack(packed).pack(), packed, "{text}");
        }
    }

    #[test]
    fn sums_and_products_are_exact_and_keep_their_zeros() {
        assert_eq!(d("1.10").add(d("2.2")).pack().to_string(), "3.30");
        assert_eq!(d("1").add(d("-1")).pack().to_string(), "0");
        assert_eq!(d("5").add(d("-7.5")).pack().to_string(), "-2.5");
        assert_eq!(d("1.5").multiply(d("-2.0")).pack().to_string(), "-3.00");
        assert_eq!(d("1E+6000").add(d("1E-6000")), d("1.000000000000000000000000000000000E+6000"));
        assert_eq!(
            d("9999999999999999999999999999999999").add(d("1")).pack().to_string(),
            "1.000000000000000000000000000000000E+34"
        );
    }

    #[test]
    fn order() {
        let sorted = ["NaN", "-Infinity", "-2", "-1.5", "0", "0.001", "1.0", "1.01", "1E+10", "Infinity"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(d(a).cmp(&d(b)), i.cmp(&j), "{a} {b}");
            }
        }
        assert_eq!(d("1.00").cmp(&d("1")), Ordering::Equal);
        assert_eq!(Decimal::from_f64(0.1, 15).pack().to_string(), "0.100000000000000");
    }
}
