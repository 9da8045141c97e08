//! When could the new primary have taken the application's write?
//!
//! A task for each surviving member sends it a small insert every other millisecond, straight, over a [`Line`] of its own,
//! with the application's write concern, until one is acknowledged. A member that is no primary refuses at once. It writes to
//! a collection of its own.

use super::DATABASE;
use super::line::{Door, Line, LineError};
use bson::{Bson, doc};
use quorate::{Instant, Runtime, ServerAddress};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The collection the probes write to.
pub(super) const COLLECTION: &str = "probe";
const EVERY: Duration = Duration::from_millis(2);
/// How long an insert may wait for its write concern before the connection is given up.
const LIMIT: Duration = Duration::from_secs(5);

/// Running probes; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Probe(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    first: Mutex<Option<Instant>>,
    done: AtomicBool,
}

impl Probe {
    /// Starts to probe the members at these addresses.
    pub(super) fn start(runtime: &impl Runtime, door: &Door, members: Vec<ServerAddress>, w: &Bson) -> Self {
        let shared = Arc::new(Shared::default());
        for member in members {
            let (shared, runtime, door, w) = (Arc::clone(&shared), runtime.clone(), door.clone(), w.clone());
            runtime.clone().spawn(async move { shared.probe(&runtime, &door, &member, &w).await });
        }
        Probe(shared)
    }

    /// When the first insert was acknowledged.
    pub(super) fn first(&self) -> Option<Instant> {
        *self.0.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    async fn probe<R: Runtime>(&self, runtime: &R, door: &Door, member: &ServerAddress, w: &Bson) {
        let mut line: Option<Line<R>> = None;
        while !self.done.load(Ordering::Relaxed) {
            let begun = runtime.now();
            if line.is_none() {
                line = Line::open(runtime, door, member, LIMIT).await.ok();
            }
            if let Some(open) = &mut line {
                let insert = doc! {
                    "insert": COLLECTION, "documents": [{ "member": member.to_string() }],
                    "writeConcern": { "w": w.clone() },
                };
                match open.run(DATABASE, insert).await {
                    Ok(_) => return self.acknowledged(runtime.now()),
                    Err(LineError::Server(_)) => {}
                    Err(LineError::Io(_)) => line = None,
                }
            }
            runtime.sleep_until(begun + EVERY).await;
        }
    }

    fn acknowledged(&self, now: Instant) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        *first = Some(first.map_or(now, |before| before.min(now)));
        self.done.store(true, Ordering::Relaxed);
    }
}
