//! How connections come to be, or do not.

use super::*;
use quorate::Runtime;
use std::io::ErrorKind;

#[test]
fn nobody_listening_refuses() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        let other = quorate::ServerAddress::tcp("server", 1);
        assert_eq!(runtime.connect(other).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        world.kill(node);
        assert_eq!(runtime.connect(address()).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        world.start(node);
        runtime.connect(address()).await.unwrap();
    });
}

#[test]
fn a_machine_that_is_off_is_asked_again_until_it_is_back() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        world.power_off(node);
        let began = world.now();
        world.at(began + ms(5000), move |world| world.start(node));
        runtime.connect(address()).await.unwrap();
        let took = world.now() - began;
        // The kernel asks after 1, 3 and 7 seconds.
        assert!(took > ms(7000) && took < ms(7010), "{took:?}");
    });
}

#[test]
fn a_partition_in_either_direction_keeps_a_client_from_connecting() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    let runtime = world.runtime(app);
    world.block_on(async {
        for (from, to) in [(app, server), (server, app)] {
            world.cut(from, to);
            let began = world.now();
            let error = runtime.connect(address()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(world.now() - began > Duration::from_secs(126));
            world.mend(from, to);
        }
        runtime.connect(address()).await.unwrap();
    });
}

#[test]
fn a_hung_server_accepts_and_hears_of_it_later() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        world.hang(node);
        let stream = runtime.connect(address()).await.unwrap();
        runtime.sleep(ms(100)).await;
        assert_eq!(world.inspect(node, |node| node.log.len()), Some(1));
        world.resume(node);
        assert_eq!(world.inspect(node, |node| node.log.clone()).unwrap(), ["start", "open 1"]);
        drop(stream);
    });
}

#[test]
fn names_mean_what_look_up_says_now() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    let server = world.host_of(node);
    world.block_on(async {
        let named = || runtime.connect(quorate::ServerAddress::tcp("db.example", DEFAULT_PORT));
        assert!(named().await.unwrap_err().to_string().contains("not known"));
        world.set_dns("db.example", server);
        named().await.unwrap();
        // The first of two does not listen.
        world.set_dns("db.example", Answer::Hosts(vec![app, server]));
        named().await.unwrap();
        world.set_dns("db.example", Answer::NoSuchName);
        named().await.unwrap_err();
        world.set_dns("db.example", Answer::Silence);
        let began = world.now();
        assert!(named().await.unwrap_err().to_string().contains("Temporary failure"));
        assert!(world.now() - began >= RESOLVER_TIMEOUT);
    });
}

#[test]
fn a_client_that_no_longer_wants_to_connect_leaves_nothing_behind() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        for micros in (0..1200).step_by(50) {
            let connecting = std::pin::pin!(runtime.connect(address()));
            let giving_up = std::pin::pin!(runtime.sleep(Duration::from_micros(micros)));
            futures::future::select(connecting, giving_up).await;
        }
        runtime.sleep(ms(10)).await;
    });
    let log = world.inspect(node, |node| node.log.clone()).unwrap();
    let count = |what| log.iter().filter(|line| line.starts_with(what)).count();
    assert!(count("open") > 0 && count("open") == count("close"), "{log:?}");
    assert_eq!(world.0.shared.with(|core| core.conns.len()), 0);
}
