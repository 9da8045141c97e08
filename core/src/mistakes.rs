//! Mistakes planted on purpose, to prove that the simulation's search for bugs finds such. Compiled with the feature `mistakes`
//! only, which nothing but that proof uses; each is one line at the place where the right thing is decided.

/// A mistake that a client with [`ClientOptions::mistake`](crate::ClientOptions) makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mistake {
    /// A retryable write is sent again under a new transaction number.
    NewNumberOnRetry,
    /// An operation that must not be repeated is, after an error that tells nothing of what became of it.
    EverythingRetried,
    /// A network error of a retryable write does not get its label.
    LabelMissing,
    /// The server that failed an attempt is chosen for the next one although there are others.
    FailedServerAgain,
    /// The second attempt at a read goes to any member, whatever the read preference.
    PreferenceForgotten,
    /// A network error does not clear the pool.
    PoolNotCleared,
    /// "not writable primary" changes nothing.
    StateChangeIgnored,
    /// An older primary is believed: electionId and setVersion are not looked at.
    StalePrimaryBelieved,
    /// topologyVersions are compared the wrong way round.
    VersionsReversed,
    /// A connection from before the pool was cleared goes back into it.
    GenerationIgnored,
    /// A connection that was interrupted goes back into the pool.
    InterruptedReused,
    /// A connection on which a dropped call's reply is still due goes back into the pool.
    ReplyOwed,
    /// `maxPoolSize` is not looked at.
    PoolTooLarge,
    /// Whoever waits in line for a connection is never told of it.
    WaiterForgotten,
    /// An operation that is over gives its session back twice.
    SessionReturnedTwice,
    /// `timeoutMS` is not looked at.
    DeadlineIgnored,
    /// Every further attempt has a second more.
    DeadlineExtended,
    /// Operations on a primary that hangs go on waiting for it when there is a new one.
    HungPrimaryKept,
    /// Nobody asks for a check when an operation waits for a server.
    NoImmediateCheck,
    /// A heartbeat that fails has no event of its end.
    HeartbeatWithoutEnd,
    /// What a server can do is forgotten when it becomes Unknown, also for an operation that holds a connection to it.
    AbilitiesForgotten,
    /// An operation with a time-out of its own is repeated without any pause.
    NoPause,
    /// A `wtimeout` is reported as a failed command.
    WtimeoutIsFailure,
    /// A cursor asks any member for its next batch.
    GetMoreElsewhere,
    /// A cursor that is dropped is not closed on the server.
    CursorNotClosed,
    /// Behind a load balancer a cursor's next batch is asked for on any connection.
    CursorNotPinned,
    /// Every command of a transaction says that it starts it.
    StartsEveryTime,
    /// A commit is not repeated.
    CommitOnce,
    /// A repeated commit does not wait for a majority.
    CommitConcernKept,
    /// A transaction goes on with any router.
    TransactionNotPinned,
}

impl Mistake {
    /// All of them.
    pub const ALL: [Mistake; 30] = [
        Mistake::NewNumberOnRetry,
        Mistake::EverythingRetried,
        Mistake::LabelMissing,
        Mistake::FailedServerAgain,
        Mistake::PreferenceForgotten,
        Mistake::PoolNotCleared,
        Mistake::StateChangeIgnored,
        Mistake::StalePrimaryBelieved,
        Mistake::VersionsReversed,
        Mistake::GenerationIgnored,
        Mistake::InterruptedReused,
        Mistake::ReplyOwed,
        Mistake::PoolTooLarge,
        Mistake::WaiterForgotten,
        Mistake::SessionReturnedTwice,
        Mistake::DeadlineIgnored,
        Mistake::DeadlineExtended,
        Mistake::HungPrimaryKept,
        Mistake::NoImmediateCheck,
        Mistake::HeartbeatWithoutEnd,
        Mistake::AbilitiesForgotten,
        Mistake::NoPause,
        Mistake::WtimeoutIsFailure,
        Mistake::GetMoreElsewhere,
        Mistake::CursorNotClosed,
        Mistake::CursorNotPinned,
        Mistake::StartsEveryTime,
        Mistake::CommitOnce,
        Mistake::CommitConcernKept,
        Mistake::TransactionNotPinned,
    ];

    /// The one of that name, as `Debug` shows it.
    pub fn find(name: &str) -> Option<Mistake> {
        Self::ALL.into_iter().find(|mistake| alloc::format!("{mistake:?}") == name)
    }
}
