//! `replSetInitiate` and `replSetReconfig`.

use super::net::{Net, host, ms, ordinary, secs};
use crate::repl::{Config, MemberConfig, MemberState};
use bson::{Bson, Document, doc};
use quorate_core::concern::WriteConcern;

fn given(net: &mut Net, i: usize, change: impl FnOnce(&mut Document, &mut Vec<Bson>)) -> Document {
    let mut config = net.ask(i, doc! { "replSetGetConfig": 1 }).get_document("config").unwrap().clone();
    let version = config.get_i32("version").unwrap();
    config.insert("version", version + 1);
    let mut members = config.get_array("members").unwrap().clone();
    change(&mut config, &mut members);
    config.insert("members", members);
    config
}

fn refused(net: &mut Net, change: impl FnOnce(&mut Document, &mut Vec<Bson>)) -> (i32, String) {
    let config = given(net, 0, change);
    let reply = net.ask(0, doc! { "replSetReconfig": config });
    (reply.get_i32("code").unwrap_or(0), reply.get_str("errmsg").unwrap_or("").into())
}

fn edit(members: &mut [Bson], i: usize, field: &str, value: impl Into<Bson>) {
    members[i].as_document_mut().unwrap().insert(field, value);
}

#[test]
fn what_a_real_server_refuses_is_refused_in_its_words() {
    let mut net = Net::elected(1, ordinary(3));
    let said = refused(&mut net, |config, _| drop(config.insert("version", 1)));
    let text = "New replica set configuration version and term must be greater than old, but {version: 1, term: 1} is not greater \
                than {version: 1, term: 1} for replica set rs";
    assert_eq!(said, (103, text.into()));
    let said = refused(&mut net, |_, members| members.truncate(1));
    let text = "Non force replica set reconfig can only add or remove at most 1 voting member.";
    assert_eq!(said, (103, text.into()));
    let said = refused(&mut net, |_, members| drop(members.remove(0)));
    let text = "No host described in new configuration with {version: 2, term: 1} for replica set rs maps to this node";
    assert_eq!(said, (74, text.into()));
    let said = refused(&mut net, |_, members| edit(members, 0, "priority", 0));
    let text = "This node, m0.test:27017, with _id MemberId(0) is not electable under the new configuration with {version: 2, \
                term: 1} for replica set rs";
    assert_eq!(said, (104, text.into()));
    let said = refused(&mut net, |_, members| edit(members, 2, "hidden", true));
    let text = "member: { _id: 2, host: \"m2.test:27017\", arbiterOnly: false, buildIndexes: true, hidden: true, priority: 1.0, \
                tags: {}, secondaryDelaySecs: 0, votes: 1 } :: caused by :: priority must be 0 when hidden=true";
    assert_eq!(said, (93, text.into()));
    let said = refused(&mut net, |_, members| edit(members, 2, "_id", 9));
    assert_eq!(said.0, 103);
    let said = refused(&mut net, |config, _| drop(config.insert("foo", 1)));
    assert_eq!(said, (93, "BSON field 'ReplSetConfig.foo' is an unknown field.".into()));
    let said = refused(&mut net, |_, members| edit(members, 2, "host", "m1.test:27017"));
    assert_eq!(said.0, 103);
    let reply = net.ask(1, doc! { "replSetReconfig": { "_id": "rs" } });
    assert_eq!(reply.get_i32("code").ok(), Some(10107));
}

#[test]
fn a_configuration_comes_back_as_it_was_shown() {
    let m = |i: usize| MemberConfig::new(i as i32, host(i));
    let mut config = Config::new("rs", vec![m(0).tag("dc", "a"), m(1).priority(0.5), m(2).delayed(secs(9))]);
    config.settings.modes.insert("x".into(), [("dc".to_string(), 1)].into());
    let document = config.to_document();
    assert_eq!(Config::parse(&document), Ok(config));
}

#[test]
fn members_come_and_go() {
    let mut net = Net::with(3, Config::new("rs", ordinary(3)), 1);
    net.run(secs(1));
    net.command(0, doc! { "replSetStepUp": 1 });
    net.run(secs(4));
    net.write(0, 20, &WriteConcern::majority());
    net.run(secs(1));
    let config = given(&mut net, 0, |_, members| {
        members.push(doc! { "_id": 3, "host": "m3.test:27017" }.into());
    });
    let start = net.now;
    assert_eq!(net.ask(0, doc! { "replSetReconfig": config }), doc! { "ok": 1.0 });
    assert!(net.now - start < ms(2_600), "{:?}", net.now - start);
    net.wait(secs(10), "SECONDARY", |net| net.is(3, MemberState::Secondary));
    net.wait(secs(10), "a vote", |net| net.members[3].config().is_some_and(|config| config.voters() == 4));
    net.run(secs(5));
    let (waiter, _) = net.write(0, 1, &WriteConcern::nodes(4));
    net.wait(secs(2), "all four", |net| net.waited.contains_key(&waiter));
    assert_eq!(net.stores[3].len(), net.stores[0].len());

    let config = given(&mut net, 0, |_, members| drop(members.pop()));
    net.ask(0, doc! { "replSetReconfig": config });
    net.wait(secs(5), "REMOVED", |net| net.is(3, MemberState::Removed));
    let hello = net.members[3].hello_fields(net.now);
    assert_eq!(hello.get_bool("isreplicaset").ok(), Some(true));
    let status = net.ask(3, doc! { "replSetGetStatus": 1 });
    assert_eq!(status.get_i32("code").ok(), Some(93));
    // And back again.
    let config = given(&mut net, 0, |_, members| {
        members.push(doc! { "_id": 3, "host": "m3.test:27017" }.into());
    });
    net.ask(0, doc! { "replSetReconfig": config });
    net.wait(secs(10), "SECONDARY", |net| net.is(3, MemberState::Secondary));
}

#[test]
fn a_member_that_is_not_there_may_be_added_and_has_no_vote() {
    let mut net = Net::elected(3, ordinary(3));
    let config = given(&mut net, 0, |_, members| {
        members.push(doc! { "_id": 3, "host": "nobody.test:27017" }.into());
    });
    assert_eq!(net.ask(0, doc! { "replSetReconfig": config }), doc! { "ok": 1.0 });
    net.run(secs(30));
    assert_eq!(net.primary(), Some(0));
    assert_eq!(net.members[1].config().unwrap().voters(), 3);
    let status = net.ask(0, doc! { "replSetGetStatus": 1 });
    let last = status.get_array("members").unwrap()[3].as_document().unwrap().clone();
    assert_eq!(last.get_str("stateStr").ok(), Some("(not reachable/healthy)"));
}

#[test]
fn by_force_a_minority_gets_a_primary() {
    let mut net = Net::elected(3, ordinary(3));
    net.crash(0);
    net.crash(1);
    net.run(secs(15));
    let config = given(&mut net, 2, |_, members| drop(members.drain(..2)));
    assert_eq!(net.ask(2, doc! { "replSetReconfig": config, "force": true }), doc! { "ok": 1.0 });
    net.wait(secs(1), "a primary", |net| net.primary() == Some(2));
    assert!(net.members[2].config().unwrap().version > 10_000);
}

#[test]
fn a_set_is_initiated() {
    let mut net = Net::with(5, Config::new("other", []), 3);
    let hosts = |ids: &[i32]| -> Vec<Bson> {
        ids.iter().map(|i| doc! { "_id": i, "host": format!("m{i}.test:27017") }.into()).collect()
    };
    let reply = net.ask(0, doc! { "replSetInitiate": { "_id": "zz", "members": hosts(&[0]) } });
    let text = "Rejecting initiate with a set name that differs from command line set name, initiate set name: zz, command line set \
                name: rs";
    assert_eq!(reply, doc! { "ok": 0.0, "errmsg": text, "code": 93, "codeName": "InvalidReplicaSetConfig" });
    net.crash(2);
    let reply = net.ask(0, doc! { "replSetInitiate": { "_id": "rs", "members": hosts(&[0, 1, 2]) } });
    let text = "replSetInitiate quorum check failed because not all proposed set members responded affirmatively: m2.test:27017 \
                failed with Error connecting to m2.test:27017 :: caused by :: Connection refused";
    assert_eq!((reply.get_i32("code").ok(), reply.get_str("errmsg").ok()), (Some(74), Some(text)));
    net.start(2);
    let reply = net.ask(0, doc! { "replSetInitiate": { "_id": "rs", "members": hosts(&[0, 1, 2]) } });
    assert_eq!(reply, doc! { "ok": 1.0 });
    assert!(net.is(0, MemberState::Secondary));
    net.wait(secs(5), "the others", |net| (1..3).all(|i| net.is(i, MemberState::Secondary)));
    let reply = net.ask(0, doc! { "replSetInitiate": {} });
    assert_eq!(reply.get_i32("code").ok(), Some(23));
    net.wait(secs(14), "a primary", |net| net.primary().is_some());
    let primary = net.primary().unwrap();
    let (waiter, _) = net.write(primary, 1, &WriteConcern::nodes(3));
    net.wait(secs(5), "everybody", |net| net.waited.contains_key(&waiter));
}
