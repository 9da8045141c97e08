//! An application's unit test of its own behaviour in a failover: no server, no Docker, and no waiting for elections.
use quorate::error::Result;
use quorate::{Client, Runtime};
use quorate_sim::Cluster;
use quorate_sim::bson::{Document, doc};
use std::time::Duration;

/// The application: any runtime will do.
async fn place_order<R: Runtime>(client: &Client<R>, number: i32) -> Result<()> {
    let orders = client.database("shop").collection::<Document>("orders");
    orders.insert_one(doc! { "_id": number, "state": "new" }).await.map(drop)
}

/// The test: an order every second for two minutes, while one primary after the other goes away.
#[cfg_attr(test, test)] // `cargo test` runs it, and so does `cargo run --example unit_test`.
fn no_order_is_lost_in_a_failover() -> Result<()> {
    let cluster = Cluster::replica_set().members(3).seed(42).build();
    cluster.after(Duration::from_secs(20), |cluster| cluster.kill(0));
    cluster.after(Duration::from_secs(50), |cluster| cluster.start(0));
    cluster.after(Duration::from_secs(80), |cluster| cluster.hang(cluster.primary().unwrap_or(0)));
    cluster.run(async {
        let client = cluster.client("w=majority").await?;
        for number in 0..120 {
            place_order(&client, number).await?;
            cluster.sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(cluster.committed("shop", "orders").len(), 120);
        println!("120 orders in {:?} of virtual time", cluster.elapsed());
        Ok(())
    })
}

fn main() -> Result<()> {
    no_order_is_lost_in_a_failover()
}
