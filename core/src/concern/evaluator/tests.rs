use super::*;
use crate::raw::{DocWriter, RawDoc, Timestamp};
use alloc::vec;

const WRITE: OpTime = OpTime::new(3, 100, 5);
const BEFORE: OpTime = OpTime::new(3, 100, 4);

/// Members `have` have the write, members `lag` are up and behind, everybody else is unknown.
fn progress(have: &[i32], lag: &[i32]) -> Vec<MemberProgress> {
    let have = have.iter().map(|id| MemberProgress::up(*id, WRITE));
    have.chain(lag.iter().map(|id| MemberProgress::up(*id, BEFORE))).collect()
}

fn ask(config: &ReplicaSetConfig, wc: &WriteConcern, have: &[i32], lag: &[i32]) -> Evaluation {
    evaluate(config, wc, WRITE, &progress(have, lag))
}

/// The manual's "Configure Replica Set Tag Sets": five members, three in dc_va, two in dc_gto.
fn manual() -> ReplicaSetConfig {
    let place =
        |id, dc: &str, rack: &str| ReplicaSetMember::new(id).with_tag("dc", dc).with_tag("rack", rack);
    ReplicaSetConfig::new([
        place(0, "va", "ra"),
        place(1, "va", "rb"),
        place(2, "gto", "ga"),
        place(3, "gto", "gb"),
        ReplicaSetMember::new(4).with_tag("dc", "va"),
    ])
    .with_mode("eachDC", [("dc", 2)])
    .with_mode("anyRacks", [("rack", 3)])
    .with_mode("both", [("dc", 2), ("rack", 2)])
    .with_mode("threeDC", [("dc", 3)])
}

#[test]
fn each_dc() {
    let config = manual();
    let each_dc = WriteConcern::custom("eachDC");
    let answer = ask(&config, &each_dc, &[0, 1, 4], &[2]);
    assert!(!answer.satisfied && answer.possible_now && answer.possible_ever);
    assert_eq!(answer.waiting_for, [2], "another member of the same data centre would not help");
    assert_eq!(answer.unreachable, [3]);
    assert_eq!(answer.requirements[0].have, 1);
    assert_eq!(
        answer.to_string(),
        "not yet: 1 of 2 different values of tag \"dc\"; waiting for members 2; unreachable: 3"
    );
    let answer = ask(&config, &each_dc, &[0, 3], &[]);
    assert!(answer.satisfied);
    assert!(answer.waiting_for.is_empty() && answer.unreachable.is_empty());
}

#[test]
fn a_data_centre_gone() {
    let answer = ask(&manual(), &WriteConcern::custom("eachDC"), &[0], &[1, 4]);
    assert!(!answer.possible_now && answer.possible_ever);
    assert!(answer.waiting_for.is_empty());
    assert_eq!(answer.unreachable, [2, 3]);
    assert!(answer.error.is_none());
}

#[test]
fn every_tag_of_a_mode_counts() {
    let both = WriteConcern::custom("both");
    assert!(ask(&manual(), &both, &[0, 2], &[]).satisfied);
    let answer = ask(&manual(), &both, &[4, 2], &[0, 1, 3]);
    assert_eq!(answer.requirements.iter().map(|r| (r.have, r.needed)).collect::<Vec<_>>(), [(2, 2), (1, 2)]);
    assert_eq!(answer.waiting_for, [0, 1, 3]);
}

#[test]
fn modes_nobody_knows_or_can_satisfy() {
    let error = ask(&manual(), &WriteConcern::custom("eachDc"), &[0, 1, 2, 3, 4], &[]).error.unwrap();
    assert_eq!((error.code, error.code_name.as_str()), (79, "UnknownReplWriteConcern"));
    let answer = ask(&manual(), &WriteConcern::custom("threeDC"), &[0, 1, 2, 3, 4], &[]);
    assert!(!answer.satisfied && !answer.possible_now && !answer.possible_ever);
    let error = answer.error.unwrap();
    assert_eq!((error.code, error.code_name.as_str()), (100, "UnsatisfiableWriteConcern"));
    assert!(
        error.message.contains("needs 3 different values of tag \"dc\" and there are 2"),
        "{}",
        error.message
    );
}

#[test]
fn numbers_count_everybody_with_data() {
    let config = ReplicaSetConfig::new([
        ReplicaSetMember::new(0),
        ReplicaSetMember::new(1).hidden(),
        ReplicaSetMember::new(2).delayed(3600),
        ReplicaSetMember::new(3).without_vote(),
        ReplicaSetMember::arbiter(4),
    ]);
    let answer = ask(&config, &WriteConcern::nodes(4), &[0, 1, 3, 4], &[2]);
    assert_eq!((answer.satisfied, answer.waiting_for), (false, vec![2]));
    assert!(ask(&config, &WriteConcern::nodes(4), &[0, 1, 2, 3], &[]).satisfied);
    let answer = ask(&config, &WriteConcern::nodes(5), &[0, 1, 2, 3, 4], &[]);
    assert_eq!(answer.error.map(|e| e.code), Some(100), "an arbiter never has a write");
}

#[test]
fn unacknowledged_and_primary_only() {
    let config = manual();
    let answer = ask(&config, &WriteConcern::nodes(0), &[], &[]);
    assert!(answer.satisfied && answer.requirements.is_empty());
    assert!(ask(&config, &WriteConcern::nodes(1), &[0], &[]).satisfied);
    assert!(!ask(&config, &WriteConcern::nodes(1), &[], &[0]).satisfied);
}

#[test]
fn majority_of_primary_secondary_arbiter() {
    let psa = ReplicaSetConfig::new([
        ReplicaSetMember::new(0),
        ReplicaSetMember::new(1),
        ReplicaSetMember::arbiter(2),
    ]);
    assert_eq!((psa.majority_vote_count(), psa.write_majority()), (2, 2));
    let answer = ask(&psa, &WriteConcern::majority(), &[0, 2], &[]);
    assert!(!answer.satisfied && !answer.possible_now && answer.possible_ever);
    assert_eq!(answer.unreachable, [1]);
    assert_eq!(psa.implicit_default(), Acknowledgment::Nodes(1));
    assert!(ask(&psa, &WriteConcern::default(), &[0], &[]).satisfied);
}

#[test]
fn majority_where_arbiters_outvote_the_data() {
    let config = ReplicaSetConfig::new([
        ReplicaSetMember::new(0),
        ReplicaSetMember::arbiter(1),
        ReplicaSetMember::arbiter(2),
    ]);
    assert_eq!((config.majority_vote_count(), config.write_majority()), (2, 1));
    assert!(ask(&config, &WriteConcern::majority(), &[0], &[]).satisfied);
}

#[test]
fn majority_counts_voters_only() {
    let config = ReplicaSetConfig::new([
        ReplicaSetMember::new(0),
        ReplicaSetMember::new(1),
        ReplicaSetMember::new(2).hidden(),
        ReplicaSetMember::new(3).without_vote(),
        ReplicaSetMember::new(4).without_vote(),
    ]);
    let answer = ask(&config, &WriteConcern::majority(), &[0, 3, 4], &[1, 2]);
    assert!(!answer.satisfied);
    assert_eq!(answer.waiting_for, [1, 2], "a hidden member has a vote, the last two have none");
    assert!(ask(&config, &WriteConcern::majority(), &[0, 2], &[]).satisfied);
}

#[test]
fn the_journal() {
    let mut config = ReplicaSetConfig::new((0..3).map(ReplicaSetMember::new));
    let told = [MemberProgress::up(0, WRITE), MemberProgress::up(1, WRITE).journaled_to(BEFORE)];
    let ask = |config: &ReplicaSetConfig, wc: &WriteConcern| evaluate(config, wc, WRITE, &told);
    let with = |j| WriteConcern { journal: Some(j), ..WriteConcern::majority() };
    assert!(!ask(&config, &WriteConcern::majority()).satisfied, "the set's default asks for the journal");
    assert!(ask(&config, &with(false)).satisfied);
    config.write_concern_majority_journal_default = false;
    assert!(ask(&config, &WriteConcern::majority()).satisfied);
    let answer = ask(&config, &with(true));
    assert!(!answer.satisfied && answer.journaled);
    assert_eq!(answer.waiting_for, [1]);
    assert!(ask(&config, &WriteConcern::nodes(2)).satisfied, "w: n does not ask for it by itself");
    assert!(!ask(&config, &WriteConcern { journal: Some(true), ..WriteConcern::nodes(2) }).satisfied);
}

#[test]
fn terms() {
    let config = ReplicaSetConfig::new((0..3).map(ReplicaSetMember::new));
    let later = MemberProgress::up(1, OpTime::new(4, 200, 1));
    let answer = evaluate(&config, &WriteConcern::majority(), WRITE, &[MemberProgress::up(0, WRITE), later]);
    assert!(!answer.satisfied, "in a later term it may have rolled the write back");
}

#[test]
fn what_a_lost_member_had_still_counts() {
    let config = ReplicaSetConfig::new((0..3).map(ReplicaSetMember::new));
    let told = [MemberProgress::up(0, WRITE).gone(), MemberProgress::up(1, BEFORE)];
    let answer = evaluate(&config, &WriteConcern::nodes(2), WRITE, &told);
    assert!(!answer.satisfied && answer.possible_now);
    assert_eq!((answer.waiting_for, answer.unreachable), (vec![1], vec![2]));
}

fn config_doc(members: impl FnOnce(DocWriter<'_>) -> DocWriter<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    DocWriter::new(&mut out)
        .doc("config", |config| {
            config.str("_id", "rs0").array("members", members).doc("settings", |settings| {
                settings.doc("getLastErrorModes", |modes| modes.doc("eachDC", |mode| mode.double("dc", 2.0)))
            })
        })
        .double("ok", 1.0)
        .finish();
    out
}

#[test]
fn reads_the_servers_configuration() {
    let bytes = config_doc(|array| {
        array
            .doc("0", |m| {
                m.i32("_id", 0).str("host", "a:27017").i32("priority", 1).doc("tags", |t| t.str("dc", "va"))
            })
            .doc("1", |m| {
                m.i32("_id", 1).str("host", "b:27017").bool("arbiterOnly", true).double("priority", 0.0)
            })
            .doc("2", |m| {
                let m = m.i32("_id", 7).str("host", "c:27017").bool("hidden", true).i32("priority", 0);
                m.i64("secondaryDelaySecs", 60).i32("votes", 0)
            })
            .doc("3", |m| m.i32("_id", 8).str("host", "d:27017").bool("newlyAdded", true))
    });
    let config = ReplicaSetConfig::from_raw(RawDoc::new(&bytes).unwrap()).unwrap();
    let host = |member: ReplicaSetMember, host: &str| ReplicaSetMember { host: host.into(), ..member };
    let expected = ReplicaSetConfig::new([
        host(ReplicaSetMember::new(0).with_tag("dc", "va"), "a:27017"),
        host(ReplicaSetMember::arbiter(1), "b:27017"),
        host(ReplicaSetMember::new(7).delayed(60).without_vote(), "c:27017"),
        host(ReplicaSetMember::new(8).without_vote(), "d:27017"),
    ]);
    assert_eq!(config, expected.with_mode("eachDC", [("dc", 2)]));
}

#[test]
fn refuses_what_is_no_configuration() {
    let crowd = config_doc(|mut array| {
        for i in 0..51 {
            array = array.doc(&format!("{i}"), |m| m.i32("_id", i).str("host", "h"));
        }
        array
    });
    let twins = config_doc(|array| {
        array.doc("0", |m| m.i32("_id", 1).str("host", "a")).doc("1", |m| m.i32("_id", 1).str("host", "b"))
    });
    let tags = config_doc(|array| array.doc("0", |m| m.i32("_id", 1).str("host", "a").i32("tags", 3)));
    for (bytes, part) in [(crowd, "50"), (twins, "unique"), (tags, "members.tags")] {
        let error = ReplicaSetConfig::from_raw(RawDoc::new(&bytes).unwrap()).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(ReplicaSetConfig::from_raw(RawDoc::EMPTY).is_err());
}

#[test]
fn reads_the_servers_status() {
    let mut out = Vec::new();
    let ts = |time| Timestamp { time, increment: 1 };
    DocWriter::new(&mut out)
        .array("members", |array| {
            array
                .doc("0", |m| {
                    m.i32("_id", 0)
                        .double("health", 1.0)
                        .doc("optime", |o| o.timestamp("ts", ts(9)).i64("t", 2))
                        .doc("optimeDurable", |o| o.timestamp("ts", ts(8)).i64("t", 2))
                })
                .doc("1", |m| {
                    m.i32("_id", 1)
                        .double("health", 0.0)
                        .doc("optime", |o| o.timestamp("ts", Timestamp::default()).i64("t", -1))
                })
        })
        .finish();
    let told = MemberProgress::from_status(RawDoc::new(&out).unwrap()).unwrap();
    let up = MemberProgress::up(0, OpTime::new(2, 9, 1)).journaled_to(OpTime::new(2, 8, 1));
    assert_eq!(told, [up, MemberProgress::down(1)]);
}
