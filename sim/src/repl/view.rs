//! What others may see of a member.

use super::role::{Leader, Role, Stage};
use super::{Config, Member, MemberConfig, MemberState, Timing};
use crate::node::NodeId;
use crate::oplog::SharedEntry;
use quorate_core::ServerAddress;
use quorate_core::concern::OpTime;
use std::sync::Arc;

impl Member {
    /// The process this member is.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Where it listens.
    pub fn host(&self) -> &ServerAddress {
        &self.host
    }

    /// Its state. [`MemberState::Primary`] before it takes writes, too: see [`is_writable_primary`](Member::is_writable_primary).
    pub fn state(&self) -> MemberState {
        self.role.state()
    }

    /// Whether it takes writes.
    pub fn is_writable_primary(&self) -> bool {
        matches!(&self.role, Role::Primary(Leader { stage: Stage::Writable, .. }))
    }

    /// Whether it serves reads: primary or secondary.
    pub fn is_readable(&self) -> bool {
        self.state().is_readable()
    }

    /// Its term.
    pub fn term(&self) -> i64 {
        self.term
    }

    /// `electionId` of a primary: the term behind a fixed beginning, so that later ones are greater.
    pub fn election_id(&self) -> Option<[u8; 12]> {
        let mut id = [0; 12];
        id[..4].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        id[4..].copy_from_slice(&self.term.to_be_bytes());
        self.is_primary().then_some(id)
    }

    /// Its configuration, if it has one, whether it is in there or not.
    pub fn config(&self) -> Option<&Arc<Config>> {
        self.disk.config.as_ref()
    }

    /// Its own part of the configuration.
    pub fn member_config(&self) -> Option<&MemberConfig> {
        self.disk.config.as_ref()?.member(self.me?)
    }

    /// The address of whom it takes for the primary.
    pub fn primary(&self) -> Option<&ServerAddress> {
        Some(&self.disk.config.as_ref()?.member(self.primary?)?.host)
    }

    /// The last entry of its log: everything in its store. An arbiter, having no log, goes by the commit point.
    pub fn last_applied(&self) -> OpTime {
        if matches!(self.role, Role::Arbiter) { self.commit } else { self.disk.log.last() }
    }

    /// The last entry in its journal.
    pub fn last_durable(&self) -> OpTime {
        self.disk.durable.min(self.disk.log.last())
    }

    /// The last entry known to be on a majority. Never after [`last_applied`](Member::last_applied).
    pub fn commit_point(&self) -> OpTime {
        self.commit
    }

    /// The log, oldest entry first. What is committed and old has been dropped.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = &SharedEntry> {
        self.disk.log.entries()
    }

    /// Whom it replicates from.
    pub fn sync_source(&self) -> Option<&ServerAddress> {
        Some(&self.disk.config.as_ref()?.member(self.sync.source?)?.host)
    }

    /// Durations and bounds inside the server.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Changes them; takes effect with the next deadline set.
    pub fn timing_mut(&mut self) -> &mut Timing {
        &mut self.timing
    }
}
