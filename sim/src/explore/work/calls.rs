//! One call of the driver's API, watched from its beginning to its end.

use super::super::plan::OpPlan;
use super::super::watch::{Call, CallEnd, CallKind, Place, Tagged};
use super::Worker;
use futures::future::{Either, select};
use quorate::error::Result;
use quorate_core::Duration;
use std::future::Future;
use std::pin::pin;

impl Worker {
    /// Awaits a call; gives its number and its result, or no result where it was dropped.
    pub(super) async fn call<T: Send>(
        &self,
        op: &OpPlan,
        kind: CallKind,
        place: Place,
        call: impl Future<Output = Result<T>> + Send,
    ) -> (usize, Option<Result<T>>) {
        self.call_for(op, kind, place, op.drop_us, call).await
    }

    /// As [`Worker::call`], dropped after so many microseconds.
    pub(super) async fn call_for<T: Send>(
        &self,
        op: &OpPlan,
        kind: CallKind,
        place: Place,
        drop_us: Option<u64>,
        call: impl Future<Output = Result<T>> + Send,
    ) -> (usize, Option<Result<T>>) {
        let number = self.recorder.update(|record, now| {
            record.begin_call(Call {
                op: op.id,
                client: self.number,
                kind,
                place,
                began: now,
                attempts: Vec::new(),
                asked: false,
                asked_again: false,
                ended: None,
            })
        });
        let tagged = Tagged::new(&self.recorder, number, call);
        let result = match drop_us {
            None => Some(tagged.await),
            Some(after) => {
                let sleep = self.runtime.sleep(Duration::from_micros(after));
                // The sleep comes second, so that what is there by then counts.
                match select(pin!(tagged), sleep).await {
                    Either::Left((result, _)) => Some(result),
                    Either::Right(_) => None,
                }
            }
        };
        let end = match &result {
            Some(Ok(_)) => CallEnd::Ok,
            Some(Err(error)) => CallEnd::Failed(error.clone()),
            None => CallEnd::Dropped,
        };
        self.recorder.update(|record, now| record.end_call(now, &self.plan, op, number, end));
        (number, result)
    }
}
