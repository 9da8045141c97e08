//! What goes into which command, cell by cell, and what is refused.

use super::*;
use crate::error::{CommandError, labels};
use crate::raw::DocWriter;
use crate::session::SessionPool;
use crate::{Acknowledgment, Duration, Instant, ReadPreference};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use TransactionCommand::{Abort, Commit, Operation};

const AT: Timestamp = Timestamp { time: 42, increment: 1 };

fn session(options: SessionOptions) -> ClientSession {
    let server = SessionPool::new(Rng::new(1)).take(Instant::ZERO, None);
    ClientSession::new(server, options, Rng::new(2))
}

fn written(session: &ClientSession, command: TransactionCommand, concern: &ReadConcernField) -> Vec<u8> {
    let mut bytes = vec![];
    session.fields(command, concern).write(DocWriter::new(&mut bytes)).finish();
    bytes
}

/// The names of the fields, those of documents behind their own.
fn names(bytes: &[u8]) -> Vec<String> {
    let mut names = vec![];
    for (name, value) in RawDoc::new(bytes).unwrap().iter().flatten() {
        match value.as_document() {
            Some(inner) => names.extend(inner.iter().flatten().map(|(field, _)| [name, field].join("."))),
            None => names.push(name.into()),
        }
    }
    names
}

/// Runs `command` as the driver does, and says what it carried.
fn run(session: &mut ClientSession, command: TransactionCommand, concern: &ReadConcernField) -> Vec<String> {
    session.admit(command, &SelectionCriteria::Writable, true).unwrap();
    session.handle_selected(None);
    let fields = names(&written(session, command, concern));
    session.handle_sent(command);
    fields
}

fn majority() -> ReadConcernField {
    ReadConcernField::Causal(Some(ReadConcern::majority()))
}

/// The table of the module's documentation, column by column.
#[test]
fn what_a_command_carries() {
    let mut s = session(SessionOptions::default());
    assert_eq!(run(&mut s, Operation, &majority()), ["readConcern.level"]);
    assert_eq!(run(&mut s, Operation, &ReadConcernField::Causal(None)), [""; 0]);
    s.advance_operation_time(AT);
    assert_eq!(run(&mut s, Operation, &majority()), ["readConcern.level", "readConcern.afterClusterTime"]);
    assert_eq!(run(&mut s, Operation, &ReadConcernField::Causal(None)), ["readConcern.afterClusterTime"]);
    assert_eq!(run(&mut s, Operation, &ReadConcernField::Plain), [""; 0]);

    let options = TransactionOptions {
        read_concern: Some(ReadConcern::snapshot()),
        write_concern: Some(WriteConcern::nodes(1)),
        max_commit_time: Some(Duration::from_millis(5)),
        criteria: None,
    };
    s.start_transaction(options, &TransactionOptions::default()).unwrap();
    let first = ["startTransaction", "autocommit", "readConcern.level", "readConcern.afterClusterTime"];
    assert_eq!(run(&mut s, Operation, &ReadConcernField::Plain), first, "whatever the command is");
    assert_eq!(run(&mut s, Operation, &majority()), ["autocommit"]);
    s.end_transaction(true).unwrap();
    assert_eq!(run(&mut s, Commit, &ReadConcernField::Never), ["autocommit", "writeConcern.w", "maxTimeMS"]);
    let again = ["autocommit", "writeConcern.w", "writeConcern.wtimeout", "maxTimeMS"];
    assert_eq!(run(&mut s, Commit, &ReadConcernField::Never), again);
    assert_eq!(s.fields(Commit, &ReadConcernField::Never).write_concern.w, Some(Acknowledgment::Majority));

    s.start_transaction(TransactionOptions::default(), &TransactionOptions::default()).unwrap();
    run(&mut s, Operation, &majority());
    s.end_transaction(false).unwrap();
    assert_eq!(run(&mut s, Abort, &ReadConcernField::Never), ["autocommit"]);
}

#[test]
fn a_transaction_has_one_number_and_the_next_a_higher_one() {
    let mut s = session(SessionOptions::default());
    assert_eq!(s.txn_number(Operation), None);
    for expected in 1..3 {
        s.start_transaction(TransactionOptions::default(), &TransactionOptions::default()).unwrap();
        run(&mut s, Operation, &majority());
        assert_eq!(s.txn_number(Operation), Some(expected));
        s.end_transaction(true).unwrap();
        assert_eq!(s.txn_number(Commit), Some(expected));
        assert_eq!(s.txn_number(Operation), None);
    }
}

#[test]
fn options_come_from_the_call_then_the_session_then_the_client() {
    let defaults = TransactionOptions {
        read_concern: Some(ReadConcern::snapshot()),
        write_concern: Some(WriteConcern::majority()),
        ..TransactionOptions::default()
    };
    let client = TransactionOptions {
        read_concern: Some(ReadConcern::local()),
        max_commit_time: Some(Duration::from_secs(1)),
        ..TransactionOptions::default()
    };
    let given =
        TransactionOptions { write_concern: Some(WriteConcern::nodes(2)), ..TransactionOptions::default() };
    let mut s =
        session(SessionOptions { default_transaction_options: defaults, ..SessionOptions::default() });
    s.start_transaction(given, &client).unwrap();
    let merged = &s.transaction_options;
    assert_eq!(merged.read_concern, Some(ReadConcern::snapshot()));
    assert_eq!(merged.write_concern, Some(WriteConcern::nodes(2)));
    assert_eq!(merged.max_commit_time, Some(Duration::from_secs(1)));
}

#[test]
fn snapshot_sessions_read_at_one_moment() {
    let mut s = session(SessionOptions { snapshot: true, ..SessionOptions::default() });
    s.advance_operation_time(AT);
    assert_eq!(run(&mut s, Operation, &majority()), ["readConcern.level"]);
    let mut bytes = vec![];
    DocWriter::new(&mut bytes)
        .i32("ok", 1)
        .doc("cursor", |cursor| cursor.i64("id", 0).timestamp("atClusterTime", AT))
        .finish();
    s.handle_reply(&ReplySummary::parse(RawDoc::new(&bytes).unwrap()).unwrap());
    assert_eq!(s.snapshot_time(), Some(AT));
    let level_and_time = ["readConcern.level", "readConcern.atClusterTime"];
    assert_eq!(run(&mut s, Operation, &ReadConcernField::Causal(None)), level_and_time);
    assert_eq!(
        run(&mut s, Operation, &ReadConcernField::Plain),
        level_and_time,
        "so that the server refuses it"
    );
    assert_eq!(run(&mut s, Operation, &ReadConcernField::Never), [""; 0]);
    assert!(s.start_transaction(TransactionOptions::default(), &TransactionOptions::default()).is_err());
    assert!(s.suits(true, 12).unwrap_err().to_string().contains("require MongoDB 5.0"));
    assert!(s.suits(true, 13).is_ok() && s.suits(false, 13).is_err());
}

#[test]
fn options_that_contradict_one_another() {
    let both = SessionOptions { snapshot: true, causal_consistency: Some(true), ..SessionOptions::default() };
    let time = SessionOptions { snapshot_time: Some(AT), ..SessionOptions::default() };
    assert!(both.validate().is_err() && time.validate().is_err());
    assert!(SessionOptions { snapshot: true, snapshot_time: Some(AT), ..time }.validate().is_ok());
    assert!(SessionOptions::default().is_causally_consistent());
    assert!(!SessionOptions { snapshot: true, ..SessionOptions::default() }.is_causally_consistent());
}

#[test]
fn what_is_refused_changes_nothing() {
    let nearest: SelectionCriteria = ReadPreference::new(ReadPreferenceMode::Nearest).into();
    let mut s = session(SessionOptions::default());
    let none = TransactionOptions::default;
    assert!(s.admit(Operation, &SelectionCriteria::Writable, false).is_err(), "unacknowledged");
    let unacknowledged = TransactionOptions { write_concern: Some(WriteConcern::nodes(0)), ..none() };
    assert!(s.start_transaction(none(), &unacknowledged).is_err());
    assert_eq!((s.state(), s.txn_number), (TransactionState::None, 0));

    s.start_transaction(none(), &none()).unwrap();
    assert!(s.start_transaction(none(), &none()).is_err());
    let error = s.admit(Operation, &nearest, true).unwrap_err();
    assert!(error.to_string().contains("read preference in a transaction must be primary"));
    assert_eq!((s.state(), s.txn_number), (TransactionState::Starting, 1));
    assert!(s.admit(Operation, &SelectionCriteria::default(), true).is_ok());
    s.end_transaction(false).unwrap();

    let secondaries = TransactionOptions { criteria: Some(nearest.clone()), ..none() };
    s.start_transaction(secondaries, &none()).unwrap();
    assert!(s.admit(Operation, &SelectionCriteria::default(), true).is_err(), "the transaction's counts too");
    assert!(s.admit(Operation, &SelectionCriteria::Writable, true).is_ok(), "writes are not looked at");
    s.end_transaction(false).unwrap();
    assert!(s.admit(Operation, &nearest, true).is_ok(), "no longer in it");
}

#[test]
fn concerns_are_inherited_outside_of_transactions_only() {
    let (own, other) = (ReadConcern::majority(), ReadConcern::local());
    assert_eq!(Scope::Alone.read_concern(Some(&own), Some(&other)), Ok(Some(&own)));
    assert_eq!(Scope::Alone.read_concern(None, Some(&other)), Ok(Some(&other)));
    assert_eq!(Scope::Transaction.read_concern(None, Some(&other)), Ok(None));
    assert!(Scope::Transaction.read_concern(Some(&own), None).is_err());
    assert!(Scope::Transaction.write_concern(Some(&WriteConcern::majority()), None).is_err());
}

fn failed(label: &'static str, code: i32) -> Error {
    Error::from(ErrorKind::Command(CommandError::new(code, "", "", vec![]))).with_label(label)
}

#[test]
fn the_convenient_api_step_by_step() {
    use TransactionState as S;
    let at = |ms| Instant::ZERO + Duration::from_millis(ms);
    let transient = || failed(labels::TRANSIENT_TRANSACTION_ERROR, 112);
    let unknown = |code| failed(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT, code);
    let mut c = Convenient::new(at(0), None, Rng::new(1));
    assert_eq!(c.attempt(at(0)), Ok(at(0)), "the first at once");
    assert_eq!(c.after_callback(at(1), None, S::InProgress), Next::Commit);
    assert_eq!(c.after_callback(at(1), None, S::Starting), Next::Commit);
    for ended in [S::None, S::Committed, S::Aborted] {
        assert_eq!(c.after_callback(at(1), None, ended), Next::Return);
    }
    assert_eq!(c.after_callback(at(1), Some(unknown(1)), S::Committed), Next::Fail(unknown(1)));
    assert_eq!(c.after_callback(at(1), Some(transient()), S::InProgress), Next::Repeat);
    let next = c.attempt(at(1)).unwrap();
    assert!(next - at(1) <= Duration::from_micros(7_500), "5 ms * 1.5 at the most");
    assert_eq!(c.after_commit(at(2), None), Next::Return);
    assert_eq!(c.after_commit(at(2), Some(unknown(64))), Next::Commit);
    assert_eq!(c.after_commit(at(2), Some(unknown(50))), Next::Fail(unknown(50)), "MaxTimeMSExpired");
    assert_eq!(c.after_commit(at(2), Some(transient())), Next::Repeat);
    assert_eq!(c.after_commit(at(2), Some(failed("x", 1))), Next::Fail(failed("x", 1)));
}

#[test]
fn the_convenient_api_gives_up_after_two_minutes() {
    let at = |s| Instant::ZERO + Duration::from_secs(s);
    let transient = || failed(labels::TRANSIENT_TRANSACTION_ERROR, 112);
    let is_timeout = |error: &Error| {
        matches!(*error.kind, ErrorKind::Timeout { .. })
            && error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR)
    };
    let mut c = Convenient::new(at(0), None, Rng::new(1));
    let mut longest = Duration::ZERO;
    for _ in 0..100 {
        longest = longest.max(c.attempt(at(119)).unwrap() - at(119));
        assert_eq!(c.after_callback(at(119), Some(transient()), TransactionState::InProgress), Next::Repeat);
    }
    assert!(longest > Duration::from_millis(400) && longest < Duration::from_millis(500));
    assert!(is_timeout(&c.attempt(at(120)).unwrap_err()));
    let mut c = Convenient::new(at(0), Some(Duration::from_secs(1)), Rng::new(1));
    c.attempt(at(0)).unwrap();
    let over = c.after_callback(at(1), Some(transient()), TransactionState::InProgress);
    assert!(matches!(over, Next::Fail(error) if is_timeout(&error)), "timeoutMS counts");
}
