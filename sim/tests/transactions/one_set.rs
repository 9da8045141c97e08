//! What a transaction does on a healthy replica set.

use super::*;

#[test]
fn a_transaction_is_seen_when_it_is_committed_and_not_before() {
    let (cluster, sent) = (set(1), Sent::default());
    cluster.run(async {
        let client = sent.client(&cluster, "readConcernLevel=majority&w=majority").await;
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0 }).await.unwrap();
        sent.take("");
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        orders.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
        orders
            .update_one(doc! { "_id": 0 }, doc! { "$set": { "n": 1 } })
            .session(&mut session)
            .await
            .unwrap();
        let mut found = orders.find(doc! {}).batch_size(1).session(&mut session).await.unwrap();
        let mut ids = Vec::new();
        while let Some(document) = found.next(&mut session).await {
            ids.push(document.unwrap().get_i32("_id").unwrap());
        }
        assert_eq!(ids, [0, 1], "it sees its own");
        assert_eq!(count(&orders).await, 1, "nobody else does");
        session.commit_transaction().await.unwrap();
        assert_eq!(count(&orders).await, 2);

        let all = sent.0.lock().unwrap().clone();
        let names: Vec<&str> = all.iter().map(|(_, c)| c.keys().next().unwrap().as_str()).collect();
        assert_eq!(
            names,
            ["insert", "update", "find", "getMore", "getMore", "aggregate", "commitTransaction", "aggregate"]
        );
        let of = |at: usize, field: &str| all[at].1.get(field).cloned();
        for at in [0, 1, 2, 3, 4, 6] {
            assert_eq!(of(at, "txnNumber"), of(0, "txnNumber"), "{}", all[at].1);
            assert_eq!((of(at, "lsid"), of(at, "autocommit")), (of(0, "lsid"), Some(false.into())));
            assert_eq!(of(at, "startTransaction"), (at == 0).then(|| true.into()));
            assert_eq!(of(at, "readConcern").is_some(), at == 0, "{}", all[at].1);
            assert_eq!(of(at, "writeConcern").is_some(), at == 6, "{}", all[at].1);
        }
        assert!(of(0, "txnNumber").is_some() && of(5, "txnNumber").is_none());
        assert_eq!(of(0, "readConcern"), Some(doc! { "level": "majority" }.into()));
        assert_eq!(of(6, "writeConcern"), Some(doc! { "w": "majority" }.into()));
    });
}

#[test]
fn an_aborted_or_dropped_transaction_leaves_nothing() {
    let (cluster, sent) = (set(2), Sent::default());
    cluster.run(async {
        let client = sent.client(&cluster, "").await;
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        orders.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
        session.abort_transaction().await.unwrap();
        assert_eq!(sent.commands("abortTransaction").len(), 1);
        for _ in 0..2 {
            // Nothing was sent in it, so there is nothing to end.
            session.start_transaction().await.unwrap();
            session.abort_transaction().await.unwrap();
        }
        assert!(sent.take("abortTransaction").is_empty());

        session.start_transaction().await.unwrap();
        orders.delete_one(doc! { "_id": 0 }).session(&mut session).await.unwrap();
        drop(session);
        cluster.sleep(Duration::from_secs(1)).await;
        assert_eq!(sent.commands("abortTransaction").len(), 1, "in the background");
        orders.update_one(doc! { "_id": 0 }, doc! { "$set": { "n": 1 } }).await.unwrap();
        assert_eq!(count(&orders).await, 1);
    });
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let cluster = set(3);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        let orders = orders(&client);
        let mut session = client.start_session().await.unwrap();
        let refused = |outcome: Result<()>| message(&outcome.expect_err("refused"));
        assert_eq!(refused(session.commit_transaction().await), "No transaction started");
        assert_eq!(refused(session.abort_transaction().await), "No transaction started");
        let unacknowledged = orders.insert_one(doc! {}).write_concern(WriteConcern::nodes(0));
        message(&unacknowledged.session(&mut session).await.unwrap_err());
        let w0 = session.start_transaction().write_concern(WriteConcern::nodes(0));
        assert!(refused(w0.await).contains("transactions do not support unacknowledged write concerns"));

        session.start_transaction().await.unwrap();
        assert_eq!(refused(session.start_transaction().await), "Transaction already in progress");
        let insert = orders.insert_one(doc! {}).write_concern(WriteConcern::majority());
        let error = insert.session(&mut session).await.unwrap_err();
        assert!(message(&error).contains("Cannot set write concern after starting a transaction"));
        let find = orders.find_one(doc! {}).read_concern(ReadConcern::majority());
        let error = find.session(&mut session).await.unwrap_err();
        assert!(message(&error).contains("Cannot set read concern after starting a transaction"));
        let nearest = Some(ReadPreference::Nearest { options: None });
        let find = orders
            .find_one(doc! {})
            .optional(nearest, |find, nearest| find.selection_criteria(nearest.into()));
        let error = find.session(&mut session).await.unwrap_err();
        assert!(message(&error).contains("read preference in a transaction must be primary"));

        orders.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
        session.commit_transaction().await.unwrap();
        assert!(refused(session.abort_transaction().await).contains("after calling commitTransaction"));
        session.start_transaction().await.unwrap();
        session.abort_transaction().await.unwrap();
        assert!(refused(session.commit_transaction().await).contains("after calling abortTransaction"));
        assert_eq!(refused(session.abort_transaction().await), "Cannot call abortTransaction twice");

        let other = cluster.client("").await.unwrap();
        let error = other.list_database_names().session(&mut session).await.unwrap_err();
        assert!(message(&error).contains("the client that it was started by"));
        assert_eq!(count(&orders).await, 1);
    });
}

#[test]
fn a_write_conflict_is_transient_and_and_run_gets_over_it() {
    let cluster = set(4);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0, "n": 0 }).await.unwrap();
        let increment = || orders.update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } });
        let (mut one, mut two) =
            (client.start_session().await.unwrap(), client.start_session().await.unwrap());
        one.start_transaction().await.unwrap();
        two.start_transaction().await.unwrap();
        increment().session(&mut one).await.unwrap();
        let error = increment().session(&mut two).await.unwrap_err();
        assert_eq!(error.code(), Some(112));
        assert!(error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR));
        two.abort_transaction().await.unwrap();

        let mut runs = 0;
        let work = two.start_transaction().and_run((&orders, &mut runs), |session, (orders, runs)| {
            **runs += 1;
            let increment = orders.update_one(doc! { "_id": 0 }, doc! { "$inc": { "n": 1 } });
            Box::pin(async move { increment.session(session).await })
        });
        let commit = async {
            cluster.sleep(Duration::from_millis(200)).await;
            one.commit_transaction().await
        };
        let (worked, committed) = futures::join!(work, commit);
        committed.unwrap();
        assert_eq!(worked.unwrap().modified_count, 1);
        assert!(runs > 1, "{runs}");
        assert_eq!(orders.find_one(doc! {}).await.unwrap(), Some(doc! { "_id": 0, "n": 2 }));
    });
}

#[test]
fn many_transfers_at_once_lose_nothing() {
    let cluster = set(5);
    cluster.after(Duration::from_secs(2), |cluster| cluster.kill(cluster.primary().unwrap_or(0)));
    cluster.run(async {
        let client = cluster.client("w=majority&readConcernLevel=majority").await.unwrap();
        let accounts = orders(&client);
        accounts.insert_many((0..4).map(|id| doc! { "_id": id, "sum": 100 })).await.unwrap();
        let transfers = (0..8).map(|task| {
            let (client, accounts) = (client.clone(), accounts.clone());
            let cluster = &cluster;
            async move {
                let mut session = client.start_session().await.unwrap();
                for round in 0..10 {
                    let (from, to) = ((task + round) % 4, (task + 2 * round + 1) % 4);
                    session
                        .start_transaction()
                        .and_run2(async |session| transfer(&accounts, session, from, to).await)
                        .await
                        .unwrap();
                    cluster.sleep(Duration::from_millis(300)).await;
                }
            }
        });
        futures::future::join_all(transfers).await;
    });
    cluster.run(cluster.sleep(Duration::from_secs(5)));
    let there = cluster.committed("shop", "orders");
    let sum: i32 = there.iter().map(|account| account.get_i32("sum").unwrap()).sum();
    let count: i32 = there.iter().map(|account| account.get_i32("moved").unwrap_or(0)).sum();
    assert_eq!((sum, count), (400, 160), "{there:?}");
}

async fn transfer(
    accounts: &Orders,
    session: &mut ClientSession<SimRuntime>,
    from: i32,
    to: i32,
) -> Result<()> {
    for (id, by) in [(from, -5), (to, 5)] {
        let change = doc! { "$inc": { "sum": by, "moved": 1 } };
        accounts.update_one(doc! { "_id": id }, change).session(&mut *session).await?;
    }
    Ok(())
}
