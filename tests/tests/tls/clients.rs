//! What a client shows a server that asks.

use crate::hosts::{assert_told, good, strict, trusting, use_it};
use crate::support::TestRuntime;
use quorate::Client;
use quorate::error::ErrorKind;
use quorate::options::Tls;
use quorate_harness::certificates::KEY_PASSWORD;

crate::on_every_runtime!(
    a_certificate_lets_in,
    an_encrypted_key_wants_its_password,
    none_is_told_what_is_missing,
    one_of_another_authority_is_refused,
);

async fn a_certificate_lets_in<R: TestRuntime>() {
    for server in [strict(), good()] {
        let file = server.certificates().client();
        let options = trusting(server, &format!("&tlsCertificateKeyFile={file}")).await;
        use_it::<R>(options).await.expect("it is asked for, and welcome where it is not");
    }
}

async fn an_encrypted_key_wants_its_password<R: TestRuntime>() {
    let file = strict().certificates().client_encrypted();
    let mut options = trusting(strict(), &format!("&tlsCertificateKeyFile={file}")).await;
    for (password, words) in [
        (None, "the key is encrypted: give its password by tlsCertificateKeyFilePassword"),
        (Some("wr0ng"), "wrong password for its key (tlsCertificateKeyFilePassword)"),
        (Some(KEY_PASSWORD), ""),
    ] {
        let Some(Tls::Enabled(tls)) = &mut options.tls else { panic!("with TLS") };
        tls.tls_certificate_key_file_password = password.map(|password| password.as_bytes().to_vec());
        match Client::<R>::with_options(options.clone()) {
            Ok(_) => assert_eq!(words, ""),
            Err(error) => {
                assert!(matches!(*error.kind, ErrorKind::Tls { .. }), "{error:?}");
                assert!(
                    error.to_string().contains(&format!("tlsCertificateKeyFile {file}: {words}")),
                    "{error}"
                );
                assert!(!error.to_string().contains("wr0ng"), "{error}");
            }
        }
    }
    use_it::<R>(options).await.expect("the key is the same");
    // In a connection string it is written like any other.
    let password = KEY_PASSWORD.replace('@', "%40").replace(':', "%3A");
    let more = format!("&tlsCertificateKeyFile={file}&tlsCertificateKeyFilePassword={password}");
    use_it::<R>(trusting(strict(), &more).await).await.expect("the same");
}

async fn none_is_told_what_is_missing<R: TestRuntime>() {
    let parts = [&strict().address(), "client certificate", "name it with tlsCertificateKeyFile"];
    assert_told(use_it::<R>(trusting(strict(), "").await).await, &parts);
}

async fn one_of_another_authority_is_refused<R: TestRuntime>() {
    let file = strict().certificates().stranger();
    let options = trusting(strict(), &format!("&tlsCertificateKeyFile={file}")).await;
    assert_told(use_it::<R>(options).await, &[&strict().address(), "tlsCertificateKeyFile", "its CA"]);
}
