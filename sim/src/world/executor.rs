//! Tasks, one after the other, in an order that is always the same.

use super::link::below;
use quorate_core::Rng;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Which task: its place, and how many were there before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskKey {
    slot: u32,
    generation: u32,
}

/// The future that [`World::run_until`](super::World::run_until) was given.
pub(super) const MAIN: TaskKey = TaskKey { slot: u32::MAX, generation: 0 };

#[derive(Debug)]
struct Ready {
    queue: VecDeque<TaskKey>,
    /// Draws who is next; without, whoever was woken first.
    shuffle: Option<Rng>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    task: Option<Task>,
}

struct Task {
    /// Absent while it is polled.
    future: Option<BoxFuture>,
    bell: Arc<Bell>,
    waker: Waker,
}

#[derive(Default)]
struct Tasks {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

/// All tasks of a world.
pub(crate) struct Executor {
    tasks: Mutex<Tasks>,
    ready: Arc<Mutex<Ready>>,
    main: Arc<Bell>,
    main_waker: Waker,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

/// What wakes one task.
struct Bell {
    key: TaskKey,
    /// It is in the queue already.
    rung: AtomicBool,
    ready: Arc<Mutex<Ready>>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            lock(&self.ready).queue.push_back(self.key);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Executor {
    /// `shuffle` draws in which order tasks run that could run at the same time.
    pub(super) fn new(shuffle: Option<Rng>) -> Self {
        let ready = Arc::new(Mutex::new(Ready { queue: VecDeque::new(), shuffle }));
        let main = Arc::new(Bell { key: MAIN, rung: AtomicBool::new(false), ready: ready.clone() });
        Executor { tasks: Mutex::default(), ready, main_waker: main.clone().into(), main }
    }

    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let future: BoxFuture = Box::pin(future);
        let mut tasks = lock(&self.tasks);
        let slot = tasks.free.pop().unwrap_or_else(|| {
            tasks.slots.push(Slot::default());
            (tasks.slots.len() - 1) as u32
        });
        let place = &mut tasks.slots[slot as usize];
        let key = TaskKey { slot, generation: place.generation };
        let bell = Arc::new(Bell { key, rung: AtomicBool::new(true), ready: self.ready.clone() });
        place.task = Some(Task { future: Some(future), waker: bell.clone().into(), bell });
        drop(tasks);
        lock(&self.ready).queue.push_back(key);
    }

    /// Who runs next.
    pub(super) fn next(&self) -> Option<TaskKey> {
        let mut ready = lock(&self.ready);
        let Ready { queue, shuffle } = &mut *ready;
        if let Some(rng) = shuffle
            && queue.len() > 1
        {
            let chosen = below(rng, queue.len() as u64) as usize;
            return queue.swap_remove_front(chosen);
        }
        queue.pop_front()
    }

    /// Polls a task. Nothing is locked meanwhile.
    pub(super) fn poll(&self, key: TaskKey) {
        let Some((mut future, waker)) = self.take(key) else { return };
        let over = future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if !over {
            self.put_back(key, future);
            return;
        }
        let task = {
            let mut tasks = lock(&self.tasks);
            // Gone where the task has made the world drop all tasks.
            tasks.slots.get_mut(key.slot as usize).and_then(|place| {
                place.generation = place.generation.wrapping_add(1);
                place.task.take()
            })
        };
        if task.is_some() {
            lock(&self.tasks).free.push(key.slot);
        }
        // Their destructors may use the world.
        drop((future, task));
    }

    fn take(&self, key: TaskKey) -> Option<(BoxFuture, Waker)> {
        let mut tasks = lock(&self.tasks);
        let place =
            tasks.slots.get_mut(key.slot as usize).filter(|place| place.generation == key.generation)?;
        let task = place.task.as_mut()?;
        // What wakes it from now on is to poll it once more.
        task.bell.rung.store(false, Ordering::Release);
        Some((task.future.take()?, task.waker.clone()))
    }

    fn put_back(&self, key: TaskKey, future: BoxFuture) {
        let mut tasks = lock(&self.tasks);
        if let Some(task) = tasks.slots.get_mut(key.slot as usize).and_then(|place| place.task.as_mut()) {
            task.future = Some(future);
        }
    }

    /// The waker of the main future, as if it had just been woken and taken from the queue.
    pub(super) fn main_waker(&self) -> &Waker {
        self.main.rung.store(false, Ordering::Release);
        &self.main_waker
    }

    /// Drops all tasks. Those hold streams, which hold the world: without this, neither would ever go.
    pub(super) fn clear(&self) {
        loop {
            let tasks = std::mem::take(&mut lock(&self.tasks).slots);
            if tasks.is_empty() {
                break;
            }
            lock(&self.tasks).free.clear();
            drop(tasks);
        }
        lock(&self.ready).queue.clear();
    }
}
