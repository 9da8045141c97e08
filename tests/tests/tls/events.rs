//! That checks are off is told, once, to whoever listens.

use crate::hosts::{at, good};
use crate::support::events::Notebook;
use crate::support::{TestRuntime, client};
use quorate::bson::doc;
use quorate::event::sdam::SdamEvent;
use quorate::tls::{TlsConfig, rustls};
use std::sync::Arc;

crate::on_every_runtime!(what_is_not_checked_is_told_first);

/// What was told of the checks: any certificate, any host name.
async fn told<R: TestRuntime>(options: quorate::options::ClientOptions) -> Option<(bool, bool)> {
    let mut options = options;
    let book = Notebook::listen(&mut options);
    let client = client::<R>(options);
    client.database("admin").run_command(doc! { "ping": 1 }).await.expect("an answer");
    client.shutdown().await;
    let heard = book.lock();
    let mut told = Vec::new();
    for (position, event) in heard.servers.iter().enumerate() {
        if let SdamEvent::TlsVerificationDisabled(event) = event {
            assert_eq!(position, 1, "right after the opening");
            let SdamEvent::TopologyOpening(opening) = &heard.servers[0] else { panic!("the opening") };
            assert_eq!(event.topology_id, opening.topology_id);
            told.push((event.any_certificate, event.any_hostname));
        }
    }
    assert!(told.len() < 2, "{told:?}");
    told.pop()
}

async fn what_is_not_checked_is_told_first<R: TestRuntime>() {
    let ca = format!("tls=true&tlsCAFile={}", good().certificates().ca());
    for (more, expected) in [
        (String::new(), None),
        ("&tlsAllowInvalidCertificates=false&tlsAllowInvalidHostnames=false".into(), None),
        ("&tlsInsecure=true".into(), Some((true, true))),
        ("&tlsAllowInvalidCertificates=true".into(), Some((true, false))),
        ("&tlsAllowInvalidHostnames=true".into(), Some((false, true))),
    ] {
        let options = at(&good().address(), &format!("{ca}{more}")).await;
        assert_eq!(told::<R>(options).await, expected, "{more}");
    }
    // What an application's own configuration checks is its own business.
    let mut options = at(&good().address(), &ca).await;
    options.tls = Some(TlsConfig::from_rustls(own()).into());
    assert_eq!(told::<R>(options).await, None);
}

fn own() -> Arc<rustls::ClientConfig> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    let ca = good().certificates().ca();
    roots.add(CertificateDer::from_pem_file(ca).expect("a certificate")).expect("an authority");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().expect("versions");
    Arc::new(config.with_root_certificates(roots).with_no_client_auth())
}
