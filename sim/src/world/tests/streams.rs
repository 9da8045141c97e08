//! What a connection does as long as nothing fails.

use super::*;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use quorate::Runtime;

#[test]
fn bytes_come_back_after_a_round_trip() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        let mut stream = runtime.connect(address()).await.unwrap();
        let sent = world.now();
        stream.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
        let took = world.now() - sent;
        assert!(took >= Duration::from_micros(400) && took < Duration::from_micros(500), "{took:?}");
    });
    world.run_for(ms(10));
    assert_eq!(
        world.inspect(node, |node| node.log.clone()).unwrap(),
        ["start", "open 1", "5 bytes", "close 1"]
    );
}

#[test]
fn single_bytes_arrive_in_order() {
    let (world, app, node) = echo_world(1);
    let server = world.host_of(node);
    for (from, to) in [(app, server), (server, app)] {
        world.set_link(from, to, Link { fragment: Some(1), jitter: ms(5), ..Link::default() });
    }
    let runtime = world.runtime(app);
    let text: Vec<u8> = (0..=255).cycle().take(2000).collect();
    world.block_on(async {
        let mut stream = runtime.connect(address()).await.unwrap();
        stream.write_all(&text[..1000]).await.unwrap();
        stream.write_all(&text[1000..]).await.unwrap();
        let mut back = vec![0; text.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, text);
    });
    let log = world.inspect(node, |node| node.log.clone()).unwrap();
    assert_eq!(log.iter().filter(|line| *line == "1 bytes").count(), 2000);
}

#[test]
fn a_client_that_says_no_more_still_hears() {
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        let mut stream = runtime.connect(address()).await.unwrap();
        stream.write_all(b"last words").await.unwrap();
        stream.close().await.unwrap();
        assert_eq!(stream.write(b"more").await.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"last words");
    });
}

#[test]
fn a_server_that_closes_ends_the_stream_behind_its_last_bytes() {
    let (world, app, _) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        let mut stream = runtime.connect(address()).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"bye");
        // There is nobody to hear this, as its kernel says.
        stream.write_all(b"hello?").await.unwrap();
        runtime.sleep(ms(1)).await;
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn writers_wait_for_a_server_that_does_not_read() {
    let (world, app, node) = echo_world(1);
    let runtime = world.runtime(app);
    world.block_on(async {
        let mut stream = runtime.connect(address()).await.unwrap();
        world.hang(node);
        let large = vec![7; 3 * 1024 * 1024];
        let (mut read, mut write) = (&mut stream).split();
        let writing = async {
            write.write_all(&large).await.unwrap();
            world.now()
        };
        let reading = async {
            runtime.sleep(ms(5000)).await;
            let resumed = world.now();
            world.resume(node);
            // More than the window has room for is not sent before this is read.
            runtime.sleep(ms(1000)).await;
            let mut back = vec![0; large.len()];
            read.read_exact(&mut back).await.unwrap();
            assert_eq!(back, large);
            resumed
        };
        let (written, resumed) = futures::join!(writing, reading);
        assert!(written > resumed, "{written:?} {resumed:?}");
    });
}

#[test]
fn bandwidth_is_shared() {
    let (world, app, node) = echo_world(1);
    world.set_link(app, world.host_of(node), Link { bandwidth: Some(1_000_000), ..Link::default() });
    let runtime = world.runtime(app);
    world.block_on(async {
        let began = world.now();
        let send = async || {
            let mut stream = runtime.connect(address()).await.unwrap();
            stream.write_all(&vec![1; 500_000]).await.unwrap();
            stream.read_exact(&mut vec![0; 500_000]).await.unwrap();
        };
        futures::join!(send(), send());
        let took = world.now() - began;
        assert!(took > ms(1000) && took < ms(1010), "{took:?}");
    });
}
