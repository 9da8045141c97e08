//! Average round trip time: `server-selection/tests/rtt`.

use super::{Case, Corpus, slug};
use quorate_core::Duration;
use quorate_core::monitor::RttAverage;
use serde::Deserialize;
use std::path::Path;

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

/// One case a file.
pub fn cases(corpus: &Corpus) -> Vec<Case> {
    corpus
        .json_files("server-selection/tests/rtt", "server_selection/rtt")
        .into_iter()
        .map(|file| {
            let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            let path = file.clone();
            Case {
                suite: "server-selection/rtt",
                name: format!("rtt::{}", slug(&stem)),
                file,
                run: Box::new(move || run(&path)),
            }
        })
        .collect()
}

fn run(path: &Path) -> Result<(), String> {
    let file: File = serde_json::from_value(Corpus::load(path)?).map_err(|e| e.to_string())?;
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
