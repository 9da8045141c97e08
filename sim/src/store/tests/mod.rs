//! The store as its server sees it: commands in, replies and entries out.

mod replication;
mod retries;
mod transactions;
mod waiting;

use super::{Call, Ran, ReadAt, Session, Store, TransactionPart, Work};
use crate::oplog::{Namespace, SharedEntry};
use bson::{Bson, Document, doc};
use quorate_core::concern::OpTime;

/// A store with a log and a clock.
struct Server {
    store: Store,
    log: Vec<SharedEntry>,
    second: u32,
    read: ReadAt,
}

/// A session's part of a command.
fn session(name: u8, number: Option<i64>, transaction: Option<TransactionPart>) -> Option<Session> {
    Some(Session { lsid: [name; 16], txn_number: number, transaction })
}

fn start(name: u8, number: i64) -> Option<Session> {
    session(name, Some(number), Some(TransactionPart::Start))
}

fn within(name: u8, number: i64) -> Option<Session> {
    session(name, Some(number), Some(TransactionPart::Continue))
}

fn ns(coll: &str) -> Namespace {
    Namespace { db: "t".to_owned(), coll: coll.to_owned() }
}

impl Server {
    fn new() -> Server {
        Server { store: Store::new(1), log: Vec::new(), second: 100, read: ReadAt::Latest }
    }

    /// Works on a command; what it writes is in the log.
    fn work(&mut self, db: &str, work: Work, session: Option<Session>) -> Ran {
        let second = &mut self.second;
        let mut optimes = || {
            *second += 1;
            OpTime::new(1, *second, 1)
        };
        let now = 1_000_000;
        let ran = self.store.run(Call { db, work, now, read: self.read, session, optimes: &mut optimes });
        self.log.extend(ran.entries.iter().cloned());
        ran
    }

    fn try_in(&mut self, session: Option<Session>, command: Document) -> Ran {
        let ends = matches!(
            command.keys().next().map(String::as_str),
            Some("commitTransaction" | "abortTransaction")
        );
        self.work(if ends { "admin" } else { "t" }, Work::Command(command), session)
    }

    /// A command in a session, which must not have to wait.
    fn run_in(&mut self, session: Option<Session>, command: Document) -> Document {
        let ran = self.try_in(session, command);
        assert!(ran.wait.is_none(), "{ran:?}");
        ran.reply
    }

    fn run(&mut self, command: Document) -> Document {
        self.run_in(None, command)
    }

    /// The documents of a collection.
    fn all(&self, coll: &str) -> Vec<Document> {
        self.at(coll, ReadAt::Latest)
    }

    fn at(&self, coll: &str, read: ReadAt) -> Vec<Document> {
        self.store.documents(&ns(coll), read).iter().map(|d| (**d).clone()).collect()
    }

    fn last(&self) -> OpTime {
        self.log.last().map_or_else(OpTime::default, |e| e.optime)
    }
}

fn insert(coll: &str, documents: Vec<Document>) -> Document {
    doc! { "insert": coll, "documents": documents.into_iter().map(Bson::Document).collect::<Vec<_>>() }
}

fn set(coll: &str, id: i32, field: &str, value: i32) -> Document {
    let mut fields = Document::new();
    fields.insert(field, value);
    doc! { "update": coll, "updates": [{ "q": { "_id": id }, "u": { "$set": fields } }] }
}
