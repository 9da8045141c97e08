//! On real sockets, in real time: as little of it as will do.

use super::*;
use std::io::{Read, Write};
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

/// Cut off from its peers alone, a member still answers its clients; cut off from its clients alone, it leads on.
#[test]
fn a_member_on_real_sockets_can_be_cut_off_from_either_side() {
    let builder = Cluster::replica_set().members(3).election_timeout(Duration::from_millis(500));
    let cluster = builder.heartbeat_interval(Duration::from_millis(100)).serve().unwrap();
    let (old, began) = (cluster.primary().unwrap(), Instant::now());
    let others: Vec<_> = (0..3).filter(|member| *member != old).collect();
    cluster.partition(&[old], &others);
    while cluster.primary().is_none_or(|primary| primary == old) {
        assert!(began.elapsed() < secs(20));
        std::thread::sleep(Duration::from_millis(20));
    }
    cluster.command(old, doc! { "ping": 1 }).unwrap();
    cluster.heal();
    let leader = cluster.primary().unwrap();
    cluster.cut_off_clients(leader);
    let mut client = std::net::TcpStream::connect(cluster.addresses()[leader].to_string()).unwrap();
    client.set_read_timeout(Some(secs(2))).unwrap();
    let ping = crate::cluster::operator::message(doc! { "ping": 1 }, None).unwrap();
    client.write_all(&ping).unwrap();
    assert!(client.read(&mut [0; 1]).is_err(), "nobody answers");
    assert_eq!(cluster.primary(), Some(leader));
}
