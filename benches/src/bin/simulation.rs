//! What the simulation costs: how much faster than time it is, and what a simulated replica set holds in memory.
//!
//! Three members and one client, which does twenty operations a second: inserts, updates, finds and pings in turn, writes with
//! `w: "majority"`. All of it runs on one thread.

use clap::Parser;
use quorate_benches::table;
use quorate_sim::bson::{Document, doc};
use quorate_sim::quorate::error::Result;
use quorate_sim::quorate::{Client, Collection};
use quorate_sim::{Cluster, SimRuntime};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Twenty operations a second.
const PAUSE: Duration = Duration::from_millis(50);

const OPERATIONS_A_MINUTE: u64 = 1200;

#[derive(Debug, Parser)]
#[command(about = "How much faster than time the simulation is, and what it holds in memory")]
struct Args {
    /// Simulated seconds.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
    /// Where all chance comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

/// What was measured.
struct Measured {
    simulated: f64,
    real: f64,
    operations: u64,
    events: u64,
    allocations: usize,
    /// Bytes held when the set has its first primary.
    built: usize,
    /// Bytes held after a minute, with a client, the data and the oplog.
    minute: usize,
    /// Bytes held at the end.
    end: usize,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match measure(&args) {
        Ok(measured) => {
            show(&args, &measured);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("simulation: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(args: &Args) -> Result<Measured> {
    let memory = Region::new(GLOBAL);
    let cluster = Cluster::replica_set().members(3).seed(args.seed).build();
    let built = held(&memory);
    let work = Region::new(GLOBAL);
    let (begun, from, events) = (Instant::now(), cluster.elapsed(), cluster.world().event_count());
    let (operations, minute, end) = cluster.run(async {
        let application = Application::start(&cluster).await?;
        let (mut operations, mut minute) = (0, 0);
        while cluster.elapsed() - from < Duration::from_secs(args.seconds) {
            application.operate(operations).await?;
            operations += 1;
            if operations == OPERATIONS_A_MINUTE {
                minute = held(&memory);
            }
            cluster.sleep(PAUSE).await;
        }
        Ok::<_, quorate_sim::quorate::error::Error>((operations, minute, held(&memory)))
    })?;
    Ok(Measured {
        simulated: (cluster.elapsed() - from).as_secs_f64(),
        real: begun.elapsed().as_secs_f64(),
        operations,
        events: cluster.world().event_count() - events,
        allocations: work.change().allocations + work.change().reallocations,
        built,
        minute,
        end,
    })
}

fn held(since: &Region<'_, System>) -> usize {
    let change = since.change();
    change.bytes_allocated.saturating_sub(change.bytes_deallocated)
}

struct Application {
    client: Client<SimRuntime>,
    orders: Collection<Document, SimRuntime>,
}

impl Application {
    async fn start(cluster: &Cluster) -> Result<Self> {
        let client = cluster.client("w=majority").await?;
        let orders = client.database("shop").collection("orders");
        Ok(Application { client, orders })
    }

    async fn operate(&self, number: u64) -> Result<()> {
        let order = i64::try_from(number / 4).unwrap_or(i64::MAX);
        match number % 4 {
            0 => self.orders.insert_one(doc! { "_id": order, "state": "new" }).await.map(drop),
            1 => {
                let paid = doc! { "$set": { "state": "paid" } };
                self.orders.update_one(doc! { "_id": order }, paid).await.map(drop)
            }
            2 => self.orders.find_one(doc! { "_id": order }).await.map(drop),
            _ => self.client.database("admin").run_command(doc! { "ping": 1 }).await.map(drop),
        }
    }
}

fn show(args: &Args, measured: &Measured) {
    let Measured { simulated, real, operations, events, allocations, built, minute, end } = measured;
    let each = |n: f64| n / *operations as f64;
    if args.json {
        let object = json!({
            "simulated_seconds": simulated, "wall_seconds": real, "speed": simulated / real,
            "operations": operations, "events": events, "microseconds_an_operation": each(real * 1e6),
            "allocations_an_operation": each(*allocations as f64),
            "bytes_built": built, "bytes_after_a_minute": minute, "bytes_at_the_end": end,
        });
        return println!("{object}");
    }
    let megabytes = |bytes: usize| format!("{:.2} MB", bytes as f64 / 1e6);
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    table::print(
        &["three members, 20 operations a second", ""],
        &[
            row("simulated seconds", format!("{simulated:.0}")),
            row("seconds it took", format!("{real:.2}")),
            row("simulated seconds a second", format!("{:.0}", simulated / real)),
            row("microseconds an operation, heartbeats and all", format!("{:.1}", each(real * 1e6))),
            row("allocations an operation", format!("{:.0}", each(*allocations as f64))),
            row("memory of the set when it has a primary", megabytes(*built)),
            row("memory after a minute, with client, data and oplog", megabytes(*minute)),
            row("memory at the end", megabytes(*end)),
        ],
    );
}
