//! What the suites against servers share: one test body on every runtime, a watchdog, and a notebook of events.
//!
//! A test is an `async fn name<R: TestRuntime>()`; [`on_every_runtime!`] makes one `#[test]` a runtime of it.
#![allow(dead_code, reason = "each suite uses its part")]

pub(crate) mod events;

use futures::future::{Either, select};
use quorate::bson::{Document, doc};
use quorate::options::ClientOptions;
use quorate::{Client, Collection, Runtime};
use quorate_harness::ReplicaSet;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// No test body takes longer than this unless something hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(90);

/// A runtime that a test can be run on to its end.
pub(crate) trait TestRuntime: Runtime + Default {
    /// Drives `body`, and whatever it spawned, until it ends.
    fn block_on<T>(body: impl Future<Output = T>) -> T;
}

impl TestRuntime for quorate_tokio::Tokio {
    fn block_on<T>(body: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a tokio runtime").block_on(body)
    }
}

impl TestRuntime for quorate_smol::Smol {
    fn block_on<T>(body: impl Future<Output = T>) -> T {
        smol::block_on(body)
    }
}

/// Runs a test body; one that hangs fails.
pub(crate) fn run<R: TestRuntime>(body: impl Future<Output = ()>) {
    let ended = R::block_on(within::<R, _>(WATCHDOG, body));
    assert!(ended.is_some(), "hung for {WATCHDOG:?}");
}

/// The output of `future`, or `None` and the future dropped when it takes longer than `limit`.
pub(crate) async fn within<R: TestRuntime, T>(limit: Duration, future: impl Future<Output = T>) -> Option<T> {
    let runtime = R::default();
    let sleep = runtime.sleep_until(runtime.now() + limit);
    match select(pin!(future), pin!(sleep)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Sleeps.
pub(crate) async fn sleep<R: TestRuntime>(time: Duration) {
    let runtime = R::default();
    runtime.sleep_until(runtime.now() + time).await;
}

/// Asks until the answer is yes; fails after `limit`.
pub(crate) async fn eventually<R: TestRuntime>(what: &str, limit: Duration, mut is_so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < limit, "not within {limit:?}: {what}");
        sleep::<R>(Duration::from_millis(5)).await;
    }
}

/// One `#[test]` a runtime for each body.
#[macro_export]
macro_rules! on_every_runtime {
    ($($(#[$attribute:meta])* $name:ident),* $(,)?) => {
        mod on_tokio {
            $(
                $(#[$attribute])*
                #[test]
                fn $name() {
                    $crate::support::run::<quorate_tokio::Tokio>(super::$name::<quorate_tokio::Tokio>());
                }
            )*
        }
        mod on_smol {
            $(
                $(#[$attribute])*
                #[test]
                fn $name() {
                    $crate::support::run::<quorate_smol::Smol>(super::$name::<quorate_smol::Smol>());
                }
            )*
        }
    };
}

/// Options for a connection string that is right.
pub(crate) async fn options(uri: &str) -> ClientOptions {
    ClientOptions::parse(uri).await.expect("a good connection string")
}

/// A client on this runtime.
pub(crate) fn client<R: TestRuntime>(options: ClientOptions) -> Client<R> {
    Client::with_options(options).expect("good options")
}

/// A client of the set with nothing but defaults.
pub(crate) async fn connect<R: TestRuntime>(set: &ReplicaSet) -> Client<R> {
    Client::with_uri_str(set.uri()).await.expect("a good connection string")
}

/// A collection nobody else uses.
pub(crate) fn fresh<R: TestRuntime>(client: &Client<R>) -> Collection<Document, R> {
    client.database("suite").collection(&fresh_name())
}

/// A collection name nobody else uses.
pub(crate) fn fresh_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// What the primary itself holds in a collection, past the driver under test.
pub(crate) fn stored(set: &ReplicaSet, collection: &str) -> Vec<Document> {
    let find = doc! { "find": collection, "sort": { "_id": 1 }, "batchSize": 1_000_000, "singleBatch": true };
    let reply = set.command_on_primary("suite", find).expect("the primary answers");
    let batch = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
    batch.expect("a batch").iter().filter_map(|found| found.as_document().cloned()).collect()
}
