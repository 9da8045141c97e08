//! Statements that come again.

use super::*;

fn numbered(number: i64) -> Option<Session> {
    session(7, Some(number), None)
}

#[test]
fn a_statement_is_carried_out_once() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1, "x": 0 }]));
    let add = doc! { "update": "c", "updates": [{ "q": { "_id": 1 }, "u": { "$inc": { "x": 1 } } }] };
    assert_eq!(server.run_in(numbered(1), add.clone()), doc! { "n": 1, "nModified": 1 });
    let again = server.run_in(numbered(1), add.clone());
    assert_eq!(again, doc! { "n": 1, "retriedStmtIds": [0], "nModified": 1 });
    assert_eq!(server.all("c"), [doc! { "_id": 1, "x": 1 }]);
    assert_eq!(server.run_in(numbered(0), add).get_i32("code").ok(), Some(225));
}

#[test]
fn what_matched_nothing_is_tried_again() {
    let mut server = Server::new();
    server.run(insert("c", vec![doc! { "_id": 1 }]));
    let remove = doc! { "findAndModify": "c", "query": { "_id": 2 }, "remove": true };
    server.run_in(numbered(1), remove.clone());
    server.run(insert("c", vec![doc! { "_id": 2 }]));
    let again = server.run_in(numbered(1), remove);
    assert_eq!(again.get_document("value").ok(), Some(&doc! { "_id": 2 }));
}

#[test]
fn a_statement_is_known_where_its_entry_is() {
    let mut server = Server::new();
    let add = insert("c", vec![doc! { "_id": 1 }, doc! { "_id": 2 }]);
    server.run_in(numbered(1), add.clone());
    let mut other = Server::new();
    server.log.iter().for_each(|entry| other.store.apply(entry));
    other.second = 200;
    assert_eq!(other.run_in(numbered(1), add.clone()), doc! { "n": 2, "retriedStmtIds": [0, 1] });
    // The second document is rolled back, and its statement with it.
    let entry = &server.log[1];
    other.store.roll_back_to(entry.optime);
    assert_eq!(other.run_in(numbered(1), add), doc! { "n": 2, "retriedStmtIds": [0] });
    assert_eq!(other.all("c").len(), 2);
}
