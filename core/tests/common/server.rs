//! A scripted server: hellos by themselves, everything else as told.

use bson::{Document, doc, oid::ObjectId};
use quorate_core::driver::{ConnectionId, Role};
use quorate_core::raw::RawDoc;
use quorate_core::wire::{
    Flags, HEADER_LENGTH, Header, decode, decode_op_query, encode_op_msg, encode_op_reply, op_code,
};
use quorate_core::{Duration, Instant};
use std::collections::{BTreeMap, VecDeque};

/// How a server takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Up,
    /// Nothing listens.
    Refuse,
    /// The system accepts, the process does not answer.
    Hang,
    /// It accepts and closes at once.
    Reset,
    /// Nothing comes back at all.
    Vanish,
}

/// What a server does with a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// These fields; `ok: 1` if they have none.
    Reply(Document),
    /// `ok: 0` with that code and those labels; a state change counts in the topology version.
    Fail(i32, &'static [&'static str]),
    /// Nothing.
    Silence,
    /// Closes the connection.
    Drop,
    /// As `Reply`, in answer to a request nobody made.
    WrongNumber,
    /// As `Reply`, saying that more follows, and more.
    Endless,
    /// As `Reply`, twice.
    Twice,
    /// Half a reply, then the end.
    Half,
    /// A reply of this body.
    Raw(Vec<u8>),
}

pub struct Server {
    pub mode: Mode,
    /// What it does with the next commands; `ok: 1`, or an error if it is no primary, when empty.
    pub script: VecDeque<Answer>,
    /// Goes with each reply.
    pub cluster_time: Option<u32>,
    /// Goes with each hello only.
    pub hello_cluster_time: Option<u32>,
    /// Takes no notice of the connection that measures round trips.
    pub deaf_to_probes: bool,
    /// What it says comes so much later.
    pub lag: Duration,
    pub said: Vec<(ConnectionId, Option<Vec<u8>>)>,
    pub hello: Document,
    counter: i64,
    inboxes: BTreeMap<ConnectionId, Vec<u8>>,
    held: BTreeMap<ConnectionId, Held>,
    request_id: i32,
}

/// A hello that waits for a change.
struct Held {
    answers: i32,
    counter: i64,
    until: Instant,
    every: Duration,
    exhaust: bool,
}

impl Server {
    /// A secondary.
    pub fn new(me: &str, hosts: &[String]) -> Self {
        let hello = doc! {
            "isWritablePrimary": false, "secondary": true, "hosts": hosts, "setName": "rs", "setVersion": 1, "me": me,
            "minWireVersion": 0, "maxWireVersion": 17, "logicalSessionTimeoutMinutes": 30, "helloOk": true,
        };
        Server {
            mode: Mode::Up,
            script: VecDeque::new(),
            cluster_time: None,
            hello_cluster_time: None,
            deaf_to_probes: false,
            lag: Duration::ZERO,
            said: Vec::new(),
            hello,
            counter: 1,
            inboxes: BTreeMap::new(),
            held: BTreeMap::new(),
            request_id: 0,
        }
    }

    pub fn become_primary(&mut self, election: u8) {
        self.hello.insert("isWritablePrimary", true);
        self.hello.insert("secondary", false);
        self.hello.insert("electionId", ObjectId::from_bytes([election; 12]));
        self.counter += 1;
    }

    pub fn become_secondary(&mut self) {
        self.hello.insert("isWritablePrimary", false);
        self.hello.insert("secondary", true);
        self.hello.remove("electionId");
        self.counter += 1;
    }

    pub fn is_primary(&self) -> bool {
        self.hello.get_bool("isWritablePrimary").unwrap()
    }

    pub fn touch(&mut self) {
        self.counter += 1;
    }

    pub fn hang_up(&mut self, id: ConnectionId) {
        self.inboxes.remove(&id);
        self.held.remove(&id);
    }

    pub fn forget_held(&mut self) {
        self.held.clear();
    }

    /// Takes bytes, and gives the commands in them that are no hellos.
    pub fn hear(&mut self, now: Instant, id: ConnectionId, bytes: &[u8]) -> Vec<Document> {
        let inbox = self.inboxes.entry(id).or_default();
        inbox.extend_from_slice(bytes);
        let mut commands = Vec::new();
        while let Some(inbox) = self.inboxes.get_mut(&id)
            && let Some(head) = inbox.first_chunk::<HEADER_LENGTH>()
            && let header = Header::from_bytes(head)
            && inbox.len() >= header.length as usize
        {
            let message: Vec<u8> = inbox.drain(..header.length as usize).collect();
            if self.deaf_to_probes && matches!(id.role, Role::Rtt(_)) {
                continue;
            }
            if self.mode == Mode::Hang {
                if header.op_code == op_code::OP_MSG {
                    let body = decode(&message).unwrap().body;
                    let command: Document = bson::deserialize_from_slice(body.as_bytes()).unwrap();
                    if !command.contains_key("hello") && !command.contains_key("isMaster") {
                        commands.push(command);
                    }
                }
                continue;
            }
            if header.op_code == op_code::OP_QUERY {
                let query = decode_op_query(&message).unwrap().query;
                assert!(query.get("$db").unwrap().is_none(), "servers refuse $db in a query");
                let reply = bson::serialize_to_vec(&self.hello_reply()).unwrap();
                let mut out = Vec::new();
                encode_op_reply(&mut out, 1, header.request_id, RawDoc::new(&reply).unwrap()).unwrap();
                self.said.push((id, Some(out)));
                continue;
            }
            let incoming = decode(&message).unwrap();
            let command: Document = bson::deserialize_from_slice(incoming.body.as_bytes()).unwrap();
            if command.contains_key("hello") || command.contains_key("isMaster") {
                let exhaust = incoming.flags.contains(Flags::EXHAUST_ALLOWED);
                self.hear_hello(now, id, header.request_id, &command, exhaust);
            } else {
                let answered = !incoming.flags.contains(Flags::MORE_TO_COME);
                self.answer(id, header.request_id, &command, answered);
                commands.push(command);
            }
        }
        commands
    }

    fn hear_hello(
        &mut self,
        now: Instant,
        id: ConnectionId,
        answers: i32,
        command: &Document,
        exhaust: bool,
    ) {
        assert!(!command.contains_key("$clusterTime"), "cluster time is not gossiped on SDAM commands");
        let Ok(version) = command.get_document("topologyVersion") else {
            let reply = self.hello_reply();
            return self.say(id, answers, Flags::NONE, &reply);
        };
        let every = Duration::from_millis(command.get_i64("maxAwaitTimeMS").unwrap() as u64);
        let counter = version.get_i64("counter").unwrap();
        self.held.insert(id, Held { answers, counter, until: now + every, every, exhaust });
        self.tick(now);
    }

    /// Answers held hellos that are due.
    pub fn tick(&mut self, now: Instant) {
        if self.mode != Mode::Up {
            return;
        }
        let due: Vec<ConnectionId> = self
            .held
            .iter()
            .filter(|(_, held)| held.counter != self.counter || held.until <= now)
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            let held = self.held.remove(&id).unwrap();
            let reply = self.hello_reply();
            let flags = if held.exhaust { Flags::MORE_TO_COME } else { Flags::NONE };
            self.say(id, held.answers, flags, &reply);
            if held.exhaust {
                let next =
                    Held { answers: self.request_id, counter: self.counter, until: now + held.every, ..held };
                self.held.insert(id, next);
            }
        }
    }

    pub fn next_tick(&self) -> Option<Instant> {
        self.held.values().map(|held| held.until).min().filter(|_| self.mode == Mode::Up)
    }

    fn hello_reply(&self) -> Document {
        let mut reply = self.hello.clone();
        reply.insert("topologyVersion", self.version());
        if let Some(time) = self.hello_cluster_time {
            reply.insert("$clusterTime", doc! {"clusterTime": bson::Timestamp { time, increment: 0 }});
        }
        if !reply.contains_key("ok") {
            reply.insert("ok", 1);
        }
        reply
    }

    fn version(&self) -> Document {
        doc! {"processId": ObjectId::from_bytes([7; 12]), "counter": self.counter}
    }

    fn answer(&mut self, id: ConnectionId, answers: i32, command: &Document, wanted: bool) {
        let answer = self.script.pop_front().unwrap_or_else(|| {
            if self.is_primary() {
                Answer::Reply(doc! {})
            } else if command.contains_key("txnNumber") {
                Answer::Fail(10107, &["RetryableWriteError"])
            } else {
                Answer::Fail(10107, &[])
            }
        });
        if !wanted {
            return;
        }
        match answer {
            Answer::Reply(fields) => self.reply(id, answers, Flags::NONE, fields),
            Answer::Fail(code, labels) => {
                let fields = doc! {
                    "ok": 0, "code": code, "errmsg": "scripted", "errorLabels": labels, "topologyVersion": self.version(),
                };
                self.reply(id, answers, Flags::NONE, fields);
            }
            Answer::Silence => {}
            Answer::Drop => self.said.push((id, None)),
            Answer::WrongNumber => self.reply(id, answers.wrapping_add(7), Flags::NONE, doc! {}),
            Answer::Endless => {
                self.reply(id, answers, Flags::MORE_TO_COME, doc! {});
                for _ in 0..10 {
                    self.reply(id, self.request_id, Flags::MORE_TO_COME, doc! {});
                }
            }
            Answer::Twice => {
                self.reply(id, answers, Flags::NONE, doc! {});
                self.reply(id, answers, Flags::NONE, doc! {});
            }
            Answer::Half => {
                self.reply(id, answers, Flags::NONE, doc! {});
                if let Some((_, Some(bytes))) = self.said.last_mut() {
                    bytes.truncate(bytes.len() / 2);
                }
                self.said.push((id, None));
            }
            Answer::Raw(body) => {
                let mut out = Vec::new();
                encode_op_msg(&mut out, 1, answers, Flags::NONE, RawDoc::new(&body).unwrap()).unwrap();
                self.said.push((id, Some(out)));
            }
        }
    }

    fn reply(&mut self, id: ConnectionId, answers: i32, flags: Flags, mut fields: Document) {
        if !fields.contains_key("ok") {
            fields.insert("ok", 1);
        }
        if let Some(time) = self.cluster_time {
            fields.insert("$clusterTime", doc! {"clusterTime": bson::Timestamp { time, increment: 0 }});
        }
        self.say(id, answers, flags, &fields);
    }

    fn say(&mut self, id: ConnectionId, answers: i32, flags: Flags, body: &Document) {
        self.request_id += 1;
        let body = bson::serialize_to_vec(body).unwrap();
        let mut out = Vec::new();
        encode_op_msg(&mut out, self.request_id, answers, flags, RawDoc::new(&body).unwrap()).unwrap();
        self.said.push((id, Some(out)));
    }
}
