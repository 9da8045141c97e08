//! [`Compressor`]: which there are, and which of them this build has.

/// A compressor for messages (compression specification, "Compressor IDs"), offered to servers in the order of a client's
/// options.
///
/// Naming one does not mean that it was compiled in: [`Compressor::is_available`] tells, and connections offer no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compressor {
    /// Snappy: the fastest, and the one that saves least.
    Snappy,
    /// zlib.
    Zlib {
        /// 0 (none) to 9 (smallest); `None` for the library's default.
        level: Option<u32>,
    },
    /// Zstandard.
    Zstd {
        /// Kept for compatibility: the encoder knows one level, about libzstd's 1, whatever is given here. Cannot be given in
        /// a connection string.
        level: Option<i32>,
    },
}

impl Compressor {
    /// The name in the handshake and in connection strings.
    pub const fn name(self) -> &'static str {
        self.id().name()
    }

    /// The compressor of that name, at its default level.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "snappy" => Some(Compressor::Snappy),
            "zlib" => Some(Compressor::Zlib { level: None }),
            "zstd" => Some(Compressor::Zstd { level: None }),
            _ => None,
        }
    }

    /// Whether this build has it: the features `snappy`, `zlib` and `zstd`.
    pub const fn is_available(self) -> bool {
        match self {
            Compressor::Snappy => cfg!(feature = "snappy"),
            Compressor::Zlib { .. } => cfg!(feature = "zlib"),
            Compressor::Zstd { .. } => cfg!(feature = "zstd"),
        }
    }

    pub(super) const fn id(self) -> Id {
        match self {
            Compressor::Snappy => Id::Snappy,
            Compressor::Zlib { .. } => Id::Zlib,
            Compressor::Zstd { .. } => Id::Zstd,
        }
    }
}

/// The numbers of compression specification, "Compressor IDs".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// Not compressed at all: "realistically only used for testing".
    Noop,
    Snappy,
    Zlib,
    Zstd,
}

impl Id {
    pub(super) const fn number(self) -> u8 {
        match self {
            Id::Noop => 0,
            Id::Snappy => 1,
            Id::Zlib => 2,
            Id::Zstd => 3,
        }
    }

    pub(super) fn of(number: u8) -> Option<Self> {
        [Id::Noop, Id::Snappy, Id::Zlib, Id::Zstd].into_iter().find(|id| id.number() == number)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Id::Noop => "noop",
            Id::Snappy => "snappy",
            Id::Zlib => "zlib",
            Id::Zstd => "zstd",
        }
    }
}
