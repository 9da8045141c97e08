//! What each decision of the core costs: nanoseconds and allocations, by size of the deployment.

use clap::Parser;
use quorate_benches::decisions::{self, Decision, SIZES};
use quorate_benches::table;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static GLOBAL: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[derive(Debug, Parser)]
#[command(about = "What each decision of the core costs")]
struct Args {
    /// Sizes of deployment.
    #[arg(long, value_delimiter = ',', default_values_t = SIZES)]
    members: Vec<usize>,
    /// Only those whose name begins so.
    #[arg(long, default_value = "")]
    only: String,
    /// Only the one of that name.
    #[arg(long, conflicts_with = "only")]
    exact: Option<String>,
    /// Rounds of each; the median counts.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How long a round lasts, in milliseconds.
    #[arg(long, default_value_t = 4)]
    round_ms: u64,
    /// Run each decision this many times, time nothing: for tools that count instructions.
    #[arg(long, value_name = "TIMES")]
    count: Option<u64>,
    /// One JSON object a line instead of the table.
    #[arg(long)]
    json: bool,
}

/// A decision's price.
struct Price {
    ns: f64,
    allocations: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut chosen = decisions::all(&args.members);
    chosen.retain(|decision| match &args.exact {
        Some(name) => decision.name == *name,
        None => decision.name.starts_with(&args.only),
    });
    if let Some(times) = args.count {
        chosen.iter_mut().for_each(|decision| decision.run(times));
        return ExitCode::SUCCESS;
    }
    let prices: Vec<Price> = chosen.iter_mut().map(|decision| price(decision, &args)).collect();
    show(&args, &chosen, &prices);
    ExitCode::SUCCESS
}

fn price(decision: &mut Decision, args: &Args) -> Price {
    decision.run(100);
    let round = Duration::from_millis(args.round_ms);
    let mut times = 1;
    while timed(decision, times) < round && times < 1 << 30 {
        times *= 2;
    }
    let rounds: Vec<f64> =
        (0..args.rounds).map(|_| timed(decision, times).as_nanos() as f64 / times as f64).collect();
    let region = Region::new(GLOBAL);
    decision.run(100);
    let change = region.change();
    let allocations = (change.allocations + change.reallocations) as f64 / 100.0;
    Price { ns: table::spread(&rounds).0, allocations }
}

fn timed(decision: &mut Decision, times: u64) -> Duration {
    let began = Instant::now();
    decision.run(times);
    began.elapsed()
}

fn show(args: &Args, chosen: &[Decision], prices: &[Price]) {
    if args.json {
        for (Decision { name, members, .. }, Price { ns, allocations }) in chosen.iter().zip(prices) {
            let ns = (ns * 100.0).round() / 100.0;
            println!("{}", json!({ "name": name, "members": members, "ns": ns, "allocations": allocations }));
        }
        return;
    }
    let mut names: Vec<&str> = Vec::new();
    for decision in chosen {
        if !names.contains(&decision.name.as_str()) {
            names.push(&decision.name);
        }
    }
    let mut sizes: Vec<usize> = args.members.clone();
    sizes.push(0);
    let rows = names.iter().map(|name| {
        let cells = sizes.iter().map(|size| {
            let found = chosen.iter().zip(prices).find(|(d, _)| d.name == *name && d.members == *size);
            found.map_or(String::new(), |(decision, price)| cell(decision, price))
        });
        [(*name).to_owned()].into_iter().chain(cells).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let header: Vec<String> = ["decision, ns (allocations)".to_owned()]
        .into_iter()
        .chain(args.members.iter().map(|size| format!("{size} members")))
        .chain(["any".to_owned()])
        .collect();
    table::print(&header.iter().map(String::as_str).collect::<Vec<_>>(), &rows);
}

/// `12.3 (0)`, with a mark where it is above what was set.
fn cell(decision: &Decision, price: &Price) -> String {
    let above = decision.target.is_some_and(|target| {
        price.ns > target.ns || target.allocations.is_some_and(|most| price.allocations > most)
    });
    let ns = if price.ns < 100.0 { format!("{:.1}", price.ns) } else { format!("{:.0}", price.ns) };
    format!("{ns} ({}){}", price.allocations, if above { " !" } else { "" })
}
