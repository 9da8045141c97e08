//! Transactions that must stay where they began: routers, load balancers.

use super::*;

#[test]
fn a_sharded_transaction_stays_with_its_mongos() {
    let (cluster, sent) = (Cluster::sharded().routers(3).seed(11).build(), Sent::default());
    cluster.run(async {
        let client = sent.client(&cluster, "").await;
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 100 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        let mut used = std::collections::BTreeSet::new();
        for round in 0..30 {
            session.start_transaction().await.unwrap();
            sent.take("");
            for id in 0..3 {
                let change = doc! { "$inc": { "n": 1 } };
                orders
                    .update_one(doc! { "_id": id }, change)
                    .upsert(true)
                    .session(&mut session)
                    .await
                    .unwrap();
            }
            let mut found = orders.find(doc! {}).batch_size(2).session(&mut session).await.unwrap();
            while found.next(&mut session).await.transpose().unwrap().is_some() {}
            session.commit_transaction().await.unwrap();
            let all = std::mem::take(&mut *sent.0.lock().unwrap());
            let mongos = |to: &str| to.split('/').next().unwrap().to_owned();
            let to: std::collections::BTreeSet<String> = all.iter().map(|(to, _)| mongos(to)).collect();
            assert_eq!(to.len(), 1, "round {round}: {to:?}");
            used.extend(to);
            let (_, commit) = all.last().unwrap();
            assert!(commit.get_document("recoveryToken").is_ok(), "{commit}");
            assert!(all.iter().filter(|(_, c)| c.contains_key("recoveryToken")).count() == 1);
        }
        assert_eq!(used.len(), 3, "another transaction, another mongos");
    });
}

#[test]
fn another_mongos_finishes_a_commit() {
    for seed in 12..16 {
        let (cluster, sent) = (Cluster::sharded().routers(2).seed(seed).build(), Sent::default());
        cluster.run(async {
            let client = sent.client(&cluster, "w=majority").await;
            let orders = orders(&client);
            orders.insert_one(doc! { "_id": 0, "n": 0 }).await.unwrap();
            let mut session = client.start_session().await.unwrap();
            session.start_transaction().await.unwrap();
            let change = doc! { "$inc": { "n": 1 } };
            orders.update_one(doc! { "_id": 0 }, change).session(&mut session).await.unwrap();
            let pinned = sent.take("update").remove(0).0;
            session.commit_transaction().await.unwrap();
            let router = (0..cluster.process_count())
                .find(|at| pinned.starts_with(&cluster.address(*at).to_string()))
                .expect("the mongos");
            cluster.kill(router);
            sent.take("");
            session.commit_transaction().await.unwrap();
            let commits = sent.take("commitTransaction");
            let (to, last) = commits.last().unwrap();
            assert_ne!(*to, pinned);
            assert!(last.get_document("recoveryToken").is_ok(), "{last}");
            assert_eq!(orders.find_one(doc! {}).await.unwrap(), Some(doc! { "_id": 0, "n": 1 }));
        });
    }
}

#[test]
fn a_transaction_behind_a_load_balancer_stays_on_its_connection() {
    let (cluster, sent) = (Cluster::load_balanced().seed(20).build(), Sent::default());
    cluster.run(async {
        let client = sent.client(&cluster, "maxPoolSize=4").await;
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 100 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        for round in 0..10 {
            sent.take("");
            session.start_transaction().await.unwrap();
            orders.insert_one(doc! { "_id": round }).session(&mut session).await.unwrap();
            // Others take other connections meanwhile.
            let others = (0..3).map(|_| orders.find_one(doc! { "_id": 100 }).into_future());
            assert!(futures::future::join_all(others).await.iter().all(Result::is_ok));
            orders
                .update_one(doc! { "_id": round }, doc! { "$set": { "n": 1 } })
                .session(&mut session)
                .await
                .unwrap();
            if round % 3 == 0 {
                session.abort_transaction().await.unwrap()
            } else {
                session.commit_transaction().await.unwrap()
            }
            let mut all = std::mem::take(&mut *sent.0.lock().unwrap());
            all.retain(|(_, command)| command.contains_key("autocommit"));
            assert_eq!((all.len(), &all[0].0, &all[0].0), (3, &all[1].0, &all[2].0), "{all:?}");
        }
        // One still pinned, one given back: the pool is whole again when the session ends.
        drop(session);
        assert_eq!(count(&orders).await, 7);
        let busy = (0..4).map(|_| orders.find_one(doc! {}).into_future());
        assert!(futures::future::join_all(busy).await.iter().all(Result::is_ok));
    });
}
