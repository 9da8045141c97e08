//! The same client in virtual time, against simulated servers with users: fast, and the same every time.

use quorate::Client;
use quorate::bson::doc;
use quorate::error::ErrorKind;
use quorate::options::{ClientOptions, ServerAddress};
use quorate_sim::mongod::{Mongod, MongodSettings, User};
use quorate_sim::world::{World, WorldOptions};

/// Commands a client gets through, by connection string; or the error of the first.
fn pings(seed: u64, uri: &str) -> Result<usize, String> {
    let world = World::new(WorldOptions::new(seed));
    let app = world.add_host("app");
    world.serve_on("a", |_| {
        let settings = MongodSettings::new(ServerAddress::tcp("a", 27017), seed);
        Mongod::standalone(settings.with_user(User::new("user", "pencil")))
    });
    world.block_on(async {
        let options = ClientOptions::parse(uri).await.expect("a good connection string");
        let client = Client::on(world.runtime(app), options).expect("good options");
        let admin = client.database("admin");
        let all = (0..8).map(|_| async { admin.run_command(doc! { "dbStats": 1 }).await });
        let mut done = 0;
        for outcome in futures::future::join_all(all).await {
            outcome.map_err(|error| match *error.kind {
                ErrorKind::Authentication { .. } => error.to_string(),
                _ => format!("not an authentication error: {error:?}"),
            })?;
            done += 1;
        }
        client.shutdown().await;
        Ok(done)
    })
}

#[test]
fn users_log_in_by_either_mechanism() {
    for mechanism in ["", "?authMechanism=SCRAM-SHA-1", "?authMechanism=SCRAM-SHA-256"] {
        assert_eq!(pings(1, &format!("mongodb://user:pencil@a/{mechanism}")), Ok(8), "{mechanism}");
    }
}

#[test]
fn strangers_are_told_the_mechanism_and_the_server() {
    for (uri, mechanism) in [
        ("mongodb://user:pen@a/", "SCRAM-SHA-256"),
        ("mongodb://user:pen@a/?authMechanism=SCRAM-SHA-1", "SCRAM-SHA-1"),
        ("mongodb://nobody:pencil@a/", "SCRAM-SHA-1"),
    ] {
        let error = pings(2, uri).expect_err("not let in");
        assert!(error.starts_with(&format!("authentication failed: {mechanism}: ")), "{error}");
        assert!(error.ends_with("(server a:27017)"), "{error}");
        assert_eq!(pings(2, uri), Err(error), "the same seed, the same story");
    }
}
