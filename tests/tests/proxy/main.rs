//! A network that misbehaves between the client and a real server: everything comes through that can, what cannot is an
//! honest error in time, and nothing hangs.

#[path = "../support/mod.rs"]
mod support;

use crate::support::events::Notebook;
use crate::support::{TestRuntime, client, fresh_name, options, sleep, within};
use futures::TryStreamExt;
use futures::future::join_all;
use quorate::bson::{Document, doc};
use quorate::error::ErrorKind;
use quorate::{Client, Collection};
use quorate_harness::{Accept, Direction, Features, Flow, Proxy, ReplicaSet, Shape};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);

on_every_runtime!(
    byte_by_byte,
    with_latency,
    reset_between_and_during_operations,
    cut_in_the_middle_of_a_reply,
    half_closed,
    stalled_with_a_socket_timeout,
    stalled_with_a_deadline,
    stalled_with_neither,
    swallowed,
    refused_for_a_while,
    accepted_and_left_alone,
);

/// A set of one, reached through its proxy.
struct Line {
    set: &'static ReplicaSet,
    _alone: MutexGuard<'static, ()>,
}

impl Line {
    fn new() -> Self {
        static SET: OnceLock<ReplicaSet> = OnceLock::new();
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let set = SET.get_or_init(|| {
            let builder = ReplicaSet::builder().members(1).proxied(true).features(Features::from_env());
            builder.start().expect("a replica set")
        });
        set.proxy(0).heal();
        Line { set, _alone: alone }
    }

    fn proxy(&self) -> &Proxy {
        self.set.proxy(0)
    }

    async fn client<R: TestRuntime>(&self, more: &str) -> (Client<R>, Notebook) {
        let mut options = options(&format!("{}&heartbeatFrequencyMS=500{more}", self.set.uri())).await;
        let book = Notebook::listen(&mut options);
        (client(options), book)
    }

    async fn things<R: TestRuntime>(&self, more: &str) -> (Collection<Document, R>, Notebook) {
        let (client, book) = self.client(more).await;
        let things = client.database("suite").collection(&fresh_name());
        things.insert_many((0..20).map(|i| doc! { "_id": i, "n": 0 })).await.expect("inserts");
        (things, book)
    }

    /// How often each counter was counted up, as the server has it.
    fn counted(&self, things: &str) -> i32 {
        support::stored(self.set, things).iter().map(|found| found.get_i32("n").unwrap_or(0)).sum()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.proxy().heal();
    }
}

async fn increment<R: TestRuntime>(things: &Collection<Document, R>, id: i32) -> quorate::error::Result<()> {
    things.update_one(doc! { "_id": id }, doc! { "$inc": { "n": 1 } }).await.map(drop)
}

/// No call takes longer than `LIMIT`.
async fn bounded<R: TestRuntime, T>(call: impl Future<Output = T>) -> (T, Duration) {
    let begin = Instant::now();
    let output = within::<R, _>(LIMIT, call).await.expect("it hung");
    (output, begin.elapsed())
}

async fn byte_by_byte<R: TestRuntime>() {
    let line = Line::new();
    line.proxy().split(Duration::from_micros(20));
    let (things, book) = line.things::<R>("").await;
    for i in 0..10 {
        increment(&things, i).await.expect("an update");
    }
    let found: Vec<Document> =
        things.find(doc! {}).batch_size(7).await.expect("a cursor").try_collect().await.expect("documents");
    assert_eq!(found.len(), 20);
    line.proxy().heal();
    assert_eq!(line.counted(things.name()), 10);
    book.check_pairs();
}

async fn with_latency<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("").await;
    line.proxy().delay(Duration::from_millis(60));
    let begin = Instant::now();
    join_all((0..20).map(|i| increment(&things, i)))
        .await
        .into_iter()
        .for_each(|done| done.expect("an update"));
    assert!(begin.elapsed() >= Duration::from_millis(120));
    assert_eq!(line.counted(things.name()), 20);
    book.check_pairs();
}

async fn reset_between_and_during_operations<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("").await;
    // Between: the connections in the pool are dead when they are wanted, or turn out to be.
    for i in 0..5 {
        line.proxy().reset();
        increment(&things, i).await.expect("repeated");
    }
    // During: the reply is on its way for 50 ms.
    line.proxy().set(Direction::ToClient, Shape { delay: Duration::from_millis(50), ..Shape::default() });
    for i in 0..5 {
        let reset = async {
            sleep::<R>(Duration::from_millis(25)).await;
            line.proxy().reset();
        };
        let (updated, ()) = futures::join!(increment(&things, i), reset);
        updated.expect("repeated");
    }
    line.proxy().heal();
    // However often each was sent, it was applied once.
    assert_eq!(line.counted(things.name()), 10);
    book.check_pairs();
}

async fn cut_in_the_middle_of_a_reply<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("").await;
    let slow = Shape { chunk: Some((1, Duration::from_millis(2))), ..Shape::default() };
    for i in 0..5 {
        line.proxy().set(Direction::ToClient, slow);
        let cut = async {
            sleep::<R>(Duration::from_millis(60)).await;
            line.proxy().cut();
            line.proxy().heal();
        };
        let (updated, ()) = futures::join!(increment(&things, i), cut);
        updated.expect("repeated");
    }
    // One that may not be repeated says what happened.
    line.proxy().set(Direction::ToClient, slow);
    let cut = async {
        sleep::<R>(Duration::from_millis(60)).await;
        line.proxy().cut();
        line.proxy().heal();
    };
    let update = async { things.update_many(doc! {}, doc! { "$set": { "x": 1 } }).await };
    let (updated, ()) = futures::join!(update, cut);
    assert!(updated.expect_err("half a reply").is_network());
    assert_eq!(line.counted(things.name()), 5);
    book.check_pairs();
}

async fn half_closed<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("").await;
    for direction in [Direction::ToClient, Direction::ToServer] {
        line.proxy().cut_half(direction);
        let (updated, _) = bounded::<R, _>(increment(&things, 1)).await;
        updated.expect("repeated");
        line.proxy().reset_half(direction);
        let (updated, _) = bounded::<R, _>(increment(&things, 1)).await;
        updated.expect("repeated");
    }
    assert_eq!(line.counted(things.name()), 4);
    book.check_pairs();
}

async fn stalled_with_a_socket_timeout<R: TestRuntime>() {
    let line = Line::new();
    let more = "&socketTimeoutMS=300&connectTimeoutMS=1000&serverSelectionTimeoutMS=1500";
    let (things, book) = line.things::<R>(more).await;
    line.proxy().stall();
    let (outcome, took) = bounded::<R, _>(increment(&things, 1)).await;
    let error = outcome.expect_err("nothing comes through");
    let honest = error.is_network()
        || matches!(*error.kind, ErrorKind::ServerSelection { .. } | ErrorKind::ConnectionPoolCleared { .. });
    assert!(honest, "{error:?}");
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(8), "{took:?}");
    let (outcome, took) = bounded::<R, _>(async { things.find_one(doc! {}).await }).await;
    outcome.expect_err("nothing comes through");
    assert!(took < Duration::from_secs(8), "{took:?}");
    line.proxy().heal();
    let (outcome, _) = bounded::<R, _>(increment(&things, 2)).await;
    outcome.expect("all is well again");
    book.check_pairs();
}

async fn stalled_with_a_deadline<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("&timeoutMS=500").await;
    line.proxy().stall();
    for _ in 0..3 {
        let (outcome, took) = bounded::<R, _>(increment(&things, 1)).await;
        let error = outcome.expect_err("nothing comes through");
        assert!(matches!(*error.kind, ErrorKind::Timeout { .. }), "{error:?}");
        assert!(took >= Duration::from_millis(490) && took < Duration::from_secs(3), "{took:?}");
    }
    line.proxy().heal();
    bounded::<R, _>(async {
        while increment(&things, 2).await.is_err() {
            sleep::<R>(Duration::from_millis(20)).await;
        }
    })
    .await;
    book.check_pairs();
}

/// Without any time-out it is the monitor that finds out.
async fn stalled_with_neither<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("&connectTimeoutMS=700").await;
    line.proxy().stall();
    let heal = async {
        sleep::<R>(Duration::from_secs(3)).await;
        line.proxy().heal();
    };
    let (outcome, ()) = futures::join!(bounded::<R, _>(increment(&things, 1)), heal);
    outcome.0.expect("repeated when the line was back");
    // What was stalled came through after all, and the repetition too: it counts once.
    assert_eq!(line.counted(things.name()), 1);
    book.check_pairs();
}

async fn swallowed<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("&socketTimeoutMS=400").await;
    // The write arrives, its reply is lost; the connection is of no use from then on.
    line.proxy().set(Direction::ToClient, Shape { flow: Flow::Drop, ..Shape::default() });
    let heal = async {
        sleep::<R>(Duration::from_millis(200)).await;
        line.proxy().heal();
    };
    let (outcome, ()) = futures::join!(bounded::<R, _>(increment(&things, 1)), heal);
    outcome.0.expect("repeated");
    assert_eq!(line.counted(things.name()), 1);
    assert_eq!(book.started("update").len(), 2);
    book.check_pairs();
}

async fn refused_for_a_while<R: TestRuntime>() {
    let line = Line::new();
    let (things, book) = line.things::<R>("").await;
    line.proxy().set_accept(Accept::Refuse);
    line.proxy().reset();
    let back = async {
        sleep::<R>(Duration::from_secs(1)).await;
        line.proxy().heal();
    };
    let (outcome, ()) = futures::join!(bounded::<R, _>(increment(&things, 1)), back);
    outcome.0.expect("waited until somebody listened again");
    assert!(outcome.1 < Duration::from_secs(5), "{:?}", outcome.1);
    assert_eq!(line.counted(things.name()), 1);
    book.check_pairs();
}

async fn accepted_and_left_alone<R: TestRuntime>() {
    let line = Line::new();
    let more = "&connectTimeoutMS=300&serverSelectionTimeoutMS=1000";
    let (things, book) = line.things::<R>(more).await;
    for accept in [Accept::Silent, Accept::BlackHole, Accept::Close] {
        line.proxy().set_accept(accept);
        line.proxy().reset();
        let (outcome, took) = bounded::<R, _>(increment(&things, 1)).await;
        let error = outcome.expect_err("nobody answers");
        assert!(took < Duration::from_secs(8), "{accept:?}: {took:?}");
        let text = error.to_string();
        let honest = error.is_network()
            || matches!(
                *error.kind,
                ErrorKind::ServerSelection { .. } | ErrorKind::ConnectionPoolCleared { .. }
            );
        assert!(honest, "{accept:?}: {text}");
        line.proxy().heal();
        bounded::<R, _>(async {
            while increment(&things, 2).await.is_err() {
                sleep::<R>(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    assert_eq!(line.counted(things.name()), 3);
    book.check_pairs();
}
