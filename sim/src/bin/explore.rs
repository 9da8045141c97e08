//! Searches for bugs: `cargo run --release -p quorate-sim --bin explore -- --seeds 100000`.
//!
//! | option | |
//! |---|---|
//! | `--seeds N` | so many seeds (1,000 unless it is said) |
//! | `--first N` | beginning with this one |
//! | `--threads N` | on so many threads |
//! | `--seed N` | one seed: its plan, what it broke, and a smaller plan that breaks the same |
//! | `--trace` | with it, the timeline of all that happened |
//! | `--whole` | with it, the plan as it is and nothing smaller |
//! | `--brief` | one line a failure, no plans and timelines |
//! | `--json` | ends with one object |
//! | `--mistake NAME` | with a planted mistake, up to the first seed that finds it (feature `mistakes`) |
use quorate_sim::explore::{Plan, Report, RunOptions, Search, Violation, run, search, shrink};
use std::process::ExitCode;
use std::time::Instant;

/// So many failures are shown in full.
const SHOWN: usize = 3;
/// A failing plan is made smaller with so many runs at most.
const SHRINK_RUNS: usize = 400;

struct Arguments {
    seeds: u64,
    first: u64,
    threads: usize,
    seed: Option<u64>,
    trace: bool,
    json: bool,
    whole: bool,
    brief: bool,
    mistake: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(text) => {
            eprintln!("explore: {text}");
            return ExitCode::from(2);
        }
    };
    let options = match run_options(&arguments) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("explore: {text}");
            return ExitCode::from(2);
        }
    };
    let failed = match arguments.seed {
        Some(seed) => one(seed, &arguments, &options),
        None => many(&arguments, &options),
    };
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments {
        seeds: 1000,
        first: 1,
        threads: 1,
        seed: None,
        trace: false,
        json: false,
        whole: false,
        brief: false,
        mistake: None,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or(format!("{word} wants a value"));
        match word.as_str() {
            "--seeds" => found.seeds = number(&value()?)?,
            "--first" => found.first = number(&value()?)?,
            "--threads" => found.threads = number(&value()?)? as usize,
            "--seed" => found.seed = Some(number(&value()?)?),
            "--mistake" => found.mistake = Some(value()?),
            "--trace" => found.trace = true,
            "--whole" => found.whole = true,
            "--brief" => found.brief = true,
            "--json" => found.json = true,
            other => return Err(format!("{other}: no such option")),
        }
    }
    Ok(found)
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text:?} is no number"))
}

#[cfg(not(feature = "mistakes"))]
fn run_options(arguments: &Arguments) -> Result<RunOptions, String> {
    match arguments.mistake {
        Some(_) => Err("--mistake wants the feature `mistakes`".into()),
        None => Ok(RunOptions::default()),
    }
}

#[cfg(feature = "mistakes")]
fn run_options(arguments: &Arguments) -> Result<RunOptions, String> {
    use quorate_core::mistakes::Mistake;
    let find = |name: &String| {
        Mistake::find(name).ok_or_else(|| format!("{name:?} is no mistake; there are {:?}", Mistake::ALL))
    };
    Ok(RunOptions { mistake: arguments.mistake.as_ref().map(find).transpose()?, ..RunOptions::default() })
}

/// Many seeds; whether one failed.
fn many(arguments: &Arguments, options: &RunOptions) -> bool {
    let began = Instant::now();
    let wanted = Search {
        first: arguments.first,
        seeds: arguments.seeds,
        threads: arguments.threads,
        stop: arguments.mistake.is_some(),
        options: options.clone(),
    };
    let summary = search(&wanted, |seed, report| {
        if let Some(first) = report.violations.first() {
            eprintln!("seed {seed} fails {first}");
        }
    });
    for (seed, violation) in summary.failures.iter().take(if arguments.brief { 0 } else { SHOWN }) {
        show_failure(&Plan::new(*seed), violation, options);
    }
    let wall = began.elapsed().as_secs_f64();
    let (seeds, failures) = (summary.seeds, summary.failures.len());
    let (operations, simulated) = (summary.operations, summary.simulated.as_secs_f64());
    if arguments.json {
        println!(
            "{{\"seeds\": {seeds}, \"violations\": {failures}, \"operations\": {operations}, \
             \"simulated_seconds\": {simulated:.3}, \"wall_seconds\": {wall:.3}}}"
        );
    } else {
        println!(
            "{seeds} seeds, {failures} violations, {operations} operations, {simulated:.0} simulated seconds in {wall:.1} s"
        );
    }
    failures > 0
}

/// The plan, what it breaks, and a smaller one that breaks the same, with its timeline.
fn show_failure(plan: &Plan, violation: &Violation, options: &RunOptions) {
    println!("==== seed {} fails {violation}\n{plan}", plan.seed);
    let smaller = shrink(plan, violation.rule, options, SHRINK_RUNS);
    println!("---- from less:\n{smaller}");
    show(&run(&smaller, &options.clone().with_trace(true)));
    println!("==== replay: explore --seed {} --trace", plan.seed);
}

fn show(report: &Report) {
    if let Some(timeline) = &report.timeline {
        println!("---- timeline (seconds, what):\n{timeline}");
    }
    report.violations.iter().for_each(|violation| println!("VIOLATION {violation}"));
}

/// One seed; whether it failed.
fn one(seed: u64, arguments: &Arguments, options: &RunOptions) -> bool {
    let plan = Plan::new(seed);
    let report = run(&plan, &options.clone().with_trace(arguments.trace));
    match report.violations.first() {
        // The whole plan as it is, rather than what is needed of it.
        Some(first) if !arguments.whole => show_failure(&plan, first, options),
        _ => {
            println!("{plan}");
            show(&report);
        }
    }
    println!(
        "seed {seed}: {} violations, {} operations, {:.3} simulated seconds, trace {:016x}",
        report.violations.len(),
        report.operations,
        report.simulated.as_secs_f64(),
        report.trace_hash
    );
    !report.violations.is_empty()
}
