//! Users who are their certificate.

use crate::support::{TestRuntime, options};
use quorate::Client;
use quorate::bson::doc;
use quorate::error::{ErrorKind, Result};
use quorate_harness::certificates::CLIENT_SUBJECT;
use quorate_harness::{ReplicaSet, Tls};
use std::sync::OnceLock;

crate::on_every_runtime!(a_certificate_is_a_name, a_certificate_of_no_user_is_refused);

pub(crate) fn set() -> &'static ReplicaSet {
    static SET: OnceLock<ReplicaSet> = OnceLock::new();
    SET.get_or_init(|| {
        let set = ReplicaSet::builder().members(1).auth(true).tls(Tls::required()).start();
        let set = set.expect("a set with TLS");
        let role = doc! { "role": "root", "db": "admin" };
        let user = doc! { "createUser": CLIENT_SUBJECT, "roles": [role] };
        set.command_on_primary("$external", user).expect("a user");
        set
    })
}

/// Does what only users may, with that certificate; `user` goes before the hosts.
async fn use_it<R: TestRuntime>(certificate: &str, user: &str) -> Result<()> {
    let uri = set().uri().replace("mongodb://", &format!("mongodb://{user}"));
    let uri = format!("{uri}&tlsCertificateKeyFile={certificate}&authMechanism=MONGODB-X509");
    let client: Client<R> = Client::with_options(options(&uri).await)?;
    let outcome = client.database("suite").run_command(doc! { "dbStats": 1 }).await;
    client.shutdown().await;
    outcome.map(drop)
}

async fn a_certificate_is_a_name<R: TestRuntime>() {
    let known = set().certificates().client();
    use_it::<R>(&known, "").await.expect("the certificate is enough");
    let named = format!("{}@", crate::set::encoded(CLIENT_SUBJECT));
    use_it::<R>(&known, &named).await.expect("the name is that of the certificate");
}

async fn a_certificate_of_no_user_is_refused<R: TestRuntime>() {
    let unknown = set().certificates().unknown_client();
    let named = format!("{}@", crate::set::encoded(CLIENT_SUBJECT));
    for user in ["", &named] {
        let error = use_it::<R>(&unknown, user).await.expect_err("nobody of that name");
        assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
        let shown = error.to_string();
        assert!(shown.contains("MONGODB-X509: ") && shown.contains(set().address(0)), "{shown}");
    }
}
