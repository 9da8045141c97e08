//! How much faster than time the simulation is: a replica set of three under twenty operations a second.
//!
//! ```sh
//! cargo run --release -p quorate-sim --example speed [SECONDS]
//! ```
use quorate_sim::Cluster;
use quorate_sim::bson::doc;
use std::time::{Duration, Instant};

fn main() -> quorate::error::Result<()> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(3600);
    let cluster = Cluster::replica_set().members(3).seed(1).build();
    let began = Instant::now();
    let operations = cluster.run(async {
        let client = cluster.client("w=majority").await?;
        let database = client.database("shop");
        let mut operations = 0_u64;
        while cluster.elapsed() < Duration::from_secs(seconds) {
            database.run_command(doc! { "ping": 1 }).await?;
            operations += 1;
            cluster.sleep(Duration::from_millis(50)).await;
        }
        Ok::<u64, quorate::error::Error>(operations)
    })?;
    let took = began.elapsed().as_secs_f64();
    let events = cluster.world().event_count();
    println!("{seconds} simulated seconds, {operations} operations, {events} events in {took:.3} s");
    println!("{:.0} simulated seconds a second", seconds as f64 / took);
    Ok(())
}
