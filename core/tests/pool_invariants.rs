//! Random histories of a pool: its numbers add up at every step, every start has its end, and when outputs are taken makes
//! no difference to what they are.

use proptest::prelude::*;
use quorate_core::error::IoErrorKind;
use quorate_core::event::cmap::CmapEvent;
use quorate_core::pool::{OpToken, Pool, PoolConnId, PoolOptions, PoolOutput, PoolState};
use quorate_core::{Duration, Error, Instant, ServerAddress};
use std::collections::{BTreeMap, BTreeSet};

/// One thing that happens. Numbers pick among what there is at that moment.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Ready,
    Clear {
        service: u8,
        interrupt: bool,
    },
    Close,
    TryCheckOut,
    CheckOut {
        deadline: Option<u64>,
    },
    Cancel(usize),
    Hello {
        nth: usize,
        service: u8,
    },
    Established {
        nth: usize,
        service: u8,
    },
    ConnectFailed {
        nth: usize,
        clear: bool,
    },
    CheckIn {
        nth: usize,
        reusable: bool,
    },
    PeerClosed(usize),
    Timeout,
    /// Reports about connections and operations the pool does not know (any more).
    Stray(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..60).prop_map(Step::Pass),
        3 => Just(Step::Ready),
        1 => (0u8..3, any::<bool>()).prop_map(|(service, interrupt)| Step::Clear { service, interrupt }),
        8 => Just(Step::TryCheckOut),
        12 => proptest::option::of(0u64..80).prop_map(|deadline| Step::CheckOut { deadline }),
        2 => any::<usize>().prop_map(Step::Cancel),
        3 => (any::<usize>(), 0u8..3).prop_map(|(nth, service)| Step::Hello { nth, service }),
        12 => (any::<usize>(), 0u8..3).prop_map(|(nth, service)| Step::Established { nth, service }),
        3 => (any::<usize>(), any::<bool>()).prop_map(|(nth, clear)| Step::ConnectFailed { nth, clear }),
        12 => (any::<usize>(), proptest::bool::weighted(0.8))
            .prop_map(|(nth, reusable)| Step::CheckIn { nth, reusable }),
        2 => any::<usize>().prop_map(Step::PeerClosed),
        6 => Just(Step::Timeout),
        1 => any::<usize>().prop_map(Step::Stray),
    ]
}

fn options() -> impl Strategy<Value = PoolOptions> {
    let limit = || proptest::option::of(1u64..50);
    (0u32..5, 0u32..4, limit(), 0u32..4, limit(), any::<bool>()).prop_map(
        |(max, min, idle, connecting, queue, load_balanced)| {
            let mut options = PoolOptions::new(ServerAddress::default());
            options.max_pool_size = max;
            options.min_pool_size = min;
            options.max_idle_time = idle.map(Duration::from_millis);
            options.max_connecting = connecting;
            options.wait_queue_timeout = queue.map(Duration::from_millis);
            options.load_balanced = load_balanced;
            options.events = true;
            options
        },
    )
}

/// What the outside knows of a pool: only what the outputs said.
#[derive(Debug, Default)]
struct Outside {
    now: Instant,
    next_token: u64,
    waiting: Vec<OpToken>,
    pending: BTreeSet<PoolConnId>,
    idle: BTreeSet<PoolConnId>,
    in_use: BTreeSet<PoolConnId>,
    ever: Vec<PoolConnId>,
    interrupted: BTreeSet<PoolConnId>,
    open_check_outs: i64,
    /// By number: whether it became ready, whether it was closed.
    created: BTreeMap<u32, (bool, bool)>,
}

fn nth<T: Copy>(from: impl IntoIterator<Item = T>, n: usize) -> Option<T> {
    let all: Vec<T> = from.into_iter().collect();
    (!all.is_empty()).then(|| all[n % all.len()])
}

impl Outside {
    /// Turns a step into a call, the same for every pool in `pools`.
    fn perform(&mut self, step: &Step, pools: &mut [&mut Pool]) {
        let error = Error::io(IoErrorKind::Reset, "down");
        let service = |n: u8| (n > 0).then_some([n; 12]);
        let now = self.now;
        match *step {
            Step::Pass(ms) => self.now += Duration::from_millis(ms),
            Step::Ready => pools.iter_mut().for_each(|p| p.ready(now)),
            Step::Close => pools.iter_mut().for_each(|p| p.close(now)),
            Step::Timeout => pools.iter_mut().for_each(|p| p.handle_timeout(now)),
            Step::Clear { service: n, interrupt } => {
                pools.iter_mut().for_each(|p| p.clear(now, service(n), interrupt, &error));
            }
            Step::TryCheckOut => {
                let got: Vec<_> = pools.iter_mut().map(|p| p.try_check_out(now)).collect();
                assert!(got.windows(2).all(|w| w[0] == w[1]));
                if let Some(conn) = got[0] {
                    assert!(self.waiting.is_empty(), "overtook a waiter");
                    assert!(self.idle.remove(&conn), "{conn:?} was not idle");
                    self.in_use.insert(conn);
                }
            }
            Step::CheckOut { deadline } => {
                let token = OpToken(self.next_token);
                self.next_token += 1;
                self.waiting.push(token);
                let deadline = deadline.map(|ms| now + Duration::from_millis(ms));
                pools.iter_mut().for_each(|p| p.check_out(now, token, deadline));
            }
            Step::Cancel(n) => {
                let Some(token) = nth(self.waiting.iter().copied(), n) else { return };
                self.waiting.retain(|t| *t != token);
                pools.iter_mut().for_each(|p| assert!(p.cancel(now, token)));
            }
            Step::Hello { nth: n, service: s } => {
                let Some(conn) = nth(self.pending.iter().copied(), n) else { return };
                pools.iter_mut().for_each(|p| p.handle_hello(conn, service(s)));
            }
            Step::Established { nth: n, service: s } => {
                let Some(conn) = nth(self.pending.iter().copied(), n) else { return };
                self.pending.remove(&conn);
                // Idle, until an output says that somebody has it.
                self.idle.insert(conn);
                pools.iter_mut().for_each(|p| p.handle_established(now, conn, service(s)));
            }
            Step::ConnectFailed { nth: n, clear } => {
                let Some(conn) = nth(self.pending.iter().copied(), n) else { return };
                for pool in pools {
                    match clear {
                        true => pool.handle_connect_failed_and_clear(now, conn, &error),
                        false => pool.handle_connect_failed(now, conn, error.clone()),
                    }
                }
            }
            Step::CheckIn { nth: n, reusable } => {
                let Some(conn) = nth(self.in_use.iter().copied(), n) else { return };
                self.in_use.remove(&conn);
                self.idle.insert(conn);
                pools.iter_mut().for_each(|p| assert!(p.check_in(now, conn, reusable)));
            }
            Step::PeerClosed(n) => {
                let Some(conn) = nth(self.ever.iter().copied(), n) else { return };
                pools.iter_mut().for_each(|p| p.handle_closed(now, conn));
            }
            Step::Stray(n) => self.stray(n, &error, pools),
        }
    }

    fn stray(&self, n: usize, error: &Error, pools: &mut [&mut Pool]) {
        let known =
            |c: &PoolConnId| self.pending.contains(c) || self.idle.contains(c) || self.in_use.contains(c);
        let Some(conn) = nth(self.ever.iter().copied().filter(|c| !known(c)), n) else { return };
        for pool in pools {
            let before = (pool.counts(), pool.poll_timeout());
            assert!(!pool.check_in(self.now, conn, true));
            pool.handle_hello(conn, Some([1; 12]));
            pool.handle_established(self.now, conn, Some([1; 12]));
            pool.handle_connect_failed(self.now, conn, error.clone());
            pool.handle_connect_failed_and_clear(self.now, conn, error);
            pool.handle_closed(self.now, conn);
            assert!(!pool.cancel(self.now, OpToken(u64::MAX)));
            assert_eq!(before, (pool.counts(), pool.poll_timeout()), "a stray report changed something");
        }
    }

    fn learn(&mut self, output: &PoolOutput) {
        match output {
            PoolOutput::Connect { conn, .. } => {
                assert_eq!(conn.get() as usize, self.ever.len() + 1, "numbers count up from 1");
                self.ever.push(*conn);
                self.pending.insert(*conn);
            }
            PoolOutput::Close { conn, .. } => {
                let known = self.pending.remove(conn) | self.idle.remove(conn) | self.in_use.remove(conn);
                assert!(known, "{conn:?} closed twice, or never opened");
            }
            PoolOutput::CheckedOut { token, conn } => {
                assert_eq!(self.waiting.first(), Some(token), "first come, first served");
                self.waiting.remove(0);
                assert!(self.idle.remove(conn), "{conn:?} was not free");
                self.in_use.insert(*conn);
            }
            PoolOutput::CheckOutFailed { token, .. } => {
                let before = self.waiting.len();
                self.waiting.retain(|t| t != token);
                assert_eq!(self.waiting.len() + 1, before, "{token:?} did not wait");
            }
            PoolOutput::Interrupt { conn } => {
                assert!(self.in_use.contains(conn));
                assert!(self.interrupted.insert(*conn), "{conn:?} interrupted twice");
            }
            PoolOutput::Event(event) => self.pair(event),
            other => panic!("{other:?}"),
        }
    }

    /// Every started event has one end event.
    fn pair(&mut self, event: &CmapEvent) {
        match event {
            CmapEvent::ConnectionCheckoutStarted(_) => self.open_check_outs += 1,
            CmapEvent::ConnectionCheckedOut(_) | CmapEvent::ConnectionCheckoutFailed(_) => {
                self.open_check_outs -= 1;
            }
            CmapEvent::ConnectionCreated(e) => {
                assert!(self.created.insert(e.connection_id, (false, false)).is_none());
            }
            CmapEvent::ConnectionReady(e) => {
                let (ready, closed) = self.created.get_mut(&e.connection_id).unwrap();
                assert!(!*ready && !*closed);
                *ready = true;
            }
            CmapEvent::ConnectionClosed(e) => {
                let (_, closed) = self.created.get_mut(&e.connection_id).unwrap();
                assert!(!*closed);
                *closed = true;
            }
            _ => {}
        }
    }

    /// What holds whenever all outputs are taken.
    fn check(&self, pool: &Pool) {
        let counts = pool.counts();
        let options = pool.options();
        assert_eq!(counts.idle as usize, self.idle.len());
        assert_eq!(counts.pending as usize, self.pending.len());
        assert_eq!(counts.in_use as usize, self.in_use.len());
        assert_eq!(counts.waiting, self.waiting.len());
        assert_eq!(self.open_check_outs, self.waiting.len() as i64);
        assert_eq!(pool.operation_count(), self.waiting.len() + self.in_use.len());
        assert!(options.max_pool_size == 0 || counts.total() <= options.max_pool_size);
        assert!(counts.pending <= options.max_connecting);
        assert!(counts.idle == 0 || counts.waiting == 0, "somebody waits beside an idle connection");
        assert!(self.idle.iter().chain(&self.pending).all(|c| !pool.is_stale(*c)), "stale and kept");
        let room = (options.max_pool_size == 0 || counts.total() < options.max_pool_size)
            && counts.pending < options.max_connecting;
        if pool.state() == PoolState::Ready {
            let unserved = counts.waiting > counts.pending as usize;
            assert!(!(unserved && room), "somebody waits and nothing is done about it");
            let unfilled = counts.total() < options.min_pool_size;
            assert!(!(unfilled && room) || pool.poll_timeout().is_some(), "minPoolSize forgotten");
        } else {
            assert_eq!((counts.waiting, counts.pending, counts.idle), (0, 0, 0));
            assert_eq!(pool.poll_timeout(), None, "a pool that can do nothing asks to be woken");
        }
    }
}

fn take(pool: &mut Pool, at_most: usize) -> Vec<PoolOutput> {
    core::iter::from_fn(|| pool.poll_output()).take(at_most).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn random_histories(
        options in options(),
        steps in proptest::collection::vec((step(), 0usize..4), 1..120),
        close in any::<bool>(),
    ) {
        let (mut prompt, mut late) = (Pool::new(options.clone()), Pool::new(options));
        let mut outside = Outside::default();
        let (mut all, mut all_late) = (Vec::new(), Vec::new());
        let end = close.then_some((Step::Close, 0));
        for (step, taken_late) in steps.iter().cloned().chain(end) {
            outside.perform(&step, &mut [&mut prompt, &mut late]);
            if matches!(step, Step::Timeout) {
                let next = prompt.poll_timeout();
                prop_assert!(next.is_none_or(|at| at > outside.now), "{next:?} was due and still is");
            }
            for output in take(&mut prompt, usize::MAX) {
                outside.learn(&output);
                all.push(output);
            }
            all_late.extend(take(&mut late, taken_late));
            prop_assert_eq!(prompt.poll_timeout(), late.poll_timeout());
            outside.check(&prompt);
        }
        all_late.extend(take(&mut late, usize::MAX));
        prop_assert_eq!(&all, &all_late);
        if close {
            // All that is left is in use; checked in, it is closed.
            while !outside.in_use.is_empty() {
                outside.perform(&Step::CheckIn { nth: 0, reusable: true }, &mut [&mut prompt]);
                take(&mut prompt, usize::MAX).iter().for_each(|o| outside.learn(o));
                outside.check(&prompt);
            }
            prop_assert_eq!(prompt.counts().total(), 0);
            prop_assert!(outside.created.values().all(|(_, closed)| *closed), "created and never closed");
        }
    }

    /// Left alone, a pool comes to rest: following its own deadlines never turns in a circle.
    #[test]
    fn its_deadlines_come_to_an_end(
        options in options(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut pool = Pool::new(options);
        let mut outside = Outside::default();
        for step in &steps {
            outside.perform(step, &mut [&mut pool]);
            take(&mut pool, usize::MAX).iter().for_each(|o| outside.learn(o));
        }
        let mut fired = 0;
        while let Some(at) = pool.poll_timeout() {
            outside.now = outside.now.max(at);
            outside.perform(&Step::Timeout, &mut [&mut pool]);
            take(&mut pool, usize::MAX).iter().for_each(|o| outside.learn(o));
            outside.check(&pool);
            fired += 1;
            // Each waiter, each idle connection and one fill: nothing else is ever due without a new input.
            prop_assert!(fired <= 60 + 60 + 1, "it wakes itself for ever");
        }
    }
}
