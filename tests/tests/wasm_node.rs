//! The client under WebAssembly, in Node, on a real replica set: `wasm/examples/node.mjs` as it stands.

use bson::doc;
use quorate_harness::ReplicaSet;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long the program may take between two lines. An election is the longest of what it waits for.
const PATIENCE: Duration = Duration::from_secs(90);

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Says at once what is missing, before anything is built.
fn require_node() {
    if let Err(error) = Command::new("node").arg("--version").stdout(Stdio::null()).status() {
        panic!("node: {error}; this test needs Node 18 or later: apt-get install nodejs");
    }
}

/// Makes `wasm/pkg` from what is in `wasm/` now.
fn build_package() {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(workspace()).args(["run", "--quiet", "-p", "quorate-wasm-build"]);
    let status = command.status().expect("cargo starts");
    assert!(status.success(), "cargo run -p quorate-wasm-build: {status}");
}

/// The example, running. Ends with this value.
struct Program {
    child: Child,
    lines: Receiver<String>,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new("node");
        command.current_dir(workspace()).arg("wasm/examples/node.mjs").args(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("node starts");
        let output = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                println!("node: {line}");
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Program { child, lines }
    }

    /// The next line, which must start so; gives the rest.
    fn expect(&self, start: &str) -> String {
        let line =
            self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no line {start:?} of node.mjs"));
        match line.strip_prefix(start) {
            Some(rest) => rest.to_owned(),
            None => panic!("{start:?} was due, node.mjs said {line:?}"),
        }
    }

    /// Waits for the program to end by itself: nothing of a closed client keeps Node running.
    fn end(mut self) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().expect("a child can be waited for") {
                assert!(status.success(), "node.mjs: {status}");
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("node.mjs still runs 10 s after its client was closed");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the program says until the primary goes: all three members found, 150 documents written and read back in batches.
fn expect_discovery_and_crud(program: &Program, set: &ReplicaSet) {
    let found = program.expect("discovered ReplicaSetWithPrimary wasm: ");
    for address in set.addresses() {
        assert!(found.contains(&address), "{address} is not in {found:?}");
    }
    assert_eq!(found.matches("RSPrimary").count(), 1, "{found}");
    assert_eq!(found.matches("RSSecondary").count(), 2, "{found}");
    program.expect("inserted 150");
    program.expect("found 150, the last with n=149");
}

/// What it says after: nothing lost, nothing doubled. Gives the address of the new primary and the number of documents.
fn expect_survival(program: &Program) -> (String, i64) {
    let line = program.expect("survived: primary now ");
    let mut words = line.split(", ");
    let primary = words.next().expect("an address").to_owned();
    let mut number = |unit| {
        let words = words.next().expect("a number");
        words.strip_suffix(unit).and_then(|number| number.parse::<i64>().ok()).expect(unit)
    };
    let (inserted, found) = (number(" inserted"), number(" found"));
    assert_eq!(inserted, found, "{line}");
    (primary, inserted)
}

#[test]
fn discovers_inserts_finds_and_survives_step_downs() {
    require_node();
    build_package();
    let set = ReplicaSet::builder()
        .name("wasm")
        .members(3)
        .election_timeout(Duration::from_secs(2))
        .start()
        .expect("a set starts");
    set.wait_for_healthy(PATIENCE).expect("a healthy set");

    // Somebody else makes the primary step down ...
    let program = Program::start(&[&set.uri(), "wait"]);
    expect_discovery_and_crud(&program, &set);
    let old = set.primary().expect("a primary");
    assert_eq!(program.expect("inserting while "), format!("{} steps down", set.address(old)));
    assert_eq!(set.step_down(20).expect("the primary steps down"), old);
    let new = set.wait_for_other_primary(old, PATIENCE).expect("another primary");
    let (primary, first) = expect_survival(&program);
    assert_eq!(primary, set.address(new));
    program.end();

    // ... and so does the program itself, by a command.
    set.wait_for_healthy(PATIENCE).expect("a healthy set");
    let program = Program::start(&[&set.uri()]);
    expect_discovery_and_crud(&program, &set);
    program.expect("inserting while ");
    let (primary, second) = expect_survival(&program);
    assert_ne!(primary, set.address(new), "the primary stepped down");
    program.end();

    // The servers' own count, by the harness's own wire code.
    let counted = set.command_on_primary("shop", doc! { "count": "orders" }).expect("a count");
    assert_eq!(i64::from(counted.get_i32("n").expect("n")), first + second);
}
