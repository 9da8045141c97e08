//! Transactions in virtual time: the unmodified client on simulated replica sets, sharded clusters and load balancers.

use quorate_sim::bson::{Document, doc};
use quorate_sim::cluster::Builder;
use quorate_sim::quorate::action::Action;
use quorate_sim::quorate::error::{Error, ErrorKind, Result, labels};
use quorate_sim::quorate::event::EventHandler;
use quorate_sim::quorate::event::command::CommandEvent;
use quorate_sim::quorate::options::{ClientOptions, ReadConcern, ReadPreference, WriteConcern};
use quorate_sim::quorate::{Client, ClientSession, Collection};
use quorate_sim::{Cluster, SimRuntime};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Orders = Collection<Document, SimRuntime>;

/// A set of three whose elections take a second, not ten.
fn set(seed: u64) -> Cluster {
    quick(Cluster::replica_set(), seed)
}

fn quick(builder: Builder, seed: u64) -> Cluster {
    let heartbeat = Duration::from_millis(250);
    builder.election_timeout(Duration::from_secs(1)).heartbeat_interval(heartbeat).seed(seed).build()
}

fn orders(client: &Client<SimRuntime>) -> Orders {
    client.database("shop").collection("orders")
}

async fn count(orders: &Orders) -> u64 {
    orders.count_documents(doc! {}).await.expect("a count")
}

/// The commands that a client sent, with where to.
#[derive(Clone, Default)]
struct Sent(Arc<Mutex<Vec<(String, Document)>>>);

impl Sent {
    async fn client(&self, cluster: &Cluster, more: &str) -> Client<SimRuntime> {
        let between = if cluster.uri().contains('?') { "&" } else { "?" };
        let mut options =
            ClientOptions::parse(format!("{}{between}{more}", cluster.uri())).await.expect("options");
        let sent = self.clone();
        options.command_event_handler = Some(EventHandler::callback(move |event: CommandEvent<Document>| {
            if let CommandEvent::Started(started) = event {
                let to = format!("{}/{}", started.connection.address, started.connection.id);
                sent.0.lock().expect("the lock").push((to, started.command.clone()));
            }
        }));
        Client::on(cluster.runtime(0), options).expect("a client")
    }

    /// Those of that name since this was last asked.
    fn take(&self, name: &str) -> Vec<(String, Document)> {
        let all = std::mem::take(&mut *self.0.lock().expect("the lock"));
        all.into_iter().filter(|(_, command)| command.keys().next().is_some_and(|key| key == name)).collect()
    }

    fn commands(&self, name: &str) -> Vec<Document> {
        self.take(name).into_iter().map(|(_, command)| command).collect()
    }
}

async fn fail(cluster: &Cluster, member: usize, mode: Document, data: Document) {
    let point = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
    let reply = cluster.command(member, point).await.expect("an answer");
    assert_eq!(reply.get_f64("ok").ok(), Some(1.0), "{reply}");
}

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

fn message(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Transaction { message } | ErrorKind::InvalidArgument { message } => message.clone(),
        other => panic!("{other:?}"),
    }
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
