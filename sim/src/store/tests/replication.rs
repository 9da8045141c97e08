//! What follows from the log: the same data everywhere, taken back, forgotten, rebuilt.

use super::*;

/// A bit of everything, entry by entry.
fn busy() -> Server {
    let mut server = Server::new();
    server.run(insert("a", (0..5).map(|i| doc! { "_id": i, "v": 0 }).collect()));
    server.run(doc! { "createIndexes": "a", "indexes": [{ "key": { "v": 1 }, "name": "v" }] });
    server.run(set("a", 1, "v", 1));
    server.run(doc! { "delete": "a", "deletes": [{ "q": { "_id": 2 }, "limit": 1 }] });
    server.run(insert("a", vec![doc! { "_id": 2, "again": true }]));
    server.run(insert("b", vec![doc! { "_id": 1 }]));
    server.run(doc! { "drop": "b" });
    server.run(insert("b", vec![doc! { "_id": 9 }]));
    server.run(doc! { "dropIndexes": "a", "index": "v" });
    server.run(doc! { "create": "cap", "capped": true, "size": 1000, "max": 2 });
    server.run(insert("cap", (0..4).map(|i| doc! { "_id": i }).collect()));
    server.run_in(start(1, 1), set("a", 3, "v", 3));
    server.run_in(within(1, 1), insert("new", vec![doc! { "_id": 1 }]));
    server.run_in(within(1, 1), doc! { "commitTransaction": 1 });
    server.run_in(session(2, Some(1), None), set("a", 4, "v", 4));
    server
}

/// All there is to see.
fn picture(store: &Store, read: ReadAt) -> String {
    let mut picture = String::new();
    for ns in store.namespaces(read) {
        picture.push_str(&format!("{ns:?}: {:?}\n", store.documents(&ns, read)));
    }
    picture
}

fn listed(store: &mut Store, command: &str, coll: &str) -> Document {
    let mut body = Document::new();
    body.insert(command, coll);
    let mut optimes = OpTime::default;
    let call = Call {
        db: "t",
        work: Work::Command(body),
        now: 0,
        read: ReadAt::Latest,
        session: None,
        optimes: &mut optimes,
    };
    store.run(call).reply
}

#[test]
fn a_follower_has_the_same_at_every_entry_and_can_go_back_to_it() {
    let server = busy();
    let mut follower = Store::new(9);
    let mut pictures = vec![(OpTime::default(), picture(&follower, ReadAt::Latest))];
    for entry in &server.log {
        follower.apply(entry);
        pictures.push((entry.optime, picture(&follower, ReadAt::Latest)));
    }
    assert_eq!(picture(&follower, ReadAt::Latest), picture(&server.store, ReadAt::Latest));
    // Old moments can still be read.
    for (at, expected) in &pictures {
        assert_eq!(&picture(&follower, ReadAt::At(at.ts)), expected);
        assert_eq!(&picture(&server.store, ReadAt::At(at.ts)), expected);
    }
    for (at, expected) in pictures.iter().rev() {
        follower.roll_back_to(*at);
        assert_eq!(follower.last_applied(), *at);
        assert_eq!(&picture(&follower, ReadAt::Latest), expected, "{at:?}");
    }
    server.log.iter().for_each(|entry| follower.apply(entry));
    assert_eq!(picture(&follower, ReadAt::Latest), picture(&server.store, ReadAt::Latest));
}

#[test]
fn what_is_committed_is_read_and_its_past_forgotten() {
    let mut server = busy();
    let middle = server.log[9].optime;
    server.store.keep_history(0);
    server.store.commit_point(middle);
    assert_eq!(picture(&server.store, ReadAt::Committed), picture(&server.store, ReadAt::At(middle.ts)));
    assert_ne!(picture(&server.store, ReadAt::Committed), picture(&server.store, ReadAt::Latest));
    let before = picture(&server.store, ReadAt::Latest);
    server.store.commit_point(server.last());
    assert_eq!(picture(&server.store, ReadAt::Latest), before);
    server.read = ReadAt::At(middle.ts);
    assert_eq!(server.run(doc! { "find": "a" }).get_i32("code").ok(), Some(239), "too long ago");
}

#[test]
fn a_store_is_rebuilt_from_entries() {
    let mut server = busy();
    let mut copy = Store::new(9);
    server.store.rebuild().iter().for_each(|entry| copy.apply(entry));
    assert_eq!(copy.last_applied(), server.last());
    assert_eq!(picture(&copy, ReadAt::Latest), picture(&server.store, ReadAt::Latest));
    for command in ["listIndexes", "listCollections"] {
        assert_eq!(listed(&mut copy, command, "a"), listed(&mut server.store, command, "a"));
    }
    let mut other = Server { store: copy, log: Vec::new(), second: 500, read: ReadAt::Latest };
    let retried = other.run_in(session(2, Some(1), None), set("a", 4, "v", 4));
    assert_eq!(retried, doc! { "n": 1, "retriedStmtIds": [0], "nModified": 1 });
    assert_eq!(other.run_in(within(1, 1), doc! { "commitTransaction": 1 }), doc! {});
}

#[test]
fn a_crash_loses_what_is_open_and_what_is_not_durable() {
    let mut server = busy();
    let durable = server.log[3].optime;
    let reply = server.run(doc! { "find": "a", "batchSize": 1 });
    assert_ne!(reply.get_document("cursor").unwrap().get_i64("id").ok(), Some(0));
    server.run_in(start(3, 1), set("a", 0, "v", 9));
    server.store.crash(durable);
    assert_eq!(server.store.open(), (0, 0));
    assert_eq!(server.store.last_applied(), durable);
    assert_eq!(server.all("a").len(), 3);
}

#[test]
fn the_same_seed_makes_the_same_ids() {
    let ids = |seed| {
        let mut server = Server { store: Store::new(seed), ..Server::new() };
        server.run(insert("c", vec![doc! {}, doc! {}]));
        format!("{:?} {:?}", server.all("c"), server.run(doc! { "find": "c", "batchSize": 1 }))
    };
    assert_eq!(ids(3), ids(3));
    assert_ne!(ids(3), ids(4));
}
