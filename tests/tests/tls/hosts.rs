//! The servers that the tests share, and what is asked of them.

use crate::support::{TestRuntime, client, options};
use quorate::bson::doc;
use quorate::error::Result;
use quorate::options::ClientOptions;
use quorate_harness::{ServerCertificate, Standalone, Tls};
use std::sync::OnceLock;

/// One whose certificate is good.
pub(crate) fn good() -> &'static Standalone {
    static SERVER: OnceLock<Standalone> = OnceLock::new();
    SERVER.get_or_init(|| start(Tls::required()))
}

/// One that lets nobody in without a certificate.
pub(crate) fn strict() -> &'static Standalone {
    static SERVER: OnceLock<Standalone> = OnceLock::new();
    SERVER.get_or_init(|| start(Tls::required().client_certificates(true)))
}

/// One that vouches for itself.
pub(crate) fn self_signed() -> &'static Standalone {
    static SERVER: OnceLock<Standalone> = OnceLock::new();
    SERVER.get_or_init(|| start(Tls::required().certificate(ServerCertificate::SelfSigned)))
}

/// One that is called something else.
pub(crate) fn other_host() -> &'static Standalone {
    static SERVER: OnceLock<Standalone> = OnceLock::new();
    SERVER.get_or_init(|| start(Tls::required().certificate(ServerCertificate::OtherHost)))
}

/// One that knows nothing of TLS.
pub(crate) fn plain() -> &'static Standalone {
    static SERVER: OnceLock<Standalone> = OnceLock::new();
    SERVER.get_or_init(|| Standalone::start().expect("a server"))
}

pub(crate) fn start(tls: Tls) -> Standalone {
    Standalone::builder().tls(tls).start().expect("a server with TLS")
}

/// Options for one address; errors come soon.
pub(crate) async fn at(address: &str, more: &str) -> ClientOptions {
    options(&format!("mongodb://{address}/?serverSelectionTimeoutMS=1500&{more}")).await
}

/// Options that trust the server's authority; `more` goes behind them, as `&name=value`.
pub(crate) async fn trusting(server: &Standalone, more: &str) -> ClientOptions {
    at(&server.address(), &format!("tls=true&tlsCAFile={}{more}", server.certificates().ca())).await
}

/// Writes and reads something.
pub(crate) async fn use_it<R: TestRuntime>(options: ClientOptions) -> Result<()> {
    let client = client::<R>(options);
    let things = client.database("suite").collection(&crate::support::fresh_name());
    let outcome = async {
        // More than a record of TLS holds.
        things.insert_one(doc! { "text": "x".repeat(100_000) }).await?;
        assert_eq!(things.count_documents(doc! {}).await?, 1);
        Ok(())
    };
    let outcome = outcome.await;
    client.shutdown().await;
    outcome
}

/// What an application is told that is not let in; it has all of `parts` in it.
#[track_caller]
pub(crate) fn assert_told(outcome: Result<()>, parts: &[&str]) {
    let told = outcome.expect_err("not let in").to_string();
    eprintln!("told: {told}");
    for part in parts {
        assert!(told.contains(part), "{part:?} is not in: {told}");
    }
}
