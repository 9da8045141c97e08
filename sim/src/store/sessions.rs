//! What the server knows of sessions: which statements they had carried out, and which transaction each is in.
//!
//! The statements carried out, and the transaction committed last, follow from the log: they are the same on every member, and
//! roll back. The number a session is at, and whether its transaction was aborted, are this server's alone.

use super::failure::{Failure, Result};
use super::value::show::uuid_text;
use crate::oplog::{OplogEntry, SharedEntry, Statement};
use quorate_core::concern::OpTime;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// `stmt_id` of the statement that a transaction's entry carries out.
pub(crate) const COMMIT: i32 = -1;

/// What one session is at.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: i64,
    state: State,
    /// How often somebody has looked for old sessions since it was last heard of.
    age: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Retryable,
    InProgress,
    Committed,
    Aborted,
}

/// What the log says of one session.
#[derive(Clone, Debug, Default)]
struct Logged {
    number: i64,
    /// Entries by their statement ids.
    statements: BTreeMap<i32, SharedEntry>,
    last: OpTime,
}

/// All sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sessions {
    known: BTreeMap<[u8; 16], Known>,
    logged: BTreeMap<[u8; 16], Logged>,
    undo: VecDeque<(OpTime, [u8; 16], Undo)>,
}

/// How to take back what an entry told of its session.
#[derive(Clone, Debug)]
enum Undo {
    /// This statement was added.
    Statement(i32),
    /// A new number took the place of this.
    Number(Option<Logged>),
}

/// What a command with `autocommit: false` may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Its transaction goes on.
    InProgress,
    /// It has been committed already.
    Committed,
}

impl Sessions {
    /// A retryable write begins. Gives whether a transaction of the session was in progress, which is over now.
    pub(crate) fn begin_retryable(&mut self, lsid: [u8; 16], number: i64) -> Result<bool> {
        let before = self.known(&lsid);
        match &before {
            Some(k) if k.number > number => Err(Failure::new(
                225,
                format!(
                    "Retryable write with txnNumber {number} is prohibited on session {} because a newer {} with \
                     txnNumber {} has already started on this session.",
                    described(&lsid),
                    kind(k.state),
                    k.number
                ),
            )),
            Some(k) if k.number == number && k.state != State::Retryable => Err(Failure::new(
                217,
                "Cannot retry a retryable write that has been converted into a transaction",
            )),
            _ => {
                self.known.insert(lsid, Known { number, state: State::Retryable, age: 0 });
                Ok(before.is_some_and(|k| k.state == State::InProgress && k.number < number))
            }
        }
    }

    /// A transaction starts. Gives whether an earlier one was in progress, which is over now.
    pub(crate) fn start_transaction(&mut self, lsid: [u8; 16], number: i64) -> Result<bool> {
        let before = self.known(&lsid);
        match &before {
            Some(k) if k.number > number => Err(too_old(&lsid, number, k)),
            Some(k) if k.number == number => Err(Failure::new(
                117,
                "Only servers in a sharded cluster can start a new transaction at the active transaction number",
            )),
            _ => {
                self.known.insert(lsid, Known { number, state: State::InProgress, age: 0 });
                Ok(before.is_some_and(|k| k.state == State::InProgress))
            }
        }
    }

    /// A transaction goes on, or is to end.
    pub(crate) fn continue_transaction(&mut self, lsid: [u8; 16], number: i64) -> Result<Standing> {
        let known = self.known(&lsid);
        match known {
            Some(k) if k.number > number => Err(too_old(&lsid, number, &k)),
            Some(k) if k.number == number && k.state == State::InProgress => Ok(Standing::InProgress),
            Some(k) if k.number == number && k.state == State::Committed => Ok(Standing::Committed),
            Some(k) if k.number == number && k.state == State::Aborted => {
                Err(no_such(format!("Transaction with {{ txnNumber: {number} }} has been aborted.")))
            }
            known => {
                let active = known.map_or(-1, |k| k.number);
                Err(no_such(format!(
                    "Given transaction number {number} does not match any in-progress transactions. The active \
                     transaction number is {active}"
                )))
            }
        }
    }

    /// The transaction of a session has ended.
    pub(crate) fn end_transaction(&mut self, lsid: [u8; 16], committed: bool) {
        if let Some(known) = self.known.get_mut(&lsid)
            && known.state == State::InProgress
        {
            known.state = if committed { State::Committed } else { State::Aborted };
        }
    }

    /// The entry that carried out a statement, if one did.
    pub(crate) fn statement(&self, lsid: &[u8; 16], number: i64, stmt_id: i32) -> Option<&SharedEntry> {
        let logged = self.logged.get(lsid).filter(|l| l.number == number)?;
        logged.statements.get(&stmt_id)
    }

    /// An entry with a statement is in the log.
    pub(crate) fn apply(&mut self, entry: &SharedEntry, statement: &Statement) {
        let (lsid, number) = (statement.lsid, statement.txn_number);
        let undo = match self.logged.get(&lsid) {
            Some(logged) if logged.number > number => return,
            Some(logged) if logged.number == number => Undo::Statement(statement.stmt_id),
            _ => Undo::Number(self.logged.insert(lsid, Logged { number, ..Logged::default() })),
        };
        self.undo.push_back((entry.optime, lsid, undo));
        if let Some(logged) = self.logged.get_mut(&lsid) {
            logged.last = entry.optime;
            logged.statements.insert(statement.stmt_id, entry.clone());
        }
        let known =
            self.known.entry(statement.lsid).or_insert(Known { number: -1, state: State::Retryable, age: 0 });
        if known.number <= statement.txn_number {
            let committed = statement.stmt_id == COMMIT;
            *known = Known {
                age: 0,
                number: statement.txn_number,
                state: if committed { State::Committed } else { State::Retryable },
            };
        }
    }

    /// Entries that tell a new store of the statements carried out, without what they did.
    pub(crate) fn rebuild(&self) -> Vec<SharedEntry> {
        let logged = self.logged.values().flat_map(|l| l.statements.values());
        let told = |e: &SharedEntry| OplogEntry {
            optime: e.optime,
            changes: Vec::new(),
            statement: e.statement.clone(),
        };
        logged.map(|e| Arc::new(told(e))).collect()
    }

    /// Takes back everything after `optime`, and forgets what the log does not say.
    pub(crate) fn roll_back_to(&mut self, optime: OpTime) {
        while self.undo.back().is_some_and(|(at, ..)| *at > optime) {
            let Some((_, lsid, undo)) = self.undo.pop_back() else { break };
            match undo {
                Undo::Statement(id) => {
                    if let Some(logged) = self.logged.get_mut(&lsid) {
                        logged.statements.remove(&id);
                    }
                }
                Undo::Number(Some(logged)) => {
                    self.logged.insert(lsid, logged);
                }
                Undo::Number(None) => {
                    self.logged.remove(&lsid);
                }
            }
        }
        self.forget_volatile();
    }

    /// The process is gone: only what the log says is left.
    pub(crate) fn forget_volatile(&mut self) {
        self.known.clear();
    }

    /// What is before `horizon` will not be taken back.
    pub(crate) fn trim(&mut self, horizon: OpTime) {
        while self.undo.front().is_some_and(|(at, ..)| *at <= horizon) {
            self.undo.pop_front();
        }
    }

    /// Forgets sessions whose last write is before `second`, as the server does after half an hour, and those without one that
    /// nobody has been heard of in for `looks` calls.
    pub(crate) fn expire(&mut self, second: u32, looks: u8) {
        self.logged.retain(|_, logged| logged.last.ts.time >= second);
        let logged = &self.logged;
        self.known.retain(|lsid, known| {
            known.age = known.age.saturating_add(1);
            known.state == State::InProgress || known.age <= looks || logged.contains_key(lsid)
        });
    }

    fn known(&self, lsid: &[u8; 16]) -> Option<Known> {
        self.known.get(lsid).copied().or_else(|| {
            let logged = self.logged.get(lsid)?;
            let committed = logged.statements.contains_key(&COMMIT);
            let state = if committed { State::Committed } else { State::Retryable };
            Some(Known { number: logged.number, state, age: 0 })
        })
    }
}

fn kind(state: State) -> &'static str {
    if state == State::Retryable { "retryable write" } else { "transaction" }
}

fn too_old(lsid: &[u8; 16], number: i64, known: &Known) -> Failure {
    let retry_counter = if known.state == State::Retryable { -1 } else { 0 };
    Failure::new(
        225,
        format!(
            "Cannot start transaction with {{ txnNumber: {number} }} on session {} because a newer {} with \
             txnNumberAndRetryCounter {{ txnNumber: {}, txnRetryCounter: {retry_counter} }} has already started on this \
             session.",
            described(lsid),
            kind(known.state),
            known.number
        ),
    )
}

fn no_such(message: String) -> Failure {
    Failure::new(251, message).label("TransientTransactionError")
}

/// A session in an error message: its id, and the digest of nobody's name.
pub(crate) fn described(lsid: &[u8; 16]) -> String {
    format!("{} - 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU= -  - ", uuid_text(lsid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::doc;

    const S: [u8; 16] = [7; 16];

    fn entry(at: u32, txn_number: i64, stmt_id: i32) -> SharedEntry {
        let statement = Statement { lsid: S, txn_number, stmt_id, result: doc! { "n": 1 } };
        Arc::new(OplogEntry {
            optime: OpTime::new(1, at, 0),
            changes: Vec::new(),
            statement: Some(statement),
        })
    }

    fn apply(sessions: &mut Sessions, entry: &SharedEntry) {
        sessions.apply(entry, entry.statement.as_ref().unwrap());
    }

    #[test]
    fn statements_are_remembered_until_the_next_number_and_roll_back() {
        let mut sessions = Sessions::default();
        apply(&mut sessions, &entry(1, 5, 0));
        apply(&mut sessions, &entry(2, 5, 1));
        apply(&mut sessions, &entry(3, 6, 0));
        assert!(sessions.statement(&S, 5, 0).is_none());
        assert!(sessions.statement(&S, 6, 0).is_some());
        assert_eq!(sessions.begin_retryable(S, 5).unwrap_err().code, 225);
        sessions.roll_back_to(OpTime::new(1, 1, 0));
        assert!(sessions.statement(&S, 5, 0).is_some());
        assert!(sessions.statement(&S, 5, 1).is_none());
        assert_eq!(sessions.begin_retryable(S, 5), Ok(false));
    }

    #[test]
    fn a_committed_transaction_is_known_by_the_log() {
        let mut sessions = Sessions::default();
        apply(&mut sessions, &entry(1, 5, COMMIT));
        sessions.forget_volatile();
        assert_eq!(sessions.continue_transaction(S, 5), Ok(Standing::Committed));
        assert_eq!(sessions.continue_transaction(S, 6).unwrap_err().code, 251);
    }

    #[test]
    fn a_transaction_in_progress_is_not() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.start_transaction(S, 1), Ok(false));
        assert_eq!(sessions.continue_transaction(S, 1), Ok(Standing::InProgress));
        assert_eq!(sessions.start_transaction(S, 2), Ok(true));
        sessions.forget_volatile();
        assert_eq!(sessions.continue_transaction(S, 2).unwrap_err().code, 251);
    }
}
