//! What a member wants done, and how waits and commands end.

use super::message::{Message, Snapshot};
use super::state::MemberState;
use crate::node::NodeId;
use crate::oplog::SharedEntry;
use bson::{Document, doc};
use quorate_core::concern::OpTime;
use std::sync::Arc;

/// What a [`Member`](super::Member) wants done; from [`Member::poll_output`](super::Member::poll_output).
#[derive(Clone, Debug)]
pub enum Output {
    /// Give a message to another member.
    Send {
        /// To whom.
        to: NodeId,
        /// What.
        message: Message,
    },
    /// Apply these to the store, in order: a secondary's new entries, or a new primary's own first entry.
    Apply(Vec<SharedEntry>),
    /// Undo everything after this entry.
    RollBackTo(OpTime),
    /// Empty the store and build it from this: the member was too far behind for any oplog.
    Load(Arc<Snapshot>),
    /// Make a [`Snapshot`] of the store as it is now and give it to [`Member::handle_snapshot`](super::Member::handle_snapshot).
    TakeSnapshot {
        /// Repeat it there.
        to: NodeId,
        /// Repeat it there.
        stream: u64,
    },
    /// The commit point has moved here. Never goes back, never past what was applied.
    CommitPoint(OpTime),
    /// `hello` would answer differently from before: raise `topologyVersion`'s counter and answer those who wait.
    HelloChanged,
    /// For the trace and for tests; everything a server does about it comes as its own output.
    StateChanged {
        /// From.
        from: MemberState,
        /// To.
        to: MemberState,
    },
    /// A wait of [`Member::wait_for`](super::Member::wait_for) has ended. Each does so once, unless cancelled.
    Waited {
        /// Which.
        waiter: u64,
        /// How.
        result: Result<(), WaitEnd>,
    },
    /// A command that was [`Answer::Pending`](super::Answer::Pending) has its reply.
    Answered {
        /// Which.
        call: u64,
        /// The whole reply, with `ok`.
        reply: Document,
    },
    /// Close the connections of clients, as a server does when it goes into ROLLBACK. It does not on a step-down.
    CloseConnections,
    /// End operations that write, and transactions, with 11602 `InterruptedDueToReplStateChange`.
    KillOperations,
    /// The orderly end asked for by [`Member::handle_shutdown`](super::Member::handle_shutdown) is complete: exit.
    ShutDown,
    /// A line for the timeline.
    Note(String),
}

/// Why a wait for a write concern ended without it: the `writeConcernError` of the reply.
#[derive(Clone, Debug, PartialEq)]
pub struct WaitEnd {
    /// The server's code.
    pub code: i32,
    /// Its name.
    pub code_name: &'static str,
    /// The server's words.
    pub message: String,
    /// `errInfo`, where there is one.
    pub info: Option<Document>,
}

impl WaitEnd {
    /// The reply's `writeConcernError`.
    pub fn write_concern_error(&self) -> Document {
        let mut error = doc! { "code": self.code, "codeName": self.code_name, "errmsg": &self.message };
        if let Some(info) = &self.info {
            error.insert("errInfo", info.clone());
        }
        error
    }
}

/// What [`Member::command`](super::Member::command) answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The whole reply, with `ok`.
    Reply(Document),
    /// Comes later as [`Output::Answered`].
    Pending,
    /// Not a command of replication.
    NotMine,
}

/// An error reply.
pub(crate) fn error(code: i32, code_name: &str, message: impl Into<String>) -> Document {
    doc! { "ok": 0.0, "errmsg": message.into(), "code": code, "codeName": code_name }
}
