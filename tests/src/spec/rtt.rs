//! Average round trip time: `server-selection/tests/rtt`.

use super::{Holds, Suite};
use quorate_core::Duration;
use quorate_core::monitor::RttAverage;
use serde::Deserialize;
use serde_json::Value;

/// A file of this suite.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    avg_rtt_ms: Previous,
    new_rtt_ms: f64,
    new_avg_rtt: f64,
}

/// The average before: a number, or the text `NULL`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Previous {
    Millis(f64),
    Null(String),
}

/// `server-selection/tests/rtt`.
pub(super) const SUITES: [Suite; 1] = [Suite {
    name: "server-selection/rtt",
    prefix: "server_selection::rtt",
    specs: "server-selection/tests/rtt",
    pymongo: "server_selection/rtt",
    holds: Holds::OneCase,
    expects: &["/new_avg_rtt"],
    check: run,
}];

fn run(test: &Value) -> Result<(), String> {
    let file = File::deserialize(test).map_err(|e| e.to_string())?;
    let mut rtt = match file.avg_rtt_ms {
        Previous::Null(text) if text == "NULL" => RttAverage::new(),
        Previous::Null(text) => return Err(format!("avg_rtt_ms is neither a number nor NULL: {text:?}")),
        Previous::Millis(millis) => RttAverage::from_average(duration(millis)?),
    };
    rtt.add_sample(duration(file.new_rtt_ms)?);
    let expected = Some(duration(file.new_avg_rtt)?);
    if rtt.average() == expected {
        Ok(())
    } else {
        Err(format!("new average {:?}, expected {expected:?}", rtt.average()))
    }
}

/// Milliseconds with a fraction, to the nearest microsecond: all the digits the files have.
fn duration(millis: f64) -> Result<Duration, String> {
    let seconds = (millis * 1_000.0).round() / 1_000_000.0;
    Duration::try_from_secs_f64(seconds).map_err(|e| format!("{millis} ms: {e}"))
}
