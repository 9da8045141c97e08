//! The core alone: a driver that knows its deployment, and operations that take no time and touch no socket.

use crate::canned::hello_and_reply;
use bson::Document;
use quorate_core::driver::{
    Begin, ConnectionId, Decision, Driver, DriverOptions, Operation, Outcome, Output, Role,
};
use quorate_core::raw::{DocWriter, RawDoc};
use quorate_core::reply::ReplySummary;
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use quorate_core::{Duration, HelloReply, Instant, ServerAddress};

/// A driver of a replica set that has been found, with a pool that has a connection to spare.
#[derive(Debug)]
pub struct Rig {
    driver: Driver,
    now: Instant,
    hellos: Vec<(ServerAddress, HelloReply)>,
    reply: Vec<u8>,
    fields: Vec<u8>,
    /// The connection by which the primary is watched.
    monitor: Option<ConnectionId>,
}

impl Rig {
    /// A replica set of so many members. Its first is the primary.
    pub fn new(members: usize) -> Self {
        let hosts: Vec<String> = (0..members).map(|i| format!("member{i}:27017")).collect();
        let mut reply = Vec::new();
        let hellos = (0..members).map(|i| {
            let (hello, answer): (Document, Vec<u8>) = hello_and_reply(&hosts, i);
            reply = answer;
            let bytes = bson::serialize_to_vec(&hello).expect("a hello made here can be encoded");
            let hello = RawDoc::new(&bytes).expect("and looked at");
            (ServerAddress::tcp(format!("member{i}"), 27017), HelloReply::parse(hello).expect("and read"))
        });
        let hellos: Vec<_> = hellos.collect();
        let options = DriverOptions::new(vec![hellos[0].0.clone()]);
        let now = Instant::ZERO;
        let driver = Driver::new(now, options, 1);
        let mut rig = Rig { driver, now, hellos, reply, fields: Vec::with_capacity(1024), monitor: None };
        rig.settle();
        // Waits for a connection, which is there once that has been opened, and leaves it to the pool.
        let mut first = Operation::new(SelectionCriteria::Writable, Retry::Never);
        let begin = rig.driver.begin(rig.now, &mut first);
        assert!(matches!(begin, Begin::Wait(_)), "{begin:?}");
        rig.settle();
        rig.driver.abandon(rig.now, &mut first);
        rig.settle();
        rig
    }

    /// Answers every connection at once until the driver has nothing more to ask for.
    fn settle(&mut self) {
        while let Some(output) = self.driver.poll_output() {
            if let Output::Connect { connection, address } = output
                && let Some((_, hello)) = self.hellos.iter().find(|(known, _)| *known == address)
            {
                if matches!(connection.role, Role::Monitor(_)) && address == self.hellos[0].0 {
                    self.monitor = Some(connection);
                }
                self.now += Duration::from_micros(100);
                self.driver.handle_established(self.now, connection, hello, Duration::from_micros(100));
            }
        }
    }

    /// The primary's monitor receives the next hello of its stream, which says nothing new.
    ///
    /// # Panics
    /// When there is no stream, or the driver does more about it than tell who listens.
    pub fn heartbeat(&mut self) {
        self.now += Duration::from_secs(10);
        let (Some(monitor), Some((_, hello))) = (self.monitor, self.hellos.first()) else {
            panic!("the primary is watched");
        };
        self.driver.handle_reply(self.now, monitor, hello, true);
        while let Some(output) = self.driver.poll_output() {
            assert!(matches!(output, Output::Event(_)), "{output:?}");
        }
    }

    /// One operation from its beginning to its end: what the core does of it, reading the reply's own fields included.
    ///
    /// # Panics
    /// When the driver has anything else in mind than to run it at once.
    pub fn operation(&mut self, criteria: SelectionCriteria, retry: Retry) {
        self.now += Duration::from_micros(10);
        let mut operation = Operation::new(criteria, retry);
        let Begin::Go(checkout) = self.driver.begin(self.now, &mut operation) else {
            panic!("there is a server and a connection");
        };
        self.fields.clear();
        checkout.write_fields(DocWriter::new(&mut self.fields)).finish();
        let body = RawDoc::new(&self.reply).expect("a reply made here is one");
        let summary = ReplySummary::parse(body).expect("and can be read");
        let outcome = Outcome::Reply { summary: &summary, body };
        let decision = self.driver.finish(self.now, &mut operation, outcome);
        assert!(matches!(decision, Decision::Done), "{decision:?}");
        assert!(!self.driver.has_output());
    }
}
