//! A primary that hangs while another takes over: scripted, so that only the driver's own time counts.

use crate::support::events::Notebook;
use crate::support::{TestRuntime, client, options, sleep};
use quorate::bson::{Document, doc, oid::ObjectId};
use quorate::error::ErrorKind;
use quorate::{Client, Collection};
use quorate_harness::hostile::{Answer, HostileServer, Request, body};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

crate::on_every_runtime!(
    what_may_be_repeated_goes_on_at_once,
    what_may_not_be_repeated_fails_at_once,
    the_interruption_can_be_turned_off,
    one_that_answers_is_not_interrupted,
);

/// How long the monitor waits for the old primary before it gives it up by itself.
const MONITOR_TIMEOUT: Duration = Duration::from_millis(4000);
/// How long the driver itself may take, on a machine with other things to do.
const AT_ONCE: Duration = Duration::from_millis(2500);

/// Two members. The first is primary and answers no operation; the second takes over.
struct Scene {
    old: HostileServer,
    new: HostileServer,
    taken_over: Arc<AtomicBool>,
}

fn hello(addresses: &[String; 2], me: usize, primary: usize, election: u8) -> Document {
    let hosts = [addresses[0].as_str(), addresses[1].as_str()];
    let mut hello = body::hello_primary("rs", hosts[primary], &hosts);
    hello.insert("me", hosts[me]);
    hello.insert("electionId", ObjectId::from_bytes([0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, election]));
    if me != primary {
        hello.remove("electionId");
        hello.extend(doc! { "isWritablePrimary": false, "secondary": true });
    }
    hello
}

impl Scene {
    /// `hangs` says whether the old primary answers its monitors no more once another has taken over.
    fn new(hangs: bool) -> Self {
        let taken_over = Arc::new(AtomicBool::new(false));
        let addresses = Arc::new(OnceLock::<[String; 2]>::new());
        let (over, known) = (taken_over.clone(), addresses.clone());
        let old = HostileServer::scripted(move |request| {
            let Some(addresses) = known.get().filter(|_| request.is_hello()) else { return Answer::Nothing };
            if over.load(Ordering::SeqCst) && hangs {
                return Answer::Nothing;
            }
            // It does not know yet.
            request.reply(&hello(addresses, 0, 0, 1)).into()
        })
        .expect("a port");
        let (over, known) = (taken_over.clone(), addresses.clone());
        let new = HostileServer::scripted(move |request| {
            let Some(addresses) = known.get() else { return Answer::Nothing };
            let primary = usize::from(over.load(Ordering::SeqCst));
            answer(request, &hello(addresses, 1, primary, 2))
        })
        .expect("a port");
        let _ = addresses.set([old.address(), new.address()]);
        Scene { old, new, taken_over }
    }

    async fn client<R: TestRuntime>(&self, more: &str) -> (Client<R>, Notebook) {
        let uri = format!(
            "mongodb://{},{}/?replicaSet=rs&heartbeatFrequencyMS=500&connectTimeoutMS={}{more}",
            self.old.address(),
            self.new.address(),
            MONITOR_TIMEOUT.as_millis()
        );
        let mut options = options(&uri).await;
        let book = Notebook::listen(&mut options);
        (client(options), book)
    }

    /// Has the second take over while `call` is under way on the first; gives what came of it and how long it took then.
    async fn take_over_during<R: TestRuntime, T>(&self, call: impl Future<Output = T>) -> (T, Duration) {
        let since = std::cell::Cell::new(None);
        let over = async {
            sleep::<R>(Duration::from_millis(700)).await;
            self.taken_over.store(true, Ordering::SeqCst);
            since.set(Some(Instant::now()));
        };
        let call = async {
            let output = call.await;
            (output, since.get().map_or(Duration::ZERO, |since| since.elapsed()))
        };
        futures::join!(call, over).0
    }
}

fn answer(request: &Request, hello: &Document) -> Answer {
    let reply = match request.command() {
        _ if request.is_hello() => hello.clone(),
        "insert" | "update" => doc! { "n": 1, "nModified": 1, "ok": 1.0 },
        "find" => {
            doc! { "cursor": { "id": 0_i64, "ns": "suite.c", "firstBatch": [{ "_id": 1 }] }, "ok": 1.0 }
        }
        _ => body::ok(),
    };
    request.reply(&reply).into()
}

fn things<R: TestRuntime>(client: &Client<R>) -> Collection<Document, R> {
    client.database("suite").collection("c")
}

async fn what_may_be_repeated_goes_on_at_once<R: TestRuntime>() {
    let scene = Scene::new(true);
    let (client, book) = scene.client::<R>("").await;
    let things = things(&client);
    let calls = async {
        let write =
            async { things.insert_one(doc! { "_id": 1 }).await.expect("repeated on the new primary") };
        let read = async { things.find_one(doc! {}).await.expect("repeated on the new primary") };
        futures::join!(write, read);
    };
    let ((), took) = scene.take_over_during::<R, _>(calls).await;
    assert!(took < AT_ONCE, "{took:?}");
    for name in ["insert", "find"] {
        assert_eq!(book.sent_to(name), [scene.old.address(), scene.new.address()], "{name}");
    }
    let inserts = book.started("insert");
    assert_eq!(inserts[0].get("txnNumber"), inserts[1].get("txnNumber"));
    book.check_pairs();
}

async fn what_may_not_be_repeated_fails_at_once<R: TestRuntime>() {
    let scene = Scene::new(true);
    let (client, book) = scene.client::<R>("").await;
    let things = things(&client);
    let call = async { things.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).await };
    let (outcome, took) = scene.take_over_during::<R, _>(call).await;
    let error = outcome.expect_err("nobody knows whether it took place");
    assert!(matches!(*error.kind, ErrorKind::Interrupted { .. }), "{error:?}");
    assert!(error.to_string().contains("unknown") && took < AT_ONCE, "{took:?}: {error}");
    assert_eq!(book.sent_to("update"), [scene.old.address()]);
    // And the next goes where it belongs.
    things.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).await.expect("the new primary takes it");
    book.check_pairs();
}

async fn the_interruption_can_be_turned_off<R: TestRuntime>() {
    let scene = Scene::new(true);
    let (client, book) = scene.client::<R>("&interruptStalePrimary=false").await;
    let things = things(&client);
    let call = async { things.insert_one(doc! { "_id": 1 }).await };
    let (outcome, took) = scene.take_over_during::<R, _>(call).await;
    outcome.expect("repeated once the monitor has given the old primary up");
    assert!(took > AT_ONCE && took < MONITOR_TIMEOUT * 2 + AT_ONCE, "{took:?}");
    book.check_pairs();
}

/// A healthy member that has only stepped down goes on serving what it was asked.
async fn one_that_answers_is_not_interrupted<R: TestRuntime>() {
    let scene = Scene::new(false);
    let (client, book) = scene.client::<R>("&socketTimeoutMS=4000").await;
    let things = things(&client);
    let call = async { things.update_many(doc! {}, doc! { "$inc": { "n": 1 } }).await };
    let (outcome, took) = scene.take_over_during::<R, _>(call).await;
    let error = outcome.expect_err("the socket's time-out");
    assert!(error.is_network_timeout(), "{error:?}");
    assert!(took > Duration::from_secs(2), "{took:?}");
    book.check_pairs();
}
