//! Compressed messages in virtual time: the unmodified client through a failover with each compressor.

use quorate_sim::Cluster;
use quorate_sim::bson::{Document, doc};
use quorate_sim::quorate::options::Compressor;
use std::time::Duration;

const ALL: [Compressor; 3] =
    [Compressor::Snappy, Compressor::Zlib { level: None }, Compressor::Zstd { level: None }];

/// `network.compression` of a member's `serverStatus`.
async fn counters(cluster: &Cluster, member: usize) -> Document {
    let status = cluster.command(member, doc! { "serverStatus": 1 }).await.expect("a status");
    let network = status.get_document("network").expect("network");
    network.get_document("compression").expect("compression").clone()
}

fn count(counters: &Document, path: [&str; 3]) -> i64 {
    let [compressor, way, what] = path;
    let way = counters.get_document(compressor).and_then(|c| c.get_document(way));
    way.and_then(|way| way.get_i64(what)).expect("a counter")
}

fn order(id: i32) -> Document {
    doc! { "_id": id, "text": "the oplog of one member ".repeat(40) }
}

/// Writes and reads through a failover; gives the counters of the new primary, and the hash of all that happened.
fn fail_over(servers: &[Compressor], options: &str) -> (Document, u64) {
    let cluster = Cluster::replica_set().members(3).compressors(servers).seed(7).build();
    let counters = cluster.run(async {
        let client = cluster.client(options).await.expect("a client");
        let orders = client.database("shop").collection::<Document>("orders");
        for id in 0..100 {
            if id == 50 {
                cluster.kill(cluster.primary().expect("a primary"));
            }
            orders.insert_one(order(id)).await.expect("an insert");
            assert_eq!(orders.find_one(doc! { "_id": id }).await.expect("an answer"), Some(order(id)));
            cluster.sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(orders.count_documents(doc! {}).await.expect("a count"), 100);
        counters(&cluster, cluster.primary().expect("a primary")).await
    });
    (counters, cluster.trace_hash())
}

#[test]
fn every_compressor_goes_through_a_failover() {
    for compressor in ALL {
        let name = compressor.name();
        let (counters, hash) = fail_over(&[compressor], "compressors=zstd,snappy,zlib&w=majority");
        assert_eq!(counters.keys().collect::<Vec<_>>(), [name], "the server has no other");
        for (way, before, after) in
            [("decompressor", "bytesOut", "bytesIn"), ("compressor", "bytesIn", "bytesOut")]
        {
            let (before, after) =
                (count(&counters, [name, way, before]), count(&counters, [name, way, after]));
            assert!(before > 50_000 && after > 0 && after * 2 < before, "{name} {way}: {after} of {before}");
        }
        assert_eq!(fail_over(&[compressor], "compressors=zstd,snappy,zlib&w=majority").1, hash);
    }
}

#[test]
fn nothing_in_common_goes_uncompressed() {
    let (counters, _) = fail_over(&[Compressor::Snappy], "compressors=zlib");
    assert_eq!(count(&counters, ["snappy", "decompressor", "bytesIn"]), 0);
    let (counters, _) = fail_over(&[], "compressors=zlib,zstd");
    assert!(counters.is_empty(), "{counters}");
}

#[test]
fn the_users_order_counts() {
    let (counters, _) = fail_over(&ALL, "compressors=zlib,snappy");
    assert!(count(&counters, ["zlib", "decompressor", "bytesIn"]) > 0);
    assert_eq!(count(&counters, ["snappy", "decompressor", "bytesIn"]), 0);
}

#[test]
fn routers_behind_a_load_balancer_compress_too() {
    let cluster = Cluster::load_balanced().shards(1).routers(1).seed(3).build();
    cluster.run(async {
        let client = cluster.client("compressors=snappy").await.expect("a client");
        let orders = client.database("shop").collection::<Document>("orders");
        orders.insert_one(order(1)).await.expect("an insert");
        let counters = counters(&cluster, cluster.routers()[0]).await;
        assert!(count(&counters, ["snappy", "decompressor", "bytesOut"]) > 900, "{counters}");
    });
}
