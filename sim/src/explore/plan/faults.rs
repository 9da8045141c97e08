//! What goes wrong, when, and for how long.

use super::super::draw::Draw;
use super::{Class, Kind, Shape};
use std::fmt;

/// Something that goes wrong at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    /// Its number, kept when a plan is made smaller.
    pub number: u32,
    /// When, in milliseconds since the tasks began.
    pub at: u64,
    /// What.
    pub fault: Fault,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process is gone, and started again after so many milliseconds.
    Down(Injury, Who, u64),
    /// A process hangs for so many milliseconds.
    Hang(Who, u64),
    /// A machine is cut off from all others.
    Isolate(Who, u64),
    /// A machine is cut off from all clients.
    CutClients(Who, u64),
    /// One machine of clients is cut off, in that direction only.
    CutOneWay {
        /// From whom.
        who: Who,
        /// Which machine of clients.
        machine: usize,
        /// What the client sends gets lost; else what the server sends.
        to_server: bool,
        /// For so many milliseconds.
        ms: u64,
    },
    /// The first so many members and the others do not reach one another.
    Partition(usize, u64),
    /// The connections of a process to clients are reset.
    Reset(Who),
    /// The network forgets the connections of a process to clients.
    Forget(Who),
    /// `replSetStepDown`.
    StepDown,
    /// `replSetStepUp`.
    StepUp(Who),
    /// `replSetFreeze`, for so many seconds.
    Freeze(Who, u64),
    /// `failCommand`.
    FailPoint {
        /// Where.
        who: Who,
        /// Which commands.
        commands: Vec<&'static str>,
        /// What they do.
        does: Strike,
        /// How often.
        times: u64,
    },
    /// The way to a process takes so many milliseconds more.
    Slow(Who, u64, u64),
    /// So many of a million segments to or from a process are lost at first.
    Lossy(Who, u32, u64),
    /// A name cannot be looked up: nobody answers, or there is no such name.
    Dns(Who, bool, u64),
    /// `replSetReconfig`: the priority of a member changes.
    Priority(Who, u8),
}

/// How a process goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injury {
    /// SIGKILL.
    Kill,
    /// Its machine has no power.
    PowerOff,
    /// SIGTERM.
    Terminate,
}

/// What a fail point does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strike {
    /// Fails with that code.
    Code(i32),
    /// Hangs up.
    HangUp,
    /// Waits so many milliseconds.
    Block(u64),
    /// Carries it out and says that it is not replicated, with that code.
    Concern(i32),
}

/// Who it happens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever is primary then.
    Primary,
    /// A process, counted as the deployment does.
    Process(usize),
}

pub(super) fn draw(draw: &mut Draw, class: Class, shape: &Shape) -> (Vec<FaultPlan>, u64) {
    match class {
        Class::Quiet => (Vec::new(), 4_000),
        Class::Failover => {
            let at = draw.between(300, 3_000);
            let fault = lose_primary(draw);
            let number = 1;
            (vec![FaultPlan { number, at, fault }], at + 3 * shape.election_ms + 6_000)
        }
        Class::Chaos => {
            let count = draw.weighted(&[(20, 1), (25, 2), (30, 4), (25, 7)]);
            let mut faults: Vec<_> = (1..=count)
                .map(|number| FaultPlan { number, at: draw.between(50, 7_000), fault: any(draw, shape) })
                .collect();
            faults.sort_by_key(|fault| fault.at);
            (faults, 10_000)
        }
    }
}

/// Ways to lose a primary that leave all else well. What is lost stays lost until all is made well.
fn lose_primary(draw: &mut Draw) -> Fault {
    const FOR_LONG: u64 = 1_000_000;
    draw.weighted(&[
        (20, Fault::Down(Injury::Kill, Who::Primary, FOR_LONG)),
        (10, Fault::Down(Injury::PowerOff, Who::Primary, FOR_LONG)),
        (15, Fault::Down(Injury::Terminate, Who::Primary, FOR_LONG)),
        (25, Fault::Hang(Who::Primary, FOR_LONG)),
        (15, Fault::Isolate(Who::Primary, FOR_LONG)),
        (15, Fault::StepDown),
    ])
}

fn any(draw: &mut Draw, shape: &Shape) -> Fault {
    let processes = match shape.kind {
        Kind::Standalone => 1,
        Kind::ReplicaSet => shape.members.len(),
        Kind::Sharded { shards, routers, balanced } => {
            shape.members.len() * shards + routers + usize::from(balanced)
        }
    };
    let primary = draw.chance(45);
    let process = Who::Process(draw.below(processes as u64) as usize);
    let who = if primary { Who::Primary } else { process };
    let ms = draw.weighted(&[(2, 300), (3, 1_500), (3, 4_000), (1, 15_000)]);
    let ms = draw.between(ms / 4, ms);
    let injury = draw.one_of(&[Injury::Kill, Injury::Kill, Injury::PowerOff, Injury::Terminate]);
    match draw.below(100) {
        0..16 => Fault::Down(injury, who, ms),
        16..27 => Fault::Hang(who, ms),
        27..34 => Fault::Isolate(who, ms),
        34..40 => Fault::CutClients(who, ms),
        40..48 => Fault::CutOneWay { who, machine: draw.below(2) as usize, to_server: draw.chance(50), ms },
        48..52 => Fault::Partition(draw.between(1, shape.members.len().max(2) as u64 - 1) as usize, ms),
        52..58 => Fault::Reset(who),
        58..62 => Fault::Forget(who),
        62..68 => Fault::StepDown,
        68..71 => Fault::StepUp(process),
        71..73 => Fault::Freeze(process, 1 + ms / 1_000),
        73..89 => fail_point(draw, who),
        89..92 => Fault::Slow(who, draw.one_of(&[5, 60, 700]), ms),
        92..95 => Fault::Lossy(who, draw.one_of(&[20_000, 200_000]), ms),
        95..97 => Fault::Dns(process, draw.chance(50), ms),
        _ => Fault::Priority(process, draw.between(0, 3) as u8),
    }
}

fn fail_point(draw: &mut Draw, who: Who) -> Fault {
    const WRITES: [&str; 4] = ["insert", "update", "delete", "findAndModify"];
    const READS: [&str; 6] = ["find", "getMore", "aggregate", "count", "distinct", "listCollections"];
    let code = draw.one_of(&[10107, 13435, 11602, 189, 91, 11600, 6, 7, 89, 9001, 262, 13436, 50, 2]);
    let (commands, does) = match draw.below(10) {
        0..4 => {
            let commands = if draw.chance(50) { WRITES.to_vec() } else { READS.to_vec() };
            (commands, Strike::Code(code))
        }
        4..6 => ([WRITES.as_slice(), &READS].concat(), Strike::HangUp),
        6 => ([WRITES.as_slice(), &READS].concat(), Strike::Block(draw.between(20, 3_000))),
        7..9 => (WRITES.to_vec(), Strike::Concern(draw.one_of(&[91, 189, 64, 11600, 10107, 100]))),
        _ => (vec!["hello", "isMaster"], if draw.chance(50) { Strike::HangUp } else { Strike::Code(code) }),
    };
    Fault::FailPoint { who, commands, does, times: draw.between(1, 4) }
}

impl Fault {
    /// Whether data that only a minority has, or that is in memory only, may be lost by it.
    pub fn may_lose_data(&self) -> bool {
        !matches!(
            self,
            Fault::Reset(_)
                | Fault::Forget(_)
                | Fault::FailPoint { .. }
                | Fault::Dns(..)
                | Fault::CutClients(..)
        )
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} ms: {:?}", self.number, self.at, self.fault)
    }
}
