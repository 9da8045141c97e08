//! What a client costs that has nothing to do: how often it wakes up, and how much memory it holds.
//!
//! The servers (three real mongod, or canned ones) run elsewhere; each driver is measured in a process of its own, beside one
//! that holds a runtime and nothing else. All are this same executable, so that its size is no difference.

use clap::Parser;
use quorate_benches::canned::Canned;
use quorate_benches::process::{self, Memory};
use quorate_benches::subject::Subject;
use quorate_benches::table;
use quorate_harness::ReplicaSet;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(about = "Wake-ups and memory of a client without traffic")]
struct Args {
    /// How long to count.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// How long to wait before that: the deployment is to be found, and the monitors to be streaming.
    #[arg(long, default_value_t = 12)]
    settle: u64,
    /// Canned servers in place of real ones.
    #[arg(long)]
    canned: bool,
    /// One JSON object a driver instead of the table.
    #[arg(long)]
    json: bool,
    /// Be the process that is measured.
    #[arg(long, hide = true, requires = "uri")]
    child: Option<Who>,
    /// The deployment; started here if not said.
    #[arg(long)]
    uri: Option<String>,
}

/// Who lives in a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    BareTokio,
    BareSmol,
    Client(Subject),
}

impl Who {
    fn name(self) -> &'static str {
        match self {
            Who::BareTokio => "bare-tokio",
            Who::BareSmol => "bare-smol",
            Who::Client(subject) => subject.name(),
        }
    }

    /// The runtime alone that this one is compared with.
    fn bare(self) -> Who {
        match self {
            Who::BareSmol | Who::Client(Subject::Smol) => Who::BareSmol,
            _ => Who::BareTokio,
        }
    }

    fn all() -> Vec<Who> {
        let clients = Subject::all().into_iter().map(Who::Client);
        [Who::BareTokio, Who::BareSmol].into_iter().chain(clients).collect()
    }
}

impl std::str::FromStr for Who {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Who::all()
            .into_iter()
            .find(|who| who.name() == name)
            .ok_or_else(|| format!("nobody is called {name}"))
    }
}

/// What a process measured of itself.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Report {
    wake_ups: u64,
    memory: Memory,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match (args.child, &args.uri) {
        (Some(who), Some(uri)) => measure_oneself(&args, who, uri),
        _ => compare(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("idle: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure_oneself(args: &Args, who: Who, uri: &str) -> Result<(), String> {
    let mut report = Report::default();
    let settle = Duration::from_secs(args.settle);
    let count = Duration::from_secs(args.seconds);
    if who.bare() == Who::BareSmol {
        smol::block_on(async {
            let wait = async {
                smol::Timer::after(settle).await;
                let before = process::wake_ups();
                smol::Timer::after(count).await;
                report = Report { wake_ups: process::wake_ups() - before, memory: process::memory() };
            };
            live(who, uri, wait).await
        })?;
    } else {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            let wait = async {
                tokio::time::sleep(settle).await;
                let before = process::wake_ups();
                tokio::time::sleep(count).await;
                report = Report { wake_ups: process::wake_ups() - before, memory: process::memory() };
            };
            live(who, uri, wait).await
        })?;
    }
    println!("{}", json!(report));
    Ok(())
}

async fn live(who: Who, uri: &str, wait: impl Future<Output = ()>) -> Result<(), String> {
    match who {
        Who::Client(subject) => subject.idle(uri, wait).await,
        Who::BareTokio | Who::BareSmol => {
            wait.await;
            Ok(())
        }
    }
}

/// The servers, for as long as they are wanted.
enum Servers {
    Real(Box<ReplicaSet>),
    Canned(Canned),
    Elsewhere(String),
}

impl Servers {
    fn uri(&self) -> String {
        match self {
            Servers::Real(set) => set.uri(),
            Servers::Canned(canned) => canned.uri().to_owned(),
            Servers::Elsewhere(uri) => uri.clone(),
        }
    }
}

fn compare(args: &Args) -> Result<(), String> {
    let servers = match &args.uri {
        Some(uri) => Servers::Elsewhere(uri.clone()),
        None if args.canned => Servers::Canned(Canned::replica_set(3).map_err(|error| error.to_string())?),
        None => Servers::Real(Box::new(ReplicaSet::builder().members(3).start()?)),
    };
    let reports = measure_all(args, &servers.uri())?;
    let bare_of = |who: Who| {
        reports
            .iter()
            .find(|(other, _)| *other == who.bare())
            .map_or(Report::default(), |(_, report)| *report)
    };
    let mut rows = Vec::new();
    for (who, report) in &reports {
        let bare = bare_of(*who);
        let wake_ups = report.wake_ups.saturating_sub(bare.wake_ups) as f64 * 10.0 / args.seconds as f64;
        let over = report.memory.resident as f64 - bare.memory.resident as f64;
        if args.json {
            let line = json!({
                "driver": who.name(),
                "seconds": args.seconds,
                "wake_ups_per_10_s": wake_ups,
                "rss_kib": report.memory.resident,
                "rss_anonymous_kib": report.memory.anonymous,
                "rss_over_bare_kib": over,
            });
            println!("{line}");
        }
        rows.push(vec![
            who.name().to_owned(),
            format!("{wake_ups:.1}"),
            mib(report.memory.resident as f64),
            mib(report.memory.anonymous as f64),
            mib(over),
        ]);
    }
    if !args.json {
        let header = ["process", "wake-ups in 10 s", "RSS MiB", "anonymous MiB", "RSS over bare MiB"];
        table::print(&header, &rows);
    }
    Ok(())
}

fn mib(kib: f64) -> String {
    format!("{:.2}", kib / 1024.0)
}

/// All at once: they do not disturb one another, being idle.
fn measure_all(args: &Args, uri: &str) -> Result<Vec<(Who, Report)>, String> {
    let executable = std::env::current_exe().map_err(|error| error.to_string())?;
    let start = |who: Who| {
        Command::new(&executable)
            .args(["--child", who.name(), "--uri", uri])
            .args(["--seconds", &args.seconds.to_string(), "--settle", &args.settle.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .map(|child| (who, child))
            .map_err(|error| error.to_string())
    };
    let children = Who::all().into_iter().map(start).collect::<Result<Vec<_>, _>>()?;
    let finish = |(who, child): (Who, std::process::Child)| {
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        let report = serde_json::from_slice(&output.stdout);
        report.map(|report| (who, report)).map_err(|error| format!("{}: {error}", who.name()))
    };
    children.into_iter().map(finish).collect()
}
