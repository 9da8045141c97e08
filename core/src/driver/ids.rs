//! Names of things inside one [`super::Driver`].

use crate::pool::PoolConnId;
use core::fmt;

/// One server of the topology, for as long as it is part of it. A server that leaves and comes back has a new id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId {
    pub(super) slot: u32,
    pub(super) epoch: u32,
}

/// One connection, for the host to keep its socket under. Never reused within a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// The server it leads to.
    pub server: ServerId,
    /// What it is for.
    pub role: Role,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Operations, as a member of the server's pool.
    Pool(PoolConnId),
    /// The server's monitor: its n-th connection.
    Monitor(u32),
    /// Round-trip times and liveness probes: the n-th connection.
    Rtt(u32),
}

impl ConnectionId {
    /// A number for hash tables: different connections of one driver have different numbers for the first four billion
    /// connections of each role and server.
    pub const fn hash_key(self) -> u64 {
        let (role, number) = match self.role {
            Role::Pool(id) => (0, id.get()),
            Role::Monitor(n) => (1, n),
            Role::Rtt(n) => (2, n),
        };
        ((self.server.slot as u64) << 40) ^ ((self.server.epoch as u64) << 52) ^ (role << 38) ^ number as u64
    }
}

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {}.{}", self.slot, self.epoch)
    }
}

/// An operation that waits for a server or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub(super) u64);

impl Ticket {
    /// A number for hash tables.
    pub const fn number(self) -> u64 {
        self.0
    }
}
