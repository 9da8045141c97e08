//! Whether a failed operation may be sent again.
//!
//! One pure function over what happened. Sources: retryable writes specification, "Determining Retryable Errors" and
//! "Executing Retryable Write Commands"; retryable reads specification, "Retryable Error".

use crate::error::{Error, ErrorKind, is_retryable_read, is_retryable_write, labels};

/// What an operation allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Retry {
    /// Sent once only.
    #[default]
    Never,
    /// A read: sending it again does no harm.
    Read,
    /// A write that carries a transaction number where the server knows them: applied once however often it is sent.
    Write,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Select a server anew and send it again.
    Retry,
    /// Give up; the latest error says why.
    Fail,
    /// Give up; an earlier attempt's error says more than the latest.
    FailWithEarlier,
}

/// What is known about the attempt that failed.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// What the operation allows.
    pub retry: Retry,
    /// Which attempt it was; the first is 1.
    pub number: u32,
    /// Whether it carried a transaction number (only then may a write be sent again).
    pub has_txn_number: bool,
    /// Attempts allowed in all: two, unless the operation has a time-out of its own (client-side operations timeout
    /// specification, "Retryability").
    pub most_attempts: u32,
}

/// Decides. `error` must carry its labels ([`add_labels`]) already.
///
/// ```
/// use quorate_core::error::{Error, IoErrorKind};
/// use quorate_core::retry::{Attempt, Retry, RetryDecision, decide};
/// let attempt = Attempt { retry: Retry::Read, number: 1, has_txn_number: false, most_attempts: 2 };
/// let reset = Error::io(IoErrorKind::Reset, "connection reset");
/// assert_eq!(decide(attempt, &reset), RetryDecision::Retry);
/// assert_eq!(decide(Attempt { number: 2, ..attempt }, &reset), RetryDecision::Fail);
/// ```
pub fn decide(attempt: Attempt, error: &Error) -> RetryDecision {
    let repeatable = match attempt.retry {
        Retry::Never => false,
        Retry::Read => is_retryable_for_reads(error),
        Retry::Write => attempt.has_txn_number && error.contains_label(labels::RETRYABLE_WRITE_ERROR),
    };
    if repeatable && attempt.number < attempt.most_attempts {
        return RetryDecision::Retry;
    }
    // "If the retry attempt fails ... with an error labelled NoWritesPerformed, raise the original error"; likewise where no
    // server could be selected or no connection be had for it.
    let tells_nothing = error.contains_label(labels::NO_WRITES_PERFORMED)
        || matches!(*error.kind, ErrorKind::ServerSelection { .. } | ErrorKind::WaitQueueTimeout { .. });
    if attempt.number > 1 && tells_nothing { RetryDecision::FailWithEarlier } else { RetryDecision::Fail }
}

fn is_retryable_for_reads(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Interrupted { .. } => true,
        ErrorKind::Command(command) => is_retryable_read(command.code),
        _ => false,
    }
}

/// Puts `RetryableWriteError` on the errors of a write that the driver itself must label: network errors, a cleared pool, an
/// interruption; and, for servers before 4.4 (`maxWireVersion` below 9, mongos told apart), the listed codes.
/// Newer servers label their own answers.
pub fn add_labels(error: &mut Error, has_txn_number: bool, max_wire_version: i32, is_mongos: bool) {
    if !has_txn_number {
        return;
    }
    let retryable = match &*error.kind {
        ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::Interrupted { .. } => true,
        ErrorKind::Command(command) => max_wire_version < 9 && is_retryable_write(command.code),
        // "If the server is mongos, the write concern error's code is not looked at."
        ErrorKind::Write(_) => {
            max_wire_version < 9 && !is_mongos && error.code().is_some_and(is_retryable_write)
        }
        _ => false,
    };
    if retryable {
        error.add_label(labels::RETRYABLE_WRITE_ERROR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{CommandError, IoErrorKind};
    use alloc::vec::Vec;

    const WRITE: Attempt = Attempt { retry: Retry::Write, number: 1, has_txn_number: true, most_attempts: 2 };

    fn command(code: i32) -> Error {
        ErrorKind::Command(CommandError::new(code, "", "", Vec::new())).into()
    }

    fn labelled(mut error: Error, wire: i32) -> Error {
        add_labels(&mut error, true, wire, false);
        error
    }

    #[test]
    fn a_network_error_of_a_numbered_write_is_retried_once() {
        let reset = labelled(Error::io(IoErrorKind::Reset, "reset"), 17);
        assert_eq!(decide(WRITE, &reset), RetryDecision::Retry);
        assert_eq!(decide(Attempt { number: 2, ..WRITE }, &reset), RetryDecision::Fail);
    }

    #[test]
    fn a_write_without_a_number_is_never_sent_twice() {
        let mut reset = Error::io(IoErrorKind::Reset, "reset");
        add_labels(&mut reset, false, 17, false);
        assert!(!reset.contains_label(labels::RETRYABLE_WRITE_ERROR));
        assert_eq!(decide(Attempt { has_txn_number: false, ..WRITE }, &reset), RetryDecision::Fail);
    }

    #[test]
    fn new_servers_label_their_own_answers() {
        assert_eq!(decide(WRITE, &labelled(command(10107), 17)), RetryDecision::Fail);
        assert_eq!(decide(WRITE, &labelled(command(10107), 8)), RetryDecision::Retry);
        assert_eq!(
            decide(WRITE, &command(10107).with_label(labels::RETRYABLE_WRITE_ERROR)),
            RetryDecision::Retry
        );
    }

    #[test]
    fn the_first_error_is_raised_when_the_second_tells_nothing() {
        let second = command(91).with_label(labels::NO_WRITES_PERFORMED);
        assert_eq!(decide(Attempt { number: 2, ..WRITE }, &second), RetryDecision::FailWithEarlier);
        let none = Error::new(ErrorKind::ServerSelection { message: "none".into() });
        assert_eq!(decide(Attempt { number: 2, ..WRITE }, &none), RetryDecision::FailWithEarlier);
        assert_eq!(decide(WRITE, &none), RetryDecision::Fail);
    }

    #[test]
    fn reads_follow_the_table_of_codes() {
        let read = Attempt { retry: Retry::Read, has_txn_number: false, ..WRITE };
        for code in [10107, 13435, 11600, 91, 189, 6, 7, 89, 9001, 134, 262] {
            assert_eq!(decide(read, &command(code)), RetryDecision::Retry, "{code}");
        }
        assert_eq!(decide(read, &command(2)), RetryDecision::Fail);
    }
}
