//! The command as people run it: on every kind of deployment, its exit status, its table and its JSON.

use serde_json::Value;
use std::process::{Command, Output};

fn quorate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let output = command.arg("failover").args(arguments).output().expect("the command runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {}\n{errors}", output.status);
    output
}

/// One object a round, each of them well: it recovered, nothing was lost, applied twice or shown as an error.
fn rounds(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("text");
    let rounds: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for round in &rounds {
        for field in ["lost", "duplicated", "errors"] {
            assert_eq!(round[field], 0, "{field} in {round}");
        }
        assert!(round["acked"].as_u64().expect("a number") >= 250, "{round}");
        assert!(round["outage_ms"].as_f64().is_some() && round["server_ms"].as_f64().is_some(), "{round}");
    }
    rounds
}

fn all<'a>(rounds: &'a [Value], field: &str) -> Vec<&'a str> {
    rounds.iter().map(|round| round[field].as_str().expect("text")).collect()
}

#[test]
fn every_fault_in_virtual_time() {
    let rounds = rounds(&quorate(&["--virtual", "--fault", "all", "--json"]));
    assert_eq!(all(&rounds, "fault"), ["stepdown", "kill", "stop", "restart", "partition"]);
    for round in &rounds {
        let figure = |field: &str| round[field].as_f64().expect("a number");
        assert!(figure("added_ms") < 50.0, "the driver is the slow part in {round}");
        // Who steps down or ends in order hands over; for the others, ten seconds must pass.
        let hands_over = matches!(round["fault"].as_str(), Some("stepdown" | "restart"));
        let expected = if hands_over { 0.0..5_000.0 } else { 9_000.0..30_000.0 };
        assert!(expected.contains(&figure("server_ms")), "{round}");
        assert_eq!((&round["deployment"], &round["runtime"]), (&"virtual".into(), &"simulation".into()));
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let output = quorate(&["--virtual", "--fault", "kill", "--seed", seed, "--json"]);
        (output.stdout, output.stderr)
    };
    let first = run("5");
    assert!(first == run("5"), "what happened and when");
    assert_ne!(first.1, run("6").1);
}

#[test]
fn a_tag_mode_and_writes_that_are_not_retried() {
    let rounds = rounds(&quorate(&["--virtual", "--fault", "kill", "--w", "twoCentres", "--json"]));
    assert_eq!(all(&rounds, "fault"), ["kill"]);
    let output = quorate(&["--virtual", "--fault", "stop", "--retry-writes", "false", "--rounds", "2"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(table.contains("median"), "{table}");
    assert!(table.ends_with("Nothing acknowledged was lost, nothing was applied twice.\n"), "{table}");
}

/// In real time, so as little of it as will do.
#[test]
fn simulated_members_on_loopback_are_the_default() {
    for runtime in ["tokio", "smol"] {
        let arguments =
            ["--fault", "stepdown,kill", "--election-timeout-ms", "1000", "--runtime", runtime, "--json"];
        let rounds = rounds(&quorate(&arguments));
        assert_eq!(all(&rounds, "deployment"), ["sim", "sim"]);
        assert_eq!(all(&rounds, "runtime"), [runtime, runtime]);
    }
}

#[test]
fn real_servers() {
    let arguments = ["--mongod", "--fault", "stepdown,kill", "--election-timeout-ms", "2000", "--json"];
    let rounds = rounds(&quorate(&arguments));
    assert_eq!(all(&rounds, "deployment"), ["mongod", "mongod"]);
}

/// What deployments that matter look like.
#[test]
fn real_servers_with_tls_users_and_compression() {
    for runtime in ["tokio", "smol"] {
        let mut arguments = vec!["--mongod", "--tls", "--auth", "--compressors", "zstd,snappy"];
        arguments.extend([
            "--fault",
            "kill",
            "--election-timeout-ms",
            "2000",
            "--json",
            "--runtime",
            runtime,
        ]);
        let output = quorate(&arguments);
        let rounds = rounds(&output);
        assert_eq!(all(&rounds, "deployment"), ["mongod+tls+auth+zstd+snappy"]);
        assert_eq!(all(&rounds, "runtime"), [runtime]);
        let shown = String::from_utf8_lossy(&output.stderr);
        assert!(shown.contains("mongodb://suite:***@127.0.0.1:") && shown.contains("&tls=true"), "{shown}");
    }
}

#[test]
fn simulated_servers_with_tls_users_and_compression() {
    let asked = ["--tls", "--auth", "--compressors", "zstd,snappy", "--json"];
    let output = quorate(&[&["--virtual", "--fault", "all"], &asked[..]].concat());
    let all_rounds = rounds(&output);
    assert_eq!(all(&all_rounds, "fault").len(), 5);
    assert_eq!(all(&all_rounds, "deployment")[0], "virtual+tls+auth+zstd+snappy");
    let output = quorate(&[&["--fault", "kill", "--election-timeout-ms", "1000"], &asked[..]].concat());
    assert_eq!(all(&rounds(&output), "deployment"), ["sim+tls+auth+zstd+snappy"]);
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("mongodb://suite:***@127.0.0.1:") && shown.contains("&tls=true"), "{shown}");
}

#[test]
fn a_deployment_of_somebody_else() {
    let cluster = quorate_sim::Cluster::replica_set().serve().expect("free ports");
    let output = quorate(&["--uri", cluster.uri(), "--seconds", "2", "--json"]);
    let round: Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(
        (&round["deployment"], &round["lost"], &round["errors"]),
        (&"uri".into(), &0.into(), &0.into())
    );
    assert!(round["acked"].as_u64().expect("a number") > 10, "{round}");
}

#[test]
fn what_cannot_be_tried_is_said() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
    let output = command.args(["failover", "--virtual", "--w", "3"]).output().expect("the command runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no write could be acknowledged"));
}
