//! The machine that owns what is known of the deployment.
//!
//! Inputs are outcomes of checks and errors of operations; outputs are their consequences in the order in which they
//! must be acted upon. The description is replaced before any output of the same input can be taken, and a pool is
//! cleared only after its server is Unknown ("Why synchronize clearing a server's pool with updating the topology?").
//!
//! The loop of a host:
//! 1. give an input;
//! 2. take outputs until `None`, acting on each;
//! 3. compare [`Topology::revision`] with the one your derived data was made of, and make it anew if it moved on.
//!
//! It has no deadlines of its own: when to check whom is up to the monitors.
//!
//! **Generations.** This machine owns the numbers: each pool starts at 0 when its server is added, and every
//! [`TopologyOutput::ClearPool`] means "one more". A pool that counts its own clears arrives at the same number.

mod members;

use super::transition::{Transition, updated_from_srv, updated_topology};
use super::{
    AppError, RemovalReason, ServerDescription, ServerType, TopologyDescription, TopologyOptions,
    TopologyType, Unverified, decide,
};
use crate::error::Error;
use crate::event::sdam::{
    SdamEvent, ServerClosedEvent, ServerDescriptionChangedEvent, ServerOpeningEvent,
    TlsVerificationDisabledEvent, TopologyClosedEvent, TopologyDescriptionChangedEvent, TopologyOpeningEvent,
};
use crate::hello_reply::HelloReply;
use crate::shared::Arc;
use crate::{Duration, Instant, ServerAddress};
use alloc::collections::VecDeque;
use members::Members;

/// What is known of the deployment, kept up to date. See the module's documentation for the loop.
///
/// Inputs about servers that are not in the topology (any more), inputs behind a load balancer that only a monitor could
/// give, and inputs after [`Topology::handle_close`] are ignored: they are what is left over from a moment ago.
#[derive(Debug)]
pub struct Topology {
    id: u64,
    options: TopologyOptions,
    description: Arc<TopologyDescription>,
    revision: u64,
    members: Members,
    outputs: VecDeque<TopologyOutput>,
    closed: bool,
}

/// A consequence to act upon, in order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum TopologyOutput {
    /// Something applications may watch.
    Event(SdamEvent),
    /// Begin monitoring that server (never behind a load balancer) and make a paused pool for it.
    ServerAdded(ServerAddress),
    /// Stop monitoring that server and close its pool. Its operations in flight are the host's to deal with; the
    /// reason is among [`Topology::removals`].
    ServerRemoved(ServerAddress),
    /// The pool may make connections: a check succeeded, or the server is a load balancer. Given once, and again after a
    /// clear.
    PoolReady(ServerAddress),
    /// Clear the server's pool.
    ClearPool {
        /// The server.
        address: ServerAddress,
        /// Clear only the connections to that service behind the load balancer.
        service_id: Option<[u8; 12]>,
        /// Interrupt connections in use as well: the server hangs.
        interrupt_in_use: bool,
        /// Why; operations waiting for the pool are told.
        cause: Error,
    },
    /// The monitor should check at once ("Requesting an immediate check").
    RequestCheck(ServerAddress),
    /// The monitor should give up the check under way ("hello or legacy hello Cancellation").
    CancelCheck(ServerAddress),
    /// This member was the primary until a newer one was discovered: if it does not answer soon, nothing that is in
    /// flight on it will be of use. A `RequestCheck` follows.
    StalePrimary(ServerAddress),
    /// The description was replaced by one that is not equal: whoever waits for a server should look again.
    Changed,
}

impl Topology {
    /// The topology at its beginning. Its first outputs are waiting: the opening events, and a
    /// [`TopologyOutput::ServerAdded`] for each seed.
    ///
    /// `id` goes into the events; the host sees to it that no two topologies share it. The options are taken as they are
    /// ([`TopologyOptions::validate`] tells whether they make sense).
    pub fn new(id: u64, options: TopologyOptions) -> Self {
        let mut topology = Topology {
            id,
            description: Arc::new(TopologyDescription::empty(options.heartbeat_frequency)),
            revision: 0,
            members: Members::default(),
            outputs: VecDeque::new(),
            closed: false,
            options,
        };
        topology.event(TopologyOpeningEvent { topology_id: id });
        if let Some(Unverified { any_certificate, any_hostname }) = topology.options.unverified {
            topology.event(TlsVerificationDisabledEvent { topology_id: id, any_certificate, any_hostname });
        }
        let initial = Arc::new(TopologyDescription::new(&topology.options));
        let seeds = initial.servers.keys().cloned().collect();
        topology.publish(Transition::opening(initial, seeds));
        if topology.options.load_balanced {
            topology.open_load_balancer();
        }
        topology
    }

    /// Load balancer specification, "Monitoring": the server is what the user says it is, without any check.
    fn open_load_balancer(&mut self) {
        let Some(address) = self.description.servers.keys().next().cloned() else { return };
        let mut balancer = ServerDescription::unknown(address.clone());
        balancer.server_type = ServerType::LoadBalancer;
        self.apply(balancer);
    }

    /// The current description.
    pub const fn description(&self) -> &Arc<TopologyDescription> {
        &self.description
    }

    /// Moves on with every replacement of the description, those that publish nothing (round trips, last writes, times)
    /// included. Data derived from the description is good as long as this number stays.
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// The number given at construction.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The current generation of a server's pool, or of the part of it that belongs to a service behind a load
    /// balancer. 0 for a server that is not in the topology.
    pub fn generation(&self, address: &ServerAddress, service_id: Option<[u8; 12]>) -> u32 {
        self.members.generation(address, service_id)
    }

    /// The last few servers taken out of the topology and why, the latest last: what explains a topology without a
    /// usable server to people.
    pub fn removals(&self) -> impl Iterator<Item = &(ServerAddress, RemovalReason)> {
        self.members.removals()
    }

    /// Whether [`Topology::poll_output`] has something.
    pub fn has_output(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// The next consequence.
    pub fn poll_output(&mut self) -> Option<TopologyOutput> {
        self.outputs.pop_front()
    }

    /// A check was answered. `average` is the moving average of the round trip, `shortest` its recent minimum.
    ///
    /// A reply that says what is known already costs a comparison and publishes nothing; only times and round trips
    /// are taken over, and the answer is the description with them, for whoever keeps a copy ([`Snapshot::update_server`]).
    /// Everything else comes by outputs. A reply with `ok: 0` is a failed check.
    ///
    /// [`Snapshot::update_server`]: crate::selection::Snapshot::update_server
    pub fn handle_hello(
        &mut self,
        now: Instant,
        address: &ServerAddress,
        hello: &HelloReply,
        average: Option<Duration>,
        shortest: Option<Duration>,
    ) -> Option<Arc<ServerDescription>> {
        if let Some(error) = hello.error() {
            self.handle_check_failed(now, address, error);
            return None;
        }
        let unchanged = self.handle_unchanged_hello(now, address, hello, average, shortest);
        if unchanged.is_none() && self.is_monitored(address) {
            self.apply(ServerDescription::from_hello(address.clone(), hello, average, shortest, now));
        }
        unchanged
    }

    /// The common case of [`Topology::handle_hello`]. Besides the server's word being the same, the table must have left
    /// the topology as it is when the word was last applied, and the topology must still be that one: a host list that was
    /// acted upon before a member was removed, or while there was a primary, has to be acted upon again.
    fn handle_unchanged_hello(
        &mut self,
        now: Instant,
        address: &ServerAddress,
        hello: &HelloReply,
        average: Option<Duration>,
        shortest: Option<Duration>,
    ) -> Option<Arc<ServerDescription>> {
        let pool_ready = self.members.settled(address)?;
        let held = Arc::make_mut(&mut self.description).servers.get_mut(address)?;
        if !held.says_the_same_as(hello) {
            return None;
        }
        Arc::make_mut(held).refresh(hello, average, shortest, now);
        let refreshed = Arc::clone(held);
        self.revision = self.revision.wrapping_add(1);
        if !pool_ready {
            self.make_pool_ready(address);
        }
        Some(refreshed)
    }

    /// A check failed: connecting, sending, waiting or reading, or the server answered with an error ("Network or
    /// command error during server check").
    pub fn handle_check_failed(&mut self, now: Instant, address: &ServerAddress, error: Error) {
        if !self.is_monitored(address) {
            return;
        }
        let interrupt_in_use = error.is_network_timeout();
        let mut unknown = ServerDescription::from_error(address.clone(), error.clone(), None);
        unknown.last_update = Some(now);
        self.apply(unknown);
        self.clear_pool(address, None, interrupt_in_use, error);
    }

    /// An operation, or making a connection for one, failed. [`decide`] tells what follows.
    pub fn handle_app_error(&mut self, now: Instant, address: &ServerAddress, error: &AppError) {
        let Some(server) = self.description.server(address) else { return };
        let balanced = server.server_type == ServerType::LoadBalancer;
        let service_id = error.service_id.filter(|_| balanced);
        let effect = decide(error, server, self.generation(address, service_id));
        if mistaken!(self.options, StateChangeIgnored) && effect.request_check {
            return;
        }
        if effect.mark_unknown {
            let mut unknown =
                ServerDescription::from_error(address.clone(), error.error.clone(), effect.topology_version);
            unknown.last_update = Some(now);
            self.apply(unknown);
        }
        if effect.clear_pool && !mistaken!(self.options, PoolNotCleared) {
            self.clear_pool(address, service_id, false, error.error.clone());
        }
        if effect.cancel_check {
            self.outputs.push_back(TopologyOutput::CancelCheck(address.clone()));
        }
        if effect.request_check {
            self.outputs.push_back(TopologyOutput::RequestCheck(address.clone()));
        }
    }

    /// A primary that a newer one has replaced ([`TopologyOutput::StalePrimary`]) does not answer any more: what is in
    /// flight on it waits in vain. Its description is Unknown already; its pool is cleared, connections in use included.
    pub fn handle_hung(&mut self, _now: Instant, address: &ServerAddress, cause: Error) {
        self.clear_pool(address, None, true, cause);
    }

    /// The round trip was measured anew, between checks. Ignored while the server is Unknown ("roundTripTime"). The answer
    /// is the description with it, as for [`Topology::handle_hello`].
    pub fn handle_rtt(
        &mut self,
        _now: Instant,
        address: &ServerAddress,
        average: Option<Duration>,
        shortest: Option<Duration>,
    ) -> Option<Arc<ServerDescription>> {
        let known = self.description.server(address).is_some_and(|server| server.server_type.is_available());
        if !known || !self.is_monitored(address) {
            return None;
        }
        let held = Arc::make_mut(&mut self.description).servers.get_mut(address)?;
        let server = Arc::make_mut(held);
        (server.round_trip_time, server.min_round_trip_time) = (average, shortest);
        self.revision = self.revision.wrapping_add(1);
        Some(Arc::clone(held))
    }

    /// The SRV record was looked up again ("Polling SRV Records for mongos Discovery"). See [`updated_from_srv`].
    pub fn handle_srv_hosts(&mut self, _now: Instant, hosts: &[ServerAddress]) {
        if !self.closed {
            let transition = updated_from_srv(&self.description, hosts);
            self.publish(transition);
        }
    }

    /// The client is closing ("Client closing"). Its last outputs are waiting afterwards, and nothing comes after them.
    pub fn handle_close(&mut self, _now: Instant) {
        if self.closed {
            return;
        }
        let removed =
            self.description.servers.keys().map(|address| (address.clone(), RemovalReason::Closed)).collect();
        let empty = Arc::new(TopologyDescription::empty(self.options.heartbeat_frequency));
        self.publish(Transition::closing(empty, removed));
        self.event(TopologyClosedEvent { topology_id: self.id });
        self.closed = true;
    }

    fn is_monitored(&self, address: &ServerAddress) -> bool {
        !self.closed
            && self.description.topology_type != TopologyType::LoadBalanced
            && self.description.servers.contains_key(address)
    }

    /// Runs a new server description through the table and gives the consequences.
    fn apply(&mut self, server: ServerDescription) {
        let address = server.address.clone();
        let transition = updated_topology(&self.description, server, &self.options);
        if Arc::ptr_eq(&transition.topology, &self.description) {
            return; // Old news.
        }
        let stale_primaries = transition.stale_primaries.clone();
        if !self.publish(transition) {
            self.members.settle(&address);
        }
        for old in stale_primaries {
            self.outputs.push_back(TopologyOutput::StalePrimary(old.clone()));
            self.outputs.push_back(TopologyOutput::RequestCheck(old));
        }
        self.make_pool_ready(&address);
    }

    /// Replaces the description and publishes the difference; says whether there was one.
    ///
    /// The order of the events is that of the SDAM monitoring tests: servers changed, servers closed, topology
    /// changed, servers opened.
    fn publish(&mut self, transition: Transition) -> bool {
        let Transition { topology, added, removed, changed, .. } = transition;
        if Arc::ptr_eq(&topology, &self.description) {
            return false;
        }
        let old = core::mem::replace(&mut self.description, Arc::clone(&topology));
        self.revision = self.revision.wrapping_add(1);
        let topology_id = self.id;
        for address in changed {
            if let (Some(before), Some(after)) = (old.server(&address), topology.server(&address)) {
                let (previous_description, new_description) = (Arc::clone(before), Arc::clone(after));
                self.event(ServerDescriptionChangedEvent {
                    address,
                    topology_id,
                    previous_description,
                    new_description,
                });
            }
        }
        for (address, reason) in removed {
            self.event(ServerClosedEvent { address: address.clone(), topology_id });
            self.members.remove(&address, reason);
            self.outputs.push_back(TopologyOutput::ServerRemoved(address));
        }
        let differs = !topology.is_equal_to(&old);
        if differs {
            self.members.unsettle();
            self.event(TopologyDescriptionChangedEvent {
                topology_id,
                previous_description: old,
                new_description: topology,
            });
        }
        for address in added {
            self.members.add(&address);
            self.event(ServerOpeningEvent { address: address.clone(), topology_id });
            self.outputs.push_back(TopologyOutput::ServerAdded(address));
        }
        if differs {
            self.outputs.push_back(TopologyOutput::Changed);
        }
        differs
    }

    /// "Connection Pool Management": after a successful check of a data-bearing server, or of the one server that is
    /// connected to directly, whatever it is.
    fn make_pool_ready(&mut self, address: &ServerAddress) {
        let Some(server) = self.description.server(address) else { return };
        let single = self.description.topology_type == TopologyType::Single;
        let usable = server.server_type.is_data_bearing() || (single && server.server_type.is_available());
        if usable && self.members.set_pool_ready(address) {
            self.outputs.push_back(TopologyOutput::PoolReady(address.clone()));
        }
    }

    fn clear_pool(
        &mut self,
        address: &ServerAddress,
        service_id: Option<[u8; 12]>,
        interrupt_in_use: bool,
        cause: Error,
    ) {
        // The error may have led to the server's removal, and its pool is closed then.
        if self.members.clear_pool(address, service_id) {
            let address = address.clone();
            self.outputs.push_back(TopologyOutput::ClearPool {
                address,
                service_id,
                interrupt_in_use,
                cause,
            });
        }
    }

    fn event(&mut self, event: impl Into<SdamEvent>) {
        self.outputs.push_back(TopologyOutput::Event(event.into()));
    }
}

#[cfg(test)]
mod tests;
