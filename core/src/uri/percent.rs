//! Percent-encoding, strict in reading (RFC 3986, section 2.1).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// Decodes `%XX`. Everything else, `+` included, stands for itself.
///
/// # Errors
/// A `%` without two hexadecimal digits behind it, and bytes that are no UTF-8 together.
pub(super) fn decode(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if !text.contains('%') {
        return Ok(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match (bytes.next().and_then(hex), bytes.next().and_then(hex)) {
            (Some(high), Some(low)) => out.push(high << 4 | low),
            _ => {
                return Err(
                    "a percent sign without two hexadecimal digits behind it; write %25 for a percent sign",
                );
            }
        }
    }
    String::from_utf8(out).map(Cow::Owned).map_err(|_| "percent-encoded bytes that are no UTF-8")
}

const fn hex(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Appends `text` with everything encoded but RFC 3986's unreserved characters and those in `keep`.
pub(super) fn encode(out: &mut String, text: &str, keep: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    for byte in text.bytes() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || keep.as_bytes().contains(&byte);
        if plain && byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(digit(byte >> 4));
            out.push(digit(byte & 15));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_strictly() {
        assert_eq!(decode("a%2Fb%2f+").unwrap(), "a/b/+");
        assert_eq!(decode("b%C3%BC").unwrap(), "bü");
        for bad in ["%", "a%", "%2", "a%zz", "%%20", "%+1", "%C3", "%2é"] {
            assert!(decode(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn writes_what_it_reads() {
        let mut out = String::new();
        encode(&mut out, "a/ü:% ~", ":");
        assert_eq!(out, "a%2F%C3%BC:%25%20~");
        assert_eq!(decode(&out).unwrap(), "a/ü:% ~");
    }
}
