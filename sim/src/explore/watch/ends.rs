//! What must hold of a call when it is over, from all that was seen of it.

use super::calls::{Attempt, AttemptEnd, Call, CallEnd, CallKind, Place};
use super::{Record, Watched};
use crate::explore::plan::{Class, Concern, Mode, OpPlan, Plan};
use crate::explore::rule::Rule;
use quorate::error::{Error, ErrorKind, WriteFailure, is_retryable_read, labels};
use quorate_core::{Duration, Instant};

type Fits = Result<(), (Rule, String)>;

/// A deadline is kept to the microsecond where no time passes in between; so much is let pass.
const SLACK: Duration = Duration::from_millis(2);

/// WriteConflict.
const WRITE_CONFLICT: i32 = 112;

impl Record {
    /// Notes that a call begins; gives its number.
    pub(in crate::explore) fn begin_call(&mut self, call: Call) -> usize {
        self.remark(|| format!("#{} begins: {:?} {:?}", call.op, call.kind, call.place));
        self.calls.push(call);
        self.calls.len() - 1
    }

    /// Notes that a call is over, and looks at it.
    pub(in crate::explore) fn end_call(
        &mut self,
        now: Instant,
        plan: &Plan,
        op: &OpPlan,
        number: usize,
        end: CallEnd,
    ) {
        self.remark(|| match &end {
            CallEnd::Ok => format!("#{} is done", op.id),
            CallEnd::Dropped => format!("#{} is dropped", op.id),
            CallEnd::Failed(error) => format!("#{} fails: {error}", op.id),
        });
        self.calls[number].ended = Some((now, end.clone()));
        if let CallEnd::Failed(error) = &end
            && (error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR)
                || error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT))
        {
            self.unpin(self.calls[number].client, op.id);
        }
        let call = &self.calls[number];
        let watched = &self.clients[call.client];
        let checks = [
            in_time(watched, call),
            tried_again(watched, call, now),
            answered(call, &end),
            labelled(call, &end),
            if self.lost_again { Ok(()) } else { unprovoked(plan, op, watched, call, &end) },
            self.prompt(plan, watched, call, now),
        ];
        let text = call.describe();
        for (rule, why) in checks.into_iter().filter_map(Result::err) {
            self.violated(now, rule, format!("{why} [{text}]"));
        }
    }

    /// After a failover an operation is done within milliseconds of the moment it could be.
    fn prompt(&self, plan: &Plan, watched: &Watched, call: &Call, now: Instant) -> Fits {
        let (Class::Failover, Some(served)) = (plan.class, self.served_since) else { return Ok(()) };
        let whole = call.kind == CallKind::Whole;
        if self.lost_again || whole || !matches!(call.place, Place::Writable | Place::By(Mode::Primary)) {
            return Ok(());
        }
        // What is lost comes back then, and others may replicate from it or look for somebody else, for which servers of 6.0 take up
        // to a second: what begins now is not the failover any more.
        let until = self.made_well.map_or(now, |well| well.min(now));
        let late = until.since(served.max(call.began));
        let bound = promptly(plan, watched, call);
        if late > bound {
            return Err((
                Rule::Prompt,
                format!("over {late:?} after it could have been served; {bound:?} are enough"),
            ));
        }
        Ok(())
    }
}

/// How long after a new primary can serve it an operation may take: the news, a connection, the command and its replication, all
/// of that behind the other tasks; and where the old primary hangs, the time it is given to show that it does not.
fn promptly(plan: &Plan, watched: &Watched, call: &Call) -> Duration {
    let one_way = plan.shape.link.one_way() + Duration::from_micros(150);
    let hops = 16 + 10 * plan.tasks.len() as u32;
    let grace = Duration::from_millis(25) + one_way * 10;
    // Who polls hears of nothing while nobody waits for a server; what the old primary was chosen for, and a connection to it, waits
    // for that.
    let polls = match (watched.plan.streams(), call.asked) {
        (true, _) => 0,
        (false, true) => watched.plan.heartbeat_ms + 600,
        (false, false) => 600,
    };
    one_way * hops + grace + Duration::from_millis(polls)
}

/// No call outlives its deadline.
fn in_time(watched: &Watched, call: &Call) -> Fits {
    if call.kind == CallKind::Whole {
        return Ok(());
    }
    let (Some(limit), Some(took)) = (watched.plan.timeout_ms.map(Duration::from_millis), call.took()) else {
        return Ok(());
    };
    if took > limit + SLACK {
        return Err((Rule::Deadline, format!("took {took:?}, and timeoutMS is {limit:?}")));
    }
    Ok(())
}

/// What may be sent again is, or somebody waited for a server or a connection to send it on.
fn tried_again(watched: &Watched, call: &Call, now: Instant) -> Fits {
    let plan = &watched.plan;
    let (Some((_, CallEnd::Failed(error))), [only]) = (&call.ended, call.attempts.as_slice()) else {
        return Ok(());
    };
    let Some((at, AttemptEnd::Failed(failure))) = &only.end else { return Ok(()) };
    if !may_be_repeated(watched, call, only, failure) || matches!(*error.kind, ErrorKind::Shutdown) {
        return Ok(());
    }
    let selection = Duration::from_millis(plan.selection_ms);
    let limit = plan
        .timeout_ms
        .map_or(selection, |ms| (call.began + Duration::from_millis(ms)).since(*at).min(selection));
    // A connection may have been waited for in vain, too, when a server was found at last.
    let limit = plan.wait_queue_ms.map_or(limit, |ms| limit.min(Duration::from_millis(ms)));
    if !call.asked_again && now - *at + SLACK < limit {
        return Err((Rule::Retries, "given up after one attempt that may be repeated".into()));
    }
    Ok(())
}

fn may_be_repeated(watched: &Watched, call: &Call, attempt: &Attempt, error: &Error) -> bool {
    let network = matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::Interrupted { .. });
    match call.kind {
        CallKind::Once | CallKind::Statement | CallKind::Whole => false,
        CallKind::Commit | CallKind::Abort => network || error.contains_label(labels::RETRYABLE_WRITE_ERROR),
        CallKind::Read => {
            let code = matches!(&*error.kind, ErrorKind::Command(error) if is_retryable_read(error.code));
            watched.plan.retry_reads && (network || code)
        }
        CallKind::Write => {
            let labelled = error.contains_label(labels::RETRYABLE_WRITE_ERROR);
            watched.plan.retry_writes && attempt.txn.is_some() && (network || labelled)
        }
    }
}

/// A result says what the last reply said.
fn answered(call: &Call, end: &CallEnd) -> Fits {
    let wrong = |text: &str| Err((Rule::Answers, text.to_owned()));
    let last = call.attempts.last().filter(|_| call.kind != CallKind::Whole);
    let last = last.and_then(|attempt| attempt.end.as_ref()).map(|(_, end)| end);
    match (end, last) {
        (CallEnd::Failed(error), last) => {
            let impossible = matches!(
                &*error.kind,
                ErrorKind::InvalidArgument { .. }
                    | ErrorKind::InvalidResponse { .. }
                    | ErrorKind::BsonDeserialization { .. }
                    | ErrorKind::Incompatible { .. }
                    | ErrorKind::SessionsNotSupported
                    | ErrorKind::Transaction { .. }
                    | ErrorKind::Shutdown
            );
            if impossible {
                return wrong(&format!("an error that cannot be: {error}"));
            }
            match last {
                Some(AttemptEnd::Reply { write_errors: false, concern_error: None }) => {
                    wrong(&format!("a reply without an error was made one: {error}"))
                }
                Some(AttemptEnd::Reply { write_errors: false, concern_error: Some(code) })
                    if !call.asked_again =>
                {
                    // One that may be repeated was, as far as waiting for a server.
                    let waited =
                        matches!(*error.kind, ErrorKind::ServerSelection { .. } | ErrorKind::Timeout { .. });
                    if waited { Ok(()) } else { says_so(error, *code) }
                }
                _ => Ok(()),
            }
        }
        (CallEnd::Ok, _) if call.kind == CallKind::Abort => Ok(()),
        (CallEnd::Ok, Some(AttemptEnd::Failed(error))) => {
            wrong(&format!("a failure was made a success: {error}"))
        }
        (CallEnd::Ok, Some(AttemptEnd::Reply { write_errors, concern_error })) => {
            if *write_errors || concern_error.is_some() {
                return wrong("a write error or write concern error was passed over");
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Errors in transactions carry the labels that say what is to be done (transactions specification, "Error Labels").
fn labelled(call: &Call, end: &CallEnd) -> Fits {
    let CallEnd::Failed(error) = end else { return Ok(()) };
    let transient = error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR);
    let unknown = error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT);
    let no_reply = matches!(
        *error.kind,
        ErrorKind::Io(_)
            | ErrorKind::ServerSelection { .. }
            | ErrorKind::ConnectionPoolCleared { .. }
            | ErrorKind::WaitQueueTimeout { .. }
            | ErrorKind::Interrupted { .. }
    );
    let wrong = match call.kind {
        CallKind::Statement => {
            (no_reply && !transient) || unknown || error.contains_label(labels::RETRYABLE_WRITE_ERROR)
        }
        CallKind::Commit => {
            let unknowable = no_reply || matches!(*error.kind, ErrorKind::Timeout { .. });
            (unknowable && !unknown) || (transient && unknown)
        }
        CallKind::Abort => return Err((Rule::Answers, format!("an abort fails: {error}"))),
        _ => false,
    };
    if wrong {
        let labels: Vec<&str> = error.labels().collect();
        return Err((Rule::Retries, format!("an error in a transaction has the labels {labels:?}")));
    }
    Ok(())
}

/// A write that took place and is not replicated as asked is reported as that.
fn says_so(error: &Error, code: i32) -> Fits {
    let concern = match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => Some(concern),
        ErrorKind::InsertMany(error) => error.write_concern_error.as_ref(),
        _ => None,
    };
    let right = concern.is_some_and(|concern| concern.code == code && (code != 64 || concern.is_timeout()));
    if right {
        return Ok(());
    }
    Err((
        Rule::Answers,
        format!("a write that took place (write concern error {code}) is reported as failed: {error}"),
    ))
}

/// Where nothing is wrong nothing fails; where one primary is lost, nothing does that can be sent again.
fn unprovoked(plan: &Plan, op: &OpPlan, watched: &Watched, call: &Call, end: &CallEnd) -> Fits {
    let CallEnd::Failed(error) = end else { return Ok(()) };
    let expected = match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteConcernError(_)) => true,
        ErrorKind::InsertMany(error) => error.write_errors.is_none(),
        ErrorKind::WaitQueueTimeout { .. } => watched.plan.wait_queue_ms.is_some(),
        _ => false,
    };
    let nodes = matches!(op.act.concern(), Some(Concern::Nodes(..)));
    // Somebody else may be writing the same; and what is lost with a primary is to be begun anew, or confirmed.
    let transient = error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR);
    let conflict = transient && error.code() == Some(WRITE_CONFLICT);
    let unknown = error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT);
    let failed = match plan.class {
        Class::Quiet if call.kind == CallKind::Statement => !conflict,
        Class::Quiet => !(expected && (nodes || watched.plan.wait_queue_ms.is_some())),
        Class::Failover => match call.kind {
            CallKind::Once => false,
            CallKind::Statement => !transient,
            CallKind::Commit => !transient && !unknown,
            CallKind::Abort | CallKind::Whole => true,
            CallKind::Read => watched.plan.retry_reads,
            CallKind::Write => watched.plan.retry_writes && !expected,
        },
        Class::Chaos => false,
    };
    if failed {
        return Err((Rule::Unprovoked, format!("failed: {error}")));
    }
    Ok(())
}
