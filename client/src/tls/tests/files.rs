//! Good files, and every way a file can be no good.

use super::certs::{Ca, File, Valid};
use super::server::{server, talk};
use crate::tls::TlsConfig;
use quorate_core::ErrorKind;
use quorate_core::options::TlsOptions;
use rustls::version::TLS13;

const CANARY: &str = "canary-52fd";

fn with_ca(path: &str) -> Result<TlsConfig, String> {
    let mut options = TlsOptions::default();
    options.ca_file_path = Some(path.to_owned());
    of(&options)
}

fn with_key(path: &str, password: Option<&str>) -> Result<TlsConfig, String> {
    let mut options = TlsOptions::default();
    options.cert_key_file_path = Some(path.to_owned());
    options.tls_certificate_key_file_password = password.map(|password| password.as_bytes().to_vec());
    options.insecure = Some(true);
    of(&options)
}

/// The configuration, or the words of the error, which never have the password among them.
fn of(options: &TlsOptions) -> Result<TlsConfig, String> {
    assert!(!format!("{options:?}").contains(CANARY));
    let result = TlsConfig::from_options(options).map_err(|error| {
        assert!(matches!(*error.kind, ErrorKind::Tls { .. }), "{error:?}");
        error.to_string()
    });
    assert!(!format!("{result:?}").contains(CANARY));
    result
}

#[track_caller]
fn assert_words(result: Result<TlsConfig, String>, parts: &[&str]) {
    let words = result.unwrap_err();
    for part in parts {
        assert!(words.contains(part), "{part:?} is not in: {words}");
    }
}

#[test]
fn a_bundle_may_hold_several_authorities_and_words_around_them() {
    let (one, two) = (Ca::new("one"), Ca::new("two"));
    let bundle = File::new(&format!("# ours\n{}\nof last year: \u{e9}\n{}", one.pem(), two.pem()));
    let config = with_ca(bundle.path()).unwrap();
    for ca in [&one, &two] {
        let server = server(&ca.issue(&["db.example"], Valid::Now), None, &TLS13);
        talk(&config, "db.example", server).0.unwrap();
    }
}

#[test]
fn a_ca_file_that_is_none_says_which_and_why() {
    assert_words(with_ca("/nowhere/ca.pem"), &["tlsCAFile /nowhere/ca.pem: cannot be read", "No such file"]);
    let key = File::new(&Ca::new("ca").issue(&["me"], Valid::Now).key.serialize_pem());
    for (text, words) in [
        ("", "not a PEM file"),
        ("\0\u{1}binary", "not a PEM file"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", "broken PEM"),
        ("-----BEGIN CERTIFICATE-----\n?!\n-----END CERTIFICATE-----\n", "broken PEM"),
        (
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            "no certificate in it can be used",
        ),
    ] {
        let file = File::new(text);
        assert_words(with_ca(file.path()), &["tlsCAFile", file.path(), words]);
    }
    assert_words(with_ca(key.path()), &["tlsCAFile", key.path(), "no certificate in it"]);
    // Where nothing is checked too: a typing error should show at once.
    let mut options = TlsOptions::default();
    options.ca_file_path = Some("/nowhere".to_owned());
    options.insecure = Some(true);
    assert_words(of(&options), &["tlsCAFile /nowhere"]);
}

#[test]
fn a_certificate_key_file_that_is_none_says_which_and_why() {
    let ca = Ca::new("ca");
    let (me, you) = (ca.issue(&["me"], Valid::Now), ca.issue(&["you"], Valid::Now));
    assert_words(with_key("/nowhere", None), &["tlsCertificateKeyFile /nowhere: cannot be read"]);
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n\
               -----END RSA PRIVATE KEY-----\n";
    let broken = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (text, words) in [
        (String::new(), "not a PEM file"),
        (me.certificate_pem.clone(), "no private key in it"),
        (me.key.serialize_pem(), "no certificate in it"),
        (me.certificate_pem.clone() + &you.key.serialize_pem(), "certificate and key cannot be used"),
        (me.certificate_pem.clone() + old, "openssl pkcs8 -topk8"),
        (me.certificate_pem.clone() + broken, "encrypted key cannot be read"),
    ] {
        let file = File::new(&text);
        assert_words(with_key(file.path(), Some(CANARY)), &["tlsCertificateKeyFile", file.path(), words]);
    }
}

#[test]
fn an_encrypted_key_opens_with_its_password_only() {
    let ca = Ca::new("ca");
    let file = File::new(&ca.issue(&["me"], Valid::Now).encrypted_pem(CANARY));
    assert_words(with_key(file.path(), None), &[file.path(), "tlsCertificateKeyFilePassword"]);
    assert_words(with_key(file.path(), Some("wrong")), &[file.path(), "wrong password"]);
    let config = with_key(file.path(), Some(CANARY)).unwrap();
    let server = server(&ca.issue(&["db.example"], Valid::Now), Some(&ca), &TLS13);
    let (result, seen) = talk(&config, "db.example", server);
    result.unwrap();
    assert!(seen.client_certificate);
}

#[test]
fn a_password_too_many_does_no_harm() {
    let file = File::new(&Ca::new("ca").issue(&["me"], Valid::Now).pem());
    with_key(file.path(), Some(CANARY)).unwrap();
}
