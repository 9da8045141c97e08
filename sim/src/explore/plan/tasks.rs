//! What tasks do.

use super::super::draw::Draw;
use super::{Class, ClientPlan, Kind, Shape, TxnPlan};
use std::fmt;

/// One task: operations one after the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskPlan {
    /// Its number, kept when a plan is made smaller.
    pub number: u32,
    /// Which client it uses.
    pub client: usize,
    /// What it does.
    pub ops: Vec<OpPlan>,
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpPlan {
    /// Its number among all of the plan; also the token it writes.
    pub id: u32,
    /// Waits so long before, in microseconds.
    pub pause_us: u64,
    /// What it does.
    pub act: Act,
    /// Its future is dropped after so many microseconds.
    pub drop_us: Option<u64>,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Inserts a document of its own.
    Insert(Concern),
    /// Inserts some documents of its own at once.
    InsertMany {
        /// How many.
        count: u32,
        /// `ordered`.
        ordered: bool,
        /// The write concern.
        concern: Concern,
    },
    /// Appends its token to a list (to all lists, where many are updated).
    Push {
        /// The list.
        key: i32,
        /// How.
        by: PushBy,
        /// The write concern.
        concern: Concern,
    },
    /// Deletes the newest document that the task has surely inserted.
    Delete {
        /// How.
        by: DeleteBy,
        /// The write concern.
        concern: Concern,
    },
    /// Reads a list.
    Read {
        /// The list.
        key: i32,
        /// Where.
        mode: Mode,
        /// The read concern.
        level: Level,
    },
    /// Reads the documents that never change, batch by batch.
    Scan {
        /// How.
        by: ReadBy,
        /// Where.
        mode: Mode,
        /// Documents a batch.
        batch: u32,
        /// Drops the cursor after so many documents.
        stop_after: Option<u32>,
        /// Waits so long between two documents, in microseconds.
        pause_us: u64,
    },
    /// Counts the documents that never change.
    Count {
        /// How.
        by: ReadBy,
        /// Where.
        mode: Mode,
    },
    /// Reads one of the documents that never change.
    FindOne {
        /// Its `_id`.
        id: i32,
        /// Where.
        mode: Mode,
    },
    /// `ping`, on the primary.
    Ping,
    /// Lists the collections.
    ListCollections,
    /// Runs a transaction.
    Transaction(TxnPlan),
}

/// How a list is appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushBy {
    /// `update_one`.
    Update,
    /// `find_one_and_update`.
    FindAndModify,
    /// `update_many`.
    UpdateMany,
}

/// How a document is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeleteBy {
    /// `delete_one`.
    DeleteOne,
    /// `find_one_and_delete`.
    FindAndModify,
    /// `delete_many`.
    DeleteMany,
}

/// How documents are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBy {
    /// `find`; `count_documents`.
    Find,
    /// `aggregate`; `estimated_document_count`.
    Aggregate,
    /// `find`; `distinct`.
    Distinct,
}

/// A write concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// The client's.
    Inherited,
    /// `w: "majority"`.
    Majority,
    /// `w: 1`.
    One,
    /// `w: 0`.
    None,
    /// More members than may be there, with a `wtimeout` in milliseconds.
    Nodes(u32, u64),
}

/// A read preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `primary`.
    Primary,
    /// `primaryPreferred`.
    PrimaryPreferred,
    /// `secondary`.
    Secondary,
    /// `secondaryPreferred`.
    SecondaryPreferred,
    /// `nearest`.
    Nearest,
    /// `nearest`, of those with the tag `dc: east`, else of all.
    East,
}

/// A read concern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// What the member has.
    Local,
    /// What a majority has.
    Majority,
    /// What a majority has now.
    Linearizable,
}

/// How many lists there are; as many more are used by transactions only.
pub(crate) const LISTS: i32 = 4;
/// How many documents never change.
pub(crate) const FIXED: i32 = 24;
/// Tokens are numbers of operations; an operation that inserts several documents numbers those by this many.
pub(crate) const PER_OP: i64 = 16;

pub(super) fn draw(draw: &mut Draw, class: Class, shape: &Shape, clients: &[ClientPlan]) -> Vec<TaskPlan> {
    let count = draw.weighted(&[(10, 1), (30, 2), (30, 3), (20, 5), (10, 8)]);
    let mut next = 1;
    let tasks = (1..=count).map(|number| {
        let client = draw.below(clients.len() as u64) as usize;
        let ops = draw.between(4, 18);
        let longest = draw.weighted(&[(10, 2_000), (50, 400_000), (40, 1_200_000)]);
        let ops = (0..ops)
            .map(|_| {
                next += 1;
                op(draw, class, shape, next, longest)
            })
            .collect();
        TaskPlan { number, client, ops }
    });
    tasks.collect()
}

fn op(draw: &mut Draw, class: Class, shape: &Shape, id: u32, longest: u64) -> OpPlan {
    let act = act(draw, class, shape);
    let drops = if class == Class::Failover { 0 } else { 7 };
    let drop_us = draw.maybe(drops, |draw| draw.weighted(&[(1, 50), (3, 600), (3, 3_000), (2, 500_000)]));
    let drop_us = drop_us.map(|most| draw.below(most) + 1);
    OpPlan { id, pause_us: draw.below(longest), act, drop_us }
}

fn act(draw: &mut Draw, class: Class, shape: &Shape) -> Act {
    let key = draw.below(LISTS as u64) as i32;
    match draw.below(100) {
        0..18 => Act::Insert(concern(draw, class, shape)),
        18..24 => Act::InsertMany {
            count: draw.between(2, 6) as u32,
            ordered: draw.chance(50),
            concern: concern(draw, class, shape),
        },
        24..48 => {
            let by =
                draw.weighted(&[(6, PushBy::Update), (4, PushBy::FindAndModify), (1, PushBy::UpdateMany)]);
            Act::Push { key, by, concern: concern(draw, class, shape) }
        }
        48..56 => {
            let by = draw.weighted(&[
                (5, DeleteBy::DeleteOne),
                (3, DeleteBy::FindAndModify),
                (1, DeleteBy::DeleteMany),
            ]);
            Act::Delete { by, concern: concern(draw, class, shape) }
        }
        56..68 => read(draw, shape, key),
        68..82 => Act::Scan {
            by: draw.weighted(&[(7, ReadBy::Find), (3, ReadBy::Aggregate)]),
            mode: mode(draw, shape),
            batch: draw.one_of(&[2, 5, 11]),
            stop_after: draw.maybe(25, |draw| draw.between(1, 20) as u32),
            pause_us: draw.weighted(&[(6, 0), (2, 2_000), (1, 80_000)]),
        },
        82..86 => Act::Count {
            by: draw.one_of(&[ReadBy::Find, ReadBy::Aggregate, ReadBy::Distinct]),
            mode: mode(draw, shape),
        },
        86..94 => Act::FindOne { id: draw.below(FIXED as u64) as i32, mode: mode(draw, shape) },
        94..98 => Act::Ping,
        _ => Act::ListCollections,
    }
}

fn read(draw: &mut Draw, shape: &Shape, key: i32) -> Act {
    let mut mode = mode(draw, shape);
    let mut level = draw.weighted(&[(5, Level::Local), (4, Level::Majority), (2, Level::Linearizable)]);
    if level == Level::Linearizable {
        mode = Mode::Primary;
    }
    if shape.kind != Kind::ReplicaSet {
        level = Level::Local;
    }
    Act::Read { key, mode, level }
}

fn mode(draw: &mut Draw, shape: &Shape) -> Mode {
    let mode = draw.weighted(&[
        (8, Mode::Primary),
        (2, Mode::PrimaryPreferred),
        (3, Mode::Secondary),
        (3, Mode::SecondaryPreferred),
        (3, Mode::Nearest),
        (1, Mode::East),
    ]);
    if mode == Mode::Secondary && shape.secondaries() == 0 { Mode::SecondaryPreferred } else { mode }
}

fn concern(draw: &mut Draw, class: Class, shape: &Shape) -> Concern {
    // A server alone refuses to wait for others.
    let nodes = if class == Class::Failover || !shape.has_majorities() { 0 } else { 2 };
    draw.weighted(&[
        (8, Concern::Inherited),
        (6, Concern::Majority),
        (3, Concern::One),
        (1, Concern::None),
        (nodes, Concern::Nodes(draw_nodes(class), 60)),
    ])
}

/// As many as only a large set has: what is there is written, and said to be so by an error.
fn draw_nodes(class: Class) -> u32 {
    if class == Class::Quiet { 2 } else { 3 }
}

impl Act {
    /// The write concern, where it writes.
    pub fn concern(&self) -> Option<Concern> {
        match self {
            Act::Insert(concern)
            | Act::InsertMany { concern, .. }
            | Act::Push { concern, .. }
            | Act::Delete { concern, .. } => Some(*concern),
            _ => None,
        }
    }

    /// Where it reads, where it says so.
    pub fn mode(&self) -> Option<Mode> {
        match self {
            Act::Read { mode, .. }
            | Act::Scan { mode, .. }
            | Act::Count { mode, .. }
            | Act::FindOne { mode, .. } => Some(*mode),
            _ => None,
        }
    }
}

impl fmt::Display for OpPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} after {} us: {:?}", self.id, self.pause_us, self.act)?;
        match self.drop_us {
            Some(after) => write!(f, ", dropped after {after} us"),
            None => Ok(()),
        }
    }
}
