//! Runs the specifications' own test files against the core and prints how many pass.

use clap::Parser;
use quorate_tests::spec::Corpus;
use quorate_tests::spec::report::Report;
use quorate_tests::spec::skips::Skips;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs every specification case that needs no server and prints a table of the suites.
///
/// The corpus is what --corpus or the environment variable QUORATE_SPECS names: a checkout of the specifications repository or
/// an unpacked PyMongo source distribution. Without either, the latter is fetched into target/fixtures. The exit status is 0 if
/// no case failed and tests/skips.toml is up to date.
#[derive(Parser)]
struct Arguments {
    /// Print one JSON object a suite instead of the table; failures go to standard error.
    #[arg(long)]
    json: bool,
    /// The folder with the test files.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    let corpus = arguments.corpus.clone().map_or_else(Corpus::open, Corpus::at)?;
    // A case that panics is a failed case with its message in the report; the default hook would print it twice.
    std::panic::set_hook(Box::new(|_| {}));
    let report = Report::run(&corpus, &Skips::ours()?);
    if arguments.json {
        for line in &report.lines {
            println!("{}", line.to_json());
        }
    } else {
        print!("{report}");
    }
    let total = report.total();
    for (case, reason) in total.skipped.iter().filter(|_| !arguments.json) {
        println!("skipped {case}: {reason}");
    }
    for (case, why) in &total.failed {
        eprintln!("failed {case}: {why}");
    }
    for stale in &report.stale_skips {
        eprintln!("tests/skips.toml: {stale}");
    }
    Ok(report.is_good())
}
