//! The host's clock, tasks and sleeps, as the client wants them.

use crate::sleep::Sleep;
use crate::socket::{Sockets, Stream};
use quorate::{Instant, Runtime, ServerAddress};
use send_wrapper::SendWrapper;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Milliseconds since the host started, with fractions; never goes back.
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// The time on the host's clock.
pub(crate) fn now() -> Instant {
    // Exact to the nanosecond for three months, to some microseconds for a lifetime.
    Instant::from_nanos((performance_now() * 1e6) as u64)
}

/// A JavaScript host: Node, Deno, Bun and the like, with the sockets it has handed in.
#[derive(Clone, Debug)]
pub struct JavaScript(Arc<SendWrapper<Sockets>>);

impl JavaScript {
    /// A runtime that opens its connections with `sockets`.
    pub fn new(sockets: Sockets) -> Self {
        JavaScript(Arc::new(SendWrapper::new(sockets)))
    }
}

impl Runtime for JavaScript {
    type Stream = Stream;
    type Sleep = Sleep;

    fn now(&self) -> Instant {
        now()
    }

    fn seed(&self) -> u64 {
        let mut bytes = [0; 8];
        get_random_values(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn connect(&self, address: ServerAddress) -> impl Future<Output = io::Result<Stream>> + Send {
        let sockets = self.0.clone();
        SendWrapper::new(async move { Stream::open(&sockets, &address).await })
    }

    fn sleep_until(&self, deadline: Instant) -> Sleep {
        Sleep::until(deadline)
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        wasm_bindgen_futures::spawn_local(task);
    }

    fn name(&self) -> &'static str {
        "JavaScript"
    }

    fn unix_time(&self) -> Duration {
        Duration::from_millis(js_sys::Date::now() as u64)
    }
}
