//! What a reader sees.

use super::*;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use quorate::Runtime;

fn short_run(seed: u64, keep: Keep) -> World<Echo> {
    let (world, app, node) = echo_world(seed);
    world.keep_trace(keep);
    world.block_on(async {
        let mut stream = world.runtime(app).connect(address()).await.unwrap();
        for _ in 0..50 {
            stream.write_all(b"hello").await.unwrap();
            stream.read_exact(&mut [0; 5]).await.unwrap();
        }
        world.remark("enough");
        world.kill(node);
    });
    world
}

#[test]
fn a_timeline_reads_like_one() {
    let world = short_run(1, Keep::All);
    let timeline = world.timeline();
    let lines: Vec<&str> = timeline.lines().collect();
    assert_eq!(lines.len() as u64, world.event_count());
    assert_eq!(lines[0], "     0.000000  server starts");
    assert!(lines[1].ends_with("app looks up server: 1 found"), "{timeline}");
    assert!(lines[2].ends_with("app -> server #1: connecting"), "{timeline}");
    assert!(lines[4].contains("app -> server #1: bytes (5 bytes, "), "{timeline}");
    assert!(lines[5].contains("server -> app #1: bytes (5 bytes, "), "{timeline}");
    assert!(lines[lines.len() - 2].ends_with("* enough"), "{timeline}");
    assert!(lines[lines.len() - 1].ends_with("server is killed"), "{timeline}");
}

#[test]
fn what_is_kept_does_not_change_the_hash() {
    let (all, tail) = (short_run(1, Keep::All), short_run(1, Keep::Tail));
    assert_eq!(all.trace_hash(), tail.trace_hash());
    assert_eq!(tail.trace().len(), 64);
    assert_eq!(all.trace()[all.trace().len() - 64..], tail.trace());
    assert_ne!(all.trace_hash(), short_run(2, Keep::All).trace_hash());
}

/// On every target: this is what makes a seed found on one machine worth something on another.
#[test]
fn a_seed_gives_the_same_hash_on_every_target() {
    let hashes: Vec<u64> = (1..=3).map(|seed| short_run(seed, Keep::Tail).trace_hash()).collect();
    assert_eq!(hashes, [8932360143354572701, 5500272125624260389, 13886203320681364153]);
}
