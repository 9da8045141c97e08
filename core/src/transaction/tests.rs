//! The state machine, rule by rule, and the prose tests of `transactions/tests/README.md` as far as they need no server.

use super::*;
use crate::concern::{UNKNOWN_REPL_WRITE_CONCERN, UNSATISFIABLE_WRITE_CONCERN};
use crate::error::{CommandError, IoErrorKind, WriteConcernError, WriteFailure};
use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::{format, vec};

use TransactionCommand::{Abort, Commit, Operation};
use TransactionState as S;

fn mongos(n: u16) -> ServerAddress {
    ServerAddress::tcp("mongos", n)
}

/// Sends one operation, selecting `choice` where the pin leaves it open, and says where it went.
fn run(transaction: &mut Transaction, choice: ServerAddress) -> ServerAddress {
    transaction.operation();
    let server = transaction.pin().cloned().unwrap_or(choice);
    transaction.handle_selected(Some(&server));
    transaction.handle_sent(Operation);
    transaction.handle_reply(None);
    server
}

fn in_progress() -> Transaction {
    let mut transaction = Transaction::new();
    transaction.start().unwrap();
    assert_eq!(run(&mut transaction, mongos(1)), mongos(1));
    transaction
}

fn in_state(state: S) -> Transaction {
    let mut transaction = in_progress();
    match state {
        S::None => transaction = Transaction::new(),
        S::Starting => {
            transaction.commit().unwrap();
            transaction.start().unwrap();
        }
        S::InProgress => {}
        S::Committed => {
            transaction.commit().unwrap();
            transaction.handle_sent(Commit);
        }
        S::Aborted => {
            transaction.abort().unwrap();
        }
    }
    assert_eq!(transaction.state(), state);
    transaction
}

fn network() -> Error {
    Error::io(IoErrorKind::Reset, "reset")
}

fn command(code: i32) -> Error {
    ErrorKind::Command(CommandError::new(code, "", "", vec![])).into()
}

/// "Mongos Pinning Prose Tests", 1.
#[test]
fn prose_pinning_1_a_new_transaction_unpins() {
    let mut transaction = in_progress();
    transaction.commit().unwrap();
    let mut addresses = BTreeSet::new();
    for n in 0..50 {
        transaction.start().unwrap();
        assert_eq!(transaction.pin(), None);
        let first = run(&mut transaction, mongos(n % 2 + 1));
        assert_eq!(run(&mut transaction, mongos(9)), first, "the second operation goes where the first went");
        transaction.commit().unwrap();
        addresses.insert(first);
    }
    assert_eq!(addresses.len(), 2);
}

/// "Mongos Pinning Prose Tests", 2.
#[test]
fn prose_pinning_2_an_operation_outside_of_transactions_unpins() {
    let mut transaction = in_progress();
    transaction.commit().unwrap();
    assert_eq!(transaction.pin(), Some(&mongos(1)), "a commit may be called again, so it keeps the pin");
    let addresses: BTreeSet<_> = (0..50).map(|n| run(&mut transaction, mongos(n % 2 + 1))).collect();
    assert_eq!(addresses.len(), 2);
    assert_eq!((transaction.state(), transaction.pin()), (S::None, None));
}

/// "PoolClearedError Prose Test".
#[test]
fn prose_pool_cleared_error_is_transient() {
    let mut error = Error::new(ErrorKind::ConnectionPoolCleared { message: "cleared".into() });
    in_progress().handle_error(Operation, &mut error);
    assert!(error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR));
}

/// "ClientSession changes": the arrows of the diagram, and the errors where there is none.
#[test]
fn every_call_in_every_state() {
    let send = |again| Ok(EndTransaction::Send { again });
    let nothing = Ok(EndTransaction::Nothing);
    let none = Err("No transaction started");
    let twice = Err("Cannot call abortTransaction twice");
    let after_commit = Err("Cannot call abortTransaction after calling commitTransaction");
    let after_abort = Err("Cannot call commitTransaction after calling abortTransaction");
    let running = Err("Transaction already in progress");
    // State, start, commit, abort, and the state an operation leads to.
    let table = [
        (S::None, Ok(()), none, none, S::None),
        (S::Starting, running, nothing, nothing, S::InProgress),
        (S::InProgress, running, send(false), send(false), S::InProgress),
        (S::Committed, Ok(()), send(true), after_commit, S::None),
        (S::Aborted, Ok(()), after_abort, twice, S::None),
    ];
    for (state, start, commit, abort, operation) in table {
        let mut t = in_state(state);
        check(&mut t, state, Transaction::start, start, S::Starting);
        check(&mut in_state(state), state, Transaction::commit, commit, S::Committed);
        check(&mut in_state(state), state, Transaction::abort, abort, S::Aborted);
        let mut t = in_state(state);
        run(&mut t, mongos(1));
        assert_eq!(t.state(), operation, "operation in {state:?}");
    }
}

fn check<T: PartialEq + core::fmt::Debug>(
    transaction: &mut Transaction,
    from: S,
    call: fn(&mut Transaction) -> Result<T>,
    expected: Result<T, &str>,
    to: S,
) {
    let outcome = call(transaction).map_err(|error| error.to_string());
    let to = if outcome.is_ok() { to } else { from };
    assert_eq!(outcome, expected.map_err(|message| format!("transaction: {message}")), "in {from:?}");
    assert_eq!(transaction.state(), to, "from {from:?}");
}

#[test]
fn an_empty_transaction_is_committed_again_without_a_command() {
    let mut t = in_state(S::Starting);
    for _ in 0..2 {
        assert_eq!(t.commit().unwrap(), EndTransaction::Nothing);
    }
}

/// "Client-side errors MUST NOT change transaction state".
#[test]
fn a_command_that_was_not_sent_changes_nothing() {
    let mut t = in_state(S::Starting);
    t.operation();
    t.handle_selected(Some(&mongos(1)));
    t.handle_error(Operation, &mut Error::invalid_argument("too large"));
    assert_eq!(t.state(), S::Starting);
    t.operation();
    t.handle_selected(Some(&mongos(2)));
    assert!(t.fields(Operation).start, "still the first");
    assert_eq!(t.pin(), Some(&mongos(2)));
}

#[test]
fn fields_of_commands() {
    let fields = |t: &mut Transaction, command| {
        let fields = t.fields(command);
        let fields = (fields.in_transaction, fields.start, fields.recovery_token.is_some());
        t.handle_sent(command);
        fields
    };
    let mut bytes = vec![];
    DocWriter::new(&mut bytes).i32("x", 1).finish();
    let token = RawDoc::new(&bytes).unwrap();

    let mut t = Transaction::new();
    assert_eq!(fields(&mut t, Operation), (false, false, false));
    t.start().unwrap();
    assert_eq!(fields(&mut t, Operation), (true, true, false));
    t.handle_reply(Some(token));
    assert_eq!(fields(&mut t, Operation), (true, false, false));
    t.commit().unwrap();
    assert_eq!(fields(&mut t, Commit), (true, false, true));
    let mut command = vec![];
    t.fields(Commit).write(DocWriter::new(&mut command)).finish();
    let command = RawDoc::new(&command).unwrap();
    assert_eq!(
        command.iter().flatten().map(|(name, _)| name).collect::<Vec<_>>(),
        ["autocommit", "recoveryToken"]
    );
    t.start().unwrap();
    assert_eq!(fields(&mut t, Abort), (true, false, false), "a new transaction forgets the token");
}

/// "When to unpin", 1.
#[test]
fn an_abort_goes_to_the_pinned_mongos_once() {
    let mut t = in_progress();
    t.abort().unwrap();
    assert_eq!(t.pin(), Some(&mongos(1)));
    t.handle_selected(Some(&mongos(1)));
    assert_eq!(t.pin(), None);
    let mut t = in_progress();
    t.abort().unwrap();
    t.handle_error(Abort, &mut Error::new(ErrorKind::ServerSelection { message: "none".into() }));
    assert_eq!(t.pin(), None, "even if it was never sent");
}

/// "When to unpin", 2 and 3; "Error Labels".
#[test]
fn labels_and_what_they_unpin() {
    let (transient, unknown) =
        (Some(labels::TRANSIENT_TRANSACTION_ERROR), Some(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT));
    let unsatisfied = |code| {
        let error = WriteConcernError { code, ..WriteConcernError::default() };
        Error::from(ErrorKind::Write(WriteFailure::WriteConcernError(error)))
    };
    let selection = || Error::new(ErrorKind::ServerSelection { message: "none".into() });
    let labelled = |label: &'static str| command(251).with_label(label);
    let table = [
        (Operation, network(), transient),
        (Operation, selection(), transient),
        (Operation, labelled(labels::TRANSIENT_TRANSACTION_ERROR), transient),
        (Operation, command(11_000), None),
        (Commit, network(), unknown),
        (Commit, selection(), unknown),
        (Commit, command(50), unknown),
        (Commit, command(91), unknown),
        (Commit, labelled(labels::RETRYABLE_WRITE_ERROR), unknown),
        (Commit, unsatisfied(64), unknown),
        (Commit, unsatisfied(UNSATISFIABLE_WRITE_CONCERN), None),
        (Commit, unsatisfied(UNKNOWN_REPL_WRITE_CONCERN), None),
        (Commit, labelled(labels::TRANSIENT_TRANSACTION_ERROR), transient),
        (Commit, command(11_000), None),
    ];
    for (command, mut error, label) in table {
        let mut t = in_progress();
        if command == Commit {
            t.commit().unwrap();
        }
        t.handle_error(command, &mut error);
        for possible in [transient, unknown] {
            assert_eq!(error.contains_label(possible.unwrap()), possible == label, "{command:?}: {error}");
        }
        assert_eq!(t.pin().is_none(), label.is_some(), "{command:?}: {error}");
    }
}

#[test]
fn errors_outside_of_transactions_are_left_alone() {
    let mut error = network();
    Transaction::new().handle_error(Operation, &mut error);
    assert_eq!(error.labels().count(), 0);
}
