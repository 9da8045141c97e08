//! Handshakes that do not come to their end.

use crate::hosts::{at, good};
use crate::support::events::Notebook;
use crate::support::{TestRuntime, client, eventually};
use quorate::bson::doc;
use quorate::error::{ErrorKind, IoErrorKind};
use quorate::event::sdam::SdamEvent;
use quorate_harness::hostile::HostileServer;
use quorate_harness::{Direction, Proxy, Shape};
use std::time::{Duration, Instant};

crate::on_every_runtime!(
    one_that_never_answers_takes_the_connect_timeout,
    one_that_stops_in_the_middle_takes_the_connect_timeout,
    one_that_is_cut_off_in_the_middle_is_a_network_error,
    one_byte_at_a_time_is_slow_and_works,
);

const TIMEOUT: Duration = Duration::from_millis(700);

async fn options_at(address: &str, more: &str) -> quorate::options::ClientOptions {
    let ca = good().certificates().ca();
    at(address, &format!("tls=true&tlsCAFile={ca}&connectTimeoutMS={}{more}", TIMEOUT.as_millis())).await
}

/// What the first check of a server came to, and how long it took.
async fn first_failure<R: TestRuntime>(address: &str) -> (quorate::error::Error, Duration) {
    let mut options = options_at(address, "").await;
    let book = Notebook::listen(&mut options);
    let _client = client::<R>(options);
    let failure = || {
        book.lock().servers.iter().find_map(|event| match event {
            SdamEvent::ServerHeartbeatFailed(event) => Some((event.failure.clone(), event.duration)),
            _ => None,
        })
    };
    eventually::<R>("the check fails", Duration::from_secs(10), || failure().is_some()).await;
    failure().expect("just seen")
}

#[track_caller]
fn assert_timed_out(failure: &quorate::error::Error, took: Duration, address: &str) {
    eprintln!("told after {took:?}: {failure}");
    assert!(matches!(&*failure.kind, ErrorKind::Io(io) if io.kind == IoErrorKind::TimedOut), "{failure:?}");
    let told = failure.to_string();
    assert!(told.contains("no TLS handshake within 700 ms (connectTimeoutMS)"), "{told}");
    assert!(told.contains(address), "{told}");
    let allowed = TIMEOUT - Duration::from_millis(200)..TIMEOUT + Duration::from_millis(500);
    assert!(allowed.contains(&took), "{took:?}");
}

async fn one_that_never_answers_takes_the_connect_timeout<R: TestRuntime>() {
    let silent = HostileServer::silent().expect("a port");
    let (failure, took) = first_failure::<R>(&silent.address()).await;
    assert_timed_out(&failure, took, &silent.address());
    // An operation waits no longer than it was told to.
    let began = Instant::now();
    let client = client::<R>(options_at(&silent.address(), "").await);
    let error = client.database("admin").run_command(doc! { "ping": 1 }).await.expect_err("nobody is there");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(error.to_string().contains("no TLS handshake within"), "{error}");
}

/// A proxy before a server, on which the server's words come a byte every few milliseconds.
fn dripping() -> Proxy {
    let proxy = Proxy::start(&good().address()).expect("a port");
    let drip = Shape { chunk: Some((1, Duration::from_millis(5))), ..Shape::default() };
    proxy.set(Direction::ToClient, drip);
    proxy
}

async fn one_that_stops_in_the_middle_takes_the_connect_timeout<R: TestRuntime>() {
    let proxy = dripping();
    let stop = async {
        eventually::<R>("it has begun", Duration::from_secs(5), || proxy.counts().to_client > 20).await;
        proxy.stall();
    };
    let address = proxy.address();
    let ((failure, took), ()) = futures::join!(first_failure::<R>(&address), stop);
    assert!(proxy.counts().to_client < 600, "stopped before its certificate was there: {:?}", proxy.counts());
    assert_timed_out(&failure, took, &address);
}

async fn one_that_is_cut_off_in_the_middle_is_a_network_error<R: TestRuntime>() {
    for reset in [false, true] {
        let proxy = dripping();
        let cut = async {
            eventually::<R>("it has begun", Duration::from_secs(5), || proxy.counts().to_client > 20).await;
            if reset { proxy.reset() } else { proxy.cut() }
        };
        let address = proxy.address();
        let ((failure, _), ()) = futures::join!(first_failure::<R>(&address), cut);
        let told = failure.to_string();
        assert!(failure.is_network(), "{failure:?}");
        let how = if reset { "reset the connection" } else { "closed the connection" };
        assert!(told.contains(how) && told.contains("during the TLS handshake"), "{told}");
        assert!(told.contains("127.0.0.1"), "{told}");
    }
}

async fn one_byte_at_a_time_is_slow_and_works<R: TestRuntime>() {
    let proxy = Proxy::start(&good().address()).expect("a port");
    proxy.split(Duration::from_micros(50));
    let ca = good().certificates().ca();
    let uri = format!("mongodb://{}/?directConnection=true&tls=true&tlsCAFile={ca}", proxy.address());
    let client = client::<R>(crate::support::options(&uri).await);
    client.database("admin").run_command(doc! { "ping": 1 }).await.expect("it takes a while");
}
