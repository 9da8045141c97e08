//! Faults, as members and clients take them.

use super::*;
use quorate::Client;

async fn ping(client: &Client<SimRuntime>) -> quorate::error::Result<()> {
    client.database("admin").run_command(doc! { "ping": 1 }).await.map(drop)
}

/// How long it takes until pings of the primary work again, without a failure for a second.
async fn recovers(cluster: &Cluster, client: &Client<SimRuntime>) -> Duration {
    let began = cluster.now();
    let mut last_failure = began;
    while cluster.now() - last_failure < secs(1) {
        if ping(client).await.is_err() {
            last_failure = cluster.now();
        }
        cluster.sleep(Duration::from_millis(20)).await;
        assert!(cluster.now() - began < secs(60), "{}", cluster.timeline());
    }
    last_failure - began
}

#[test]
fn another_member_takes_over_from_one_that_is_killed() {
    let cluster = quick(1);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        ping(&client).await.unwrap();
        cluster.kill(0);
        assert_eq!(cluster.process(0), ProcessState::Down);
        assert_eq!(cluster.primary(), None);
        let took = recovers(&cluster, &client).await;
        assert!(took < secs(4), "{took:?}");
        assert!(cluster.primary().is_some_and(|primary| primary != 0));
        cluster.start(0);
        cluster.sleep(secs(2)).await;
        assert_eq!(cluster.state(0), Some(MemberState::Secondary));
    });
}

#[test]
fn a_hung_primary_is_left_and_steps_down_when_it_goes_on() {
    let cluster = quick(2);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        ping(&client).await.unwrap();
        cluster.hang(0);
        cluster.after(secs(20), |cluster| cluster.resume(0));
        let took = recovers(&cluster, &client).await;
        assert!(took < secs(4), "{took:?}");
        assert_eq!(cluster.primaries().len(), 2, "the old one has not heard");
        cluster.sleep(secs(20)).await;
        assert_eq!(cluster.primaries().len(), 1);
        assert_eq!(cluster.state(0), Some(MemberState::Secondary));
    });
}

#[test]
fn an_isolated_primary_is_replaced_and_comes_back() {
    let cluster = quick(3);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        ping(&client).await.unwrap();
        cluster.isolate(0);
        let took = recovers(&cluster, &client).await;
        assert!(took < secs(4), "{took:?}");
        cluster.heal();
        cluster.sleep(secs(5)).await;
        assert_eq!(cluster.primaries().len(), 1);
        assert_eq!(cluster.state(0), Some(MemberState::Secondary));
    });
}

#[test]
fn one_client_can_be_cut_off_from_one_member() {
    let builder = Cluster::replica_set().members(3).clients(2).seed(4);
    let cluster = builder.build();
    cluster.run(async {
        let clients = (
            cluster
                .client_on(0, "serverSelectionTimeoutMS=2000&connectTimeoutMS=1000&socketTimeoutMS=1000")
                .await
                .unwrap(),
            cluster.client_on(1, "").await.unwrap(),
        );
        ping(&clients.0).await.unwrap();
        cluster.cut(cluster.client_host(0), cluster.host(0));
        ping(&clients.0).await.unwrap_err();
        ping(&clients.1).await.unwrap();
        assert_eq!(cluster.primary(), Some(0));
    });
}

#[test]
fn orders_of_an_operator_are_carried_out() {
    let cluster = quick(5);
    cluster.run(async {
        cluster.freeze(2, secs(60));
        cluster.sleep(Duration::from_millis(10)).await;
        cluster.step_down(0);
        cluster.sleep(secs(1)).await;
        assert_eq!(cluster.primary(), Some(1), "{}", cluster.timeline());
        let reply = cluster.command(2, doc! { "replSetStepDown": 60 }).await.unwrap();
        assert_eq!(reply.get_i32("code").unwrap(), 10107, "{reply}");
        cluster.step_up(2);
        cluster.sleep(secs(1)).await;
        let config = cluster.command(1, doc! { "replSetGetConfig": 1 }).await.unwrap();
        assert_eq!(config.get_document("config").unwrap().get_str("_id").unwrap(), "rs0");
    });
}

#[test]
fn a_member_that_is_asked_to_end_hands_over_first() {
    let cluster = quick(6);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        ping(&client).await.unwrap();
        cluster.terminate(0);
        let took = recovers(&cluster, &client).await;
        assert!(took < secs(1), "{took:?}");
        cluster.sleep(secs(20)).await;
        assert_eq!(cluster.process(0), ProcessState::Down);
    });
}

#[test]
fn tasks_run_beside_the_main_one_and_can_be_dropped() {
    let cluster = quick(7);
    let value = cluster.run(async {
        let runtime = cluster.runtime(0);
        let never = cluster.spawn(async move { runtime.sleep(secs(1_000_000)).await });
        never.cancel();
        assert_eq!(never.await, None);
        cluster.spawn(async { 5 }).await
    });
    assert_eq!(value, Some(5));
}

/// A minute with every fault; the trace's hash.
fn eventful(seed: u64, shuffle: bool) -> u64 {
    let builder = Cluster::replica_set().members(3).election_timeout(secs(2)).seed(seed);
    let cluster = if shuffle { builder.shuffle() } else { builder }.build();
    cluster.after(secs(5), |cluster| cluster.kill(0));
    cluster.after(secs(12), |cluster| cluster.start(0));
    cluster.after(secs(15), |cluster| cluster.hang(1));
    cluster.after(secs(25), |cluster| cluster.resume(1));
    cluster.after(secs(30), |cluster| cluster.isolate(2));
    cluster.after(secs(40), Cluster::heal);
    cluster.after(secs(45), |cluster| cluster.power_off(1));
    cluster.after(secs(50), |cluster| cluster.start(1));
    cluster.after(secs(52), |cluster| cluster.reset_connections(0));
    cluster.run(async {
        let client = cluster.client("serverSelectionTimeoutMS=500").await.unwrap();
        while cluster.elapsed() < secs(60) {
            let _ = futures::join!(ping(&client), ping(&client), ping(&client));
            cluster.sleep(Duration::from_millis(100)).await;
        }
    });
    cluster.trace_hash()
}

#[test]
fn the_same_seed_gives_the_same_minute() {
    assert_eq!(eventful(1, false), eventful(1, false));
    assert_eq!(eventful(1, true), eventful(1, true));
    assert_ne!(eventful(1, true), eventful(2, true));
}

#[test]
fn what_a_router_behind_a_balancer_owes_is_not_waited_for_when_it_has_lost_its_power() {
    let cluster = Cluster::load_balanced().shards(1).members(1).routers(1).seed(3).build();
    let router = cluster.routers()[0];
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        ping(&client).await.unwrap();
        cluster.order(
            router,
            doc! {
                "configureFailPoint": "failCommand", "mode": "alwaysOn",
                "data": { "failCommands": ["ping"], "blockConnection": true, "blockTimeMS": 60_000 },
            },
        );
        cluster.sleep(secs(1)).await;
        let began = cluster.elapsed();
        cluster.after(secs(1), move |cluster| cluster.power_off(router));
        cluster.after(secs(3), move |cluster| cluster.start(router));
        // A command is not repeated; its connection's end is told when the machine is back.
        ping(&client).await.unwrap_err();
        assert!(cluster.elapsed() - began < secs(4), "{:?}", cluster.elapsed() - began);
        ping(&client).await.unwrap();
        client.shutdown().await;
        cluster.sleep(secs(1)).await;
        assert_eq!(cluster.connections(router), 0);
    });
}
