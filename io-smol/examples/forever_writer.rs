//! Writes for ever, and goes on through every failover of the replica set.
//!
//! `cargo run -p quorate-smol --example forever_writer -- 'mongodb://a,b,c/?replicaSet=rs0'`
//!
//! Stop, kill or step down the primary while it runs. A write in flight then waits for the new primary; it is sent again
//! under the same transaction number, so that it is applied once.

use quorate_smol::bson::{Document, doc};
use quorate_smol::options::{ClientOptions, WriteConcern};
use quorate_smol::{Client, error::Result};
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    smol::block_on(write_for_ever())
}

async fn write_for_ever() -> Result<()> {
    let uri = std::env::args().nth(1).unwrap_or_else(|| "mongodb://localhost:27017/?replicaSet=rs0".into());
    let mut options = ClientOptions::parse(uri).await?;
    options.write_concern = Some(WriteConcern::majority());
    options.retry_writes = Some(true); // As it is by default.
    let writes = Client::with_options(options)?.database("quorate").collection::<Document>("forever");

    for n in 0_i64.. {
        let began = Instant::now();
        let result = writes.insert_one(doc! { "n": n }).await;
        let took = began.elapsed();
        match result {
            Ok(_) if n % 100 == 0 || took > Duration::from_millis(500) => {
                println!("{n}: written in {took:?}")
            }
            Ok(_) => {}
            Err(error) => println!("{n}: failed after {took:?}: {error}"),
        }
        smol::Timer::after(Duration::from_millis(10)).await;
    }
    Ok(())
}
