//! Transactions as their commands show them: which of them carry what, and where they go.

use crate::explore::rule::Rule;
use bson::Document;
use quorate::ServerAddress;
use quorate::event::command::CommandStartedEvent;

type Fits = Result<(), (Rule, String)>;

/// The transaction of one session.
#[derive(Debug)]
pub(super) struct Transaction {
    number: i64,
    server: ServerAddress,
    connection: u32,
    /// An error that unpins the session has been seen, or its end was sent.
    unpinned: bool,
    /// What lets another router end it: the latest that a reply had.
    recovery: Option<Document>,
    /// Whether a commit was sent.
    committed: bool,
}

/// What the deployment pins a transaction to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// Nothing.
    None,
    /// The router.
    Server,
    /// The connection.
    Connection,
}

fn broken(text: impl Into<String>) -> Fits {
    Err((Rule::Sessions, text.into()))
}

impl Transaction {
    /// Takes a command with `autocommit`: the first of a transaction, or a further one of `known`.
    pub(super) fn note(
        known: &mut Option<Transaction>,
        event: &CommandStartedEvent,
        last: Option<i64>,
        pin: Pin,
        is_open: impl FnOnce(&ServerAddress, u32) -> bool,
    ) -> Fits {
        let (command, name) = (&event.command, event.command_name.as_str());
        if command.get_bool("autocommit").ok() != Some(false) {
            return broken(format!("{name} has an autocommit that is not false"));
        }
        let Ok(number) = command.get_i64("txnNumber") else {
            return broken(format!("{name} of a transaction has no number"));
        };
        let ends = matches!(name, "commitTransaction" | "abortTransaction");
        let starts = command.contains_key("startTransaction");
        if starts && (ends || command.get_bool("startTransaction").ok() != Some(true)) {
            return broken(format!("{name} has a startTransaction"));
        }
        if command.contains_key("readConcern") && !starts {
            return broken(format!("{name} has a read concern, and is not the first of its transaction"));
        }
        if command.contains_key("writeConcern") && !ends {
            return broken(format!("{name} has a write concern, and does not end its transaction"));
        }
        if starts {
            if last.is_some_and(|last| number <= last) {
                return broken(format!("{name} starts transaction {number}, and it has been started before"));
            }
            *known = Some(Transaction {
                number,
                server: event.connection.address.clone(),
                connection: event.connection.id,
                unpinned: false,
                recovery: None,
                committed: false,
            });
            return Ok(());
        }
        match known {
            Some(known) if known.number == number => {
                // Where its connection is gone, its end may still be said elsewhere.
                known.unpinned |= ends && pin == Pin::Connection && !is_open(&known.server, known.connection);
                known.goes_on(event, pin)
            }
            _ => broken(format!("{name} of transaction {number}, which was never started")),
        }
    }

    fn goes_on(&mut self, event: &CommandStartedEvent, pin: Pin) -> Fits {
        let name = event.command_name.as_str();
        let connection = &event.connection;
        let elsewhere = match pin {
            Pin::None => false,
            Pin::Server => connection.address != self.server,
            Pin::Connection => (&connection.address, connection.id) != (&self.server, self.connection),
        };
        if elsewhere && !self.unpinned {
            let text = format!(
                "{name} of a transaction sent to {}, and it is on {}",
                connection.address, self.server
            );
            return Err((Rule::Placement, text));
        }
        let ends = matches!(name, "commitTransaction" | "abortTransaction");
        if ends && event.command.get_document("recoveryToken").ok() != self.recovery.as_ref() {
            return broken(format!("{name} without the recovery token that there is"));
        }
        if name == "abortTransaction" {
            self.unpinned = true;
        }
        if name == "commitTransaction" {
            let concern = event.command.get_document("writeConcern").ok();
            let majority = concern.is_some_and(|concern| concern.get_str("w").ok() == Some("majority"));
            let limited = concern.is_some_and(|concern| concern.contains_key("wtimeout"));
            if std::mem::replace(&mut self.committed, true) != (majority && limited) {
                return broken("only a repeated commit waits for a majority for ten seconds");
            }
        }
        Ok(())
    }

    /// A command of it has succeeded.
    pub(super) fn answered(&mut self, reply: &Document) {
        if let Ok(token) = reply.get_document("recoveryToken") {
            self.recovery = Some(token.clone());
        }
        // Has a label, or is given one, that unpins.
        self.unpinned |= reply.contains_key("writeConcernError");
    }

    /// A command of it has failed in a way that unpins.
    pub(super) fn unpin(&mut self) {
        self.unpinned = true;
    }
}
