//! What a command brings to the store, and what comes of it.

use super::command::Progress;
use super::failure::Failure;
use crate::oplog::{Namespace, SharedEntry};
use bson::Document;
use quorate_core::concern::OpTime;
use quorate_core::raw::Timestamp;

/// Which versions of the data a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ReadAt {
    /// All that is applied: read concern `local`, `available`, and `linearizable` on a primary.
    #[default]
    Latest,
    /// What a majority has: read concern `majority`.
    Committed,
    /// One moment: read concern `snapshot` outside of transactions, by its `atClusterTime`.
    At(Timestamp),
}

/// The session a command came in, with `txnNumber` where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// `lsid.id`: the bytes of its UUID.
    pub lsid: [u8; 16],
    /// `txnNumber`: of a retryable write, or of a transaction.
    pub txn_number: Option<i64>,
    /// With `autocommit: false`: what part of a transaction this is.
    pub transaction: Option<TransactionPart>,
}

/// What part of a transaction a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionPart {
    /// Its first (`startTransaction: true`).
    Start,
    /// A later one.
    Continue,
}

/// What is to be done: a command, or one that had to wait, again.
#[derive(Debug)]
pub enum Work {
    /// A command: the whole body with its name first, document sequences merged in. Generic arguments (`lsid`, `$db`,
    /// `writeConcern` ...) may stand in it and are not looked at.
    Command(Document),
    /// One that had to wait.
    Again {
        /// What [`Wait`] held.
        parked: Parked,
        /// Its time is up: answer with what there is. A tailable cursor answers with an empty batch; what waits for a
        /// transaction is tried once more and parked again, unless `maxTimeMS` is over, which the caller knows: then drop it.
        last: bool,
    },
}

impl Work {
    /// The command's name.
    pub fn name(&self) -> &str {
        let body = match self {
            Work::Command(body) => body,
            Work::Again { parked, .. } => &parked.body,
        };
        body.keys().next().map_or("", String::as_str)
    }
}

/// One command, with all it needs.
pub struct Call<'a> {
    /// `$db`.
    pub db: &'a str,
    /// The command.
    pub work: Work,
    /// Wall-clock time in milliseconds since 1970.
    pub now: i64,
    /// What it reads. A transaction ignores it: it reads its snapshot, taken at its first command.
    pub read: ReadAt,
    /// The session it came in.
    pub session: Option<Session>,
    /// The next optime of this server's log, asked for once an entry, right before the entry is applied. Must rise strictly.
    pub optimes: &'a mut dyn FnMut() -> OpTime,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").field("db", &self.db).field("work", &self.work).finish_non_exhaustive()
    }
}

/// What came of a command.
#[derive(Debug, Default)]
pub struct Ran {
    /// The reply. Without `ok` where the command worked; with `ok: 0`, `errmsg`, `code`, `codeName` and perhaps
    /// `errorLabels` where it did not. Empty if it waits.
    pub reply: Document,
    /// What was written, already applied here, in order.
    pub entries: Vec<SharedEntry>,
    /// The command cannot be answered yet.
    pub wait: Option<Wait>,
}

impl Ran {
    /// The reply to a command that worked.
    pub fn done(reply: Document) -> Ran {
        Ran { reply, ..Ran::default() }
    }

    /// The reply to a command that failed.
    pub fn failed(failure: &Failure) -> Ran {
        Ran::done(failure.reply())
    }

    /// Whether the command worked (write errors are inside a reply that worked).
    pub fn ok(&self) -> bool {
        !self.reply.contains_key("ok")
    }
}

/// A command that cannot be answered yet: keep it, and [run](super::Store::run) it as [`Work::Again`] when
/// [`Store::generation`](super::Store::generation) has changed, or when its time is up.
#[derive(Debug)]
pub struct Wait {
    /// What has to happen.
    pub on: WaitFor,
    /// The command.
    pub parked: Parked,
}

/// What a parked command waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WaitFor {
    /// A tailable cursor with `awaitData` is at the end of its collection.
    Data {
        /// The collection.
        ns: Namespace,
        /// For how long, in milliseconds: `maxTimeMS` of the `getMore`, or a second.
        millis: i64,
    },
    /// A transaction in progress holds a document that the command writes. It waits as long as `maxTimeMS` says, or for ever.
    Transaction,
}

/// A command that waits, with what of it is done already.
#[derive(Debug)]
pub struct Parked {
    pub(super) body: Document,
    pub(super) progress: Option<Progress>,
}
