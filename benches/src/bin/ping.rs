//! `ping`, `insert_one` and `find_one` against a canned server: operations a second, latency, processor time.
//!
//! The server is one thread of this process and the same for all. Drivers take turns, round by round, each time with a new
//! client on a new runtime, so that a disturbance of the machine meets all of them; the figure to look at is the median, and
//! its range says how quiet the machine was.

use clap::Parser;
use quorate_benches::canned::Canned;
use quorate_benches::load::{Operation, Plan, Sample};
use quorate_benches::subject::Subject;
use quorate_benches::table;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(about = "Throughput and latency against a canned server")]
struct Args {
    /// Size of the client's pool.
    #[arg(long, default_value_t = 16)]
    connections: u32,
    /// Tasks at work at once.
    #[arg(long, default_value_t = 16)]
    tasks: usize,
    /// Length of a run.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Runs of each driver and operation.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Worker threads of tokio; 0 for its current-thread runtime.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Members of the canned replica set; 0 for a standalone server.
    #[arg(long, default_value_t = 3)]
    members: usize,
    /// What to measure.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["ping", "insert", "find"])]
    operations: Vec<Operation>,
    /// Whom to measure; all that were compiled in, if not said.
    #[arg(long, value_enum, value_delimiter = ',')]
    drivers: Vec<Subject>,
    /// One JSON object a run, and one a driver and operation, instead of the table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match compare(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ping: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(mut args: Args) -> Result<(), String> {
    if args.drivers.is_empty() {
        args.drivers = Subject::all();
    }
    let server = match args.members {
        0 => Canned::standalone(),
        members => Canned::replica_set(members),
    };
    let server = server.map_err(|error| format!("no canned server: {error}"))?;
    let mut rows = Vec::new();
    for &operation in &args.operations {
        let plan = Plan {
            uri: server.uri().to_owned(),
            server_thread: server.thread_id(),
            connections: args.connections,
            tasks: args.tasks,
            operation,
            warm_up: Duration::from_millis(500),
            measured: Duration::from_secs_f64(args.seconds),
        };
        let samples = measure(&args, &plan)?;
        rows.extend(summaries(&args, operation, &samples));
    }
    if !args.json {
        let header = [
            "operation",
            "driver",
            "ops/s",
            "range",
            "p50 us",
            "p99 us",
            "p99.9 us",
            "CPU us/op",
            "to official",
        ];
        table::print(&header, &rows);
    }
    Ok(())
}

/// The samples of each driver, in the order of `args.drivers`.
fn measure(args: &Args, plan: &Plan) -> Result<Vec<Vec<Sample>>, String> {
    let mut samples = vec![Vec::new(); args.drivers.len()];
    for round in 0..args.rounds {
        for (driver, samples) in args.drivers.iter().zip(&mut samples) {
            let sample = driver.run(plan, args.threads)?;
            if args.json {
                let line = json!({
                    "run": round,
                    "operation": plan.operation,
                    "driver": driver,
                    "connections": args.connections,
                    "tasks": args.tasks,
                    "threads": args.threads,
                    "members": args.members,
                    "ops_per_second": sample.throughput().round(),
                    "p50_us": sample.latency(0.5),
                    "p90_us": sample.latency(0.9),
                    "p99_us": sample.latency(0.99),
                    "p999_us": sample.latency(0.999),
                    "max_us": sample.latency(1.0),
                    "client_cpu_us_per_op": sample.cpu_per_operation(),
                });
                println!("{line}");
            }
            samples.push(sample);
        }
    }
    Ok(samples)
}

fn summaries(args: &Args, operation: Operation, samples: &[Vec<Sample>]) -> Vec<Vec<String>> {
    let figures = |samples: &[Sample], figure: fn(&Sample) -> f64| {
        table::spread(&samples.iter().map(figure).collect::<Vec<_>>())
    };
    let official = args.drivers.iter().position(|driver| driver.name() == "official");
    let reference = official.map(|at| figures(&samples[at], Sample::throughput).0).filter(|ops| *ops > 0.0);
    let mut rows = Vec::new();
    for (driver, samples) in args.drivers.iter().zip(samples) {
        let (ops, lowest, highest) = figures(samples, Sample::throughput);
        let ratio = reference.map(|reference| ops / reference);
        let (cpu, ..) = figures(samples, Sample::cpu_per_operation);
        if args.json {
            let line = json!({
                "operation": operation,
                "driver": driver,
                "runs": samples.len(),
                "ops_per_second": ops.round(),
                "lowest": lowest.round(),
                "highest": highest.round(),
                "client_cpu_us_per_op": cpu,
                "to_official": ratio,
            });
            println!("{line}");
        }
        let micros = |figure: fn(&Sample) -> f64| format!("{:.0}", figures(samples, figure).0);
        rows.push(vec![
            format!("{operation:?}").to_lowercase(),
            driver.name().to_owned(),
            format!("{ops:.0}"),
            format!("{lowest:.0} to {highest:.0}"),
            micros(|sample| sample.latency(0.5)),
            micros(|sample| sample.latency(0.99)),
            micros(|sample| sample.latency(0.999)),
            format!("{cpu:.1}"),
            ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ]);
    }
    rows
}
