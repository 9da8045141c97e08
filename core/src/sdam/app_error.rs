//! What an application's error says of the server it came from.
//!
//! [`decide`] is the specification's "Error handling pseudocode" as a table: error, server and pool generation in, effects
//! out. It changes nothing itself.
//!
//! Source: SDAM specification, "Application errors"; load balancer specification, "Error Handling".

use super::{ServerDescription, ServerType, TopologyVersion};
use crate::error::{
    Error, ErrorKind, WriteFailure, is_node_recovering, is_node_shutting_down, is_not_writable_primary,
    labels,
};
use crate::raw::RawDoc;

/// An error of an operation, or of making a connection for one, with what the decision needs to know of that
/// connection.
#[derive(Clone, Debug, PartialEq)]
pub struct AppError {
    /// The error. Failures to connect, or during `hello`, carry the backpressure labels by now (CMAP specification,
    /// "Backpressure-enabled"), unless they certainly have another cause.
    pub error: Error,
    /// The pool's generation when the connection was begun.
    pub generation: u32,
    /// The service behind the load balancer, once the handshake has told.
    pub service_id: Option<[u8; 12]>,
    /// The connection was not ready for use yet: connecting, `hello`, or authentication.
    pub before_handshake: bool,
    /// The `topologyVersion` at the top of the reply that carried the error.
    pub topology_version: Option<TopologyVersion>,
}

impl AppError {
    /// An error on an established connection that was made in that generation of its pool. The topology version is
    /// read from a failed command's reply; a caller that has another reply at hand sets the field.
    pub fn new(error: Error, generation: u32) -> Self {
        let topology_version = match &*error.kind {
            ErrorKind::Command(failure) => topology_version_in(&failure.reply),
            _ => None,
        };
        AppError { error, generation, service_id: None, before_handshake: false, topology_version }
    }

    /// The same, said to have happened before the connection was ready.
    #[must_use]
    pub fn before_handshake(mut self) -> Self {
        self.before_handshake = true;
        self
    }

    /// The same, on a connection to that service behind a load balancer.
    #[must_use]
    pub fn with_service_id(mut self, service_id: Option<[u8; 12]>) -> Self {
        self.service_id = service_id;
        self
    }
}

fn topology_version_in(reply: &[u8]) -> Option<TopologyVersion> {
    let value = RawDoc::new(reply).ok()?.get("topologyVersion").ok()??;
    TopologyVersion::from_raw(value.as_document()?)
}

/// What an application's error brings about. Nothing, by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct AppErrorEffect {
    /// The server becomes Unknown, before anything else here is done.
    pub mark_unknown: bool,
    /// The topology version the Unknown description keeps, so that older news is told apart.
    pub topology_version: Option<TopologyVersion>,
    /// Its pool is cleared: wholly, or for the error's service behind a load balancer.
    pub clear_pool: bool,
    /// Its monitor is to check at once.
    pub request_check: bool,
    /// Its monitor's check under way, on a connection that is probably dead as well, is to be cancelled.
    pub cancel_check: bool,
}

/// Decides what `error` says of `server`, whose pool is at `generation` (behind a load balancer: the generation of the
/// error's service).
///
/// | error | server becomes Unknown | pool cleared | check |
/// |---|---|---|---|
/// | from an older generation, or with a topologyVersion not newer than the one held | no | no | |
/// | state change (not writable primary, node is recovering) | yes | only when shutting down | requested |
/// | with `SystemOverloadedError`, network or before the handshake | no | no | |
/// | network, not a time-out | yes | yes | cancelled |
/// | anything before the handshake | yes | yes | cancelled |
/// | time-out after the handshake, any other error | no | no | |
///
/// A load balancer never becomes Unknown and is never checked; only the pool of the service in question is cleared, and
/// nothing when the service is not known yet. Errors the driver made itself (a cleared pool, a wait queue, its own
/// deadline) say nothing of the server.
///
/// Below wire version 8 every state change cleared the pool; this driver does not speak to such servers.
pub fn decide(error: &AppError, server: &ServerDescription, generation: u32) -> AppErrorEffect {
    if is_stale(error, server, generation) || is_of_the_drivers_making(&error.error) {
        return AppErrorEffect::default();
    }
    let effect = if let Some(change) = state_change(&error.error) {
        AppErrorEffect {
            mark_unknown: true,
            topology_version: error.topology_version,
            clear_pool: change == StateChange::ShuttingDown,
            request_check: true,
            cancel_check: false,
        }
    } else if closes_the_server(error) {
        AppErrorEffect {
            mark_unknown: true,
            clear_pool: true,
            cancel_check: true,
            ..AppErrorEffect::default()
        }
    } else {
        AppErrorEffect::default()
    };
    if server.server_type == ServerType::LoadBalancer {
        let clear_pool = effect.clear_pool && error.service_id.is_some();
        return AppErrorEffect { clear_pool, ..AppErrorEffect::default() };
    }
    effect
}

/// `isStaleError`.
fn is_stale(error: &AppError, server: &ServerDescription, generation: u32) -> bool {
    if error.generation < generation {
        return true;
    }
    match (&server.topology_version, &error.topology_version) {
        (Some(held), Some(reported)) => held.is_at_least(reported),
        _ => false,
    }
}

/// The second branch of the pseudocode: a network error, or any error before the handshake completed.
fn closes_the_server(error: &AppError) -> bool {
    let network = error.error.is_network() && !error.error.is_network_timeout();
    (network || error.before_handshake) && !error.error.contains_label(labels::SYSTEM_OVERLOADED_ERROR)
}

fn is_of_the_drivers_making(error: &Error) -> bool {
    matches!(
        *error.kind,
        ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::WaitQueueTimeout { .. }
            | ErrorKind::Timeout { .. }
            | ErrorKind::Interrupted { .. }
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::Shutdown
    )
}

/// A state change error, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StateChange {
    /// "not writable primary": probably a useful secondary now.
    NotWritablePrimary,
    /// "node is recovering".
    Recovering,
    /// "node is shutting down": recovering, and all its connections are about to close.
    ShuttingDown,
}

/// The state change an error reports, if it reports one (`"not writable primary" and "node is recovering"`).
///
/// Looked at are the command's own error and write concern errors; never `writeErrors`. The code decides, and the words
/// only where there is no code.
pub fn state_change(error: &Error) -> Option<StateChange> {
    match &*error.kind {
        ErrorKind::Command(failure) => classify(failure.code, &failure.message),
        ErrorKind::Write(WriteFailure::WriteConcernError(failure)) => {
            classify(failure.code, &failure.message)
        }
        ErrorKind::InsertMany(failure) => {
            failure.write_concern_error.as_ref().and_then(|error| classify(error.code, &error.message))
        }
        ErrorKind::BulkWrite(failure) => {
            failure.write_concern_errors.iter().find_map(|error| classify(error.code, &error.message))
        }
        _ => None,
    }
}

/// By code, or by words where the code is 0 (none given).
fn classify(code: i32, message: &str) -> Option<StateChange> {
    if code != 0 {
        return match code {
            code if is_node_shutting_down(code) => Some(StateChange::ShuttingDown),
            code if is_node_recovering(code) => Some(StateChange::Recovering),
            code if is_not_writable_primary(code) => Some(StateChange::NotWritablePrimary),
            _ => None,
        };
    }
    if message.contains("not master or secondary") || message.contains("node is recovering") {
        Some(StateChange::Recovering)
    } else if message.contains("not master") {
        Some(StateChange::NotWritablePrimary)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerAddress;
    use crate::error::{CommandError, IndexedWriteError, InsertManyError, IoErrorKind, WriteError};
    use alloc::vec;

    const NOTHING: AppErrorEffect = AppErrorEffect {
        mark_unknown: false,
        topology_version: None,
        clear_pool: false,
        request_check: false,
        cancel_check: false,
    };
    const CHECK: AppErrorEffect = AppErrorEffect { mark_unknown: true, request_check: true, ..NOTHING };
    const DOWN: AppErrorEffect =
        AppErrorEffect { mark_unknown: true, clear_pool: true, cancel_check: true, ..NOTHING };

    fn server(server_type: ServerType) -> ServerDescription {
        let address = ServerAddress::default();
        ServerDescription { server_type, ..ServerDescription::unknown(address) }
    }

    fn command(code: i32, message: &str) -> Error {
        Error::new(ErrorKind::Command(CommandError::new(code, "", message, vec![])))
    }

    fn effect(error: &AppError) -> AppErrorEffect {
        decide(error, &server(ServerType::RsPrimary), 0)
    }

    #[test]
    fn the_table() {
        let shutdown = AppErrorEffect { clear_pool: true, ..CHECK };
        let network = || Error::io(IoErrorKind::Reset, "reset");
        let timeout = || Error::io(IoErrorKind::TimedOut, "slow");
        let cases = [
            (command(10107, ""), false, CHECK),
            (command(11602, ""), false, CHECK),
            (command(91, ""), false, shutdown),
            (command(11600, ""), true, shutdown),
            (command(8000, "auth"), false, NOTHING),
            (command(18, "auth"), true, DOWN),
            (network(), false, DOWN),
            (network(), true, DOWN),
            (timeout(), false, NOTHING),
            (timeout(), true, DOWN),
            (network().with_label(labels::SYSTEM_OVERLOADED_ERROR), true, NOTHING),
            (timeout().with_label(labels::SYSTEM_OVERLOADED_ERROR), true, NOTHING),
            (Error::new(ErrorKind::Authentication { message: "no".into() }), true, DOWN),
            (Error::new(ErrorKind::ConnectionPoolCleared { message: "gone".into() }), true, NOTHING),
        ];
        for (error, before, expected) in cases {
            let mut app = AppError::new(error, 0);
            app.before_handshake = before;
            assert_eq!(effect(&app), expected, "{app:?}");
        }
    }

    #[test]
    fn words_count_only_without_a_code() {
        assert_eq!(state_change(&command(0, "not master")), Some(StateChange::NotWritablePrimary));
        assert_eq!(state_change(&command(0, "not master or secondary")), Some(StateChange::Recovering));
        assert_eq!(state_change(&command(0, "node is recovering")), Some(StateChange::Recovering));
        assert_eq!(state_change(&command(1, "not master")), None);
    }

    #[test]
    fn write_errors_are_not_looked_at_and_write_concern_errors_are() {
        let refused = WriteError { code: 10107, ..WriteError::default() };
        assert_eq!(state_change(&ErrorKind::Write(WriteFailure::WriteError(refused.clone())).into()), None);
        let mut many = InsertManyError {
            write_errors: Some(vec![IndexedWriteError { index: 0, error: refused }]),
            ..InsertManyError::default()
        };
        assert_eq!(state_change(&ErrorKind::InsertMany(many.clone()).into()), None);
        many.write_concern_error = Some(crate::error::WriteConcernError { code: 91, ..Default::default() });
        assert_eq!(state_change(&ErrorKind::InsertMany(many).into()), Some(StateChange::ShuttingDown));
    }

    #[test]
    fn stale_errors_change_nothing() {
        let error = AppError::new(Error::io(IoErrorKind::Reset, "reset"), 1);
        assert_eq!(decide(&error, &server(ServerType::RsPrimary), 2), NOTHING);
        assert_eq!(decide(&error, &server(ServerType::RsPrimary), 1), DOWN);

        let version = |counter| TopologyVersion { process_id: [1; 12], counter };
        let mut primary = server(ServerType::RsPrimary);
        primary.topology_version = Some(version(5));
        let mut error = AppError::new(command(10107, ""), 0);
        for (counter, expected) in [(4, false), (5, false), (6, true)] {
            error.topology_version = Some(version(counter));
            let effect = decide(&error, &primary, 0);
            assert_eq!(effect.mark_unknown, expected, "{counter}");
            assert_eq!(effect.topology_version, expected.then(|| version(counter)));
        }
    }

    #[test]
    fn a_load_balancer_only_loses_the_pool_of_the_service() {
        let balancer = server(ServerType::LoadBalancer);
        let clear = AppErrorEffect { clear_pool: true, ..NOTHING };
        let reset = AppError::new(Error::io(IoErrorKind::Reset, "reset"), 0);
        assert_eq!(decide(&reset, &balancer, 0), NOTHING);
        let known = reset.with_service_id(Some([1; 12]));
        assert_eq!(decide(&known, &balancer, 0), clear);
        let shutdown = AppError::new(command(91, ""), 0).with_service_id(Some([1; 12]));
        assert_eq!(decide(&shutdown, &balancer, 0), clear);
        let stepped_down = AppError::new(command(189, ""), 0).with_service_id(Some([1; 12]));
        assert_eq!(decide(&stepped_down, &balancer, 0), NOTHING);
    }
}
