//! A client's topology as it publishes it.

use super::super::plan::Mode;
use super::super::rule::Rule;
use super::calls::Place;
use quorate::event::sdam::SdamEvent;
use quorate::{ServerAddress, ServerType, TopologyDescription, TopologyType};
use quorate_core::Instant;
use quorate_core::raw::RawDoc;
use quorate_core::sdam::{ServerDescription, TopologyVersion};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

type Fits = Result<(), (Rule, String)>;

/// So many descriptions are remembered.
const REMEMBERED: usize = 256;

/// What one client has published.
#[derive(Debug, Default)]
pub(crate) struct Topologies {
    history: VecDeque<(Instant, Arc<TopologyDescription>)>,
    /// Heartbeats under way, by server.
    heartbeats: BTreeMap<ServerAddress, u32>,
    /// The servers that were opened and not closed.
    open: BTreeMap<ServerAddress, ()>,
    versions: BTreeMap<ServerAddress, TopologyVersion>,
    newest_primary: Option<([u8; 12], i64)>,
    closed: bool,
}

impl Topologies {
    pub(crate) fn note(&mut self, now: Instant, event: &SdamEvent) -> Fits {
        let events = |text: String| Err((Rule::Events, text));
        match event {
            SdamEvent::ServerOpening(event) => match self.open.insert(event.address.clone(), ()) {
                Some(()) => events(format!("{} opened twice", event.address)),
                None => Ok(()),
            },
            SdamEvent::ServerClosed(event) => match self.open.remove(&event.address) {
                Some(()) => Ok(()),
                None => events(format!("{} closed and was not open", event.address)),
            },
            SdamEvent::ServerDescriptionChanged(event) => {
                self.described(&event.previous_description, &event.new_description)
            }
            SdamEvent::TopologyDescriptionChanged(event) => {
                self.published(now, &event.previous_description, &event.new_description)
            }
            SdamEvent::TopologyClosed(_) if std::mem::replace(&mut self.closed, true) => {
                events("the topology was closed twice".into())
            }
            SdamEvent::ServerHeartbeatStarted(event) => {
                match self.heartbeats.insert(event.server_address.clone(), event.driver_connection_id) {
                    Some(_) => events(format!(
                        "{}: a heartbeat begins and the last has no end",
                        event.server_address
                    )),
                    None => Ok(()),
                }
            }
            SdamEvent::ServerHeartbeatSucceeded(event) => self.heartbeat_ended(&event.server_address),
            SdamEvent::ServerHeartbeatFailed(event) => self.heartbeat_ended(&event.server_address),
            _ => Ok(()),
        }
    }

    fn heartbeat_ended(&mut self, server: &ServerAddress) -> Fits {
        match self.heartbeats.remove(server) {
            Some(_) => Ok(()),
            None => Err((Rule::Events, format!("{server}: a heartbeat ends that never began"))),
        }
    }

    fn described(&mut self, old: &ServerDescription, new: &ServerDescription) -> Fits {
        if let Some(known) = self.now().and_then(|topology| topology.server(&old.address))
            && known.server_type != old.server_type
        {
            let text = format!(
                "{} was {} and is said to have been {}",
                old.address, known.server_type, old.server_type
            );
            return Err((Rule::Events, text));
        }
        let Some(version) = new.topology_version else {
            // An error that bears no version makes the server Unknown without one, and whatever comes next is news (SDAM
            // specification, "topologyVersion": null is older than anything).
            self.versions.remove(&new.address);
            return Ok(());
        };
        match self.versions.insert(new.address.clone(), version) {
            Some(before) if before.process_id == version.process_id && before.counter > version.counter => {
                let text =
                    format!("{}: version {} believed after {}", new.address, version.counter, before.counter);
                Err((Rule::Stale, text))
            }
            _ => Ok(()),
        }
    }

    fn published(&mut self, now: Instant, old: &TopologyDescription, new: &Arc<TopologyDescription>) -> Fits {
        if let Some(known) = self.now()
            && kinds(known) != kinds(old)
        {
            let text = format!("published {} in place of {}, which never was", describe(new), describe(old));
            return Err((Rule::Events, text));
        }
        if self.history.len() >= REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back((now, new.clone()));
        let mut primaries = new.servers.values().filter(|server| server.server_type == ServerType::RsPrimary);
        let Some(primary) = primaries.next() else { return Ok(()) };
        if primaries.next().is_some() && new.topology_type != TopologyType::Single {
            return Err((Rule::Stale, format!("two primaries: {}", describe(new))));
        }
        let (Some(election), Some(version)) = (primary.election_id, primary.set_version) else {
            return Ok(());
        };
        let newest = self.newest_primary.get_or_insert((election, version));
        if (election, version) < *newest {
            return Err((Rule::Stale, format!("an older primary than before: {}", describe(new))));
        }
        *newest = (election, version);
        Ok(())
    }

    /// Whether what is believed of a server is older than what its reply, an error, says of it.
    pub(crate) fn trusts_older(&self, address: &ServerAddress, reply: &[u8]) -> bool {
        let said = RawDoc::new(reply).ok().and_then(|reply| {
            let version = reply.get("topologyVersion").ok()??.as_document()?;
            TopologyVersion::from_raw(version)
        });
        let known = self.now().and_then(|topology| topology.server(address));
        let (Some(said), Some(known)) = (said, known) else { return false };
        let older = |version: &TopologyVersion| {
            version.process_id == said.process_id && version.counter < said.counter
        };
        known.server_type.is_available() && known.topology_version.as_ref().is_some_and(older)
    }

    /// What is published now.
    pub(crate) fn now(&self) -> Option<&Arc<TopologyDescription>> {
        self.history.back().map(|(_, topology)| topology)
    }

    /// What has been published since then, beginning with what was at that moment.
    pub(crate) fn since(&self, at: Instant) -> impl Iterator<Item = &TopologyDescription> {
        let first = self.history.iter().rposition(|(since, _)| *since < at).unwrap_or(0);
        self.history.iter().skip(first).map(|(_, topology)| &**topology)
    }

    /// What is left when the client has been shut down: nothing.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let heartbeats = self.heartbeats.keys().map(|server| format!("{server}: a heartbeat has no end"));
        let open = self.open.keys().map(|server| format!("{server} was never closed"));
        heartbeats.chain(open).chain((!self.closed).then(|| "the topology was never closed".into())).collect()
    }
}

fn kinds(topology: &TopologyDescription) -> Vec<(&ServerAddress, ServerType)> {
    topology.servers.iter().map(|(address, server)| (address, server.server_type)).collect()
}

/// For people: one line.
pub(crate) fn describe(topology: &TopologyDescription) -> String {
    let mut text = topology.topology_type.to_string();
    for (address, server) in &topology.servers {
        text.push_str(&format!(" {}={}", address.host(), server.server_type));
    }
    text
}

/// The servers of a topology that a call may go to, as the server selection specification has it, latencies aside.
pub(crate) fn suitable(topology: &TopologyDescription, place: Place) -> Vec<&ServerAddress> {
    let of = |wanted: &dyn Fn(&ServerDescription) -> bool| -> Vec<&ServerAddress> {
        let found = topology.servers.values().filter(|server| wanted(server));
        found.map(|server| &server.address).collect()
    };
    match topology.topology_type {
        TopologyType::Unknown => return Vec::new(),
        TopologyType::Single | TopologyType::LoadBalanced => {
            return of(&|server| server.server_type.is_available());
        }
        TopologyType::Sharded => return of(&|server| server.server_type == ServerType::Mongos),
        _ => {}
    }
    let primary = || of(&|server| server.server_type == ServerType::RsPrimary);
    let secondaries = || of(&|server| server.server_type == ServerType::RsSecondary);
    let both = || [primary(), secondaries()].concat();
    let or = |first: Vec<_>, second: &dyn Fn() -> Vec<_>| if first.is_empty() { second() } else { first };
    match place {
        Place::Writable | Place::By(Mode::Primary) => primary(),
        Place::By(Mode::PrimaryPreferred) => or(primary(), &secondaries),
        Place::By(Mode::Secondary) => secondaries(),
        Place::By(Mode::SecondaryPreferred) => or(secondaries(), &primary),
        Place::By(Mode::Nearest) | Place::Cursor => both(),
        Place::By(Mode::East) => {
            let east = |server: &ServerDescription| {
                matches!(server.server_type, ServerType::RsPrimary | ServerType::RsSecondary)
                    && server.tags.get("dc").is_some_and(|dc| dc == "east")
            };
            or(of(&east), &both)
        }
    }
}
