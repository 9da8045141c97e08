//! Writes for ever, and goes on through every failover of the replica set, in as few lines as the same in Python takes.
//!
//! `cargo run -p quorate-blocking --example write_for_ever -- 'mongodb://a,b,c/?replicaSet=rs0&w=majority'`

use quorate_blocking::{Client, Run, bson::doc};

fn main() -> quorate_blocking::error::Result<()> {
    let uri =
        std::env::args().nth(1).unwrap_or_else(|| "mongodb://localhost/?replicaSet=rs0&w=majority".into());
    let writes = Client::with_uri_str(uri)?.database("quorate").collection("forever");
    for n in 0_i64.. {
        match writes.insert_one(doc! { "n": n }).run() {
            Ok(_) => println!("{n}: written"),
            Err(error) => println!("{n}: failed: {error}"),
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    Ok(())
}
