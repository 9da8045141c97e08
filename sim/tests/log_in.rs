//! Deployments with users in virtual time: failovers, orders of the operator, tokens and logging in again.

use quorate_sim::bson::{Document, doc};
use quorate_sim::mongod::User;
use quorate_sim::quorate::Client;
use quorate_sim::quorate::error::{ErrorKind, Result};
use quorate_sim::quorate::options::oidc::{Callback, IdpServerResponse};
use quorate_sim::quorate::options::{AuthMechanism, ClientOptions, Credential};
use quorate_sim::{Cluster, SimRuntime};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

async fn ping(client: &Client<SimRuntime>) -> Result<()> {
    client.database("shop").run_command(doc! { "dbStats": 1 }).await.map(drop)
}

/// Writes one document every 100 ms for ten seconds; all of them are there in the end.
async fn work(cluster: &Cluster, client: &Client<SimRuntime>, from: i32) {
    let orders = client.database("shop").collection::<Document>("orders");
    for id in from..from + 100 {
        orders.insert_one(doc! { "_id": id }).await.expect("an insert");
        cluster.sleep(Duration::from_millis(100)).await;
    }
    let count = orders.count_documents(doc! { "_id": { "$gte": from } }).await.expect("a count");
    assert_eq!(count, 100);
}

#[test]
fn users_go_through_failovers_that_the_operator_orders() {
    for db in ["admin", "shop", "$external"] {
        let user = User { name: "the user".into(), password: "p@ss:word/%".into(), db: db.into() };
        let cluster = Cluster::replica_set().members(3).add_user(user).seed(5).build();
        cluster.run(async {
            let client = cluster.client("w=majority").await.expect("options");
            work(&cluster, &client, 0).await;
            let primary = cluster.primary().expect("a primary");
            cluster.step_down(primary);
            work(&cluster, &client, 100).await;
            assert_ne!(cluster.primary(), Some(primary), "the order was carried out");
            cluster.kill(cluster.primary().expect("a primary"));
            work(&cluster, &client, 200).await;
            client.shutdown().await;
        });
    }
}

#[test]
fn strangers_are_not_let_in_anywhere() {
    for cluster in [
        Cluster::standalone().user("user", "pencil").build(),
        Cluster::replica_set().user("user", "pencil").build(),
        Cluster::sharded().user("user", "pencil").build(),
        Cluster::load_balanced().user("user", "pencil").build(),
    ] {
        cluster.run(async {
            ping(&cluster.client("").await.expect("options")).await.expect("let in");
            for login in ["user:pen@", "nobody:pencil@", ""] {
                let uri = cluster.uri().replace("user:pencil@", login);
                // Without a name there is nothing to look up anywhere.
                let uri = if login.is_empty() { uri.replace("authSource=admin", "") } else { uri };
                let options = ClientOptions::parse(&uri).await.expect("options");
                let client = Client::on(cluster.runtime(0), options).expect("a client");
                let error = ping(&client).await.expect_err("a stranger");
                match *error.kind {
                    ErrorKind::Authentication { .. } => assert!(!login.is_empty()),
                    _ => assert_eq!((error.code(), login), (Some(13), "")),
                }
            }
            // The operator needs no name, and nobody else's number will do.
            let status = cluster.command(0, doc! { "serverStatus": 1 }).await.expect("an answer");
            assert_eq!(status.get_f64("ok").ok(), Some(1.0));
        });
    }
}

/// A client whose callback gets tokens that are good for so long; and how often it was called.
fn with_tokens(cluster: &Cluster, lifetime: Duration) -> (Client<SimRuntime>, Arc<AtomicU32>) {
    let calls = Arc::new(AtomicU32::new(0));
    let (count, here) = (calls.clone(), cluster.clone());
    let callback = Callback::machine(move |_| {
        count.fetch_add(1, Ordering::Relaxed);
        let token = here.token("service", lifetime);
        async move { Ok(IdpServerResponse::new(token)) }
    });
    (oidc(cluster, callback), calls)
}

fn oidc(cluster: &Cluster, callback: Callback) -> Client<SimRuntime> {
    let mut options = cluster.run(ClientOptions::parse(cluster.uri())).expect("options");
    let credential = Credential::builder().mechanism(AuthMechanism::MongoDbOidc).oidc_callback(callback);
    options.credential = Some(credential.build());
    Client::on(cluster.runtime(0), options).expect("a client")
}

#[test]
fn a_token_is_asked_for_once_and_goes_through_a_failover() {
    let cluster = Cluster::replica_set().members(3).tokens().seed(2).build();
    let (client, calls) = with_tokens(&cluster, Duration::from_secs(3600));
    cluster.run(async {
        for outcome in futures::future::join_all((0..8).map(|_| ping(&client))).await {
            outcome.expect("let in");
        }
        work(&cluster, &client, 0).await;
        cluster.kill(cluster.primary().expect("a primary"));
        work(&cluster, &client, 100).await;
        client.shutdown().await;
    });
    assert_eq!(calls.load(Ordering::Relaxed), 1, "kept for all connections to all members");
    cluster.close();
}

/// The number of the connection that a command goes to.
async fn connection(client: &Client<SimRuntime>) -> i32 {
    let hello = client.database("admin").run_command(doc! { "hello": 1 }).await.expect("a hello");
    hello.get_i32("connectionId").expect("a number")
}

/// MONGODB-OIDC, "Reauthentication": error 391 on a connection whose token has expired, a new token, the command again.
#[test]
fn an_expired_token_is_replaced_on_the_same_connection() {
    let cluster = Cluster::standalone().tokens().seed(3).build();
    let (client, calls) = with_tokens(&cluster, Duration::from_secs(5));
    cluster.run(async {
        let mut connections = BTreeSet::new();
        for round in 1..=4 {
            ping(&client).await.expect("let in");
            assert_eq!(calls.load(Ordering::Relaxed), round);
            ping(&client).await.expect("still in");
            connections.insert(connection(&client).await);
            assert_eq!(calls.load(Ordering::Relaxed), round, "a token that is good is kept");
            cluster.sleep(Duration::from_secs(6)).await;
        }
        assert_eq!(connections.len(), 1, "none was closed and opened anew");
    });
    cluster.close();
}

#[test]
fn a_refused_token_is_an_error_of_authentication() {
    let cluster = Cluster::standalone().tokens().seed(4).build();
    let (client, calls) = with_tokens(&cluster, Duration::ZERO);
    cluster.run(async {
        let error = ping(&client).await.expect_err("good for no time at all");
        assert!(matches!(*error.kind, ErrorKind::Authentication { .. }), "{error:?}");
    });
    assert!(calls.load(Ordering::Relaxed) >= 1);
    cluster.close();
}

#[test]
fn a_human_is_told_where_to_get_a_token() {
    let cluster = Cluster::standalone().tokens().seed(6).build();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (log, here) = (asked.clone(), cluster.clone());
    let callback = Callback::human(move |context| {
        let issuer = context.idp_info.map(|info| info.issuer);
        log.lock().expect("nobody panics").push((issuer, context.refresh_token.is_some()));
        let here = here.clone();
        async move {
            // Humans take their time.
            here.sleep(Duration::from_secs(20)).await;
            let token = here.token("a.person", Duration::from_secs(5));
            Ok(IdpServerResponse::new(token).with_refresh_token("again"))
        }
    });
    let client = oidc(&cluster, callback.with_allowed_hosts(["db0"]));
    cluster.run(async {
        ping(&client).await.expect("let in");
        cluster.sleep(Duration::from_secs(6)).await;
        ping(&client).await.expect("let in again");
    });
    let issuer = Some("https://issuer.example".to_owned());
    assert_eq!(*asked.lock().expect("nobody panics"), [(issuer.clone(), false), (issuer, true)]);
    cluster.close();
}
