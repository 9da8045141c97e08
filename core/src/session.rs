//! Server sessions: the identities under which commands are sent and retried.
//!
//! An operation takes a session from the pool once it has a connection, and gives it back when it is over. The pool
//! is a stack, so that few sessions stay alive on the servers. Source: driver sessions specification, "Server Session Pool".

use crate::raw::DocWriter;
use crate::{Duration, Instant, Rng};
use alloc::vec::Vec;

/// A session goes back one minute before the server forgets it ("within one minute of expiring").
const MARGIN: Duration = Duration::from_secs(60);
/// More idle sessions than this are forgotten, so that a burst does not hold memory for half an hour.
const MOST_IDLE: usize = 10_000;

/// One server session: an id, and the number of its last retryable write or transaction.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerSession {
    id: [u8; 16],
    txn_number: i64,
    last_use: Instant,
    dirty: bool,
}

impl ServerSession {
    /// The session's UUID.
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }

    /// The number for the next retryable write. Counts up; never repeats within a session.
    pub(crate) fn next_txn_number(&mut self) -> i64 {
        self.txn_number = self.txn_number.saturating_add(1);
        self.txn_number
    }

    /// Says that a network error happened in it: what the server knows of it is uncertain, so it is never reused.
    pub(crate) fn mark_dirty(&mut self) {
        self.dirty = true;
    }

    pub(crate) fn touch(&mut self, now: Instant) {
        self.last_use = now;
    }

    /// Another of the same id, as there must never be.
    #[cfg(feature = "mistakes")]
    pub(crate) const fn twin(&self) -> Self {
        ServerSession { id: self.id, txn_number: self.txn_number, last_use: self.last_use, dirty: self.dirty }
    }

    /// Appends `lsid: {id: <uuid>}`.
    pub fn write_lsid<'w>(id: [u8; 16], writer: DocWriter<'w>) -> DocWriter<'w> {
        writer.doc("lsid", |doc| doc.binary("id", 4, &id))
    }
}

/// The idle server sessions of one client.
#[derive(Debug)]
pub struct SessionPool {
    idle: Vec<ServerSession>,
    rng: Rng,
}

impl SessionPool {
    /// An empty pool that draws its ids from `rng`.
    pub const fn new(rng: Rng) -> Self {
        SessionPool { idle: Vec::new(), rng }
    }

    /// Takes the session used last, or makes one. `timeout` is the deployment's session time-out; sessions about to
    /// expire are forgotten.
    pub fn take(&mut self, now: Instant, timeout: Option<Duration>) -> ServerSession {
        while let Some(session) = self.idle.pop() {
            if !expires_soon(&session, now, timeout) {
                return session;
            }
        }
        ServerSession { id: self.rng.uuid_v4(), txn_number: 0, last_use: now, dirty: false }
    }

    /// Gives a session back. A dirty one or one about to expire is forgotten.
    pub fn give_back(&mut self, session: ServerSession, now: Instant, timeout: Option<Duration>) {
        if !session.dirty && !expires_soon(&session, now, timeout) && self.idle.len() < MOST_IDLE {
            self.idle.push(session);
        }
    }

    /// Idle sessions.
    pub fn len(&self) -> usize {
        self.idle.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.idle.is_empty()
    }

    /// Takes all ids out, to be ended on the server when the client shuts down ("endSessions", at most 10,000 a command).
    pub fn drain_ids(&mut self) -> impl Iterator<Item = [u8; 16]> + '_ {
        self.idle.drain(..).map(|session| session.id)
    }
}

/// Without a time-out (no data-bearing server known) nothing expires: it is checked again when one is known.
fn expires_soon(session: &ServerSession, now: Instant, timeout: Option<Duration>) -> bool {
    timeout.is_some_and(|timeout| now - session.last_use + MARGIN > timeout)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_HOUR: Option<Duration> = Some(Duration::from_secs(1800));

    #[test]
    fn is_a_stack() {
        // Driver sessions specification, prose test 1: "Pool is LIFO".
        let mut pool = SessionPool::new(Rng::new(1));
        let now = Instant::ZERO;
        let (a, b) = (pool.take(now, HALF_HOUR), pool.take(now, HALF_HOUR));
        let (a_id, b_id) = (a.id(), b.id());
        assert_ne!(a_id, b_id);
        pool.give_back(a, now, HALF_HOUR);
        pool.give_back(b, now, HALF_HOUR);
        assert_eq!(pool.take(now, HALF_HOUR).id(), b_id);
        assert_eq!(pool.take(now, HALF_HOUR).id(), a_id);
    }

    #[test]
    fn forgets_what_is_dirty_or_about_to_expire() {
        let mut pool = SessionPool::new(Rng::new(1));
        let mut dirty = pool.take(Instant::ZERO, HALF_HOUR);
        dirty.mark_dirty();
        pool.give_back(dirty, Instant::ZERO, HALF_HOUR);
        assert!(pool.is_empty());
        let old = pool.take(Instant::ZERO, HALF_HOUR);
        let id = old.id();
        pool.give_back(old, Instant::ZERO, HALF_HOUR);
        let late = Instant::ZERO + Duration::from_secs(1741);
        assert_ne!(pool.take(late, HALF_HOUR).id(), id);
        assert!(pool.is_empty());
    }

    #[test]
    fn transaction_numbers_count_up() {
        let mut pool = SessionPool::new(Rng::new(1));
        let mut session = pool.take(Instant::ZERO, None);
        assert_eq!((session.next_txn_number(), session.next_txn_number()), (1, 2));
    }
}
