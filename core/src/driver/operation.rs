//! One operation, as far as the driver must know it: never its documents.

use super::waiters::Doubt;
use super::{ConnectionId, ServerId, Ticket};
use crate::client_session::{ClientSession, ReadConcernField, SessionFields};
use crate::error::{Error, ErrorKind};
use crate::raw::{DocWriter, RawDoc};
use crate::reply::ReplySummary;
use crate::retry::Retry;
use crate::sdam::{ServerDescription, ServerType};
use crate::selection::SelectionCriteria;
use crate::session::ServerSession;
use crate::shared::Arc;
use crate::transaction::TransactionCommand;
use crate::{ClusterTime, Instant, ReadConcern, ReadPreference, ReadPreferenceMode, ServerAddress};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// An operation in flight. The caller keeps it and shows it to the driver at every step.
///
/// ```
/// use quorate_core::driver::Operation;
/// use quorate_core::retry::Retry;
/// use quorate_core::selection::SelectionCriteria;
/// let insert = Operation::new(SelectionCriteria::Writable, Retry::Write);
/// assert_eq!(insert.attempts(), 0);
/// ```
#[derive(Debug)]
pub struct Operation {
    pub(super) criteria: SelectionCriteria,
    pub(super) retry: Retry,
    pub(super) acknowledged: bool,
    pub(super) keep_session: bool,
    pub(super) deadline: Option<Instant>,
    pub(super) session: Option<ServerSession>,
    /// The explicit session it runs in; there is no implicit one then.
    pub(super) client_session: Option<Box<ClientSession>>,
    pub(super) command: TransactionCommand,
    pub(super) read_concern: ReadConcernField,
    /// The server that the session's transaction is pinned to.
    pub(super) pinned: Option<SelectionCriteria>,
    pub(super) txn_number: Option<i64>,
    pub(super) attempts: u32,
    /// What to show if nothing comes of the next attempt.
    pub(super) earlier_error: Option<Error>,
    /// The server that failed the last attempt.
    pub(super) failed_on: Option<ServerId>,
    /// Servers that failed it, to be avoided by the next attempt where there is another (server selection specification,
    /// "deprioritized servers").
    pub(super) deprioritized: Vec<ServerAddress>,
    /// The server that the last attempt was refused by for its state, if that was no news.
    pub(super) doubt: Option<Doubt>,
    pub(super) bond: Bond,
    pub(super) stage: Stage,
}

/// A connection that a cursor is pinned to: behind a load balancer only the router that made the cursor knows it, and only this
/// connection leads there (load balancers specification, "Behaviour With Cursors").
///
/// It is out of its pool. Either the cursor's next command takes it ([`Operation::on_connection`]), or it is given back by
/// [`super::Driver::unpin`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the connection stays out of its pool"]
pub struct CursorPin(pub(super) ConnectionId);

/// How an operation is bound to one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bond {
    /// It is not.
    Free,
    /// It goes there, or is to stay there.
    To(ConnectionId),
    /// It was, and the connection is gone.
    Lost,
}

/// Where an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// With the caller: not begun, or between two attempts, or over.
    Idle,
    /// Waiting under a ticket.
    Waiting(Ticket),
    /// On a connection.
    Running(ConnectionId),
}

impl Operation {
    /// An operation that wants a server by `criteria` and may be repeated as `retry` says.
    pub fn new(criteria: SelectionCriteria, retry: Retry) -> Self {
        Operation {
            criteria,
            retry,
            acknowledged: true,
            keep_session: false,
            deadline: None,
            session: None,
            client_session: None,
            command: TransactionCommand::Operation,
            read_concern: ReadConcernField::Plain,
            pinned: None,
            txn_number: None,
            attempts: 0,
            earlier_error: None,
            failed_on: None,
            deprioritized: Vec::new(),
            doubt: None,
            bond: Bond::Free,
            stage: Stage::Idle,
        }
    }

    /// The same, given up at `deadline` whatever happens (client-side operations timeout).
    #[must_use]
    pub fn with_deadline(mut self, deadline: Option<Instant>) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same, as an unacknowledged write: no reply, no session, no second attempt.
    #[must_use]
    pub fn unacknowledged(mut self) -> Self {
        self.acknowledged = false;
        self.retry = Retry::Never;
        self
    }

    /// The same, in a session kept from an earlier operation (a cursor's).
    #[must_use]
    pub fn in_session(mut self, session: Option<ServerSession>) -> Self {
        self.session = session;
        self.keep_session = self.session.is_some();
        self
    }

    /// The same, leaving its implicit session with the caller when it is over ([`Operation::take_session`]): for commands
    /// that open a cursor, whose getMores must go under the same session.
    #[must_use]
    pub fn keeping_session(mut self) -> Self {
        self.keep_session = true;
        self
    }

    /// The same, on the connection that its cursor is pinned to, if it is.
    #[must_use]
    pub fn on_connection(mut self, pin: Option<CursorPin>) -> Self {
        self.bond = pin.map_or(Bond::Free, |pin| Bond::To(pin.0));
        self
    }

    /// The connection that the operation has left its cursor pinned to, once it is over; see [`CursorPin`].
    pub fn take_pin(&mut self) -> Option<CursorPin> {
        match core::mem::replace(&mut self.bond, Bond::Free) {
            Bond::To(connection) => Some(CursorPin(connection)),
            Bond::Free | Bond::Lost => None,
        }
    }

    /// Whether it holds a connection between two attempts or before the first ([`super::Driver::abandon`] gives it back).
    pub const fn is_pinned(&self) -> bool {
        matches!(self.bond, Bond::To(_))
    }

    /// The same, in an explicit session; take it back by [`Operation::take_client_session`] when the operation is over, however it
    /// ended.
    #[must_use]
    pub fn in_client_session(mut self, session: Option<Box<ClientSession>>) -> Self {
        self.client_session = session;
        self
    }

    /// The same, with that read concern. It is sent by [`Checkout::write_fields`], as it depends on the session.
    #[must_use]
    pub fn with_read_concern(mut self, concern: ReadConcernField) -> Self {
        self.read_concern = concern;
        self
    }

    /// The end of its session's transaction: `commitTransaction` or `abortTransaction`, on `admin`, whose body needs no further
    /// field. Repeated once whatever the options say.
    #[must_use]
    pub fn ending_transaction(committing: bool) -> Self {
        let mut operation = Operation::new(SelectionCriteria::Writable, Retry::Write);
        operation.command = if committing { TransactionCommand::Commit } else { TransactionCommand::Abort };
        operation.read_concern = ReadConcernField::Never;
        operation
    }

    /// The explicit session it was run in.
    pub const fn take_client_session(&mut self) -> Option<Box<ClientSession>> {
        self.client_session.take()
    }

    /// The explicit session, if its transaction is in progress and this operation part of it (not its end).
    pub(super) fn is_in_transaction(&self) -> bool {
        self.command == TransactionCommand::Operation
            && self.client_session.as_ref().is_some_and(|session| session.in_transaction())
    }

    pub(super) fn ends_transaction(&self) -> bool {
        self.command != TransactionCommand::Operation
    }

    /// The server session it is sent under.
    pub(super) fn server_session(&mut self) -> Option<&mut ServerSession> {
        match &mut self.client_session {
            Some(session) => Some(session.server_mut()),
            None => self.session.as_mut(),
        }
    }

    /// Which servers it may go to: in a transaction the one that it is pinned to.
    pub(super) fn wanted(&self) -> &SelectionCriteria {
        self.pinned.as_ref().unwrap_or(&self.criteria)
    }

    /// Whether its explicit session allows it.
    pub(super) fn admit(&mut self) -> Result<(), Error> {
        match &mut self.client_session {
            Some(session) => session.admit(self.command, &self.criteria, self.acknowledged),
            None if self.command != TransactionCommand::Operation => {
                Err(Error::invalid_argument("a transaction can only be ended in its session"))
            }
            None => Ok(()),
        }
    }

    /// The attempt was sent, or part of it, unless it failed before for what it is.
    pub(super) fn note_sent(&mut self, outcome: &Outcome<'_>) {
        let unsent = |error: &Error| {
            matches!(*error.kind, ErrorKind::InvalidArgument { .. } | ErrorKind::BsonSerialization { .. })
        };
        if !matches!(outcome, Outcome::Failed(error) if unsent(error))
            && let Some(session) = &mut self.client_session
        {
            session.handle_sent(self.command);
        }
    }

    /// Puts the labels on an error that the session's transaction wants.
    pub(super) fn label(&mut self, error: &mut Error) {
        if let Some(session) = &mut self.client_session {
            session.handle_error(self.command, error);
        }
    }

    /// The session kept; give it back by [`super::Driver::end_session`] when nothing more is to be sent in it.
    pub fn take_session(&mut self) -> Option<ServerSession> {
        self.session.take()
    }

    /// Attempts made so far.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the server is asked to reply.
    pub const fn is_acknowledged(&self) -> bool {
        self.acknowledged
    }

    /// When it must be over, if it has a time-out of its own.
    pub const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

/// A connection for one attempt, and what must be said on it.
#[derive(Clone, Debug)]
#[must_use = "a checked-out connection must come back by Driver::finish or Driver::abandon"]
pub struct Checkout {
    /// The connection; the host writes to the socket it keeps under this id.
    pub connection: ConnectionId,
    /// The server as it was when it was selected.
    pub server: Arc<ServerDescription>,
    pub(super) lsid: Option<[u8; 16]>,
    pub(super) txn_number: Option<i64>,
    pub(super) cluster_time: Option<ClusterTime>,
    pub(super) read_preference: Option<ReadPreference>,
    pub(super) read_concern: Option<ReadConcern>,
    /// In an explicit session, in place of `read_concern`.
    pub(super) fields: Option<Box<SessionFields>>,
}

impl Checkout {
    /// The transaction number of this attempt, if it carries one: every attempt of an operation carries the same.
    pub const fn txn_number(&self) -> Option<i64> {
        self.txn_number
    }

    /// Appends the fields that belong to this attempt: `lsid`, `txnNumber`, `$clusterTime`, `$readPreference`, `readConcern`, and
    /// what an explicit session asks for ([`crate::client_session`]).
    pub fn write_fields<'w>(&self, mut writer: DocWriter<'w>) -> DocWriter<'w> {
        if let Some(id) = self.lsid {
            writer = ServerSession::write_lsid(id, writer);
        }
        if let Some(number) = self.txn_number {
            writer = writer.i64("txnNumber", number);
        }
        if let Some(time) = self.cluster_time.as_ref().and_then(ClusterTime::document) {
            writer = writer.raw("$clusterTime", time);
        }
        if let Some(preference) = &self.read_preference {
            writer = writer.doc("$readPreference", |doc| preference.write_fields(doc));
        }
        if let Some(fields) = &self.fields {
            return fields.write(writer);
        }
        if let Some(concern) = &self.read_concern {
            writer = writer.doc("readConcern", |doc| concern.write_fields(doc));
        }
        writer
    }
}

/// Which `$readPreference` goes along (server selection specification, "Passing read preference to mongos and load
/// balancers"; OP_MSG specification, "Global Command Arguments").
///
/// Mode `primary` is never sent, as it is what a server assumes, except on a direct connection to a member of a replica
/// set: there `primaryPreferred` lets a secondary answer. Likewise where an application's own condition has led to one.
pub(super) fn read_preference_to_send(
    criteria: &SelectionCriteria,
    single: bool,
    server_type: ServerType,
) -> Option<ReadPreference> {
    let primary_preferred = || ReadPreference::new(ReadPreferenceMode::PrimaryPreferred);
    let preference = match criteria {
        SelectionCriteria::ReadPreference(preference) => preference,
        SelectionCriteria::Predicate(_) => {
            return (server_type == ServerType::RsSecondary).then(primary_preferred);
        }
        _ => return None,
    };
    if server_type == ServerType::Standalone {
        return None;
    }
    if preference.mode != ReadPreferenceMode::Primary {
        return Some(preference.clone());
    }
    let direct_to_member = single && server_type != ServerType::Mongos;
    direct_to_member.then(primary_preferred)
}

/// What [`super::Driver::begin`] and [`super::Driver::resume`] answer.
#[derive(Debug)]
#[must_use]
#[expect(
    clippy::large_enum_variant,
    reason = "the large one is the common one, and must not cost an allocation"
)]
pub enum Begin {
    /// Go: write the command on this connection.
    Go(Checkout),
    /// Wait until [`super::Output::Wake`] names the ticket, then call [`super::Driver::resume`].
    Wait(Ticket),
    /// It is over.
    Fail(Error),
}

/// How an attempt ended.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// A reply came.
    Reply {
        /// Its common fields.
        summary: &'a ReplySummary<'a>,
        /// The whole of it.
        body: RawDoc<'a>,
    },
    /// The command was written and no reply is due.
    NoReply,
    /// The connection failed; the error says how. Nothing more can be sent on it.
    Failed(Error),
    /// The host cut the attempt short because the driver asked it to ([`super::Output::Interrupt`]).
    Interrupted,
}

/// What [`super::Driver::finish`] answers.
#[derive(Debug)]
#[must_use]
pub enum Decision {
    /// It is over and the reply stands (write errors and write-concern errors inside an `ok: 1` reply are the
    /// caller's to read).
    Done,
    /// Send it again: call [`super::Driver::begin`] with the same operation. The error is why.
    Again(Error),
    /// It is over, with this error.
    Fail(Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secondary_must_be_told_that_it_may_answer() {
        let sent = |criteria: &SelectionCriteria, single, server| {
            read_preference_to_send(criteria, single, server).map(|preference| preference.mode)
        };
        let primary = SelectionCriteria::ReadPreference(ReadPreference::new(ReadPreferenceMode::Primary));
        let any = SelectionCriteria::Predicate(Arc::new(|_| true));
        let preferred = Some(ReadPreferenceMode::PrimaryPreferred);
        assert_eq!(sent(&primary, true, ServerType::RsSecondary), preferred);
        assert_eq!(sent(&primary, true, ServerType::Mongos), None);
        assert_eq!(sent(&primary, false, ServerType::RsPrimary), None);
        assert_eq!(sent(&any, false, ServerType::RsSecondary), preferred);
        assert_eq!(sent(&any, false, ServerType::RsPrimary), None);
        assert_eq!(sent(&any, true, ServerType::Standalone), None);
        assert_eq!(sent(&SelectionCriteria::Writable, true, ServerType::RsSecondary), None);
    }
}
