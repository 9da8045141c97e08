//! What the canned server has to say.

use super::SET_NAME;
use bson::spec::BinarySubtype;
use bson::{Binary, DateTime, Document, Timestamp, doc, oid::ObjectId};
use quorate_harness::wire::{OP_MSG, op_msg, op_reply};

/// Whom the answers are about.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) hosts: Vec<String>,
    pub(super) is_set: bool,
}

/// Which answer a command gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello,
    Find,
    Insert,
    /// `ok: 1` and nothing else, which is true of a ping.
    Ok,
}

impl Kind {
    pub(super) fn of(command: &[u8]) -> Self {
        match command {
            b"hello" | b"isMaster" | b"ismaster" => Kind::Hello,
            b"find" => Kind::Find,
            b"insert" => Kind::Insert,
            _ => Kind::Ok,
        }
    }
}

/// When the canned cluster began, in seconds since 1970.
const BEGAN: u32 = 1_700_000_000;
/// Stands where the cluster time belongs: bytes that occur nowhere else in an answer.
const MARK: Timestamp = Timestamp { time: 0x5eed_c10c, increment: 0x71c4_70c4 };

/// An answer as a whole message, with the places that differ from one time to the next.
#[derive(Debug)]
struct Template {
    message: Vec<u8>,
    times: Vec<usize>,
}

impl Template {
    fn new(body: &Document) -> Self {
        let message = op_msg(0, 0, 0, &encoded(body));
        let mark = timestamp_bytes(MARK);
        let times = message.windows(8).enumerate().filter(|(_, bytes)| *bytes == mark).map(|(at, _)| at);
        Template { times: times.collect(), message }
    }

    fn fill(&mut self, id: i32, answers: i32, time: Timestamp) -> &[u8] {
        self.message[4..8].copy_from_slice(&id.to_le_bytes());
        self.message[8..12].copy_from_slice(&answers.to_le_bytes());
        for &at in &self.times {
            self.message[at..at + 8].copy_from_slice(&timestamp_bytes(time));
        }
        &self.message
    }
}

#[derive(Debug)]
pub(super) struct Replies {
    deployment: Deployment,
    ok: Template,
    insert: Template,
    find: Template,
    last_id: i32,
    writes: u32,
}

impl Replies {
    pub(super) fn new(deployment: Deployment) -> Self {
        let template = |mut body: Document| {
            body.insert("ok", 1.0);
            if deployment.is_set {
                body.extend(cluster_fields(MARK));
            }
            Template::new(&body)
        };
        let found =
            doc! { "_id": ObjectId::from_bytes([7; 12]), "name": "canned", "n": 1, "tags": ["a", "b"] };
        Replies {
            ok: template(doc! {}),
            insert: template(doc! {
                "n": 1,
                "electionId": ObjectId::from_bytes([1; 12]),
                "opTime": { "ts": MARK, "t": 1i64 },
            }),
            find: template(doc! { "cursor": { "firstBatch": [found], "id": 0i64, "ns": "bench.items" } }),
            deployment,
            last_id: 0,
            writes: 1,
        }
    }

    /// The answer to a command that is no hello.
    pub(super) fn reply(&mut self, kind: Kind, answers: i32) -> &[u8] {
        let id = self.next_id();
        if kind == Kind::Insert {
            self.writes = self.writes.wrapping_add(1);
        }
        let time = self.cluster_time();
        let template = match kind {
            Kind::Find => &mut self.find,
            Kind::Insert => &mut self.insert,
            Kind::Hello | Kind::Ok => &mut self.ok,
        };
        template.fill(id, answers, time)
    }

    /// A member's hello, in the dress of the request's op code, and its request id.
    pub(super) fn hello(&mut self, member: usize, op_code: i32, answers: i32, flags: u32) -> (Vec<u8>, i32) {
        let id = self.next_id();
        let body = encoded(&self.hello_body(member));
        let message = match op_code {
            OP_MSG => op_msg(id, answers, flags, &body),
            _ => op_reply(id, answers, &body),
        };
        (message, id)
    }

    /// What a member says of itself.
    pub(super) fn hello_body(&self, member: usize) -> Document {
        let Deployment { hosts, is_set } = &self.deployment;
        let primary = !is_set || member == 0;
        let mut body = doc! {
            "helloOk": true,
            "ismaster": primary,
            "isWritablePrimary": primary,
            "topologyVersion": { "processId": process_id(member), "counter": 6i64 },
            "maxBsonObjectSize": 16 * 1024 * 1024,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": DateTime::from_millis(i64::from(BEGAN) * 1000),
            "logicalSessionTimeoutMinutes": 30,
            "connectionId": 1,
            "minWireVersion": 0,
            "maxWireVersion": 17,
            "readOnly": false,
        };
        if *is_set {
            let written = doc! { "ts": self.cluster_time(), "t": 1i64 };
            let date = DateTime::from_millis(i64::from(BEGAN) * 1000);
            body.extend(doc! {
                "setName": SET_NAME,
                "setVersion": 1,
                "hosts": hosts,
                "primary": &hosts[0],
                "me": &hosts[member],
                "secondary": !primary,
                "lastWrite": { "opTime": &written, "lastWriteDate": date, "majorityOpTime": &written, "majorityWriteDate": date },
            });
            if primary {
                body.insert("electionId", ObjectId::from_bytes([1; 12]));
            }
            body.extend(cluster_fields(self.cluster_time()));
        }
        body.insert("ok", 1.0);
        body
    }

    const fn cluster_time(&self) -> Timestamp {
        Timestamp { time: BEGAN, increment: self.writes }
    }

    const fn next_id(&mut self) -> i32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }
}

/// What every answer of a replica set's member ends with.
fn cluster_fields(time: Timestamp) -> Document {
    let hash = Binary { subtype: BinarySubtype::Generic, bytes: vec![0; 20] };
    doc! {
        "$clusterTime": { "clusterTime": time, "signature": { "hash": hash, "keyId": 0i64 } },
        "operationTime": time,
    }
}

fn encoded(body: &Document) -> Vec<u8> {
    bson::serialize_to_vec(body).expect("a document made here can be encoded")
}

/// As BSON has it: the increment first.
fn timestamp_bytes(time: Timestamp) -> [u8; 8] {
    (u64::from(time.time) << 32 | u64::from(time.increment)).to_le_bytes()
}

/// Another one for every member.
fn process_id(member: usize) -> ObjectId {
    let [a, b] = (member as u16 + 1).to_be_bytes();
    ObjectId::from_bytes([7, 7, 7, 7, 7, 7, 7, 7, 7, 7, a, b])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_filled_in() {
        let mut replies = Replies::new(Deployment { hosts: vec!["127.0.0.1:1".into()], is_set: true });
        for kind in [Kind::Ok, Kind::Insert, Kind::Find] {
            let reply = replies.reply(kind, 42).to_vec();
            assert_eq!(reply[8..12], 42i32.to_le_bytes());
            let body: Document = bson::deserialize_from_slice(&reply[21..]).unwrap();
            let time = body.get_document("$clusterTime").unwrap().get_timestamp("clusterTime").unwrap();
            assert_eq!(time, replies.cluster_time());
            assert_eq!(body.get_timestamp("operationTime").unwrap(), time);
        }
    }
}
