//! What can be done to a deployment: now, or by [`Cluster::after`] at a moment to come.
//!
//! Members are counted from 0, in the order of the builder. What makes no sense (killing a member that is down) does nothing.

use super::{Cluster, Inner};
use crate::world::{Answer, HostId, Link};
use bson::doc;
use quorate_core::Duration;
use std::sync::{Arc, Weak};

/// Processes.
impl Cluster {
    /// Ends a member at once, as SIGKILL does: what it had not journaled is lost, its connections are reset.
    pub fn kill(&self, member: usize) {
        self.0.world.kill(self.0.places[member].node);
    }

    /// Asks a member to end, as SIGTERM does: it steps down first, and goes on answering reads for a while.
    pub fn terminate(&self, member: usize) {
        self.0.world.terminate(self.0.places[member].node);
    }

    /// Starts a member that is down.
    pub fn start(&self, member: usize) {
        self.0.world.start(self.0.places[member].node);
    }

    /// Stops a member as it is, as SIGSTOP does: it accepts connections and bytes, and answers nothing.
    pub fn hang(&self, member: usize) {
        self.0.world.hang(self.0.places[member].node);
    }

    /// Lets a hung member go on, as SIGCONT does.
    pub fn resume(&self, member: usize) {
        self.0.world.resume(self.0.places[member].node);
    }

    /// Takes a member's machine its power: nobody is told, nothing is answered, until [`Cluster::start`].
    pub fn power_off(&self, member: usize) {
        self.0.world.power_off(self.0.places[member].node);
    }
}

/// Roles.
impl Cluster {
    /// Makes the primary step down (`replSetStepDown`, by force, for a minute), as an operator does before maintenance. The
    /// order reaches the member a moment later.
    pub fn step_down(&self, member: usize) {
        self.order(member, doc! { "replSetStepDown": 60, "secondaryCatchUpPeriodSecs": 10, "force": true });
    }

    /// Makes a member stand for election (`replSetStepUp`).
    pub fn step_up(&self, member: usize) {
        self.order(member, doc! { "replSetStepUp": 1 });
    }

    /// Keeps a member from standing for election for so long (`replSetFreeze`); zero ends that.
    pub fn freeze(&self, member: usize, span: Duration) {
        let secs = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
        self.order(member, doc! { "replSetFreeze": secs });
    }
}

/// The network.
impl Cluster {
    /// The machine of a member.
    pub fn host(&self, member: usize) -> HostId {
        self.0.places[member].host
    }

    /// A machine of applications.
    pub fn client_host(&self, machine: usize) -> HostId {
        self.0.clients[machine]
    }

    /// Cuts two groups of members off from one another, both ways. Clients reach all of them.
    pub fn partition(&self, one: &[usize], other: &[usize]) {
        let hosts = |members: &[usize]| members.iter().map(|member| self.host(*member)).collect::<Vec<_>>();
        self.0.world.partition(&hosts(one), &hosts(other));
    }

    /// Cuts a member off from everybody, both ways.
    pub fn isolate(&self, member: usize) {
        let host = self.host(member);
        let others: Vec<_> = self.all_hosts().filter(|other| *other != host).collect();
        self.0.world.partition(&[host], &others);
    }

    /// Cuts a member off from every application, both ways; the other members reach it.
    pub fn cut_off_clients(&self, member: usize) {
        self.0.world.partition(&[self.host(member)], &self.0.clients);
    }

    /// Lets nothing through from one machine to another, in that direction only.
    pub fn cut(&self, from: HostId, to: HostId) {
        self.0.world.cut(from, to);
    }

    /// Ends every partition.
    pub fn heal(&self) {
        self.0.world.heal();
    }

    /// Resets every connection between a member and the applications.
    pub fn reset_connections(&self, member: usize) {
        for client in &self.0.clients {
            self.0.world.reset_connections(*client, self.host(member));
        }
    }

    /// Makes the network forget every connection between a member and the applications: both ends keep theirs, and nothing
    /// arrives any more.
    pub fn forget_connections(&self, member: usize) {
        for client in &self.0.clients {
            self.0.world.forget_connections(*client, self.host(member));
        }
    }

    /// Says what the network is like between all machines from now on.
    pub fn set_links(&self, link: &Link) {
        let hosts: Vec<_> = self.all_hosts().collect();
        for from in &hosts {
            for to in &hosts {
                self.0.world.set_link(*from, *to, link.clone());
            }
        }
    }

    /// Says what the network is like between two machines, both ways.
    pub fn set_link(&self, a: HostId, b: HostId, link: &Link) {
        self.0.world.set_link(a, b, link.clone());
        self.0.world.set_link(b, a, link.clone());
    }

    /// What name look-up answers for a host name from now on.
    pub fn set_dns(&self, name: &str, answer: impl Into<Answer>) {
        self.0.world.set_dns(name, answer);
    }

    fn all_hosts(&self) -> impl Iterator<Item = HostId> {
        let members = self.0.places.iter().map(|place| place.host);
        members.chain(self.0.clients.iter().copied())
    }
}

/// Later.
impl Cluster {
    /// Does something to the deployment after so long.
    ///
    /// ```
    /// # use quorate_sim::Cluster;
    /// # use std::time::Duration;
    /// # let cluster = Cluster::replica_set().build();
    /// cluster.after(Duration::from_secs(30), |cluster| cluster.hang(0));
    /// cluster.after(Duration::from_secs(50), |cluster| cluster.resume(0));
    /// ```
    pub fn after(&self, span: Duration, act: impl FnOnce(&Cluster) + Send + 'static) {
        // The world keeps what is to be done, so that must not keep the world.
        let cluster: Weak<Inner> = Arc::downgrade(&self.0);
        self.0.world.at(self.now() + span, move |_| {
            if let Some(inner) = cluster.upgrade() {
                act(&Cluster(inner));
            }
        });
    }
}
