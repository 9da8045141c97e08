//! May this command run, here and now? Log-in, fail points, the member's state, concerns, cluster time.

use super::commands::Place;
use super::failpoint::{Strike, Subject};
use super::generic::{ReadConcernArgument, shown_read_concern};
use super::op::{Op, OpId, Origin, Stage};
use super::{Mongod, answer};
use crate::repl::{MemberState, wall_millis};
use crate::store::{Failure, TransactionPart};
use quorate_core::raw::Timestamp;
use quorate_core::{Instant, ReadConcernLevel};

/// How far into the future a client's cluster time may be, in seconds (`maxAcceptableLogicalClockDriftSecs`).
const MAX_DRIFT: i64 = 365 * 24 * 3600;

impl Mongod {
    /// Whether the client had to log in first, and has.
    pub(super) fn check_log_in(&mut self, now: Instant, op: &Op) -> Result<(), Failure> {
        let Origin::Client(conn) = op.origin else { return Ok(()) };
        if !self.settings.auth || op.command.is_open() || op.operator {
            return Ok(());
        }
        let conn = self.conns.get_mut(&conn);
        conn.map_or(Ok(()), |conn| conn.check_log_in(op.command.name, wall_millis(now)))
    }

    /// What the fail point does to it.
    pub(super) fn strike(&mut self, op: &Op) -> Option<Strike> {
        if self.fail.is_off() {
            return None;
        }
        let namespace = namespace(op);
        self.fail.strike(subject(&self.conns, op, &namespace))
    }

    /// The fail point has struck, and has held it up for as long as it wanted.
    pub(super) fn struck(&mut self, now: Instant, id: OpId, mut op: Op, strike: Strike) {
        op.labels = strike.labels;
        if strike.close {
            if let Some(conn) = op.conn() {
                self.close(conn);
            }
            return;
        }
        match strike.error {
            Some(failure) => self.fail(now, id, op, &failure),
            None => self.admitted(now, id, op),
        }
    }

    /// The rest of the checks; then it is carried out, or waits for its cluster time.
    pub(super) fn admitted(&mut self, now: Instant, id: OpId, mut op: Op) {
        if let Err(failure) = self.check(now, &op) {
            return self.fail(now, id, op, &failure);
        }
        if let Some(after) = op.generic.read.after {
            self.write_up_to(now, after);
        }
        match op.generic.read.after {
            Some(after) if self.readable_to(&op) < after => {
                op.stage = Stage::ClusterTime;
                op.timer = op.deadline;
                self.awaiting_time.insert(id);
                self.keep(id, op);
            }
            _ => self.execute(now, id, op),
        }
    }

    fn check(&mut self, now: Instant, op: &Op) -> Result<(), Failure> {
        if op.command.admin_only() && op.generic.db != "admin" {
            let text = format!("{} may only be run against the admin database.", op.command.name);
            return Err(Failure::new(13, text));
        }
        self.check_session(op)?;
        self.hear_cluster_time(now, op)?;
        self.check_place(op)?;
        if let Some(failure) = &op.generic.malformed {
            return Err(failure.clone());
        }
        if op.command.ends_transactions() && !op.in_transaction() {
            let text = format!("{} must be run within a transaction", op.command.name);
            return Err(Failure::new(125, text));
        }
        if op.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(answer::timed_out());
        }
        self.check_write_concern(op)?;
        self.check_read_concern(op)
    }

    fn check_session(&self, op: &Op) -> Result<(), Failure> {
        let Some(session) = op.generic.session.filter(|session| session.txn_number.is_some()) else {
            return Ok(());
        };
        if session.transaction.is_some() && !op.command.in_transactions() {
            let text = match op.command.name {
                "count" => {
                    "Cannot run 'count' in a multi-document transaction. Please see \
                     http://dochub.mongodb.org/core/transaction-count for a recommended alternative."
                }
                .to_owned(),
                "ping" | "hello" => "This command is not supported in transactions".to_owned(),
                name => format!("Cannot run '{name}' in a multi-document transaction."),
            };
            return Err(Failure::new(263, text));
        }
        if self.member.is_none() {
            let text = "Transaction numbers are only allowed on a replica set member or mongos";
            return Err(Failure::new(20, text));
        }
        if session.transaction.is_none() && (op.command.ends_transactions() || !op.command.is_retryable()) {
            let name = op.command.name;
            let text = format!(
                "txnNumber may only be provided for multi-document transactions and retryable write commands. \
                 autocommit:false was not provided, and {name} is not a retryable write command."
            );
            return Err(Failure::new(50768, text));
        }
        Ok(())
    }

    /// Whether a member in this state runs it ("not primary" and its kin).
    fn check_place(&self, op: &Op) -> Result<(), Failure> {
        let Some(member) = &self.member else { return Ok(()) };
        if member.is_writable_primary() {
            return Ok(());
        }
        let (not_primary, not_opted_in) = if self.says_primary(op) {
            ("not primary", "not primary and secondaryOk=false")
        } else {
            ("not master", "not master and slaveOk=false")
        };
        let opt_in = op.command.place == Place::OptIn && !op.in_transaction();
        match op.command.place {
            Place::Anywhere if !op.in_transaction() || op.command.name == "killCursors" => {}
            Place::OptIn if opt_in && op.generic.secondary_ok => {}
            Place::OptIn if opt_in => return Err(Failure::new(13435, not_opted_in)),
            _ => return Err(Failure::new(10107, not_primary)),
        }
        match member.state() {
            MemberState::Primary | MemberState::Secondary => Ok(()),
            _ if !op.command.needs_data() => Ok(()),
            MemberState::Recovering => Err(Failure::new(13436, "node is recovering")),
            _ => Err(Failure::new(13436, "node is not in primary or recovering state")),
        }
    }

    /// Whether to this client a primary is called so: it said `helloOk`.
    fn says_primary(&self, op: &Op) -> bool {
        op.conn().is_none_or(|conn| self.conns.get(&conn).is_some_and(|conn| conn.hello_ok))
    }

    fn check_write_concern(&self, op: &Op) -> Result<(), Failure> {
        let Some(write) = &op.generic.write else { return Ok(()) };
        if op.in_transaction() && !op.command.ends_transactions() {
            return Err(Failure::new(72, "writeConcern is not allowed within a multi-statement transaction"));
        }
        if !op.command.writes() {
            return Err(Failure::new(72, "Command does not support writeConcern"));
        }
        if self.member.is_some() {
            return Ok(());
        }
        match &write.concern.w {
            Some(quorate_core::Acknowledgment::Nodes(n)) if *n > 1 => {
                Err(Failure::new(2, "cannot use 'w' > 1 when a host is not replicated"))
            }
            Some(quorate_core::Acknowledgment::Custom(mode)) => Err(Failure::new(
                2,
                format!(
                    "cannot use non-majority 'w' mode \"{mode}\" when a host is not a member of a replica set"
                ),
            )),
            _ => Ok(()),
        }
    }

    fn check_read_concern(&self, op: &Op) -> Result<(), Failure> {
        let read = &op.generic.read;
        let (name, alone) = (op.command.name, self.member.is_none());
        let part = op.generic.session.and_then(|session| session.transaction);
        if part == Some(TransactionPart::Continue) && *read != ReadConcernArgument::default() {
            return Err(Failure::new(
                72,
                "Only the first command in a transaction may specify a readConcern",
            ));
        }
        let snapshot = matches!(read.level, Some(ReadConcernLevel::Snapshot));
        if let Some(level) = read.level.as_ref().filter(|_| !op.in_transaction()) {
            let refused = |what: &str| {
                let shown = shown_read_concern(level.as_str());
                Err(Failure::new(
                    72,
                    format!("Command {name} does not support {shown} :: caused by :: {what}"),
                ))
            };
            match level {
                ReadConcernLevel::Local | ReadConcernLevel::Available => {}
                _ if !op.command.reads() => return refused("read concern not supported"),
                ReadConcernLevel::Snapshot if !op.command.reads_snapshots() => {
                    return refused("read concern snapshot not supported");
                }
                ReadConcernLevel::Linearizable if alone => {
                    return Err(Failure::new(
                        123,
                        "node needs to be a replica set member to use read concern",
                    ));
                }
                ReadConcernLevel::Linearizable if !self.is_primary() => {
                    return Err(Failure::new(
                        10107,
                        "cannot satisfy linearizable read concern on non-primary node",
                    ));
                }
                _ => {}
            }
        }
        if snapshot && alone {
            let text = "node needs to be a replica set member to use readConcern: snapshot";
            return Err(Failure::new(123, text));
        }
        let Some(after) = read.after else { return Ok(()) };
        if alone {
            let text = "Cannot specify afterClusterTime readConcern without replication enabled";
            return Err(Failure::new(20, text));
        }
        let own = self.cluster_time;
        if after > own {
            let text = format!(
                "readConcern afterClusterTime value must not be greater than the current clusterTime. Requested \
                 clusterTime: {{ ts: Timestamp({}, {}) }}; current clusterTime: {{ ts: Timestamp({}, {}) }}",
                after.time, after.increment, own.time, own.increment
            );
            return Err(Failure::new(72, text));
        }
        Ok(())
    }

    /// Takes the client's `$clusterTime` over (driver sessions specification, "Gossipping the cluster time").
    fn hear_cluster_time(&mut self, now: Instant, op: &Op) -> Result<(), Failure> {
        let Some(heard) = op.generic.cluster_time.filter(|_| self.member.is_some()) else { return Ok(()) };
        let wall = wall_millis(now) / 1000;
        if i64::from(heard.time) > wall.saturating_add(MAX_DRIFT) {
            let time = heard.time;
            let text =
                format!("New $clusterTime, {time}, is too far from this node's wall clock time, {wall}.");
            return Err(Failure::new(205, text));
        }
        self.advance_cluster_time(heard);
        Ok(())
    }

    pub(super) fn advance_cluster_time(&mut self, heard: Timestamp) {
        if heard > self.cluster_time {
            self.cluster_time = heard;
            if let Some(member) = &mut self.member {
                // A primary's next entry comes after it.
                member.see_cluster_time(heard);
            }
        }
    }

    /// Whether it takes writes: the primary of its set, or alone.
    pub fn is_primary(&self) -> bool {
        self.member.as_ref().is_none_or(|member| member.is_writable_primary())
    }
}

/// Database and collection, `db.` where the command names none.
pub(super) fn namespace(op: &Op) -> String {
    let coll = match op.body.iter().next() {
        Some((_, bson::Bson::String(coll))) if op.command.names_collection() => coll.as_str(),
        // getMore names it beside its cursor.
        _ => op.body.get_str("collection").unwrap_or(""),
    };
    format!("{}.{coll}", op.generic.db)
}

/// The operation as the fail point sees it.
pub(super) fn subject<'a>(
    conns: &'a std::collections::BTreeMap<crate::node::ConnId, super::conn::Conn>,
    op: &'a Op,
    namespace: &'a str,
) -> Subject<'a> {
    let conn = op.conn().and_then(|conn| conns.get(&conn));
    Subject {
        command: op.command.name,
        namespace,
        app_name: conn.and_then(|conn| conn.app_name.as_deref()),
        internal: matches!(op.origin, Origin::Router { .. }),
    }
}
