//! When could the new primary have taken the application's write?
//!
//! A thread for each surviving member sends it a small insert every other millisecond, straight, over a connection of its
//! own, with the application's write concern, until one is acknowledged. A member that is no primary refuses at once. It
//! writes to a collection of its own and shares nothing with the driver under test, not even code.

use super::DATABASE;
use bson::{Bson, doc};
use quorate_harness::{Admin, AdminError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The collection the probes write to.
pub(super) const COLLECTION: &str = "probe";
const EVERY: Duration = Duration::from_millis(2);
/// How long an insert may wait for its write concern before the connection is given up.
const LIMIT: Duration = Duration::from_secs(5);

/// Running probes; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Probe {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    first: Mutex<Option<Instant>>,
    done: AtomicBool,
}

impl Probe {
    /// Starts to probe the members at these addresses.
    pub(super) fn start(addresses: Vec<String>, w: &Bson) -> Self {
        let shared = Arc::new(Shared::default());
        let start = |address: String| {
            let (shared, w) = (Arc::clone(&shared), w.clone());
            std::thread::spawn(move || shared.probe(&address, &w))
        };
        let threads = addresses.into_iter().map(start).collect();
        Probe { shared, threads }
    }

    /// When the first insert was acknowledged.
    pub(super) fn first(&self) -> Option<Instant> {
        *self.shared.first.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn probe(&self, address: &str, w: &Bson) {
        let mut connection: Option<Admin> = None;
        while !self.done.load(Ordering::Relaxed) {
            let begun = Instant::now();
            if connection.is_none() {
                connection = Admin::connect(address, LIMIT).ok();
            }
            if let Some(admin) = &mut connection {
                let insert = doc! {
                    "insert": COLLECTION, "documents": [{ "member": address }], "writeConcern": { "w": w.clone() },
                };
                match admin.run(DATABASE, insert) {
                    Ok(_) => return self.acknowledged(Instant::now()),
                    Err(AdminError::Server(_)) => {}
                    Err(AdminError::Io(_)) => connection = None,
                }
            }
            std::thread::sleep(EVERY.saturating_sub(begun.elapsed()));
        }
    }

    fn acknowledged(&self, now: Instant) {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        *first = Some(first.map_or(now, |before| before.min(now)));
        self.done.store(true, Ordering::Relaxed);
    }
}
