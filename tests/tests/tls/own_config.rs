//! A rustls configuration of the application's own, in the place of options.

use crate::hosts::{assert_told, at, good, other_host, use_it};
use crate::support::TestRuntime;
use quorate::Client;
use quorate::error::ErrorKind;
use quorate::options::{CustomTls, Tls, TlsOptions};
use quorate::tls::rustls::pki_types::{CertificateDer, pem::PemObject};
use quorate::tls::rustls::{ClientConfig, RootCertStore, version::TLS12};
use quorate::tls::{TlsConfig, rustls};
use std::sync::Arc;

crate::on_every_runtime!(it_decides_who_is_trusted, it_stands_alone);

/// Trusts one authority, and speaks an old version only.
fn own(ca: &str) -> TlsConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS12]);
    let config = config.expect("a version it knows").with_root_certificates(roots).with_no_client_auth();
    TlsConfig::from_rustls(Arc::new(config))
}

async fn it_decides_who_is_trusted<R: TestRuntime>() {
    let mut options = at(&good().address(), "").await;
    options.tls = Some(own(&good().certificates().ca()).into());
    use_it::<R>(options.clone()).await.expect("its authority is the server's");
    options.tls = Some(own(&good().certificates().other_ca()).into());
    let words = "is not signed by a CA that the given rustls configuration trusts";
    assert_told(use_it::<R>(options).await, &[&good().address(), words]);
    let mut options = at(&other_host().address(), "").await;
    options.tls = Some(own(&other_host().certificates().ca()).into());
    assert_told(use_it::<R>(options).await, &["is made out to another name"]);
}

async fn it_stands_alone<R: TestRuntime>() {
    let ca = good().certificates().ca();
    let Tls::Enabled(mut both) = Tls::from(own(&ca)) else { panic!("enabled") };
    both.ca_file_path = Some(ca);
    let foreign = TlsOptions::builder().custom(CustomTls::new("rustls")).build();
    for (tls, words) in [(both, "leave them out"), (foreign, "not a TlsConfig")] {
        let mut options = at(&good().address(), "").await;
        options.tls = Some(tls.into());
        let error = Client::<R>::with_options(options).expect_err("nobody knows what is meant");
        assert!(matches!(*error.kind, ErrorKind::Tls { .. }), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
