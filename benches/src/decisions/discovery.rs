//! What a heartbeat costs: reading the hello reply, and taking it in.

use super::deployment::{NOW, raw};
use super::{Decision, Deployment, Target};
use crate::rig::Rig;
use bson::{DateTime, Document, doc};
use quorate_core::selection::Snapshot;
use quorate_core::{Duration, HelloReader, HelloReply};
use std::hint::black_box;

pub(super) fn decisions(deployment: &Deployment) -> Vec<Decision> {
    vec![
        parse(deployment),
        parse_fresh(deployment),
        apply(deployment),
        heartbeat(deployment),
        step_down(deployment),
    ]
}

/// Of the middle member, where looking up is neither the first nor the last.
fn middle(deployment: &Deployment) -> usize {
    deployment.addresses.len() / 2
}

/// Two replies of one member with a write between them: what every heartbeat of a set in use brings.
fn two_heartbeats(deployment: &Deployment) -> [Vec<u8>; 2] {
    [1, 2].map(|time| {
        let bytes = deployment.hellos.get(middle(deployment)).expect("there is one");
        let mut hello: Document = bson::deserialize_from_slice(bytes).expect("made here");
        let date = DateTime::from_millis(1_700_000_000_000 + time);
        hello.insert("localTime", date);
        let at = bson::Timestamp { time: 1_700_000_000, increment: time as u32 };
        hello.insert(
            "lastWrite",
            doc! {
                "opTime": { "ts": at, "t": 1i64 }, "lastWriteDate": date,
                "majorityOpTime": { "ts": at, "t": 1i64 }, "majorityWriteDate": date,
            },
        );
        bson::serialize_to_vec(&hello).expect("made here")
    })
}

/// A monitor reads the next reply; nothing is new but the time and the last write.
fn parse(deployment: &Deployment) -> Decision {
    let replies = two_heartbeats(deployment);
    let mut reader = HelloReader::default();
    let mut turn = 0;
    let members = deployment.addresses.len();
    let target = match members {
        3 => Some(600.0),
        50 => Some(4_000.0),
        1000 => Some(60_000.0),
        _ => None,
    };
    Decision::new("hello.parse", members, move || {
        turn = 1 - turn;
        let hello = reader.read(raw(black_box(&replies[turn])));
        assert!(black_box(hello).is_ok());
    })
    .within(target.map(|ns| Target { ns, allocations: Some(0.0) }))
}

/// The same without anything to compare it with: a new connection's first.
fn parse_fresh(deployment: &Deployment) -> Decision {
    let [reply, _] = two_heartbeats(deployment);
    let members = deployment.addresses.len();
    let target = match members {
        3 => Some(600.0),
        50 => Some(4_000.0),
        1000 => Some(60_000.0),
        _ => None,
    };
    Decision::new("hello.parse.fresh", members, move || {
        assert!(black_box(HelloReply::parse(raw(black_box(&reply)))).is_ok());
    })
    .within(target.map(|ns| Target { ns, allocations: None }))
}

/// The topology takes it in, and selection's view of it is brought up to date.
fn apply(deployment: &Deployment) -> Decision {
    let at = middle(deployment);
    let address = deployment.addresses.get(at).expect("there is one").clone();
    let mut topology = deployment.topology();
    let mut snapshot = deployment.snapshot.clone();
    // As the driver reads them: by a reader that knows the server.
    let mut reader = HelloReader::default();
    let replies = two_heartbeats(deployment);
    let hellos = [0, 1].map(|i| reader.read(raw(&replies[i])).expect("made here").clone());
    let round_trips = [1, 2].map(|ms| Some(Duration::from_millis(ms)));
    let members = deployment.addresses.len();
    let index = snapshot.index_of(&address).expect("it is there");
    // Once to act upon it in the topology as all have made it since.
    topology.handle_hello(NOW, &address, &hellos[0], round_trips[0], round_trips[0]);
    let mut turn = 0;
    Decision::new("hello.apply", members, move || {
        turn = 1 - turn;
        let refreshed = topology.handle_hello(
            NOW,
            black_box(&address),
            black_box(&hellos[turn]),
            round_trips[turn],
            round_trips[turn],
        );
        assert!(refreshed.is_some_and(|server| snapshot.update_at(index, server)));
        assert!(!topology.has_output());
    })
    .within(Some(Target { ns: 300.0, allocations: None }))
}

/// All that the driver does of a heartbeat: the monitor's part too, and when it has to look again.
fn heartbeat(deployment: &Deployment) -> Decision {
    let mut rig = Rig::new(deployment.addresses.len());
    Decision::new("heartbeat", deployment.addresses.len(), move || rig.heartbeat())
}

/// A primary steps down and is elected again: the table, the events, a new snapshot.
fn step_down(deployment: &Deployment) -> Decision {
    let mut topology = deployment.topology();
    let mut snapshot = Snapshot::new(topology.description());
    let address = deployment.addresses.first().expect("there is one").clone();
    let hello = HelloReply::parse(raw(deployment.hellos.first().expect("there is one"))).expect("made here");
    let mut secondary = hello.clone();
    (secondary.is_writable_primary, secondary.secondary) = (false, true);
    let hellos = [hello, secondary];
    let mut turn = 0;
    Decision::new("hello.apply.step_down", deployment.addresses.len(), move || {
        turn = 1 - turn;
        topology.handle_hello(NOW, &address, &hellos[turn], None, None);
        assert!(topology.has_output());
        while let Some(output) = topology.poll_output() {
            black_box(output);
        }
        snapshot.publish(topology.description());
    })
}
