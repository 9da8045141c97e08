//! What a member is at a moment, in the server's numbers and names.

use std::fmt;

/// The state of a member, as `replSetGetStatus` numbers it (manual, "Replica Set Member States").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum MemberState {
    /// Not yet in a set, or just started.
    Startup = 0,
    /// Takes writes, unless it is still catching up.
    Primary = 1,
    /// Replicates; may be read from.
    Secondary = 2,
    /// Has data it cannot yet serve.
    Recovering = 3,
    /// Makes its first copy of the data.
    Startup2 = 5,
    /// Others have heard nothing of it yet.
    Unknown = 6,
    /// Votes, and holds no data.
    Arbiter = 7,
    /// Cannot be reached, as seen by others.
    Down = 8,
    /// Undoes writes that the set does not have.
    Rollback = 9,
    /// No longer a member.
    Removed = 10,
}

impl MemberState {
    /// The server's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            MemberState::Startup => "STARTUP",
            MemberState::Primary => "PRIMARY",
            MemberState::Secondary => "SECONDARY",
            MemberState::Recovering => "RECOVERING",
            MemberState::Startup2 => "STARTUP2",
            MemberState::Unknown => "UNKNOWN",
            MemberState::Arbiter => "ARBITER",
            MemberState::Down => "(not reachable/healthy)",
            MemberState::Rollback => "ROLLBACK",
            MemberState::Removed => "REMOVED",
        }
    }

    /// The server's number for it.
    pub const fn number(self) -> i32 {
        self as i32
    }

    /// Whether clients may read there: primary or secondary.
    pub const fn is_readable(self) -> bool {
        matches!(self, MemberState::Primary | MemberState::Secondary)
    }
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
