//! The specifications' tables of server error codes.

/// SDAM specification, "not writable primary" error codes: LegacyNotPrimary, NotWritablePrimary, NotPrimaryNoSecondaryOk.
pub const fn is_not_writable_primary(code: i32) -> bool {
    matches!(code, 10058 | 10107 | 13435)
}

/// SDAM specification, "node is recovering" error codes: ShutdownInProgress, PrimarySteppedDown, InterruptedAtShutdown,
/// InterruptedDueToReplStateChange, NotPrimaryOrSecondary.
pub const fn is_node_recovering(code: i32) -> bool {
    matches!(code, 91 | 189 | 11600 | 11602 | 13436)
}

/// SDAM specification, "node is shutting down" error codes: InterruptedAtShutdown, ShutdownInProgress.
pub const fn is_node_shutting_down(code: i32) -> bool {
    matches!(code, 91 | 11600)
}

/// Retryable reads specification, "Retryable Error": the state changes above, ReadConcernMajorityNotAvailableYet,
/// HostUnreachable, HostNotFound, NetworkTimeout, SocketException, ExceededTimeLimit.
pub const fn is_retryable_read(code: i32) -> bool {
    is_not_writable_primary(code) || is_node_recovering(code) || matches!(code, 134 | 6 | 7 | 89 | 9001 | 262)
}

/// Retryable writes specification, "Determining Retryable Errors": for servers too old to label errors themselves.
pub const fn is_retryable_write(code: i32) -> bool {
    is_not_writable_primary(code) || is_node_recovering(code) || matches!(code, 6 | 7 | 89 | 9001 | 262)
}
