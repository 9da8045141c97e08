//! Deployments that ask for TLS and log-in: the harness gets at its own servers, and nobody else does.

use bson::doc;
use quorate_harness::{Admin, Features, ReplicaSet, ServerCertificate, Standalone, Tls};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_set_with_everything_breaks_and_heals_like_any_other() {
    let features = Features::parse("tls+auth+zstd").expect("good words");
    let set = ReplicaSet::builder()
        .members(3)
        .election_timeout(SECOND)
        .proxied(true)
        .features(features)
        .start()
        .expect("it starts");
    let uri = set.uri();
    let ca = set.certificates().ca();
    assert!(uri.starts_with("mongodb://suite:p%40ss%3Aw%2Frd%25@127.0.0.1:"), "{uri}");
    assert!(uri.ends_with(&format!("/?replicaSet=rs&tls=true&tlsCAFile={ca}&compressors=zstd")), "{uri}");
    let old = set.primary().expect("a primary");
    let mut stranger = Admin::connect(set.address(old), 5 * SECOND).expect("a port is open");
    stranger.hello().expect_err("it speaks TLS only");
    set.kill(old);
    set.wait_for_other_primary(old, 60 * SECOND).expect("another primary");
    set.restart(old).expect("it starts again");
    set.wait_for_healthy(60 * SECOND).expect("all is well");
    let users = set.command_on_primary("admin", doc! { "usersInfo": 1 }).expect("the harness may ask");
    assert_eq!(users.get_array("users").expect("a list").len(), 1);
}

#[test]
fn a_server_may_show_any_certificate_and_ask_for_one() {
    for certificate in [ServerCertificate::OtherHost, ServerCertificate::SelfSigned] {
        let tls = Tls::required().certificate(certificate).client_certificates(true);
        let server = Standalone::builder().tls(tls).start().expect("it starts");
        server.command("admin", doc! { "ping": 1 }).expect("the harness gets in");
        assert!(server.uri().contains("&tlsCertificateKeyFile="), "{}", server.uri());
        server.command("admin", doc! { "ping": 1 }).expect("and again");
    }
}
