//! What a predicate sees of a server.

use quorate_core::sdam::{ServerDescription, ServerType};
use quorate_core::{Error, ServerAddress};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One server as the client sees it now.
#[derive(Clone, Copy)]
pub struct ServerInfo<'a> {
    description: &'a ServerDescription,
}

impl<'a> ServerInfo<'a> {
    pub(crate) fn new(description: &'a ServerDescription) -> Self {
        ServerInfo { description }
    }

    /// Where it listens.
    pub fn address(&self) -> &'a ServerAddress {
        &self.description.address
    }

    /// The average round trip to it; `None` while it is not reachable.
    pub fn average_round_trip_time(&self) -> Option<Duration> {
        self.description.round_trip_time
    }

    /// The largest wire version it speaks; `None` while its type is unknown.
    pub fn max_wire_version(&self) -> Option<i32> {
        (self.description.server_type != ServerType::Unknown).then_some(self.description.max_wire_version)
    }

    /// The smallest wire version it speaks; `None` while its type is unknown.
    pub fn min_wire_version(&self) -> Option<i32> {
        (self.description.server_type != ServerType::Unknown).then_some(self.description.min_wire_version)
    }

    /// The name of its replica set.
    pub fn replica_set_name(&self) -> Option<&'a str> {
        self.description.set_name.as_deref()
    }

    /// The version of its replica set's configuration.
    pub fn replica_set_version(&self) -> Option<i32> {
        self.description.set_version.and_then(|version| i32::try_from(version).ok())
    }

    /// What kind of server it is.
    pub fn server_type(&self) -> ServerType {
        self.description.server_type
    }

    /// Its tags.
    pub fn tags(&self) -> Option<&'a BTreeMap<String, String>> {
        (self.description.server_type != ServerType::Unknown).then_some(&self.description.tags)
    }

    /// Why it is not known, if the last check failed.
    pub fn error(&self) -> Option<&'a Error> {
        self.description.error.as_ref()
    }
}

impl fmt::Debug for ServerInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerInfo")
            .field("address", self.address())
            .field("server_type", &self.server_type())
            .finish_non_exhaustive()
    }
}
