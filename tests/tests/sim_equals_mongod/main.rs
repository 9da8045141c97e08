//! The simulated server against the real one: the same commands on both, their replies compared field by field.
//!
//! The commands stand in `tests/data/sim/*.jsonl`, one a line, in extended JSON; empty lines and those with `#` are for readers.
//! Each file runs on a database of its own, in order, on one connection of each server. A line is a command, or
//!
//! ```json
//! {"run": {...}, "db": "admin", "session": ["A", 5, "start"], "ignore": ["cursor.firstBatch.0.t"]}
//! ```
//!
//! `session` is a session's name, with a transaction number, with `"start"` or `"in"` for a transaction. `ignore` names paths
//! in the reply that may differ. `{"$cursor": 1}` in a command stands for the last cursor that was open. What differs on any
//! two servers (times, ids, UUIDs, open cursors' ids) is looked at for its type alone.

mod compare;
mod json;
mod random;
mod script;

use bson::{Document, doc};
use compare::differences;
use quorate_harness::{Admin, AdminError, ReplicaSet};
use quorate_sim::Cluster;
use quorate_sim::cluster::ServedCluster;
use script::{Line, Script};
use std::sync::OnceLock;
use std::time::Duration;

/// Something that answers a command document.
trait Answerer {
    fn answer(&mut self, db: &str, command: Document) -> Document;
}

impl Answerer for Admin {
    fn answer(&mut self, db: &str, command: Document) -> Document {
        match self.run(db, command) {
            Ok(reply) | Err(AdminError::Server(reply)) => reply,
            Err(AdminError::Io(e)) => doc! { "no answer": e.to_string() },
        }
    }
}

fn real() -> Admin {
    static REAL: OnceLock<ReplicaSet> = OnceLock::new();
    let set = REAL.get_or_init(|| ReplicaSet::builder().members(1).start().expect("a replica set"));
    Admin::connect(&set.direct_address(0), Duration::from_secs(30)).expect("a connection to the real server")
}

fn simulated() -> Admin {
    static SIMULATED: OnceLock<ServedCluster> = OnceLock::new();
    let cluster =
        SIMULATED.get_or_init(|| Cluster::replica_set().members(1).serve().expect("a simulated set"));
    let address = cluster.addresses()[0].to_string();
    Admin::connect(&address, Duration::from_secs(30)).expect("a connection to the simulated server")
}

/// Runs a script on a server and gives its answers.
fn play(server: &mut dyn Answerer, script: &Script) -> Vec<Document> {
    let mut cursor = 0;
    server.answer(&script.db, doc! { "dropDatabase": 1 });
    let mut answers = Vec::with_capacity(script.lines.len());
    for line in &script.lines {
        let answer = server.answer(line.db.as_deref().unwrap_or(&script.db), line.command(cursor));
        let opened = answer.get_document("cursor").ok().and_then(|c| c.get_i64("id").ok());
        cursor = opened.filter(|id| *id != 0).unwrap_or(cursor);
        answers.push(answer);
    }
    answers
}

fn describe(line: &Line, real: &Document, simulated: &Document, differences: &[String]) -> String {
    let differences = differences.join("\n      ");
    format!(
        "line {}: {}\n      {differences}\n    real:      {real}\n    simulated: {simulated}",
        line.number, line.text
    )
}

fn check(name: &str) {
    let script = Script::read(name);
    let expected = play(&mut real(), &script);
    let found = play(&mut simulated(), &script);
    let answers = expected.iter().zip(&found);
    let wrong: Vec<String> = script
        .lines
        .iter()
        .zip(answers)
        .filter_map(|(line, (real, simulated))| {
            let differences = differences(real, simulated, &line.ignore);
            (!differences.is_empty()).then(|| describe(line, real, simulated, &differences))
        })
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} answers differ:\n{}",
        wrong.len(),
        script.lines.len(),
        wrong.join("\n")
    );
}

macro_rules! scripts {
    ($($name:ident)*) => {
        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

scripts! {
    aggregate
    arrays
    collections
    cursors
    delete
    find
    find_and_modify
    indexes
    insert
    matching
    operators
    other_reads
    projections
    retryable_writes
    transactions
    update
}

/// No file is forgotten, and there are as many commands as there should be.
#[test]
fn every_script_is_run() {
    let mut files = Script::files();
    files.sort();
    assert_eq!(files, SCRIPTS);
    let commands: usize = SCRIPTS.iter().map(|name| Script::read(name).lines.len()).sum();
    assert!(commands >= 300, "{commands} commands");
}
