//! What a simulated replica set holds in memory, and that it does not grow beyond its data however long it runs.

use quorate_sim::bson::{Document, doc};
use quorate_sim::quorate::{Client, Collection, error::Result};
use quorate_sim::{Cluster, SimRuntime};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Duration;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What one set with its client may hold.
const BOUND: usize = 5_000_000;
/// Twenty operations a second.
const PAUSE: Duration = Duration::from_millis(50);

fn held(since: &Region<'_, System>) -> usize {
    let change = since.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

struct Shop {
    cluster: Cluster,
    client: Client<SimRuntime>,
    orders: Collection<Document, SimRuntime>,
    operations: u64,
}

impl Shop {
    async fn open(cluster: Cluster) -> Result<Self> {
        let client = cluster.client("w=majority").await?;
        let orders = client.database("shop").collection("orders");
        Ok(Shop { cluster, client, orders, operations: 0 })
    }

    /// Inserts, updates, finds and pings in turn, of `orders` documents.
    async fn work(&mut self, span: Duration, orders: u64) -> Result<()> {
        let until = self.cluster.elapsed() + span;
        while self.cluster.elapsed() < until {
            self.operate(orders).await?;
            self.operations += 1;
            self.cluster.sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn operate(&self, orders: u64) -> Result<()> {
        let id = i64::try_from(self.operations / 4 % orders).unwrap_or(0);
        let order = doc! { "_id": id };
        match self.operations % 4 {
            0 => {
                let new = doc! { "state": "new" };
                self.orders.replace_one(order, new).upsert(true).await.map(drop)
            }
            1 => self.orders.update_one(order, doc! { "$set": { "state": "paid" } }).await.map(drop),
            2 => self.orders.find_one(order).await.map(drop),
            // A command of the application's own is never sent again: in a failover it may fail.
            _ => {
                self.client.database("admin").run_command(doc! { "ping": 1 }).await.ok();
                Ok(())
            }
        }
    }
}

/// One test, for nothing else may allocate meanwhile.
#[test]
fn a_set_holds_less_than_five_megabytes() {
    grows_with_its_documents_alone();
    does_not_grow_in_half_an_hour_of_failovers();
}

/// Ten minutes of a workload that inserts for ever.
fn grows_with_its_documents_alone() {
    let memory = Region::new(GLOBAL);
    let cluster = Cluster::replica_set().members(3).seed(1).build();
    let (minute, end, documents) = cluster.run(async {
        let mut shop = Shop::open(cluster.clone()).await.expect("options");
        shop.work(Duration::from_secs(60), u64::MAX).await.expect("a minute of work");
        let minute = held(&memory);
        shop.work(Duration::from_secs(540), u64::MAX).await.expect("ten minutes of work");
        (minute, held(&memory), shop.operations / 4)
    });
    let own = Region::new(GLOBAL);
    let copies: Vec<_> = (0..documents).map(|id| doc! { "_id": id as i64, "state": "paid" }).collect();
    let documents_alone = held(&own);
    println!("a minute {minute}, ten minutes {end}, {} documents alone {documents_alone}", copies.len());
    assert!(minute < BOUND / 2, "{minute} bytes after a minute");
    assert!(end < BOUND, "{end} bytes after ten minutes, {documents_alone} of them documents");
}

/// Thirty failovers: connections, sessions, terms, logs of members that were away.
fn does_not_grow_in_half_an_hour_of_failovers() {
    let memory = Region::new(GLOBAL);
    let cluster = Cluster::replica_set().members(3).seed(2).build();
    let mut ends = Vec::new();
    cluster.run(async {
        let mut shop = Shop::open(cluster.clone()).await.expect("options");
        for round in 0..30 {
            let primary = cluster.primary().expect("a primary");
            match round % 3 {
                0 => cluster.kill(primary),
                1 => cluster.isolate(primary),
                _ => cluster.step_down(primary),
            }
            shop.work(Duration::from_secs(30), 200).await.expect("work in a failover");
            cluster.heal();
            cluster.start(primary);
            shop.work(Duration::from_secs(30), 200).await.expect("work after a failover");
            ends.push(held(&memory));
        }
    });
    let (half, end) = (ends[14], ends[29]);
    println!("a quarter of an hour {half}, half an hour {end}: {ends:?}");
    assert!(end < BOUND, "{end} bytes after half an hour");
    assert!(end < half + 200_000, "{half} bytes after a quarter of an hour, {end} after half an hour");
}
