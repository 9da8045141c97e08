//! Transactions in progress: what they see, what is in whose way, how they end.

use super::*;
use crate::oplog::Change;

#[test]
fn a_transaction_sees_its_own_writes_and_nobody_else_does() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1, "x": 0 }]));
    server.run_in(start(1, 1), set("c", 1, "x", 1));
    server.run_in(within(1, 1), insert("c", vec![doc! { "_id": 2 }]));
    let seen = server.run_in(within(1, 1), doc! { "find": "c" });
    assert_eq!(seen.get_document("cursor").unwrap().get_array("firstBatch").unwrap().len(), 2);
    assert_eq!(server.all("c"), [doc! { "_id": 1, "x": 0 }]);
    let written = server.log.len();
    server.run_in(within(1, 1), doc! { "commitTransaction": 1 });
    assert_eq!(server.all("c"), [doc! { "_id": 1, "x": 1 }, doc! { "_id": 2 }]);
    assert_eq!(server.log.len(), written + 1, "all of it is one entry");
    let entry = server.log.last().unwrap();
    assert!(matches!(entry.changes.as_slice(), [Change::Put { .. }, Change::Put { .. }]));
    assert_eq!(entry.statement.as_ref().unwrap().txn_number, 1);
    let again = server.run_in(within(1, 1), doc! { "commitTransaction": 1 });
    assert_eq!(again, doc! {}, "a commit whose reply got lost is answered again");
    assert_eq!(server.log.len(), written + 1);
}

#[test]
fn a_snapshot_does_not_move_and_what_changed_since_conflicts() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1, "x": 0 }]));
    server.run_in(start(1, 1), doc! { "find": "c" });
    server.run(set("c", 1, "x", 5));
    let seen = server.run_in(within(1, 1), doc! { "find": "c", "filter": { "x": 0 } });
    assert_eq!(seen.get_document("cursor").unwrap().get_array("firstBatch").unwrap().len(), 1);
    let conflict = server.run_in(within(1, 1), set("c", 1, "x", 1));
    assert_eq!(conflict.get_i32("code").ok(), Some(112));
    assert_eq!(conflict.get_array("errorLabels").unwrap()[0].as_str(), Some("TransientTransactionError"));
    assert_eq!(server.run_in(within(1, 1), doc! { "commitTransaction": 1 }).get_i32("code").ok(), Some(251));
    assert_eq!(server.all("c"), [doc! { "_id": 1, "x": 5 }]);
}

#[test]
fn two_transactions_do_not_write_one_document() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1, "x": 0 }]));
    server.run_in(start(1, 1), set("c", 1, "x", 1));
    assert_eq!(server.run_in(start(2, 1), set("c", 1, "x", 2)).get_i32("code").ok(), Some(112));
    server.run_in(within(1, 1), insert("c", vec![doc! { "_id": 9 }]));
    assert_eq!(
        server.run_in(start(2, 2), insert("c", vec![doc! { "_id": 9 }])).get_i32("code").ok(),
        Some(112)
    );
    server.run_in(within(1, 1), doc! { "abortTransaction": 1 });
    assert_eq!(server.all("c"), [doc! { "_id": 1, "x": 0 }]);
    server.run_in(start(2, 3), set("c", 1, "x", 2));
    server.run_in(within(2, 3), doc! { "commitTransaction": 1 });
    assert_eq!(server.all("c"), [doc! { "_id": 1, "x": 2 }]);
}

#[test]
fn a_collection_made_in_a_transaction_is_there_once_it_commits() {
    let mut server = Server::new();
    server.run_in(start(1, 1), insert("made", vec![doc! { "_id": 1 }]));
    assert!(server.store.namespaces(ReadAt::Latest).is_empty());
    server.run_in(within(1, 1), doc! { "abortTransaction": 1 });
    server.run_in(start(1, 2), insert("made", vec![doc! { "_id": 2 }]));
    server.run_in(within(1, 2), doc! { "commitTransaction": 1 });
    assert_eq!(server.all("made"), [doc! { "_id": 2 }]);
}

#[test]
fn a_unique_key_is_held_until_the_end() {
    let mut server = Server::new();
    server
        .run(doc! { "createIndexes": "c", "indexes": [{ "key": { "u": 1 }, "name": "u", "unique": true }] });
    server.run(insert("c", vec![doc! { "_id": 1, "u": 1 }]));
    // The key moves to another document within a transaction.
    server.run_in(start(1, 1), doc! { "delete": "c", "deletes": [{ "q": { "_id": 1 }, "limit": 1 }] });
    server.run_in(within(1, 1), insert("c", vec![doc! { "_id": 2, "u": 1 }]));
    assert!(server.try_in(None, insert("c", vec![doc! { "_id": 3, "u": 1 }])).wait.is_some());
    server.run_in(within(1, 1), doc! { "commitTransaction": 1 });
    let refused = server.run(insert("c", vec![doc! { "_id": 3, "u": 1 }]));
    assert_eq!(refused.get_array("writeErrors").unwrap().len(), 1);
    server.run(doc! { "delete": "c", "deletes": [{ "q": { "_id": 2 }, "limit": 1 }] });
    assert_eq!(server.run(insert("c", vec![doc! { "_id": 3, "u": 1 }])), doc! { "n": 1 });
}

#[test]
fn a_step_down_and_a_minute_end_it() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1 }]));
    server.run_in(start(1, 1), set("c", 1, "x", 1));
    let expiry = server.store.next_expiry().unwrap();
    server.store.expire(expiry - 1);
    assert_eq!(server.store.open(), (0, 1));
    server.store.expire(expiry);
    assert_eq!(server.store.open(), (0, 0));
    server.run_in(start(1, 2), set("c", 1, "x", 1));
    server.store.step_down();
    assert_eq!(server.run_in(within(1, 2), doc! { "commitTransaction": 1 }).get_i32("code").ok(), Some(251));
    assert_eq!(server.all("c"), [doc! { "_id": 1 }]);
}
