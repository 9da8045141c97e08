//! One command on its way through the server.

use super::commands::Command;
use super::failpoint::Strike;
use super::generic::Generic;
use super::reply::Labelling;
use super::request::ReplyTo;
use crate::node::{ConnId, NodeId};
use crate::store::Parked;
use bson::Document;
use quorate_core::Instant;

/// The number of an operation in progress; also its `opid` and its number as a waiter for a write concern.
pub(crate) type OpId = u64;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client, on this connection.
    Client(ConnId),
    /// A mongos, which finds its answer by this number.
    Router {
        /// Which mongos.
        from: NodeId,
        /// Its number for this command.
        call: u64,
    },
}

/// One command on its way.
#[derive(Debug)]
pub(crate) struct Op {
    /// Who asked.
    pub(crate) origin: Origin,
    /// How to answer.
    pub(crate) reply_to: ReplyTo,
    /// The command, until it is carried out.
    pub(crate) body: Document,
    /// A copy of it where it will be carried out again for an exhaust stream.
    pub(crate) again: Option<Document>,
    /// What the server knows of it.
    pub(crate) command: &'static Command,
    /// The deployment's own operator gave it.
    pub(crate) operator: bool,
    /// Its generic arguments.
    pub(crate) generic: Generic,
    /// When `maxTimeMS` is over.
    pub(crate) deadline: Option<Instant>,
    /// Which labels its errors get.
    pub(crate) labelling: Labelling,
    /// Labels a fail point wants instead.
    pub(crate) labels: Option<Vec<String>>,
    /// Where it is.
    pub(crate) stage: Stage,
    /// When that ends at the latest.
    pub(crate) timer: Option<Instant>,
}

/// Where an operation is, while it is not being worked on.
#[derive(Debug)]
pub(crate) enum Stage {
    /// It has not been looked at yet.
    Start,
    /// A fail point holds it up; what it does then.
    Blocked(Strike),
    /// It waits until this member has come to a cluster time.
    ClusterTime,
    /// A hello that waits for a change.
    Change,
    /// It waits for data or for a transaction of somebody else.
    Parked {
        /// What the store wants back.
        parked: Parked,
        /// The time-out ends the wait, not the command: a tailable cursor without news.
        tailing: bool,
    },
    /// It has read, and waits to know that it read from the primary (read concern `linearizable`).
    Confirming(Document),
    /// It has written, and waits for its write concern.
    Replicating(Document),
    /// It waits for replication itself: a step-down.
    Deciding,
    /// It waits for the end of the process.
    Ending,
    /// It is answered; the answer leaves when the time has come.
    Answered(Answer),
}

/// An answer ready to leave.
#[derive(Debug)]
pub(crate) enum Answer {
    /// For a client. `again` is the number of this reply, which the next one of the stream answers.
    Bytes {
        /// The message.
        bytes: Vec<u8>,
        /// Another one will follow, in answer to this number.
        again: Option<i32>,
    },
    /// For a mongos.
    Routed(Document),
}

impl Op {
    /// The connection it came on.
    pub(crate) fn conn(&self) -> Option<ConnId> {
        match self.origin {
            Origin::Client(conn) => Some(conn),
            Origin::Router { .. } => None,
        }
    }

    /// Whether it is a statement of a transaction.
    pub(crate) fn in_transaction(&self) -> bool {
        self.generic.session.is_some_and(|session| session.transaction.is_some())
    }

    /// Whether a change of the member's state takes it down: it writes and has not yet, or it needs the primary.
    pub(crate) fn is_killed_by_step_down(&self) -> bool {
        match &self.stage {
            Stage::Confirming(_) => true,
            Stage::Start | Stage::Blocked(_) | Stage::ClusterTime => {
                self.command.place == super::commands::Place::Primary
            }
            Stage::Parked { tailing, .. } => !tailing,
            _ => false,
        }
    }
}
