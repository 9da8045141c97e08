//! The write-concern evaluator against a slow, obvious second one: counting by hand, asking "what if this member had it too"
//! by trying it.

use proptest::prelude::*;
use quorate_core::concern::{
    Acknowledgment, MemberProgress, OpTime, ReplicaSetConfig, ReplicaSetMember, UNKNOWN_REPL_WRITE_CONCERN,
    UNSATISFIABLE_WRITE_CONCERN, WriteConcern, evaluate,
};
use std::collections::{BTreeMap, BTreeSet};

const WRITE: OpTime = OpTime::new(2, 10, 0);

/// How short each part of the write concern is when exactly `holders` have the write; `None` for an unknown mode.
fn shortfalls(config: &ReplicaSetConfig, w: &Acknowledgment, holders: &BTreeSet<i32>) -> Option<Vec<usize>> {
    let holding = |m: &&ReplicaSetMember| !m.arbiter && holders.contains(&m.id);
    match w {
        Acknowledgment::Nodes(n) => {
            let have = config.members.iter().filter(holding).count();
            Some(vec![(*n as usize).saturating_sub(have)])
        }
        Acknowledgment::Majority => {
            let votes = config.members.iter().filter(|m| m.votes).count();
            let electorate = config.members.iter().filter(|m| m.votes && !m.arbiter).count();
            let needed = if votes / 2 + 1 < electorate { votes / 2 + 1 } else { electorate };
            let have = config.members.iter().filter(holding).filter(|m| m.votes).count();
            Some(vec![needed.saturating_sub(have)])
        }
        Acknowledgment::Custom(name) => {
            let part = |(tag, needed): (&String, &u32)| {
                let holding = config.members.iter().filter(holding);
                let values: BTreeSet<&String> = holding.filter_map(|m| m.tags.get(tag)).collect();
                (*needed as usize).saturating_sub(values.len())
            };
            Some(config.modes.get(name)?.iter().map(part).collect())
        }
    }
}

fn satisfied(config: &ReplicaSetConfig, w: &Acknowledgment, holders: &BTreeSet<i32>) -> bool {
    shortfalls(config, w, holders).is_some_and(|short| short.iter().all(|missing| *missing == 0))
}

fn tags() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    let value = || proptest::option::of(prop_oneof![Just("x"), Just("y"), Just("z")]);
    (value(), value()).prop_map(|(dc, rack)| {
        [("dc", dc), ("rack", rack)].into_iter().filter_map(|(tag, value)| Some((tag, value?))).collect()
    })
}

fn member(id: i32) -> impl Strategy<Value = ReplicaSetMember> {
    (0..6u8, tags()).prop_map(move |(kind, tags)| {
        let member = match kind {
            0 => return ReplicaSetMember::arbiter(id),
            1 => ReplicaSetMember::new(id).hidden(),
            2 => ReplicaSetMember::new(id).delayed(60),
            3 => ReplicaSetMember::new(id).without_vote(),
            _ => ReplicaSetMember::new(id),
        };
        tags.into_iter().fold(member, |member, (tag, value)| member.with_tag(tag, value))
    })
}

fn config() -> impl Strategy<Value = ReplicaSetConfig> {
    let members = (0..8usize).prop_flat_map(|n| (0..n as i32).map(member).collect::<Vec<_>>());
    (members, any::<bool>(), 1..4u32, 1..4u32).prop_map(|(members, journal, dcs, racks)| {
        let mut config = ReplicaSetConfig::new(members)
            .with_mode("dcs", [("dc", dcs)])
            .with_mode("both", [("dc", dcs), ("rack", racks)])
            .with_mode("nothing", []);
        config.write_concern_majority_journal_default = journal;
        config
    })
}

fn write_concern() -> impl Strategy<Value = WriteConcern> {
    let w = prop_oneof![
        (0..9u32).prop_map(Acknowledgment::Nodes),
        Just(Acknowledgment::Majority),
        prop_oneof![Just("dcs"), Just("both"), Just("nothing"), Just("other")].prop_map(Acknowledgment::from),
    ];
    (w, any::<Option<bool>>()).prop_map(|(w, journal)| WriteConcern { w: Some(w), journal, w_timeout: None })
}

/// Optimes before, at and after the write, and of other terms.
fn optime() -> impl Strategy<Value = OpTime> {
    (1..4i64, 9..12u32).prop_map(|(term, time)| OpTime::new(term, time, 0))
}

fn progress() -> impl Strategy<Value = Vec<MemberProgress>> {
    let told = (optime(), optime(), any::<bool>());
    proptest::collection::btree_map(0..9i32, told, 0..9).prop_map(|told| {
        let progress = |(id, (applied, durable, reachable))| {
            let told = MemberProgress::up(id, applied).journaled_to(durable);
            if reachable { told } else { told.gone() }
        };
        told.into_iter().map(progress).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn agrees_with_the_obvious_one(
        config in config(), wc in write_concern(), progress in progress()
    ) {
        let w = wc.w.clone().unwrap();
        let by_default = w == Acknowledgment::Majority && config.write_concern_majority_journal_default;
        let journaled = wc.journal.unwrap_or(by_default);
        let has = |p: &MemberProgress| {
            let at = if journaled { p.durable } else { p.applied }.unwrap();
            at.term == WRITE.term && at.ts >= WRITE.ts
        };
        let data: BTreeSet<i32> = config.members.iter().filter(|m| !m.arbiter).map(|m| m.id).collect();
        let holders: BTreeSet<i32> =
            progress.iter().filter(|p| has(p)).map(|p| p.id).filter(|id| data.contains(id)).collect();
        let up: BTreeSet<i32> = progress.iter().filter(|p| p.reachable).map(|p| p.id).collect();

        let answer = evaluate(&config, &wc, WRITE, &progress);
        prop_assert_eq!(answer.journaled, journaled);
        prop_assert_eq!(answer.satisfied, satisfied(&config, &w, &holders));
        prop_assert_eq!(answer.possible_now, satisfied(&config, &w, &holders.union(&up).copied().collect()));
        prop_assert_eq!(answer.possible_ever, satisfied(&config, &w, &data));

        let Some(now) = shortfalls(&config, &w, &holders) else {
            prop_assert_eq!(answer.error.map(|e| e.code), Some(UNKNOWN_REPL_WRITE_CONCERN));
            return Ok(());
        };
        let code = (!answer.possible_ever).then_some(UNSATISFIABLE_WRITE_CONCERN);
        prop_assert_eq!(answer.error.as_ref().map(|e| e.code), code);

        // A member is waited for exactly when some part would be less short with it.
        let helps = |id: &i32| {
            let mut with = holders.clone();
            with.insert(*id);
            shortfalls(&config, &w, &with).unwrap().iter().zip(&now).any(|(after, before)| after < before)
        };
        let ids = || config.members.iter().map(|m| m.id).filter(helps);
        prop_assert_eq!(&answer.waiting_for, &ids().filter(|id| up.contains(id)).collect::<Vec<_>>());
        prop_assert_eq!(&answer.unreachable, &ids().filter(|id| !up.contains(id)).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut bytes = bytes;
        let length = i32::try_from(bytes.len() + 5).unwrap();
        bytes.splice(0..0, length.to_le_bytes());
        bytes.push(0);
        let doc = quorate_core::raw::RawDoc::new(&bytes).unwrap();
        let _ = ReplicaSetConfig::from_raw(doc);
        let _ = MemberProgress::from_status(doc);
    }
}
