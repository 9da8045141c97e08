//! A password goes to the server as a proof, and nowhere else.

use crate::set::{options, shared, use_it};
use crate::support::events::Notebook;
use crate::support::{TestRuntime, client};
use quorate::bson::doc;

crate::on_every_runtime!(the_password_is_in_nothing_that_anybody_is_shown);

const CANARY: &str = "canary-3f9d27";

#[track_caller]
fn search(what: &str, text: &str) {
    assert!(!text.is_empty() && !text.contains(CANARY), "{what}: {text}");
    // Nor as bytes.
    let bytes = format!("{:?}", CANARY.as_bytes());
    assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{what}: {text}");
}

async fn the_password_is_in_nothing_that_anybody_is_shown<R: TestRuntime>() {
    let _shared = shared();
    for (user, more) in [
        ("bird", ""),
        ("bird", "&authMechanism=SCRAM-SHA-1"),
        ("both", ""),
        ("nobody", ""),
        ("bird", "&authMechanism=PLAIN&authSource=$external"),
    ] {
        let mut options = options(user, CANARY, more).await;
        let book = Notebook::listen(&mut options);
        search("the options", &format!("{options:?}"));
        if let Err(error) = use_it::<R>(options.clone()).await {
            search("the error", &format!("{error} {error:?}"));
        }
        let client = client::<R>(options);
        if let Err(error) = client.database("suite").run_command(doc! { "dbStats": 1 }).await {
            search("the error", &format!("{error} {error:?}"));
        }
        search("the client", &format!("{client:?} {:?}", client.options()));
        search("the topology", &format!("{:?}", client.topology()));
        search("the events", &format!("{:?}", book.lock()));
        client.shutdown().await;
    }
    // Users are made by a command that has a password in it.
    let mut options = options("both", "both", "").await;
    let book = Notebook::listen(&mut options);
    let client = client::<R>(options);
    let admin = client.database("admin");
    let create =
        doc! { "createUser": format!("bird-{}", std::any::type_name::<R>()), "pwd": CANARY, "roles": [] };
    admin.run_command(create).await.expect("a new user");
    let start = doc! { "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": CANARY };
    let error = admin.run_command(start).await.expect_err("that is no payload");
    search("the error", &format!("{error} {error:?}"));
    assert_eq!(book.started("createUser"), [doc! {}]);
    assert_eq!(book.started("saslStart"), [doc! {}]);
    search("the events", &format!("{:?}", book.lock()));
    client.shutdown().await;
}
