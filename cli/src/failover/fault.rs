//! Breaking the primary, and making it whole again.

use crate::args::Fault;
use bson::doc;
use quorate_harness::ReplicaSet;

/// How long a primary that stepped down stays out of elections, unless healed before. Longer than any round.
const STEP_DOWN_SECS: i64 = 120;

impl Fault {
    /// For the live line.
    pub(super) const fn describe(self) -> &'static str {
        match self {
            Fault::Stepdown => "replSetStepDown",
            Fault::Kill => "SIGKILL",
            Fault::Stop => "SIGSTOP",
            Fault::Restart => "SIGTERM, then started again",
            Fault::Partition => "cut off from everybody, both ways, without a word",
        }
    }

    /// Hits the primary. Returns when it is done, which for an orderly step-down or end takes its time.
    pub(super) fn inject(self, set: &ReplicaSet, primary: usize) -> Result<(), String> {
        match self {
            Fault::Stepdown => {
                // Not by force: then the primary would leave without handing over, and the others would wait for their
                // election timeout.
                let command = doc! {
                    "replSetStepDown": STEP_DOWN_SECS, "secondaryCatchUpPeriodSecs": 10,
                };
                set.command(primary, "admin", command).map(drop).map_err(|e| format!("replSetStepDown: {e}"))
            }
            Fault::Kill => {
                set.kill(primary);
                Ok(())
            }
            Fault::Stop => set.pause(primary),
            Fault::Restart => set.restart(primary),
            Fault::Partition => {
                set.partition(primary);
                Ok(())
            }
        }
    }

    /// Undoes it.
    pub(super) fn heal(self, set: &ReplicaSet, hit: usize) -> Result<(), String> {
        match self {
            Fault::Stepdown => {
                let command = doc! { "replSetFreeze": 0 };
                set.command(hit, "admin", command).map(drop).map_err(|e| format!("replSetFreeze: {e}"))
            }
            Fault::Kill => set.restart(hit),
            Fault::Stop => set.resume(hit),
            Fault::Restart => Ok(()),
            Fault::Partition => {
                set.heal(hit);
                Ok(())
            }
        }
    }
}
