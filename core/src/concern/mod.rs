//! Read concern and write concern, and what a replica set can make of the latter.
//!
//! Source: read and write concern specification.

mod evaluator;

pub use evaluator::{
    Counted, Evaluation, MemberProgress, OpTime, ReplicaSetConfig, ReplicaSetMember, Requirement,
    UNKNOWN_REPL_WRITE_CONCERN, UNSATISFIABLE_WRITE_CONCERN, WriteConcernMode, evaluate,
};

use crate::raw::DocWriter;
use alloc::borrow::Cow;
use alloc::string::String;
use core::time::Duration;

/// A read concern: how durable and how recent what is read must be.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ReadConcern {
    /// The level; `None` sends nothing and leaves it to the server.
    pub level: Option<ReadConcernLevel>,
}

/// The level of a read concern. Names unknown to this version pass through ([`ReadConcernLevel::Custom`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadConcernLevel {
    /// What the member has, even if it may be rolled back.
    Local,
    /// Acknowledged by a majority.
    Majority,
    /// Majority-committed as of the start of the read.
    Linearizable,
    /// As `local`, without the shard's ownership check.
    Available,
    /// One point in time.
    Snapshot,
    /// Another name.
    Custom(String),
}

impl ReadConcernLevel {
    /// The protocol's name.
    pub fn as_str(&self) -> &str {
        match self {
            ReadConcernLevel::Local => "local",
            ReadConcernLevel::Majority => "majority",
            ReadConcernLevel::Linearizable => "linearizable",
            ReadConcernLevel::Available => "available",
            ReadConcernLevel::Snapshot => "snapshot",
            ReadConcernLevel::Custom(name) => name,
        }
    }
}

impl From<&str> for ReadConcernLevel {
    fn from(name: &str) -> Self {
        match name {
            "local" => ReadConcernLevel::Local,
            "majority" => ReadConcernLevel::Majority,
            "linearizable" => ReadConcernLevel::Linearizable,
            "available" => ReadConcernLevel::Available,
            "snapshot" => ReadConcernLevel::Snapshot,
            other => ReadConcernLevel::Custom(other.into()),
        }
    }
}

impl From<ReadConcernLevel> for ReadConcern {
    fn from(level: ReadConcernLevel) -> Self {
        ReadConcern { level: Some(level) }
    }
}

impl ReadConcern {
    /// Read concern `local`.
    pub fn local() -> Self {
        ReadConcernLevel::Local.into()
    }

    /// Read concern `majority`.
    pub fn majority() -> Self {
        ReadConcernLevel::Majority.into()
    }

    /// Read concern `linearizable`.
    pub fn linearizable() -> Self {
        ReadConcernLevel::Linearizable.into()
    }

    /// Read concern `available`.
    pub fn available() -> Self {
        ReadConcernLevel::Available.into()
    }

    /// Read concern `snapshot`.
    pub fn snapshot() -> Self {
        ReadConcernLevel::Snapshot.into()
    }

    /// Any level by name.
    pub fn custom(level: &str) -> Self {
        ReadConcernLevel::from(level).into()
    }

    /// Whether nothing is to be sent ("Drivers MUST NOT send a read concern document that is the server's default").
    pub const fn is_server_default(&self) -> bool {
        self.level.is_none()
    }

    /// Appends the fields of a `readConcern` document.
    pub fn write_fields<'w>(&self, writer: DocWriter<'w>) -> DocWriter<'w> {
        match &self.level {
            Some(level) => writer.str("level", level.as_str()),
            None => writer,
        }
    }
}

/// Who must have a write before it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledgment {
    /// That many members, the primary included; 0 asks for no reply at all.
    Nodes(u32),
    /// A majority of the data-bearing voting members.
    Majority,
    /// A mode defined in the replica set's `settings.getLastErrorModes`, such as `eachDC`.
    Custom(String),
}

impl From<u32> for Acknowledgment {
    fn from(nodes: u32) -> Self {
        Acknowledgment::Nodes(nodes)
    }
}

impl From<Acknowledgment> for WriteConcern {
    fn from(w: Acknowledgment) -> Self {
        WriteConcern { w: Some(w), ..Self::default() }
    }
}

impl From<&str> for Acknowledgment {
    /// `majority` is [`Acknowledgment::Majority`]; any other text is a custom mode.
    fn from(mode: &str) -> Self {
        if mode == "majority" { Acknowledgment::Majority } else { Acknowledgment::Custom(mode.into()) }
    }
}

impl Acknowledgment {
    /// `w` as people write it: `1`, `majority`, `eachDC`.
    pub fn describe(&self) -> Cow<'_, str> {
        match self {
            Acknowledgment::Nodes(n) => Cow::Owned(alloc::format!("{n}")),
            Acknowledgment::Majority => Cow::Borrowed("majority"),
            Acknowledgment::Custom(mode) => Cow::Borrowed(mode),
        }
    }
}

/// A write concern: `w`, `j` and `wtimeout`. Fields that are `None` are not sent.
///
/// A `wtimeout` that runs out does not undo or fail the write; see [`crate::error::WriteConcernError`].
#[derive(Clone, Debug, PartialEq, Eq, Default)]
#[cfg_attr(
    feature = "builders",
    derive(typed_builder::TypedBuilder),
    builder(field_defaults(default, setter(into)))
)]
pub struct WriteConcern {
    /// Who must acknowledge.
    pub w: Option<Acknowledgment>,
    /// How long the server waits for them before it says so; whole milliseconds.
    pub w_timeout: Option<Duration>,
    /// Whether it must be in the on-disk journal.
    pub journal: Option<bool>,
}

impl WriteConcern {
    /// `w: n`.
    pub fn nodes(n: u32) -> Self {
        WriteConcern { w: Some(Acknowledgment::Nodes(n)), ..Self::default() }
    }

    /// `w: "majority"`.
    pub fn majority() -> Self {
        WriteConcern { w: Some(Acknowledgment::Majority), ..Self::default() }
    }

    /// `w` with a custom mode.
    pub fn custom(mode: &str) -> Self {
        WriteConcern { w: Some(Acknowledgment::Custom(mode.into())), ..Self::default() }
    }

    /// Whether the server replies to such a write at all: all but `w: 0` without `j: true`.
    pub fn is_acknowledged(&self) -> bool {
        self.w != Some(Acknowledgment::Nodes(0)) || self.journal == Some(true)
    }

    /// Whether nothing is to be sent.
    pub const fn is_server_default(&self) -> bool {
        self.w.is_none() && self.w_timeout.is_none() && self.journal.is_none()
    }

    /// Says what is contradictory: `w: 0` with `j: true`.
    ///
    /// # Errors
    /// A sentence naming the fields ("Inconsistent WriteConcern" of the specification).
    pub fn validate(&self) -> Result<(), &'static str> {
        if self.w == Some(Acknowledgment::Nodes(0)) && self.journal == Some(true) {
            return Err("write concern cannot have w=0 and j=true");
        }
        Ok(())
    }

    /// Appends the fields of a `writeConcern` document.
    pub fn write_fields<'w>(&self, mut writer: DocWriter<'w>) -> DocWriter<'w> {
        writer = match &self.w {
            Some(Acknowledgment::Nodes(n)) => writer.i32("w", i32::try_from(*n).unwrap_or(i32::MAX)),
            Some(Acknowledgment::Majority) => writer.str("w", "majority"),
            Some(Acknowledgment::Custom(mode)) => writer.str("w", mode),
            None => writer,
        };
        if let Some(journal) = self.journal {
            writer = writer.bool("j", journal);
        }
        if let Some(timeout) = self.w_timeout {
            // The server takes a 64-bit number; a 32-bit one where it fits keeps replies and logs as people expect.
            let millis = timeout.as_millis();
            writer = match i32::try_from(millis) {
                Ok(small) => writer.i32("wtimeout", small),
                Err(_) => writer.i64("wtimeout", i64::try_from(millis).unwrap_or(i64::MAX)),
            };
        }
        writer
    }
}
