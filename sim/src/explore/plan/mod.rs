//! What one seed means: a deployment, clients, tasks and faults, as plain data that can be printed, run and made smaller.

mod clients;
mod faults;
mod shape;
mod tasks;
mod transactions;

pub use clients::{ClientPlan, Monitoring, WriteDefault};
pub use faults::{Fault, FaultPlan, Injury, Strike, Who};
pub use shape::{Kind, LinkPlan, MemberKind, MemberPlan, Shape};
pub use tasks::{Act, Concern, DeleteBy, Level, Mode, OpPlan, PushBy, ReadBy, TaskPlan};
pub(super) use tasks::{FIXED, LISTS, PER_OP};
pub use transactions::{Ending, Step, TxnLevel, TxnPlan};

use super::draw::Draw;
use std::fmt;

/// One run, before it is run.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Where all chance comes from, also in the run.
    pub seed: u64,
    /// What the run is to show.
    pub class: Class,
    /// The deployment.
    pub shape: Shape,
    /// The clients.
    pub clients: Vec<ClientPlan>,
    /// What they do.
    pub tasks: Vec<TaskPlan>,
    /// What goes wrong.
    pub faults: Vec<FaultPlan>,
    /// When all is made well again, in milliseconds since the tasks began.
    pub heal_at: u64,
}

/// What a run is to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing goes wrong, so nothing may fail.
    Quiet,
    /// The primary is lost once, in one way, and the rest is well: what is asked for then must be there at once.
    Failover,
    /// Anything.
    Chaos,
}

impl Plan {
    /// The plan of a seed.
    pub fn new(seed: u64) -> Plan {
        let mut draw = Draw::new(seed, "class");
        let class = draw.weighted(&[(12, Class::Quiet), (28, Class::Failover), (60, Class::Chaos)]);
        let shape = Shape::draw(&mut Draw::new(seed, "shape"), class);
        let clients = clients::draw(&mut Draw::new(seed, "clients"), class, &shape);
        let mut tasks = tasks::draw(&mut Draw::new(seed, "tasks"), class, &shape, &clients);
        let mut draw = Draw::new(seed, "transactions");
        let more = transactions::draw(&mut draw, class, &shape, &clients, &tasks);
        let (mut faults, heal_at) = faults::draw(&mut Draw::new(seed, "faults"), class, &shape);
        faults.extend(transactions::fault(&mut draw, class, &more, &faults));
        faults.sort_by_key(|fault| fault.at);
        tasks.extend(more);
        Plan { seed, class, shape, clients, tasks, faults, heal_at }
    }

    /// Whether there are transactions.
    pub fn has_transactions(&self) -> bool {
        let is_one = |op: &OpPlan| matches!(op.act, Act::Transaction(_));
        self.tasks.iter().flat_map(|task| &task.ops).any(is_one)
    }

    /// How many operations there are.
    pub fn operations(&self) -> usize {
        self.tasks.iter().map(|task| task.ops.len()).sum()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {:?}", self.seed, self.class)?;
        writeln!(f, "deployment: {}", self.shape)?;
        for (number, client) in self.clients.iter().enumerate() {
            writeln!(f, "client {number} on app{}: {}", client.machine, client.options(&self.shape))?;
        }
        for task in &self.tasks {
            writeln!(f, "task {} of client {}:", task.number, task.client)?;
            for op in &task.ops {
                writeln!(f, "  {op}")?;
            }
        }
        for fault in &self.faults {
            writeln!(f, "fault {fault}")?;
        }
        writeln!(f, "all is made well {} ms after the tasks began", self.heal_at)
    }
}
