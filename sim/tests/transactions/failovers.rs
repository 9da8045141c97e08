//! Primaries that go, answers that are lost.

use super::*;

#[test]
fn a_transaction_of_a_primary_that_is_gone_starts_anew() {
    let cluster = set(6);
    cluster.run(async {
        let client = cluster.client("w=majority").await.unwrap();
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        orders.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
        cluster.kill(cluster.primary().unwrap());
        let error = orders.insert_one(doc! { "_id": 2 }).session(&mut session).await.unwrap_err();
        assert!(error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR), "{error:?}");
        assert!(!error.contains_label(labels::RETRYABLE_WRITE_ERROR), "{error:?}");
        session.abort_transaction().await.unwrap();
        session
            .start_transaction()
            .and_run2(async |session| {
                orders.insert_one(doc! { "_id": 1 }).session(&mut *session).await?;
                orders.insert_one(doc! { "_id": 2 }).session(session).await
            })
            .await
            .unwrap();
        assert_eq!(count(&orders).await, 3);
    });
}

#[test]
fn a_commit_whose_answer_is_lost_is_repeated_and_applied_once() {
    let (cluster, sent) = (set(7), Sent::default());
    cluster.run(async {
        let client = sent.client(&cluster, "appName=app&retryWrites=false").await;
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0, "n": 0 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        for (closed, calls) in [(1, 1), (2, 2)] {
            session.start_transaction().await.unwrap();
            let change = doc! { "$inc": { "n": 1 } };
            orders.update_one(doc! { "_id": 0 }, change).session(&mut session).await.unwrap();
            let data =
                doc! { "failCommands": ["commitTransaction"], "closeConnection": true, "appName": "app" };
            fail(&cluster, 0, doc! { "times": closed }, data).await;
            for call in 1..=calls {
                let outcome = session.commit_transaction().await;
                assert_eq!(outcome.is_ok(), call == calls, "{outcome:?}");
                if let Err(error) = outcome {
                    assert!(error.contains_label(labels::UNKNOWN_TRANSACTION_COMMIT_RESULT), "{error:?}");
                    assert!(!error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR), "{error:?}");
                }
            }
            // And once more, which confirms it.
            session.commit_transaction().await.unwrap();
            let commits = sent.commands("commitTransaction");
            assert_eq!(commits.len(), usize::try_from(closed).unwrap() + 2);
            assert!(commits[0].get("writeConcern").is_none());
            let again = doc! { "w": "majority", "wtimeout": 10_000 };
            assert!(
                commits[1..].iter().all(|commit| commit.get_document("writeConcern").ok() == Some(&again)),
                "{commits:?}"
            );
            assert!(commits.iter().all(|commit| commit.get("txnNumber") == commits[0].get("txnNumber")));
        }
        assert_eq!(orders.find_one(doc! {}).await.unwrap(), Some(doc! { "_id": 0, "n": 2 }));
    });
}

#[test]
fn a_commit_through_a_failover() {
    let cluster = set(8);
    cluster.run(async {
        let client = cluster.client("w=majority").await.unwrap();
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        orders.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
        // It is written there, but no other member may hear of it before the primary is gone.
        let primary = cluster.primary().unwrap();
        let (one, other) = ((primary + 1) % 3, (primary + 2) % 3);
        cluster.partition(&[primary], &[one, other]);
        let commit = async { session.commit_transaction().await };
        let fail_over = async {
            cluster.sleep(Duration::from_secs(8)).await;
            cluster.heal();
        };
        let (outcome, ()) = futures::join!(commit, fail_over);
        // The new primary has not got it, and says so.
        let error = outcome.unwrap_err();
        assert!(error.contains_label(labels::TRANSIENT_TRANSACTION_ERROR), "{error:?}");
        cluster.sleep(Duration::from_secs(5)).await;
        assert_eq!(count(&orders).await, 1);
        let insert = async |session: &mut ClientSession<SimRuntime>| {
            orders.insert_one(doc! { "_id": 1 }).session(session).await
        };
        session.start_transaction().and_run2(insert).await.unwrap();
        assert_eq!(count(&orders).await, 2);
    });
}

#[test]
fn a_future_dropped_in_a_transaction_gives_the_session_back() {
    let cluster = set(21);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        let orders = orders(&client);
        orders.insert_one(doc! { "_id": 0 }).await.unwrap();
        let mut session = client.start_session().await.unwrap();
        session.start_transaction().await.unwrap();
        orders.insert_one(doc! { "_id": 1 }).session(&mut session).await.unwrap();
        cluster.hang(0);
        {
            let insert = orders.insert_one(doc! { "_id": 2 }).session(&mut session).into_future();
            let nap = cluster.sleep(Duration::from_millis(50));
            futures::future::select(insert, Box::pin(nap)).await;
        }
        cluster.resume(0);
        session.abort_transaction().await.unwrap();
        let insert = async |session: &mut ClientSession<SimRuntime>| {
            orders.insert_one(doc! { "_id": 1 }).session(session).await
        };
        session.start_transaction().and_run2(insert).await.unwrap();
        assert_eq!(count(&orders).await, 2);
    });
}
