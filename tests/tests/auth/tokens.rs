//! MONGODB-OIDC and MONGODB-AWS against a server made for it, and logging in again against a real one.

use crate::fake::Fake;
use crate::set::{set, shared};
use crate::support::events::Notebook;
use crate::support::{TestRuntime, client, options};
use futures::future::join_all;
use quorate::Client;
use quorate::bson::doc;
use quorate::error::{ErrorKind, Result};
use quorate::options::oidc::{Callback, CallbackContext, IdpServerResponse};
use quorate::options::{AuthMechanism, ClientOptions, Credential};
use std::sync::{Arc, Mutex};

crate::on_every_runtime!(
    a_machines_token_is_got_once_and_kept,
    a_refused_token_is_replaced,
    a_connection_logs_in_again_when_the_server_wants_it,
    a_human_is_asked_once_and_refreshed_after_that,
    a_human_is_not_asked_for_a_stranger,
    a_token_from_a_file,
    aws_signs_with_the_keys_of_the_environment,
    any_mechanism_logs_in_again_at_a_real_server,
);

/// What the callback was told, each time.
type Calls = Arc<Mutex<Vec<CallbackContext>>>;

/// A callback that gives these tokens, one after the other, and refresh tokens with them if it is a human's.
fn callback(tokens: &[&str], human: bool) -> (Callback, Calls) {
    let calls = Calls::default();
    let (log, tokens) = (calls.clone(), tokens.iter().map(ToString::to_string).collect::<Vec<_>>());
    let give = move |context: CallbackContext| {
        let mut calls = log.lock().expect("nobody panics");
        calls.push(context);
        let given = tokens.get(calls.len() - 1).cloned();
        async move {
            let none = || ErrorKind::Authentication { message: "the callback has no more tokens".into() };
            let response = IdpServerResponse::new(given.ok_or_else(none)?);
            Ok(if human { response.with_refresh_token("again") } else { response })
        }
    };
    (if human { Callback::human(give) } else { Callback::machine(give) }, calls)
}

async fn oidc(fake: &Fake, callback: Callback) -> ClientOptions {
    let mut options = options(&fake.uri("", "&serverSelectionTimeoutMS=5000")).await;
    let credential = Credential::builder().mechanism(AuthMechanism::MongoDbOidc).oidc_callback(callback);
    options.credential = Some(credential.build());
    options
}

async fn ping<R: TestRuntime>(client: &Client<R>) -> Result<()> {
    client.database("admin").run_command(doc! { "ping": 1 }).await.map(drop)
}

async fn a_machines_token_is_got_once_and_kept<R: TestRuntime>() {
    let fake = Fake::start(&["one"]);
    let (callback, calls) = callback(&["one", "two"], false);
    let client = client::<R>(oidc(&fake, callback).await);
    for outcome in join_all((0..8).map(|_| ping(&client))).await {
        outcome.expect("let in");
    }
    assert_eq!(calls.lock().expect("calls").len(), 1, "once, for all connections");
    let context = calls.lock().expect("calls").remove(0);
    assert_eq!((context.version, context.timeout.as_secs(), context.idp_info), (1, 60, None));
    client.shutdown().await;
}

async fn a_refused_token_is_replaced<R: TestRuntime>() {
    let fake = Fake::start(&["one"]);
    let (callback, calls) = callback(&["one", "two"], false);
    let client = client::<R>(oidc(&fake, callback).await);
    ping(&client).await.expect("let in");
    // The server has changed its mind, and the connection is gone.
    fake.seen().good = ["two".to_owned()].into();
    fake.seen().tired = 1;
    ping(&client).await.expect("let in again");
    assert_eq!(fake.seen().log, ["jwt one", "ping", "ping", "jwt two", "ping"]);
    assert_eq!(calls.lock().expect("calls").len(), 2);
    // No third one is to be had.
    fake.seen().good.clear();
    fake.seen().tired = 1;
    let error = ping(&client).await.expect_err("nothing left to show");
    assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
    client.shutdown().await;
}

/// MONGODB-OIDC, "Reauthentication".
async fn a_connection_logs_in_again_when_the_server_wants_it<R: TestRuntime>() {
    let fake = Fake::start(&["canary-1", "canary-2"]);
    let (callback, calls) = callback(&["canary-1", "canary-2"], false);
    let mut options = oidc(&fake, callback).await;
    let book = Notebook::listen(&mut options);
    let client = client::<R>(options);
    ping(&client).await.expect("let in");
    fake.seen().tired = 1;
    ping(&client).await.expect("let in again, on the same connection");
    assert_eq!(fake.seen().log, ["jwt canary-1", "ping", "ping", "jwt canary-2", "ping"]);
    assert_eq!(
        calls.lock().expect("calls").len(),
        2,
        "the token that the server has tired of is not shown again"
    );
    assert_eq!(book.started("ping").len(), 3);
    book.check_pairs();
    assert_eq!(book.pool_counts().created, 1);
    for token in ["canary-1", "canary-2"] {
        assert!(!format!("{:?}", book.lock().commands).contains(token));
    }
    client.shutdown().await;
}

async fn a_human_is_asked_once_and_refreshed_after_that<R: TestRuntime>() {
    let fake = Fake::start(&["one", "two"]);
    let (callback, calls) = callback(&["one", "two"], true);
    let mut options = oidc(&fake, callback).await;
    options.credential.as_mut().expect("a credential").username = Some("me".into());
    let client = client::<R>(options);
    ping(&client).await.expect("let in");
    assert_eq!(fake.seen().log, ["principal me", "jwt one", "ping"]);
    fake.seen().tired = 1;
    ping(&client).await.expect("let in again");
    assert_eq!(fake.seen().log[3..], ["ping", "jwt two", "ping"]);
    let calls = calls.lock().expect("calls");
    let [first, second] = calls.as_slice() else { panic!("two calls: {calls:?}") };
    assert_eq!(first.idp_info.as_ref().expect("whom to ask").issuer, "https://issuer");
    assert_eq!((first.timeout.as_secs(), first.refresh_token.is_some()), (300, false));
    assert_eq!(second.refresh_token.as_ref().expect("the refresh token").as_str(), "again");
    assert_eq!(second.idp_info, first.idp_info);
}

async fn a_human_is_not_asked_for_a_stranger<R: TestRuntime>() {
    let fake = Fake::start(&["one"]);
    let (callback, calls) = callback(&["one"], true);
    let client = client::<R>(oidc(&fake, callback.with_allowed_hosts(["*.example.com"])).await);
    let error = ping(&client).await.expect_err("127.0.0.1 is no example");
    assert!(error.to_string().contains("127.0.0.1 is not among the allowed hosts"), "{error}");
    assert!(calls.lock().expect("calls").is_empty());
    client.shutdown().await;
}

/// The integration of Kubernetes, in the one place where it looks for a file here: there is none, and the error says so.
async fn a_token_from_a_file<R: TestRuntime>() {
    let fake = Fake::start(&["one"]);
    let uri = fake.uri("", "&authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:k8s");
    let client = client::<R>(options(&uri).await);
    let error = ping(&client).await.expect_err("this is no pod");
    assert!(error.to_string().contains("MONGODB-OIDC: /"), "{error}");
    client.shutdown().await;
}

/// The latest specification takes keys from nowhere but the environment, and a process cannot safely change its own: the test
/// runs once more in a process that has them.
async fn aws_signs_with_the_keys_of_the_environment<R: TestRuntime>() {
    if std::env::var_os("AWS_ACCESS_KEY_ID").is_none() {
        let runtime = if std::any::type_name::<R>().contains("Tokio") { "on_tokio" } else { "on_smol" };
        let name = format!("tokens::{runtime}::aws_signs_with_the_keys_of_the_environment");
        let mut child = std::process::Command::new(std::env::current_exe().expect("this program"));
        child.args([&name, "--exact"]).env("AWS_ACCESS_KEY_ID", "AKID");
        child.env("AWS_SECRET_ACCESS_KEY", "canary/secret").env("AWS_SESSION_TOKEN", "session");
        let output = child.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let fake = Fake::start(&[]);
    let mut options = options(&fake.uri("", "&authMechanism=MONGODB-AWS")).await;
    let book = Notebook::listen(&mut options);
    let client = client::<R>(options);
    ping(&client).await.expect("let in");
    let log = fake.seen().log.clone();
    let [aws, _ping] = log.as_slice() else { panic!("{log:?}") };
    assert!(aws.contains("Credential=AKID/") && aws.contains("/us-west-2/sts/aws4_request"), "{aws}");
    assert!(aws.ends_with(" session") && aws.contains("x-amz-security-token"), "{aws}");
    let told = format!("{aws} {:?} {client:?} {:?}", book.lock(), client.options());
    assert!(!told.contains("canary"), "{told}");
    client.shutdown().await;
}

/// "This attempt MUST be irrespective of whether the operation is considered retryable."
async fn any_mechanism_logs_in_again_at_a_real_server<R: TestRuntime>() {
    let _shared = shared();
    let mut options = crate::set::options("both", "both", "&retryWrites=false&retryReads=false").await;
    options.app_name = Some(format!("again-{}", std::any::type_name::<R>().len()));
    let book = Notebook::listen(&mut options);
    let name = options.app_name.clone();
    let client = client::<R>(options);
    let things = client.database("suite").collection(&crate::support::fresh_name());
    things.insert_one(doc! { "_id": 1 }).await.expect("inserted");
    let data = doc! { "failCommands": ["insert"], "errorCode": 391, "appName": name };
    set().fail_point(0, "failCommand", doc! { "times": 1 }, data).expect("a fail point");
    things.insert_one(doc! { "_id": 2 }).await.expect("inserted after another log-in");
    assert_eq!(book.started("insert").len(), 3);
    assert_eq!(book.pool_counts().created, 1, "on the same connection");
    book.check_pairs();
    client.shutdown().await;
}
