//! The sixteen bytes every message starts with, and the flags of `OP_MSG`.

use core::fmt;
use core::ops::BitOr;

/// Bytes in a message header.
pub const HEADER_LENGTH: usize = 16;

/// The op codes of the messages this driver knows.
pub mod op_code {
    /// `OP_REPLY`: the answer to an `OP_QUERY`.
    pub const OP_REPLY: i32 = 1;
    /// `OP_QUERY`: only for the first handshake.
    pub const OP_QUERY: i32 = 2004;
    /// `OP_COMPRESSED`: another message, compressed.
    pub const OP_COMPRESSED: i32 = 2012;
    /// `OP_MSG`: everything else.
    pub const OP_MSG: i32 = 2013;
}

/// A message header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes in the whole message, header included.
    pub length: i32,
    /// The sender's number for this message.
    pub request_id: i32,
    /// The `request_id` this message answers; 0 in a request.
    pub response_to: i32,
    /// Which kind of message, see [`op_code`].
    pub op_code: i32,
}

impl Header {
    /// The header as it goes over the wire.
    pub fn to_bytes(self) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let fields = [self.length, self.request_id, self.response_to, self.op_code];
        for (at, field) in bytes.chunks_exact_mut(4).zip(fields) {
            at.copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// Reads a header. Nothing is judged here: see [`super::ReadBuffer`] for what is accepted.
    pub fn from_bytes(bytes: &[u8; HEADER_LENGTH]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *bytes;
        Header {
            length: i32::from_le_bytes([a, b, c, d]),
            request_id: i32::from_le_bytes([e, f, g, h]),
            response_to: i32::from_le_bytes([i, j, k, l]),
            op_code: i32::from_le_bytes([m, n, o, p]),
        }
    }
}

/// `flagBits` of an `OP_MSG` (OP_MSG specification, "flagBits").
///
/// ```
/// use quorate_core::wire::Flags;
/// let flags = Flags::MORE_TO_COME | Flags::CHECKSUM_PRESENT;
/// assert!(flags.contains(Flags::MORE_TO_COME) && !flags.contains(Flags::EXHAUST_ALLOWED));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(u32);

impl Flags {
    /// No flag.
    pub const NONE: Flags = Flags(0);
    /// The message ends with a CRC-32C.
    pub const CHECKSUM_PRESENT: Flags = Flags(1);
    /// Another message follows with nothing said in between; in a request: no answer is wanted.
    pub const MORE_TO_COME: Flags = Flags(2);
    /// The sender of this request accepts several answers to it.
    pub const EXHAUST_ALLOWED: Flags = Flags(1 << 16);
    /// The bits a receiver must understand or refuse.
    const REQUIRED: u32 = 0xffff;

    /// The flags in these bits, the unknown optional ones (16 to 31) dropped.
    ///
    /// # Errors
    /// The unknown required bits (0 to 15), if one of them is set.
    pub const fn from_bits(bits: u32) -> Result<Self, u32> {
        let known = Self::CHECKSUM_PRESENT.0 | Self::MORE_TO_COME.0 | Self::EXHAUST_ALLOWED.0;
        let unknown = bits & Self::REQUIRED & !known;
        if unknown == 0 { Ok(Flags(bits & known)) } else { Err(unknown) }
    }

    /// The bits as they go over the wire.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether all of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Flags::CHECKSUM_PRESENT, "checksumPresent"),
            (Flags::MORE_TO_COME, "moreToCome"),
            (Flags::EXHAUST_ALLOWED, "exhaustAllowed"),
        ];
        let mut set = f.debug_set();
        for (_, name) in names.iter().filter(|(flag, _)| self.contains(*flag)) {
            set.entry(&format_args!("{name}"));
        }
        set.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_round_trip() {
        let header = Header { length: 26, request_id: -7, response_to: i32::MAX, op_code: op_code::OP_MSG };
        assert_eq!(Header::from_bytes(&header.to_bytes()), header);
        assert_eq!(header.to_bytes()[..4], [26, 0, 0, 0]);
        assert_eq!(header.to_bytes()[12..], [0xdd, 0x07, 0, 0]);
    }

    #[test]
    fn unknown_required_bits_are_refused_and_optional_ones_ignored() {
        assert_eq!(Flags::from_bits(0x8003), Err(0x8000));
        assert_eq!(Flags::from_bits(4), Err(4));
        assert_eq!(Flags::from_bits(0xffff_0002), Ok(Flags::MORE_TO_COME | Flags::EXHAUST_ALLOWED));
    }
}
