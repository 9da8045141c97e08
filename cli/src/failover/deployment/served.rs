//! A simulated set on loopback sockets, in real time.

use super::extras::Extras;
use super::simulated::{END, LOOK, builder};
use super::{Deployment, MEMBERS};
use crate::args::Failover;
use crate::failover::host::{Host, Job};
use crate::failover::line::Door;
use crate::failover::live::Live;
use quorate::{Runtime, ServerAddress};
use quorate_sim::cluster::ServedCluster;
use quorate_sim::world::ProcessState;
use quorate_smol::Smol;

/// Three simulated members that listen.
#[derive(Debug)]
pub(in crate::failover) struct Served {
    cluster: ServedCluster,
    extras: Extras,
}

impl Served {
    pub(in crate::failover) fn start(args: &Failover, live: &Live) -> Result<Self, String> {
        live.line(&format!("starting {MEMBERS} simulated members, seed {}", args.seed));
        let extras = Extras::make(args, &[])?;
        let cluster = extras.apply(builder(args))?.serve();
        let cluster = cluster.map_err(|e| format!("cannot listen on loopback: {e}"))?;
        Ok(Served { cluster, extras })
    }
}

impl Deployment for Served {
    type Runtime = Smol;

    fn runtime(&self) -> &Smol {
        &Smol
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
        self.cluster.addresses()[member].clone()
    }

    fn start_writer(&self, job: Job) -> Host {
        Host::thread(job)
    }

    async fn kill(&self, member: usize) -> Result<(), String> {
        self.cluster.kill(member);
        Ok(())
    }

    async fn terminate(&self, member: usize) -> Result<(), String> {
        self.cluster.terminate(member);
        let end = Smol.now() + END;
        while self.cluster.process(member) != ProcessState::Down {
            if Smol.now() > end {
                return Err(format!("it runs after {END:?}"));
            }
            Smol.sleep_until(Smol.now() + LOOK).await;
        }
        Ok(())
    }

    async fn start(&self, member: usize) -> Result<(), String> {
        self.cluster.restart(member).map_err(|e| format!("starting a member again: {e}"))
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
