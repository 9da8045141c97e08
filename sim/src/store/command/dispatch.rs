//! Which command is which: where it may run, and its standing in its session.

use super::{Outcome, Run, transaction};
use crate::store::Store;
use crate::store::call::{Call, Parked, Ran, ReadAt, Session, TransactionPart, Wait, Work};
use crate::store::data::View;
use crate::store::failure::{Failure, Result};
use bson::Document;

type Shape = fn(&Document) -> Result<()>;
type Handler = fn(&mut Run<'_>, Parked) -> Result<Outcome>;

/// Whether a command may be part of a transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InTransaction {
    Yes,
    /// But not as the first.
    Later,
    No,
    /// It ends one.
    Ends,
}

struct Command {
    name: &'static str,
    /// Checks the body's fields: comes before everything else.
    shape: Shape,
    run: Handler,
    txn: InTransaction,
    retryable: bool,
    admin: bool,
}

const fn command(name: &'static str, shape: Shape, run: Handler) -> Command {
    Command { name, shape, run, txn: InTransaction::No, retryable: false, admin: false }
}

const fn read(name: &'static str, shape: Shape, run: Handler) -> Command {
    Command { txn: InTransaction::Yes, ..command(name, shape, run) }
}

const fn write(name: &'static str, shape: Shape, run: Handler) -> Command {
    Command { retryable: true, ..read(name, shape, run) }
}

/// All of them, by name.
const COMMANDS: &[Command] = &[
    Command {
        txn: InTransaction::Ends,
        admin: true,
        ..command("abortTransaction", super::transaction::abort_shape, |run, parked| {
            run.abort_transaction(parked)
        })
    },
    read("aggregate", super::aggregate::shape, |run, parked| run.aggregate(parked)),
    command("collStats", super::listing::coll_stats_shape, |run, parked| run.coll_stats(parked)),
    Command {
        txn: InTransaction::Ends,
        admin: true,
        ..command("commitTransaction", super::transaction::commit_shape, |run, parked| {
            run.commit_transaction(parked)
        })
    },
    command("count", super::count::count_shape, |run, parked| run.count(parked)),
    read("create", super::catalog::create_shape, |run, parked| run.create(parked)),
    read("createIndexes", super::indexes::create_shape, |run, parked| run.create_indexes(parked)),
    command("dbStats", super::listing::db_stats_shape, |run, parked| run.db_stats(parked)),
    write("delete", super::delete::shape, |run, parked| run.delete(parked)),
    command("deleteIndexes", super::indexes::drop_shape, |run, parked| run.drop_indexes(parked)),
    read("distinct", super::count::distinct_shape, |run, parked| run.distinct(parked)),
    command("drop", super::catalog::drop_shape, |run, parked| run.drop_collection(parked)),
    command("dropDatabase", super::catalog::drop_database_shape, |run, parked| run.drop_database(parked)),
    command("dropIndexes", super::indexes::drop_shape, |run, parked| run.drop_indexes(parked)),
    read("find", super::find::shape, |run, parked| run.find(parked)),
    write("findAndModify", super::find_and_modify::shape, |run, parked| run.find_and_modify(parked)),
    write("findandmodify", super::find_and_modify::shape, |run, parked| run.find_and_modify(parked)),
    read("getMore", super::cursor::get_more_shape, |run, parked| run.get_more(parked)),
    write("insert", super::insert::shape, |run, parked| run.insert(parked)),
    Command {
        txn: InTransaction::Later,
        ..command("killCursors", super::cursor::kill_shape, |run, parked| run.kill_cursors(parked))
    },
    command("listCollections", super::listing::collections_shape, |run, parked| run.list_collections(parked)),
    Command {
        admin: true,
        ..command("listDatabases", super::listing::databases_shape, |run, parked| run.list_databases(parked))
    },
    command("listIndexes", super::listing::indexes_shape, |run, parked| run.list_indexes(parked)),
    write("update", super::update::shape, |run, parked| run.update(parked)),
];

fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.binary_search_by_key(&name, |c| c.name).ok().and_then(|i| COMMANDS.get(i))
}

/// Whether there is a command of this name.
pub(crate) fn knows(name: &str) -> bool {
    find(name).is_some()
}

/// Carries out a command.
pub(crate) fn run(store: &mut Store, call: Call<'_>) -> Ran {
    let (parked, last) = match call.work {
        Work::Command(body) => (Parked { body, progress: None }, false),
        Work::Again { parked, last } => (parked, last),
    };
    let resumed = parked.progress.is_some();
    let name = parked.body.keys().next().map_or("", String::as_str);
    let Some(command) = find(name) else {
        return Ran::failed(&Failure::new(59, format!("no such command: '{name}'")));
    };
    let mut run = Run {
        view: view(store, call.read),
        store,
        db: call.db,
        now: call.now,
        session: call.session,
        txn: None,
        optimes: call.optimes,
        entries: Vec::new(),
        last,
    };
    let outcome =
        run.check(command, &parked.body, call.read, resumed).and_then(|()| (command.run)(&mut run, parked));
    let outcome = run.settle(command, outcome);
    let entries = run.entries;
    match outcome {
        Ok(Outcome::Done(reply)) => Ran { reply, entries, wait: None },
        Ok(Outcome::Wait(on, parked)) => Ran { entries, wait: Some(Wait { on, parked }), ..Ran::default() },
        Err(failure) => Ran { entries, ..Ran::failed(&failure) },
    }
}

fn view(store: &Store, read: ReadAt) -> View {
    match read {
        ReadAt::Latest => View::LATEST,
        ReadAt::Committed => View { at: store.committed.ts, txn: None },
        ReadAt::At(at) => View { at, txn: None },
    }
}

impl Run<'_> {
    /// What must be so before the command runs. The session is at this command afterwards.
    fn check(&mut self, command: &Command, body: &Document, read: ReadAt, resumed: bool) -> Result<()> {
        let Command { name, .. } = *command;
        (command.shape)(body)?;
        if command.admin && self.db != "admin" {
            return Err(Failure::new(13, format!("{name} may only be run against the admin database.")));
        }
        if let ReadAt::At(at) = read
            && at < self.store.horizon()
        {
            return Err(Failure::new(
                239,
                format!(
                    "Read timestamp Timestamp({}, {}) is older than the oldest available timestamp.",
                    at.time, at.increment
                ),
            ));
        }
        match self.session {
            Some(Session { lsid, txn_number: Some(number), transaction: Some(part) }) => {
                self.check_transaction(command, body, part)?;
                self.enter_transaction(lsid, number, part)
            }
            Some(Session { lsid, txn_number: Some(number), transaction: None }) => {
                if !command.retryable {
                    return Err(Failure::new(
                        50768,
                        format!(
                            "txnNumber may only be provided for multi-document transactions and retryable write commands. \
                             autocommit:false was not provided, and {name} is not a retryable write command."
                        ),
                    ));
                }
                if !resumed && self.store.sessions.begin_retryable(lsid, number)? {
                    self.store.abort_transaction(lsid);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a command may be this part of a transaction.
    fn check_transaction(&self, command: &Command, body: &Document, part: TransactionPart) -> Result<()> {
        let Command { name, .. } = *command;
        let unsupported = |message: String| Err(Failure::new(263, message));
        match (command.txn, part) {
            (InTransaction::No, _) if name == "count" => unsupported(format!(
                "Cannot run '{name}' in a multi-document transaction. Please see \
                 http://dochub.mongodb.org/core/transaction-count for a recommended alternative."
            )),
            (InTransaction::No, _) => {
                unsupported(format!("Cannot run '{name}' in a multi-document transaction."))
            }
            (InTransaction::Later, TransactionPart::Start) => unsupported(format!(
                "Cannot run {name} as the first operation in a multi-document transaction."
            )),
            (InTransaction::Ends, TransactionPart::Start) => {
                let what = if name == "commitTransaction" { "a commit" } else { "an abort" };
                unsupported(format!("Cannot start a transaction with {what}"))
            }
            (InTransaction::Ends, _) => Ok(()),
            _ => transaction::check_namespace(self.db, body),
        }
    }

    /// After the command: what fails in a transaction ends it.
    fn settle(&mut self, command: &Command, outcome: Result<Outcome>) -> Result<Outcome> {
        let Some(txn) = self.txn else { return outcome };
        let failed = match &outcome {
            Ok(Outcome::Done(reply)) => reply.contains_key("writeErrors"),
            Ok(Outcome::Wait(..)) => false,
            Err(_) => true,
        };
        if failed && command.txn != InTransaction::Ends {
            self.store.abort_transaction(txn);
            self.store.sessions.end_transaction(txn, false);
        }
        outcome.map_err(|e| if is_transient_here(&e) { e.label("TransientTransactionError") } else { e })
    }
}

fn is_transient_here(failure: &Failure) -> bool {
    transaction::is_transient(failure.code)
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;

    #[test]
    fn commands_are_in_order() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
