//! Tasks that run transactions. They are drawn from a child of the seed of their own, and come on top of the others.

use super::super::draw::Draw;
use super::{Act, Class, ClientPlan, Fault, FaultPlan, Kind, LISTS, OpPlan, Shape, Strike, TaskPlan, Who};

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnPlan {
    /// What is done in it, one after the other.
    pub steps: Vec<Step>,
    /// The read concern of all of it.
    pub level: TxnLevel,
    /// It is committed with `w: 1`; else by a majority.
    pub one: bool,
    /// How it ends.
    pub ending: Ending,
    /// The future of that step (the one after the last is the end) is dropped after so many microseconds.
    pub drop: Option<(usize, u64)>,
}

impl TxnPlan {
    /// How long it waits between its steps, in microseconds.
    pub(in crate::explore) fn pauses_us(&self) -> u64 {
        let pause = |step: &Step| if let Step::Pause(us) = step { *us } else { 0 };
        self.steps.iter().map(pause).sum()
    }
}

/// What is done in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Appends a token to that list, by `find_one_and_update` if that is said.
    Push(i32, bool),
    /// Reads that list.
    Read(i32),
    /// Reads the documents that never change, so many a batch.
    Scan(u32),
    /// Waits so long, in microseconds.
    Pause(u64),
}

/// The read concern of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxnLevel {
    /// The server's own.
    Unset,
    /// `majority`.
    Majority,
    /// `snapshot`.
    Snapshot,
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is committed, and that once more while nobody knows what came of it, up to so many times; where it succeeded, too, if
    /// that is said.
    Commit {
        /// How many commits there are at most.
        calls: u32,
        /// Also when the first has succeeded.
        confirm: bool,
    },
    /// It is aborted.
    Abort,
    /// Its session is dropped.
    Leave,
    /// All of it is done by `and_run2`.
    Convenient,
}

pub(super) fn draw(
    draw: &mut Draw,
    class: Class,
    shape: &Shape,
    clients: &[ClientPlan],
    tasks: &[TaskPlan],
) -> Vec<TaskPlan> {
    let fit: Vec<usize> = (0..clients.len()).filter(|client| clients[*client].direct.is_none()).collect();
    if !draw.chance(17) || shape.kind == Kind::Standalone || fit.is_empty() {
        return Vec::new();
    }
    let ids = tasks.iter().flat_map(|task| &task.ops).map(|op| op.id);
    let mut next = ids.max().unwrap_or(0);
    let first = tasks.iter().map(|task| task.number).max().unwrap_or(0) + 1;
    let count = draw.between(1, 2) as u32;
    let tasks = (first..first + count).map(|number| {
        let client = draw.one_of(&fit);
        let longest = draw.weighted(&[(20, 2_000), (60, 400_000), (20, 1_200_000)]);
        let ops = (0..draw.between(2, 8)).map(|_| {
            next += 1;
            let act = Act::Transaction(transaction(draw, class, shape, &clients[client]));
            OpPlan { id: next, pause_us: draw.below(longest), act, drop_us: None }
        });
        TaskPlan { number, client, ops: ops.collect() }
    });
    tasks.collect()
}

/// What may go wrong with their ends.
pub(super) fn fault(
    draw: &mut Draw,
    class: Class,
    tasks: &[TaskPlan],
    faults: &[FaultPlan],
) -> Option<FaultPlan> {
    if class != Class::Chaos || tasks.is_empty() || !draw.chance(50) {
        return None;
    }
    let does = match draw.below(10) {
        0..3 => Strike::HangUp,
        3..6 => Strike::Code(draw.one_of(&[10107, 11602, 189, 91, 7, 262, 50, 2])),
        6 => Strike::Block(draw.between(20, 3_000)),
        _ => Strike::Concern(draw.one_of(&[64, 91, 189, 11600, 10107, 100])),
    };
    let commands = draw.one_of(&[vec!["commitTransaction"], vec!["commitTransaction", "abortTransaction"]]);
    let number = faults.iter().map(|fault| fault.number).max().unwrap_or(0) + 1;
    let fault = Fault::FailPoint { who: Who::Primary, commands, does, times: draw.between(1, 4) };
    Some(FaultPlan { number, at: draw.between(50, 4_000), fault })
}

fn transaction(draw: &mut Draw, class: Class, shape: &Shape, client: &ClientPlan) -> TxnPlan {
    let ending = draw.weighted(&[
        (40, Ending::Commit { calls: 3, confirm: false }),
        (10, Ending::Commit { calls: 3, confirm: true }),
        (15, Ending::Abort),
        (10, Ending::Leave),
        (25, Ending::Convenient),
    ]);
    // Whoever writes what a transaction has written waits for its end, which in a failover nobody is to do; nor where the wait takes
    // the connection that the transaction needs, which the server ends after a minute by aborting it.
    let waits = class == Class::Failover || (class == Class::Quiet && client.max_pool.is_some());
    let own = draw.chance(40) || waits;
    let steps: Vec<Step> = (0..draw.between(1, 4)).map(|_| step(draw, own)).collect();
    // What a router does not hear of the end of keeps others waiting for longer than it waits itself.
    let drops = match (class, shape.kind) {
        (Class::Failover, _) | (Class::Quiet, Kind::Sharded { .. }) => 0,
        _ => 12,
    };
    let drop = draw.maybe(drops, |draw| {
        let most = draw.weighted(&[(1, 50), (3, 600), (3, 3_000), (2, 500_000)]);
        (draw.below(steps.len() as u64 + 1) as usize, draw.below(most) + 1)
    });
    let level = draw.weighted(&[(3, TxnLevel::Unset), (1, TxnLevel::Majority), (1, TxnLevel::Snapshot)]);
    // A majority read waits for what the session has written before, which nobody has waited for with `w: 1`.
    let one = draw.chance(20) && class != Class::Failover;
    TxnPlan { steps, level, one, ending, drop }
}

fn step(draw: &mut Draw, own: bool) -> Step {
    let key = draw.below(LISTS as u64) as i32 + if own { LISTS } else { 0 };
    match draw.below(10) {
        0..6 => Step::Push(key, draw.chance(40)),
        6..8 => Step::Read(key),
        8 => Step::Scan(draw.one_of(&[2, 5, 11])),
        _ => Step::Pause(draw.below(300_000)),
    }
}
