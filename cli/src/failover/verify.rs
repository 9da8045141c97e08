//! Holds what the application claims against what the set has.
//!
//! Two kinds of write alternate, because a write that is applied twice shows in different ways: an insert without a key of
//! its own leaves a second document, an increment leaves a 2. Both are exact for every single number.

use super::DATABASE;
use super::deployment::Deployment;
use super::ledger::Claims;
use super::line::LineError;
use super::operator::Operator;
use bson::{Bson, Document, doc};
use std::collections::BTreeSet;

/// Where the even numbers are inserted: `{n: number}`.
pub(super) const INSERTS: &str = "inserts";
/// Where the odd numbers are counted up: `{_id: number, applied: times}`.
pub(super) const UPDATES: &str = "updates";

const BATCH: i32 = 10_000;

/// What was found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Acknowledged and not there.
    pub(super) lost: BTreeSet<u64>,
    /// There more than once.
    pub(super) twice: BTreeSet<u64>,
}

impl Findings {
    /// Those that are not among the `earlier` ones.
    pub(super) fn since(&self, earlier: &Findings) -> Findings {
        Findings {
            lost: self.lost.difference(&earlier.lost).copied().collect(),
            twice: self.twice.difference(&earlier.twice).copied().collect(),
        }
    }
}

/// Counts how often every number was applied. A byte a number.
#[derive(Debug)]
pub(super) struct Audit {
    claims: Claims,
    applied: Vec<u8>,
}

impl Audit {
    pub(super) fn new(claims: Claims) -> Self {
        let length = usize::try_from(claims.begun).unwrap_or(usize::MAX);
        Audit { claims, applied: vec![0; length] }
    }

    /// A document of [`INSERTS`] or [`UPDATES`]. Numbers begun after the claims were made are somebody else's to judge.
    pub(super) fn see(&mut self, document: &Document) {
        let number = document.get("n").or_else(|| document.get("_id")).and_then(as_u64);
        let times = document.get("applied").map_or(Some(1), as_u64).unwrap_or(u64::MAX);
        let slot = number.and_then(|n| usize::try_from(n).ok()).and_then(|n| self.applied.get_mut(n));
        if let Some(slot) = slot {
            *slot = slot.saturating_add(u8::try_from(times).unwrap_or(u8::MAX));
        }
    }

    pub(super) fn finish(self) -> Findings {
        let mut findings = Findings::default();
        for (number, times) in (0u64..).zip(self.applied) {
            if times > 1 {
                findings.twice.insert(number);
            } else if times == 0 && !self.claims.open.contains(&number) {
                findings.lost.insert(number);
            }
        }
        findings
    }
}

fn as_u64(value: &Bson) -> Option<u64> {
    match value {
        Bson::Int32(n) => u64::try_from(*n).ok(),
        Bson::Int64(n) => u64::try_from(*n).ok(),
        _ => None,
    }
}

/// The projection both collections are read with.
pub(super) fn projection() -> Document {
    doc! { "n": 1, "applied": 1 }
}

/// Reads everything from the primary, straight and past the driver, as a majority has it. What was acknowledged must have
/// arrived there, as it has when the set [is whole](Operator::is_whole).
pub(super) async fn straight<D: Deployment>(
    operator: &Operator<'_, D>,
    claims: Claims,
) -> Result<Findings, String> {
    let primary = operator.wait_for_primary().await?;
    let failed = |e: LineError| format!("reading back: {e}");
    let mut line = operator.line(primary).await.map_err(failed)?;
    let mut audit = Audit::new(claims);
    for collection in [INSERTS, UPDATES] {
        let find = doc! {
            "find": collection, "projection": projection(), "batchSize": BATCH,
            "readConcern": { "level": "majority" },
        };
        let mut reply = line.run(DATABASE, find).await.map_err(failed)?;
        loop {
            let cursor = reply.get_document("cursor").map_err(|e| format!("reading back: {e}"))?;
            let batch = cursor.get_array("firstBatch").or_else(|_| cursor.get_array("nextBatch"));
            for document in batch.into_iter().flatten().filter_map(Bson::as_document) {
                audit.see(document);
            }
            let id = cursor.get_i64("id").unwrap_or(0);
            if id == 0 {
                break;
            }
            let more = doc! { "getMore": id, "collection": collection, "batchSize": BATCH };
            reply = line.run(DATABASE, more).await.map_err(failed)?;
        }
    }
    Ok(audit.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(begun: u64, open: &[u64], seen: &[Document]) -> Findings {
        let mut audit = Audit::new(Claims { begun, open: open.iter().copied().collect() });
        seen.iter().for_each(|document| audit.see(document));
        audit.finish()
    }

    #[test]
    fn what_was_acknowledged_must_be_there_once() {
        let seen = [
            doc! { "_id": 77, "n": 0i64 },
            doc! { "_id": 1i64, "applied": 1 },
            doc! { "_id": 78, "n": 4i64 },
            doc! { "_id": 79, "n": 4i64 },
            doc! { "_id": 5i64, "applied": 2i64 },
        ];
        let findings = audit(6, &[], &seen);
        assert_eq!(findings.lost, BTreeSet::from([2, 3]));
        assert_eq!(findings.twice, BTreeSet::from([4, 5]));
    }

    #[test]
    fn what_failed_may_be_there_once_or_not_at_all() {
        let seen = [doc! { "n": 0 }, doc! { "_id": 1, "applied": 2 }];
        let findings = audit(3, &[0, 1, 2], &seen);
        assert!(findings.lost.is_empty());
        assert_eq!(findings.twice, BTreeSet::from([1]));
    }

    #[test]
    fn later_numbers_do_not_count_yet_and_nonsense_never() {
        let seen = [doc! { "n": 9 }, doc! { "n": "nine" }, doc! { "n": -1 }];
        assert_eq!(audit(1, &[0], &seen), Findings::default());
    }

    #[test]
    fn a_loss_is_reported_once() {
        let first = Findings { lost: BTreeSet::from([1]), twice: BTreeSet::new() };
        let second = Findings { lost: BTreeSet::from([1, 2]), twice: BTreeSet::from([3]) };
        let new = second.since(&first);
        assert_eq!((new.lost, new.twice), (BTreeSet::from([2]), BTreeSet::from([3])));
    }
}
