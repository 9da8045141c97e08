//! The loop that moves a world on.

use super::clock::nanos;
use super::core::Step;
use super::executor::MAIN;
use super::queue::Due;
use super::stuck::{Stuck, StuckReason};
use super::{Action, World};
use crate::node::Node;
use quorate_core::{Duration, Instant};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

/// So many things at one moment are an endless loop.
const BUSY: u64 = 1_000_000;

impl<N: Node> World<N> {
    /// Runs the world until the future is done: time goes on whenever no task can run.
    ///
    /// The future is a task like the others, and the first one. What it leaves running stays there for the next call.
    ///
    /// # Panics
    /// With the last that happened where [`World::run_until`] gives an error.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self.run_until(future) {
            Ok(output) => output,
            Err(stuck) => panic!("{stuck}"),
        }
    }

    /// As [`World::block_on`].
    ///
    /// # Errors
    /// When nothing will ever happen, when virtual time has passed the limit, or when time stands still.
    ///
    /// # Panics
    /// When called by a task of the same world: await the future instead.
    pub fn run_until<F: Future>(&self, future: F) -> Result<F::Output, Stuck> {
        self.run_watched(future, |_| Ok(()))
    }

    /// As [`World::run_until`], with somebody who looks at the world after everything that happens, and says what must not be.
    ///
    /// # Errors
    /// As there, and [`StuckReason::Violated`] with what the watcher says.
    ///
    /// # Panics
    /// As there.
    pub fn run_watched<F: Future>(
        &self,
        future: F,
        mut watch: impl FnMut(&World<N>) -> Result<(), String>,
    ) -> Result<F::Output, Stuck> {
        let _guard = Running::begin(self);
        let mut future = pin!(future);
        let limit = Duration::from_nanos(self.0.limit.load(Ordering::Relaxed));
        let end = self.now() + limit;
        // It has something to do to begin with.
        self.0.executor.main_waker().wake_by_ref();
        let (mut busy, mut moment) = (0, self.now());
        loop {
            if let Poll::Ready(output) = self.run_tasks(future.as_mut(), &mut busy)? {
                return Ok(output);
            }
            watch(self).map_err(|what| self.stuck(StuckReason::Violated(what)))?;
            let step = self.0.shared.with(super::core::Core::step);
            match step {
                Step::Nothing => return Err(self.stuck(StuckReason::NothingWillHappen)),
                Step::Done => {}
                Step::Node(node, call) => self.processes().call(&self.0.shared, node, call),
                Step::Action(id) => self.act(id),
            }
            let now = self.now();
            if now != moment {
                (busy, moment) = (0, now);
            }
            if now > end {
                return Err(self.stuck(StuckReason::TimeLimit(limit)));
            }
            self.count(&mut busy)?;
        }
    }

    /// Polls tasks until none can run or the main one is done.
    fn run_tasks<F: Future>(&self, mut main: Pin<&mut F>, busy: &mut u64) -> Result<Poll<F::Output>, Stuck> {
        let executor = &self.0.executor;
        while let Some(key) = executor.next() {
            if key == MAIN {
                let waker = executor.main_waker();
                if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(waker)) {
                    return Ok(Poll::Ready(output));
                }
            } else {
                executor.poll(key);
            }
            self.count(busy)?;
        }
        Ok(Poll::Pending)
    }

    fn count(&self, busy: &mut u64) -> Result<(), Stuck> {
        *busy += 1;
        if *busy > BUSY { Err(self.stuck(StuckReason::TimeStandsStill)) } else { Ok(()) }
    }

    fn stuck(&self, reason: StuckReason) -> Stuck {
        Stuck { reason, at: self.now(), tail: self.timeline() }
    }

    /// Runs the world for so long.
    pub fn run_for(&self, span: Duration) {
        let deadline = self.now() + span;
        let runtime = self.runtime(super::HostId(0));
        self.block_on(quorate::Runtime::sleep_until(&runtime, deadline));
    }

    /// How long one run may take in virtual time.
    pub fn set_time_limit(&self, limit: Duration) {
        self.0.limit.store(nanos(limit), Ordering::Relaxed);
    }

    /// Does something at a moment; at once where that has passed.
    pub fn at(&self, when: Instant, act: impl FnOnce(&World<N>) + Send + 'static) {
        let id = self.0.next_action.fetch_add(1, Ordering::Relaxed);
        let action: Action<N> = Box::new(act);
        self.0.actions.lock().unwrap_or_else(PoisonError::into_inner).insert(id, action);
        self.0.shared.with(|core| {
            let at = when.as_nanos().max(core.now);
            core.queue.push(at, Due::Action(id));
        });
    }

    fn act(&self, id: u64) {
        let action = self.0.actions.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(action) = action {
            action(self);
        }
    }
}

/// That a world runs, so that it is not run inside of itself.
struct Running<'w, N: Node>(&'w World<N>);

impl<'w, N: Node> Running<'w, N> {
    fn begin(world: &'w World<N>) -> Self {
        let inside = world.0.running.swap(true, Ordering::AcqRel);
        assert!(!inside, "a world cannot be run by one of its own tasks: await the future instead");
        Running(world)
    }
}

impl<N: Node> Drop for Running<'_, N> {
    fn drop(&mut self) {
        self.0.0.running.store(false, Ordering::Release);
    }
}
