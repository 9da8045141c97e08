//! Breaking the primary, and making it whole again.

use super::deployment::Deployment;
use super::operator::Operator;
use crate::args::Fault;
use bson::doc;

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
    pub(super) async fn inject<D: Deployment>(
        self,
        operator: &Operator<'_, D>,
        primary: usize,
    ) -> Result<(), String> {
        let deployment = operator.deployment;
        match self {
            Fault::Stepdown => {
                // Not by force: then the primary would leave without handing over, and the others would wait for their
                // election timeout.
                let command = doc! {
                    "replSetStepDown": STEP_DOWN_SECS, "secondaryCatchUpPeriodSecs": 10,
                };
                let done = operator.command(primary, "admin", command).await;
                done.map(drop).map_err(|e| format!("replSetStepDown: {e}"))
            }
            Fault::Kill => deployment.kill(primary).await,
            Fault::Stop => deployment.hang(primary).await,
            Fault::Restart => {
                deployment.terminate(primary).await?;
                deployment.start(primary).await
            }
            Fault::Partition => deployment.isolate(primary).await,
        }
    }

    /// Undoes it.
    pub(super) async fn heal<D: Deployment>(
        self,
        operator: &Operator<'_, D>,
        hit: usize,
    ) -> Result<(), String> {
        let deployment = operator.deployment;
        match self {
            Fault::Stepdown => {
                let done = operator.command(hit, "admin", doc! { "replSetFreeze": 0 }).await;
                done.map(drop).map_err(|e| format!("replSetFreeze: {e}"))
            }
            Fault::Kill => deployment.start(hit).await,
            Fault::Stop => deployment.resume(hit).await,
            Fault::Restart => Ok(()),
            Fault::Partition => deployment.rejoin(hit).await,
        }
    }
}
