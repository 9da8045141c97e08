//! Allocations an operation: of the core alone, and of a client end to end.

use clap::Parser;
use quorate_benches::canned::Canned;
use quorate_benches::load::Operation;
use quorate_benches::rig::Rig;
use quorate_benches::subject::Subject;
use quorate_benches::table;
use quorate_core::retry::Retry;
use quorate_core::selection::SelectionCriteria;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::cell::RefCell;
use std::process::ExitCode;

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Debug, Parser)]
#[command(about = "Allocations of an operation")]
struct Args {
    /// Operations counted.
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// One JSON object a line instead of the table.
    #[arg(long)]
    json: bool,
}

/// Whose, of what, how many, and how many bytes.
struct Line(String, &'static str, f64, f64);

fn main() -> ExitCode {
    let args = Args::parse();
    match count(&args) {
        Ok(lines) => {
            show(&args, &lines);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("allocations: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count(args: &Args) -> Result<Vec<Line>, String> {
    let mut lines = vec![
        core_line("ping", args.count, SelectionCriteria::default(), Retry::Never),
        core_line("insert", args.count, SelectionCriteria::Writable, Retry::Write),
    ];
    // The canned server allocates nothing for an answer, so whatever the process allocates is the client's.
    let server = Canned::replica_set(3).map_err(|error| error.to_string())?;
    let operations = [(Operation::Ping, "ping"), (Operation::Insert, "insert"), (Operation::Find, "find")];
    for (operation, name) in operations {
        for subject in Subject::all() {
            let region = RefCell::new(Region::new(GLOBAL));
            let start = || *region.borrow_mut() = Region::new(GLOBAL);
            let run = subject.sequence(server.uri(), operation, args.count * 2, start);
            match subject {
                Subject::Smol => smol::block_on(run)?,
                _ => tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .map_err(|error| error.to_string())?
                    .block_on(run)?,
            }
            lines.push(line(subject.name().to_owned(), name, args.count, &region.into_inner()));
        }
    }
    Ok(lines)
}

fn core_line(name: &'static str, count: usize, criteria: SelectionCriteria, retry: Retry) -> Line {
    let mut rig = Rig::new(3);
    rig.operation(criteria.clone(), retry);
    let region = Region::new(GLOBAL);
    for _ in 0..count {
        rig.operation(criteria.clone(), retry);
    }
    line("core".to_owned(), name, count, &region)
}

fn line(whose: String, name: &'static str, count: usize, region: &Region<'_, System>) -> Line {
    let change = region.change();
    let allocations = change.allocations + change.reallocations;
    Line(whose, name, allocations as f64 / count as f64, change.bytes_allocated as f64 / count as f64)
}

fn show(args: &Args, lines: &[Line]) {
    if args.json {
        for Line(whose, name, allocations, bytes) in lines {
            println!(
                "{}",
                json!({ "driver": whose, "operation": name, "allocations": allocations, "bytes": bytes })
            );
        }
        return;
    }
    let row = |Line(whose, name, allocations, bytes): &Line| {
        vec![whose.clone(), (*name).to_owned(), format!("{allocations:.2}"), format!("{bytes:.0}")]
    };
    table::print(
        &["driver", "operation", "allocations", "bytes"],
        &lines.iter().map(row).collect::<Vec<_>>(),
    );
}
