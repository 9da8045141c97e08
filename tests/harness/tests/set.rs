//! Starting sets and standalones of every kind and version, and leaving nothing behind.

use bson::{Document, doc};
use quorate_harness::{Admin, Direction, Flow, MemberSpec, ReplicaSet, Shape, Standalone, fixtures};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: Duration = Duration::from_secs(30);

fn config(set: &ReplicaSet) -> Document {
    let reply = set.command(0, "admin", doc! { "replSetGetConfig": 1 }).expect("a configuration");
    reply.get_document("config").expect("config").clone()
}

#[test]
fn every_kind_of_member() {
    let begin = Instant::now();
    let set = ReplicaSet::builder()
        .name("kinds")
        .member(MemberSpec::default().priority(2.0).tag("dc", "east"))
        .member(MemberSpec::default().tag("dc", "west"))
        .member(MemberSpec::arbiter())
        .member(MemberSpec::hidden())
        .member(MemberSpec::delayed(1).non_voting())
        .settings(doc! { "getLastErrorModes": { "eachDC": { "dc": 2 } } })
        .start()
        .expect("a set starts");
    eprintln!("five members after {:?}", begin.elapsed());
    assert_eq!(set.primary(), Some(0));
    assert_eq!(set.secondaries(), [1, 3, 4]);
    assert_eq!(set.uri().matches("127.0.0.1:").count(), 3, "{}", set.uri());
    assert!(set.uri().ends_with("/?replicaSet=kinds"));

    let config = config(&set);
    assert_eq!(config.get_document("settings").unwrap().get_i32("electionTimeoutMillis").unwrap(), 10_000);
    let members = config.get_array("members").expect("members");
    let member = |i: usize| members[i].as_document().expect("a document");
    assert_eq!(member(0).get_f64("priority").unwrap(), 2.0);
    assert_eq!(member(1).get_document("tags").unwrap(), &doc! { "dc": "west" });
    assert!(member(2).get_bool("arbiterOnly").unwrap());
    assert!(member(3).get_bool("hidden").unwrap());
    assert_eq!(member(4).get_i64("secondaryDelaySecs").unwrap(), 1);
    assert_eq!(member(4).get_i32("votes").unwrap(), 0);

    let each =
        doc! { "insert": "c", "documents": [{}], "writeConcern": { "w": "eachDC", "wtimeout": 10_000 } };
    set.command_on_primary("harness", each).expect("both data centres acknowledge");
}

#[test]
fn every_version() {
    for version in fixtures::VERSIONS {
        let set = ReplicaSet::builder()
            .members(2)
            .member(MemberSpec::delayed(1))
            .version(version)
            .start()
            .unwrap_or_else(|e| panic!("{version}: {e}"));
        let info = set.command(0, "admin", doc! { "buildInfo": 1 }).expect("its version");
        assert_eq!(info.get_str("version").expect("a string"), version);
    }
    let unknown = ReplicaSet::builder().version("1.2.3").start().expect_err("nobody has that");
    assert_eq!(unknown, "no mongod 1.2.3 to fetch: set MONGOD_1_2_3=/path/to/mongod");
}

#[test]
fn a_standalone_comes_back_with_its_data() {
    let mut server = Standalone::start().expect("it starts");
    server.command("harness", doc! { "insert": "c", "documents": [{ "_id": 1 }] }).expect("it writes");
    let hello = server.command("admin", doc! { "hello": 1 }).expect("it answers");
    assert!(!hello.contains_key("setName"));
    server.restart().expect("it comes back");
    let count = server.command("harness", doc! { "count": "c" }).expect("it counts");
    assert_eq!(count.get_i32("n").expect("a number"), 1);
    server.kill();
    server.command("admin", doc! { "ping": 1 }).expect_err("it is gone");
}

#[test]
fn a_start_that_fails_says_why() {
    let why = Standalone::start_with(fixtures::DEFAULT_VERSION, &["--setParameter", "nonsense=1"])
        .expect_err("no such parameter");
    assert!(why.contains("nonsense"), "{why}");
}

#[test]
fn a_proxy_of_a_set_spares_the_members() {
    let set =
        ReplicaSet::builder().members(3).election_timeout(SECOND).proxied(true).start().expect("it starts");
    let primary = set.primary().expect("a primary");
    let mut client = Admin::connect(set.address(primary), SECOND / 4).expect("connects");
    client.hello().expect("answers");
    set.proxy(primary).set(Direction::ToClient, Shape { flow: Flow::Stall, ..Shape::default() });
    client.hello().expect_err("no answer comes through");
    let others: Vec<usize> = (0..3).filter(|&i| i != primary).collect();
    let last_heard = || {
        let heard = seen_by(&set, others[0], primary).get_datetime("lastHeartbeat").copied();
        heard.expect("a heartbeat").timestamp_millis()
    };
    let before = last_heard();
    wait("members are stalled too", || last_heard() > before + 2000);
    set.proxy(primary).heal();

    // Two members apart from each other, and from nobody else.
    set.set_link_blocked(others[0], others[1], true);
    let healthy = |by, of| seen_by(&set, by, of).get_f64("health").expect("a number") == 1.0;
    wait("they hear each other", || !healthy(others[0], others[1]) && !healthy(others[1], others[0]));
    assert!(healthy(others[0], primary) && healthy(others[1], primary));
    set.set_link_blocked(others[0], others[1], false);
    wait("they stay apart", || healthy(others[0], others[1]) && healthy(others[1], others[0]));
    set.wait_for_healthy(LIMIT).expect("all is well");
}

/// What member `by` knows of member `of`.
fn seen_by(set: &ReplicaSet, by: usize, of: usize) -> Document {
    let status = set.command(by, "admin", doc! { "replSetGetStatus": 1 }).expect("its status");
    status.get_array("members").expect("members")[of].as_document().expect("a document").clone()
}

#[track_caller]
fn wait(otherwise: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LIMIT, "{otherwise}");
        std::thread::sleep(SECOND / 50);
    }
}

/// Runs itself in a process of its own, and kills that.
#[test]
fn nothing_outlives_a_killed_test() {
    const CHILD: &str = "QUORATE_HARNESS_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        // From a thread that ends, as test threads do.
        let server = std::thread::spawn(Standalone::start).join().expect("no panic").expect("it starts");
        let status = server.command("admin", doc! { "serverStatus": 1 }).expect("its status");
        println!("\npid {}", status.get_i64("pid").expect("a number"));
        std::thread::sleep(LIMIT);
        return;
    }
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "nothing_outlives_a_killed_test", "--nocapture"])
        .env(CHILD, "1")
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    let pid = loop {
        let line = lines.next().expect("it says its server's id").expect("text");
        if let Some(pid) = line.strip_prefix("pid ") {
            break pid.to_string();
        }
    };
    let alive = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|s| !s.contains(") Z "));
    assert!(alive());
    child.kill().expect("it is killed");
    child.wait().expect("it is dead");
    wait("mongod lives on", || !alive());
}
