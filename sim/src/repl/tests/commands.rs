//! Commands and documents, held against what 6.0.5 gave.

use super::net::{Net, host, ms, ordinary, secs};
use crate::repl::{MemberConfig, MemberState};
use bson::{Bson, Document, doc};
use quorate_core::concern::WriteConcern;

fn code(reply: &Document) -> (i32, &str) {
    (reply.get_i32("code").unwrap_or(0), reply.get_str("errmsg").unwrap_or(""))
}

fn keys(document: &Document) -> Vec<&str> {
    document.keys().map(String::as_str).collect()
}

#[test]
fn step_down_checks_what_it_is_given() {
    let mut net = Net::elected(1, ordinary(3));
    for (body, message) in [
        (doc! { "replSetStepDown": -1 }, "stepdown period must be a positive integer"),
        (doc! { "replSetStepDown": 5 }, "stepdown period must be longer than secondaryCatchUpPeriodSecs"),
        (
            doc! { "replSetStepDown": 5, "secondaryCatchUpPeriodSecs": -6 },
            "secondaryCatchUpPeriodSecs period must be a positive or absent",
        ),
    ] {
        assert_eq!(code(&net.ask(0, body)), (2, message));
    }
    let reply = net.ask(1, doc! { "replSetStepDown": 60 });
    assert_eq!(code(&reply), (10107, "not primary so can't step down"));
}

#[test]
fn step_down_waits_for_a_secondary_and_gives_up() {
    let mut net = Net::elected(1, ordinary(3));
    net.hang(1);
    net.hang(2);
    let (waiter, _) = net.write(0, 1, &WriteConcern::majority());
    let call = net.command(0, doc! { "replSetStepDown": 20, "secondaryCatchUpPeriodSecs": 3 });
    net.run(ms(100));
    // While it waits it takes no writes, and those under way have been ended.
    assert!(!net.members[0].is_writable_primary() && net.is(0, MemberState::Primary));
    assert_eq!(net.waited[&waiter].1.as_ref().unwrap_err().code, 11602);
    let hello = net.members[0].hello_fields(net.now);
    assert!(!hello.get_bool("isWritablePrimary").unwrap() && !hello.get_bool("secondary").unwrap());
    let time = net.wait(secs(5), "an answer", |net| net.answered.contains_key(&call));
    assert_eq!(time, ms(2_900));
    let (code, text) = code(&net.answered[&call].1);
    assert_eq!(code, 262);
    assert!(text.starts_with("No electable secondaries caught up as of 2026-01-01T00:00:0"), "{text}");
    assert!(net.members[0].is_writable_primary());
    // By force it goes.
    let reply = net.ask(0, doc! { "replSetStepDown": 20, "secondaryCatchUpPeriodSecs": 0, "force": true });
    assert_eq!(reply, doc! { "ok": 1.0 });
    assert!(net.is(0, MemberState::Secondary));
}

#[test]
fn freeze_and_step_up_answer_as_the_server() {
    let mut net = Net::elected(1, ordinary(3));
    let text = "Cannot freeze node when primary or running for election, state: Primary";
    assert_eq!(code(&net.ask(0, doc! { "replSetFreeze": 10 })), (95, text));
    assert_eq!(net.ask(1, doc! { "replSetFreeze": 10 }), doc! { "ok": 1.0 });
    assert_eq!(code(&net.ask(1, doc! { "replSetStepUp": 1 })), (125, "Election failed."));
    assert_eq!(net.ask(1, doc! { "replSetFreeze": 0 }), doc! { "info": "unfreezing", "ok": 1.0 });
    assert_eq!(net.ask(1, doc! { "replSetStepUp": 1 }), doc! { "ok": 1.0 });
    net.wait(secs(1), "member 1 is primary", |net| net.primary() == Some(1));
    assert_eq!(net.ask(1, doc! { "replSetStepUp": 1 }), doc! { "ok": 1.0 });
}

#[test]
fn a_frozen_member_is_not_elected() {
    let mut net = Net::elected(1, ordinary(3));
    net.ask(1, doc! { "replSetFreeze": 60 });
    net.ask(2, doc! { "replSetFreeze": 60 });
    net.crash(0);
    net.run(secs(50));
    assert_eq!(net.primary(), None);
    net.wait(secs(25), "thawed", |net| net.primary().is_some());
}

#[test]
fn hello_tells_each_kind_of_member_apart() {
    let m = |i: usize| MemberConfig::new(i as i32, host(i));
    let mut net = Net::elected(
        1,
        vec![m(0).tag("dc", "a"), m(1), m(2).arbiter(), m(3).hidden(), m(4).non_voting(), {
            m(5).delayed(secs(7)).non_voting()
        }],
    );
    net.write(0, 1, &WriteConcern::majority());
    net.run(secs(20));
    let hello = |i: usize| net.members[i].hello_fields(net.now);
    let primary = hello(0);
    let expected = "hosts passives arbiters setName setVersion isWritablePrimary secondary primary tags me electionId lastWrite";
    assert_eq!(keys(&primary).join(" "), expected);
    assert_eq!(primary.get_object_id("electionId").unwrap().to_hex(), "7fffffff0000000000000001");
    assert_eq!(keys(primary.get_document("lastWrite").unwrap()).len(), 4);
    assert_eq!(primary.get_array("hosts").unwrap().len(), 2);
    assert_eq!(primary.get_array("passives").unwrap(), &[Bson::from("m4.test:27017")]);
    for i in 1..6 {
        let other = hello(i);
        assert_eq!(other.get_str("primary").ok(), Some("m0.test:27017"));
        assert_eq!(other.get_bool("secondary").ok(), Some(i != 2), "{i}");
        assert_eq!(other.get_bool("arbiterOnly").is_ok(), i == 2);
        assert_eq!(other.get_bool("passive").is_ok(), i > 2);
        assert_eq!(other.get_bool("hidden").is_ok(), i == 3 || i == 5);
        assert_eq!(other.get_i32("secondaryDelaySecs").is_ok(), i == 5);
        assert!(!other.contains_key("electionId"));
    }
}

#[test]
fn status_has_the_shape_of_the_real_one() {
    let mut net = Net::elected(1, ordinary(3));
    net.write(0, 1, &WriteConcern::majority());
    net.crash(2);
    net.run(secs(3));
    let status = net.ask(0, doc! { "replSetGetStatus": 1 });
    assert_eq!(
        keys(&status).join(" "),
        "set date myState term syncSourceHost syncSourceId heartbeatIntervalMillis majorityVoteCount writeMajorityCount \
         votingMembersCount writableVotingMembersCount optimes lastStableRecoveryTimestamp electionCandidateMetrics members ok"
    );
    let members: Vec<&Document> =
        status.get_array("members").unwrap().iter().map(|member| member.as_document().unwrap()).collect();
    assert_eq!(
        keys(members[0]).join(" "),
        "_id name health state stateStr uptime optime optimeDate lastAppliedWallTime lastDurableWallTime syncSourceHost \
         syncSourceId infoMessage electionTime electionDate configVersion configTerm self lastHeartbeatMessage"
    );
    assert_eq!(
        keys(members[1]).join(" "),
        "_id name health state stateStr uptime optime optimeDurable optimeDate optimeDurableDate lastAppliedWallTime \
         lastDurableWallTime lastHeartbeat lastHeartbeatRecv pingMs lastHeartbeatMessage syncSourceHost syncSourceId infoMessage \
         configVersion configTerm"
    );
    assert_eq!(members[2].get_str("stateStr").ok(), Some("(not reachable/healthy)"));
    assert_eq!(members[2].get_f64("health").ok(), Some(0.0));
    let other = net.ask(1, doc! { "replSetGetStatus": 1 });
    assert!(other.contains_key("electionParticipantMetrics"));
    assert_eq!(other.get_i32("myState").ok(), Some(2));
}

#[test]
fn without_a_configuration_there_is_nothing_to_say() {
    let mut net = Net::with(1, crate::repl::Config::new("rs", ordinary(1)), 1);
    for name in ["replSetGetStatus", "replSetGetConfig", "replSetStepDown", "replSetFreeze", "replSetStepUp"]
    {
        let reply = net.ask(1, doc! { name: 1 });
        assert_eq!(code(&reply), (94, "no replset config has been received"), "{name}");
    }
    let hello = net.members[1].hello_fields(net.now);
    assert_eq!(hello.get_str("info").ok(), Some("Does not have a valid replica set config"));
}

#[test]
fn maintenance_makes_a_secondary_recovering() {
    let mut net = Net::elected(1, ordinary(3));
    net.ask(1, doc! { "replSetMaintenance": true });
    assert!(net.is(1, MemberState::Recovering));
    net.run(secs(30));
    assert!(net.is(1, MemberState::Recovering));
    net.ask(1, doc! { "replSetMaintenance": false });
    assert!(net.is(1, MemberState::Secondary));
}
