//! One server of the topology: its monitor, its pool, and who uses it.

use super::{DriverOptions, ServerId};
use crate::HelloReply;
use crate::monitor::{Monitor, RttAverage, RttMonitor};
use crate::pool::{Pool, PoolConnId, PoolOutput};
use crate::sdam::{ServerDescription, TopologyDescription};
use crate::shared::Arc;
use crate::time::earliest;
use crate::{Instant, ServerAddress};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct Server {
    pub(super) id: ServerId,
    pub(super) address: ServerAddress,
    pub(super) description: Arc<ServerDescription>,
    /// The last description with which the server was there: what it can do, while nobody knows whether it still is.
    able: Arc<ServerDescription>,
    pub(super) pool: Pool,
    /// `None` behind a load balancer, where nothing is monitored.
    pub(super) watch: Option<Watch>,
    /// Its place in selection's snapshot.
    pub(super) index: u32,
    /// Operations that have selected this server and are not over ("operationCount").
    pub(super) operation_count: u32,
    /// Why operations on it were last told to stop.
    pub(super) interrupted_because: &'static str,
    marked: bool,
}

/// How a server is watched.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) monitor: Monitor,
    pub(super) rtt: RttMonitor,
    /// How many connections each has had; the current one is the last.
    pub(super) monitor_connections: u32,
    pub(super) rtt_connections: u32,
    /// Round trips of both connections.
    pub(super) average: RttAverage,
    /// The last reply, until the monitor says what it is.
    pub(super) reply: Option<HelloReply>,
}

impl Watch {
    /// Round trips are measured on their own connection exactly while the other one is streaming; true if that began or ended.
    pub(super) fn follow_stream(&mut self, now: Instant) -> bool {
        let streaming = self.monitor.is_streaming();
        if streaming == self.rtt.is_running() || self.rtt.is_probing() {
            return false;
        }
        if streaming {
            self.rtt.start(now)
        } else {
            self.rtt.stop()
        }
        true
    }
}

impl Server {
    pub(super) fn new(
        id: ServerId,
        address: ServerAddress,
        description: Arc<ServerDescription>,
        options: &DriverOptions,
    ) -> Self {
        let watch = (!options.load_balanced).then(|| Watch {
            monitor: Monitor::new(options.monitor()),
            rtt: RttMonitor::new(options.monitor()),
            monitor_connections: 0,
            rtt_connections: 0,
            average: RttAverage::new(),
            reply: None,
        });
        Server {
            id,
            pool: Pool::new(options.pool(address.clone())),
            address,
            able: description.clone(),
            description,
            watch,
            index: u32::MAX,
            operation_count: 0,
            interrupted_because: "the connection was closed",
            marked: false,
        }
    }

    /// Takes over what the topology says of it.
    pub(super) fn describe(&mut self, description: &Arc<ServerDescription>) {
        self.description = description.clone();
        if description.server_type.is_available() {
            self.able = description.clone();
        }
    }

    /// What whoever holds one of its connections can count on. The server may have become Unknown since it was selected; then its
    /// description says nothing any more, and on the connection nothing has changed.
    pub(super) fn as_connected(&self) -> &Arc<ServerDescription> {
        if self.description.server_type.is_available() { &self.description } else { &self.able }
    }

    pub(super) fn request_check(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.monitor.request_check(now);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let watch = self.watch.as_ref();
        let watch = watch.and_then(|w| earliest(w.monitor.poll_timeout(), w.rtt.poll_timeout()));
        earliest(watch, self.pool.poll_timeout())
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(watch) = &mut self.watch {
            watch.monitor.handle_timeout(now);
            watch.rtt.handle_timeout(now);
        }
        self.pool.handle_timeout(now);
    }
}

/// All servers. Slots are reused; ids are not.
#[derive(Debug, Default)]
pub(super) struct Servers {
    slots: Vec<Option<Server>>,
    epochs: u32,
    by_address: BTreeMap<ServerAddress, ServerId>,
    /// Ids in the order of the topology's servers: what selection's indexes mean.
    order: Vec<ServerId>,
    marked: Vec<ServerId>,
    /// Servers that have left the topology while operations were still using their connections.
    leaving: Vec<Server>,
    /// Whether those that wait for a server should be looked at again.
    pub(super) selection_due: bool,
}

impl Servers {
    pub(super) fn add(&mut self, make: impl FnOnce(ServerId) -> Server) -> ServerId {
        let slot = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        self.epochs = self.epochs.wrapping_add(1);
        let id = ServerId { slot: slot as u32, epoch: self.epochs };
        let server = make(id);
        self.by_address.insert(server.address.clone(), id);
        if slot == self.slots.len() {
            self.slots.push(Some(server));
        } else {
            self.slots[slot] = Some(server);
        }
        id
    }

    /// Takes a server out. Its pool, which must be closed, is kept until its last connection has been given back.
    pub(super) fn remove(&mut self, id: ServerId) {
        let slot = self.slots.get_mut(id.slot as usize);
        let Some(server) = slot.and_then(|slot| slot.take_if(|server| server.id == id)) else { return };
        self.by_address.remove(&server.address);
        if server.pool.operation_count() > 0 {
            self.leaving.push(server);
        }
    }

    /// Gives back a connection to a server that has left the topology, and hands on what the pool has to say.
    pub(super) fn check_in_late(
        &mut self,
        now: Instant,
        id: ServerId,
        conn: PoolConnId,
        mut say: impl FnMut(PoolOutput),
    ) {
        let Some(server) = self.leaving.iter_mut().find(|server| server.id == id) else { return };
        server.pool.check_in(now, conn, false);
        while let Some(output) = server.pool.poll_output() {
            say(output);
        }
        self.leaving.retain(|server| server.pool.operation_count() > 0);
    }

    pub(super) fn get(&self, id: ServerId) -> Option<&Server> {
        self.slots.get(id.slot as usize)?.as_ref().filter(|server| server.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ServerId) -> Option<&mut Server> {
        self.slots.get_mut(id.slot as usize)?.as_mut().filter(|server| server.id == id)
    }

    pub(super) fn id_of(&self, address: &ServerAddress) -> Option<ServerId> {
        self.by_address.get(address).copied()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Server> {
        self.slots.iter_mut().flatten()
    }

    /// The server at an index of selection's snapshot.
    pub(super) fn id_at(&self, index: u32) -> Option<ServerId> {
        self.order.get(index as usize).copied()
    }

    /// Operations in flight on the server at an index of selection's snapshot.
    pub(super) fn load(&self, index: u32) -> u32 {
        self.id_at(index).and_then(|id| self.get(id)).map_or(u32::MAX, |server| server.operation_count)
    }

    /// Takes over what the topology now says.
    pub(super) fn describe(&mut self, topology: &TopologyDescription) {
        self.order.clear();
        for (index, (address, description)) in (0u32..).zip(&topology.servers) {
            let id = self.id_of(address).unwrap_or(ServerId { slot: u32::MAX, epoch: 0 });
            self.order.push(id);
            if let Some(server) = self.get_mut(id) {
                server.describe(description);
                server.index = index;
            }
        }
    }

    /// Says that a server's machines have something to tell.
    pub(super) fn mark(&mut self, id: ServerId) {
        if let Some(server) = self.get_mut(id)
            && !core::mem::replace(&mut server.marked, true)
        {
            self.marked.push(id);
        }
    }

    pub(super) fn mark_all(&mut self) {
        let ids: Vec<ServerId> = self.slots.iter().flatten().map(|server| server.id).collect();
        ids.into_iter().for_each(|id| self.mark(id));
    }

    /// Lets every server whose deadline has passed do what is due.
    pub(super) fn mark_due(&mut self, now: Instant) {
        let mut due = Vec::new();
        for server in self.iter_mut() {
            if server.poll_timeout().is_some_and(|deadline| deadline <= now) {
                server.handle_timeout(now);
                due.push(server.id);
            }
        }
        due.into_iter().for_each(|id| self.mark(id));
    }

    pub(super) fn next_marked(&mut self) -> Option<ServerId> {
        let id = self.marked.pop()?;
        if let Some(server) = self.get_mut(id) {
            server.marked = false;
        }
        Some(id)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.slots.iter().flatten().filter_map(Server::poll_timeout).min()
    }
}
