//! Passwords that are right.

use crate::set::{SHA1, SHA256, alone, options, set, shared, use_it};
use crate::support::{TestRuntime, client};
use quorate::bson::{Document, doc};
use quorate::options::AuthMechanism;

crate::on_every_runtime!(
    every_mechanism_a_user_has_lets_it_in,
    the_source_may_be_any_database_and_names_any_text,
    passwords_are_prepared_by_saslprep,
    the_mechanism_is_negotiated_and_tried_inside_the_hello,
    many_connections_log_in_at_once,
    compression_is_agreed_on_beside_a_log_in,
);

/// "Step 2".
async fn every_mechanism_a_user_has_lets_it_in<R: TestRuntime>() {
    let _shared = shared();
    for (user, mechanisms) in [("sha1", &[SHA1][..]), ("sha256", &[SHA256]), ("both", &[SHA1, SHA256])] {
        use_it::<R>(options(user, user, "").await).await.expect("negotiated");
        for mechanism in mechanisms {
            let named = format!("&authMechanism={mechanism}");
            use_it::<R>(options(user, user, &named).await).await.expect(mechanism);
            let mut in_code = options(user, user, "").await;
            in_code.credential.as_mut().expect("a credential").mechanism = AuthMechanism::parse(mechanism);
            use_it::<R>(in_code).await.expect(mechanism);
        }
    }
}

async fn the_source_may_be_any_database_and_names_any_text<R: TestRuntime>() {
    let _shared = shared();
    let (user, password) = ("local,=hero", "p@ss:w/rd%?#[]");
    for mechanism in ["", "&authMechanism=SCRAM-SHA-1", "&authMechanism=SCRAM-SHA-256"] {
        let right = format!("&authSource=elsewhere{mechanism}");
        use_it::<R>(options(user, password, &right).await).await.expect("it lives elsewhere");
        let wrong = options(user, password, &format!("&authSource=admin{mechanism}")).await;
        use_it::<R>(wrong).await.expect_err("nobody of that name lives there");
    }
    // Without authSource, the database of the connection string is the source.
    let uri = crate::set::uri(user, password, "").replace("/?", "/elsewhere?");
    use_it::<R>(crate::support::options(&uri).await).await.expect("the default database is the source");
}

/// "Step 4", and SCRAM-SHA-1, which prepares nothing.
async fn passwords_are_prepared_by_saslprep<R: TestRuntime>() {
    let _shared = shared();
    for (user, password) in [
        ("IX", "IX"),
        ("IX", "I\u{ad}X"),
        ("\u{2168}", "IV"),
        ("\u{2168}", "I\u{ad}V"),
        ("\u{2168}", "\u{2163}"),
        ("gr\u{fc}n", "stra\u{df}e"),
    ] {
        use_it::<R>(options(user, password, "").await).await.expect(password);
    }
    let error = use_it::<R>(options("gr\u{fc}n", "stra\u{ad}\u{df}e", "").await).await;
    error.expect_err("SCRAM-SHA-1 takes a password as it is");
}

/// How often the server has seen a mechanism: inside of hellos, and successfully in all.
fn seen(mechanism: &str) -> (i64, i64) {
    let status = set().command_on_primary("admin", doc! { "serverStatus": 1 }).expect("a status");
    let path = ["security", "authentication", "mechanisms", mechanism];
    let found = path.iter().fold(&status, |at: &Document, name| at.get_document(name).expect(name));
    let count = |what: &str| found.get_document(what).expect(what).get_i64("successful").expect("a count");
    (count("speculativeAuthenticate"), count("authenticate"))
}

/// "drivers should verify that negotiation selects SCRAM-SHA-256", and "Speculative Authentication".
async fn the_mechanism_is_negotiated_and_tried_inside_the_hello<R: TestRuntime>() {
    let _alone = alone();
    // Logs the harness itself in, before anything is counted.
    seen(SHA1);
    for (user, named, mechanism, speculative) in [
        ("both", "", SHA256, 1),
        ("sha256", "", SHA256, 1),
        // The try is by SCRAM-SHA-256, which this user has not.
        ("sha1", "", SHA1, 0),
        ("sha1", "&authMechanism=SCRAM-SHA-1", SHA1, 1),
    ] {
        let before = seen(mechanism);
        use_it::<R>(options(user, user, named).await).await.expect("it logs in");
        let after = seen(mechanism);
        assert_eq!((after.0 - before.0, after.1 - before.1), (speculative, 1), "{user} {named}");
    }
}

async fn many_connections_log_in_at_once<R: TestRuntime>() {
    let _shared = shared();
    let client = client::<R>(options("both", "both", "&maxConnecting=8").await);
    let things = client.database("suite").collection::<Document>("many");
    let inserts = (0..16).map(|n| async move { n }).map(|n| {
        let things = things.clone();
        async move { things.insert_one(doc! { "n": n.await }).await }
    });
    for inserted in futures::future::join_all(inserts).await {
        inserted.expect("inserted");
    }
    client.shutdown().await;
}

/// The same hello carries both, and what comes between them (the rest of the log-in) goes uncompressed.
async fn compression_is_agreed_on_beside_a_log_in<R: TestRuntime>() {
    let _alone = alone();
    let inflated = |compressor: &str| {
        let status = set().command_on_primary("admin", doc! { "serverStatus": 1 }).expect("a status");
        let path = ["network", "compression", compressor, "decompressor"];
        let found = path.iter().fold(&status, |at: &Document, name| at.get_document(name).expect(name));
        found.get_i64("bytesOut").expect("a count")
    };
    for compressor in ["snappy", "zlib", "zstd"] {
        for user in ["sha1", "sha256", "both"] {
            let before = inflated(compressor);
            use_it::<R>(options(user, user, &format!("&compressors={compressor}")).await).await.expect(user);
            assert!(inflated(compressor) > before, "{compressor}");
        }
    }
}
