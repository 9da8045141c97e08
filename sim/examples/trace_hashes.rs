//! What some seeds come to: the hash of all that happens in a minute with every fault. The same on every machine and target, which
//! `.ci/run` checks by comparing what this prints natively and under WebAssembly.
use quorate_sim::bson::doc;
use quorate_sim::world::Link;
use quorate_sim::{Cluster, bson::Document};
use std::time::Duration;

fn main() {
    for seed in 1..=5 {
        println!("{seed} {:016x}", minute(seed));
    }
}

fn minute(seed: u64) -> u64 {
    let secs = Duration::from_secs;
    let builder = Cluster::replica_set().members(3).election_timeout(secs(2)).seed(seed).shuffle();
    let cluster = builder.link(Link { fragment: Some(700), loss_ppm: 1000, ..Link::default() }).build();
    cluster.after(secs(5), |cluster| cluster.kill(0));
    cluster.after(secs(12), |cluster| cluster.start(0));
    cluster.after(secs(15), |cluster| cluster.hang(1));
    cluster.after(secs(25), |cluster| cluster.resume(1));
    cluster.after(secs(30), |cluster| cluster.isolate(2));
    cluster.after(secs(40), Cluster::heal);
    cluster.after(secs(45), |cluster| cluster.power_off(1));
    cluster.after(secs(50), |cluster| cluster.start(1));
    cluster.after(secs(52), |cluster| cluster.reset_connections(0));
    cluster.run(async {
        let client = cluster.client("w=majority&serverSelectionTimeoutMS=1000").await.expect("valid options");
        let orders = client.database("shop").collection::<Document>("orders");
        let mut number = 0;
        while cluster.elapsed() < secs(60) {
            number += 1;
            // Some fail, as they must; how they do is part of the trace.
            let _ = futures::join!(
                async { orders.insert_one(doc! { "number": number }).await.err() },
                async { orders.find_one(doc! { "number": number - 1 }).await.err() },
                async { client.database("admin").run_command(doc! { "ping": 1 }).await.err() },
            );
            cluster.sleep(Duration::from_millis(100)).await;
        }
    });
    cluster.trace_hash()
}
