//! The real client, as it is shipped, against simulated servers in a simulated network.

use super::{Mongod, MongodSettings};
use crate::SimRuntime;
use crate::world::{HostId, World, WorldOptions};
use bson::doc;
use quorate::Client;
use quorate_core::{ClientOptions, Duration, ServerAddress};

/// A standalone server `a` and a machine for clients.
fn alone(seed: u64) -> (World<Mongod>, HostId) {
    let world = World::new(WorldOptions::new(seed));
    let app = world.add_host("app");
    world.serve_on("a", |_| Mongod::standalone(MongodSettings::new(ServerAddress::tcp("a", 27017), seed)));
    (world, app)
}

async fn client(world: &World<Mongod>, app: HostId, uri: &str) -> Client<SimRuntime> {
    let options = ClientOptions::parse(uri).await.unwrap();
    Client::on(world.runtime(app), options).unwrap()
}

#[test]
fn the_client_pings_a_standalone() {
    let (world, app) = alone(1);
    world.block_on(async {
        let client = client(&world, app, "mongodb://a/").await;
        let admin = client.database("admin");
        for _ in 0..10 {
            let reply = admin.run_command(doc! { "ping": 1 }).await.unwrap();
            assert_eq!(reply.get_f64("ok").unwrap(), 1.0);
            world.runtime(app).sleep(Duration::from_secs(5)).await;
        }
        let error = admin.run_command(doc! { "nope": 1 }).await.unwrap_err();
        assert_eq!(error.code(), Some(59));
        let data = doc! { "failCommands": ["ping"], "closeConnection": true };
        let configure = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": data };
        admin.run_command(configure).await.unwrap();
        assert!(admin.run_command(doc! { "ping": 1 }).await.is_err());
        admin.run_command(doc! { "ping": 1 }).await.unwrap();
        client.shutdown().await;
    });
}
