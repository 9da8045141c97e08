//! Tasks beside the one that is run.

use crate::runtime::SimRuntime;
use futures::channel::oneshot;
use futures::future::{AbortHandle, abortable};
use quorate::Runtime;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A task; awaiting it gives its result, or `None` where it was cancelled. Dropping it lets it go on.
#[derive(Debug)]
pub struct Task<T> {
    result: oneshot::Receiver<T>,
    handle: AbortHandle,
}

impl<T: Send + 'static> Task<T> {
    pub(super) fn spawn(runtime: &SimRuntime, task: impl Future<Output = T> + Send + 'static) -> Self {
        let (done, result) = oneshot::channel();
        let (task, handle) = abortable(task);
        runtime.spawn(async move {
            if let Ok(value) = task.await {
                // Nobody may want to know.
                let _ = done.send(value);
            }
        });
        Task { result, handle }
    }
}

impl<T> Task<T> {
    /// Drops what the task was doing, wherever it is.
    pub fn cancel(&self) {
        self.handle.abort();
    }
}

impl<T> Future for Task<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.result).poll(cx).map(Result::ok)
    }
}
