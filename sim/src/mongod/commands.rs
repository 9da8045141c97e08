//! What the server knows of each command before it looks into it: who may run it, where, and which generic arguments it takes.

use super::failpoint::canonical;
use crate::store::Store;

/// Where a command may run in a replica set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a primary only.
    Primary,
    /// On a secondary where the client said so by its read preference.
    OptIn,
    /// Anywhere.
    Anywhere,
}

/// What the server knows of a command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    /// The name it goes by first.
    pub(crate) name: &'static str,
    /// Where it may run.
    pub(crate) place: Place,
    flags: u16,
}

/// Only against the database `admin`.
const ADMIN: u16 = 1;
/// Without logging in.
const OPEN: u16 = 1 << 1;
/// Takes a write concern.
const WRITES: u16 = 1 << 2;
/// Takes a read concern that is not the default.
const READS: u16 = 1 << 3;
/// May be part of a transaction.
const TXN: u16 = 1 << 4;
/// A retryable write.
const RETRY: u16 = 1 << 5;
/// Refused by a member that is neither primary nor secondary.
const DATA: u16 = 1 << 6;
/// Takes read concern `snapshot` outside of transactions.
const SNAPSHOT: u16 = 1 << 7;
/// Its first field names a collection.
const COLL: u16 = 1 << 8;

impl Command {
    const fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    /// Runs against the database `admin` only.
    pub(crate) const fn admin_only(&self) -> bool {
        self.has(ADMIN)
    }

    /// Needs no log-in.
    pub(crate) const fn is_open(&self) -> bool {
        self.has(OPEN)
    }

    /// Takes a write concern.
    pub(crate) const fn writes(&self) -> bool {
        self.has(WRITES)
    }

    /// Takes a read concern other than the default.
    pub(crate) const fn reads(&self) -> bool {
        self.has(READS)
    }

    /// May take `snapshot` outside of transactions.
    pub(crate) const fn reads_snapshots(&self) -> bool {
        self.has(SNAPSHOT)
    }

    /// May be part of a transaction.
    pub(crate) const fn in_transactions(&self) -> bool {
        self.has(TXN)
    }

    /// Is a retryable write.
    pub(crate) const fn is_retryable(&self) -> bool {
        self.has(RETRY)
    }

    /// Ends a transaction.
    pub(crate) fn ends_transactions(&self) -> bool {
        matches!(self.name, "commitTransaction" | "abortTransaction")
    }

    /// Needs data: a member that is starting or rolling back refuses it.
    pub(crate) const fn needs_data(&self) -> bool {
        self.has(DATA)
    }

    /// Names a collection in its first field.
    pub(crate) const fn names_collection(&self) -> bool {
        self.has(COLL)
    }
}

/// The command of this name; `None` if there is none.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    let canonical = canonical(name);
    COMMANDS.iter().find(|command| command.name == canonical).or_else(|| {
        // The store may know more than this table says; then it is a read as `find` is.
        Store::knows(name).then_some(&OTHER)
    })
}

const fn command(name: &'static str, place: Place, flags: u16) -> Command {
    Command { name, place, flags }
}

/// No command at all.
pub(crate) const fn nothing(place: Place) -> Command {
    command("", place, 0)
}

/// A command that needs no log-in and runs anywhere.
pub(crate) const fn named(name: &'static str) -> Command {
    command(name, Place::Anywhere, OPEN)
}

use Place::{Anywhere, OptIn, Primary};

const OTHER: Command = command("", OptIn, READS);

/// The most frequent first: it is searched from the top.
static COMMANDS: &[Command] = &[
    command("find", OptIn, READS | TXN | DATA | SNAPSHOT | COLL),
    command("insert", Primary, WRITES | TXN | RETRY | COLL),
    command("update", Primary, WRITES | TXN | RETRY | COLL),
    command("hello", Anywhere, OPEN),
    command("delete", Primary, WRITES | TXN | RETRY | COLL),
    command("ping", Anywhere, OPEN),
    command("getMore", Anywhere, TXN | DATA),
    command("findAndModify", Primary, WRITES | TXN | RETRY | COLL),
    command("aggregate", OptIn, READS | WRITES | TXN | DATA | SNAPSHOT | COLL),
    command("commitTransaction", Primary, ADMIN | WRITES | TXN | RETRY),
    command("abortTransaction", Primary, ADMIN | WRITES | TXN | RETRY),
    command("count", OptIn, READS | DATA | COLL),
    command("distinct", OptIn, READS | TXN | DATA | SNAPSHOT | COLL),
    command("killCursors", Anywhere, TXN | COLL),
    command("endSessions", Anywhere, 0),
    command("isMaster", Anywhere, OPEN),
    command("saslStart", Anywhere, OPEN),
    command("saslContinue", Anywhere, OPEN),
    command("authenticate", Anywhere, OPEN),
    command("logout", Anywhere, 0),
    command("create", Primary, WRITES | TXN | COLL),
    command("createIndexes", Primary, WRITES | TXN | COLL),
    command("drop", Primary, WRITES | COLL),
    command("dropDatabase", Primary, WRITES),
    command("dropIndexes", Primary, WRITES | COLL),
    command("collMod", Primary, WRITES | COLL),
    command("renameCollection", Primary, ADMIN | WRITES),
    command("listCollections", OptIn, DATA),
    command("listIndexes", OptIn, DATA | COLL),
    command("listDatabases", OptIn, ADMIN | DATA),
    command("explain", OptIn, READS | DATA),
    command("dbStats", OptIn, DATA),
    command("collStats", OptIn, DATA | COLL),
    command("validate", OptIn, DATA | COLL),
    command("refreshSessions", Anywhere, 0),
    command("startSession", Anywhere, 0),
    command("killSessions", Anywhere, 0),
    command("killAllSessions", Anywhere, 0),
    command("buildInfo", Anywhere, OPEN),
    command("connectionStatus", Anywhere, OPEN),
    command("whatsmyuri", Anywhere, OPEN),
    command("getCmdLineOpts", Anywhere, ADMIN),
    command("getParameter", Anywhere, ADMIN),
    command("getLog", Anywhere, ADMIN),
    command("hostInfo", Anywhere, ADMIN),
    command("serverStatus", Anywhere, 0),
    command("listCommands", Anywhere, 0),
    command("features", Anywhere, 0),
    command("getnonce", Anywhere, OPEN),
    command("lockInfo", Anywhere, ADMIN),
    command("currentOp", Anywhere, ADMIN),
    command("killOp", Anywhere, ADMIN),
    command("getDefaultRWConcern", Anywhere, ADMIN),
    command("getLastError", Anywhere, OPEN),
    command("configureFailPoint", Anywhere, ADMIN | OPEN),
    command("fsync", Anywhere, ADMIN),
    command("shutdown", Anywhere, ADMIN),
    command("replSetGetStatus", Anywhere, ADMIN),
    command("replSetGetConfig", Anywhere, ADMIN),
    command("replSetGetRBID", Anywhere, ADMIN),
    command("replSetStepDown", Anywhere, ADMIN),
    command("replSetStepUp", Anywhere, ADMIN),
    command("replSetFreeze", Anywhere, ADMIN),
    command("replSetReconfig", Anywhere, ADMIN),
    command("replSetInitiate", Anywhere, ADMIN),
    command("replSetMaintenance", Anywhere, ADMIN),
    command("replSetSyncFrom", Anywhere, ADMIN),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_lead_to_the_same_command() {
        assert_eq!(find("ismaster").unwrap().name, "isMaster");
        assert_eq!(find("findandmodify").unwrap().name, "findAndModify");
        assert!(find("nope").is_none() && find("PING").is_none() && find("").is_none());
        let names: std::collections::BTreeSet<_> = COMMANDS.iter().map(|c| c.name).collect();
        assert_eq!(names.len(), COMMANDS.len());
    }
}
