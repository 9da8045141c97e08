//! What must always be true, and what it is called when it is not.

use quorate_core::Instant;
use std::fmt;

/// The invariants of the design, and some more that the specifications ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A write acknowledged by a majority is never missing afterwards; what is read from a majority stays.
    Durable,
    /// A write is applied once, however many times it was sent, and in the order in which writes were acknowledged.
    Once,
    /// No operation outlives its deadline, none hangs.
    Deadline,
    /// After a failover the first operation succeeds within milliseconds of the moment it could.
    Prompt,
    /// Every connection checked out is checked in or closed, and is fit for use; counts add up, also as servers see them.
    Connections,
    /// Every started event has its end event; what is published is what the last transition made.
    Events,
    /// Memory is bounded: sizes of pools, of queues.
    Bounded,
    /// An answer is the answer to what was asked, and says of a write what became of it.
    Answers,
    /// What may be sent again is, as often as it may be, as what it was; nothing else is.
    Retries,
    /// An operation goes to a server it may go to; a cursor's batches come from where the cursor is.
    Placement,
    /// A transaction is there whole or not at all, and nobody sees what is not committed.
    Atomic,
    /// A session is used by one operation at a time, and its numbers rise; commands of a transaction carry what they must.
    Sessions,
    /// Nothing fails where nothing is wrong.
    Unprovoked,
    /// Nobody believes a server that is known to be out of date.
    Stale,
    /// The simulation itself could not go on.
    Run,
}

impl Rule {
    /// Its number in the design ("What must always be true"), where it has one.
    pub fn number(self) -> Option<u8> {
        match self {
            Rule::Durable => Some(1),
            Rule::Once => Some(2),
            Rule::Deadline => Some(3),
            Rule::Prompt => Some(4),
            Rule::Connections => Some(5),
            Rule::Events => Some(6),
            Rule::Bounded => Some(7),
            _ => None,
        }
    }

    /// Its name, in one word.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Durable => "durable",
            Rule::Once => "once",
            Rule::Deadline => "deadline",
            Rule::Prompt => "prompt",
            Rule::Connections => "connections",
            Rule::Events => "events",
            Rule::Bounded => "bounded",
            Rule::Answers => "answers",
            Rule::Retries => "retries",
            Rule::Placement => "placement",
            Rule::Atomic => "atomic",
            Rule::Sessions => "sessions",
            Rule::Unprovoked => "unprovoked",
            Rule::Stale => "stale",
            Rule::Run => "run",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.number() {
            Some(number) => write!(f, " ({number})"),
            None => Ok(()),
        }
    }
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When it was seen.
    pub at: Instant,
    /// Which rule.
    pub rule: Rule,
    /// What was seen.
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.at - crate::world::START;
        write!(f, "at {:.6} s, {}: {}", since.as_secs_f64(), self.rule, self.text)
    }
}
