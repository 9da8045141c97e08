//! The convenient API for transactions: what follows an attempt at the callback or the commit.
//!
//! A machine of decisions without outputs: the host runs callback and commit, and asks after each.
//!
//! 1. [`Convenient::attempt`]: sleep as long as it says, start the transaction, run the callback.
//! 2. [`Convenient::after_callback`]: abort if it says so, then commit, or go back to 1, or return.
//! 3. [`Convenient::after_commit`]: commit again, or go back to 1, or return.
//!
//! Source: transactions convenient API specification, "Sequence of Actions".

use crate::error::{Error, ErrorKind, labels};
use crate::transaction::TransactionState;
use crate::{Duration, Instant, Rng};
use alloc::borrow::ToOwned;
use alloc::format;

/// "TIMEOUT_MS ... otherwise 120 seconds".
const LIMIT: Duration = Duration::from_secs(120);
/// "BACKOFF_INITIAL is 5 ms", in microseconds.
const BACKOFF_INITIAL: u64 = 5_000;
/// "BACKOFF_MAX is 500 ms", in microseconds.
const BACKOFF_MAX: u64 = 500_000;
/// MaxTimeMSExpired.
const MAX_TIME_MS_EXPIRED: i32 = 50;

/// What is next.
#[derive(Debug, PartialEq)]
#[must_use]
pub enum Next {
    /// The callback ended the transaction itself, or the commit succeeded: return what the callback gave.
    Return,
    /// Commit, for the first time or again.
    Commit,
    /// Start all over: [`Convenient::attempt`].
    Repeat,
    /// Return this error.
    Fail(Error),
}

/// One call of the convenient API. See the module's documentation.
#[derive(Debug)]
pub struct Convenient {
    began: Instant,
    limit: Duration,
    attempts: u32,
    last_error: Option<Error>,
    rng: Rng,
}

impl Convenient {
    /// A call that begins now; `timeout` is the client's `timeoutMS`.
    pub fn new(now: Instant, timeout: Option<Duration>, rng: Rng) -> Self {
        Convenient { began: now, limit: timeout.unwrap_or(LIMIT), attempts: 0, last_error: None, rng }
    }

    /// Steps 2 and 3: when to start the transaction; a moment that has passed is now.
    ///
    /// # Errors
    /// When no time is left for another attempt.
    pub fn attempt(&mut self, now: Instant) -> Result<Instant, Error> {
        let pause = self.pause();
        if self.attempts > 0 && (now - self.began) + pause >= self.limit {
            let error = self.last_error.take();
            return Err(error.map_or_else(|| self.timed_out(None), |error| self.timed_out(Some(error))));
        }
        self.attempts = self.attempts.saturating_add(1);
        Ok(now + pause)
    }

    /// "jitter * min(BACKOFF_INITIAL * 1.5 ** transactionAttempt, BACKOFF_MAX)".
    fn pause(&mut self) -> Duration {
        if self.attempts == 0 {
            return Duration::ZERO;
        }
        let mut most = BACKOFF_INITIAL;
        // After twelve steps it is at its largest.
        for _ in 0..self.attempts.min(12) {
            most = (most.saturating_mul(3) / 2).min(BACKOFF_MAX);
        }
        let jitter = self.rng.next_u64() >> 32;
        Duration::from_micros((most * jitter) >> 32)
    }

    /// Steps 6 to 8. Before [`Next::Repeat`] and [`Next::Fail`] the transaction is to be aborted where it is in progress
    /// ([`TransactionState::Starting`], [`TransactionState::InProgress`]).
    pub fn after_callback(&mut self, now: Instant, error: Option<Error>, state: TransactionState) -> Next {
        match error {
            Some(error) if error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR) => {
                self.repeat(now, error)
            }
            Some(error) => Next::Fail(error),
            None if matches!(state, TransactionState::Starting | TransactionState::InProgress) => {
                Next::Commit
            }
            None => Next::Return,
        }
    }

    /// Steps 10 and 11.
    pub fn after_commit(&mut self, now: Instant, error: Option<Error>) -> Next {
        let Some(error) = error else { return Next::Return };
        let unknown = error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT)
            && error.code() != Some(MAX_TIME_MS_EXPIRED);
        if unknown {
            return if now - self.began < self.limit {
                Next::Commit
            } else {
                Next::Fail(self.timed_out(Some(error)))
            };
        }
        if error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR) {
            return self.repeat(now, error);
        }
        Next::Fail(error)
    }

    fn repeat(&mut self, now: Instant, error: Error) -> Next {
        if now - self.began >= self.limit {
            return Next::Fail(self.timed_out(Some(error)));
        }
        self.last_error = Some(error);
        Next::Repeat
    }

    /// "Timeout Error propagation": a time-out that tells of the error before it and has its labels.
    fn timed_out(&self, last: Option<Error>) -> Error {
        let Some(last) = last else {
            return ErrorKind::Timeout { message: "a transaction".into() }.into();
        };
        if matches!(*last.kind, ErrorKind::Timeout { .. }) {
            return last;
        }
        let message = format!("a transaction was tried for {:?}; the last error: {}", self.limit, last.kind);
        let mut error = Error::from(ErrorKind::Timeout { message });
        for label in last.labels() {
            error.add_label(label.to_owned());
        }
        match last.server_address() {
            Some(server) => error.with_server(server.clone()),
            None => error,
        }
    }
}
