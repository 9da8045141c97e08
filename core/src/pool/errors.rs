//! The errors a pool gives, in one place.
//!
//! Source: connection monitoring and pooling specification, "Connection Pool Errors"; load balancers specification,
//! "Connection Tracking".

use super::{PoolCounts, PoolOptions};
use crate::error::labels;
use crate::{Duration, Error, ErrorKind, ServerAddress};
use alloc::format;
use alloc::string::String;

/// Labels an error met while connecting or in the `hello` exchange as a sign of overload ("Backpressure-enabled"):
/// `SystemOverloadedError` and `RetryableError` on network errors and network time-outs.
///
/// `hello_done` says that the error came later, from authentication; it is left alone then. So are errors that overload
/// cannot cause: name look-up and TLS failures other than I/O have kinds of their own.
pub fn add_backpressure_labels(error: &mut Error, hello_done: bool) {
    if !hello_done && error.is_network() {
        error.add_label(labels::SYSTEM_OVERLOADED_ERROR);
        error.add_label(labels::RETRYABLE_ERROR);
    }
}

/// Why the pool is paused, for all who are turned away until it is ready again.
pub(super) fn cleared_message(address: &ServerAddress, cause: &Error) -> String {
    format!("Connection pool for {address} was cleared because another operation failed with: {cause}")
}

/// The same for a pool that was never ready.
pub(super) fn not_ready_message(address: &ServerAddress) -> String {
    format!("Connection pool for {address} is paused: the server has not been checked yet")
}

/// "PoolClearedError".
pub(super) fn cleared(address: &ServerAddress, message: String) -> Error {
    Error::new(ErrorKind::ConnectionPoolCleared { message }).with_server(address.clone())
}

/// "PoolClosedError". It is of the cleared kind because the caller's way out is the same: nothing was sent, select a
/// server again.
pub(super) fn closed(address: &ServerAddress) -> Error {
    let message = String::from("Attempted to check out a connection from closed connection pool");
    cleared(address, message)
}

/// "WaitQueueTimeoutError".
pub(super) fn wait_queue_timeout(options: &PoolOptions, waited: Duration, state: String) -> Error {
    let waited_ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
    let message = format!("Timed out while checking out a connection from connection pool. {state}");
    Error::new(ErrorKind::WaitQueueTimeout { waited_ms, message }).with_server(options.address.clone())
}

/// The operation's own deadline passed while it waited.
pub(super) fn deadline(options: &PoolOptions, state: String) -> Error {
    let message = format!("timed out while checking out a connection from connection pool. {state}");
    Error::new(ErrorKind::Timeout { message }).with_server(options.address.clone())
}

/// The state of the pool in words. `purposes` counts connections in use: for cursors, transactions, other operations.
pub(super) fn state_in_words(options: &PoolOptions, counts: PoolCounts, purposes: [usize; 3]) -> String {
    let [cursors, transactions, others] = purposes;
    let max = options.max_pool_size;
    if options.load_balanced {
        format!(
            "maxPoolSize: {max}, connections in use by cursors: {cursors}, connections in use by transactions: \
             {transactions}, connections in use by other operations: {others}"
        )
    } else {
        format!(
            "maxPoolSize: {max}, connections in use: {}, being established: {}, others waiting: {}",
            counts.in_use, counts.pending, counts.waiting
        )
    }
}

/// What an operation fails with whose connection was interrupted ("Clearing a non-load balanced pool").
pub(super) fn interrupted(address: &ServerAddress) -> Error {
    cleared(address, format!("Connection to {address} interrupted due to server monitor timeout"))
}
