//! What a session does for reads outside of transactions.

use super::*;

#[test]
fn reads_follow_the_session_to_secondaries() {
    let (cluster, sent) = (set(9), Sent::default());
    cluster.run(async {
        let client = sent.client(&cluster, "readPreference=secondary&readConcernLevel=majority").await;
        let orders = orders(&client);
        let mut session = client.start_session().await.unwrap();
        assert!(session.operation_time().is_none());
        for id in 0..20 {
            orders
                .insert_one(doc! { "_id": id })
                .write_concern(WriteConcern::majority())
                .session(&mut session)
                .await
                .unwrap();
            let time = session.operation_time().expect("an operation time");
            let found = orders.find_one(doc! { "_id": id }).session(&mut session).await.unwrap();
            assert!(found.is_some(), "it reads what it wrote");
            let find = sent.commands("find").remove(0);
            let concern = find.get_document("readConcern").unwrap();
            assert_eq!(concern, &doc! { "level": "majority", "afterClusterTime": time });
        }
        let mut other = client.start_session().causal_consistency(false).await.unwrap();
        orders.find_one(doc! {}).session(&mut other).await.unwrap();
        orders.find_one(doc! {}).session(&mut other).await.unwrap();
        let without = doc! { "level": "majority" };
        assert!(
            sent.commands("find").iter().all(|find| find.get_document("readConcern").ok() == Some(&without))
        );
        other.advance_operation_time(session.operation_time().unwrap());
        other.advance_cluster_time(&session.cluster_time().unwrap());
        assert_eq!(other.operation_time(), session.operation_time());
    });
}

#[test]
fn a_snapshot_session_reads_one_moment() {
    let cluster = quick(Cluster::replica_set().settings(|_, settings| settings.max_wire_version = 17), 10);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0 }).write_concern(WriteConcern::majority()).await.unwrap();
        cluster.sleep(Duration::from_secs(1)).await;
        let mut session = client.start_session().snapshot(true).await.unwrap();
        assert_eq!(session.snapshot_time(), None);
        assert!(orders.find_one(doc! {}).session(&mut session).await.unwrap().is_some());
        let time = session.snapshot_time().expect("a moment");
        orders.insert_one(doc! { "_id": 1 }).write_concern(WriteConcern::majority()).await.unwrap();
        assert_eq!(orders.count_documents(doc! {}).session(&mut session).await.unwrap(), 1);
        assert_eq!(orders.distinct("_id", doc! {}).session(&mut session).await.unwrap().len(), 1);
        let mut same = client.start_session().snapshot(true).snapshot_time(time).await.unwrap();
        assert_eq!(orders.count_documents(doc! {}).session(&mut same).await.unwrap(), 1);
        assert!(message(&session.start_transaction().await.unwrap_err()).contains("snapshot"));
        assert!(client.start_session().snapshot(true).causal_consistency(true).await.is_err());
        assert_eq!(count(&orders).await, 2);
    });
}
