//! Every fault, seen from both ends.

use super::*;
use crate::runtime::SimStream;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use quorate::Runtime;
use std::io::ErrorKind;

/// Sends something and waits for it to come back; how long that took.
async fn echo(world: &World<Echo>, stream: &mut SimStream) -> std::io::Result<Duration> {
    let sent = world.now();
    stream.write_all(b"echo").await?;
    stream.read_exact(&mut [0; 4]).await?;
    Ok(world.now() - sent)
}

async fn open(world: &World<Echo>, app: HostId) -> SimStream {
    let mut stream = world.runtime(app).connect(address()).await.unwrap();
    echo(world, &mut stream).await.unwrap();
    stream
}

#[test]
fn a_killed_process_resets_its_connections() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.kill(node);
        let error = stream.read(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(stream.write(b"x").await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
    assert_eq!(world.inspect(node, |node| node.log.last().cloned()).unwrap().unwrap(), "crash");
    assert_eq!(world.state(node), ProcessState::Down);
}

#[test]
fn a_process_that_ends_closes_its_connections() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.terminate(node);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
        assert_eq!(world.state(node), ProcessState::Down);
    });
}

#[test]
fn a_machine_without_power_says_nothing_and_knows_nothing_when_it_is_back() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.power_off(node);
        world.runtime(app).sleep(Duration::from_secs(60)).await;
        let began = world.now();
        world.at(began + ms(5000), move |world| world.start(node));
        let error = echo(&world, &mut stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(world.now() - began > ms(5000));
    });
}

#[test]
fn a_partition_holds_what_is_sent_until_it_is_sent_again() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        let began = world.now();
        world.partition(&[app], &[server]);
        world.at(began + ms(10_000), |world| world.heal());
        let took = echo(&world, &mut stream).await.unwrap();
        // Sent again after 0.2, 0.6, 1.4, 3.0, 6.2 and 12.6 seconds.
        assert!(took > ms(12_600) && took < ms(12_610), "{took:?}");
        assert!(echo(&world, &mut stream).await.unwrap() < ms(1));
    });
}

#[test]
fn a_partition_of_one_direction_lets_the_other_through() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.cut(server, app);
        let began = world.now();
        stream.write_all(b"heard").await.unwrap();
        world.runtime(app).sleep(ms(100)).await;
        assert_eq!(world.inspect(node, |node| node.log.last().cloned()).unwrap().unwrap(), "5 bytes");
        world.mend(server, app);
        stream.read_exact(&mut [0; 5]).await.unwrap();
        assert!(world.now() - began > ms(200));
    });
}

#[test]
fn a_partition_that_does_not_end_breaks_the_connection() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.isolate(world.host_of(node));
        let began = world.now();
        assert_eq!(echo(&world, &mut stream).await.unwrap_err().kind(), ErrorKind::TimedOut);
        // TCP_USER_TIMEOUT: without it, the system would go on for a quarter of an hour.
        let took = world.now() - began;
        assert!(took >= quorate::LONGEST_SILENCE && took < quorate::LONGEST_SILENCE + ms(100), "{took:?}");
    });
}

#[test]
fn a_reset_that_is_lost_is_found_when_something_is_sent() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.partition(&[app], &[server]);
        world.kill(node);
        world.runtime(app).sleep(ms(1000)).await;
        world.heal();
        world.start(node);
        world.runtime(app).sleep(ms(1000)).await;
        let error = echo(&world, &mut stream).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_hung_process_finds_everything_at_once() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.hang(node);
        stream.write_all(b"one").await.unwrap();
        world.runtime(app).sleep(ms(500)).await;
        stream.write_all(b"two").await.unwrap();
        world.runtime(app).sleep(ms(500)).await;
        assert_eq!(world.inspect(node, |node| node.log.len()), Some(3));
        world.resume(node);
        let resumed = world.now();
        let mut back = [0; 6];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"onetwo");
        assert!(world.now() - resumed < ms(1));
    });
}

#[test]
fn a_hung_process_can_be_killed_and_ends_only_when_it_goes_on() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.hang(node);
        world.terminate(node);
        assert_eq!(world.state(node), ProcessState::Hung);
        world.resume(node);
        assert_eq!(world.state(node), ProcessState::Down);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
        world.start(node);
        let mut stream = open(&world, app).await;
        world.hang(node);
        world.kill(node);
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn connections_can_be_reset_and_forgotten_on_the_way() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    world.block_on(async {
        let mut stream = open(&world, app).await;
        world.reset_connections(app, server);
        assert_eq!(echo(&world, &mut stream).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(world.inspect(node, |node| node.log.last().cloned()).unwrap().unwrap(), "close 1");
        let mut stream = open(&world, app).await;
        world.forget_connections(app, server);
        let mut other = open(&world, app).await;
        let nothing = std::pin::pin!(echo(&world, &mut stream));
        let minutes = std::pin::pin!(world.runtime(app).sleep(Duration::from_secs(200)));
        assert!(matches!(futures::future::select(nothing, minutes).await, futures::future::Either::Right(_)));
        echo(&world, &mut other).await.unwrap();
    });
}

#[test]
fn lost_segments_stall_a_connection() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    world.set_link(app, server, Link { loss_ppm: 200_000, ..Link::default() });
    world.block_on(async {
        let mut stream = open(&world, app).await;
        let mut slow = 0;
        for _ in 0..100 {
            slow += u32::from(echo(&world, &mut stream).await.unwrap() >= ms(200));
        }
        assert!((10..30).contains(&slow), "{slow}");
    });
}

/// Two nodes, one of which tells the other its ticks.
fn two_nodes() -> (World<Echo>, NodeId, NodeId) {
    let world = World::new(WorldOptions::new(3));
    let b = world.serve_on("b", |_| Echo::default());
    let a = world.serve_on("a", |_| Echo::ticking(b, ms(100)));
    (world, a, b)
}

fn heard(world: &World<Echo>, node: NodeId) -> Vec<u64> {
    world.inspect(node, |node| node.heard.clone()).unwrap()
}

#[test]
fn messages_between_nodes_arrive_in_order() {
    let (world, a, b) = two_nodes();
    world.set_link(world.host_of(a), world.host_of(b), Link { jitter: ms(500), ..Link::default() });
    world.run_for(Duration::from_secs(10));
    let heard = heard(&world, b);
    assert!(heard.len() > 90 && heard.is_sorted(), "{heard:?}");
}

#[test]
fn messages_across_a_partition_are_lost() {
    let (world, a, b) = two_nodes();
    world.run_for(ms(1050));
    world.partition(&[world.host_of(a)], &[world.host_of(b)]);
    world.run_for(ms(1000));
    world.heal();
    world.run_for(ms(1000));
    let numbers: Vec<u64> = (1..=10).chain(21..=30).collect();
    assert_eq!(heard(&world, b), numbers);
}

#[test]
fn a_hung_node_does_not_tick_and_hears_what_came_meanwhile() {
    let (world, a, b) = two_nodes();
    world.hang(b);
    world.run_for(ms(1050));
    assert_eq!(heard(&world, b).len(), 0);
    world.resume(b);
    assert_eq!(heard(&world, b).len(), 10);
    world.hang(a);
    world.run_for(ms(5000));
    assert_eq!(heard(&world, b).len(), 10);
    world.resume(a);
    world.run_for(ms(10));
    assert_eq!(heard(&world, b).len(), 11);
}

#[test]
fn a_node_hears_at_once_that_another_one_is_gone_but_not_that_it_cannot_be_reached() {
    let (world, a, b) = two_nodes();
    let log =
        || world.inspect(a, |node| node.log.iter().filter(|line| *line == "unreachable 0").count()).unwrap();
    world.run_for(ms(250));
    world.kill(b);
    world.run_for(ms(10));
    assert_eq!(log(), 1);
    // Every message is refused.
    world.run_for(ms(100));
    assert_eq!(log(), 2);
    world.start(b);
    world.run_for(ms(200));
    world.power_off(b);
    world.run_for(ms(500));
    assert_eq!(log(), 2);
}

#[test]
fn keep_alive_finds_what_nobody_told() {
    let (world, app, node) = echo_world(1);
    world.block_on(async {
        // The machine is back before anything is sent to it: no word of the old connection.
        let mut stream = open(&world, app).await;
        world.power_off(node);
        let began = world.now();
        world.at(began + ms(100), move |world| world.start(node));
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(world.now() - began, quorate::KEEP_ALIVE);

        let mut stream = open(&world, app).await;
        let began = world.now();
        world.forget_connections(app, world.host_of(node));
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(world.now() - began, quorate::LONGEST_SILENCE);
    });
}
