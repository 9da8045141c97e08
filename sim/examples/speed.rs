//! How much faster than time the simulation is: a replica set of three under twenty operations a second, half of them writes that
//! wait for a majority.
//!
//! ```sh
//! cargo run --release -p quorate-sim --example speed [SECONDS]
//! ```
use quorate_sim::Cluster;
use quorate_sim::bson::{Document, doc};
use std::time::{Duration, Instant};

fn main() -> quorate::error::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3600);
    let cluster = Cluster::replica_set().members(3).seed(1).build();
    let began = Instant::now();
    let operations = cluster.run(async {
        let client = cluster.client("w=majority").await?;
        let orders = client.database("shop").collection::<Document>("orders");
        let mut operations = 0_i32;
        while cluster.elapsed() < Duration::from_secs(seconds) {
            // A thousand documents, written over and over: what is measured is the simulation, not the growth of its data.
            let id = operations / 2 % 1000;
            if operations % 2 == 0 {
                let document = doc! { "state": "new", "number": operations };
                orders.replace_one(doc! { "_id": id }, document).upsert(true).await?;
            } else {
                orders.find_one(doc! { "_id": id }).await?;
            }
            operations += 1;
            cluster.sleep(Duration::from_millis(50)).await;
        }
        Ok::<i32, quorate::error::Error>(operations)
    })?;
    let took = began.elapsed().as_secs_f64();
    let events = cluster.world().event_count();
    println!("{seconds} simulated seconds, {operations} operations, {events} events in {took:.3} s");
    println!("{:.0} simulated seconds a second", seconds as f64 / took);
    Ok(())
}
