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

impl OplogEntry {
    /// About how many bytes it takes in memory: what the oplog's bound counts. The same number on every machine.
    pub(crate) fn footprint(&self) -> u64 {
        let changes = self.changes.iter().map(Change::footprint).sum::<u64>();
        let statement = self.statement.as_ref().map_or(0, |statement| document_footprint(&statement.result));
        ENTRY + changes + statement
    }
}

impl Change {
    fn footprint(&self) -> u64 {
        CHANGE
            + match self {
                Change::Noop | Change::Drop { .. } | Change::DropIndex { .. } => 0,
                Change::Put { document, .. } => document_footprint(document),
                Change::Delete { id, .. } => value_footprint(id),
                Change::Create { options, .. } => document_footprint(options),
                Change::CreateIndex { index, .. } => document_footprint(index),
            }
    }
}

/// The fixed part of an entry, and its place in the logs of three members.
const ENTRY: u64 = 200;
/// The fixed part of a change, with its namespace.
const CHANGE: u64 = 180;
/// The fixed part of a document: its hash table.
const DOCUMENT: u64 = 150;
/// A field: hash, name and value.
const FIELD: u64 = 150;
/// A value in an array.
const VALUE: u64 = 112;

fn document_footprint(document: &Document) -> u64 {
    document.iter().map(|(_, value)| FIELD + value_footprint(value)).sum::<u64>() + DOCUMENT
}

/// What a value holds beside itself. Documents are no deeper than the store lets them be.
fn value_footprint(value: &Bson) -> u64 {
    let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
    match value {
        Bson::Document(document) => document_footprint(document),
        Bson::Array(values) => values.iter().map(|value| VALUE + value_footprint(value)).sum(),
        Bson::String(text) | Bson::Symbol(text) | Bson::JavaScriptCode(text) => count(text.len()),
        Bson::Binary(binary) => count(binary.bytes.len()),
        _ => 0,
    }
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
