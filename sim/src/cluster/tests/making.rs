//! Shapes, and what clients find.

use super::*;
use quorate::ServerType;

#[test]
fn a_replica_set_is_ready_when_it_is_built() {
    let cluster = Cluster::replica_set().seed(1).build();
    assert_eq!(cluster.primary(), Some(0), "{}", cluster.timeline());
    assert_eq!(cluster.secondaries(), [1, 2]);
    assert!(cluster.elapsed() < secs(5), "{:?}", cluster.elapsed());
    assert_eq!(cluster.uri(), "mongodb://db0:27017,db1:27017,db2:27017/?replicaSet=rs0");
}

#[test]
fn the_first_primary_is_the_member_of_highest_priority_or_left_to_time() {
    let builder = || Cluster::replica_set().members(3).priority(1, 5.0).seed(3);
    assert_eq!(builder().build().primary(), Some(1));
    let cluster = builder().unelected().build();
    assert_eq!(cluster.primary(), None);
    cluster.run(cluster.sleep(secs(30)));
    assert_eq!(cluster.primary(), Some(1), "{}", cluster.timeline());
}

#[test]
fn clients_see_every_kind_of_member() {
    let builder = Cluster::replica_set().members(3).arbiter().hidden().delayed(secs(60)).non_voting();
    let cluster = builder.tags(1, &[("dc", "east")]).name("shop").seed(5).build();
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        cluster.sleep(secs(2)).await;
        let topology = client.topology();
        let types: Vec<_> = topology.servers.values().map(|server| server.server_type).collect();
        use ServerType::{RsArbiter, RsPrimary, RsSecondary};
        assert_eq!(types, [RsPrimary, RsSecondary, RsSecondary, RsArbiter, RsSecondary], "{topology:?}");
        assert_eq!(topology.set_name.as_deref(), Some("shop"));
    });
    assert_eq!(cluster.state(3), Some(MemberState::Arbiter));
    assert_eq!(cluster.process_count(), 7);
}

#[test]
fn a_standalone_answers() {
    let cluster = Cluster::standalone().build();
    assert_eq!(cluster.primary(), Some(0));
    cluster.run(async {
        let client = cluster.client("appName=test").await.unwrap();
        client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
    });
    assert!(cluster.oplog().is_empty() && cluster.commit_point().is_none());
}

#[test]
fn settings_can_be_changed_for_each_process() {
    let cluster =
        Cluster::replica_set().settings(|at, settings| settings.max_wire_version = 10 + at as i32).build();
    let version =
        |at| cluster.inspect(at, |process| process.as_mongod().unwrap().settings().max_wire_version);
    assert_eq!([version(0), version(2)], [10, 12]);
}

#[test]
fn wrong_options_are_an_error() {
    let cluster = Cluster::standalone().build();
    assert!(cluster.run(cluster.client("w=0&journal=true")).is_err());
}

#[test]
fn nothing_is_left_of_a_deployment_that_was_dropped() {
    let cluster = quick(1);
    let world = Arc::downgrade(&cluster.0);
    cluster.run(async {
        let client = cluster.client("").await.unwrap();
        client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
        // One that is never done, of a client that is never dropped by it.
        let runtime = cluster.runtime(0);
        cluster.spawn(async move {
            let _client = client;
            runtime.sleep(secs(1_000_000)).await;
        });
        cluster.after(secs(1_000), |cluster| cluster.kill(0));
    });
    drop(cluster);
    assert!(world.upgrade().is_none());
}

/// A task that holds its deployment is held by it.
#[test]
fn nothing_is_left_of_a_deployment_that_was_closed() {
    let cluster = quick(1);
    let world = Arc::downgrade(&cluster.0);
    let here = cluster.clone();
    cluster.spawn(async move { here.sleep(secs(1_000_000)).await });
    cluster.run(cluster.sleep(secs(1)));
    cluster.close();
    drop(cluster);
    assert!(world.upgrade().is_none());
}

#[test]
fn a_sharded_cluster_is_seen_by_its_routers_and_a_balanced_one_by_its_balancer() {
    let cluster = Cluster::sharded().shards(2).members(3).routers(2).seed(6).build();
    assert_eq!(cluster.uri(), "mongodb://router0:27017,router1:27017/");
    assert_eq!((cluster.primary_of(0), cluster.primary_of(1)), (Some(0), Some(3)));
    assert_eq!((cluster.members_of(1), cluster.routers()), (vec![3, 4, 5], vec![6, 7]));
    let balanced = Cluster::load_balanced().shards(1).seed(6).build();
    assert_eq!(balanced.uri(), "mongodb://balancer:27017/?loadBalanced=true");
    for cluster in [cluster, balanced] {
        cluster.run(async {
            let client = cluster.client("").await.unwrap();
            client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
        });
    }
}
