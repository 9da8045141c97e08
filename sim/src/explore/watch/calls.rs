//! Calls of an application, and the commands that each came to.

use super::super::plan::Mode;
use quorate::ServerAddress;
use quorate::error::Error;
use quorate_core::{Duration, Instant};

/// What the driver may do for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    /// A read that may be sent again.
    Read,
    /// A write that may be sent again.
    Write,
    /// Anything that must not be.
    Once,
    /// A statement of a transaction, which must not be either.
    Statement,
    /// The commit of a transaction, which may always be sent again.
    Commit,
    /// The abort of a transaction, likewise; it never fails.
    Abort,
    /// A whole transaction, with what it is made of in calls of their own, but for its ends.
    Whole,
}

/// Where a call may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where writes go.
    Writable,
    /// By read preference.
    By(Mode),
    /// Where the cursor is.
    Cursor,
}

/// One call of an application: it is awaited once.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The operation of the plan it is part of.
    pub(crate) op: u32,
    pub(crate) client: usize,
    pub(crate) kind: CallKind,
    pub(crate) place: Place,
    pub(crate) began: Instant,
    pub(crate) attempts: Vec<Attempt>,
    /// It found a server at once, at its beginning or for another attempt, and asked for a connection to it.
    pub(crate) asked: bool,
    /// It has asked for a connection since its last attempt ended.
    pub(crate) asked_again: bool,
    pub(crate) ended: Option<(Instant, CallEnd)>,
}

/// One command that was sent for a call.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) request: i32,
    pub(crate) command: String,
    pub(crate) server: ServerAddress,
    pub(crate) lsid: Option<Vec<u8>>,
    pub(crate) txn: Option<i64>,
    pub(crate) end: Option<(Instant, AttemptEnd)>,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub(crate) enum AttemptEnd {
    /// A reply with `ok: 1`; whether it has write errors, and the code of a write concern error.
    Reply { write_errors: bool, concern_error: Option<i32> },
    /// Anything else.
    Failed(Error),
}

/// What came of a call.
#[derive(Clone, Debug)]
pub(crate) enum CallEnd {
    Ok,
    Failed(Error),
    Dropped,
}

impl Call {
    /// Whether anything was sent.
    pub(crate) fn was_sent(&self) -> bool {
        !self.attempts.is_empty()
    }

    /// Whether servers have refused all that was sent, without carrying it out.
    pub(crate) fn was_refused(&self) -> bool {
        self.attempts.iter().all(|attempt| match &attempt.end {
            Some((_, AttemptEnd::Failed(error))) => {
                // NotWritablePrimary, NotPrimaryNoSecondaryOk: said before anything is done.
                matches!(&*error.kind, quorate::error::ErrorKind::Command(error) if matches!(error.code, 10107 | 13435))
            }
            _ => false,
        })
    }

    pub(crate) fn took(&self) -> Option<Duration> {
        self.ended.as_ref().map(|(at, _)| *at - self.began)
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("#{} {:?} {:?} of client {}", self.op, self.kind, self.place, self.client);
        for attempt in &self.attempts {
            text.push_str(&format!("; {} on {}", attempt.command, attempt.server));
            match &attempt.end {
                None => text.push_str(": no answer"),
                Some((_, AttemptEnd::Failed(error))) => text.push_str(&format!(": {error}")),
                Some((_, AttemptEnd::Reply { concern_error: Some(code), .. })) => {
                    text.push_str(&format!(": write concern error {code}"));
                }
                Some((_, AttemptEnd::Reply { write_errors: true, .. })) => text.push_str(": write errors"),
                Some(_) => text.push_str(": ok"),
            }
        }
        text
    }
}
