//! Who is let in, who is not, and in which words.

use super::certs::{Ca, File, Valid, self_signed};
use super::pipe::{End, pipe};
use super::server::{VERSIONS, server, talk, trusting};
use crate::tls::{TlsConfig, TlsStream, handshake};
use futures::executor::block_on;
use futures::future::join;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use quorate_core::error::IoErrorKind;
use quorate_core::options::TlsOptions;
use quorate_core::{Error, ErrorKind};
use rustls::version::TLS13;
use std::io;

/// The words of an error of TLS, which must have `parts` among them.
fn assert_tls(error: &Error, parts: &[&str]) {
    assert!(matches!(*error.kind, ErrorKind::Tls { .. }), "{error:?}");
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

fn loose(any_certificate: bool, ca: Option<&Ca>) -> TlsConfig {
    let file = ca.map(|ca| File::new(&ca.pem()));
    let mut options = TlsOptions::default();
    options.ca_file_path = file.as_ref().map(|file| file.path().to_owned());
    options.allow_invalid_certificates = Some(any_certificate);
    options.allow_invalid_hostnames = Some(!any_certificate);
    TlsConfig::from_options(&options).unwrap()
}

#[test]
fn the_right_ca_is_trusted_and_the_name_indicated() {
    let ca = Ca::new("ca");
    for version in VERSIONS {
        let leaf = ca.issue(&["db.example"], Valid::Now);
        let (result, seen) = talk(&trusting(&ca), "db.example", server(&leaf, None, version));
        result.unwrap();
        assert_eq!(seen.server_name.as_deref(), Some("db.example"));
        assert!(seen.ended_well);
    }
}

#[test]
fn another_ca_is_not_trusted() {
    let leaf = Ca::new("ca").issue(&["db.example"], Valid::Now);
    for (name, words) in [("other", "is not signed by a CA in tlsCAFile /"), ("ca", "another key")] {
        for version in VERSIONS {
            let (result, _) = talk(&trusting(&Ca::new(name)), "db.example", server(&leaf, None, version));
            assert_tls(&result.unwrap_err(), &["the certificate of db.example is not signed", words]);
        }
    }
}

#[test]
fn system_roots_do_not_vouch_for_a_private_ca() {
    let leaf = Ca::new("ca").issue(&["db.example"], Valid::Now);
    let config = match TlsConfig::from_options(&TlsOptions::default()) {
        Ok(config) => config,
        Err(error) => return assert_tls(&error, &["ca-certificates", "tlsCAFile"]),
    };
    let (result, _) = talk(&config, "db.example", server(&leaf, None, &TLS13));
    assert_tls(&result.unwrap_err(), &["db.example", "this system trusts", "tlsCAFile"]);
}

#[test]
fn a_certificate_for_another_host_is_refused_unless_any_name_will_do() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let leaf = ca.issue(&["db.example", "10.0.0.1"], Valid::Now);
    let server = server(&leaf, None, &TLS13);
    for host in ["www.example", "10.0.0.2"] {
        let (result, _) = talk(&trusting(&ca), host, server.clone());
        assert_tls(&result.unwrap_err(), &[&format!("of {host} is made out to another name"), "db.example"]);
        talk(&loose(false, Some(&ca)), host, server.clone()).0.unwrap();
        // The chain is checked all the same.
        let (result, _) = talk(&loose(false, Some(&other)), host, server.clone());
        assert_tls(&result.unwrap_err(), &["is not signed by"]);
    }
    let nameless = super::server::server(&ca.issue(&[], Valid::Now), None, &TLS13);
    let (result, _) = talk(&trusting(&ca), "db.example", nameless);
    assert_tls(&result.unwrap_err(), &["made out to another name", "no subjectAltName"]);
}

#[test]
fn a_certificate_out_of_its_time_is_refused_whatever_its_name() {
    let ca = Ca::new("ca");
    for (valid, words) in [(Valid::Past, "has expired"), (Valid::Future, "is not valid before")] {
        let server = server(&ca.issue(&["db.example"], valid), None, &TLS13);
        for config in [trusting(&ca), loose(false, Some(&ca))] {
            let (result, _) = talk(&config, "db.example", server.clone());
            assert_tls(&result.unwrap_err(), &["the certificate of db.example", words, "days"]);
        }
        talk(&loose(true, None), "db.example", server).0.unwrap();
    }
}

#[test]
fn a_self_signed_certificate_is_accepted_by_those_who_accept_any() {
    let ca = Ca::new("ca");
    for version in VERSIONS {
        for (is_ca, words) in [(false, "is not signed by"), (true, "CA:TRUE")] {
            let server = server(&self_signed(&["db.example"], is_ca), None, version);
            let (result, _) = talk(&trusting(&ca), "db.example", server.clone());
            assert_tls(&result.unwrap_err(), &[words]);
            let insecure = loose(true, None);
            assert!(insecure.accepts_any_certificate());
            talk(&insecure, "another.example", server.clone()).0.unwrap();
            let mut options = TlsOptions::default();
            options.insecure = Some(true);
            talk(&TlsConfig::from_options(&options).unwrap(), "another.example", server).0.unwrap();
        }
    }
}

#[test]
fn ip_addresses_are_hosts() {
    let ca = Ca::new("ca");
    let server = server(&ca.issue(&["127.0.0.1", "::1"], Valid::Now), None, &TLS13);
    for host in ["127.0.0.1", "::1", "[::1]", "::1%lo"] {
        let (result, seen) = talk(&trusting(&ca), host, server.clone());
        result.unwrap();
        assert_eq!(seen.server_name, None, "addresses are not indicated (RFC 6066 section 3)");
    }
    let (near, _far) = pipe(1 << 16, 1 << 16);
    let error = block_on(handshake(&trusting(&ca), "no host", near)).unwrap_err();
    assert_tls(&error, &["no host", "neither"]);
}

#[test]
fn a_client_certificate_is_shown_when_there_is_one() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let ca_file = File::new(&ca.pem());
    for version in VERSIONS {
        let server = server(&ca.issue(&["db.example"], Valid::Now), Some(&ca), version);
        let with = |issuer: &Ca| {
            let file = File::new(&issuer.issue(&["me"], Valid::Now).pem());
            let mut options = TlsOptions::default();
            options.ca_file_path = Some(ca_file.path().to_owned());
            options.cert_key_file_path = Some(file.path().to_owned());
            TlsConfig::from_options(&options).unwrap()
        };
        let (result, seen) = talk(&with(&ca), "db.example", server.clone());
        result.unwrap();
        assert!(seen.client_certificate);

        let (result, _) = talk(&trusting(&ca), "db.example", server.clone());
        assert_tls(&result.unwrap_err(), &["db.example", "client certificate", "tlsCertificateKeyFile"]);

        let (result, _) = talk(&with(&other), "db.example", server);
        assert_tls(&result.unwrap_err(), &["db.example", "refused the client certificate"]);
    }
}

#[test]
fn a_rustls_configuration_of_ones_own_decides_alone() {
    let ca = Ca::new("ca");
    let server = server(&ca.issue(&["db.example"], Valid::Now), None, &TLS13);
    let own = TlsConfig::from_rustls(trusting(&ca).rustls.clone());
    talk(&own, "db.example", server.clone()).0.unwrap();
    let own = TlsConfig::from_rustls(trusting(&Ca::new("other")).rustls.clone());
    let (result, _) = talk(&own, "db.example", server);
    assert_tls(&result.unwrap_err(), &["is not signed by a CA that the given rustls configuration trusts"]);
}

/// A handshake with a server that reads once and then does as `act` says.
fn against<F: Future<Output = ()>>(act: impl FnOnce(End) -> F) -> Error {
    let (near, mut far) = pipe(1 << 16, 1 << 16);
    let serve = async {
        assert!(far.read(&mut [0; 1 << 12]).await.unwrap() > 0);
        act(far).await;
    };
    let config = trusting(&Ca::new("ca"));
    let (result, ()): (Result<TlsStream<End>, Error>, ()) =
        block_on(join(handshake(&config, "db.example", near), serve));
    result.unwrap_err()
}

#[test]
fn a_server_that_answers_in_plain_does_not_speak_tls() {
    // An OP_MSG of 38 bytes, and other people's protocols.
    let op_msg =
        b"\x26\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0\0\0\0\0\0\x11\0\0\0\x01ok\0\0\0\0\0\0\0\xf0\x3f\0";
    for answer in
        [&op_msg[..], b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0; 64], &[0x16, 3, 3, 0xff, 0xff, 0, 0]]
    {
        let error = against(|mut far| async move { far.write_all(answer).await.unwrap() });
        assert_tls(&error, &["the server at db.example does not speak TLS", "tls=true"]);
    }
}

#[test]
fn a_server_that_hangs_up_is_a_failure_of_the_network() {
    let silent = against(|far| async { drop(far) });
    let reset = against(|far| async { far.fail(io::ErrorKind::ConnectionReset) });
    for (error, kind) in [(silent, IoErrorKind::Closed), (reset, IoErrorKind::Reset)] {
        assert!(matches!(&*error.kind, ErrorKind::Io(io) if io.kind == kind), "{error:?}");
        assert!(error.to_string().contains("db.example does not speak TLS, or "), "{error}");
        assert!(error.to_string().contains("tls=true"), "{error}");
    }
    let timeout = against(|far| async { far.fail(io::ErrorKind::TimedOut) });
    assert!(timeout.is_network_timeout());
}

#[test]
fn a_server_may_stop_anywhere_in_the_handshake() {
    let ca = Ca::new("ca");
    for version in VERSIONS {
        let config = server(&ca.issue(&["db.example"], Valid::Now), None, version);
        for stop_after in [1, 5, 60, 200, 400] {
            let (near, mut far) = pipe(1 << 16, 1 << 16);
            let serve = async {
                let mut hello = vec![0; 1 << 12];
                let count = far.read(&mut hello).await.unwrap();
                let mut tls = rustls::ServerConnection::new(config.clone()).unwrap();
                tls.read_tls(&mut &hello[..count]).unwrap();
                tls.process_new_packets().unwrap();
                let mut out = Vec::new();
                while tls.wants_write() {
                    tls.write_tls(&mut out).unwrap();
                }
                far.write_all(&out[..stop_after]).await.unwrap();
                drop(far);
            };
            let client = trusting(&ca);
            let (result, ()) = block_on(join(handshake(&client, "db.example", near), serve));
            let error = result.unwrap_err();
            assert!(error.is_network(), "{error:?}");
            // Closed, or reset where the client had an answer to send.
            let words = error.to_string();
            assert!(words.contains("the server at db.example "), "{words}");
            assert!(words.contains("the connection during the TLS handshake"), "{words}");
        }
    }
}
