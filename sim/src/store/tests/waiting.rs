//! Commands that wait: for a transaction's end, for data.

use super::*;
use crate::store::WaitFor;

#[test]
fn a_write_waits_for_the_transaction_that_holds_its_document() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1, "x": 0 }]));
    server.run_in(start(1, 1), set("c", 1, "x", 1));
    let ran = server.try_in(None, insert("c", vec![doc! { "_id": 5 }, doc! { "_id": 6 }]));
    assert!(ran.wait.is_none());
    let updates = doc! { "update": "c", "updates": [
        { "q": { "_id": 5 }, "u": { "$set": { "x": 7 } } },
        { "q": { "_id": 1 }, "u": { "$inc": { "x": 10 } } },
    ] };
    let wait = server.try_in(None, updates).wait.expect("it must wait");
    assert_eq!(wait.on, WaitFor::Transaction);
    assert_eq!(server.all("c")[1], doc! { "_id": 5, "x": 7 }, "what comes before is done");
    let generation = server.store.generation();
    let ran = server.work("t", Work::Again { parked: wait.parked, last: false }, None);
    let wait = ran.wait.expect("it waits on");
    server.run_in(within(1, 1), doc! { "commitTransaction": 1 });
    assert_ne!(server.store.generation(), generation);
    let ran = server.work("t", Work::Again { parked: wait.parked, last: false }, None);
    assert_eq!(ran.reply, doc! { "n": 2, "nModified": 2 });
    assert_eq!(server.all("c")[0], doc! { "_id": 1, "x": 11 });
}

#[test]
fn a_drop_waits_too() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1, "x": 0 }]));
    server.run_in(start(1, 1), set("c", 1, "x", 1));
    let wait = server.try_in(None, doc! { "drop": "c" }).wait.expect("it must wait");
    server.run_in(within(1, 1), doc! { "abortTransaction": 1 });
    let ran = server.work("t", Work::Again { parked: wait.parked, last: false }, None);
    assert_eq!(ran.reply, doc! { "nIndexesWas": 1, "ns": "t.c" });
}

#[test]
fn a_tailable_cursor_waits_for_data() {
    let mut server = Server::new();
    server.run(doc! { "create": "c", "capped": true, "size": 1000 });
    server.run(insert("c", vec![doc! { "_id": 1 }]));
    let reply = server.run(doc! { "find": "c", "tailable": true, "awaitData": true });
    let id = reply.get_document("cursor").unwrap().get_i64("id").unwrap();
    let more = doc! { "getMore": id, "collection": "c", "maxTimeMS": 250 };
    let wait = server.try_in(None, more.clone()).wait.expect("nothing is there yet");
    assert_eq!(wait.on, WaitFor::Data { ns: ns("c"), millis: 250 });
    server.run(insert("c", vec![doc! { "_id": 2 }]));
    let ran = server.work("t", Work::Again { parked: wait.parked, last: false }, None);
    let batch = ran.reply.get_document("cursor").unwrap().get_array("nextBatch").unwrap().clone();
    assert_eq!(batch, [Bson::Document(doc! { "_id": 2 })]);
    let wait = server.try_in(None, more).wait.expect("nothing again");
    let ran = server.work("t", Work::Again { parked: wait.parked, last: true }, None);
    let cursor = ran.reply.get_document("cursor").unwrap();
    assert_eq!((cursor.get_i64("id").unwrap(), cursor.get_array("nextBatch").unwrap().len()), (id, 0));
}
