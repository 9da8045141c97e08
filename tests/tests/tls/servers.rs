//! What a server shows.

use crate::hosts::{assert_told, at, good, other_host, plain, self_signed, trusting, use_it};
use crate::support::{TestRuntime, sleep};
use quorate_harness::hostile::HostileServer;
use quorate_harness::{ServerCertificate, Standalone, Tls};
use std::time::{Duration, Instant};

crate::on_every_runtime!(
    the_right_authority_lets_in,
    another_authority_does_not,
    nor_does_that_of_the_system,
    a_certificate_for_another_host_is_refused,
    one_that_vouches_for_itself_is_refused,
    one_that_has_expired_is_refused,
    a_server_that_speaks_plain_is_told_apart,
    a_server_that_wants_tls_is_told_apart,
);

async fn the_right_authority_lets_in<R: TestRuntime>() {
    use_it::<R>(trusting(good(), "").await).await.expect("an address is in the certificate");
    let by_name = good().address().replace("127.0.0.1", "localhost");
    let options = at(&by_name, &format!("ssl=true&tlsCAFile={}", good().certificates().ca())).await;
    use_it::<R>(options).await.expect("so is a name");
    let options = trusting(good(), "&tlsDisableOCSPEndpointCheck=true").await;
    use_it::<R>(options).await.expect("nobody is asked about revocation anyway");
}

async fn another_authority_does_not<R: TestRuntime>() {
    let other = good().certificates().other_ca();
    let options = at(&good().address(), &format!("tls=true&tlsCAFile={other}")).await;
    let words = format!("the certificate of 127.0.0.1 is not signed by a CA in tlsCAFile {other}");
    assert_told(use_it::<R>(options).await, &[&good().address(), &words, "name the file with the CA"]);
}

async fn nor_does_that_of_the_system<R: TestRuntime>() {
    let options = at(&good().address(), "tls=true").await;
    // A machine without any authorities says so when the client is made.
    match quorate::Client::<R>::with_options(options.clone()) {
        Ok(_) => {
            let words = "is not signed by a CA that this system trusts";
            assert_told(use_it::<R>(options).await, &[&good().address(), words, "by tlsCAFile"]);
        }
        Err(error) => assert_told(Err(error), &["ca-certificates", "tlsCAFile"]),
    }
}

async fn a_certificate_for_another_host_is_refused<R: TestRuntime>() {
    let server = other_host();
    let words = "the certificate of 127.0.0.1 is made out to another name";
    let parts = [&server.address(), words, "db.example.com", "connect by a name it has"];
    assert_told(use_it::<R>(trusting(server, "").await).await, &parts);
}

async fn one_that_vouches_for_itself_is_refused<R: TestRuntime>() {
    let server = self_signed();
    let parts = [&server.address(), "is not signed by a CA in tlsCAFile", "name the file with the CA"];
    assert_told(use_it::<R>(trusting(server, "").await).await, &parts);
}

/// Servers do not start with a certificate that has expired: it does while they run.
async fn one_that_has_expired_is_refused<R: TestRuntime>() {
    let (server, expires) = [5, 15, 45].into_iter().find_map(expiring).expect("a server");
    use_it::<R>(trusting(&server, "").await).await.expect("it is still good");
    let client = crate::support::client::<R>(trusting(&server, "").await);
    let admin = client.database("admin");
    let ping = || admin.run_command(quorate::bson::doc! { "ping": 1 });
    ping().await.expect("it is still good");
    sleep::<R>(expires.saturating_duration_since(Instant::now())).await;
    let parts =
        [&server.address(), "the certificate of 127.0.0.1 has expired", "by the clock of this machine"];
    assert_told(use_it::<R>(trusting(&server, "").await).await, &parts);
    ping().await.expect("an open connection goes on");
}

/// One that is good for some seconds, and the time from which it is not. `None` if it took longer to start than that.
fn expiring(seconds: u64) -> Option<(Standalone, Instant)> {
    let good_for = Duration::from_secs(seconds);
    let expires = Instant::now() + good_for + Duration::from_millis(1500);
    let tls = Tls::required().certificate(ServerCertificate::Expiring(good_for));
    let server = Standalone::builder().tls(tls).start().ok()?;
    (Instant::now() + Duration::from_secs(3) < expires).then_some((server, expires))
}

async fn a_server_that_speaks_plain_is_told_apart<R: TestRuntime>() {
    let address = plain().address();
    let options = at(&address, &format!("tls=true&tlsCAFile={}", good().certificates().ca())).await;
    let words = "does not speak TLS";
    assert_told(use_it::<R>(options).await, &[&address, words, "leave out tls=true"]);
    let web = HostileServer::http().expect("a port");
    let options = at(&web.address(), &format!("tls=true&tlsCAFile={}", good().certificates().ca())).await;
    assert_told(use_it::<R>(options).await, &[&web.address(), words, "check host and port"]);
}

async fn a_server_that_wants_tls_is_told_apart<R: TestRuntime>() {
    let options = at(&good().address(), "").await;
    assert_told(use_it::<R>(options).await, &[&good().address(), "tls=true"]);
}
