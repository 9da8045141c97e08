//! What a replica set can make of a write concern: whether it is satisfied, can be, ever could be, and whom it waits for.
//!
//! Usable alone: give [`evaluate`] a [`ReplicaSetConfig`], a write concern, the optime of the write and what each member has
//! of it. Nothing here talks to a server; the answers are those the primary itself comes to. That rule is small once
//! seen: every write concern is a list of *requirements*, and a requirement counts different values among the members
//! that have the write.
//!
//! | `w` | members that count | different ... | needed |
//! |---|---|---|---|
//! | `n` | all but arbiters: hidden, delayed, priority 0 and non-voting ones too | members | `n` |
//! | `"majority"` | all but arbiters, with a vote | members | majority of the votes (arbiters' included), but no more than there are such members |
//! | a custom mode | all but arbiters | values of a tag | the mode's number for that tag; each tag of the mode is a requirement of its own |
//!
//! A member *has* a write when it reports an optime of the same term that is not before it: applied, or durable (in its
//! journal) where the write concern asks for `j`, or where it is `"majority"` without `j` and the set's
//! `writeConcernMajorityJournalDefault` is true. Of a member in a later term nobody can tell from its optime whether it kept
//! the write or rolled it back, so it does not count.
//!
//! Sources: MongoDB manual, "Write Concern" ("Acknowledgment Behavior", "Calculating Majority for Write Concern"),
//! "Replica Set Configuration" (`settings.getLastErrorModes`), "Configure Replica Set Tag Sets".

mod config;
mod parse;
#[cfg(test)]
mod tests;

pub use config::{MemberProgress, OpTime, ReplicaSetConfig, ReplicaSetMember, WriteConcernMode};

use super::{Acknowledgment, WriteConcern};
use crate::error::WriteConcernError;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// The server's error code for a mode that the configuration does not define.
pub const UNKNOWN_REPL_WRITE_CONCERN: i32 = 79;
/// The server's error code for a write concern that all members together cannot satisfy. Servers before 4.2 call it
/// `CannotSatisfyWriteConcern`.
pub const UNSATISFIABLE_WRITE_CONCERN: i32 = 100;

/// What a requirement counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counted {
    /// Members with data: all but arbiters.
    DataBearing,
    /// Members with data and a vote.
    DataBearingVoters,
    /// Different values of that tag among the members with data.
    TagValues(String),
}

/// One part of a write concern, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// What is counted.
    pub counted: Counted,
    /// How many are needed.
    pub needed: u32,
    /// How many there are among the members that have the write.
    pub have: u32,
    /// How many there would be if every reachable member had it too.
    pub possible_now: u32,
    /// How many there would be if every member of the configuration had it.
    pub possible_ever: u32,
}

impl fmt::Display for Requirement {
    /// `2 of 3 different values of tag "dc"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ", self.have, self.needed)?;
        match &self.counted {
            Counted::DataBearing => f.write_str("data-bearing members"),
            Counted::DataBearingVoters => f.write_str("voting data-bearing members"),
            Counted::TagValues(tag) => write!(f, "different values of tag {tag:?}"),
        }
    }
}

/// The answer of [`evaluate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Evaluation {
    /// Whether enough members have the write: the server would acknowledge it now.
    pub satisfied: bool,
    /// Whether it would be once every reachable member had it.
    pub possible_now: bool,
    /// Whether it would be once every member of the configuration had it. If not, `error` says why.
    pub possible_ever: bool,
    /// Whether members have to have it in their journal.
    pub journaled: bool,
    /// Reachable members whose getting the write would bring it nearer, by id. Empty once satisfied.
    pub waiting_for: Vec<i32>,
    /// The same for members that cannot be reached: who would have to come back.
    pub unreachable: Vec<i32>,
    /// The parts of the write concern; all must hold. None for `w: 0`.
    pub requirements: Vec<Requirement>,
    /// What the server answers to such a write concern, if it refuses it: [`UNKNOWN_REPL_WRITE_CONCERN`] or
    /// [`UNSATISFIABLE_WRITE_CONCERN`]. The write itself takes place all the same.
    pub error: Option<WriteConcernError>,
}

impl fmt::Display for Evaluation {
    /// One line for people: `not yet: 1 of 2 different values of tag "dc"; waiting for members 3, 4; unreachable: 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = &self.error {
            return write!(f, "never ({}): {}", error.code_name, error.message);
        }
        f.write_str(match (self.satisfied, self.possible_now) {
            (true, _) => "satisfied",
            (false, true) => "not yet",
            (false, false) => "not with the members reachable now",
        })?;
        for (i, requirement) in self.requirements.iter().enumerate() {
            write!(f, "{} {requirement}", if i == 0 { ":" } else { "," })?;
        }
        for (label, members) in
            [("waiting for members", &self.waiting_for), ("unreachable:", &self.unreachable)]
        {
            for (i, id) in members.iter().enumerate() {
                if i == 0 { write!(f, "; {label} {id}")? } else { write!(f, ", {id}")? }
            }
        }
        Ok(())
    }
}

/// Judges `write_concern` for the write at `target`, given what `progress` tells of the members (by id; a member not
/// mentioned is unreachable and has nothing; of two mentions the first counts).
///
/// A write concern without `w` is the one the set implies ([`ReplicaSetConfig::implicit_default`]). `wtimeout` plays no part: it
/// ends the waiting, not the replication.
///
/// ```
/// use quorate_core::concern::{MemberProgress, OpTime, ReplicaSetConfig, ReplicaSetMember, evaluate};
/// use quorate_core::WriteConcern;
/// let config = ReplicaSetConfig::new((0..3).map(ReplicaSetMember::new));
/// let write = OpTime::new(1, 100, 1);
/// let progress = [MemberProgress::up(0, write), MemberProgress::up(1, OpTime::new(1, 99, 1)), MemberProgress::down(2)];
/// let answer = evaluate(&config, &WriteConcern::majority(), write, &progress);
/// assert!(!answer.satisfied && answer.possible_now);
/// assert_eq!((answer.waiting_for, answer.unreachable), (vec![1], vec![2]));
/// ```
pub fn evaluate(
    config: &ReplicaSetConfig,
    write_concern: &WriteConcern,
    target: OpTime,
    progress: &[MemberProgress],
) -> Evaluation {
    let implied;
    let w = match &write_concern.w {
        Some(w) => w,
        None => {
            implied = config.implicit_default();
            &implied
        }
    };
    let journaled =
        write_concern.journal.unwrap_or(is_majority(w) && config.write_concern_majority_journal_default);
    let Some(asked) = requirements(config, w) else { return unknown_mode(w, journaled) };

    let members = Standing::of_all(config, target, progress, journaled);
    let mut answer = Evaluation {
        satisfied: true,
        possible_now: true,
        possible_ever: true,
        journaled,
        waiting_for: Vec::new(),
        unreachable: Vec::new(),
        requirements: Vec::new(),
        error: None,
    };
    let mut helpers = BTreeSet::new();
    for (counted, needed) in asked {
        let requirement = count(&members, counted, needed, &mut helpers);
        answer.satisfied &= requirement.have >= needed;
        answer.possible_now &= requirement.possible_now >= needed;
        answer.possible_ever &= requirement.possible_ever >= needed;
        answer.requirements.push(requirement);
    }
    for standing in members.iter().filter(|standing| helpers.contains(&standing.member.id)) {
        let list = if standing.reachable { &mut answer.waiting_for } else { &mut answer.unreachable };
        list.push(standing.member.id);
    }
    answer.error = (!answer.possible_ever).then(|| unsatisfiable(w, &answer.requirements));
    answer
}

fn is_majority(w: &Acknowledgment) -> bool {
    match w {
        Acknowledgment::Majority => true,
        Acknowledgment::Custom(mode) => mode == "majority",
        Acknowledgment::Nodes(_) => false,
    }
}

/// The table at the head of this module; `None` for a mode the configuration does not define.
fn requirements(config: &ReplicaSetConfig, w: &Acknowledgment) -> Option<Vec<(Counted, u32)>> {
    let majority = || [(Counted::DataBearingVoters, config.write_majority())].into();
    Some(match w {
        Acknowledgment::Nodes(0) => Vec::new(),
        Acknowledgment::Nodes(n) => [(Counted::DataBearing, *n)].into(),
        Acknowledgment::Majority => majority(),
        Acknowledgment::Custom(mode) if mode == "majority" => majority(),
        Acknowledgment::Custom(mode) => {
            let tags = config.modes.get(mode)?.iter();
            tags.map(|(tag, needed)| (Counted::TagValues(tag.clone()), *needed)).collect()
        }
    })
}

/// A member with data, and how it stands to the write.
struct Standing<'a> {
    member: &'a ReplicaSetMember,
    reachable: bool,
    has_it: bool,
}

impl<'a> Standing<'a> {
    fn of_all(
        config: &'a ReplicaSetConfig,
        target: OpTime,
        progress: &[MemberProgress],
        journaled: bool,
    ) -> Vec<Self> {
        let with_data = config.members.iter().filter(|member| !member.arbiter);
        let standing = |member: &'a ReplicaSetMember| {
            let told = progress.iter().find(|told| told.id == member.id);
            let optime = told.and_then(|told| if journaled { told.durable } else { told.applied });
            Standing {
                member,
                reachable: told.is_some_and(|told| told.reachable),
                has_it: optime.is_some_and(|optime| optime.covers(target)),
            }
        };
        with_data.map(standing).collect()
    }
}

/// What a member adds to a requirement: a value that counts once, however many members bring it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Value<'a> {
    Member(i32),
    Tag(&'a str),
}

fn value_of<'a>(member: &'a ReplicaSetMember, counted: &Counted) -> Option<Value<'a>> {
    match counted {
        Counted::DataBearing => Some(Value::Member(member.id)),
        Counted::DataBearingVoters => member.votes.then_some(Value::Member(member.id)),
        Counted::TagValues(tag) => member.tags.get(tag).map(|value| Value::Tag(value)),
    }
}

/// Counts one requirement, and adds to `helpers` those who would bring a value still missing while it is short.
fn count(
    members: &[Standing<'_>],
    counted: Counted,
    needed: u32,
    helpers: &mut BTreeSet<i32>,
) -> Requirement {
    let values = |wanted: fn(&Standing<'_>) -> bool| -> BTreeSet<Value<'_>> {
        members.iter().filter(|s| wanted(s)).filter_map(|s| value_of(s.member, &counted)).collect()
    };
    let have = values(|standing| standing.has_it);
    let possible_now = size(&values(|standing| standing.has_it || standing.reachable));
    let possible_ever = size(&values(|_| true));
    if size(&have) < needed {
        let helps = |s: &&Standing<'_>| {
            !s.has_it && value_of(s.member, &counted).is_some_and(|value| !have.contains(&value))
        };
        helpers.extend(members.iter().filter(helps).map(|standing| standing.member.id));
    }
    let have = size(&have);
    Requirement { counted, needed, have, possible_now, possible_ever }
}

fn size(values: &BTreeSet<Value<'_>>) -> u32 {
    u32::try_from(values.len()).unwrap_or(u32::MAX)
}

fn unknown_mode(w: &Acknowledgment, journaled: bool) -> Evaluation {
    Evaluation {
        satisfied: false,
        possible_now: false,
        possible_ever: false,
        journaled,
        waiting_for: Vec::new(),
        unreachable: Vec::new(),
        requirements: Vec::new(),
        error: Some(refusal(
            UNKNOWN_REPL_WRITE_CONCERN,
            "UnknownReplWriteConcern",
            format!("no write concern mode named {:?} in the replica set configuration", w.describe()),
        )),
    }
}

fn unsatisfiable(w: &Acknowledgment, requirements: &[Requirement]) -> WriteConcernError {
    let mut message = format!("write concern w: {} cannot be satisfied by this replica set", w.describe());
    for short in requirements.iter().filter(|requirement| requirement.possible_ever < requirement.needed) {
        let what = match &short.counted {
            Counted::DataBearing => "data-bearing members".to_string(),
            Counted::DataBearingVoters => "voting data-bearing members".to_string(),
            Counted::TagValues(tag) => format!("different values of tag {tag:?}"),
        };
        message
            .push_str(&format!("; it needs {} {what} and there are {}", short.needed, short.possible_ever));
    }
    refusal(UNSATISFIABLE_WRITE_CONCERN, "UnsatisfiableWriteConcern", message)
}

fn refusal(code: i32, code_name: &str, message: String) -> WriteConcernError {
    WriteConcernError { code, code_name: code_name.into(), message, ..WriteConcernError::default() }
}
