//! A simulated set in virtual time: the driver under test runs in the same world.

use super::extras::Extras;
use super::{CENTRES, CENTRES_WANTED, Deployment};
use crate::args::Failover;
use crate::failover::host::{Host, Job};
use crate::failover::line::Door;
use quorate::{Runtime, ServerAddress};
use quorate_sim::cluster::Builder;
use quorate_sim::world::ProcessState;
use quorate_sim::{Cluster, SimRuntime};
use std::time::Duration;

/// How long a member may take to end.
pub(super) const END: Duration = Duration::from_secs(60);
/// How often somebody looks whether it has.
pub(super) const LOOK: Duration = Duration::from_millis(5);

/// Three simulated members.
#[derive(Debug)]
pub(in crate::failover) struct Simulated {
    cluster: Cluster,
    extras: Extras,
    /// On a machine that no partition cuts off.
    runtime: SimRuntime,
}

impl Simulated {
    pub(in crate::failover) fn build(args: &Failover) -> Result<Self, String> {
        let extras = Extras::make(args, &["db0", "db1", "db2"])?;
        let cluster = extras.apply(builder(args))?.build();
        let director = cluster.world().add_host("director");
        Ok(Simulated { runtime: cluster.world().runtime(director), cluster, extras })
    }

    /// Runs the world until the future is done.
    pub(in crate::failover) fn run<T>(&self, future: impl Future<Output = T>) -> Result<T, String> {
        let result = self.cluster.try_run(future).map_err(|stuck| stuck.to_string());
        self.cluster.close();
        result
    }
}

/// The set, in whatever time.
pub(super) fn builder(args: &Failover) -> Builder {
    let mut builder = Cluster::replica_set().members(CENTRES.len()).seed(args.seed);
    builder = builder.election_timeout(Duration::from_millis(args.election_timeout_ms.into()));
    for (member, centre) in CENTRES.iter().enumerate() {
        builder = builder.tags(member, &[("dc", centre)]);
    }
    match args.w.custom_mode() {
        Some(mode) => builder.config(|config| {
            config.settings.modes.insert(mode.to_owned(), [("dc".to_owned(), CENTRES_WANTED)].into());
        }),
        None => builder,
    }
}

impl Deployment for Simulated {
    type Runtime = SimRuntime;

    fn runtime(&self) -> &SimRuntime {
        &self.runtime
    }

    fn uri(&self) -> String {
        self.extras.uri(self.cluster.uri())
    }

    fn door(&self) -> &Door {
        &self.extras.door
    }

    fn address(&self, member: usize) -> String {
        self.direct_address(member).to_string()
    }

    fn direct_address(&self, member: usize) -> ServerAddress {
        self.cluster.address(member).clone()
    }

    fn start_writer(&self, job: Job) -> Host {
        Host::task(self.cluster.runtime(0), job)
    }

    async fn kill(&self, member: usize) -> Result<(), String> {
        self.cluster.kill(member);
        Ok(())
    }

    async fn terminate(&self, member: usize) -> Result<(), String> {
        self.cluster.terminate(member);
        let end = self.runtime.now() + END;
        while self.cluster.process(member) != ProcessState::Down {
            if self.runtime.now() > end {
                return Err(format!("it runs after {END:?}"));
            }
            self.runtime.sleep(LOOK).await;
        }
        Ok(())
    }

    async fn start(&self, member: usize) -> Result<(), String> {
        self.cluster.start(member);
        Ok(())
    }

    async fn hang(&self, member: usize) -> Result<(), String> {
        self.cluster.hang(member);
        Ok(())
    }

    async fn resume(&self, member: usize) -> Result<(), String> {
        self.cluster.resume(member);
        Ok(())
    }

    async fn isolate(&self, member: usize) -> Result<(), String> {
        self.cluster.isolate(member);
        Ok(())
    }

    async fn rejoin(&self, _: usize) -> Result<(), String> {
        self.cluster.heal();
        Ok(())
    }
}
