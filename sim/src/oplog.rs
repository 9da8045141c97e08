//! What replicates: entries of the oplog. `repl` orders them and never looks inside a change; `store` makes and applies them.

use bson::{Bson, Document};
use quorate_core::concern::OpTime;
use std::sync::Arc;

/// The name of a collection, with its database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace {
    /// The database.
    pub db: String,
    /// The collection.
    pub coll: String,
}

/// One entry of the oplog. Shared between members: entries never change.
#[derive(Clone, Debug, PartialEq)]
pub struct OplogEntry {
    /// Its place. Optimes of one log rise strictly.
    pub optime: OpTime,
    /// What it does.
    pub changes: Vec<Change>,
    /// The statement it stands for, where that may be sent again.
    pub statement: Option<Statement>,
}

/// An entry as members pass it around.
pub type SharedEntry = Arc<OplogEntry>;

/// One idempotent change of the data. Several in one entry are one transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Nothing: a new primary's first entry, or a statement that matched nothing.
    Noop,
    /// A document is there now, new or in place of the one with its `_id`.
    Put {
        /// Where.
        ns: Namespace,
        /// The whole document.
        document: Arc<Document>,
    },
    /// A document is gone.
    Delete {
        /// Where.
        ns: Namespace,
        /// Its `_id`.
        id: Bson,
    },
    /// A collection was made.
    Create {
        /// Which.
        ns: Namespace,
        /// As given to `create`.
        options: Document,
    },
    /// A collection, its documents and indexes are gone.
    Drop {
        /// Which.
        ns: Namespace,
    },
    /// An index was made.
    CreateIndex {
        /// Where.
        ns: Namespace,
        /// Its description, as `listIndexes` gives it.
        index: Document,
    },
    /// An index is gone.
    DropIndex {
        /// Where.
        ns: Namespace,
        /// Its name.
        name: String,
    },
}

/// Which retryable statement an entry carries out: found again after a failover, it is answered and not applied twice.
#[derive(Clone, Debug, PartialEq)]
pub struct Statement {
    /// The session: the bytes of its UUID.
    pub lsid: [u8; 16],
    /// The transaction number.
    pub txn_number: i64,
    /// Which statement of the command, from 0.
    pub stmt_id: i32,
    /// Its part of the reply, for the case that it is asked for again.
    pub result: Document,
}
