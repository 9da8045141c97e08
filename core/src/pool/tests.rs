use super::*;
use crate::error::{IoErrorKind, labels};
use crate::{ErrorKind, Instant};
use alloc::string::ToString;
use alloc::vec::Vec;

const A: ServiceId = [0xa; 12];
const B: ServiceId = [0xb; 12];

fn ms(n: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(n)
}

fn pool(change: impl FnOnce(&mut PoolOptions)) -> Pool {
    let mut options = PoolOptions::new(ServerAddress::tcp("a", 1));
    change(&mut options);
    let mut pool = Pool::new(options);
    pool.ready(ms(0));
    pool
}

fn outputs(pool: &mut Pool) -> Vec<PoolOutput> {
    core::iter::from_fn(|| pool.poll_output()).collect()
}

/// The connections the pool asks for.
fn connects(pool: &mut Pool) -> Vec<PoolConnId> {
    let connect = |o| match o {
        PoolOutput::Connect { conn, .. } => Some(conn),
        _ => None,
    };
    outputs(pool).into_iter().filter_map(connect).collect()
}

/// Checks out `n` connections, all of them new.
fn in_use(pool: &mut Pool, n: u64, service: Option<ServiceId>) -> Vec<PoolConnId> {
    let mut got = Vec::new();
    for token in 0..n {
        pool.check_out(ms(0), OpToken(1000 + token), None);
        let conn = connects(pool)[0];
        pool.handle_established(ms(0), conn, service);
        assert_eq!(outputs(pool), [PoolOutput::CheckedOut { token: OpToken(1000 + token), conn }]);
        got.push(conn);
    }
    got
}

fn down() -> Error {
    Error::io(IoErrorKind::Reset, "connection reset")
}

/// Tokens that failed, and with what.
fn failures(outputs: Vec<PoolOutput>) -> Vec<(u64, ErrorKind)> {
    let failed = |o| match o {
        PoolOutput::CheckOutFailed { token, error, .. } => Some((token.0, *error.kind)),
        _ => None,
    };
    outputs.into_iter().filter_map(failed).collect()
}

fn is_cleared(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionPoolCleared { .. })
}

#[test]
fn the_newest_idle_connection_is_used_and_the_oldest_expire() {
    let mut pool = pool(|o| o.max_idle_time = Some(Duration::from_millis(10)));
    let conns = in_use(&mut pool, 3, None);
    for (n, conn) in (0u64..).zip(&conns) {
        assert!(pool.check_in(ms(n), *conn, true));
    }
    assert_eq!(pool.poll_timeout(), Some(ms(10)));
    pool.handle_timeout(ms(9));
    assert_eq!(outputs(&mut pool), []);
    pool.handle_timeout(ms(11));
    let reason = ConnectionClosedReason::Idle;
    let close = |conn| PoolOutput::Close { conn, reason };
    assert_eq!(outputs(&mut pool), [close(conns[0]), close(conns[1])]);
    assert_eq!(pool.try_check_out(ms(11)), Some(conns[2]));
    assert_eq!(pool.poll_timeout(), None);
}

#[test]
fn a_connection_idle_too_long_is_not_handed_out_even_if_the_timer_is_late() {
    let mut pool = pool(|o| o.max_idle_time = Some(Duration::from_millis(10)));
    let conn = in_use(&mut pool, 1, None)[0];
    pool.check_in(ms(0), conn, true);
    assert_eq!(pool.try_check_out(ms(10)), None);
    assert_eq!(pool.counts().idle, 1);
    pool.check_out(ms(10), OpToken(1), None);
    let outputs = outputs(&mut pool);
    assert_eq!(outputs[0], PoolOutput::Close { conn, reason: ConnectionClosedReason::Idle });
    assert!(matches!(outputs[1..], [PoolOutput::Connect { .. }]));
}

#[test]
fn waiters_behind_the_limit_time_out_and_say_what_the_pool_was_doing() {
    let mut pool = pool(|o| {
        o.max_pool_size = 1;
        o.wait_queue_timeout = Some(Duration::from_millis(30));
    });
    in_use(&mut pool, 1, None);
    pool.check_out(ms(0), OpToken(1), None);
    pool.check_out(ms(0), OpToken(2), Some(ms(20)));
    assert_eq!(pool.poll_timeout(), Some(ms(20)));
    pool.handle_timeout(ms(20));
    let failed = failures(outputs(&mut pool));
    assert!(matches!(failed[..], [(2, ErrorKind::Timeout { .. })]), "{failed:?}");
    pool.handle_timeout(ms(31));
    let failed = failures(outputs(&mut pool));
    let [(1, ErrorKind::WaitQueueTimeout { waited_ms: 31, message })] = &failed[..] else {
        panic!("{failed:?}")
    };
    assert!(
        message.ends_with("maxPoolSize: 1, connections in use: 1, being established: 0, others waiting: 0")
    );
    assert_eq!(pool.poll_timeout(), None);
}

#[test]
fn the_wait_queue_clock_stops_while_a_connection_is_being_established_for_one() {
    let mut pool = pool(|o| {
        o.max_connecting = 1;
        o.wait_queue_timeout = Some(Duration::from_millis(30));
    });
    for token in 1..=3 {
        pool.check_out(ms(0), OpToken(token), (token == 1).then_some(ms(500)));
    }
    let conn = connects(&mut pool)[0];
    assert_eq!(pool.poll_timeout(), Some(ms(30)));
    // The first leaves: the connection on its way is the second's now, and its clock stops too.
    pool.cancel(ms(10), OpToken(1));
    pool.handle_timeout(ms(30));
    let failed = failures(outputs(&mut pool));
    assert!(matches!(failed[..], [(3, ErrorKind::WaitQueueTimeout { .. })]), "{failed:?}");
    assert_eq!(pool.poll_timeout(), None);
    pool.handle_established(ms(400), conn, None);
    assert_eq!(outputs(&mut pool), [PoolOutput::CheckedOut { token: OpToken(2), conn }]);
}

#[test]
fn a_deadline_already_past_fails_at_once_and_opens_nothing() {
    let mut pool = pool(|_| {});
    pool.check_out(ms(5), OpToken(1), Some(ms(5)));
    let outputs = outputs(&mut pool);
    assert!(matches!(outputs[..], [PoolOutput::CheckOutFailed { token: OpToken(1), .. }]), "{outputs:?}");
}

#[test]
fn a_load_balanced_pool_says_what_its_connections_are_used_for() {
    let mut pool = pool(|o| {
        o.load_balanced = true;
        o.max_pool_size = 3;
        o.wait_queue_timeout = Some(Duration::from_millis(1));
    });
    let conns = in_use(&mut pool, 3, Some(A));
    pool.set_purpose(conns[0], Purpose::Cursor);
    pool.set_purpose(conns[1], Purpose::Transaction);
    pool.check_out(ms(0), OpToken(1), None);
    pool.handle_timeout(ms(1));
    let failed = failures(outputs(&mut pool));
    let [(1, ErrorKind::WaitQueueTimeout { message, .. })] = &failed[..] else { panic!("{failed:?}") };
    assert!(
        message.ends_with(
            "maxPoolSize: 3, connections in use by cursors: 1, connections in use by transactions: 1, \
             connections in use by other operations: 1"
        ),
        "{message}"
    );
}

#[test]
fn clearing_fails_waiters_closes_what_nobody_uses_and_interrupts_once() {
    let mut pool = pool(|o| o.max_pool_size = 4);
    let conns = in_use(&mut pool, 3, None);
    pool.check_in(ms(0), conns[2], true);
    assert_eq!(pool.try_check_out(ms(0)), Some(conns[2]));
    pool.check_out(ms(0), OpToken(1), None);
    pool.check_out(ms(0), OpToken(2), None);
    let pending = connects(&mut pool)[0];
    pool.clear(ms(1), None, false, &down());
    let out = outputs(&mut pool);
    assert_eq!(out[0], PoolOutput::Close { conn: pending, reason: ConnectionClosedReason::Stale });
    let failed = failures(out);
    assert!(failed.iter().map(|f| f.0).eq([1, 2]) && failed.iter().all(|f| is_cleared(&f.1)), "{failed:?}");
    assert!(
        failed[0].1.to_string().contains("Connection pool for a:1 was cleared because another operation")
    );
    pool.clear(ms(2), None, true, &down());
    let interrupts: Vec<_> = conns.iter().map(|conn| PoolOutput::Interrupt { conn: *conn }).collect();
    assert_eq!(outputs(&mut pool), interrupts);
    pool.clear(ms(3), None, true, &down());
    assert_eq!(outputs(&mut pool), []);
    assert_eq!((pool.generation(), pool.state()), (3, PoolState::Paused));
    pool.check_in(ms(4), conns[0], false);
    let reason = ConnectionClosedReason::Stale;
    assert_eq!(outputs(&mut pool), [PoolOutput::Close { conn: conns[0], reason }]);
    pool.check_out(ms(4), OpToken(3), None);
    assert!(is_cleared(&failures(outputs(&mut pool))[0].1));
}

#[test]
fn the_failure_that_clears_the_pool_is_told_to_one_waiter_as_it_is() {
    let mut pool = pool(|_| {});
    for token in 1..=3 {
        pool.check_out(ms(0), OpToken(token), None);
    }
    let conns = connects(&mut pool);
    assert_eq!(conns.len(), 2, "maxConnecting");
    pool.handle_connect_failed_and_clear(ms(1), conns[1], &down());
    let out = outputs(&mut pool);
    let close = |n: usize, reason| PoolOutput::Close { conn: conns[n], reason };
    assert_eq!(out[0], close(1, ConnectionClosedReason::Error));
    assert_eq!(out[2], close(0, ConnectionClosedReason::Stale));
    let failed = failures(out);
    assert!(matches!(failed[0], (1, ErrorKind::Io(_))), "{failed:?}");
    assert!(failed[1..].iter().all(|f| is_cleared(&f.1)) && failed.len() == 3, "{failed:?}");
}

#[test]
fn a_surplus_connection_may_fail_without_anybody_noticing() {
    let mut pool = pool(|_| {});
    pool.check_out(ms(0), OpToken(1), None);
    pool.check_out(ms(0), OpToken(2), None);
    let conns = connects(&mut pool);
    assert!(pool.cancel(ms(0), OpToken(1)));
    assert!(!pool.cancel(ms(0), OpToken(1)));
    pool.handle_connect_failed(ms(1), conns[0], down());
    assert_eq!(failures(outputs(&mut pool)), []);
    pool.handle_established(ms(1), conns[1], None);
    let checked_out = PoolOutput::CheckedOut { token: OpToken(2), conn: conns[1] };
    assert_eq!(outputs(&mut pool), [checked_out]);
}

#[test]
fn a_cancelled_check_out_ends_its_events_with_the_reason_it_had() {
    use ConnectionCheckoutFailedReason::{Dropped, Timeout};
    for (now, expected) in [(ms(9), Dropped), (ms(10), Timeout)] {
        let mut pool = pool(|o| o.events = true);
        pool.check_out(ms(0), OpToken(1), Some(ms(10)));
        outputs(&mut pool);
        assert!(pool.cancel(now, OpToken(1)));
        let out = outputs(&mut pool);
        let [PoolOutput::Event(CmapEvent::ConnectionCheckoutFailed(event))] = &out[..] else {
            panic!("{out:?}")
        };
        assert_eq!((event.reason, event.duration), (expected, now - ms(0)));
    }
}

#[test]
fn filling_up_pauses_after_a_failure_and_longer_after_the_next() {
    let mut pool = pool(|o| {
        o.min_pool_size = 1;
        o.max_connecting = 1;
    });
    let mut now = ms(0);
    for pause in [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000] {
        let conn = connects(&mut pool)[0];
        pool.handle_connect_failed(now, conn, down());
        assert_eq!(connects(&mut pool), []);
        let next = pool.poll_timeout().unwrap();
        assert_eq!(next - now, Duration::from_millis(pause));
        now = next;
        pool.handle_timeout(now);
    }
    // A waiter does not wait for that pause.
    let conn = connects(&mut pool)[0];
    pool.handle_connect_failed(now, conn, down());
    pool.check_out(now, OpToken(1), None);
    let conn = connects(&mut pool)[0];
    pool.handle_established(now, conn, None);
    pool.check_in(now, conn, false);
    assert!(outputs(&mut pool).iter().any(|o| matches!(o, PoolOutput::Connect { .. })), "it works again");
}

#[test]
fn services_behind_a_load_balancer_are_cleared_one_by_one() {
    let mut pool = pool(|o| o.load_balanced = true);
    let a = in_use(&mut pool, 2, Some(A));
    let b = in_use(&mut pool, 1, Some(B))[0];
    pool.check_in(ms(0), a[1], true);
    pool.check_out(ms(0), OpToken(1), None);
    pool.check_out(ms(0), OpToken(2), None);
    assert!(matches!(outputs(&mut pool)[0], PoolOutput::CheckedOut { token: OpToken(1), .. }));
    pool.clear(ms(1), None, false, &down());
    assert_eq!((pool.state(), outputs(&mut pool).len()), (PoolState::Ready, 0));
    pool.clear(ms(1), Some(A), false, &down());
    assert_eq!(outputs(&mut pool), []);
    assert_eq!((pool.service_generation(&A), pool.service_generation(&B), pool.generation()), (1, 0, 0));
    assert!(pool.is_stale(a[0]) && pool.is_stale(a[1]) && !pool.is_stale(b));
    assert_eq!((pool.state(), pool.counts().waiting), (PoolState::Ready, 1));
    // A fresh one goes to the waiter, a stale one does not.
    pool.check_in(ms(2), a[0], true);
    assert!(matches!(outputs(&mut pool)[..], [PoolOutput::Close { .. }]));
    pool.check_in(ms(2), b, true);
    assert_eq!(outputs(&mut pool), [PoolOutput::CheckedOut { token: OpToken(2), conn: b }]);
}

#[test]
fn a_service_cleared_while_a_connection_to_it_authenticates() {
    let mut pool = pool(|o| o.load_balanced = true);
    let held = in_use(&mut pool, 1, Some(A))[0];
    pool.check_out(ms(0), OpToken(1), None);
    let pending = connects(&mut pool)[0];
    pool.handle_hello(pending, Some(A));
    assert_eq!(pool.service_of(pending), Some(A));
    pool.handle_connect_failed_and_clear(ms(1), pending, &down());
    assert!(matches!(failures(outputs(&mut pool))[..], [(1, ErrorKind::Io(_))]));
    assert!(pool.is_stale(held));
    // Before the hello there is no service to clear.
    pool.check_out(ms(1), OpToken(2), None);
    let pending = connects(&mut pool)[0];
    pool.handle_connect_failed_and_clear(ms(1), pending, &down());
    assert_eq!((pool.service_generation(&A), failures(outputs(&mut pool)).len()), (1, 1));
}

#[test]
fn a_closed_pool_gives_nothing_and_takes_everything_back() {
    let mut pool = pool(|o| o.max_pool_size = 2);
    let conns = in_use(&mut pool, 2, None);
    pool.check_in(ms(0), conns[1], true);
    pool.close(ms(1));
    let reason = ConnectionClosedReason::PoolClosed;
    assert_eq!(outputs(&mut pool), [PoolOutput::Close { conn: conns[1], reason }]);
    pool.ready(ms(1));
    pool.check_out(ms(1), OpToken(1), None);
    let out = outputs(&mut pool);
    let failed = ConnectionCheckoutFailedReason::PoolClosed;
    assert!(matches!(out[..], [PoolOutput::CheckOutFailed { reason, .. }] if reason == failed));
    assert!(pool.check_in(ms(1), conns[0], true));
    assert_eq!(outputs(&mut pool), [PoolOutput::Close { conn: conns[0], reason }]);
    assert!(!pool.check_in(ms(1), conns[0], true));
    assert_eq!(pool.counts(), PoolCounts::default());
}

#[test]
fn only_what_overload_can_cause_is_labelled_so() {
    let labelled = |mut error: Error, hello_done| {
        add_backpressure_labels(&mut error, hello_done);
        let both = [labels::SYSTEM_OVERLOADED_ERROR, labels::RETRYABLE_ERROR];
        both.map(|label| error.contains_label(label))
    };
    assert_eq!(labelled(down(), false), [true, true]);
    assert_eq!(labelled(Error::io(IoErrorKind::TimedOut, "slow"), false), [true, true]);
    assert_eq!(labelled(down(), true), [false, false]);
    let dns = Error::new(ErrorKind::DnsResolve { message: "no such host".into() });
    assert_eq!(labelled(dns, false), [false, false]);
    let tls = Error::new(ErrorKind::Tls { message: "unknown issuer".into() });
    assert_eq!(labelled(tls, false), [false, false]);
}
