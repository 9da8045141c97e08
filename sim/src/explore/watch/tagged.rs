//! A future that is known to be polled while it is: what events come then, come of it.

use super::Recorder;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A call's future.
pub(crate) struct Tagged<'f, T> {
    recorder: Recorder,
    call: usize,
    /// Absent once it is dropped.
    future: Option<Pin<Box<dyn Future<Output = T> + Send + 'f>>>,
}

impl<'f, T> Tagged<'f, T> {
    pub(crate) fn new(recorder: &Recorder, call: usize, future: impl Future<Output = T> + Send + 'f) -> Self {
        Tagged { recorder: recorder.clone(), call, future: Some(Box::pin(future)) }
    }

    fn inside<U>(&mut self, act: impl FnOnce(&mut Self) -> U) -> U {
        // A call may be part of another.
        let around = self.recorder.lock().current.replace(self.call);
        let value = act(self);
        self.recorder.lock().current = around;
        value
    }
}

impl<T> Future for Tagged<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.inside(|this| match &mut this.future {
            Some(future) => future.as_mut().poll(cx),
            None => Poll::Pending,
        })
    }
}

impl<T> Drop for Tagged<'_, T> {
    fn drop(&mut self) {
        self.inside(|this| this.future = None);
    }
}
