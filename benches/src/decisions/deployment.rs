//! A replica set of any size, as a client that has found it knows it.

use crate::canned::hello_and_reply;
use bson::{Document, doc};
use quorate_core::raw::RawDoc;
use quorate_core::sdam::{Topology, TopologyOptions};
use quorate_core::selection::Snapshot;
use quorate_core::{Duration, HelloReply, Instant, ServerAddress};

/// A replica set: its first member is the primary. Members are in three data centres, every tenth has no tags, and round
/// trips lie between 1 and 29 ms, so that the latency window holds about half of them.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The members' addresses.
    pub addresses: Vec<ServerAddress>,
    /// What each of them answers to hello, as BSON.
    pub hellos: Vec<Vec<u8>>,
    /// All of them heard, as selection sees it.
    pub snapshot: Snapshot,
}

/// When everybody has last been heard.
pub(super) const NOW: Instant = Instant::from_nanos(1_000_000_000);

impl Deployment {
    /// A replica set of so many members.
    pub fn new(members: usize) -> Self {
        let hosts: Vec<String> = (0..members).map(|i| format!("member{i}.example.com:27017")).collect();
        let hello = |i: usize| {
            let (mut hello, _): (Document, Vec<u8>) = hello_and_reply(&hosts, i);
            if i % 10 != 9 {
                hello.insert(
                    "tags",
                    doc! { "dc": (["ny", "sf", "tokyo"][i % 3]), "rack": (i % 2).to_string() },
                );
            }
            bson::serialize_to_vec(&hello).expect("a hello made here can be encoded")
        };
        let addresses = hosts.iter().filter_map(|host| ServerAddress::parse(host)).collect();
        let hellos = (0..members).map(hello).collect();
        let nobody = Topology::new(0, TopologyOptions::default());
        let mut deployment = Deployment { addresses, hellos, snapshot: Snapshot::new(nobody.description()) };
        deployment.snapshot = Snapshot::new(deployment.topology().description());
        deployment
    }

    /// How far away a member is.
    pub fn round_trip(i: usize) -> Duration {
        Duration::from_millis(1 + (i * 7 % 29) as u64)
    }

    /// The machine that has heard all of them, without outputs left.
    pub fn topology(&self) -> Topology {
        let options = TopologyOptions {
            seeds: self.addresses.iter().take(1).cloned().collect(),
            ..TopologyOptions::default()
        };
        let mut topology = Topology::new(1, options);
        // The primary's word comes first, and names all others.
        for (i, (address, hello)) in self.addresses.iter().zip(&self.hellos).enumerate() {
            let hello = HelloReply::parse(raw(hello)).expect("a hello made here can be read");
            let round_trip = Some(Deployment::round_trip(i));
            topology.handle_hello(NOW, address, &hello, round_trip, round_trip);
        }
        while topology.poll_output().is_some() {}
        assert_eq!(topology.description().servers.len(), self.addresses.len());
        topology
    }
}

/// A document made here.
pub(super) fn raw(bytes: &[u8]) -> RawDoc<'_> {
    RawDoc::new(bytes).expect("a document made here is one")
}
