//! On real sockets, in real time: as little of it as will do.

use super::*;
use std::time::Instant;

#[test]
fn a_deployment_on_real_sockets_fails_over() {
    let builder = Cluster::replica_set().members(3).election_timeout(Duration::from_millis(500));
    let cluster = builder.heartbeat_interval(Duration::from_millis(100)).serve().unwrap();
    assert_eq!(cluster.primary(), Some(0));
    let hello = cluster.command(1, doc! { "hello": 1 }).unwrap();
    let primary = cluster.addresses()[0].to_string();
    assert_eq!(hello.get_str("primary").unwrap(), primary, "{hello}");
    assert!(cluster.uri().starts_with(&format!("mongodb://{primary},127.0.0.1:")));
    cluster.kill(0);
    let began = Instant::now();
    while cluster.primary().is_none() {
        assert!(began.elapsed() < secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    cluster.restart(0).unwrap();
    cluster.command(0, doc! { "ping": 1 }).unwrap();
}
