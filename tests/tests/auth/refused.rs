//! Who is not let in, and what it is told: the mechanism, the server, never the password.

use crate::set::{options, set, shared, use_it};
use crate::support::TestRuntime;
use quorate::error::{Error, ErrorKind};
use std::time::{Duration, Instant};

crate::on_every_runtime!(
    wrong_names_passwords_and_mechanisms_fail_alike,
    a_mechanism_the_server_does_not_have_is_named,
    without_a_log_in_nothing_is_done,
);

#[track_caller]
fn check(error: &Error, mechanism: &str, password: &str) {
    assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
    let (shown, debugged) = (error.to_string(), format!("{error:?}"));
    assert!(shown.contains(&format!("authentication failed: {mechanism}: ")), "{shown}");
    assert!(shown.contains(set().address(0)), "{shown}");
    assert!(!shown.contains(password) && !debugged.contains(password), "{shown} {debugged}");
}

/// "Step 3": "the same error type that would occur with a correct username but incorrect password or mechanism".
async fn wrong_names_passwords_and_mechanisms_fail_alike<R: TestRuntime>() {
    let _shared = shared();
    for (user, more, mechanism) in [
        ("both", "", "SCRAM-SHA-256"),
        ("both", "&authMechanism=SCRAM-SHA-1", "SCRAM-SHA-1"),
        ("sha1", "", "SCRAM-SHA-1"),
        ("sha256", "", "SCRAM-SHA-256"),
        // The server does not tell whether there is such a user.
        ("nobody", "", "SCRAM-SHA-1"),
        ("nobody", "&authMechanism=SCRAM-SHA-256", "SCRAM-SHA-256"),
    ] {
        let began = Instant::now();
        let error = use_it::<R>(options(user, "wr0ng-w0rd", more).await).await.expect_err("not let in");
        check(&error, mechanism, "wr0ng-w0rd");
        assert!(error.to_string().contains("AuthenticationFailed"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(15), "not after a server selection time-out");
    }
    for (user, mechanism) in [("sha1", "SCRAM-SHA-256"), ("sha256", "SCRAM-SHA-1")] {
        let options = options(user, user, &format!("&authMechanism={mechanism}")).await;
        let error = use_it::<R>(options).await.expect_err("not by this mechanism");
        check(&error, mechanism, "no password is in the names of mechanisms");
    }
}

async fn a_mechanism_the_server_does_not_have_is_named<R: TestRuntime>() {
    let _shared = shared();
    let plain = options("both", "pl4in-w0rd", "&authMechanism=PLAIN&authSource=$external").await;
    check(&use_it::<R>(plain).await.expect_err("no LDAP here"), "PLAIN", "pl4in-w0rd");
}

async fn without_a_log_in_nothing_is_done<R: TestRuntime>() {
    let error = use_it::<R>(crate::support::options(&set().uri()).await).await.expect_err("not allowed");
    assert_eq!(error.code(), Some(13), "Unauthorized: {error}");
}
