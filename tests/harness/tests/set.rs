//! First look.
use quorate_harness::{ReplicaSet, Standalone, fixtures};
use std::time::Instant;

#[test]
fn starts() {
    fixtures::mongod("6.0.5").unwrap();
    let t = Instant::now();
    let set = ReplicaSet::builder().members(3).start().unwrap();
    eprintln!("{:?} {} primary {:?} sec {:?}", t.elapsed(), set.uri(), set.primary(), set.secondaries());
    eprintln!(
        "{}",
        std::fs::read_to_string(format!("/proc/{}/status", std::process::id())).unwrap().lines().count()
    );
    let t = Instant::now();
    drop(set);
    eprintln!("drop {:?}", t.elapsed());
    let t = Instant::now();
    let one = Standalone::start().unwrap();
    eprintln!("standalone {:?} {}", t.elapsed(), one.uri());
}
