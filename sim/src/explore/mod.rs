//! The search for bugs: a seed makes a deployment, clients, tasks and faults; the whole client runs through it in virtual time, and
//! everything that must always be true is checked.
//!
//! ```
//! use quorate_sim::explore::{Plan, RunOptions, run};
//! let report = run(&Plan::new(1), &RunOptions::default());
//! assert_eq!(report.violations, []);
//! ```
//!
//! | file | its one idea |
//! |---|---|
//! | `plan` | what a seed means, as plain data |
//! | `run` | a plan, run |
//! | `harm` | its faults, done and undone |
//! | `work` | its tasks |
//! | `watch` | what is seen meanwhile, and what must not be seen |
//! | `history` | whether one history of the data explains what everybody saw |
//! | `settle` | what the deployment has come to in the end |
//! | `rule` | what must always be true |
//! | `search` | seed after seed, on several threads |
//! | `shrink` | the same failure from less |
//! | `report` | what people are shown |

mod draw;
mod harm;
mod history;
pub mod plan;
mod report;
mod rule;
mod run;
mod search;
mod settle;
mod shrink;
mod watch;
mod work;

pub use plan::Plan;
pub use rule::{Rule, Violation};
pub use run::{Report, RunOptions, run};
pub use search::{Search, Summary, search};
pub use shrink::shrink;
