//! What the machine remembers of each server besides its description.

use crate::ServerAddress;
use crate::sdam::RemovalReason;
use alloc::collections::{BTreeMap, VecDeque};

/// Most services told apart behind a load balancer. Each costs an entry only once its connections have failed.
const MAX_SERVICES: usize = 4096;
/// How many removed servers are remembered.
const MAX_REMOVALS: usize = 16;

/// Pool generations, and whether a server's word has been acted upon in the topology as it stands.
#[derive(Debug, Default)]
pub(super) struct Members {
    by_address: BTreeMap<ServerAddress, Member>,
    /// Counts the topologies that were not equal to the one before.
    epoch: u64,
    removals: VecDeque<(ServerAddress, RemovalReason)>,
}

#[derive(Debug, Default)]
struct Member {
    generation: u32,
    services: BTreeMap<[u8; 12], u32>,
    pool_ready: bool,
    /// The epoch in which its description was last applied and changed nothing.
    settled: Option<u64>,
}

impl Members {
    pub(super) fn add(&mut self, address: &ServerAddress) {
        self.by_address.entry(address.clone()).or_default();
        self.removals.retain(|(removed, _)| removed != address);
    }

    pub(super) fn remove(&mut self, address: &ServerAddress, reason: RemovalReason) {
        self.by_address.remove(address);
        self.removals.retain(|(removed, _)| removed != address);
        if self.removals.len() == MAX_REMOVALS {
            self.removals.pop_front();
        }
        self.removals.push_back((address.clone(), reason));
    }

    pub(super) fn removals(&self) -> impl Iterator<Item = &(ServerAddress, RemovalReason)> {
        self.removals.iter()
    }

    pub(super) fn generation(&self, address: &ServerAddress, service_id: Option<[u8; 12]>) -> u32 {
        match (self.by_address.get(address), service_id) {
            (None, _) => 0,
            (Some(member), None) => member.generation,
            (Some(member), Some(service)) => member.services.get(&service).copied().unwrap_or(0),
        }
    }

    /// Counts one clear; false if the server is gone.
    ///
    /// A load balancer that shows ever new services makes the table forget one it knows. The forgotten service is
    /// back at 0, where the worst that can happen is one clear too many.
    pub(super) fn clear_pool(&mut self, address: &ServerAddress, service_id: Option<[u8; 12]>) -> bool {
        let Some(member) = self.by_address.get_mut(address) else { return false };
        match service_id {
            None => {
                member.generation = member.generation.saturating_add(1);
                member.pool_ready = false;
            }
            Some(service) => {
                if member.services.len() >= MAX_SERVICES && !member.services.contains_key(&service) {
                    member.services.pop_first();
                }
                let generation = member.services.entry(service).or_default();
                *generation = generation.saturating_add(1);
            }
        }
        true
    }

    /// Notes that the pool is ready; false if it was, or if the server is gone.
    pub(super) fn set_pool_ready(&mut self, address: &ServerAddress) -> bool {
        self.by_address
            .get_mut(address)
            .is_some_and(|member| !core::mem::replace(&mut member.pool_ready, true))
    }

    /// The topology became another: everybody's word has to be acted upon once more.
    pub(super) fn unsettle(&mut self) {
        self.epoch = self.epoch.wrapping_add(1);
    }

    pub(super) fn settle(&mut self, address: &ServerAddress) {
        let epoch = self.epoch;
        if let Some(member) = self.by_address.get_mut(address) {
            member.settled = Some(epoch);
        }
    }

    /// Whether a settled server's pool is ready; `None` while the server's word has still to be acted upon.
    pub(super) fn settled(&self, address: &ServerAddress) -> Option<bool> {
        let member = self.by_address.get(address)?;
        (member.settled == Some(self.epoch)).then_some(member.pool_ready)
    }
}
