//! Writes across failovers, and what of them is so in the end.

use super::*;
use bson::Document;
use quorate::Client;
use quorate::options::WriteConcern;

fn ids(documents: &[Arc<Document>]) -> Vec<i32> {
    documents.iter().map(|document| document.get_i32("_id").unwrap()).collect()
}

async fn insert(client: &Client<SimRuntime>, id: i32) -> Result<()> {
    client.database("shop").collection::<Document>("orders").insert_one(doc! { "_id": id }).await.map(drop)
}

#[test]
fn what_a_majority_has_acknowledged_is_there_after_every_failover() {
    for seed in 1..=5 {
        let cluster = quick(seed);
        cluster.after(secs(3), |cluster| cluster.kill(cluster.primary().unwrap_or(0)));
        cluster.after(secs(8), |cluster| (0..3).for_each(|member| cluster.start(member)));
        cluster.after(secs(12), |cluster| cluster.hang(cluster.primary().unwrap_or(0)));
        cluster.after(secs(18), |cluster| (0..3).for_each(|member| cluster.resume(member)));
        cluster.after(secs(20), |cluster| cluster.isolate(cluster.primary().unwrap_or(0)));
        cluster.after(secs(26), Cluster::heal);
        let acknowledged = cluster.run(async {
            let client = cluster.client("w=majority").await.unwrap();
            let mut acknowledged = Vec::new();
            for id in 0..300 {
                if insert(&client, id).await.is_ok() {
                    acknowledged.push(id);
                }
                cluster.sleep(Duration::from_millis(100)).await;
            }
            cluster.sleep(secs(10)).await;
            acknowledged
        });
        assert!(acknowledged.len() > 290, "{}", acknowledged.len());
        let there = ids(&cluster.committed("shop", "orders"));
        let missing: Vec<_> = acknowledged.iter().filter(|id| !there.contains(id)).collect();
        assert!(missing.is_empty(), "seed {seed}: {missing:?}");
        for member in 0..3 {
            assert_eq!(
                ids(&cluster.documents(member, "shop", "orders")),
                there,
                "seed {seed}, member {member}"
            );
        }
    }
}

#[test]
fn what_only_an_old_primary_has_is_rolled_back() {
    let cluster = quick(9);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        insert(&client, 1).await.unwrap();
        cluster.sleep(secs(1)).await;
        // The others do not hear of this one.
        cluster.partition(&[0], &[1, 2]);
        let orders = client.database("shop").collection::<Document>("orders");
        orders.insert_one(doc! { "_id": 2 }).write_concern(WriteConcern::nodes(1)).await.unwrap();
        assert_eq!(ids(&cluster.documents(0, "shop", "orders")), [1, 2]);
        assert_eq!(ids(&cluster.committed("shop", "orders")), [1]);
        cluster.sleep(secs(5)).await;
        assert_ne!(cluster.primary(), Some(0));
        cluster.heal();
        cluster.sleep(secs(10)).await;
        assert_eq!(ids(&cluster.documents(0, "shop", "orders")), [1], "{}", cluster.timeline());
        let optimes: Vec<_> = cluster.oplog().iter().map(|entry| entry.optime).collect();
        assert!(optimes.is_sorted());
        assert_eq!(cluster.commit_point(), optimes.last().copied());
    });
}

#[test]
fn routers_take_writes_to_their_shards() {
    let cluster = Cluster::sharded().seed(2).build();
    cluster.run(async {
        let client = cluster.client("w=majority").await.unwrap();
        for database in ["a", "b", "c", "d"] {
            client
                .database(database)
                .collection::<Document>("things")
                .insert_one(doc! { "_id": 1 })
                .await
                .unwrap();
        }
        let on = |member, database| cluster.documents(member, database, "things").len();
        for database in ["a", "b", "c", "d"] {
            assert_eq!(on(0, database) + on(3, database), 1);
            assert_eq!(cluster.committed(database, "things").len(), 1);
        }
    });
}
