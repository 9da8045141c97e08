//! A sleep: one `setTimeout` at a time, given back when it is dropped.

use crate::runtime::now;
use quorate::Instant;
use send_wrapper::SendWrapper;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use wasm_bindgen::prelude::*;

/// The longest time `setTimeout` takes, in milliseconds; it takes longer ones for zero.
const LONGEST: u64 = 0x7fff_ffff;

#[wasm_bindgen]
extern "C" {
    /// A number in browsers, an object in Node.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(ring: &Closure<dyn FnMut()>, millis: i32) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timeout: &JsValue);
}

/// Ends at a deadline, never early. No timer runs before it is first polled.
pub struct Sleep(SendWrapper<Timer>);

struct Timer {
    deadline: Instant,
    bell: Rc<Bell>,
    /// What the host calls, and its handle, while a timer runs.
    running: Option<(JsValue, Closure<dyn FnMut()>)>,
}

/// What the host's call and the sleeping task share.
#[derive(Default)]
struct Bell {
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Sleep {
    pub(crate) fn until(deadline: Instant) -> Self {
        Sleep(SendWrapper::new(Timer { deadline, bell: Rc::default(), running: None }))
    }
}

impl Timer {
    /// Starts the host's timer, or starts it again when it rang before its time: hosts cut times to whole milliseconds,
    /// and none runs for more than 24 days.
    fn start(&mut self, now: Instant) {
        let wait = self.deadline - now;
        let millis = wait.as_nanos().div_ceil(1_000_000).min(u128::from(LONGEST));
        let bell = self.bell.clone();
        bell.rung.set(false);
        let ring = Closure::new(move || {
            bell.rung.set(true);
            let waker = bell.waker.borrow_mut().take();
            waker.into_iter().for_each(Waker::wake);
        });
        let timeout = set_timeout(&ring, i32::try_from(millis).unwrap_or(i32::MAX));
        self.running = Some((timeout, ring));
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        if let Some((timeout, _)) = &self.running {
            clear_timeout(timeout);
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let timer = &mut *self.0;
        let now = now();
        if now >= timer.deadline {
            return Poll::Ready(());
        }
        timer.bell.waker.replace(Some(cx.waker().clone()));
        if timer.running.is_none() || timer.bell.rung.get() {
            timer.start(now);
        }
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep").field("deadline", &self.0.deadline).finish_non_exhaustive()
    }
}
