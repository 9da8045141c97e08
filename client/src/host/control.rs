//! A hand on a connection that another task drives.

use futures::task::AtomicWaker;
use quorate_core::monitor::HelloRequest;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// Shared by a connection's driver (the task) and the [`Driver`](quorate_core::driver::Driver)'s outputs: stops the one,
/// or gives it a monitor's next message.
#[derive(Debug, Default)]
pub(crate) struct Control {
    stopped: AtomicBool,
    mailbox: Mutex<VecDeque<HelloRequest>>,
    waker: AtomicWaker,
}

impl Control {
    /// Tells whoever drives the connection to let go of it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Whom to wake. To be called before looking at [`Control::is_stopped`] or the mailbox, so that nothing is missed.
    pub(super) fn register(&self, cx: &Context<'_>) {
        self.waker.register(cx.waker());
    }

    /// Leaves a message, and gives who is to be woken for it.
    pub(super) fn send(&self, request: HelloRequest) -> Option<Waker> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner).push_back(request);
        self.waker.take()
    }

    /// The next message.
    pub(super) fn receive(&self) -> Option<HelloRequest> {
        self.mailbox.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}
