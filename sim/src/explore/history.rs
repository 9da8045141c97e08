//! What the application did to the data and what it saw of it, and whether one history of the data explains all of it.
//!
//! Lists are appended to with tokens that are used once; documents are inserted under ids that are used once. So every write
//! can be found again, and found twice.

use super::plan::{Level, PER_OP, Plan};
use super::rule::Rule;
use quorate_core::Instant;
use std::collections::BTreeMap;

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// A document appears.
    Insert(i64),
    /// A token is appended to that list.
    Push(i32, i64),
    /// A document goes.
    Delete(i64),
}

/// What is known of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    /// It was never carried out, and never will be.
    Never,
    /// If it was carried out it is lost, and never will be again.
    Lost,
    /// It may have been, or may yet be.
    Maybe,
    /// It was carried out on a primary, and may be rolled back.
    Applied,
    /// It was carried out, and a majority has it.
    Durable,
}

/// One write.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) effect: Effect,
    pub(super) known: Known,
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

/// One look at a list.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) op: u32,
    pub(super) key: i32,
    pub(super) tokens: Vec<i64>,
    pub(super) level: Level,
    pub(super) began: Instant,
}

/// What one attempt at a transaction appended; among the writes as well.
#[derive(Clone, Debug)]
pub(super) struct Txn {
    pub(super) op: u32,
    pub(super) pushes: Vec<(i32, i64)>,
}

/// The lists that one transaction read, without what it wrote itself.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) op: u32,
    pub(super) lists: BTreeMap<i32, Vec<i64>>,
}

/// All of it.
#[derive(Debug, Default)]
pub(super) struct History {
    pub(super) writes: Vec<Write>,
    pub(super) seen: Vec<Seen>,
    pub(super) transactions: Vec<Txn>,
    pub(super) snapshots: Vec<Snapshot>,
}

/// What the data was in the end.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Data {
    pub(super) lists: BTreeMap<i32, Vec<i64>>,
    pub(super) docs: BTreeMap<i64, u32>,
}

type Found = Result<(), (Rule, String)>;

impl History {
    /// Holds the history against the data.
    pub(super) fn check(&self, plan: &Plan, data: &Data) -> Found {
        let pushes: BTreeMap<(i32, i64), &Write> = self
            .writes
            .iter()
            .filter_map(|write| match write.effect {
                Effect::Push(key, token) => Some(((key, token), write)),
                _ => None,
            })
            .collect();
        for (key, tokens) in &data.lists {
            check_list(*key, tokens, &pushes)
                .and_then(|()| nothing_lost_is_there(*key, tokens, &pushes))
                .map_err(|(rule, why)| (rule, format!("list {key} in the end: {why}")))?;
        }
        let may_lose = plan.faults.iter().any(|fault| fault.fault.may_lose_data());
        for ((key, token), write) in &pushes {
            let there = data.lists.get(key).is_some_and(|tokens| tokens.contains(token));
            must_be_there(write, there, may_lose)
                .map_err(|(rule, why)| (rule, format!("token {token} of list {key}: {why}")))?;
        }
        self.check_documents(data, may_lose)?;
        self.check_transactions(data)?;
        self.seen.iter().try_for_each(|seen| {
            let found = check_list(seen.key, &seen.tokens, &pushes)
                .and_then(|()| check_seen(plan, seen, &pushes, data));
            found.map_err(|(rule, why)| (rule, format!("list {} as #{} saw it: {why}", seen.key, seen.op)))
        })
    }

    /// A transaction is there whole or not at all, at the end and to every other one.
    fn check_transactions(&self, data: &Data) -> Found {
        let end = Snapshot { op: 0, lists: data.lists.clone() };
        for snapshot in self.snapshots.iter().chain([&end]) {
            for txn in &self.transactions {
                let read = txn
                    .pushes
                    .iter()
                    .filter_map(|(key, token)| snapshot.lists.get(key).map(|list| list.contains(token)));
                let (there, missing): (Vec<bool>, Vec<bool>) = read.partition(|there| *there);
                if !there.is_empty() && !missing.is_empty() {
                    let by =
                        if snapshot.op == 0 { "in the end".into() } else { format!("to #{}", snapshot.op) };
                    let text = format!("of the transaction #{} half is there {by}: {:?}", txn.op, txn.pushes);
                    return Err((Rule::Atomic, text));
                }
            }
        }
        Ok(())
    }

    fn check_documents(&self, data: &Data, may_lose: bool) -> Found {
        let mut fates: BTreeMap<i64, (Known, Known)> = BTreeMap::new();
        for write in &self.writes {
            match write.effect {
                Effect::Insert(id) => fates.entry(id).or_insert((Known::Never, Known::Never)).0 = write.known,
                Effect::Delete(id) => {
                    let fate = fates.entry(id).or_insert((Known::Never, Known::Never));
                    fate.1 = fate.1.max(write.known);
                }
                Effect::Push(..) => {}
            }
        }
        let at_least = |known: Known| known == Known::Durable || (known == Known::Applied && !may_lose);
        for (id, (inserted, deleted)) in fates {
            let there = data.docs.contains_key(&id);
            if there && inserted == Known::Never {
                return Err((Rule::Once, format!("document {id} is there and was never sent")));
            }
            if there && at_least(deleted) {
                return Err((
                    Rule::Durable,
                    format!("document {id} is there; its deletion was acknowledged"),
                ));
            }
            if !there && at_least(inserted) && deleted == Known::Never {
                return Err((
                    Rule::Durable,
                    format!("document {id} is missing; its insertion was acknowledged"),
                ));
            }
        }
        match data.docs.iter().find(|(_, count)| **count > 1) {
            Some((id, count)) => Err((Rule::Once, format!("document {id} is there {count} times"))),
            None => Ok(()),
        }
    }
}

/// Tokens of a list come once, have been sent, and stand in the order in which they were acknowledged.
fn check_list(key: i32, tokens: &[i64], pushes: &BTreeMap<(i32, i64), &Write>) -> Found {
    let mut earliest_end: Option<(Instant, i64)> = None;
    let mut seen = std::collections::BTreeSet::new();
    for token in tokens.iter().rev() {
        if !seen.insert(token) {
            return Err((Rule::Once, format!("token {token} twice in {tokens:?}")));
        }
        let Some(write) = pushes.get(&(key, *token)) else {
            return Err((Rule::Once, format!("token {token} was never sent")));
        };
        if write.known == Known::Never {
            return Err((
                Rule::Once,
                format!("token {token} is there, and was said never to have been written"),
            ));
        }
        if let Some((end, later)) = earliest_end
            && end < write.began
        {
            let text =
                format!("{later} was acknowledged before {token} began, and stands behind it: {tokens:?}");
            return Err((Rule::Once, text));
        }
        if write.known >= Known::Applied && earliest_end.is_none_or(|(end, _)| write.ended < end) {
            earliest_end = Some((write.ended, *token));
        }
    }
    Ok(())
}

/// What a server has said to be lost does not come back.
fn nothing_lost_is_there(key: i32, tokens: &[i64], pushes: &BTreeMap<(i32, i64), &Write>) -> Found {
    let is_lost = |token: &&i64| pushes.get(&(key, **token)).is_some_and(|write| write.known == Known::Lost);
    match tokens.iter().find(is_lost) {
        Some(token) => {
            Err((Rule::Once, format!("token {token} is there, and its commit was said to have failed")))
        }
        None => Ok(()),
    }
}

fn must_be_there(write: &Write, there: bool, may_lose: bool) -> Found {
    match write.known {
        Known::Durable if !there => {
            Err((Rule::Durable, "missing, and a majority has acknowledged it".into()))
        }
        Known::Applied if !there && !may_lose => {
            Err((Rule::Durable, "missing, and it was acknowledged, and nothing can have lost it".into()))
        }
        _ => Ok(()),
    }
}

/// What was read of a majority stays; what was read linearizably has all that was acknowledged before.
fn check_seen(plan: &Plan, seen: &Seen, pushes: &BTreeMap<(i32, i64), &Write>, data: &Data) -> Found {
    if seen.level == Level::Local || !plan.shape.has_majorities() {
        return Ok(());
    }
    let last = data.lists.get(&seen.key).map(Vec::as_slice).unwrap_or_default();
    if let Some(lost) = seen.tokens.iter().find(|token| !last.contains(token)) {
        return Err((Rule::Durable, format!("token {lost} was read from a majority and is gone")));
    }
    if seen.level != Level::Linearizable {
        return Ok(());
    }
    let before = |write: &Write| write.known == Known::Durable && write.ended < seen.began;
    let missing = pushes
        .iter()
        .find(|((key, token), write)| *key == seen.key && before(write) && !seen.tokens.contains(token));
    match missing {
        Some(((_, token), _)) => Err((
            Rule::Durable,
            format!("token {token} was acknowledged before, and not seen: {:?}", seen.tokens),
        )),
        None => Ok(()),
    }
}

/// The token, or first document id, of an operation.
pub(super) fn token(op: u32) -> i64 {
    i64::from(op) * PER_OP
}

/// A token of a transaction: the operation, the attempt at it, the push.
pub(super) fn txn_token(op: u32, attempt: u32, push: usize) -> i64 {
    (i64::from(op) * 100_000 + i64::from(attempt)) * PER_OP + 1_000_000_000 + push as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(ms * 1_000_000)
    }

    fn push(token: i64, known: Known, began: u64, ended: u64) -> Write {
        Write { effect: Effect::Push(0, token), known, began: at(began), ended: at(ended) }
    }

    fn plan() -> Plan {
        Plan { faults: Vec::new(), ..Plan::new(3) }
    }

    fn verdict(writes: Vec<Write>, list: &[i64]) -> Option<Rule> {
        let history = History { writes, ..History::default() };
        let data = Data { lists: [(0, list.to_vec())].into(), docs: BTreeMap::new() };
        history.check(&plan(), &data).err().map(|(rule, _)| rule)
    }

    #[test]
    fn what_was_acknowledged_is_there_once_and_in_order() {
        let writes = || {
            vec![push(1, Known::Durable, 0, 5), push(2, Known::Durable, 6, 9), push(3, Known::Maybe, 1, 2)]
        };
        assert_eq!(verdict(writes(), &[1, 2]), None);
        assert_eq!(verdict(writes(), &[1, 2, 3]), None);
        assert_eq!(verdict(writes(), &[3, 1, 2]), None);
        assert_eq!(verdict(writes(), &[2, 1]), Some(Rule::Once));
        assert_eq!(verdict(writes(), &[1]), Some(Rule::Durable));
        assert_eq!(verdict(writes(), &[1, 2, 1]), Some(Rule::Once));
        assert_eq!(verdict(writes(), &[1, 2, 9]), Some(Rule::Once));
        assert_eq!(verdict(vec![push(1, Known::Never, 0, 5)], &[1]), Some(Rule::Once));
        assert_eq!(verdict(vec![push(1, Known::Never, 0, 5)], &[]), None);
    }

    #[test]
    fn what_was_lost_stays_so_and_may_have_been_seen() {
        assert_eq!(verdict(vec![push(1, Known::Lost, 0, 5)], &[]), None);
        assert_eq!(verdict(vec![push(1, Known::Lost, 0, 5)], &[1]), Some(Rule::Once));
        let seen = Seen { op: 9, key: 0, tokens: vec![1], level: Level::Local, began: at(0) };
        let saw = |known| {
            let writes = vec![push(1, known, 0, 5)];
            let history = History { writes, seen: vec![seen.clone()], ..History::default() };
            history.check(&plan(), &Data::default()).err().map(|(rule, _)| rule)
        };
        assert_eq!(saw(Known::Lost), None);
        assert_eq!(saw(Known::Never), Some(Rule::Once));
    }

    #[test]
    fn a_transaction_is_there_whole_or_not_at_all() {
        let pushes = vec![(0, 1), (1, 2)];
        let check = |lists: [&[i64]; 2], read: &[(i32, &[i64])]| {
            let write =
                |(key, token)| Write { effect: Effect::Push(key, token), ..push(0, Known::Maybe, 0, 5) };
            let snapshot = read.iter().map(|(key, tokens)| (*key, tokens.to_vec())).collect();
            let history = History {
                writes: pushes.iter().copied().map(write).collect(),
                seen: Vec::new(),
                transactions: vec![Txn { op: 3, pushes: pushes.clone() }],
                snapshots: vec![Snapshot { op: 4, lists: snapshot }],
            };
            let lists = (0..).zip(lists.map(<[i64]>::to_vec)).collect();
            let data = Data { lists, docs: BTreeMap::new() };
            history.check(&plan(), &data).err().map(|(rule, _)| rule)
        };
        assert_eq!(check([&[1], &[2]], &[(0, &[1]), (1, &[2])]), None);
        assert_eq!(check([&[], &[]], &[(0, &[1]), (1, &[2])]), None);
        assert_eq!(check([&[1], &[2]], &[(0, &[]), (1, &[])]), None);
        assert_eq!(check([&[1], &[2]], &[(1, &[2])]), None);
        assert_eq!(check([&[1], &[]], &[]), Some(Rule::Atomic));
        assert_eq!(check([&[1], &[2]], &[(0, &[1]), (1, &[])]), Some(Rule::Atomic));
    }

    #[test]
    fn documents_follow_their_last_acknowledged_fate() {
        let doc = |effect, known| Write { effect, known, began: at(0), ended: at(1) };
        let check = |inserted, deleted, there: bool| {
            let writes = vec![doc(Effect::Insert(7), inserted), doc(Effect::Delete(7), deleted)];
            let docs = if there { [(7, 1)].into() } else { BTreeMap::new() };
            let data = Data { lists: BTreeMap::new(), docs };
            History { writes, ..History::default() }.check(&plan(), &data).err().map(|(rule, _)| rule)
        };
        assert_eq!(check(Known::Durable, Known::Never, true), None);
        assert_eq!(check(Known::Durable, Known::Never, false), Some(Rule::Durable));
        assert_eq!(check(Known::Durable, Known::Durable, true), Some(Rule::Durable));
        assert_eq!(check(Known::Durable, Known::Maybe, true), None);
        assert_eq!(check(Known::Never, Known::Never, true), Some(Rule::Once));
    }
}
